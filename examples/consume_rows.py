#!/usr/bin/env python3
"""A survey's rows and masks as a downstream program reads them: consume_rows.py BOOTSTRAP SURVEY

Needs confluent-kafka and fastavro. Says when a result is complete: its end-of-image record is there, and as many rows and
masks as that names. No order holds across topics, so the record may come first. A result is one image under one model,
from one set of input files: these three stand in every record. An image that is sent twice gives the same result twice,
so rows are kept by sourceId within it; sent again under another model, it is a result of its own. Who keeps one
result an image replaces all its rows at once: the later model may have found fewer sources.
Masks that are not in their message are read from file:// alone; for s3://, get them with a client of the store's.
"""

import argparse, collections, hashlib, io, json, pathlib, sys, time, urllib.parse, urllib.request
import confluent_kafka, fastavro

arg = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arg.add_argument("bootstrap"), arg.add_argument("survey")
arg.add_argument("--until", type=int, default=0, metavar="RESULTS", help="end once that many are complete")
arg.add_argument("--idle-s", type=float, default=float("inf"), help="end after that long without a message")
arg.add_argument("--registry", help="URL of the schema registry, where the survey has one")
arg.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of librdkafka's")
args = arg.parse_args()

schemas = {}  # by what stands before the datum: C3 01 and a fingerprint of the schema, or 0 and the registry's id of it
beside = pathlib.Path(__file__).parent.parent  # the repository, or where the package puts its documents
for file in [*(beside / "deploy/schemas").glob("*.avsc"), *(beside / "schemas").glob("*.avsc")]:
    schema = json.loads(file.read_text())
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    schemas[b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))] = fastavro.parse_schema(schema)

def decoded(message):
    prefix = message[: 5 if message[0] == 0 else 10]
    if prefix not in schemas and prefix[0] == 0 and args.registry:
        with urllib.request.urlopen(f"{args.registry}/schemas/ids/{int.from_bytes(prefix[1:], 'big')}") as answer:
            schemas[prefix] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    if prefix not in schemas:
        sys.exit(f"a record of an unknown schema, {prefix.hex()}: is --registry missing, or is another survey's meant?")
    return fastavro.schemaless_reader(io.BytesIO(message[len(prefix) :]), schemas[prefix])

def checked(mask):
    uri = urllib.parse.urlparse(mask["uri"] or "")
    data = mask["bytes"] if mask["uri"] is None else pathlib.Path(urllib.request.url2pathname(uri.path)).read_bytes()
    if hashlib.sha256(data).hexdigest() != mask["sha256"]:
        sys.exit(f"mask of {mask['imageId']} is not the one announced: {mask['uri'] or 'in the message'}")
    return data

Result = collections.namedtuple("Result", "imageId modelHash inputHash")
rows, masks, ends, complete = collections.defaultdict(dict), collections.defaultdict(dict), {}, set()
topics = {f"twinpeak.{args.survey}.{what}-v1": what for what in ("sources", "masks", "images")}
consumer = confluent_kafka.Consumer({
    "bootstrap.servers": args.bootstrap, "group.id": f"example-{args.survey}", "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",  # else rows of aborted transactions are seen
    "enable.auto.commit": False,  # what is read lives in memory alone: read all again at the next start
    **dict(setting.split("=", 1) for setting in args.set)})
consumer.subscribe(list(topics))
news = time.monotonic()
while time.monotonic() - news < args.idle_s and not 0 < args.until <= len(complete):
    message = consumer.poll(0.5)
    if message is None:
        continue
    if message.error():
        print(message.error(), file=sys.stderr)
        continue
    news, record = time.monotonic(), decoded(message.value())
    result = Result(*(record[part] for part in Result._fields))
    match topics[message.topic()]:
        case "sources": rows[result][record["sourceId"]] = record
        case "masks": masks[result][record["sha256"]] = checked(record)
        case "images": ends[result] = record
    end = ends.get(result)
    if result not in complete and end and len(rows[result]) >= end["rows"] and len(masks[result]) >= end["masks"]:
        complete.add(result)
        print(f"image complete: {result.imageId}, {end['rows']} rows, {end['masks']} masks, model {end['modelVersion']} "
              f"({result.modelHash[:8]})", flush=True)
consumer.close()
for result in sorted((rows.keys() | masks.keys() | ends.keys()) - complete):
    print(f"not complete: {result.imageId}, {len(rows[result])} rows, {len(masks[result])} masks, model {result.modelHash[:8]}, "
          f"end of image {'seen' if result in ends else 'not seen'}")
sys.exit(len(complete) < args.until)
