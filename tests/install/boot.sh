# shellcheck shell=bash disable=SC2154
# The package on a system that has booted: a container root with systemd as its first process. What happens there is in
# inside-boot.sh.
((EUID == 0)) || { note SKIPPED "boot: a system of its own needs root"; exit; }
[[ -x $twinpeak ]] || { note SKIPPED "boot: no program at $twinpeak"; exit; }
needs debootstrap=debootstrap systemd-nspawn=systemd-container patchelf=patchelf dpkg-shlibdeps=dpkg-dev ||
    { note SKIPPED "boot: no debootstrap, systemd-nspawn, patchelf or dpkg-dev"; exit; }
base=$(base_root boot systemd,systemd-sysv,dbus) || { note SKIPPED "boot: no root with systemd could be made"; exit; }

old=$(package 0.1.0) && new=$(package 0.1.0+next) || { note FAILED "the package is built"; exit; }
take_root "$base"
umount "$root/proc" # the system mounts its own
cp "$old" "$new" "$root/root/"
cp tests/install/inside-boot.sh "$root/root/inside-boot.sh"
cat >"$root/etc/systemd/system/trial.service" <<'UNIT'
[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/bash /root/inside-boot.sh
StandardOutput=file:/root/account
StandardError=file:/root/said
TimeoutStartSec=170
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../trial.service "$root/etc/systemd/system/multi-user.target.wants/trial.service"

# Not under a service manager itself, and a network of its own: ports of this machine do not matter.
timeout --kill-after=10 175 systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --console=pipe \
    --directory="$root" --machine="twinpeak-$$" </dev/null >"$work/console" 2>&1 || true
if ! grep -q '^ok booted' "$root/root/account" 2>/dev/null; then
    note SKIPPED "boot: systemd-nspawn does not boot here: $(grep -v '^$' "$work/console" | tail -n 1 | tr -d '\r' | cut -c 1-200)"
    exit
fi
while IFS= read -r line; do note "${line%% *}" "${line#* }"; done < <(grep -E '^(ok|FAILED|SKIPPED) ' "$root/root/account")
check "the trial came to its end" grep -q '^end$' "$root/root/account"
if grep -q ^FAILED "$root/root/account"; then { cat "$root/root/said" && tail -n 40 "$root/root/journal"; } | cut -c 1-250 | sed 's/^/        /'; fi
