# shellcheck shell=bash disable=SC2154
# What the sections of tests/install.sh share; sourced, not run.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/twinpeak
suite=bookworm

say() { printf 'install: %s\n' "$*" >&2; }

# note OUTCOME WHAT: a line of the account; OUTCOME is ok, FAILED or SKIPPED.
note() {
    printf '%-8s%s\n' "$1" "$2"
    printf '%s %s\n' "$1" "$2" >>"$account"
}

# check WHAT COMMAND...: passes if the command does; what it said is shown where it does not.
check() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then
        note ok "$what"
    else
        note FAILED "$what"
        printf '%s\n' "$said" | tail -n 25 | cut -c 1-300 | sed 's/^/        /'
    fi
}

# refuses COMMAND...: succeeds if the command fails.
refuses() { ! "$@"; }

# same IS SHOULD
same() { [[ $1 == "$2" ]] || { echo "$1, not $2"; return 1; }; }

# has FILE...: each is there.
has() { local file; for file; do [[ -e $file ]] || { echo "$file is missing"; return 1; }; done; }
lacks() { local file; for file; do [[ ! -e $file ]] || { echo "$file is still there"; return 1; }; done; }

# until SECONDS COMMAND...: asks again and again, until it holds or the time is over.
until_true() {
    local end=$((SECONDS + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        if ((SECONDS >= end)); then "$@"; return; fi
        sleep 0.3
    done
}

# needs COMMAND=PACKAGE...: the programs are there, installed from the distribution where they are not. 1 where they
# cannot be had: the caller says what is skipped.
needs() {
    local one missing=()
    for one; do command -v "${one%%=*}" >/dev/null || missing+=("${one#*=}"); done
    if ((${#missing[@]} == 0)); then return; fi
    if ((EUID != 0)); then say "needs, as root: apt-get install ${missing[*]}"; return 1; fi
    say "installs from the distribution: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=300 update -qq &&
        apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# mirror: the Debian mirror of this machine, or Debian's own.
mirror() {
    local found
    found=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        awk -v suite="$suite" '$2 == suite { print $1; exit }') || true
    echo "${found:-http://deb.debian.org/debian}"
}

# base_root NAME PACKAGES: prints the folder of a Debian root with nothing but these packages, made once and never
# written to afterwards. Made aside and moved into place whole; one process at a time.
base_root() {
    local folder=$cache/root-$1-$suite
    mkdir -p "$cache"
    (
        flock 9
        if [[ -d $folder ]]; then exit; fi
        say "makes a bare Debian $suite with ${2:-nothing more}, once, in $folder"
        rm -rf --one-file-system "$folder.part"
        LC_ALL=C debootstrap --variant=minbase --include="ca-certificates${2:+,$2}" "$suite" "$folder.part" "$(mirror)" \
            >"$cache/root-$1.log" 2>&1 || { tail -n 5 "$cache/root-$1.log" >&2; exit 1; }
        rm -rf "$folder.part"/var/cache/apt/archives/*.deb
        mv "$folder.part" "$folder"
    ) 9>"$cache/root.lock" && echo "$folder"
}

# take_root BASE: a root of its own over BASE, in $root, whose changes are thrown away by `drop_root`.
take_root() {
    root=$work/root
    mkdir -p "$root" "$work/upper" "$work/overlay"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$work/upper,workdir=$work/overlay" "$root" 2>/dev/null || cp -a "$1/." "$root"
    cp /etc/resolv.conf "$root/etc/"
    mount -t proc proc "$root/proc"
    trap drop_root EXIT
}
drop_root() {
    umount "$root/proc" 2>/dev/null || true
    umount "$root" 2>/dev/null || true
    rm -rf --one-file-system "$root" "$work/upper" "$work/overlay"
}
# inside COMMAND...: in that root, with an empty environment.
inside() {
    chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

# free_port: a port of the loopback that nobody listens on.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# package VERSION: the Debian package of $twinpeak, built once for all sections; its path is printed.
package() {
    local deb=$work/twinpeak_$1_amd64.deb
    [[ -e $deb ]] || deploy/debian/build.sh --binary "$twinpeak" --version "$1" --out "$work" >"$work/build-$1.log" 2>&1 ||
        { cat "$work/build-$1.log" >&2; return 1; }
    echo "$deb"
}
