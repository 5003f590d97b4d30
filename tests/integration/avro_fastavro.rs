//! The stream's records, judged by an independent reader: fastavro, from `.venv`. What it reads is, number for
//! number, what the same products say as Parquet and FITS.

use std::collections::BTreeMap;
use std::fs;

use crate::common::program::{command, start};
use twinpeak_core::catalog::columns;
use twinpeak_core::outcome::{Finished, Outcome, Stage};
use twinpeak_formats::avro::{AvroEncoder, Framing, Mask, MaskBody};
use twinpeak_formats::fits;

/// The folder's files: schemas, messages (each after its length, 4 bytes big-endian), the container, the tables.
#[test]
fn messages_and_container_are_read_by_fastavro() {
    let (folder, survey, made) =
        (tempfile::tempdir().unwrap(), crate::products::survey(), crate::products::products(70, 65));
    let wire = AvroEncoder::new(&survey, Framing::SingleObject).unwrap();
    let confluent = Framing::Confluent { source_id: 258, mask_id: 2, image_id: 3 };
    let registered = AvroEncoder::new(&survey, confluent).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let messages = |name: &str, messages: &[&[u8]]| {
        let framed = messages.iter().flat_map(|m| [&(m.len() as u32).to_be_bytes()[..], m].concat());
        write(name, &framed.collect::<Vec<u8>>());
    };
    for (name, schema) in ["source", "mask", "image"].iter().zip(wire.schemas().all()) {
        write(&format!("{name}.avsc"), schema.text().as_bytes());
    }
    let rows = wire.rows(&made.catalog).unwrap();
    messages("source.messages", &rows.iter().collect::<Vec<_>>());
    messages("confluent.messages", &registered.rows(&made.catalog).unwrap().iter().collect::<Vec<_>>());
    let body = fits::masks(&made).unwrap();
    let mask = |body| {
        let mask = Mask { sha256: &"ef".repeat(32), size_bytes: 23040, body };
        wire.mask(&made.catalog.provenance, &mask).unwrap()
    };
    messages("mask.messages", &[&mask(MaskBody::Inline(&body)), &mask(MaskBody::Claim("s3://masks/ef.fits"))]);
    write("masks.fits", &body);
    let finished = Finished {
        image_id: crate::products::image(),
        sequence: 0,
        timings_s: BTreeMap::from([(Stage::Prepare, 0.25)]),
        outcome: Outcome::Nothing,
    };
    messages("image.messages", &[&wire.image(&finished, &made, 1).unwrap()]);
    write("t.catalog.avro", &wire.container(&made.catalog).unwrap());
    let columns = columns(&survey);
    write(
        "t.catalog.parquet",
        &twinpeak_formats::parquet::parquet_table(&made.catalog, &columns, &made.quality).unwrap(),
    );
    write("t.catalog.fits", &fits::catalog_table(&made.catalog, &columns, &survey, &made.quality).unwrap());
    let read =
        crate::common::python("fastavro, pyarrow, astropy", &[SAME_NUMBERS, MESSAGES].concat(), &[folder.path()]);
    eprintln!("read by fastavro: {read}");
}

#[test]
fn process_writes_avro_on_request_and_it_is_the_same_catalogue() {
    let (frames, out) = (crate::common::frames(1), tempfile::tempdir().unwrap());
    let paths = [frames.path(), out.path()].map(|p| p.to_str().unwrap().to_owned());
    start(command(&["process", &paths[0], "--out", &paths[1], "--avro"])).wait().assert_code(0);
    let id = &crate::common::night()[0].id;
    let record = crate::common::results::record(out.path(), id);
    let listed = record["files"].as_array().unwrap().iter().any(|f| f["name"] == format!("{id}.catalog.avro"));
    assert!(listed && record["rows"].as_u64() > Some(5), "{record}");
    let script = [SAME_NUMBERS, "\nassert len(avro) > 5\n"].concat();
    let read = crate::common::python("fastavro, pyarrow, astropy", &script, &[out.path()]);
    eprintln!("read by fastavro: {read}");
}

/// Holds a container against the Parquet and FITS tables beside it: same rows, same bits, same nulls.
const SAME_NUMBERS: &str = r#"
import glob, io, json, struct, sys
import fastavro, numpy as np, pyarrow.parquet as pq
from astropy.io import fits
from fastavro.schema import fingerprint, to_parsing_canonical_form
folder = sys.argv[1]
(path,) = glob.glob(folder + "/*.catalog.avro")
reader = fastavro.reader(open(path, "rb"))
avro = list(reader)
table = pq.read_table(path.replace(".avro", ".parquet"))
described = {d["name"]: d for d in json.loads(table.schema.metadata[b"twinpeak.columns"])}
fields = reader.writer_schema["fields"]
assert [f["name"] for f in fields] == table.column_names
for f in fields:
    d, nullable = described[f["name"]], table.schema.field(f["name"]).nullable
    assert (f["doc"], f["unit"], f["ucd"]) == (d["doc"], d["unit"], d["ucd"]), f
    assert nullable == isinstance(f["type"], list) and f.get("default", 0) == (None if nullable else 0), f
same = lambda a, b: a == b and type(a) == type(b) or isinstance(a, float) and struct.pack("<d", a) == struct.pack("<d", b)
rows = table.to_pylist()
assert len(avro) == len(rows)
for a, p in zip(avro, rows):
    assert a.keys() == p.keys() and all(same(a[k], p[k]) for k in a), (a, p)
with fits.open(path.replace(".avro", ".fits")) as hdus:
    data = hdus["SOURCES"].data
    for name in set(data.names) & set(table.column_names):
        of_fits, null = data[name], hdus["SOURCES"].columns[name].null
        for a, f in zip(avro, of_fits.tolist()):
            missing = f == null if null is not None else f == "" or isinstance(f, float) and np.isnan(f)
            assert same(a[name], f) or a[name] is None and missing, (name, a[name], f)
"#;

/// Holds the messages against the container and the files they carry.
const MESSAGES: &str = r#"
def messages(name):
    data = open(f"{folder}/{name}.messages", "rb").read()
    while data:
        n, data = int.from_bytes(data[:4], "big"), data[4:]
        yield data[:n]
        data = data[n:]

def datum(schema, data):
    stream = io.BytesIO(data)
    record = fastavro.schemaless_reader(stream, schema)
    assert not stream.read(), "bytes left over"
    return record

def records(name):
    schema = json.load(open(f"{folder}/{name}.avsc"))
    crc = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    parsed = fastavro.parse_schema(schema)
    for m in messages(name):
        assert m[:2] == b"\xc3\x01" and m[2:10].hex() == crc, (m[2:10].hex(), crc)
        yield datum(parsed, m[10:])

sources = list(records("source"))
assert sources == avro and len(avro) == 3
parsed = fastavro.parse_schema(json.load(open(f"{folder}/source.avsc")))
for m, a in zip(messages("confluent"), avro, strict=True):
    assert m[:5] == b"\0\0\0\1\2" and datum(parsed, m[5:]) == a
assert b"".join(m[10:] for m in messages("source")) in open(path, "rb").read(), "not byte for byte"
assert [a["starProb"] for a in avro] == [np.float32(.1), np.float32(.2), None] and avro[1]["halfLightRadius"] is None

here, there = records("mask")
assert here["bytes"] == open(f"{folder}/masks.fits", "rb").read() and here["uri"] is None and here["format"] == "fits"
assert there["bytes"] is None and there["uri"] == "s3://masks/ef.fits"
for m in (here, there):
    assert (m["imageId"], m["sha256"], m["sizeBytes"]) == ("003918-3-0213", "ef" * 32, 23040)
    assert m["modelHash"] == "cd" * 32 and m["inputHash"] == "ab" * 32

(end,) = records("image")
counts = {k: end[k] for k in ("rows", "stars", "galaxies", "unclassified", "masks")}
assert counts == dict(rows=3, stars=1, galaxies=1, unclassified=1, masks=1), counts
assert end["midpointMjdTai"] == 52758.200545123 and end["timings"] == {"prepare": .25} and end["survey"] == "sdss"
assert [q["band"] for q in end["quality"]] == list("ugriz")
assert [q["fwhmArcsec"] for q in end["quality"]] == [1.25, 2.25, 3.25, 4.25, 5.25]
assert [q["depth5SigmaMag"] for q in end["quality"]] == [22.5] * 4 + [None]
"#;
