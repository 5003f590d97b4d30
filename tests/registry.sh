#!/usr/bin/env bash
# A real schema registry on this machine's loopback, for the tests: Apicurio, which speaks Confluent's protocol.
#
#   tests/registry.sh start [--dir DIR] [--port N]    prints its URL once it answers
#   tests/registry.sh stop|status [--dir DIR]
#
# DIR (default out/registry) gets `url`, `pid` and `log`; schemas live in the process's memory alone. Comes from Maven
# Central once (142 MB), into ~/.cache/twinpeak. 3.3 needs Java 21, 2.6 runs on 17.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=registry version=2.6.13.Final
# shellcheck source=deploy/kafka/java.sh
source "$here/../deploy/kafka/java.sh"

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

command=${1-}
case $command in start | stop | status) shift ;; *) usage ;; esac
dir=$here/../out/registry port=0
while (($#)); do
    case $1 in
        --dir) dir=${2:?--dir needs a folder} ;;
        --port) port=${2:?--port needs a number} ;;
        *) usage ;;
    esac
    shift 2
done
dir=$(realpath -m "$dir")

# The distribution is whole in one archive; the application's own list of jars names some that are nowhere.
distribution() {
    say "fetches Apicurio Registry $version from Maven Central: 142 MB"
    maven org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get -Dtransitive=false \
        "-Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all"
    maven org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy "-DoutputDirectory=$1" \
        "-Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all"
    tar -xzf "$1"/*.tar.gz -C "$1"
    rm "$1"/*.tar.gz
}

answers() { running "$dir" && curl -sf -m 2 -o /dev/null "$(cat "$dir/url")/subjects"; }

start() {
    fetched "apicurio-$version" "$version" distribution
    mkdir -p "$dir"
    exec 8>"$dir/lock"
    flock 8 # two starts in one folder: the second finds it running
    if ! running "$dir"; then
        if ((port == 0)); then port=$(free_ports 1); fi
        echo "http://127.0.0.1:$port/apis/ccompat/v7" >"$dir/url"
        launch "$dir" -Xmx512m -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$port" \
            -jar "$cache/apicurio-$version/apicurio-registry-app-$version-runner.jar"
    fi
    for _ in $(seq 300); do
        if answers; then cat "$dir/url" && return; fi
        running "$dir" || die "the registry ended; its log is $dir/log"
        sleep 0.2
    done
    die "the registry does not answer after a minute; its log is $dir/log"
}

case $command in
    start) start ;;
    stop) halt "$dir" ;;
    status) if answers; then cat "$dir/url"; else say "no registry answers in $dir" && exit 1; fi ;;
esac
