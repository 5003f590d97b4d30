# shellcheck shell=bash disable=SC2154
# What the program is made of: licences and sources, held against .cargo/deny.toml by a short script and, where it is
# there, by cargo-deny; the bill of materials by cargo-cyclonedx, held against CycloneDX' own schema. Both tools take
# minutes to compile, so they are used where they are and not installed here.
cyclonedx=$cache/cyclonedx-11.12.0
if [[ ! -e $cyclonedx/complete ]]; then
    rm -rf "$cyclonedx"
    { python3 -m venv "$cyclonedx" && "$cyclonedx/bin/pip" -q --disable-pip-version-check install \
        'cyclonedx-python-lib[json-validation]==11.12.0'; } >"$work/pip.log" 2>&1 && touch "$cyclonedx/complete"
fi

licences() {
    cargo metadata --locked --format-version 1 --filter-platform x86_64-unknown-linux-gnu |
        "$cyclonedx/bin/python" -B tests/install/licences.py "$1"
}
if [[ -e $cyclonedx/complete ]]; then
    check "licences and sources of all crates are as .cargo/deny.toml allows" licences .cargo/deny.toml
    for rule in '/^    "ISC",$/d' 's/{ name = "native-tls" }/{ name = "rdkafka-sys" }/' 's/crates.io-index/other/'; do
        sed "$rule" .cargo/deny.toml >"$work/deny.toml"
        check "and by a stricter rule they are not ($rule)" refuses licences "$work/deny.toml"
    done
else
    note SKIPPED "supply: the reader of licences cannot be had: $(tail -n 1 "$work/pip.log")"
fi

deny() { cargo deny --offline --locked "$@" check --hide-inclusion-graph licenses bans sources; }
if cargo deny --version >/dev/null 2>&1; then
    check "licences, bans and sources are as .cargo/deny.toml allows" deny
    stricter() { # without Apache-2.0 alone, and with a crate of ours forbidden: it can refuse
        sed 's/^    "ISC",$//' .cargo/deny.toml >"$work/deny.toml"
        refuses cargo deny --offline --locked check --hide-inclusion-graph --config "$work/deny.toml" licenses
    }
    check "a licence that is not allowed is refused" stricter
    forbidding() {
        sed 's/^deny = \[/deny = [{ name = "rdkafka" },/' .cargo/deny.toml >"$work/deny.toml"
        refuses cargo deny --offline --locked check --hide-inclusion-graph --config "$work/deny.toml" bans
    }
    check "and so is a crate that is banned" forbidding
    if cargo deny --locked fetch >"$work/fetch.log" 2>&1; then
        check "no advisory is open" cargo deny --locked check advisories
    else
        note SKIPPED "supply: RustSec's advisories cannot be fetched here: $(grep -v '^ *$' "$work/fetch.log" | tail -n 1 | cut -c 1-160)"
    fi
else
    note SKIPPED "supply: no cargo-deny; cargo install --locked cargo-deny"
fi

if ! cargo cyclonedx --version >/dev/null 2>&1; then
    note SKIPPED "supply: no cargo-cyclonedx; cargo install --locked cargo-cyclonedx"
    exit
fi
bill() { deploy/sbom.sh "$1"; }
check "a bill of materials is made" bill "$work/bill.json"
bill "$work/again.json" >/dev/null 2>&1 || true
check "and is the same when it is made again" cmp "$work/bill.json" "$work/again.json"
holds() {
    python3 -B - "$work/bill.json" <<'PY'
import json, sys
bill = json.load(open(sys.argv[1]))
names = {c["name"] for c in bill["components"]}
missing = {"twinpeak-core", "tch", "torch-sys", "rdkafka", "rdkafka-sys", "libtorch_cpu.so", "libc10.so", "libcudart.so.13"} - names
strange = {"fitsio", "criterion", "proptest", "twinpeak-lab", "bhtsne"} & names  # of the tests or the laboratory alone
bare = [c["name"] for c in bill["components"] if not c.get("licenses")]
print(len(names), "components; missing", missing, "of tests and laboratory", strange, "without a licence", bare)
sys.exit(bool(missing or strange or bare) or len(names) < 200)
PY
}
check "it names crates, libtorch and their licences, and nothing of the tests or the laboratory" holds
valid() {
    "$cyclonedx/bin/python" -B - "$1" <<'PY'
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())
sys.exit(str(problem)[:600] if problem else 0)
PY
}
if [[ -e $cyclonedx/complete ]]; then
    check "it is valid CycloneDX 1.5" valid "$work/bill.json"
    sed 's/"type": "library"/"type": "thing"/' "$work/bill.json" >"$work/wrong.json"
    check "and one that is not is refused" refuses valid "$work/wrong.json"
else
    note SKIPPED "supply: CycloneDX' schema cannot be had"
fi
