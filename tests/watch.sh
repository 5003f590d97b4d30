#!/usr/bin/env bash
# Proves that what deploy/prometheus and deploy/grafana ship watches a daemon for real.
#
#   tests/watch.sh
#
# First what lies there: promtool's unit tests of every alert, a runbook entry and tests of both kinds for each, the
# dashboard against its code. Then Debian's Prometheus scrapes a daemon on a real broker and one on an inbox by the
# shipped configuration, sixty times as fast (tests/watch/fast.py says by which rule); faults are injected, their alerts
# must fire and end, and every query of the dashboard must return data. The last line is
#   N passed, N failed
# with exit 0 only if none failed.
#
# All lies in out/watch (or WATCH_DIR). TWINPEAK is the daemon (target/release/twinpeak), PYTHON has what
# tests/requirements.txt names (.venv/bin/python). Prometheus and amtool are taken from the PATH, or else from Debian's
# packages, which are unpacked into ~/.cache/twinpeak and not installed: nothing of them is started by the system.
# Whatever it starts it stops.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
work=$(realpath -m "${WATCH_DIR:-out/watch}")
TWINPEAK=$(realpath -m "${TWINPEAK:-target/release/twinpeak}") python=$(realpath -ms "${PYTHON:-.venv/bin/python}")
export TWINPEAK
# shellcheck disable=SC2034 # java.sh speaks under this name
name=watch
# shellcheck source=deploy/kafka/java.sh
source deploy/kafka/java.sh
[[ -x $TWINPEAK ]] || die "no daemon at $TWINPEAK: cargo build --release"
"$python" -c 'import confluent_kafka, yaml, grafana_foundation_sdk' 2>/dev/null ||
    die "$python lacks confluent-kafka, PyYAML or grafana-foundation-sdk: deploy/setup.sh --tests"

# Debian's packages, unpacked beside. Lists of packages that are missing or old want root once.
unpack() (
    cd "$1"
    say "fetches prometheus and prometheus-alertmanager from Debian: 30 MB"
    apt-get download -qq prometheus prometheus-alertmanager 2>/dev/null || {
        if ((EUID != 0)); then die "apt-get knows no prometheus. Run this, then try again: sudo apt-get update"; fi
        apt-get -o DPkg::Lock::Timeout=300 update -qq
        apt-get download -qq prometheus prometheus-alertmanager
    }
    for package in ./*.deb; do dpkg-deb -x "$package" . && rm "$package"; done
)
tools=$work/tools
mkdir -p "$work"
exec 7>"$work/lock"
flock -n 7 || die "another run uses $work"
find "$work" -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf {} +
mkdir "$tools"
for tool in prometheus promtool amtool; do
    if ! command -v "$tool" >/dev/null; then
        fetched prometheus-debian 1 unpack
        ln -s "$cache/prometheus-debian/usr/bin/$tool" "$tools/$tool"
    else
        ln -s "$(command -v "$tool")" "$tools/$tool"
    fi
done
read -ra ports < <(free_ports 3)
say "the daemons' logs are $work/daemon.log and inbox.log"

watching=''
clean_up() {
    if [[ $watching ]]; then kill -TERM "$watching" 2>/dev/null && wait "$watching"; fi || true
    deploy/kafka.sh stop --dir "$work/kafka" # where Python was killed and could not
}
trap clean_up EXIT
trap 'trap "" INT TERM; exit 130' INT # a second one must not break the cleaning up
trap 'trap "" INT TERM; exit 143' TERM
"$python" -B tests/watch/watch.py "$work" "$tools" "${ports[@]}" 7>&- &
watching=$!
failed=0
wait "$watching" || failed=$?
watching=''
exit "$failed"
