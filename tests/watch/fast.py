"""The shipped Prometheus configuration, sixty times as fast: an hour is a minute.

Made from the shipped files by one rule, so that no second set of rules has to be kept: every length of time in a rule
(`for`, `[...]`, `offset ...`, and hours written as `N * 3600`) is a sixtieth of itself; scrapes and evaluations come
every second. Thresholds, names and labels stay.
"""

import re

import yaml

import shipped

FACTOR = 60
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def length(text):
    """A sixtieth of a length of time."""
    seconds = sum(int(n) * SECONDS[unit] for n, unit in re.findall(r"(\d+)([smhdw])", text))
    milliseconds = seconds * 1000 // FACTOR
    for unit, size in (("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def rule(slow):
    """One rule."""
    quick = dict(slow)
    if "for" in quick:
        quick["for"] = length(quick["for"])
    quick["expr"] = re.sub(r"(\[|\boffset )([\dsmhdw]+)\b", lambda m: m[1] + length(m[2]), quick["expr"])
    quick["expr"] = re.sub(r"\b(\d+) \* 3600\b", rf"\1 * {3600 // FACTOR}", quick["expr"])
    return quick


def write(folder, daemons, own):
    """The whole configuration into `folder`: for daemons, a survey's name and an address each, and Prometheus' own."""
    for file in shipped.PROMETHEUS.glob("rules/*.yml"):
        content = yaml.safe_load(file.read_text())
        for group in content["groups"]:
            group["rules"] = [rule(one) for one in group["rules"]]
        put(folder / "rules" / file.name, content)
    config = yaml.safe_load((shipped.PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    for job in config["scrape_configs"]:
        for static in job.get("static_configs", []):
            static["targets"] = [own]
    del config["alerting"]  # nobody is told
    put(folder / "prometheus.yml", config)
    (entry,) = yaml.safe_load((shipped.PROMETHEUS / "targets/twinpeak.yml").read_text())
    targets = [{**entry, "labels": {"survey": survey}, "targets": [address]} for survey, address in daemons.items()]
    put(folder / "targets/twinpeak.yml", targets)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
