#!/usr/bin/env bash
# Set up a machine to build twinpeak: system packages, then CPU-only libtorch in .libtorch/.
#
# Safe to interrupt at any moment and to run again: every piece is fetched aside, checked, and moved into
# place whole. Does nothing when all is there. `deploy/demo.sh` and `tests/run.sh` call it.
#
#   deploy/setup.sh            what building and running need
#   deploy/setup.sh --tests    and what the tests read results back with (astropy, pyarrow, sep, a Kafka client, an S3 server)
set -euo pipefail
cd "$(dirname "$0")/.."

torch_version=2.11.0
packages=() # what the C parts of the build need
command -v cc >/dev/null || packages+=(build-essential)
command -v c++ >/dev/null || packages+=(g++)
command -v unzip >/dev/null || packages+=(unzip)
command -v curl >/dev/null || packages+=(curl)
# librdkafka is built from source, with TLS.
command -v pkg-config >/dev/null || packages+=(pkg-config)
pkg-config --exists openssl 2>/dev/null || packages+=(libssl-dev)
command -v cmake >/dev/null || packages+=(cmake) # cfitsio is built from source
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
if [[ ${1-} == --tests ]]; then
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || packages+=(python3-venv)
fi

say() { printf 'setup: %s\n' "$*" >&2; }

if [[ $(uname -sm) != "Linux x86_64" ]]; then
    say "this machine is $(uname -sm); libtorch is fetched for Linux x86_64 only. Set LIBTORCH to your own instead."
    [[ ${LIBTORCH-} ]] || exit 1
fi

if ! command -v cargo >/dev/null; then
    say "cargo is missing. Install Rust by rustup (https://rustup.rs), then run this again."
    exit 1
fi

if ((${#packages[@]})); then
    if ((EUID != 0)); then
        say "these system packages are missing and need root. Install them, then run this again:"
        say "  sudo apt-get install ${packages[*]}"
        exit 1
    fi
    say "installs from Debian (about 100 MB): ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    dpkg --configure -a # an earlier run may have been interrupted
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# ---- libtorch ----------------------------------------------------------------------------------------------
# The CPU half of the PyPI wheel and the two small CUDA libraries its symbols name; no driver is needed.
libtorch() {
    local part=.libtorch.part
    rm -rf "$part"
    mkdir -p "$part/wheels" "$part/lib"
    say "downloads libtorch $torch_version from PyPI: 543 MB, 520 MB on disk, into .libtorch/"
    python3 -m pip download --progress-bar on --disable-pip-version-check --no-deps \
        --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 --abi none \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 \
        --dest "$part/wheels" "torch==$torch_version" nvidia-cuda-cupti==13.0.85 nvidia-cuda-runtime==13.0.96 >&2
    say "checks and unpacks it"
    (cd "$part/wheels" && sha256sum --quiet --check ../../deploy/libtorch.sha256) || {
        say "a downloaded file is not the expected one; nothing was installed"
        exit 1
    }
    # unzip tests each member's CRC as it extracts.
    unzip -q -o "$part"/wheels/torch-*.whl 'torch/include/*' torch/lib/libtorch_cpu.so torch/lib/libc10.so \
        'torch/lib/libgomp*' "torch-$torch_version.dist-info/*LICENSE*" "torch-$torch_version.dist-info/*NOTICE*" -d "$part/torch"
    unzip -q -o -j "$part"/wheels/nvidia_cuda_cupti-*.whl '*/libcupti.so.13' -d "$part/lib"
    unzip -q -o -j "$part"/wheels/nvidia_cuda_runtime-*.whl '*/libcudart.so.13' -d "$part/lib"
    unzip -q -o -j "$part"/wheels/nvidia_cuda_runtime-*.whl '*/License.txt' -d "$part/torch/NVIDIA"
    mv "$part/torch/NVIDIA/License.txt" "$part/torch/NVIDIA/NVIDIA-LICENSE" # redistribution of libcudart and libcupti
    mv "$part/torch/torch/include" "$part/include"
    mv "$part"/torch/torch/lib/* "$part/lib/"
    mkdir "$part/licences" && find "$part/torch" -type f \( -name '*LICENSE*' -o -name '*NOTICE*' \) -exec cp {} "$part/licences/" \;
    rm -rf "$part/torch" "$part/wheels"
    # Linker scripts: the names torch-sys links against, without the CUDA half.
    echo 'INPUT(-ltorch_cpu)' >"$part/lib/libtorch.so"
    [[ -e $part/lib/libgomp.so ]] || echo 'INPUT(libgomp.so.1)' >"$part/lib/libgomp.so"
    echo "$torch_version" >"$part/build-version"
    sync -f "$part"
    rm -rf .libtorch
    mv "$part" .libtorch
}
if [[ -z ${LIBTORCH-} && $(cat .libtorch/build-version 2>/dev/null) != "$torch_version" ]]; then libtorch; fi

# ---- independent readers for the tests ---------------------------------------------------------------------
readers() {
    rm -rf .venv # usable only once `installed` is written, the last step
    say "installs what the tests compare with, from PyPI (about 130 MB) into .venv/: $(sed -n 's/==.*//p' tests/requirements.txt | paste -sd ' ')"
    python3 -m venv --copies .venv
    .venv/bin/pip install --progress-bar on --disable-pip-version-check --only-binary=:all: -r tests/requirements.txt >&2
    sha256sum <tests/requirements.txt >.venv/installed
}
if [[ ${1-} == --tests && $(cat .venv/installed 2>/dev/null) != "$(sha256sum <tests/requirements.txt)" ]]; then readers; fi
