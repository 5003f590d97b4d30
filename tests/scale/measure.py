#!/usr/bin/env python3
"""Fields a second of so many daemons: measure.py FOLDER BOOTSTRAP BROKER-PID SECONDS DAEMONS... (see tests/scale.sh)"""

import collections
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import confluent_kafka

TWINPEAK = os.environ["TWINPEAK"]
PARTITIONS = 48  # some for each, however many daemons
RUN_S = 12  # so long would the fields take if nothing but the simulated time counted
TICKS = os.sysconf("SC_CLK_TCK")


def processor_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Daemon:
    def __init__(self, folder, bootstrap, prefix, number, store):
        self.port, name = free_port(), f"{prefix}-{number}"
        self.log = folder / f"{name}.log"
        settings = {
            "kafka.topic_prefix": prefix, "kafka.group": prefix, "kafka.instance": name, "kafka.state_dir": folder / prefix,
            "kafka.create_partitions": PARTITIONS, "remote.file_roots": folder / "sky", "remote.s3_buckets": "slow",
            "remote.s3_endpoint": f"http://127.0.0.1:{store}", "remote.s3_allow_http": "true", "log.level": "warn",
            # One frame at a time: the simulated time is then the daemon's, not shared by several frames.
            "pipeline.frames_in_flight": 1, "pipeline.prepare_workers": 1, "pipeline.device_threads": 1,
        }
        command = [TWINPEAK, "run", "--kafka", bootstrap, "--http", f"127.0.0.1:{self.port}", "--segmenter", "threshold"]
        environment = os.environ | {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "RAYON_NUM_THREADS": "1"}
        self.process = subprocess.Popen([*command, *(f"--set={k}={v}" for k, v in settings.items())], env=environment,
                                        stdin=subprocess.DEVNULL, stderr=self.log.open("w"))

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def until_ready(self):
        end = time.monotonic() + 120
        while True:
            try:
                return self.ask("/readyz")
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"scale: a daemon does not get ready: {self.log.read_text()[-1500:]}")
                time.sleep(0.2)

    def committed(self):
        lines = self.ask("/metrics").splitlines()
        return sum(int(float(line.split()[1])) for line in lines if line.startswith("twinpeak_kafka_committed_images_total"))


def messages(folder, image, count):
    """The r band comes late, from the store; the other files are links under each image's name."""
    for n in range(count):
        name = f"{n:06d}-1-0001"
        bands = {}
        for band in "ugriz":
            file = folder / "sky" / f"frame-{band}-{name}.fits"
            if not file.exists():
                file.hardlink_to(folder / "sky" / f"frame-{band}-{image}.fits")
            bands[band] = f"file://{file}" if band != "r" else f"s3://slow/frame-r-{name}.fits"
        yield name, json.dumps({"schema_version": "1.0", "image_id": name, "bands": bands})


def ends(bootstrap, topic, fields):
    """Image and time of each committed end of an image, until all came or none comes any more."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "scale", "auto.offset.reset": "earliest",
                                         "isolation.level": "read_committed", "fetch.wait.max.ms": 20})
    consumer.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in range(PARTITIONS)])
    came, last = [], time.monotonic()
    while time.monotonic() - last < (60 if len(came) < fields else 1):
        for message in consumer.consume(500, 0.05):
            if not message.error():
                came.append((message.key().decode(), time.monotonic()))
                last = came[-1][1]
    consumer.close()
    return came


def measure(folder, bootstrap, broker, seconds, count, image):
    prefix = f"by-{count}"
    fields = max(40, round(RUN_S * count / seconds))
    store = subprocess.Popen([sys.executable, "-B", pathlib.Path(__file__).with_name("store.py"), folder / f"sky/frame-r-{image}.fits",
                              str(seconds)], stdout=subprocess.PIPE, text=True)
    daemons = []
    try:
        port = int(store.stdout.readline())
        for number in range(count):
            daemons.append(Daemon(folder, bootstrap, prefix, number, port))
            if number == 0:
                daemons[0].until_ready()  # it makes the topics
        for daemon in daemons:
            daemon.until_ready()
        time.sleep(3)  # until the group is settled
        producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 1_000_000})
        for number, (key, value) in enumerate(messages(folder, image, fields)):
            producer.produce(f"{prefix}.sdss.new-images", key=key, value=value, partition=number % PARTITIONS)
        before = [processor_s(pid) for pid in (broker, *(d.process.pid for d in daemons))]
        since = time.monotonic()
        producer.flush()
        came = ends(bootstrap, f"{prefix}.sdss.images-v1", fields)
        spent = [b - a for a, b in zip(before, [processor_s(pid) for pid in (broker, *(d.process.pid for d in daemons))])]
        shares = [daemon.committed() for daemon in daemons]
    finally:
        for process in [d.process for d in daemons]:
            process.terminate()
        store.terminate()
        for process in [*(d.process for d in daemons), store]:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
    took = came[-1][1] - since if came else float("inf")
    images = collections.Counter(name for name, _ in came)
    lost, doubled = fields - len(images), sum(n - 1 for n in images.values())
    idle = shares.count(0)
    print(f"| {count} | {count / seconds:.1f} | {len(came) / took:.1f} | {len(came) / took * seconds / count:.2f} "
          f"| {spent[0] / took:.2f} | {sum(spent[1:]) / took:.2f} | {1000 * spent[0] / max(len(came), 1):.1f} "
          f"| {1000 * sum(spent[1:]) / max(len(came), 1):.1f} | {lost} | {doubled} |", flush=True)
    if idle:
        print(f"scale: {idle} of {count} daemons had no share: {shares}", file=sys.stderr)
    return lost == doubled == idle == 0


def main(folder, bootstrap, broker, seconds, *counts):
    folder, seconds = pathlib.Path(folder).resolve(), float(seconds)
    subprocess.run([TWINPEAK, "simulate", "--plain", "--out", folder / "sky", "--fields", "1", "--width", "64", "--height", "64",
                    "--seed", "77"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    image = next((folder / "sky").glob("frame-r-*.fits")).name.removeprefix("frame-r-").removesuffix(".fits")
    print(f"{os.cpu_count()} processors, {seconds} s of simulated model time a field, {PARTITIONS} partitions")
    print("| daemons | fields/s if nothing else counted | fields/s | of that | processors: broker | daemons | ms of it a field: broker "
          "| daemons | lost | doubled |")
    print("| --- " * 10 + "|")
    return all([measure(folder, bootstrap, int(broker), seconds, int(count), image) for count in counts])


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]))
