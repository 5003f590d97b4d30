#!/usr/bin/env bash
# Makes the Debian package: program, libtorch, model, configuration, unit and user in one file; and a second one with the
# program's debug information.
#
#   deploy/debian/build.sh [--binary FILE] [--libtorch DIR] [--version V] [--out DIR]
#
# FILE (target/release/twinpeak) is what `cargo build --release` made, DIR (.libtorch, or $LIBTORCH) what it was linked
# with: one of `deploy/cuda.sh` gives a package for GPUs, twinpeak-cuda. V is Cargo.toml's version unless given. Both
# packages, NAME and NAME-dbgsym, are put into --out (out/debian), and their paths printed. What is installed is stripped;
# with NAME-dbgsym beside it, backtraces have names and lines, a panic's too. twinpeak-lab is in neither. Needs patchelf,
# dpkg-dev, binutils and perl.
set -euo pipefail
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/../.."
binary=target/release/twinpeak libtorch=${LIBTORCH:-.libtorch} out=out/debian version=
while (($#)); do
    case $1 in
        --binary) binary=${2:?--binary needs a file} ;;
        --libtorch) libtorch=${2:?--libtorch needs a folder} ;;
        --version) version=${2:?--version needs a version} ;;
        --out) out=${2:?--out needs a folder} ;;
        *) usage ;;
    esac
    shift 2
done
die() { printf 'build: %s\n' "$*" >&2; exit 1; }
version=${version:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)}
[[ -x $binary ]] || die "no program at $binary: cargo build --release"
[[ -e $libtorch/lib/libtorch_cpu.so ]] || die "no libtorch in $libtorch: deploy/setup.sh"
for tool in patchelf:patchelf dpkg-shlibdeps:dpkg-dev objcopy:binutils perl:perl; do
    command -v "${tool%:*}" >/dev/null || die "needs ${tool%:*}: apt-get install ${tool#*:}"
done

name=twinpeak other=twinpeak-cuda
if [[ -e $libtorch/lib/libtorch_cuda.so ]]; then name=twinpeak-cuda other=twinpeak; fi
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root debug=$work/debug
doc=$root/usr/share/doc/$name # of the licences; all else is in twinpeak, whichever package it is

# ---- the program, and libtorch where only it looks -----------------------------------------------------------
program=$root/usr/bin/twinpeak
install -D -m 755 "$binary" "$program"
patchelf --set-rpath /usr/lib/twinpeak "$program"
# Names and lines go into a file of their own, which gdb and the program's own backtraces look for under this name.
build_id=$(readelf -n "$program" | sed -n 's/.*Build ID: //p')
[[ $build_id ]] || die "$binary has no build id: the linker was told to leave it out"
symbols=$debug/usr/lib/debug/.build-id/${build_id:0:2}/${build_id:2}.debug
mkdir -p "$(dirname "$symbols")"
objcopy --only-keep-debug "$program" "$symbols"
chmod 644 "$symbols"
strip --strip-all "$program"
objcopy --add-gnu-debuglink="$symbols" "$program"
mkdir -p "$root/usr/lib/twinpeak"
# Linker scripts and what only linking needs stay behind.
find "$libtorch/lib" -maxdepth 1 -name 'lib*.so*' -print0 | while IFS= read -r -d '' library; do
    if [[ $(head -c 4 "$library") == $'\x7fELF' ]]; then install -m 644 "$library" "$root/usr/lib/twinpeak/"; fi
done

# ---- configuration, model, unit, user --------------------------------------------------------------------------
install -D -m 644 deploy/debian/sdss.toml "$root/etc/twinpeak/sdss.toml"
install -D -m 644 -t "$root/etc/twinpeak/surveys" config/surveys/*.toml
install -D -m 644 -t "$root/usr/share/twinpeak/model" config/model/*
install -D -m 644 -t "$root/usr/share/twinpeak/schemas" deploy/schemas/*
install -D -m 644 -t "$root/usr/lib/systemd/system" 'deploy/systemd/twinpeak@.service'
deploy/debian/documents.sh "$root/usr/share/doc/twinpeak"
mkdir -p "$doc"

# ---- licences: ours, of the crates, of libtorch and what is in it ----------------------------------------------
{
    cat deploy/debian/copyright
    for file in LICENSE-MIT LICENSE-APACHE; do
        printf '\n==== twinpeak: %s ====\n\n' "$file"
        cat "$file"
    done
    find "$libtorch/licences" -type f | sort | while IFS= read -r file; do
        printf '\n==== libtorch: %s ====\n\n' "${file#"$libtorch"/licences/}"
        cat "$file"
    done
} >"$doc/copyright"
chmod 644 "$doc/copyright"

# ---- what dpkg wants to know -----------------------------------------------------------------------------------
mkdir -p "$root/DEBIAN" "$work/debian"
for script in postinst prerm postrm; do install -m 755 "deploy/debian/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$root/DEBIAN/conffiles"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
# The libraries that the program and libtorch are linked with, as packages of this machine's release.
touch "$work/debian/control"
# (NVIDIA's own ask for the C library alone, and for the driver, which no package of the release has.)
depends=$(cd "$work" && dpkg-shlibdeps --ignore-missing-info "-l$root/usr/lib/twinpeak" -O -e"$root/usr/bin/twinpeak" \
    "$root"/usr/lib/twinpeak/{libtorch_cpu,libc10}.so 2>"$work/shlibdeps.log" | sed -n 's/^shlibs:Depends=//p') || true
[[ $depends ]] || { cat "$work/shlibdeps.log" >&2; die "dpkg-shlibdeps found no dependencies"; }
maintainer=$(sed -n 's/^Maintainer: //p' deploy/debian/copyright)
cat >"$root/DEBIAN/control" <<CONTROL
Package: $name
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$root" | cut -f 1)
Depends: adduser, $depends
Conflicts: $other
Replaces: $other
Section: science
Priority: optional
Description: segmentation and star/galaxy classification of an imaging survey
 Twinpeak is a daemon that takes five-band FITS frames as they arrive, finds
 every object, says whether it is a star or a galaxy and how sure that is, and
 leaves catalogues, masks, pictures and metrics. Its nets learned without
 labels from the survey's own frames. libtorch is included, for
 $(if [[ $name == twinpeak ]]; then echo 'processors.'; else echo 'processors and NVIDIA GPUs.'; fi)
CONTROL

mkdir -p "$debug/DEBIAN" "$debug/usr/share/doc"
ln -s "$name" "$debug/usr/share/doc/$name-dbgsym" # its licence is the program's
cat >"$debug/DEBIAN/control" <<CONTROL
Package: $name-dbgsym
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$debug" | cut -f 1)
Depends: $name (= $version)
Section: debug
Priority: optional
Build-Ids: $build_id
Description: debug information of $name
CONTROL

mkdir -p "$out"
for package in "$root" "$debug"; do
    deb=$out/$(sed -n 's/^Package: //p' "$package/DEBIAN/control")_${version}_$architecture.deb
    # zstd: xz would take minutes over libtorch and save a fifth.
    dpkg-deb --root-owner-group -Zzstd -z3 --build "$package" "$deb.part" >/dev/null
    mv "$deb.part" "$deb"
    echo "$deb"
done
