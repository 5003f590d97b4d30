#!/usr/bin/env bash
# What an operator does with deploy/, done for real: the unit, the package in a bare root and on a booted system, the
# container, the cluster's manifests, the licences and the bill of materials.
#
#   tests/install.sh [SECTION...]     all, or of: unit notify package boot container kubernetes supply
#
# TWINPEAK is the program (target/release/twinpeak). Bare roots come from Debian once, by debootstrap, into
# ~/.cache/twinpeak. What cannot be tried on this machine is told as SKIPPED, with why. The last line is
#   N passed, N failed
# with exit 0 only if nothing failed. All it starts it stops, and nothing outside a temporary folder is changed, but for
# programs that it installs from the distribution where they are missing (as root).
set -euo pipefail
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
every=(unit notify package boot container kubernetes supply)
if (($#)); then sections=("$@"); else sections=("${every[@]}"); fi
for section in "${sections[@]}"; do [[ " ${every[*]} " == *" $section "* ]] || usage; done

twinpeak=$(realpath -m "${TWINPEAK:-target/release/twinpeak}")
work=$(mktemp -d "${TMPDIR:-/tmp}/twinpeak-install.XXXXXX")
account=$work/account
touch "$account"
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# shellcheck source=tests/install/lib.sh
source tests/install/lib.sh

for section in "${sections[@]}"; do
    printf '\n== %s\n' "$section"
    SECONDS=0
    # shellcheck disable=SC1090 # one of the sections above
    (source "tests/install/$section.sh") || note FAILED "$section came to its end"
    say "$section took $SECONDS s"
done

count() { grep -c "^$1 " "$account" || true; }
echo
if (($(count SKIPPED))); then echo "$(count SKIPPED) SKIPPED:" && sed -n 's/^SKIPPED /  /p' "$account"; fi
echo "$(count ok) passed, $(count FAILED) failed"
(($(count FAILED) == 0))
