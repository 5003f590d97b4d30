#!/usr/bin/env python3
"""The stream's figures with the real nets, on a broker of its own: benches/stream.py latency|backfill|cpu|backlog|blocked ...

latency  whole fields at a steady rate: from a message's timestamp until a reader of committed data has its end of image
backfill the same, without and beside a daemon of lower priority (nice 15) that has an old night to do, sent by `submit`
cpu      the same whole fields by `process` and by `run --kafka`: CPU seconds of each
backlog  10,000 messages of 64x64 frames wait when the daemon starts: its resident memory on the way
blocked  a daemon is killed with a transaction open: how long a reader of committed data waits for what others wrote after
         it, until the broker ends the transaction (kafka.transaction_timeout_s, then its next look, every
         transaction.abort.timed.out.transaction.cleanup.interval.ms: 10 s unless set, 1 s here), or the daemon is back
Run with .venv/bin/python (confluent-kafka) after `cargo build --release`.
"""

import json, os, pathlib, re, resource, shutil, statistics, subprocess, sys, tempfile, time, urllib.request
import confluent_kafka

ROOT = pathlib.Path(__file__).resolve().parent.parent
TWINPEAK = os.environ.get("TWINPEAK", ROOT / "target/release/twinpeak")
TOPIC = "twinpeak.sdss.new-images"


def run(*command, **more):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, **more).stdout


class Night:
    """A broker, frames and a daemon, all in one folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.bootstrap = run("deploy/kafka.sh", "start", "--dir", self.folder / "kafka").strip()
        run("deploy/kafka.sh", "topics", "sdss", 4, "--dir", self.folder / "kafka")
        self.producer = confluent_kafka.Producer({"bootstrap.servers": self.bootstrap})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run("deploy/kafka.sh", "stop", "--dir", self.folder / "kafka")

    def simulate(self, fields, *options):
        run(TWINPEAK, "simulate", "--out", self.folder / "sky", "--fields", fields, "--seed", 77, "--plain", *options)
        return sorted(re.search(r"frame-r-(.*)\.fits", f.name)[1] for f in (self.folder / "sky").glob("frame-r-*.fits"))

    def send(self, image, folder="sky"):
        bands = {b: f"file://{self.folder}/{folder}/frame-{b}-{image}.fits" for b in "ugriz"}
        message = {"schema_version": "1.0", "image_id": image, "bands": bands}
        self.producer.produce(TOPIC, key=image, value=json.dumps(message))
        self.producer.poll(0)

    def daemon(self, *options):
        log = open(self.folder / "daemon.log", "a")
        command = [TWINPEAK, "run", "--kafka", self.bootstrap, "--http", "127.0.0.1:9399", "--set",
                   f"kafka.state_dir={self.folder}/state", "--set", f"remote.file_roots={self.folder}", *options]
        return subprocess.Popen([str(c) for c in command], stderr=log, cwd=ROOT)

    def ready(self):
        for _ in range(600):
            try:
                if urllib.request.urlopen("http://127.0.0.1:9399/readyz", timeout=2).status == 200:
                    return
            except OSError:
                time.sleep(0.1)
        sys.exit("the daemon did not get ready: " + (self.folder / "daemon.log").read_text()[-2000:])

    def ends(self):
        """(image, seconds since its message was written) as committed ends of images come."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": f"figures-{time.time()}",
                                             "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
        consumer.subscribe(["twinpeak.sdss.images-v1"])
        while True:
            message = consumer.poll(0.05)
            if message is None:
                yield None
            elif not message.error():
                yield message.key().decode(), time.time()


def steady(night, name, fields=40, seconds=1.5, first=1):
    """Sends fields at a steady rate, numbered from `first` on; says how long each took."""
    images = sorted(re.search(r"frame-r-(.*)\.fits", f.name)[1] for f in (night.folder / "sky").glob("frame-r-*.fits"))
    live = night.folder / name
    live.mkdir()
    sent, took, ends = {}, [], night.ends()
    start = time.time()
    while len(took) < fields:
        due = int((time.time() - start) / seconds) + 1
        while len(sent) < min(due, fields):
            n = len(sent)
            image = f"{first + n:06d}-1-0001"  # the survey's pattern; the same few skies under other names
            for band in "ugriz":
                os.link(night.folder / f"sky/frame-{band}-{images[n % len(images)]}.fits", live / f"frame-{band}-{image}.fits")
            sent[image] = time.time()
            night.send(image, name)
            night.producer.flush()
        end = next(ends)
        if end and end[0] in sent:
            took.append(end[1] - sent[end[0]])
    took.sort()
    print(f"{name}: {fields} whole fields, one every {seconds} s: p50 {statistics.median(took):.2f} s, "
          f"p99 {took[int(0.99 * (len(took) - 1))]:.2f} s, longest {took[-1]:.2f} s", flush=True)


def latency(night):
    night.simulate(8)
    daemon = night.daemon()
    night.ready()
    steady(night, "live")
    daemon.terminate(), daemon.wait()


def backfill(night, seconds=3):
    night.simulate(8)
    live = night.daemon()
    night.ready()
    steady(night, "alone", 20, seconds)
    old = night.folder / "old"
    old.mkdir()
    for n in range(20):
        for file in (night.folder / "sky").glob("frame-*.fits"):
            os.link(file, old / re.sub(r"-(\d{6})-", f"-{900_000 + n:06d}-", file.name, count=1))
    run(TWINPEAK, "submit", old, "--backfill", "--kafka", night.bootstrap, stderr=subprocess.DEVNULL)
    more = ["nice", "-n", "15", TWINPEAK, "run", "--kafka", night.bootstrap, "--http", "127.0.0.1:9398", "--set", "kafka.input=backfill",
            "--set", "kafka.group=backfill", "--set", f"kafka.state_dir={night.folder}/later", "--set", f"remote.file_roots={night.folder}"]
    count = lambda: sum(float(l.split()[-1]) for l in urllib.request.urlopen("http://127.0.0.1:9398/metrics").read().decode().splitlines()
                        if l.startswith("twinpeak_frames_total"))
    with open(night.folder / "backfill.log", "a") as log:
        later = subprocess.Popen([str(c) for c in more], stderr=log, cwd=ROOT)
    time.sleep(15)  # it is at work
    before, start = count(), time.time()
    steady(night, "beside", 20, seconds, first=1001)
    done, took = count() - before, time.time() - start
    print(f"beside: the backfill did {done:.0f} fields meanwhile, one every {took / max(done, 1):.2f} s")
    for daemon in (later, live):
        daemon.terminate(), daemon.wait()


def cpu(night, fields=12):
    images = night.simulate(fields)

    def spent(wait):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    shares = []
    for _ in range(3):
        shutil.rmtree(night.folder / "out", ignore_errors=True)
        files = spent(lambda: run(TWINPEAK, "process", night.folder / "sky", "--out", night.folder / "out", stderr=subprocess.DEVNULL))
        for image in images:
            night.send(image)
        night.producer.flush()
        daemon = night.daemon("--until-idle")
        stream = spent(daemon.wait)
        shares.append(stream / files)
        print(f"{fields} whole fields: process {files:.1f} CPU s, run --kafka {stream:.1f} CPU s, ratio {stream / files:.3f}", flush=True)
    print(f"median ratio {statistics.median(shares):.3f}")


def backlog(night, messages=10_000):
    image = night.simulate(1, "--width", 64, "--height", 64)[0]
    folder = night.folder / "many"
    folder.mkdir()
    for n in range(messages):
        name = f"{n:06d}-1-0001"
        for band in "ugriz":
            os.link(night.folder / f"sky/frame-{band}-{image}.fits", folder / f"frame-{band}-{name}.fits")
        night.send(name, "many")
    night.producer.flush()
    daemon, start = night.daemon("--segmenter", "threshold"), time.time()
    night.ready()
    done, told = 0, 0
    resident = lambda: int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{daemon.pid}/status").read_text())[1]) / 1024
    ends = night.ends()
    while done < messages:
        done += next(ends) is not None
        if done >= told:
            print(f"{done:6d} images done, {time.time() - start:5.0f} s, {resident():.0f} MB", flush=True)
            told += messages // 10
    daemon.terminate(), daemon.wait()


def blocked(night, times=3):
    images, topic = night.simulate(6), "twinpeak.sdss.images-v1"

    def reader(level):
        consumer = confluent_kafka.Consumer({"bootstrap.servers": night.bootstrap, "group.id": f"figures-{level}",
                                             "auto.offset.reset": "earliest", "isolation.level": level})
        consumer.subscribe([topic])
        return consumer

    def mark(text):
        for partition in range(4):
            night.producer.produce(topic, partition=partition, value=text)
        night.producer.flush()

    def read(consumer, until=None):
        """Until it has seen a mark on each partition; without one, a record."""
        seen = set()
        while len(seen) < (4 if until else 1):
            message = consumer.poll(0.05)
            if message is not None and not message.error() and until in (None, message.value().decode(errors="replace")):
                seen.add(message.partition())

    dirty, clean = reader("read_uncommitted"), reader("read_committed")
    for n in range(2 * times):
        mark(f"before {n}"), read(dirty, f"before {n}")
        # It commits only with its last image, and has begun once somebody who reads all sees a record of its first.
        daemon = night.daemon("--set", "kafka.transaction_s=600", "--set", "kafka.transaction_timeout_s=20")
        night.ready()
        for image in images:
            night.send(image)
        night.producer.flush()
        read(dirty)
        daemon.kill(), daemon.wait()
        killed, back = time.time(), night.daemon("--until-idle") if n % 2 else None
        mark(f"after {n}"), read(clean, f"after {n}")
        print(f"blocked for {time.time() - killed:.1f} s after kill -9" + (", started again at once" if back else ""), flush=True)
        (back or night.daemon("--until-idle")).wait()


if __name__ == "__main__":
    wanted = {"latency": latency, "backfill": backfill, "cpu": cpu, "backlog": backlog, "blocked": blocked}
    if not sys.argv[1:] or set(sys.argv[1:]) - set(wanted):
        sys.exit(__doc__)
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder, Night(folder) as night:
            wanted[name](night)
