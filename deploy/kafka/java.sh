# shellcheck shell=bash disable=SC2154
# What the scripts that run Java services for the demo and the tests share; sourced, not run. The caller sets `name`.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/twinpeak
quick=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto) # a short life: the start counts, not the peak

say() { printf '%s: %s\n' "$name" "$*" >&2; }
die() { say "$*"; exit 1; }

# Java 17 or newer and Maven, by apt where they are absent.
need_java() {
    local missing=() version
    version=$(java -version 2>&1 | sed -nE '1s/.*"([0-9]+).*/\1/p') || true
    if ((${version:-0} < 17)); then missing+=(openjdk-17-jre-headless); fi
    command -v mvn >/dev/null || missing+=(maven)
    if ((${#missing[@]} == 0)); then return; fi
    if ((EUID != 0)); then
        die "needs Java 17 and Maven. Install them, then run this again: sudo apt-get install ${missing[*]}"
    fi
    say "installs from the distribution: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    dpkg --configure -a # an earlier run may have been interrupted
    apt-get -o DPkg::Lock::Timeout=300 update -qq
    if ! apt-cache show "${missing[0]}" >/dev/null 2>&1; then missing[0]=default-jre-headless; fi
    apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# fetched FOLDER MARK FETCH...: FOLDER of the cache is there and whole. FETCH fills the folder it is given, aside; it is
# moved into place once complete. MARK says what it was made from, so that another version is fetched anew. One
# process at a time; the others wait and find it done.
fetched() {
    local folder=$cache/$1 mark=$2
    shift 2
    whole() { command -v java >/dev/null && [[ $(cat "$folder/complete" 2>/dev/null) == "$mark" ]]; }
    if whole; then return; fi
    mkdir -p "$cache"
    (
        flock 9
        if whole; then exit; fi
        need_java
        rm -rf "$folder.part" && mkdir "$folder.part"
        "$@" "$folder.part"
        echo "$mark" >"$folder.part/complete"
        rm -rf "$folder" && mv "$folder.part" "$folder"
    ) 9>"$cache/lock"
}

# maven ARGS...: Maven without colours or progress, and with checksums that must hold.
maven() { mvn --batch-mode --quiet --strict-checksums "$@" 2>&1 | sed $'s/\e\\[[0-9;]*m//g' >&2; }

# free_ports N: N ports of the loopback, all different. From below the range that the system gives to outgoing
# connections: a client that calls a stopped server's port in that range can be connected to itself and take the port.
free_ports() {
    python3 - "$1" <<'PY'
import contextlib, random, socket, sys
first_ephemeral = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
with contextlib.ExitStack() as open_sockets:
    ports = []
    while len(ports) < int(sys.argv[1]):
        port = random.randrange(16000, max(first_ephemeral, 17000))
        held = open_sockets.enter_context(socket.socket())
        with contextlib.suppress(OSError):
            held.bind(("127.0.0.1", port))
            ports.append(port)
print(*ports)
PY
}

# launch DIR JAVA-ARGS...: runs Java in the background, in a session of its own, its output in DIR/log, its process
# id in DIR/pid. The mark on its command line tells it from whatever has the same id later.
launch() {
    local dir=$1
    shift
    setsid java "${quick[@]}" "-Dtwinpeak.dir=$dir" "$@" </dev/null >>"$dir/log" 2>&1 8>&- 9>&- &
    echo $! >"$dir/pid"
}

# running DIR: is the process that `launch` started there alive? Its id is then in $pid.
running() {
    pid=$(cat "$1/pid" 2>/dev/null) && [[ $pid ]] && tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -e "-Dtwinpeak.dir=$1"
}

# halt DIR: asks the process to end, and after 20 s ends it.
halt() {
    if ! running "$1"; then return 0; fi
    kill -TERM "$pid"
    for _ in $(seq 200); do
        if ! running "$1"; then return 0; fi
        sleep 0.1
    done
    say "process $pid does not end; killing it"
    kill -KILL "$pid"
    while running "$1"; do sleep 0.05; done
}
