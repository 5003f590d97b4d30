#!/usr/bin/env python3
"""Holds the licences of all crates in the program against .cargo/deny.toml, without cargo-deny: licences.py DENY.toml < METADATA

METADATA is `cargo metadata --format-version 1 --filter-platform ...`. An expression passes if a choice of it does.
"""

import json
import pathlib
import sys
import tomllib

from boolean.boolean import AND, OR
from license_expression import get_spdx_licensing

PARSE = get_spdx_licensing().parse


def passes(expression, allowed):
    if isinstance(expression, OR):
        return any(passes(part, allowed) for part in expression.args)
    if isinstance(expression, AND):
        return all(passes(part, allowed) for part in expression.args)
    return str(expression) in allowed


def in_the_program(metadata):
    """What the program is built from: not what its tests alone need."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    seen, open_ids = set(), [metadata["resolve"]["root"]]
    while open_ids:
        if (one := open_ids.pop()) not in seen:
            seen.add(one)
            open_ids += [d["pkg"] for d in nodes[one]["deps"] if any(kind["kind"] != "dev" for kind in d["dep_kinds"])]
    return [package for package in metadata["packages"] if package["id"] in seen and package["source"]]


def main(deny):
    rules = tomllib.loads(pathlib.Path(deny).read_text())
    excepted = {rule["name"]: rule["allow"] for rule in rules["licenses"]["exceptions"]}
    banned = {rule["name"] for rule in rules["bans"]["deny"]}
    registries = {f"registry+{url}" for url in rules["sources"]["allow-registry"]}
    packages, wrong = in_the_program(json.load(sys.stdin)), []
    for package in packages:
        allowed = {*rules["licenses"]["allow"], *excepted.get(package["name"], [])}
        licence = (package["license"] or "none").replace("/", " OR ")
        if not passes(PARSE(licence), allowed):
            wrong.append(f"{package['name']}: {licence} is not allowed")
        if package["name"] in banned:
            wrong.append(f"{package['name']} is banned")
        if package["source"] not in registries:
            wrong.append(f"{package['name']} comes from {package['source']}")
    print(f"{len(packages)} crates", *wrong, sep="\n")
    return not wrong and len(packages) > 100


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]))
