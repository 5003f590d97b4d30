#!/usr/bin/env python3
"""The messages of a stormy night, and the files they name: night.py FOLDER FIELDS SEED TWINPEAK

A few small simulated fields stand for FIELDS of them, by links under other names. Mixed in are messages that must be
rejected, among them one whose files are as large as the limits allow: with the memory that the daemons get here, it
kills them. FOLDER/messages.jsonl, written last, has a message a line: what is sent, and what must become of it.
"""

import base64
import json
import os
import pathlib
import random
import subprocess
import sys
import time

BANDS = "ugriz"
SIMULATED = 8
SIDE_PX = 256
# 4 bytes a pixel: just under input.max_file_bytes, and five of them over the daemons' memory.
DEADLY_SIDE_PX = 8000
DAY_MS = 86_400_000


class Night:
    """Makes messages; each kind is a method that gives the value and, where it matters, the time of sending."""

    def __init__(self, folder, seed):
        self.sky, self.frames = folder / "sky", folder / "frames"
        self.random = random.Random(f"night {seed}")
        self.frames.mkdir(exist_ok=True)
        self.originals = sorted({path.stem.split("-", 2)[2] for path in self.sky.glob("frame-*.fits")})

    def linked(self, image):
        """The five files of an image: links to a simulated field's."""
        original = self.random.choice(self.originals)
        files = {band: self.frames / f"frame-{band}-{image}.fits" for band in BANDS}
        for band, file in files.items():
            file.unlink(missing_ok=True)
            file.hardlink_to(self.sky / f"frame-{band}-{original}.fits")
        return files

    def message(self, image, files, version="1.0"):
        bands = {band: f"file://{file}" for band, file in files.items()}
        return json.dumps({"schema_version": version, "image_id": image, "bands": bands}).encode()

    def good(self, image):
        return self.message(image, self.linked(image)), None

    def truncated(self, image):
        files = self.linked(image)
        band = self.random.choice(BANDS)
        whole = files[band].read_bytes()
        files[band].unlink()
        files[band].write_bytes(whole[: self.random.randrange(3000, len(whole) // 2)])
        return self.message(image, files), None

    def without_a_band(self, image):
        files = self.linked(image)
        files[self.random.choice(BANDS)].unlink()
        return self.message(image, files), None

    def garbage(self, image):
        return self.random.choice([b"", b"\xff\xfe\x00", b"[" * 5000, b'{"schema_version": "1.0"', b"null"]), None

    def of_another_version(self, image):
        return self.message(image, self.linked(image), version="7.0"), None

    def out_of_bounds(self, image):
        return self.message(image, {band: f"/etc/frame-{band}-{image}.fits" for band in BANDS}), None

    def old(self, image):
        return self.good(image)[0], int(time.time() * 1000) - 40 * DAY_MS

    def deadly(self, image):
        """Files of zeros that take no room on the disk."""
        files = self.linked(image)
        for file in files.values():
            small = file.read_bytes()
            file.unlink()
            pixels = SIDE_PX * SIDE_PX * 4
            header_end = (small.index(b"END".ljust(80)) // 2880 + 1) * 2880
            header = small[:header_end]
            for axis in (1, 2):
                card = f"NAXIS{axis}  = "
                header = header.replace(f"{card}{SIDE_PX:20}".encode(), f"{card}{DEADLY_SIDE_PX:20}".encode())
            padded = -(-(DEADLY_SIDE_PX**2 * 4) // 2880) * 2880
            with file.open("wb") as out:
                out.write(header)
                out.seek(header_end + padded)
                out.write(small[header_end + -(-pixels // 2880) * 2880 :])
        return self.message(image, files), None


# What is wrong with a message, and the reason with which it must be rejected.
BAD = {
    "truncated": "truncated",
    "without_a_band": "missing_band",
    "garbage": "bad_message",
    "of_another_version": "bad_message",
    "out_of_bounds": "forbidden",
    "old": "too_old",
}


def main(folder, fields, seed, twinpeak):
    simulate = [twinpeak, "simulate", "--plain", "--out", folder / "sky", "--fields", str(min(fields, SIMULATED))]
    size = ["--width", str(SIDE_PX), "--height", str(SIDE_PX), "--seed", str(seed)]
    subprocess.run([*simulate, *size], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    night = Night(folder, seed)
    bad = [kind for _, kind in zip(range(max(len(BAD), fields // 10)), [*BAD] * fields)]
    kinds = ["good"] * fields + bad + ["deadly"]
    night.random.shuffle(kinds)
    part = folder / "messages.part"
    with part.open("w") as out:
        for number, kind in enumerate(kinds):
            image = f"{700000 + number}-1-0001"
            value, timestamp_ms = getattr(night, kind)(image)
            reason = "crashed" if kind == "deadly" else BAD.get(kind)
            line = {"number": number, "kind": kind, "image": image, "reason": reason, "timestamp_ms": timestamp_ms}
            print(json.dumps({**line, "value": base64.b64encode(value).decode()}), file=out)
    os.replace(part, folder / "messages.jsonl")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
