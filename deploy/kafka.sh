#!/usr/bin/env bash
# A real Apache Kafka on this machine's loopback, one node, for the demo and the tests.
#
#   deploy/kafka.sh start [--dir DIR] [--port N] [--secure] [--proxied N]    prints the address once it answers
#   deploy/kafka.sh stop|status [--dir DIR]
#   deploy/kafka.sh topics SURVEY [PARTITIONS] [--dir DIR]     the survey's seven topics (4 partitions), where missing
#   deploy/kafka.sh read TOPIC [--dir DIR] [ARGS...]           committed records from the first to the last, a line each
#
# DIR (or TWINPEAK_KAFKA_DIR; default out/kafka) holds all of one broker; several can run, each in its own. In it:
#   bootstrap           host:port
#   bootstrap-secure    --secure: SASL_SSL with SCRAM-SHA-512, user twinpeak, password in `password`, trusted by
#                       `ca.pem` (`other-ca.pem` is a stranger, for tests)
#   bootstrap-proxied   --proxied N: 127.0.0.1:N (0: a free port), where clients look for a proxy that leads to the
#                       address in `behind-proxy` (tests/chaos/proxy.py), so that the network between them can be cut
#   pid, log            of the process
# `start` on a folder with an earlier broker's data, killed or not, brings that broker up again at the same
# addresses. `stop` stops only what `start` began there. Jars come from Maven Central once (54 MB), into
# ~/.cache/twinpeak. `read` prints partition, offset, key, headers and the value's size (read --help for ARGS; with
# --value the value too, other than plain characters as \xHH); exit 1 if it did not come to the end of the topic.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=kafka version=4.3.1
# shellcheck source=deploy/kafka/java.sh
source "$here/kafka/java.sh"

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

command=${1-}
case $command in start | stop | status | topics | read) shift ;; *) usage ;; esac
dir=${TWINPEAK_KAFKA_DIR:-$here/../out/kafka} port=0 secure='' proxied='' value_as=ByteBuffer rest=()
while (($#)); do
    case $1 in
        --dir) dir=${2:?--dir needs a folder} && shift ;;
        --port) port=${2:?--port needs a number} && shift ;;
        --proxied) proxied=${2:?--proxied needs a port, 0 for a free one} && shift ;;
        --secure) secure=yes ;;
        --value) value_as=Bytes ;;
        *) rest+=("$1") ;;
    esac
    shift
done
dir=$(realpath -m "$dir")

jars() {
    say "fetches Kafka $version from Maven Central: 54 MB"
    maven -f "$here/kafka/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DincludeScope=runtime "-DoutputDirectory=$1"
}

# tool CLASS ARGS...: one of Kafka's own programs.
tool() {
    java "${quick[@]}" -Xmx256m "-Dlog4j2.configurationFile=$here/kafka/log4j2.properties" \
        -cp "$cache/kafka-$version/*" "$@"
}

# Keys and certificates as PEM: a CA that signs the broker's, and another CA that did not.
certificates() (
    cd "$dir"
    umask 077
    for ca in ca other-ca; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=twinpeak $ca" \
            -keyout "$ca.key" -out "$ca.pem"
    done
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=127.0.0.1 -keyout broker.key -out broker.csr
    openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -days 3650 -out broker.crt \
        -extfile <(echo subjectAltName=IP:127.0.0.1,DNS:localhost)
    cat broker.key broker.crt ca.pem >broker.pem
    rm -f ca.key other-ca.key ca.srl broker.key broker.csr broker.crt
    openssl rand -hex 24 >password
)

# The first start in a folder: addresses, configuration, and an empty log. `bootstrap` comes last and says it is whole.
prepare() {
    local ports controller listeners advertised scram=()
    rm -rf "$dir/data" "$dir"/bootstrap-* "$dir/behind-proxy"
    read -ra ports < <(free_ports 5)
    if ((port == 0)); then port=${ports[0]}; fi
    controller=127.0.0.1:${ports[1]}
    listeners=PLAIN://127.0.0.1:$port advertised=$listeners
    if [[ $proxied ]]; then
        if ((proxied == 0)); then proxied=${ports[2]}; fi
        echo "127.0.0.1:$proxied" >"$dir/bootstrap-proxied"
        echo "127.0.0.1:${ports[3]}" >"$dir/behind-proxy"
        listeners+=,PROXIED://127.0.0.1:${ports[3]} advertised+=,PROXIED://127.0.0.1:$proxied
    fi
    if [[ $secure ]]; then
        certificates 2>"$dir/openssl.log" || { cat "$dir/openssl.log" >&2; die "openssl made no certificates"; }
        echo "127.0.0.1:${ports[4]}" >"$dir/bootstrap-secure"
        listeners+=,SECURE://127.0.0.1:${ports[4]} advertised+=,SECURE://127.0.0.1:${ports[4]}
        (umask 077 && printf -- '--add-scram\nSCRAM-SHA-512=[name=twinpeak,password=%s]\n' "$(cat "$dir/password")" >"$dir/scram")
        scram=("@$dir/scram") # in a file: a command line is everyone's to read
    fi
    {
        cat "$here/kafka/broker.properties"
        echo "log.dirs=$dir/data"
        echo "controller.quorum.bootstrap.servers=$controller"
        echo "listeners=CONTROLLER://$controller,$listeners"
        echo "advertised.listeners=$advertised"
        if [[ $secure ]]; then
            echo ssl.keystore.type=PEM
            echo "ssl.keystore.location=$dir/broker.pem"
            echo listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512
            echo 'listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;'
        fi
    } >"$dir/broker.properties"
    tool kafka.tools.StorageTool format --standalone --config "$dir/broker.properties" \
        --cluster-id "$(python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(16)).decode()[:22])')" \
        "${scram[@]}" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; die "could not format $dir/data"; }
    rm -f "$dir/scram"
    echo "127.0.0.1:$port" >"$dir/bootstrap.part" && mv "$dir/bootstrap.part" "$dir/bootstrap"
}

# answers SECONDS: does the broker run and answer, by then?
answers() { [[ -e $dir/bootstrap ]] && running "$dir" && python3 "$here/kafka/ready.py" "$(cat "$dir/bootstrap")" "$1"; }

start() {
    mkdir -p "$dir"
    exec 8>"$dir/lock"
    flock 8 # two starts in one folder: the second finds it running
    if [[ ! -e $dir/bootstrap ]]; then prepare; fi
    if ((port)) && [[ $(cat "$dir/bootstrap") != *:$port ]]; then
        die "the broker of $dir has its address already: $(cat "$dir/bootstrap"). Choose another --dir"
    fi
    if [[ $secure && ! -e $dir/bootstrap-secure ]] || [[ $proxied && ! -e $dir/bootstrap-proxied ]]; then
        die "the broker of $dir was made without --secure or --proxied. Choose another --dir"
    fi
    if ! running "$dir"; then
        launch "$dir" -Xmx512m -Dtwinpeak.log=info "-Dlog4j2.configurationFile=$here/kafka/log4j2.properties" \
            -cp "$cache/kafka-$version/*" kafka.Kafka "$dir/broker.properties"
    fi
    for _ in $(seq 60); do
        if answers 1; then cat "$dir/bootstrap" && return; fi
        if ! running "$dir"; then
            grep -E 'ERROR|FATAL|Exception' "$dir/log" | tail -5 >&2
            die "the broker ended; its log is $dir/log"
        fi
    done
    die "the broker does not answer after a minute; its log is $dir/log"
}

# topic NAME PARTITIONS CONFIG...
topic() {
    local name=$1 partitions=$2
    shift 2
    tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$bootstrap" --create --if-not-exists --topic "$name" \
        --partitions "$partitions" --replication-factor 1 "${@/#/--config=}" | sed '/^WARNING: Due to limitations/d'
}

# Kafka's tool makes one topic a run: all at once.
topics() {
    local survey=${rest[0]:?topics needs the name of a survey} partitions=${rest[1]:-4} suffix made=() one
    for suffix in new-images backfill sources-v1 masks-v1 images-v1 rejected; do
        topic "twinpeak.$survey.$suffix" "$partitions" max.message.bytes=16777216 &
        made+=($!)
    done
    topic "twinpeak.$survey.replayed" "$partitions" max.message.bytes=16777216 cleanup.policy=compact &
    made+=($!)
    for one in "${made[@]}"; do wait "$one"; done
}

# Kafka's console consumer ends after a silence, which on a busy machine may come before the last record. So it reads
# as a group of its own, and what the group has left decides; with a longer silence then. An open transaction leaves
# something too: what follows it is not to be read yet.
read_all() {
    local topic=${rest[0]:?read needs a topic} format=(partition offset key headers value) bytes=org.apache.kafka.common.serialization
    local group silence_ms property
    format=("${format[@]/#/--formatter-property=print.}") && format=("${format[@]/%/=true}")
    for property in key:Bytes headers:Bytes "value:$value_as"; do
        format+=("--formatter-property=${property%:*}.deserializer=$bytes.${property#*:}Deserializer")
    done
    out=$(mktemp -d "$dir/read.XXXXXX")
    trap 'rm -rf "$out"' EXIT # not local: it is read once the function is gone
    for silence_ms in 3000 10000 30000; do
        group=$(basename "$out")-$silence_ms
        tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic "$topic" \
            --from-beginning --isolation-level read_committed --group "$group" --timeout-ms "$silence_ms" \
            "${format[@]}" "${rest[@]:1}" >"$out/records" 2>"$out/errors" || { cat "$out/errors" >&2; exit 1; }
        tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$bootstrap" --group "$group" \
            --describe >"$out/left" 2>>"$out/errors" || { cat "$out/errors" >&2; exit 1; }
        # Its columns: group, topic, partition, current offset, end offset, lag.
        if awk -v topic="$topic" '$2 == topic { seen = 1; if ($6 != "0") left = 1 } END { exit left || !seen }' "$out/left"; then
            sed -E 's/java.nio.HeapByteBuffer\[pos=0 lim=([0-9]+) cap=[0-9]+\]$/Size:\1/' "$out/records"
            return
        fi
    done
    cat "$out/errors" "$out/left" >&2
    die "the end of $topic was not reached: records arrive still, or a transaction is open"
}

if [[ $command != topics && $command != read ]] && ((${#rest[@]})); then usage; fi
if [[ $command != stop && $command != status ]]; then fetched "kafka-$version" "$(sha256sum <"$here/kafka/pom.xml")" jars; fi
bootstrap=$(cat "$dir/bootstrap" 2>/dev/null) || true
case $command in
    start) start ;;
    stop) halt "$dir" ;;
    status) if answers 2; then echo "$bootstrap"; else say "no broker answers in $dir" && exit 1; fi ;;
    topics) topics ;;
    read) read_all ;;
esac
