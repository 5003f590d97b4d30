#!/usr/bin/env bash
# The main job on one machine: a small simulated night goes through the running daemon.
#
#   deploy/demo.sh          simulates 3 fields with known truth, and scores the catalogues against it
#   deploy/demo.sh DIR      takes your own five-band frames from DIR instead
#   NIGHT=... deploy/demo.sh  keeps everything there instead of in out/demo
set -euo pipefail
cd "$(dirname "$0")/.."
frames=${1-}
if [[ $frames && ! -d $frames ]]; then echo "demo: $frames is not a folder" >&2; exit 2; fi
night=${NIGHT:-out/demo} address=${ADDRESS:-127.0.0.1:9311}

deploy/setup.sh
say() { printf '\ndemo: %s\n' "$*"; }
say "builds twinpeak (release; the first time compiles its dependencies, about 5 minutes on 2 cores)"
cargo build --release
twinpeak=target/release/twinpeak

rm -rf "$night"
mkdir -p "$night/inbox"
if [[ -z $frames ]]; then
    say "simulates a night of 3 fields"
    "$twinpeak" simulate --out "$night/sky" --fields 3 --seed 42
    frames=$night/sky
    truth=(--truth "$night/sky")
fi

say "starts the daemon on $night/inbox; its metrics are at http://$address/metrics"
"$twinpeak" run --inbox "$night/inbox" --out "$night/out" --http "$address" 2>"$night/daemon.log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    if curl -sf "http://$address/readyz" >/dev/null; then break; fi
    kill -0 "$daemon" 2>/dev/null || { cat "$night/daemon.log" >&2; exit 1; }
    sleep 0.2
done

say "drops the frames in, one field after another"
dropped=0
settled() { find "$night/out" -maxdepth 2 \( -name '*.done.json' -o -path '*/rejected/*.json' \) 2>/dev/null | wc -l; }
progress() { printf '\r  %s fields dropped, %s settled, %s s ' "$dropped" "$(settled)" "$SECONDS"; }
SECONDS=0
# One field is the files that differ only in the band: sort by what follows `frame-X-`.
shopt -s nullglob
fields=$(for f in "$frames"/*.fits*; do basename "$f"; done | grep -v '^truth-' | sed -E 's/^[^-]*-[^-]*-//; s/\.fits.*$//' | sort -u)
for field in $fields; do
    for f in "$frames"/*-"$field".fits*; do
        cp "$f" "$night/inbox/.arriving" && mv "$night/inbox/.arriving" "$night/inbox/$(basename "$f")"
    done
    dropped=$((dropped + 1))
    progress
    sleep 1
done
while (($(settled) < dropped)); do
    kill -0 "$daemon" 2>/dev/null || { echo; cat "$night/daemon.log" >&2; exit 1; }
    progress
    sleep 0.5
done
progress
kill -TERM "$daemon"
wait "$daemon" || true
trap - EXIT

say "the night"
"$twinpeak" summary "$night/out" "${truth[@]}"
say "catalogues, masks and pictures are in $night/out; for instance:"
ls "$night/out" | sed -n '1,6s/^/  /p'
