//! Messages, judged by others: the published schema by an independent validator (jsonschema, from `.venv`), and the
//! parsers by all that the fuzzers (`tests/fuzz`) keep.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use twinpeak_core::survey::Survey;
use twinpeak_stream::message::{self, Message};

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn schema() -> Value {
    let file = root().join(format!("deploy/schemas/new-image-v{}.json", message::SCHEMA_VERSION));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn is_read(message: &Value) -> bool {
    let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap();
    matches!(message::parse(message.to_string().as_bytes(), &survey), Ok(Message::NewImage(_)))
}

/// A message with every field there is.
fn full() -> Value {
    let uri = |band: &str| format!("file:///night/a%20b/frame-{band}-003918-3-0213.fits.bz2");
    json!({
        "schema_version": "1.1", "image_id": "003918-3-0213", "observed_at": 53240.125,
        "bands": {"u": uri("u"), "g": uri("g"), "r": uri("r"), "i": uri("i"), "z": uri("z")},
        "run": 3918, "rerun": 301, "camcol": 3, "field": 213,
        "weights": {"r": "s3://night/r.weight.fits"}, "masks": {"r": {"uri": "s3://night/r.mask.fits", "hdu": "MASK"}},
    })
}

#[test]
fn the_schema_has_the_fields_that_are_read() {
    let (schema, full) = (schema(), full());
    let keys = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&schema["properties"]), keys(&full));
    assert!(is_read(&full));
    for key in keys(&full) {
        let mut without = full.clone();
        without.as_object_mut().unwrap().remove(&key);
        let required = schema["required"].as_array().unwrap().contains(&json!(key));
        assert_eq!(is_read(&without), !required, "{key}");
        let mut of_other_type = full.clone();
        of_other_type[&key] = json!(true);
        assert!(!is_read(&of_other_type), "{key} is not read");
        assert!(schema["properties"][&key]["description"].is_string(), "{key} has no description");
    }
}

/// The full message and others of it, and whether each is sound.
fn examples() -> Vec<(Value, bool)> {
    let changed = |pointer: &str, value: Value| {
        let mut message = full();
        let (object, key) = pointer.rsplit_once('/').unwrap();
        message.pointer_mut(object).unwrap()[key] = value;
        message
    };
    let place =
        |hdu: Value| changed("/bands/r", json!({"uri": "file:///frame-r-003918-3-0213.fits", "hdu": hdu, "future": 1}));
    let r = |place: &str| changed("/bands/r", json!(format!("{place}/frame-r-003918-3-0213.fits")));
    vec![
        (full(), true),
        (changed("/schema_version", json!("1.0")), true),
        (changed("/schema_version", json!("1.12")), true),
        (place(json!(0)), true),
        (place(json!("SCI,2")), true),
        (place(Value::Null), true),
        (place(json!(-1)), false),
        (place(json!(1.5)), false),
        (place(json!(["SCI"])), false),
        (changed("/bands/r", json!({"hdu": 1})), false),
        (changed("/bands/r", json!({"uri": "http://host", "hdu": 1})), false),
        (changed("/future", json!({"any": [1]})), true),
        (changed("/observed_at", Value::Null), true),
        (changed("/observed_at", json!(-1e300)), true),
        (changed("/masks", json!({})), true),
        (changed("/weights", Value::Null), true),
        (r("s3://night.2026/a=b/c+d"), true),
        (r("file:///a/...b/.c"), true),
        (json!([]), false),
        (json!({}), false),
        (changed("/bands", json!({})), false),
        (changed("/bands/y", json!("file:///a")), false),
        (changed("/bands/r", json!(7)), false),
        (changed("/bands", json!([])), false),
        (changed("/schema_version", json!("2.0")), false),
        (changed("/schema_version", json!("1.00")), false),
        (changed("/schema_version", json!(1.0)), false),
        (changed("/image_id", json!(".hidden")), false),
        (changed("/image_id", json!("a/b")), false),
        (changed("/image_id", json!("a".repeat(129))), false),
        (changed("/observed_at", json!("now")), false),
        (changed("/run", json!(-1)), false),
        (changed("/field", json!(1.5)), false),
        (changed("/camcol", json!(4_294_967_296_u64)), false),
        (changed("/weights", json!({"r": "relative"})), false),
        (r("http://host"), false),
        (r("file://host"), false),
        (r("file:///a/.."), false),
        (r("file:///a/./b"), false),
        (r("file:///a/"), false),
        (r("file:///a?b"), false),
        (r("file:///a#b"), false),
        (r("file:///a\u{7}"), false),
        (r("s3://UPPER"), false),
        (r("s3://me:password@night"), false),
    ]
}

#[test]
fn the_schema_and_the_parser_agree() {
    for (message, sound) in examples() {
        assert_eq!(is_read(&message), sound, "{message}");
    }
    let python = root().join(".venv/bin/python");
    if !python.exists() {
        return eprintln!("SKIPPED: no jsonschema at {} (deploy/setup.sh --tests installs it)", python.display());
    }
    let judge = "
import json, sys, jsonschema
schema, examples = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for message, sound in examples:
    assert validator.is_valid(message) == sound, (sound, message)
";
    let mut child =
        Command::new(python).args(["-c", judge]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!([schema(), examples()]).to_string().as_bytes()).unwrap();
    let judged = child.wait_with_output().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
}

/// Whatever a fuzzer once found interesting, in the order of names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = root().join("tests/fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file: &PathBuf| fs::read(Path::new(file)).unwrap()).collect()
}

#[test]
fn the_fuzzers_corpora_hold_the_laws() {
    corpus("message").iter().for_each(|bytes| crate::laws::message(bytes));
    corpus("notification").iter().for_each(|bytes| crate::laws::notification(bytes));
    corpus("uri").iter().for_each(|bytes| crate::laws::uri(bytes));
    corpus("configuration").iter().for_each(|bytes| crate::laws::configuration(bytes));
    corpus("header").iter().for_each(|bytes| crate::laws::header(bytes));
    corpus("frame").iter().for_each(|bytes| crate::laws::frame(".fz", bytes));
}
