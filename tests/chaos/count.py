#!/usr/bin/env python3
"""Counts what became of each message after a storm: count.py FOLDER

Reads all topics of FOLDER's broker with Kafka's own Java console consumer, and holds what is there against
FOLDER/messages.jsonl: one end-of-image record with all its rows and masks, or one rejection, for each message. The
last line is `lost N doubled N rejected N`; exit 0 only if nothing is lost or doubled and each rejection is due.
"""

import base64
import collections
import concurrent.futures
import dataclasses
import hashlib
import io
import json
import pathlib
import re
import subprocess
import sys
import urllib.parse
import urllib.request

import fastavro

from daemon import FIGURES

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOPICS = ["new-images", "sources-v1", "masks-v1", "images-v1", "rejected"]


@dataclasses.dataclass
class Record:
    partition: int
    offset: int
    headers: dict
    key: str
    value: bytes

    @property
    def at(self):
        return self.partition, self.offset


def unescaped(text):
    """Kafka's way to print bytes: plain characters, all others (and the backslash) as \\xHH."""
    return re.sub(rb"\\x([0-9A-F]{2})", lambda hit: bytes.fromhex(hit[1].decode()), text.encode("latin-1"))


def parsed(line):
    """One line of `kafka.sh read`."""
    partition, offset, headers, key, value = line.split("\t", 4)
    ours = dict(re.findall(r"(?:^|,)(twinpeak\.[a-z0-9-]+):([^,]*)", headers))
    return Record(int(partition.split(":")[1]), int(offset.split(":")[1]), ours, key, unescaped(value))


def read(folder, topic):
    command = [ROOT / "deploy" / "kafka.sh", "read", f"twinpeak.sdss.{topic}", "--dir", folder / "kafka"]
    if topic != "sources-v1":
        command.append("--value")
    out = subprocess.run(command, stdout=subprocess.PIPE, encoding="latin-1", check=True).stdout
    return [parsed(line) for line in out.split("\n") if line]


def decoder(name):
    """Of a topic's values: Avro with the single-object encoding's ten bytes before it, the last eight of which say by
    which published schema it was written."""
    schemas = {}
    for file in (ROOT / "deploy" / "schemas").glob(f"{name}-v1.*.avsc"):
        schema = json.loads(file.read_text())
        crc = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "CRC-64-AVRO")
        schemas[bytes.fromhex(crc)] = fastavro.parse_schema(schema)

    def decode(value):
        if value[:2] != b"\xc3\x01":
            raise ValueError(f"a value on the topic of {name}s is not in the single-object encoding")
        return fastavro.schemaless_reader(io.BytesIO(value[10:]), schemas[value[2:10]])

    return decode


# A life of fewer samples in a quarter says nothing of growth.
LIFE_MIN = 24


@dataclasses.dataclass
class Verdict:
    """A line for each thing that is wrong, and for each message that was rejected."""

    lost: list = dataclasses.field(default_factory=list)
    doubled: list = dataclasses.field(default_factory=list)
    rejected: list = dataclasses.field(default_factory=list)
    # Of which those that were in work at two deaths of a daemon: they are good, and set aside by design.
    innocent: list = dataclasses.field(default_factory=list)
    # Rejected for another reason than is due, or not at all; records of images that nobody sent.
    wrong: list = dataclasses.field(default_factory=list)

    def holds(self):
        return not (self.lost or self.doubled or self.wrong)


def judge(messages, topics, image_of, mask_of):
    """Holds the records of all topics against the messages; `image_of` and `mask_of` decode values."""
    verdict = Verdict()
    by_image = {topic: collections.defaultdict(list) for topic in ("sources-v1", "masks-v1", "images-v1")}
    for topic, found in by_image.items():
        for record in topics[topic]:
            found[record.key].append(record)
    rejections = collections.defaultdict(list)
    for record in topics["rejected"]:
        origin = record.headers.get("twinpeak.partition"), record.headers.get("twinpeak.offset")
        rejections[origin].append(record)
    arrivals = collections.defaultdict(list)
    for record in topics["new-images"]:
        arrivals[record.key].append(record)

    for message in messages:
        name = f"message {message['number']} ({message['kind']}, {message['image']})"
        arrived = arrivals.pop(str(message["number"]), [])
        if len(arrived) != 1:
            verdict.wrong.append(f"{name} was sent {len(arrived)} times")
            continue
        value, at = arrived[0].value, arrived[0].at
        rejected = rejections.pop(tuple(map(str, at)), [])
        rows, masks, ends = (found.pop(message["image"], []) for found in by_image.values())
        outcomes = len(ends) + len(rejected)
        if outcomes == 0:
            verdict.lost.append(f"{name}: neither rows nor a rejection, {len(rows)} rows without an end of image")
        elif outcomes > 1:
            verdict.doubled.append(f"{name}: {len(ends)} ends of image and {len(rejected)} rejections")
        elif ends:
            judge_image(verdict, name, image_of(ends[0].value), rows, [mask_of(mask.value) for mask in masks])
            if message["reason"]:
                verdict.wrong.append(f"{name} should have been rejected as {message['reason']}")
        else:
            judge_rejection(verdict, name, message, rejected[0], value)
            if rows or masks:
                verdict.wrong.append(f"{name} is rejected and has {len(rows)} rows and {len(masks)} masks")
    strangers = [*arrivals, *rejections, *(image for found in by_image.values() for image in found)]
    verdict.wrong.extend(f"nobody sent {stranger}, but it has records" for stranger in strangers)
    return verdict


def judge_image(verdict, name, end, rows, masks):
    for what, there, due in (("rows", len(rows), end["rows"]), ("masks", len(masks), end["masks"])):
        if there != due:
            (verdict.lost if there < due else verdict.doubled).append(f"{name}: {there} {what} of {due}")
    for mask in masks:
        if mask.get("modelHash") != end.get("modelHash"):
            verdict.wrong.append(f"{name}: its masks and its end are of two models")
        problem = mask_problem(mask)
        if problem:
            verdict.lost.append(f"{name}: {problem}")


def judge_rejection(verdict, name, message, rejected, value):
    reason = rejected.headers.get("twinpeak.reason")
    line = f"{name}: {reason}"
    verdict.rejected.append(line)
    if reason == "crashed" and message["reason"] != "crashed":
        verdict.innocent.append(line)
    elif reason != message["reason"]:
        due = f"{message['reason']} was due" if message["reason"] else "it is good"
        verdict.wrong.append(f"{line}, but {due}")
    if rejected.value != value:
        verdict.lost.append(f"{name}: the rejection does not hold the message as it came")


def path_of(uri):
    return pathlib.Path(urllib.request.url2pathname(urllib.parse.urlparse(uri).path))


def mask_problem(mask):
    try:
        data = mask["bytes"] if mask["uri"] is None else path_of(mask["uri"]).read_bytes()
    except OSError as error:
        return f"its masks are not there: {error}"
    same = hashlib.sha256(data).hexdigest() == mask["sha256"]
    return None if same else f"its masks are not those announced: {mask['uri'] or 'in the message'}"


def growth(samples):
    """Of each long life: its memory, descriptors and threads over its second quarter and over its last, medians.

    The first quarter is left out: nets are loaded and caches filled.
    """
    lives = collections.defaultdict(list)
    for sample in samples:
        lives[sample["life"]].append(sample)
    found = []
    for life, all_of_it in lives.items():
        quarter = len(all_of_it) // 4
        if quarter < LIFE_MIN:
            continue
        early, late = all_of_it[quarter : 2 * quarter], all_of_it[-quarter:]
        median = lambda part, name: sorted(sample[name] for sample in part)[len(part) // 2]
        found.append((life, {name: (median(early, name), median(late, name)) for name in FIGURES}))
    return found


def flat(early, late):
    """Memory may wander by a tenth, descriptors and threads by the few of a connection."""
    return late <= max(1.1 * early, early + 8)


def main(folder):
    messages = [json.loads(line) for line in (folder / "messages.jsonl").open()]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        topics = dict(zip(TOPICS, pool.map(lambda topic: read(folder, topic), TOPICS)))
    image_of, mask_of = decoder("image"), decoder("mask")
    verdict = judge(messages, topics, image_of, mask_of)

    named = {path_of(mask["uri"]) for mask in (mask_of(record.value) for record in topics["masks-v1"]) if mask["uri"]}
    objects = set((folder / "disk" / "objects").glob("[0-9a-f][0-9a-f]/*"))
    claims = list((folder / "disk" / "state").rglob("*.json"))
    events = collections.Counter(json.loads(line)["kind"] for line in (folder / "events.jsonl").open())
    logs = "".join((folder / f"{name}.log").read_text(errors="replace") for name in "ab")
    for what in ("wrong", "lost", "doubled"):
        for line in getattr(verdict, what):
            print(f"{what.upper()}: {line}")
    for line in verdict.rejected:
        print(f"rejected{', in work at two deaths' if line in verdict.innocent else ''}: {line}")
    for path in sorted(objects - named):
        print(f"orphan: {path}")
    told = {  # as the daemons' logs tell it
        "starts": '"ready"',
        "rebalances": "partitions assigned",
        "transactions given up": "transaction aborted",
        "sessions built anew": "is lost, and built anew",
    }
    models = collections.Counter(image_of(record.value)["modelVersion"] for record in topics["images-v1"])
    print("images by model:", ", ".join(f"{model} {images}" for model, images in sorted(models.items())))
    print("events:", ", ".join(f"{kind.replace('_', ' ')} {times}" for kind, times in sorted(events.items())))
    print("daemons:", ", ".join(f"{what} {logs.count(words)}" for what, words in told.items()))
    samples = folder / "samples.jsonl"
    steady = True
    for life, figures in growth(map(json.loads, samples.open()) if samples.exists() else []):
        print(f"life of daemon {life}:", ", ".join(f"{name} {early} -> {late}" for name, (early, late) in figures.items()))
        steady &= all(flat(early, late) for early, late in figures.values())
    if not steady:
        print("WRONG: a daemon grows")
    print(
        f"messages {len(messages)}, rows {len(topics['sources-v1'])}, claim checks {len(named)},"
        f" orphans {len(objects - named)}, attempts still noted {len(claims)}"
    )
    print(f"lost {len(verdict.lost)} doubled {len(verdict.doubled)} rejected {len(verdict.rejected)}")
    # A good message is set aside only after two deaths of a daemon, and nothing may be left behind. But where the model
    # was switched: a daemon whose message was taken from it may have put masks of the other model, which nobody knows of.
    left = len(objects - named) <= events["switch_model"]
    tidy = len(verdict.innocent) <= events["kill_daemon"] and left and not claims
    return 0 if verdict.holds() and tidy and steady else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
