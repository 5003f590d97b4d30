# shellcheck shell=bash disable=SC2154
# The Debian package in a bare root without systemd: installed, used as its user, upgraded in place, removed, purged.
((EUID == 0)) || { note SKIPPED "package: a root of its own needs root"; exit; }
[[ -x $twinpeak ]] || { note SKIPPED "package: no program at $twinpeak"; exit; }
needs debootstrap=debootstrap patchelf=patchelf dpkg-shlibdeps=dpkg-dev || { note SKIPPED "package: no debootstrap, patchelf or dpkg-dev"; exit; }
base=$(base_root bare "") || { note SKIPPED "package: no bare root could be made"; exit; }

old=$(package 0.1.0) && new=$(package 0.1.0+next) || { note FAILED "the package is built"; exit; }
symbols=${old/twinpeak_/twinpeak-dbgsym_}
note ok "the package is built: $(du -m "$old" | cut -f 1) MB, and $(du -m "$symbols" | cut -f 1) MB of debug information"
take_root "$base"
cp "$old" "$new" "$symbols" "$root/tmp/"
port=$(free_port)

# Where systemd would make them, from StateDirectory.
folders() { inside install -d -o twinpeak -g twinpeak -m 0770 /var/lib/twinpeak/sdss{,/inbox,/out,/state,/objects}; }
start_daemon() {
    (umask 027 && exec chroot --userspec=twinpeak:twinpeak "$root" /usr/bin/env -i PATH=/usr/bin:/bin "TWINPEAK__HTTP__BIND=127.0.0.1:$port" \
        TWINPEAK__INPUT__SETTLE_S=0.5 /usr/bin/twinpeak run --config /etc/twinpeak/sdss.toml) </dev/null >>"$work/daemon.log" 2>&1 &
    daemon=$!
}
stop_daemon() { kill -TERM "$daemon"; code=0; wait "$daemon" || code=$?; }
# drop SEED: a small simulated field arrives.
drop() {
    inside twinpeak simulate --plain --out "/tmp/sky$1" --fields 1 --seed "$1" --width 256 --height 256 &&
        inside sh -c "install -o twinpeak -m 640 /tmp/sky$1/frame-*.fits /var/lib/twinpeak/sdss/inbox/"
}
done_of() { find "$root/var/lib/twinpeak/sdss/out" -name '*.done.json' | wc -l; }
are_done() { (($(done_of) == $1)) || { tail -n 5 "$work/daemon.log"; return 1; }; }
owner() { same "$(inside stat -c %U:%a "$1")" "$2"; }
version() { same "$(inside dpkg-query -W -f '${Version} ${Status}' twinpeak)" "$1 $2"; }
from_package() { # no path of the machine that built it, and every library found without LD_LIBRARY_PATH
    local dynamic
    dynamic=$(readelf -d "$root/usr/bin/twinpeak")
    grep -q 'R.*PATH.*\[/usr/lib/twinpeak\]' <<<"$dynamic" || { echo "$dynamic"; return 1; }
    inside ldd /usr/bin/twinpeak | tee /dev/stderr | grep -q '=> /usr/lib/twinpeak/libtorch_cpu.so'
    refuses grep -q 'not found' <(inside ldd /usr/bin/twinpeak)
}
stripped() { refuses grep -E ' \.(symtab|debug_(info|line))' <(readelf -WS "$root/usr/bin/twinpeak"); }
no_laboratory() { lacks "$root/usr/bin/twinpeak-lab" && same "$(inside dpkg -L twinpeak | grep -c 'study\.toml\|twinpeak-lab')" 0; }
resolved() { # where the program's own backtraces look: by its build id
    local id file main
    id=$(readelf -n "$root/usr/bin/twinpeak" | sed -n 's/.*Build ID: //p') && file=$root/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
    main=$(nm -C "$file" | sed -n 's/ t twinpeak::main\(::h[0-9a-f]*\)\?$//p') && addr2line -Cfe "$file" "0x$main" | tee /dev/stderr | grep -q 'src/main\.rs:[1-9]'
}
licensed() { # one file, since a slim container keeps no other document
    grep -qF 'Copyright (c) 2026 The twinpeak developers' "$1" && grep -qF 'Version 2.0, January 2004' "$1" && grep -q '^==== libtorch: ' "$1"
}
documented() { has "$root$(sed -n 's,^Documentation=file://,,p' "$root/usr/lib/systemd/system/twinpeak@.service")"; }
linked() { find "$root/usr/share/doc/twinpeak" -name '*.md' -exec python3 -B tests/install/links.py {} +; }
runbook() { # as a link of a file beside them, so that headings are looked for too
    local doc=$root/usr/share/doc/twinpeak
    sed -n 's,.*runbook_url: file:///usr/share/doc/twinpeak/\(.*\),[alert](\1),p' "$doc"/prometheus/rules/*.yml >"$doc/urls.md"
    python3 -B tests/install/links.py "$doc/urls.md" && rm "$doc/urls.md"
}
install_deb() { inside apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold "$1"; }
edit() { inside sh -c "printf '%s\n' '# by the operator' 'level = \"debug\"' >>/etc/twinpeak/sdss.toml"; }

check "installed by apt in a bare root" install_deb "/tmp/${old##*/}"
check "all files are as packaged" inside dpkg --verify twinpeak
check "the user twinpeak is there" inside id twinpeak
check "the unit, configuration, model and licences are there" has "$root"/usr/lib/systemd/system/twinpeak@.service \
    "$root"/etc/twinpeak/{sdss.toml,surveys/sdss.toml} "$root"/usr/share/twinpeak/model/manifest.toml "$root"/usr/share/doc/twinpeak/copyright
check "the texts of the licences are in one file" licensed "$root/usr/share/doc/twinpeak/copyright"
check "the guide, runbook, rules, dashboard and examples are there" has \
    "$root"/usr/share/doc/twinpeak/{README.md,operate.md,stream.md,metrics.md,runbook.md,examples/{twinpeak.toml,consume_rows.py},systemd/{gpu,backfill}.conf} \
    "$root"/usr/share/doc/twinpeak/{backfill/sdss-backfill.toml,prometheus/rules/daemon.yml,grafana/twinpeak.json,kubernetes/models}
# Its schemas lie elsewhere than in the repository, and it must find them.
found_schemas() { python3 -c 'import pathlib, sys; sys.exit(not list((pathlib.Path(sys.argv[1]).parent.parent / "schemas").glob("source-v*.avsc")))' "$1"; }
check "the example consumer finds the schemas" found_schemas "$root/usr/share/doc/twinpeak/examples/consume_rows.py"
check "the unit's Documentation is there" documented
check "every relative link of the installed guide resolves, and of what stands beside it" linked
check "what a runbook_url names is there" runbook
check "libtorch is found at /usr/lib/twinpeak, by the program itself" from_package
check "nothing of the laboratory is in it" no_laboratory
check "the program is stripped" stripped
check "its debug information is installed beside it" install_deb "/tmp/${symbols##*/}"
check "and gives a place in it a name and a line" resolved
check "twinpeak check accepts the shipped configuration" inside twinpeak check /etc/twinpeak/sdss.toml
folders
start_daemon
check "the daemon, as the user twinpeak, says that it is ready" until_true 60 inside twinpeak health --http "127.0.0.1:$port"
check "a simulated field arrives" drop 1
check "and is processed" until_true 60 are_done 1
check "its results are the user's" owner "/var/lib/twinpeak/sdss/out/$(basename "$(find "$root/var/lib/twinpeak/sdss/out" -name '*.catalog.parquet')")" twinpeak:640
edit
inside cp -r /usr/share/twinpeak/model /var/lib/twinpeak/own && inside ln -sfn /var/lib/twinpeak/own /etc/twinpeak/model
check "an upgrade in place, over an edited configuration" install_deb "/tmp/${new##*/}"
check "is the next version" version 0.1.0+next "install ok installed"
check "takes the debug information of the old program away" refuses inside dpkg -s twinpeak-dbgsym
check "keeps what the operator wrote" grep -q '^# by the operator' "$root/etc/twinpeak/sdss.toml"
stop_daemon
check "and the model that the operator chose" same "$(readlink "$root/etc/twinpeak/model")" /var/lib/twinpeak/own
check "the running daemon ends in good order" same "$code" 0
start_daemon
check "the next one is ready" until_true 60 inside twinpeak health --http "127.0.0.1:$port"
check "another field arrives" drop 2
check "and is processed; the first is not done again" until_true 60 are_done 2
stop_daemon
check "it ends in good order" same "$code" 0
check "removed" inside apt-get remove -y -q twinpeak
check "program and libraries are gone" lacks "$root"/usr/bin/twinpeak "$root"/usr/lib/twinpeak "$root"/usr/share/twinpeak
check "configuration and results are not" has "$root/etc/twinpeak/sdss.toml" "$root/var/lib/twinpeak/sdss/out"
check "purged" inside dpkg --purge twinpeak
check "configuration is gone" lacks "$root/etc/twinpeak"
check "results are not" are_done 2
check "nor is their owner" inside id twinpeak
rm -rf "$root/var/lib/twinpeak"
check "installed once more" install_deb "/tmp/${new##*/}"
check "a purge with no results takes the user too" inside sh -c 'dpkg --purge twinpeak && ! id twinpeak'
