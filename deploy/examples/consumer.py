#!/usr/bin/env python3
"""A survey's rows and masks as a downstream program reads them: consumer.py BOOTSTRAP SURVEY (pip: confluent-kafka, fastavro)

Says when an image is complete: its end-of-image record is there, and as many rows and masks as that names. No order
holds across topics, so the record may come first. Rows are kept by sourceId: an image sent twice gives the same ones.
Masks that are not in their message are read from file:// alone; for s3://, get them with a client of the store's.
"""

import argparse, collections, hashlib, io, json, pathlib, sys, time, urllib.parse, urllib.request
import confluent_kafka, fastavro

arg = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arg.add_argument("bootstrap"), arg.add_argument("survey")
arg.add_argument("--until", type=int, default=0, metavar="IMAGES", help="end once that many are complete")
arg.add_argument("--idle-s", type=float, default=float("inf"), help="end after that long without a message")
arg.add_argument("--registry", help="URL of the schema registry, where the survey has one")
arg.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of librdkafka's")
args = arg.parse_args()

schemas = {}  # by what stands before the datum: C3 01 and a fingerprint of the schema, or 0 and the registry's id of it
for file in (pathlib.Path(__file__).parent.parent / "schemas").glob("*.avsc"):
    schema = json.loads(file.read_text())
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    schemas[b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))] = fastavro.parse_schema(schema)

def decoded(message):
    prefix = message[: 5 if message[0] == 0 else 10]
    if prefix not in schemas and prefix[0] == 0 and args.registry:
        with urllib.request.urlopen(f"{args.registry}/schemas/ids/{int.from_bytes(prefix[1:], 'big')}") as answer:
            schemas[prefix] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return fastavro.schemaless_reader(io.BytesIO(message[len(prefix) :]), schemas[prefix])

def checked(mask):
    uri = urllib.parse.urlparse(mask["uri"] or "")
    data = mask["bytes"] if mask["uri"] is None else pathlib.Path(urllib.request.url2pathname(uri.path)).read_bytes()
    if hashlib.sha256(data).hexdigest() != mask["sha256"]:
        sys.exit(f"mask of {mask['imageId']} is not the one announced: {mask['uri'] or 'in the message'}")
    return data

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
    image = record["imageId"]
    match topics[message.topic()]:
        case "sources": rows[image][record["sourceId"]] = record
        case "masks": masks[image][record["sha256"]] = checked(record)
        case "images": ends[image] = record
    end = ends.get(image)
    if image not in complete and end and len(rows[image]) >= end["rows"] and len(masks[image]) >= end["masks"]:
        complete.add(image)
        print(f"image complete: {image}, {end['rows']} rows, {end['masks']} masks", flush=True)
consumer.close()
for image in sorted((rows.keys() | masks.keys() | ends.keys()) - complete):
    print(f"not complete: {image}, {len(rows[image])} rows, {len(masks[image])} masks, end of image {'seen' if image in ends else 'not seen'}")
sys.exit(len(complete) < args.until)
