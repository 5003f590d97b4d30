# shellcheck shell=bash disable=SC2154
# The container, from a base that debootstrap made and the package: built by podman, run with a read-only root and no
# rights at all. Building inside the image from source takes as long as a first build and is not tried here.
((EUID == 0)) || { note SKIPPED "container: podman without root needs what test machines lack; run as root"; exit; }
[[ -x $twinpeak ]] || { note SKIPPED "container: no program at $twinpeak"; exit; }
needs podman=podman runc=runc debootstrap=debootstrap patchelf=patchelf dpkg-shlibdeps=dpkg-dev ||
    { note SKIPPED "container: no podman or runc"; exit; }
base=$(base_root bare "") || { note SKIPPED "container: no base image could be made"; exit; }
deb=$(package 0.1.0) || { note FAILED "the package is built"; exit; }

# A store of its own; runc, since crun knows no mixed control groups; limits that need no further rights.
store=$work/store
pod() { command podman --root "$store" --runroot "$work/run" --tmpdir "$work/tmp" --cgroup-manager cgroupfs --runtime runc "$@"; }
drop_store() {
    pod rm --all --force >/dev/null 2>&1 || true
    pod rmi --all --force >/dev/null 2>&1 || true
    umount "$store/overlay" 2>/dev/null || true
    rm -rf --one-file-system "$store"
    find /sys/fs/cgroup/*/libpod_parent -depth -type d -exec rmdir {} + 2>/dev/null || true # only what is empty
}
trap drop_store EXIT
tar -C "$base" -c . | pod import - localhost/debian:bookworm >"$work/import.log" 2>&1 ||
    { note SKIPPED "container: podman does not work here: $(tail -n 1 "$work/import.log" | cut -c 1-200)"; exit; }
limits=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)
pod run --rm "${limits[@]}" --network none localhost/debian:bookworm true >"$work/run.log" 2>&1 ||
    { note SKIPPED "container: no container can be run here: $(tail -n 1 "$work/run.log" | cut -c 1-200)"; exit; }

# The context is a clean copy of what is committed or would be, and the package in its place.
context=$work/context
mkdir -p "$context/out/debian"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference -t "$context" 2>/dev/null || true
cp "$deb" "$context/out/debian/"
touch "$context/secret"
build() {
    pod build --format docker --isolation oci --network host --target packaged --build-arg BASE=localhost/debian:bookworm \
        --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 -f deploy/container/Containerfile -t localhost/twinpeak:0.1.0-cpu "$context"
}
# What the build sees of the context.
sent() {
    printf 'FROM localhost/debian:bookworm\nCOPY . /context\n' >"$work/Sent"
    pod build -q -f "$work/Sent" -t localhost/sent "$context" && folder=$(pod image mount localhost/sent)/context &&
        has "$folder"/{src/main.rs,deploy/setup.sh,Cargo.lock,config/model/manifest.toml} && lacks "$folder"/{secret,tests,.git}
}
inspect() { same "$(pod image inspect --format "$1" localhost/twinpeak:0.1.0-cpu)" "$2"; }
in_it() { pod exec night "$@"; }
# guide BEGIN: the command of the guide's section on containers that begins so, with all its lines.
guide() {
    sed -n '/^### In a container$/,/^### On a cluster$/p' docs/operate.md | sed -n '/^```sh$/,/^```$/p' |
        awk -v begin="$1" 'index($0, begin) == 1 { on = 1 } on { print; found = 1 } !/\\$/ { on = 0 } END { exit !found }'
}
# The guide's own lines, in this test's store and within what the machine allows: no network, so no port of it either, and
# less of all else.
podman() {
    local verb=$1 more=()
    shift
    if [[ $verb == run ]]; then more=("${limits[@]}" --network none --memory 2g --pids-limit 512 --env TWINPEAK__INPUT__SETTLE_S=0.5); fi
    while (($#)); do
        if [[ $1 == -p ]]; then shift 2; else more+=("$1") && shift; fi
    done
    pod "$verb" "${more[@]}"
}
run() {
    local folders start
    folders=$(guide 'mkdir ') && start=$(guide 'podman run ') || { echo "the guide has no such lines"; return 1; }
    cd "$work" && eval "$folders" && eval "$start"
}
healthy() { pod healthcheck run night; }
healthy_by_the_guide() { local line; line=$(guide 'podman healthcheck ') && eval "$line" | grep -qx ready; }
drop() {
    in_it twinpeak simulate --plain --out /tmp/sky --fields 1 --seed 5 --width 256 --height 256 &&
        in_it sh -c 'cp /tmp/sky/frame-*.fits /var/lib/twinpeak/sdss/inbox/'
}
is_done() { compgen -G "$work/night/out/*.done.json"; }
limited() {
    in_it sh -c '! touch /usr/x 2>/dev/null && ! touch /etc/x 2>/dev/null && [ "$(id -u)" = 10001 ] && grep -q "^CapBnd:.0*$" /proc/1/status &&
        grep -q "^NoNewPrivs:.1" /proc/1/status && grep -q "^Seccomp:.2" /proc/1/status'
}
stopped() { pod stop --time 40 night && same "$(pod inspect --format '{{.State.ExitCode}}' night)" 0; }

check "only what an image is made from is sent to the builder" sent
check "the image is built, from the package" build
check "it is not root's" inspect '{{.User}}' 10001:10001
check "its healthcheck is our own program" inspect '{{.HealthCheck.Test}}' '[CMD /usr/bin/twinpeak health --config /etc/twinpeak/sdss.toml]'
check "run by the guide's lines, it has a read-only root and no rights" run
check "and is healthy by its own healthcheck" until_true 60 healthy
check "and by the guide's" healthy_by_the_guide
check "user, rights and root are as they should be" limited
check "a simulated field arrives" drop
check "and is processed" until_true 60 is_done
check "stopped, it ends in good order" stopped
check "and is not healthy any more" refuses healthy
say "image: $(($(pod image inspect --format '{{.Size}}' localhost/twinpeak:0.1.0-cpu) / 1000000)) MB"
note SKIPPED "container: the stage that builds from source (no Rust image can be had without a registry), and VARIANT=cuda (no GPU)"
