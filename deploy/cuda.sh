#!/usr/bin/env bash
# libtorch with its CUDA half, for a machine or an image with NVIDIA GPUs: what deploy/setup.sh fetched, and beside it the
# rest of the same wheel and the CUDA libraries that it names, from PyPI.
#
#   deploy/cuda.sh [DIR]     DIR is .libtorch.cuda; 2.7 GB down, 3.8 GB on disk
#
# The program need not be built anew: it loads libtorch_cuda.so where it lies beside libtorch_cpu.so. The driver
# (libcuda.so.1, 580 or newer for CUDA 13) is the machine's.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(realpath -m "${1:-.libtorch.cuda}")
say() { printf 'cuda: %s\n' "$*" >&2; }
deploy/setup.sh
version=$(cat .libtorch/build-version)
if [[ $(cat "$dir/build-version" 2>/dev/null) == "$version" ]]; then exit; fi
part=$dir.part
rm -rf "$part"
mkdir -p "$part/lib" "$part/licences" "$part/wheels"
say "downloads libtorch $version and NVIDIA's libraries from PyPI: 2.7 GB, 3.8 GB on disk, into $dir"
platforms=(manylinux2014_x86_64) # each of NVIDIA's wheels names another
for glibc in $(seq 17 28); do platforms+=("manylinux_2_${glibc}_x86_64"); done
python3 -m pip download --quiet --disable-pip-version-check --only-binary=:all: --implementation cp --python-version 3.11 \
    --abi cp311 --abi none --abi abi3 "${platforms[@]/#/--platform=}" --dest "$part/wheels" "torch==$version"
# The same wheel as the processor's half, by its checksum; the others are those whose versions it demands.
grep ' torch-' deploy/libtorch.sha256 >"$part/sum"
(cd "$part/wheels" && sha256sum --quiet --check ../sum) ||
    { say "the downloaded libtorch is not the expected one; nothing was installed"; exit 1; }
for wheel in "$part"/wheels/{torch,nvidia}*.whl; do
    unzip -q -o -j "$wheel" '*.so*' -d "$part/lib" || true # some hold headers alone
    unzip -q -o -j "$wheel" '*LICENSE*' '*License*' -d "$part/licences/$(basename "${wheel%%-*}")" 2>/dev/null || true
    rm "$wheel" # as soon as it is unpacked: disk
done
# Python's own half is not the daemon's.
rm -rf "$part/sum" "$part/wheels" "$part"/lib/libtorch_python.so "$part"/lib/_C*.so "$part"/lib/libtorch.so
cp -r .libtorch/include "$part/"
cp -r .libtorch/licences/. "$part/licences/"
cp .libtorch/lib/libtorch.so "$part/lib/"
echo "$version" >"$part/build-version"
rm -rf "$dir"
mv "$part" "$dir"
