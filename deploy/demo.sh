#!/usr/bin/env bash
# The main job on one machine: a small simulated night goes through the running daemon.
#
#   deploy/demo.sh          simulates 3 fields with known truth, and scores the catalogues against it
#   deploy/demo.sh DIR      takes your own five-band frames from DIR instead
#   deploy/demo.sh --kafka [DIR]  sends them through a Kafka broker, started for the demo, instead of a folder
#   NIGHT=... deploy/demo.sh  keeps everything there instead of in out/demo
set -euo pipefail
kafka=''
if [[ ${1-} == --kafka ]]; then kafka=yes; shift; fi
frames=${1-}
if [[ $frames && ! -d $frames ]]; then echo "demo: $frames is not a folder" >&2; exit 2; fi
[[ -z $frames ]] || frames=$(realpath "$frames")
[[ -z ${NIGHT-} ]] || NIGHT=$(realpath -m "$NIGHT")
cd "$(dirname "$0")/.."
daemon='' night=${NIGHT:-out/demo} address=${ADDRESS:-127.0.0.1:9311} truth=()

deploy/setup.sh
say() { printf '\ndemo: %s\n' "$*"; }
say "builds twinpeak (release; the first time compiles its dependencies: some minutes)"
cargo build --release -p twinpeak # neither the laboratory nor what tests need
twinpeak=target/release/twinpeak

rm -rf "$night/inbox" "$night/sky" "$night/out" "$night/daemon.log"
mkdir -p "$night/inbox"
if [[ -z $frames ]]; then
    say "simulates a night of 3 fields"
    "$twinpeak" simulate --out "$night/sky" --fields 3 --seed 42
    frames=$night/sky
    truth=(--truth "$night/sky")
fi

# Waits until the daemon says that it is ready.
ready() {
    for _ in $(seq 300); do
        if curl -sf "http://$address/readyz" >/dev/null; then return; fi
        kill -0 "$daemon" 2>/dev/null || { cat "$night/daemon.log" >&2; exit 1; }
        sleep 0.2
    done
    echo "demo: the daemon is not ready" >&2
    cat "$night/daemon.log" >&2
    exit 1
}

# The same night through a broker: messages name the frames, and rows come out as records.
stream() {
    say "starts a Kafka broker on the loopback (the first time fetches it: 54 MB) and makes the survey's topics"
    rm -rf "$night/kafka" "$night/objects" "$night/state"
    broker=$(deploy/kafka.sh start --dir "$night/kafka")
    trap 'kill "$daemon" 2>/dev/null || true; deploy/kafka.sh stop --dir "$night/kafka"' EXIT
    deploy/kafka.sh topics sdss 4 --dir "$night/kafka"
    say "starts the daemon on $broker; its metrics are at http://$address/metrics"
    "$twinpeak" run --kafka "$broker" --http "$address" --set "kafka.state_dir=$night/state" \
        --set "remote.file_roots=$(realpath "$frames")" --set "remote.objects=file://$(realpath "$night")/objects" 2>"$night/daemon.log" &
    daemon=$!
    ready
    say "sends a message for each field, one a second"
    "$twinpeak" submit --kafka "$broker" --rate 1 "$frames"
    deploy/kafka.sh read twinpeak.sdss.new-images --dir "$night/kafka" >"$night/new-images.txt"
    sent=$(wc -l <"$night/new-images.txt")
    images() { curl -sf "http://$address/metrics" | sed -n 's/^twinpeak_kafka_committed_images_total //p'; }
    for _ in $(seq 180); do
        printf '\r  %s of %s messages are done and committed ' "$(images)" "$sent"
        if (($(images) >= sent)); then break; fi
        kill -0 "$daemon" 2>/dev/null || break
        sleep 1
    done
    kill -TERM "$daemon" 2>/dev/null || true
    wait "$daemon" || { echo; echo "demo: the daemon failed; it said" >&2; cat "$night/daemon.log" >&2; exit 1; }
    say "what a reader of committed records sees: partition, offset, headers, image, size"
    for topic in images-v1 sources-v1 rejected; do
        deploy/kafka.sh read "twinpeak.sdss.$topic" --dir "$night/kafka" >"$night/$topic.txt"
        printf '  %s records on twinpeak.sdss.%s\n' "$(wc -l <"$night/$topic.txt")" "$topic"
        sed -n '1,3s/^/    /p' "$night/$topic.txt"
    done
    settled=$(cat "$night/images-v1.txt" "$night/rejected.txt" | wc -l)
    if ((settled != sent)); then echo "demo: $sent messages were sent, $settled came out" >&2; exit 1; fi
    deploy/kafka.sh stop --dir "$night/kafka"
    trap - EXIT
}

# Fields dropped into the folder that the daemon watches.
inbox() {
    say "starts the daemon on $night/inbox; its metrics are at http://$address/metrics"
    "$twinpeak" run --inbox "$night/inbox" --out "$night/out" --http "$address" \
        --set input.settle_s=1 --set input.incomplete_after_s=20 2>"$night/daemon.log" &
    daemon=$!
    trap 'kill "$daemon" 2>/dev/null || true' EXIT
    ready

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
    # Files that are not the survey's are left alone by the daemon: a minute without news is the end.
    news=$SECONDS last=-1
    while (($(settled) < dropped && SECONDS - news < 60)); do
        if (($(settled) != last)); then last=$(settled) news=$SECONDS; fi
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
}

if [[ $kafka ]]; then stream; else inbox; fi
