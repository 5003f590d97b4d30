#!/usr/bin/env bash
# Throughput against the number of daemons on one machine: a real broker, real daemons, a simulated model time.
#
#   tests/scale.sh [SECONDS [DAEMONS...]]       .25 s a frame; 1 2 4 8 16 daemons of one group
#
# Each frame takes SECONDS in which its daemon waits and no processor works, as with a model on a GPU of its own: one of
# its five files comes from an object store that answers so late, and a daemon works on one frame at a time. All else
# is real: messages, decoding, extraction, transactions. So throughput grows with the daemons until something real is
# the limit; the table says what the broker and the daemons took of the processors. Fields are 64x64 px.
#
# Fails if a field is lost or doubled, or a daemon had no share. How fast it was is told, and no reason to fail.
# TWINPEAK is the daemon (target/release/twinpeak), PYTHON has confluent-kafka (.venv/bin/python). All lies in a temporary
# folder; whatever it starts it stops.
set -euo pipefail
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[[ ${1-.25} =~ ^[0-9]*\.?[0-9]+$ ]] || usage
for count in "${@:2}"; do [[ $count =~ ^[1-9][0-9]?$ ]] || usage; done
cd "$(dirname "$0")/.."
export TWINPEAK=${TWINPEAK:-$PWD/target/release/twinpeak}
python=${PYTHON:-.venv/bin/python}
[[ -x $TWINPEAK ]] || { echo "scale: no daemon at $TWINPEAK: cargo build --release" >&2; exit 1; }
"$python" -c 'import confluent_kafka' 2>/dev/null || { echo "scale: $python lacks confluent-kafka: deploy/setup.sh --tests" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/twinpeak-scale.XXXXXX")
trap 'deploy/kafka.sh stop --dir "$work/kafka"; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
bootstrap=$(deploy/kafka.sh start --dir "$work/kafka")
counts=("${@:2}")
if ((${#counts[@]} == 0)); then counts=(1 2 4 8 16); fi
"$python" -B tests/scale/measure.py "$work" "$bootstrap" "$(cat "$work/kafka/pid")" "${1-.25}" "${counts[@]}"
