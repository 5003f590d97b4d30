"""A real Prometheus that scrapes daemons by the shipped configuration, sixty times as fast (fast.py)."""

import json
import math
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import fast


class Watcher:
    """It, and what can be asked of it."""

    def __init__(self, folder, prometheus, port, daemons):
        self.address, self.log = f"127.0.0.1:{port}", folder / "prometheus.log"
        fast.write(folder / "prometheus", daemons, self.address)
        command = ["setpriv", "--pdeathsig", "KILL", prometheus, f"--config.file={folder}/prometheus/prometheus.yml",
                   f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={self.address}", "--log.level=warn"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log.open("w"))
        deadline = time.monotonic() + 30
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("Prometheus does not start:\n" + self.log.read_text()[-3000:])
            time.sleep(0.2)

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, path, **arguments):
        """The data of an answer of its API."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error", str(error))) from error

    def values(self, query):
        """The finite values that a query gives now."""
        found = (float(one["value"][1]) for one in self.ask("query", query=query)["result"])
        return [value for value in found if math.isfinite(value)]

    def names(self):
        """Every metric that it has."""
        return set(self.ask("label/__name__/values"))

    def alerts(self, state="firing"):
        """(name, survey) of the alerts in a state."""
        labels = [one["labels"] for one in self.ask("alerts")["alerts"] if one["state"] == state]
        return {(one["alertname"], one.get("survey")) for one in labels}

    def waits(self, condition, seconds):
        """Seconds until a condition holds; None if it does not in time."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            if condition():
                return time.monotonic() - start
            time.sleep(0.5)
        return None

    def end(self):
        """Of it."""
        self.process.terminate()
        self.process.wait()
