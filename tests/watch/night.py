"""A night to be watched: a broker with a daemon on it, a daemon on an inbox, and small simulated fields."""

import json
import os
import re
import resource
import shutil
import subprocess
import threading
import time
import urllib.request

import confluent_kafka
import pyarrow as pa
import pyarrow.parquet as pq

from shipped import ROOT

TOPIC = "twinpeak.sdss.new-images"
BANDS = "ugriz"
MODEL = ROOT / "config/model"
FIELDS, SIDE_PX = 4, 640


def run(*command, quiet=False):
    """Runs a command to its end."""
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL if quiet else None, "text": True}
    return subprocess.run([str(c) for c in command], check=True, cwd=ROOT, **told).stdout


class Daemon:
    """A daemon that can be started, killed, and started again."""

    def __init__(self, name, folder, port, source, settings):
        self.address, self.log = f"127.0.0.1:{port}", folder / f"{name}.log"
        alone = ["setpriv", "--pdeathsig", "KILL"]  # it does not outlive us
        command = [*alone, os.environ["TWINPEAK"], "run", *source, "--http", self.address]
        self.command = [str(c) for c in (*command, *(f"--set={key}={value}" for key, value in settings.items()))]
        self.process = None

    def start(self):
        """Starts it and waits until it is ready."""
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, cwd=ROOT)
        with self.log.open("a") as log:  # through a pipe, as the journal has it: not on the disk that is full
            subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=log)
        self.process.stderr.close()
        deadline = time.monotonic() + 60
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the daemon does not get ready:\n" + self.log.read_text()[-3000:])
            time.sleep(0.2)

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def may_write(self, may):
        """Whether its files may grow; if not, writing fails as on a full disk, also where root asks."""
        hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (hard if may else 0, hard))

    def kill(self):
        """Without asking."""
        if self.process:
            self.process.kill()
            self.process.wait()


class Night:
    """All of it, in one folder."""

    def __init__(self, folder, ports):
        self.folder, self.sky, self.numbers, self.rate, self.sender = folder, folder / "sky", 0, None, None
        self.inbox, self.bootstrap = folder / "inbox", None
        size = ["--width", SIDE_PX, "--height", SIDE_PX, "--seed", 6, "--flat", "--sources", 160]  # bright stars too
        run(os.environ["TWINPEAK"], "simulate", "--plain", "--out", self.sky, "--fields", FIELDS, *size, quiet=True)
        self.bundle()
        self.known_stars()
        self.images = sorted(re.search(r"frame-r-(.*)\.fits", f.name)[1] for f in self.sky.glob("frame-r-*.fits"))
        self.broker("start")
        run("deploy/kafka.sh", "topics", "sdss", 4, "--dir", folder / "kafka")
        self.producer = confluent_kafka.Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
        settings = {
            "kafka.instance": "watched",
            "kafka.state_dir": folder / "state",
            "kafka.session_timeout_s": 6,
            "model.bundle": folder / "bundle",
            "shadow.bundle": MODEL,
            "shadow.share": 0.3,
            "shadow.report": folder / "shadow.json",
            "remote.file_roots": folder,
            "remote.objects": f"file://{folder}/objects",
            "reference.catalog": folder / "known.parquet",
            "reference.magnitudes": "r=psfMag_r",
        }
        self.on_broker = Daemon("daemon", folder, ports[0], ["--kafka", self.bootstrap], settings)
        self.inbox.mkdir()
        source = ["--inbox", self.inbox, "--out", folder / "out"]
        self.on_inbox = Daemon("inbox", folder, ports[1], source, {"input.settle_s": 1})

    def bundle(self):
        """The shipped model, as if these fields were the ones that it was made for: the measure of drift."""
        model, out = self.folder / "bundle", self.folder / "processed"
        shutil.copytree(MODEL, model)
        run(os.environ["TWINPEAK"], "process", self.sky, "--out", out, quiet=True)
        run(os.environ["TWINPEAK"], "summary", out, "--expect", model)

    def known_stars(self):
        """What is found in these fields, as a reference catalogue of them: all is where it should be."""
        columns = ["ra", "dec", "psfMag_r"]
        found = [pq.read_table(file, columns=columns) for file in (self.folder / "processed").glob("*.catalog.parquet")]
        pq.write_table(pa.concat_tables(found), self.folder / "known.parquet")

    def broker(self, what):
        """Starts it, always at the same address, or stops it."""
        self.bootstrap = run("deploy/kafka.sh", what, "--dir", self.folder / "kafka").strip() or self.bootstrap

    def drop(self):
        """A field into the inbox."""
        for band in BANDS:
            shutil.copy(self.sky / f"frame-{band}-{self.images[0]}.fits", self.inbox)

    def send(self, good=1, bad=0):
        """So many messages of fields, and so many that are none."""
        for _ in range(good):
            self.numbers += 1
            image, sky = f"{self.numbers:06d}-1-0001", self.sky
            for band in BANDS:  # the survey's pattern; the same few skies under other names
                original = self.images[self.numbers % len(self.images)]
                os.link(sky / f"frame-{band}-{original}.fits", sky / f"frame-{band}-{image}.fits")
            bands = {band: f"file://{sky}/frame-{band}-{image}.fits" for band in BANDS}
            value = json.dumps({"schema_version": "1.0", "image_id": image, "bands": bands})
            self.producer.produce(TOPIC, key=image, value=value)
        for _ in range(bad):
            self.producer.produce(TOPIC, value=b"no message")
        self.producer.poll(0)

    def steadily(self, good=1, bad=0):
        """So many messages each second from now on, until this is called again."""
        self.rate = (good, bad)
        if not self.sender:
            self.sender = threading.Thread(target=self.keep_sending, daemon=True)
            self.sender.start()

    def keep_sending(self):
        while self.rate is not None:
            self.send(*self.rate)
            time.sleep(1)

    def end(self):
        """Of everything."""
        self.rate = None
        if self.sender:
            self.sender.join()
            self.producer.purge()
        self.on_broker.kill()
        self.on_inbox.kill()
        self.broker("stop")
