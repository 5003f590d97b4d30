"""A night to be watched: a broker, a daemon on it, and messages of small simulated fields."""

import json
import os
import pathlib
import re
import subprocess
import threading
import time
import urllib.request

import confluent_kafka

from shipped import ROOT

TOPIC = "twinpeak.sdss.new-images"
FIELDS, SIDE_PX = 4, 640


def run(*command, quiet=False):
    """Runs a command to its end."""
    errors = subprocess.DEVNULL if quiet else None
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT).stdout


class Night:
    """All of it, in one folder."""

    def __init__(self, folder, port):
        self.folder, self.port, self.twinpeak = folder, port, os.environ["TWINPEAK"]
        self.process, self.numbers, self.sender, self.log = None, 0, None, (folder / "daemon.log").open("a")
        size = ["--width", SIDE_PX, "--height", SIDE_PX, "--seed", 6]
        run(self.twinpeak, "simulate", "--plain", "--out", folder / "sky", "--fields", FIELDS, *size, quiet=True)
        self.images = sorted(re.search(r"frame-r-(.*)\.fits", f.name)[1] for f in (folder / "sky").glob("frame-r-*.fits"))
        self.broker("start")
        run("deploy/kafka.sh", "topics", "sdss", 4, "--dir", folder / "kafka")
        self.producer = confluent_kafka.Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def broker(self, what):
        """Starts it, always at the same address, or stops it."""
        self.bootstrap = run("deploy/kafka.sh", what, "--dir", self.folder / "kafka").strip() or self.bootstrap

    def send(self, good=1, bad=0):
        """So many messages of fields, and so many that are none."""
        for _ in range(good):
            self.numbers += 1
            image, sky = f"{self.numbers:06d}-1-0001", self.folder / "sky"
            for band in "ugriz":  # the survey's pattern; the same few skies under other names
                original = self.images[self.numbers % len(self.images)]
                os.link(sky / f"frame-{band}-{original}.fits", sky / f"frame-{band}-{image}.fits")
            bands = {band: f"file://{sky}/frame-{band}-{image}.fits" for band in "ugriz"}
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

    def start(self):
        """Starts the daemon and waits until it is ready."""
        settings = {
            "kafka.instance": "watched",
            "kafka.state_dir": self.folder / "state",
            "kafka.session_timeout_s": 6,
            "remote.file_roots": self.folder,
            "remote.objects": f"file://{self.folder}/objects",
        }
        run_it = [self.twinpeak, "run", "--kafka", self.bootstrap, "--http", f"127.0.0.1:{self.port}"]
        command = [*run_it, *(f"--set={key}={value}" for key, value in settings.items())]
        self.process = subprocess.Popen([str(c) for c in command], stderr=self.log, cwd=ROOT)
        deadline = time.monotonic() + 60
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the daemon does not get ready:\n" + pathlib.Path(self.log.name).read_text()[-3000:])
            time.sleep(0.2)

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        """Without asking."""
        self.process.kill()
        self.process.wait()

    def end(self):
        """Of everything."""
        self.rate = None
        if self.sender:
            self.sender.join()
            self.producer.purge()
        if self.process:
            self.kill()
        run("deploy/kafka.sh", "stop", "--dir", self.folder / "kafka")
