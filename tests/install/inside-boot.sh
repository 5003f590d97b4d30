#!/bin/bash
# What an operator does, inside a booted system that has systemd and nothing of ours; run by tests/install/boot.sh. Its
# standard output is the account: `ok WHAT`, `FAILED WHAT`, and `end`. Standard error says why.
set -u
unit=twinpeak@sdss
check() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then
        echo "ok $what"
    else
        echo "FAILED $what"
        { echo "== $what: $*"; tail -n 20 <<<"$said"; } >&2
    fi
}
until_true() {
    local end=$((SECONDS + $1))
    shift
    while ! "$@"; do ((SECONDS < end)) || return; sleep 0.3; done
}
value() { systemctl show --value -p "$1" "${2-$unit}"; }
is() { [[ $(value "$1" "${3-$unit}") == "$2" ]] || { echo "$1 is $(value "$1" "${3-$unit}")"; systemctl status --no-pager -n 8 "${3-$unit}"; return 1; }; }
drop() { # drop SEED: a small simulated field arrives, from a member of the group twinpeak
    twinpeak simulate --plain --out "/tmp/sky$1" --fields 1 --seed "$1" --width 256 --height 256 || return
    chgrp twinpeak "/tmp/sky$1"/frame-* && chmod 640 "/tmp/sky$1"/frame-* || return
    setpriv --reuid nobody --regid twinpeak --clear-groups sh -c "cp /tmp/sky$1/frame-* /var/lib/twinpeak/sdss/inbox/"
}
are_done() { (($(find /var/lib/twinpeak/sdss/out -maxdepth 1 -name '*.done.json' | wc -l) == $1)); }
other_than() { [[ $(value MainPID) != "$1" && $(value MainPID) != 0 ]] && is ActiveState active; }
logged() { journalctl -u "$unit" -o cat --no-pager | grep -q "$1"; }
owned() { [[ $(stat -c %U:%G:%a "$1") == "$2" ]] || { stat -c %U:%G:%a "$1"; return 1; }; }
contained() { # its view of the system: nothing of it can be written but its own folder
    local pid
    pid=$(value MainPID)
    nsenter --target "$pid" --mount sh -c '! touch /usr/x && ! touch /etc/x && touch /var/lib/twinpeak/sdss/state/x && rm /var/lib/twinpeak/sdss/state/x' || return
    grep -q '^NoNewPrivs:.1' "/proc/$pid/status" && grep -q '^CapBnd:.0*$' "/proc/$pid/status" &&
        grep -q '^Seccomp:.2' "/proc/$pid/status" && grep -q "^Uid:.$(id -u twinpeak)" "/proc/$pid/status"
}
kill_off() { local pid; pid=$(value MainPID) && kill -KILL "$pid" && until_true 30 other_than "$pid"; }
given_up() { is ActiveState failed && logged 'Start request repeated too quickly'; }

check "booted with systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')" systemctl show-environment
check "installed" dpkg -i /root/twinpeak_0.1.0_amd64.deb
# The trial has three minutes: what takes long in service is short here.
mkdir -p "/etc/systemd/system/twinpeak@.service.d"
printf '[Unit]\nStartLimitBurst=4\n[Service]\nRestartSec=0\nWatchdogSec=10\nEnvironment=TWINPEAK__HTTP__INFERENCE_WITHIN_S=6 TWINPEAK__INPUT__SETTLE_S=0.5 TWINPEAK__PIPELINE__DEVICE_THREADS=1\n' \
    >"/etc/systemd/system/twinpeak@.service.d/trial.conf"
systemctl daemon-reload
check "enabled and started: active once it says READY=1" systemctl enable --now "$unit"
check "is active" is ActiveState active
check "is healthy" twinpeak health --config /etc/twinpeak/sdss.toml
check "systemd made its folders" owned /var/lib/twinpeak/sdss/inbox twinpeak:twinpeak:770
check "runs as its user, cannot gain privileges, and can write only to its own folder" contained
drop 1 && check "a field is processed under the full hardening" until_true 60 are_done 1

pid=$(value MainPID)
check "reload" systemctl reload "$unit"
check "leaves the same process" is MainPID "$pid"
check "which is active again" until_true 30 is ActiveState active

kill -STOP "$pid"
check "one that stands still is ended by the watchdog, and another takes its place" until_true 45 other_than "$pid"
check "systemd says it was the watchdog" logged "atchdog timeout"
check "killed, it is started again" kill_off
drop 2 && check "and goes on where it was" until_true 60 are_done 2

pid=$(value MainPID)
check "upgraded in place" dpkg -i "/root/twinpeak_0.1.0+next_amd64.deb"
check "the running daemon is of the new version" other_than "$pid"

sed "s|^bundle = .*|bundle = \"/no/such\"|; s|9311|9312|; s|twinpeak/sdss/|twinpeak/wrong/|" /etc/twinpeak/sdss.toml >/etc/twinpeak/wrong.toml
systemctl start twinpeak@wrong
check "a wrong configuration fails at once, with its exit code" is ExecMainStatus 6 twinpeak@wrong
sleep 2
check "and is not tried again" is NRestarts 0 twinpeak@wrong
check "an instance without a configuration does not start" bash -c '! systemctl start twinpeak@nowhere'

systemctl reset-failed "$unit"
for _ in 1 2 3 4 5 6; do
    pid=$(value MainPID)
    if ((pid == 0)); then break; fi
    kill -KILL "$pid"
    until_true 20 eval 'other_than "$pid" || is ActiveState failed' >/dev/null
done
check "dying again and again, its budget ends" given_up
systemctl reset-failed "$unit"
check "and a person can give it a new one" systemctl start "$unit"
check "stopped" systemctl stop "$unit"
check "in good order" is Result success
systemctl start "$unit"
check "removed while it runs" dpkg -r twinpeak
check "nothing of it is left running" is ActiveState inactive
journalctl --no-pager -u 'twinpeak@*' -o cat >/root/journal
echo end
