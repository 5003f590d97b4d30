#!/usr/bin/env bash
# The daemon's page in a real Chromium: clicks, filters, opens fields and sees their masks, as a person does, with the
# keyboard too and with 10,000 fields behind it; then the same on a stream.
#
#   tests/page.sh [--screenshot FILE]     and keep a picture of the page, as docs/operate.md has it
#
# Takes about two minutes. Chromium and its driver are installed from Debian where they are missing (300 MB); all else
# lies in out/page (or PAGE_DIR). TWINPEAK is the daemon (target/release/twinpeak), PYTHON has astropy (.venv/bin/python). The last
# line is
#   N passed, N failed
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf 'page: %s\n' "$*" >&2; }
twinpeak=$(realpath -m "${TWINPEAK:-target/release/twinpeak}") python=$(realpath -ms "${PYTHON:-.venv/bin/python}")
[[ -x $twinpeak ]] || { say "no daemon at $twinpeak: cargo build --release"; exit 1; }
"$python" -c 'import astropy' 2>/dev/null || { say "$python lacks astropy: deploy/setup.sh --tests"; exit 1; }

if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    if ((EUID != 0)); then
        say "SKIPPED: needs chromium and chromedriver: sudo apt-get install chromium chromium-driver fonts-dejavu-core"
        exit 0
    fi
    say "installs Chromium and its driver from Debian"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core >/dev/null
fi

work=$(realpath -m "${PAGE_DIR:-out/page}")
mkdir -p "$work"
find "$work" -mindepth 1 -delete
trap 'deploy/kafka.sh stop --dir "$work/kafka" >/dev/null 2>&1 || true' EXIT
"$python" -B tests/page/drive.py "$twinpeak" "$work" "$@"
