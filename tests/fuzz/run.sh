#!/usr/bin/env bash
# Fuzzes what reads strangers' bytes: [KEEP=1] tests/fuzz/run.sh [SECONDS [TARGET...]]
#
# Runs each target (message, notification, uri, configuration, header, frame; all of them, one after the other, where none is named)
# for SECONDS, 60 by default. Exits non-zero where one finds bytes that break a law (laws.rs), and says where they lie.
# What it finds interesting stays in target/corpus for the next run; with KEEP=1, the fewest of these that reach what
# the kept corpus does not are added to corpus/, which every `cargo test` runs. Interrupt it when you like.
#
# Needs what a build of twinpeak needs, no cargo-fuzz and no nightly: the compiler's own coverage pass is named here.
# The first build takes long (all crates again), later ones only our own.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
targets=("${@:2}")
((${#targets[@]})) || targets=(message notification uri configuration header frame)

LIBTORCH=${LIBTORCH:-$(cd ../.. && pwd)/.libtorch}
export LIBTORCH LD_LIBRARY_PATH="$LIBTORCH/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export CARGO_TARGET_DIR=$PWD/target
passes=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing)
# With a --target, the flags are for the program alone and not for what runs while it is built.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="${passes[*]}" cargo build --release --target "$host" --bins

for target in "${targets[@]}"; do
    printf '\n== %s, %s s\n' "$target" "$seconds"
    program=target/$host/release/$target log=target/$target.log found=target/corpus/$target kept=corpus/$target
    mkdir -p "$found" "$kept"
    if ! "$program" -max_total_time="$seconds" -max_len=32768 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="target/$target-" "$found" "$kept" >"$log" 2>&1; then
        grep -hE 'panicked|^ERROR|SUMMARY|Test unit written' -A1 "$log" >&2 || tail -n 20 "$log" >&2
        echo "$target: a law is broken; the whole report is tests/fuzz/$log" >&2
        exit 1
    fi
    grep -hE 'INITED|DONE|^stat' "$log"
    if [[ ${KEEP-} == 1 ]]; then
        # Edges alone, not how often they are taken.
        "$program" -set_cover_merge=1 -use_counters=0 -use_cmp=0 "$kept" "$found" >>"$log" 2>&1
        echo "$kept: $(find "$kept" -type f | wc -l) files"
    fi
done
