#!/usr/bin/env python3
"""Adds the libraries that are shipped beside the program to a CycloneDX bill: sbom.py CRATES.json LIBTORCH > BILL.json"""

import hashlib
import json
import pathlib
import sys

# What a library's file name begins with: what it is a part of, and under which licence it comes.
ORIGINS = {
    "libtorch": ("torch", "BSD-3-Clause"),
    "libc10": ("torch", "BSD-3-Clause"),
    "libshm": ("torch", "BSD-3-Clause"),
    "libgomp": ("torch", "GPL-3.0-or-later WITH GCC-exception-3.1"),
}
NVIDIA = ("nvidia-cuda", "LicenseRef-NVIDIA-CUDA-EULA")


def digest(file):
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def is_library(file):
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"  # not a linker's script


def library(file, version):
    origin, licence = next((value for start, value in ORIGINS.items() if file.name.startswith(start)), NVIDIA)
    component = {
        "type": "library",
        "bom-ref": f"file:/usr/lib/twinpeak/{file.name}",
        "name": file.name,
        "version": version if origin == "torch" else file.name.rpartition(".so.")[2] or "unknown",
        "description": f"shipped in /usr/lib/twinpeak; from the wheel {origin} of PyPI",
        "hashes": [{"alg": "SHA-256", "content": digest(file)}],
        "licenses": [{"expression": licence}],
    }
    if origin == "torch":
        component["purl"] = f"pkg:pypi/torch@{version}#{file.name}"
    return component


def main(crates, libtorch):
    # Where it was made is nobody's business, and would make each bill another.
    text = pathlib.Path(crates).read_text().replace(f"file://{pathlib.Path(crates).parent}", "file:///twinpeak")
    bill, libtorch = json.loads(text), pathlib.Path(libtorch)
    version = (libtorch / "build-version").read_text().strip()
    files = sorted(file for file in (libtorch / "lib").glob("lib*.so*") if is_library(file))
    shipped = [library(file, version) for file in files]
    bill["components"] += shipped
    program = bill["metadata"]["component"]["bom-ref"]
    refs = [component["bom-ref"] for component in shipped]
    next(d for d in bill["dependencies"] if d["ref"] == program).setdefault("dependsOn", []).extend(refs)
    bill["dependencies"] += [{"ref": ref} for ref in refs]
    bill["metadata"].pop("timestamp", None)  # the same release gives the same bill
    bill.pop("serialNumber", None)
    json.dump(bill, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
