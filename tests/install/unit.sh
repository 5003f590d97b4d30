# shellcheck shell=bash disable=SC2154
# The unit by itself: is it one, and how much of the machine does it leave open? And what lies beside it, as installed.
documents() { deploy/debian/documents.sh "$work/documents" && find "$work/documents" -name '*.md' -exec python3 -B tests/install/links.py {} +; }
dangling() { # the check can refuse
    printf '%s\n' '# Here' 'A [file](nowhere.md), a [heading](README.md#nowhere)' >"$work/documents/wrong.md"
    refuses python3 -B tests/install/links.py "$work/documents/wrong.md"
}
backfill() { # where it is installed, survey and model are beside it
    mkdir -p "$work/etc" && cp -r deploy/backfill/sdss-backfill.toml config/surveys config/model "$work/etc/" &&
        "$twinpeak" check "$work/etc/sdss-backfill.toml"
}
check "links of the guide and what stands beside it resolve, as installed" documents
check "and one that does not is refused" dangling
check "and in the repository" python3 -B tests/install/links.py ./*.md docs/*.md deploy/*.md deploy/*/README.md benches/study/*.md examples/*.md
if [[ -x $twinpeak ]]; then
    check "the daemon accepts the configuration of a backfill" backfill
else
    note SKIPPED "unit: no program at $twinpeak to check deploy/backfill with"
fi
needs systemd-analyze=systemd || { note SKIPPED "unit: no systemd-analyze"; exit; }

unit='deploy/systemd/twinpeak@.service'
# `verify` wants the program that the unit starts: a root that has both, and nothing else that could be complained of.
verified() {
    local root=$work/verify said
    install -D -m 755 /bin/true "$root/usr/bin/twinpeak"
    sed "s|/usr/bin/twinpeak|$root/usr/bin/twinpeak|" "$unit" >"$root/twinpeak@sdss.service"
    if (($#)); then install -D -m 644 "$1" "$root/twinpeak@sdss.service.d/more.conf"; fi
    said=$(systemd-analyze verify --man=no "$root/twinpeak@sdss.service" 2>&1) || { echo "$said"; return 1; }
    said=$(grep -F "$root" <<<"$said" || true)
    rm -rf "$root"
    if [[ $said ]]; then echo "$said"; return 1; fi
}
exposed() { systemd-analyze security --no-pager --offline=true --threshold=25 "$@"; }
bare() { # the same without what protects the machine: the measure must tell
    grep -vE '^(Protect|Private|Restrict|SystemCall|Capability|NoNew|Device)' "$unit" >"$work/bare@.service"
    refuses exposed "$work/bare@.service"
}
check "the unit is well-formed" verified
check "with the drop-in for a GPU too" verified deploy/systemd/gpu.conf
check "and with that for a backfill" verified deploy/systemd/backfill.conf
check "systemd-analyze security is at most 2.5" exposed "$unit"
say "exposure $(exposed "$unit" | sed -n 's/.*level for [^:]*: \([0-9.]*\).*/\1/p')"
check "and without its hardening above that" bare
check "why there is no MemoryDenyWriteExecute is written down" grep '^# Not MemoryDenyWriteExecute: oneDNN' "$unit"
refused_bad() { printf '[Service]\nExecStart=/no/such\nType=nothing\n' >"$work/bad@.service"; refuses systemd-analyze verify --man=no "$work/bad@x.service"; }
check "and a unit that is none is told" refused_bad
