#!/usr/bin/env bash
# Fuzzes what reads strangers' bytes: tests/fuzz/run.sh [SECONDS [TARGET...]]
#
# Runs each target (message, notification, uri, configuration; all of them, one after the other, where none is named)
# for SECONDS, 60 by default. Exits non-zero where one finds bytes that break a law (laws.rs), and says where they lie.
# What it finds interesting stays in target/corpus for the next run; those that reach code which the kept corpus does
# not are added to corpus/, which every `cargo test` runs. Interrupt it when you like.
#
# Needs what a build of twinpeak needs, and no cargo-fuzz and no nightly: the compiler's own coverage pass is named here.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
targets=("${@:2}")
((${#targets[@]})) || targets=(message notification uri configuration)

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
    mkdir -p "target/corpus/$target" "target/crashes" "corpus/$target"
    program=target/$host/release/$target
    printf '\n== %s, %s s\n' "$target" "$seconds"
    "$program" -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="target/crashes/$target-" "target/corpus/$target" "corpus/$target" 2>&1 |
        tee "target/$target.log" | grep -Ev '^#[0-9]+[[:space:]]+(NEW|REDUCE|pulse|RELOAD)|NEW_(FUNC|PC)|^INFO:' ||
        { echo "$target: a law is broken; see tests/fuzz/target/$target.log and the file that it names" >&2; exit 1; }
    # Edges alone, not how often: what reaches nothing new is not kept.
    "$program" -merge=1 -use_counters=0 -use_cmp=0 "corpus/$target" "target/corpus/$target" >>"target/$target.log" 2>&1
done
