"""The daemon under the page: its folders, a long past, and fields that arrive."""

import json
import math
import os
import random
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

SECRET = "hunter2-of-the-broker"
DEADLINE_S = 120


def until(what, holds):
    end = time.monotonic() + DEADLINE_S
    while not (value := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"has not come: {what}")
        time.sleep(0.1)
    return value


class Daemon:
    """`twinpeak run` with these arguments, from `with` to its end."""

    def __init__(self, twinpeak, log, *arguments):
        quick = ["input.settle_s=0.3", "input.poll_interval_s=0.2", "input.incomplete_after_s=2", "log.format=json"]
        sets = [word for key in quick for word in ("--set", key)]
        self.command = [twinpeak, "run", "--http", "127.0.0.1:0", *sets, *map(str, arguments)]
        self.log = Path(log)

    def __enter__(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TWINPEAK__")}
        environment |= {"TWINPEAK__DEVICE__CHOICE": "cpu", "TWINPEAK__KAFKA__PASSWORD": SECRET}
        self.process = subprocess.Popen(self.command, stderr=open(self.log, "w"), env=environment)
        until("readiness", lambda: self.ended() or self.address())
        self.url = f"http://{self.address()}"
        return self

    def ended(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the daemon ended; its log is {self.log}:\n{self.log.read_text()[-2000:]}")

    def address(self):
        ready = re.search(r'"http":"([^"]+)"', self.log.read_text())
        return ready and ready[1]

    def ask(self, path):
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=30) as answer:
            return answer.read()

    def json(self, path):
        return json.loads(self.ask(path))

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


def deliver(sky, inbox, image, bands="ugriz"):
    """Moves copies of a field's files in."""
    for band in bands:
        name = f"frame-{band}-{image}.fits"
        shutil.copy(sky / name, inbox / f".{name}")
        os.rename(inbox / f".{name}", inbox / name)


def past(out, model, fields):
    """Records of so many fields that ended before, one a minute, under a seeing that gets worse; and one that was
    refused with markup in its texts. `model` is the record of a real one."""
    random.seed(1)
    now = time.time() - 600
    for k in range(fields):
        record = json.loads(json.dumps(model)) | {"image_id": f"{k // 800 + 1:06}-{k // 100 % 6 + 1}-{k:04}"}
        hour = (fields - k) / 60
        for band in record["quality"]:
            band["fwhm_arcsec"] *= 1 - 0.25 * math.sin(hour / 4) + random.gauss(0, 0.02)
            band["sky_nmgy"] *= 1 + 0.15 * math.sin(hour / 5) + random.gauss(0, 0.01)
            band["depth_5sigma_mag"] += 0.2 * math.sin(hour / 4) + random.gauss(0, 0.02)
        stars = random.randrange(40, 80)
        record |= {"stars": stars, "rows": stars + record["galaxies"] + record["unclassified"]}
        write(out / f"{record['image_id']}.done.json", record, now - 60 * (fields - k))
    evil = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>"
    refused = {key: model[key] for key in ("schema_version", "model", "software_version")} | {
        "image_id": "999999-1-0001", "reason": "not_fits", "stage": "prepare", "file": f"frame-{evil}.fits",
        "message": f"is not a FITS file: it begins with {evil}", "advice": f"send it again {evil}"}
    (out / "rejected").mkdir(exist_ok=True)
    write(out / "rejected/999999-1-0001.json", refused, now - 30)


def write(path, record, at):
    path.write_text(json.dumps(record))
    os.utime(path, (at, at))
