#!/usr/bin/env bash
# The bill of materials of a release, CycloneDX 1.5: every crate that is in the program, our own and others', from Cargo.lock
# by cargo-cyclonedx, and the libraries that are shipped with it, from libtorch's folder. The laboratory is not in it.
#
#   deploy/sbom.sh [--libtorch DIR] [FILE]     FILE is out/twinpeak.cdx.json
#
# Needs cargo-cyclonedx (cargo install --locked cargo-cyclonedx) and no network once the crates are there.
set -euo pipefail
cd "$(dirname "$0")/.."
libtorch=${LIBTORCH:-.libtorch}
if [[ ${1-} == --libtorch ]]; then libtorch=${2:?--libtorch needs a folder} && shift 2; fi
file=$(realpath -m "${1:-out/twinpeak.cdx.json}")
die() { printf 'sbom: %s\n' "$*" >&2; exit 1; }
cargo cyclonedx --version >/dev/null 2>&1 || die "needs cargo-cyclonedx: cargo install --locked cargo-cyclonedx"
[[ -e $libtorch/lib/libtorch_cpu.so ]] || die "no libtorch in $libtorch: deploy/setup.sh"
work=$(mktemp -d)
# It writes beside each Cargo.toml, of all crates: into a copy of the manifests and sources, and the tree stays as it is.
trap 'rm -rf "$work"' EXIT
find Cargo.toml Cargo.lock build.rs src benches tests/integration \( -name 'Cargo.*' -o -name '*.rs' \) -exec cp --parents -t "$work" {} +
(cd "$work" && cargo cyclonedx --quiet --format json --spec-version 1.5 --target x86_64-unknown-linux-gnu --no-build-deps \
    --override-filename crates) || die "cargo-cyclonedx failed"
mkdir -p "$(dirname "$file")"
python3 -B deploy/sbom.py "$work/crates.json" "$libtorch" >"$file.part"
mv "$file.part" "$file"
echo "$file"
