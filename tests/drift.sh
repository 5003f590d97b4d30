#!/usr/bin/env bash
# A simulated night whose seeing gets worse, hour by hour, and what the daemon says of it: at first nothing, in the end
# that the seeing of the last hour has drifted. A minute or two; prints a line an hour.
#
# TWINPEAK is the daemon (target/release/twinpeak).
set -euo pipefail
cd "$(dirname "$0")/.."
twinpeak=$(realpath -m "${TWINPEAK:-target/release/twinpeak}")
work=$(mktemp -d)
daemon=
trap 'if [[ $daemon ]]; then kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; fi; rm -rf "$work"' EXIT
mkdir "$work/inbox" "$work/out"
touch "$work/log"
"$twinpeak" run --inbox "$work/inbox" --out "$work/out" --http 127.0.0.1:0 --device cpu \
    --set input.settle_s=0.2 --set log.format=json 2>"$work/log" &
daemon=$!
for _ in {1..300}; do
    http=$(sed -n '/"message":"ready"/s/.*"http":"\([^"]*\)".*/\1/p' "$work/log")
    if [[ $http ]]; then break; fi
    sleep 0.1
done
[[ $http ]] || { cat "$work/log" >&2; exit 1; }

figure() { # of the last hour
    curl -sf "http://$http/metrics" | sed -n "s/^twinpeak_drift_$1 //p"
}
echo 'hour  seeing  distance: fwhm  noise  sky  mixture  (threshold of fwhm, noise, sky; of the mixture)'
first=1 passed=0 failed=0
for seeing in 1.2 1.4 1.8 2.6 3.6; do
    "$twinpeak" simulate --out "$work/sky" --seed 77 --first-field "$first" --fields 3 --width 1200 --height 900 \
        --seeing "$seeing" --plain >/dev/null 2>&1
    rm -f "$work"/sky/truth-*
    # Each hour's fields are an hour younger than the last's.
    "${PYTHON:-.venv/bin/python}" - "$work/sky" "$first" <<'P'
import pathlib, sys
from astropy.io import fits
for path in pathlib.Path(sys.argv[1]).glob("frame-*.fits"):
    with fits.open(path, mode="update") as file:
        file[0].header["TAI"] = 4.6e9 + 3600.0 * (int(sys.argv[2]) - 1) / 3 + float(file[0].header.get("EXPTIME", 54)) / 2
P
    mv "$work"/sky/frame-* "$work/inbox/"
    for _ in {1..600}; do
        done=$(find "$work/out" -maxdepth 1 -name '*.done.json' | wc -l)
        if ((done >= first + 2)); then break; fi
        sleep 0.2
    done
    sleep 0.5
    of() { figure "distance{input=\"$1\",window=\"hour\"}"; }
    limit() { figure "threshold{input=\"$1\"}"; }
    printf '%4d  %6s  %14.2f  %5.2f  %3.2f  %7.3f  (%.2f; %.2f)\n' $(((first + 2) / 3)) "$seeing" "$(of fwhm)" "$(of noise)" \
        "$(of sky)" "$(of mixture)" "$(limit fwhm)" "$(limit mixture)"
    drifted=$(awk "BEGIN { print ($(of fwhm) > $(limit fwhm)) }")
    case $seeing in
    1.2 | 1.4) due=0 ;;
    3.6) due=1 ;;
    *) due=$drifted ;;
    esac
    if [[ $drifted == "$due" ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    first=$((first + 3))
done
echo "$passed passed, $failed failed"
((failed == 0))
