#!/usr/bin/env python3
"""The watching, watched: watch.py FOLDER TOOLS DAEMON-PORT PROMETHEUS-PORT (tests/watch.sh calls it).

What is shipped is checked as it lies there; then a daemon on a real broker is scraped by a real Prometheus, everything
that can be broken from outside is broken, and the alert for it must fire, and end when the fault does.
"""

import itertools
import pathlib
import signal
import subprocess
import sys
import time

import shipped
from night import Night
from watcher import Watcher

# Metrics that are there only with something that the daemon here may not have: what that is. While such a metric is
# absent, a query that names it may be empty.
ONLY_WITH = {
    "twinpeak_drift_distance": "a bundle that knows its training frames",
    "twinpeak_drift_threshold": "a bundle that knows its training frames",
    "twinpeak_shadow_agreement_ratio": "a shadow model",
    "twinpeak_shadow_frames_total": "a shadow model",
    "twinpeak_shadow_skipped_frames_total": "a shadow model",
    "twinpeak_shadow_stage_seconds_total": "a shadow model",
    "twinpeak_retries_total": "something to be tried again",
}
WITHIN_S = 60  # an alert fires or ends, at the latest; how fast is Prometheus' affair


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
    lacking = list(shipped.missing(shipped.alerts(), shipped.RUNBOOK.read_text(), shipped.unit_tests()))
    tally.check(f"{len(shipped.alerts())} alerts have their runbook entry and both tests", not lacking, "\n".join(lacking))
    tally.command("the configuration is Prometheus'", promtool, "check", "config", shipped.PROMETHEUS / "prometheus.yml")
    for file in sorted(watch.glob("alerts/*.yml")):
        tally.command(f"unit tests: {file.stem}", promtool, "test", "rules", file)
    routes = shipped.PROMETHEUS / "alertmanager.yml"
    tally.command("the routes are Alertmanager's", amtool, "check-config", routes)
    for severity, receiver in (("page", "pager"), ("ticket", "tickets")):
        asked = ["config", "routes", "test", f"--config.file={routes}", f"--verify.receivers={receiver}"]
        tally.command(f"a {severity} goes to {receiver}", amtool, *asked, f"severity={severity}", "alertname=TwinpeakDown")
    made = subprocess.run([sys.executable, shipped.ROOT / "deploy/grafana/dashboard.py"], capture_output=True, text=True)
    same = made.stdout == shipped.DASHBOARD.read_text()
    tally.check("the dashboard is what its code makes", same, made.stderr or "deploy/grafana/dashboard.py > twinpeak.json")


def only_with(query, names):
    """What a query needs that is not here, if anything."""
    return ", ".join(sorted({ONLY_WITH[name] for name in shipped.metrics(query) - names if name in ONLY_WITH}))


def panels(tally, watcher):
    """Every query of the dashboard returns data."""
    names, skipped = watcher.names(), []
    for panel, query in shipped.panels():
        for variable, value in (("$__rate_interval", "10s"), ("$survey", ".*"), ("$instance", ".*")):
            query = query.replace(variable, value)
        try:
            values, why = watcher.values(query), f"no data: {query}"
        except ValueError as error:
            values, why = [], f"{error}: {query}"
        needs = only_with(query, names) if why.startswith("no data") else ""
        if needs and not values:
            skipped.append(f"        {panel}: only with {needs}")
        else:
            tally.check(f"panel {panel}", values, why)
    print("panels that can have no data here; their queries are understood:", *skipped, sep="\n")


def names_exist(tally, watcher):
    """A rule on a metric that no daemon has would be silent for ever."""
    names = watcher.names()
    asked = set(itertools.chain.from_iterable(shipped.metrics(rule["expr"]) for rule in shipped.rules()))
    unknown = sorted(asked - names - set(ONLY_WITH))
    tally.check("every metric that a rule names exists", not unknown, ", ".join(unknown))


class Faults:
    """Breaks one thing after another."""

    def __init__(self, tally, night, watcher):
        self.tally, self.night, self.watcher = tally, night, watcher

    def fires(self, alert, fault):
        took = self.watcher.waits(lambda: alert in self.watcher.alerts(), WITHIN_S)
        why = f"{self.watcher.alerts()} fire, {self.watcher.alerts('pending')} will"
        self.tally.check(f"{fault}: {alert} fires" + (f" after {took:.0f} s" if took is not None else ""), took is not None, why)

    def ends(self, *alerts):
        took = self.watcher.waits(lambda: not self.watcher.alerts() & set(alerts), WITHIN_S)
        self.tally.check(f"{' and '.join(alerts)}: over" + (f" after {took:.0f} s" if took is not None else ""), took is not None,
                         f"{self.watcher.alerts()} still fire")

    def none(self):
        """A daemon that is well calls nobody."""
        settled = self.watcher.waits(lambda: self.watcher.values("sum(twinpeak_frames_total) > 15"), WITHIN_S)
        why = f"{self.watcher.alerts()} fire; {'' if settled else 'too few frames were done'}"
        self.tally.check("a daemon that is well: no alert", settled is not None and not self.watcher.alerts(), why)

    def bad_frames(self):
        self.night.steadily(good=1, bad=2)
        self.fires("TwinpeakRejections", "bad frames")
        self.fires("TwinpeakRejectsMost", "bad frames")
        self.night.steadily(good=1)

    def broker_away(self):
        self.night.broker("stop")
        self.fires("TwinpeakNotReady", "the broker is away")
        self.night.broker("start")
        self.ends("TwinpeakNotReady", "TwinpeakRejections", "TwinpeakRejectsMost")
        panels(self.tally, self.watcher)  # now, when every kind of event has been

    def killed(self):
        self.night.kill()
        self.fires("TwinpeakDown", "the daemon is killed")
        for _ in range(3):
            self.night.start()
            self.watcher.waits(lambda: self.watcher.values('up{job="twinpeak"} == 1'), WITHIN_S)
            self.night.kill()
        self.night.start()
        self.fires("TwinpeakRestarting", "it is killed again and again")
        self.ends("TwinpeakDown")

    def too_much(self):
        self.ends("TwinpeakLatencyBudgetFast")  # what waited for the broker and the daemon was late
        self.night.steadily(good=12)
        self.fires("TwinpeakLagGrowing", "more frames than it can do")
        self.fires("TwinpeakLatencyBudgetFast", "more frames than it can do")


def main(folder, tools, daemon_port, prometheus_port):
    tally = Tally()
    as_it_lies(tally, tools)
    night = watcher = None
    try:
        night = Night(folder, daemon_port)
        night.start()
        watcher = Watcher(folder, tools / "prometheus", prometheus_port, f"127.0.0.1:{daemon_port}")
        faults = Faults(tally, night, watcher)
        night.steadily(good=1)
        for fault in (faults.none, faults.bad_frames, faults.broker_away, faults.killed, faults.too_much):
            start = time.monotonic()
            fault()
            print(f"        ({fault.__name__}: {time.monotonic() - start:.0f} s)", flush=True)
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
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
