#!/usr/bin/env python3
"""The watching, watched: watch.py FOLDER TOOLS PORT PORT PORT (tests/watch.sh calls it).

What is shipped is checked as it lies there; then a real Prometheus scrapes two daemons, one on a real broker and one on
an inbox, things are broken from outside, and the alert for each must fire, and end when the fault does.
"""

import itertools
import pathlib
import signal
import subprocess
import sys

import shipped
from night import Night
from watcher import Watcher

STREAM, INBOX = "sdss", "backfill"  # the daemons, by the survey that their targets name
WITHIN_S = 120  # an alert fires or ends, at the latest; how fast is Prometheus' affair


class Tally:
    """Says and counts how each check went."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, well, why=""):
        if well:
            self.passed += 1
            print(f"ok      {what}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED  {what}: {why}", flush=True)

    def command(self, what, *command):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=shipped.ROOT)
        self.check(what, done.returncode == 0, done.stdout + done.stderr)


def as_it_lies(tally, tools):
    """What needs no daemon."""
    promtool, amtool, watch = tools / "promtool", tools / "amtool", shipped.ROOT / "tests/watch"
    unittest = [sys.executable, "-B", "-m", "unittest", "discover", "-s", watch]
    tally.command("the checks find what is missing", *unittest)
    alerts = shipped.alerts()
    lacking = list(shipped.missing(alerts, shipped.RUNBOOK.read_text(), shipped.unit_tests()))
    tally.check(f"{len(alerts)} alerts have their runbook entry and both tests", not lacking, "\n".join(lacking))
    config = shipped.PROMETHEUS / "prometheus.yml"
    tally.command("the configuration is Prometheus'", promtool, "check", "config", config)
    for file in sorted(watch.glob("alerts/*.yml")):
        tally.command(f"unit tests: {file.stem}", promtool, "test", "rules", file)
    routes = shipped.PROMETHEUS / "alertmanager.yml"
    tally.command("the routes are Alertmanager's", amtool, "check-config", routes)
    for severity, receiver in (("page", "pager"), ("ticket", "tickets")):
        asked = ["config", "routes", "test", f"--config.file={routes}", f"--verify.receivers={receiver}"]
        tally.command(f"a {severity} goes to {receiver}", amtool, *asked, f"severity={severity}")
    code = shipped.ROOT / "deploy/grafana/dashboard.py"
    made = subprocess.run([sys.executable, code], capture_output=True, text=True)
    same = made.stdout == shipped.DASHBOARD.read_text()
    tally.check("the dashboard is what its code makes", same, made.stderr or f"{code} > {shipped.DASHBOARD}")


def panels(tally, watcher):
    """Every query of the dashboard returns data."""
    for panel, query in shipped.panels():
        for variable, value in (("$__rate_interval", "10s"), ("$survey", ".*"), ("$instance", ".*")):
            query = query.replace(variable, value)
        try:
            values, why = watcher.values(query), f"no data: {query}"
        except ValueError as error:
            values, why = [], f"{error}: {query}"
        tally.check(f"panel {panel}", values, why)


def names_exist(tally, watcher):
    """A rule on a metric that no daemon has would be silent for ever."""
    asked = set(itertools.chain.from_iterable(shipped.metrics(rule["expr"]) for rule in shipped.rules()))
    unknown = sorted(asked - watcher.names())
    tally.check("every metric that a rule names exists", not unknown, ", ".join(unknown))


class Faults:
    """Breaks one thing after another."""

    def __init__(self, tally, night, watcher):
        self.tally, self.night, self.watcher = tally, night, watcher

    def comes(self, what, condition):
        """Waits for a condition, and checks that it came."""
        took = self.watcher.waits(condition, WITHIN_S)
        came = took is not None
        self.tally.check(f"{what} after {took:.0f} s" if came else what, came, f"alerts: {self.watcher.alerts()}")

    def gives(self, what, query):
        self.comes(what, lambda: self.watcher.values(query))

    def fires(self, fault, alert, survey=STREAM):
        self.comes(f"{fault}: {alert} fires", lambda: (alert, survey) in self.watcher.alerts())

    def over(self, *alerts, survey=STREAM):
        those = {(alert, survey) for alert in alerts}
        self.comes(f"cured: {', '.join(alerts)} over", lambda: not self.watcher.alerts() & those)

    def works(self):
        """For a while."""
        each = "min_over_time(sum(increase(twinpeak_kafka_committed_images_total[5s]))[8s:1s])"
        self.gives("frames go through", f"{each} > 1")

    def none(self):
        """Daemons that are well call nobody."""
        self.works()
        self.gives("one from the inbox too", f'twinpeak_frames_total{{survey="{INBOX}",outcome="processed"}} == 1')
        self.tally.check("daemons that are well: no alert", not self.watcher.alerts(), self.watcher.alerts())

    def bad_frames(self):
        self.night.steadily(good=1, bad=2)
        self.fires("bad frames", "TwinpeakRejections")
        self.fires("bad frames", "TwinpeakRejectsMost")
        self.night.steadily(good=1)

    def not_ready(self):
        """At once, since both take as long as the daemons take to notice."""
        self.night.on_inbox.may_write(False)
        self.night.broker("stop")
        self.fires("the broker is away", "TwinpeakNotReady")
        self.fires("the output cannot be written", "TwinpeakNotReady", INBOX)
        self.night.broker("start")
        self.night.on_inbox.may_write(True)
        self.fires("the broker is back, but much has waited", "TwinpeakLatencyBudgetFast")
        self.over("TwinpeakNotReady", "TwinpeakRejections", "TwinpeakRejectsMost")
        self.over("TwinpeakNotReady", survey=INBOX)

    def disk_full(self):
        self.night.on_broker.may_write(False)
        self.fires("the stream's disk is full", "TwinpeakNoProgress")
        self.night.on_broker.may_write(True)
        self.over("TwinpeakNoProgress")

    def too_much(self):
        self.night.steadily(good=60)
        self.works()
        panels(self.tally, self.watcher)  # now, when every kind of event has been
        self.fires("more frames than it can do", "TwinpeakLagGrowing")
        self.night.steadily(good=1)

    def killed(self):
        daemon = self.night.on_broker
        daemon.kill()
        self.fires("the daemon is killed", "TwinpeakDown")
        for _ in range(3):
            daemon.start()
            self.gives("it is back", f'up{{instance="{daemon.address}"}} == 1')
            daemon.kill()
        daemon.start()
        self.fires("it is killed again and again", "TwinpeakRestarting")
        self.over("TwinpeakDown")


def main(folder, tools, ports):
    tally = Tally()
    as_it_lies(tally, tools)
    night = watcher = None
    try:
        night = Night(folder, ports)
        night.drop()
        night.on_broker.start()
        night.on_inbox.start()
        addresses = {STREAM: night.on_broker.address, INBOX: night.on_inbox.address}
        watcher = Watcher(folder, tools / "prometheus", ports[2], addresses)
        faults = Faults(tally, night, watcher)
        night.steadily(good=1)
        faults.none()
        faults.bad_frames()
        faults.not_ready()
        faults.disk_full()
        faults.too_much()
        faults.killed()
        names_exist(tally, watcher)
    finally:
        if watcher:
            watcher.end()
        if night:
            night.end()
    print(f"{tally.passed} passed, {tally.failed} failed")
    return int(tally.failed > 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder, tools, *ports = sys.argv[1:]
    sys.exit(main(pathlib.Path(folder).resolve(), pathlib.Path(tools), [int(port) for port in ports]))
