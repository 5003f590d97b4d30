//! A real schema registry: the daemon registers its schemas, and what it writes is read by what the registry says.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use serde_json::Value;

use super::{Consumer, readiness, terminate};
use crate::common::broker::{Broker, Seen};
use crate::common::http::get;
use crate::common::site::{LONGEST_RECORD, Site};
use crate::common::{night, until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registry.sh");

/// Apicurio's, which speaks Confluent's way; stops when dropped.
struct Registry {
    folder: tempfile::TempDir,
    url: String,
}

impl Registry {
    /// None, loudly, where it cannot be had.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let started = script("start", folder.path()).stderr(Stdio::inherit()).output().unwrap();
        if !started.status.success() {
            eprintln!("SKIPPED: tests/registry.sh gives no schema registry");
            return None;
        }
        Some(Self { folder, url: String::from_utf8(started.stdout).unwrap().trim().to_owned() })
    }

    /// What it answers.
    fn get(&self, path: &str) -> Value {
        let (address, base) = self.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (status, body) = get(address, &format!("/{base}/{path}"));
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = script("stop", self.folder.path()).status();
    }
}

fn script(command: &str, folder: &Path) -> Command {
    let mut script = Command::new(SCRIPT);
    script.args([command, "--dir"]).arg(folder);
    script
}

/// Reads a record by the schema that the registry has for it.
fn decoded(registry: &Registry, record: &Seen) -> Value {
    assert_eq!(record.payload[0], 0, "Confluent's wire format");
    let id = u32::from_be_bytes(record.payload[1..5].try_into().unwrap());
    let schema = registry.get(&format!("schemas/ids/{id}"));
    let schema = Schema::parse_str(schema["schema"].as_str().unwrap()).unwrap();
    let (reader, mut datum) = (GenericDatumReader::builder(&schema).build().unwrap(), &record.payload[5..]);
    let value = reader.read_value(&mut datum).unwrap();
    assert!(datum.is_empty(), "all of it");
    value.try_into().unwrap()
}

#[test]
fn a_real_registry_has_the_schemas_and_a_consumer_reads_by_them() {
    let Some(registry) = Registry::start() else { return };
    let (broker, setting) = (Broker::start(&[]), format!("kafka.schema_registry={}", registry.url));
    let site = Site::new(&broker, "twinpeak", 2, LONGEST_RECORD);
    site.announce(&night()[0]);
    site.work_off(&[&setting]);
    let subjects = registry.get("subjects");
    let subjects: BTreeSet<_> = subjects.as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    let topics = [&site.topics.sources, &site.topics.masks, &site.topics.images];
    let expected = topics.map(|topic| format!("{topic}-value"));
    assert_eq!(subjects, expected.iter().map(String::as_str).collect());

    let [sources, masks, images, rejected] = site.records();
    let end = decoded(&registry, &images[0]);
    assert_eq!((images.len(), rejected.len(), end["rows"].as_u64()), (1, 0, Some(sources.len() as u64)));
    for record in sources.iter().chain(&masks).chain(&images) {
        assert_eq!(decoded(&registry, record)["imageId"], night()[0].id.as_str());
    }

    // What is registered already keeps its ids, and a daemon waits for the registry.
    let heads = |records: &[Seen]| records.iter().map(|r| r.payload[..5].to_vec()).collect::<BTreeSet<_>>();
    let (daemon, address) = site.start(&[&setting]);
    until("readiness", || readiness(&address).0);
    site.announce(&night()[1]);
    site.until_visible(2, 0);
    terminate(daemon);
    let again = site.records();
    assert_eq!((heads(&again[0]), heads(&again[2])), (heads(&sources), heads(&images)));

    let Some(read) = (Consumer { broker: &broker, images: 2, registry: Some(&registry.url) }).run() else { return };
    assert!(read.status.success(), "{read:?}");
}
