#!/usr/bin/env bash
# Proves exactly once on a real broker while everything around it breaks.
#
#   tests/chaos.sh FIELDS SEED [KILLS]     KILLS: how many things break (8)
#
# FIELDS small simulated fields, a tenth as many bad messages and one that kills whoever works on it go to two daemons
# of one group, on a topic of 6 partitions. Meanwhile, at random moments that SEED decides: a daemon is killed, asked
# to end, or stopped for longer than its session lasts; the broker is killed; the network between one daemon and it is
# cut; the disk of claim checks and claims is full; another model, or a broken one, is put in service. In the end Kafka's own Java consumer counts what is there. The last
# line is
#   lost 0 doubled 0 rejected R
# with exit 0 only if nothing is lost or doubled and each rejection was due.
#
# `tests/chaos.sh 40 1` takes about 2 minutes. All lies in out/chaos-FIELDS-SEED-KILLS (or CHAOS_DIR); a run that was
# interrupted goes on from there when called again. TWINPEAK is the daemon (target/release/twinpeak), PYTHON has
# confluent-kafka and fastavro (.venv/bin/python). The full disk is a small tmpfs: that needs root, and is left out
# otherwise. CHAOS_EVENTS="kill_broker cut_network" breaks nothing else. Whatever it starts it stops.
set -euo pipefail
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[[ ${1-} =~ ^[1-9][0-9]*$ && ${2-} =~ ^[0-9]+$ && ${3-8} =~ ^[0-9]+$ && $# -le 3 ]] || usage
fields=$1 seed=$2 kills=${3-8}
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" # the daemon's configuration and nets are found from here
work=$(realpath -m "${CHAOS_DIR:-out/chaos-$fields-$seed-$kills}")
twinpeak=$(realpath -m "${TWINPEAK:-target/release/twinpeak}") python=$(realpath -ms "${PYTHON:-.venv/bin/python}")
# shellcheck disable=SC2034 # java.sh speaks under this name
name=chaos
# shellcheck source=deploy/kafka/java.sh
source deploy/kafka/java.sh
[[ -x $twinpeak ]] || die "no daemon at $twinpeak: cargo build --release"
"$python" -c 'import confluent_kafka, fastavro' 2>/dev/null ||
    die "$python lacks confluent-kafka or fastavro: deploy/setup.sh --tests"

mkdir -p "$work"
exec 7>"$work/lock"
flock -n 7 || die "another run uses $work"
if [[ -e $work/counted ]]; then # an earlier run came to its end: this is a new one
    find "$work" -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf {} +
fi
if [[ -e $work/arguments && $(cat "$work/arguments") != "$*" ]]; then
    die "$work is of tests/chaos.sh $(cat "$work/arguments"): call it so, or remove the folder"
fi
echo "$*" >"$work/arguments"

# The disk that fills up. Its contents are kept beside it while it is not mounted.
mount_disk() {
    if mountpoint -q "$work/disk"; then return; fi
    mkdir -p "$work/disk"
    if ! mount -t tmpfs -o "size=$((16 + fields / 8))m" chaos "$work/disk" 2>/dev/null; then
        say "NO DISK THAT CAN BE FULL: mount is not allowed here. The storm goes on without that event"
    elif [[ -d $work/disk.kept ]]; then
        cp -a "$work/disk.kept/." "$work/disk/"
    fi
}
unmount_disk() {
    if ! mountpoint -q "$work/disk"; then return; fi
    rm -rf "$work/disk.part"
    cp -a "$work/disk" "$work/disk.part" && rm -rf "$work/disk.kept" && mv "$work/disk.part" "$work/disk.kept"
    umount "$work/disk"
}

storm=''
clean_up() {
    if [[ $storm ]]; then kill -TERM "$storm" 2>/dev/null && wait "$storm"; fi || true
    deploy/kafka.sh stop --dir "$work/kafka"
    unmount_disk
}
trap clean_up EXIT
trap 'trap "" INT TERM; exit 130' INT # a second one must not break the cleaning up
trap 'trap "" INT TERM; exit 143' TERM
SECONDS=0

# A counter that cannot fail proves nothing.
told=$(cd tests/chaos && "$python" -B -m unittest test_count 2>&1) || die "the counter does not count: $told"
if [[ ! -e $work/messages.jsonl ]]; then
    say "simulates a night"
    "$python" -B tests/chaos/night.py "$work" "$fields" "$seed" "$twinpeak"
fi
mount_disk
mkdir -p "$work/disk/objects" "$work/disk/state"
say "starts the broker"
deploy/kafka.sh start --dir "$work/kafka" --proxied 0 >/dev/null
deploy/kafka.sh topics sdss 6 --dir "$work/kafka" >/dev/null
read -ra ports < <(free_ports 2)
say "the storm begins; the daemons' logs are $work/a.log and b.log"
"$python" -B tests/chaos/storm.py "$work" "$seed" "$kills" "$twinpeak" "${ports[@]}" &
storm=$!
failed=0
wait "$storm" || failed=$?
if ((failed != 0 && failed != 3)); then die "the storm broke off; call it again to go on"; fi # 3: a daemon hangs
storm=''
say "$SECONDS s; counts"
"$python" -B tests/chaos/count.py "$work" || failed=1
touch "$work/counted"
exit "$failed"
