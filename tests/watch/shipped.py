"""What is shipped to watch a daemon with, and what is missing of it: each alert's runbook entry and tests."""

import itertools
import json
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMETHEUS, RUNBOOK = ROOT / "deploy/prometheus", ROOT / "deploy/runbook.md"
DASHBOARD = ROOT / "deploy/grafana/twinpeak.json"
ENTRY = ("Means", "Look first", "Cure")


def rules():
    """Every rule of every shipped file."""
    files = sorted(PROMETHEUS.glob("rules/*.yml"))
    groups = itertools.chain.from_iterable(yaml.safe_load(file.read_text())["groups"] for file in files)
    return [rule for group in groups for rule in group["rules"]]


def alerts():
    """Every shipped alert."""
    return [rule for rule in rules() if "alert" in rule]


def unit_tests():
    """(alert, what it must fire, what it is told) of every test for promtool."""
    for file in sorted(ROOT.glob("tests/watch/alerts/*.yml")):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for one in test["alert_rule_test"]:
                yield one["alertname"], one["exp_alerts"], test["input_series"]


def entries(runbook):
    """The runbook's entries: heading -> text."""
    parts = re.split(r"^#{1,6} +(.+)$", runbook, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def missing(alerts, runbook, tests):
    """What alerts lack, a line each; and what is there for alerts that are not."""
    tests, told, names = list(tests), entries(runbook), [alert["alert"] for alert in alerts]
    for alert in alerts:
        name, notes = alert["alert"], alert.get("annotations", {})
        if name not in told:
            yield f"{name} has no entry in the runbook"
        for word in ENTRY:
            if name in told and not re.search(rf"^- \*\*{word}\*\*: \S", told[name], re.MULTILINE):
                yield f"{name}'s entry in the runbook does not say: {word}"
        severity = alert.get("labels", {}).get("severity")
        if name in told and f"*{str(severity).capitalize()}.*" not in told[name]:
            yield f"{name} is a {severity}, and its entry in the runbook says otherwise"
        if not notes.get("runbook_url", "").endswith(f"/runbook.md#{name.lower()}"):
            yield f"{name}'s runbook_url does not lead to its entry"
        if not notes.get("summary"):
            yield f"{name} has no summary"
        if not any(alert == name and fires and series for alert, fires, series in tests):
            yield f"{name} has no test that makes it fire"
        if not any(alert == name and not fires and series for alert, fires, series in tests):
            yield f"{name} has no test that keeps it silent"
    for name in sorted({alert for alert, _, _ in tests} - set(names)):
        yield f"a test asks for {name}, which is no alert"
    for name in sorted(name for name in told if name.startswith("Twinpeak") and name not in names):
        yield f"the runbook explains {name}, which is no alert"


def panels():
    """(panel, query) of the shipped dashboard, by the row it stands in."""
    row = ""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        for target in panel.get("targets", []):
            yield f"{row} / {panel['title']} / {target['refId']}", target["expr"]


def metrics(expression):
    """The daemon's own metrics that an expression names, not those that rules record."""
    unquoted = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"(?<![\w:])(?:twinpeak|process)_[a-z0-9_]+(?![\w:])", unquoted))
