//! The stream through the real program and a real broker: the same bytes as file mode, whatever is sent, wherever
//! the files lie, and whether or not the broker is there.

#[path = "stream/bad.rs"]
mod bad;
#[path = "stream/large.rs"]
mod large;
#[path = "stream/registry.rs"]
mod registry;
#[path = "stream/store.rs"]
mod store;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::common::broker::{Broker, Seen, Sent};
use crate::common::http::get;
use crate::common::program::{Ended, Running, command, start};
use crate::common::site::{LONGEST_RECORD, Site, datum, decoded, measured, readiness};
use crate::common::{interpreter, night, results, until};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Asks a daemon to end; it does so well.
fn terminate(mut daemon: Running) -> Ended {
    daemon.signal("-TERM");
    let ended = daemon.wait();
    ended.assert_code(0);
    ended
}

/// The rows of an Avro container file, without what stands around them.
fn container_data(file: &[u8]) -> Vec<u8> {
    fn long(bytes: &mut &[u8]) -> usize {
        let length = bytes.iter().position(|b| b & 0x80 == 0).unwrap() + 1;
        let (number, rest) = bytes.split_at(length);
        *bytes = rest;
        let zigzag = number.iter().rev().fold(0, |n, b| n << 7 | usize::from(b & 0x7f));
        assert_eq!(zigzag % 2, 0, "no count is negative");
        zigzag / 2
    }
    let marker = &file[file.len() - 16..];
    let header = file.windows(16).position(|w| w == marker).unwrap() + 16;
    let (mut blocks, mut data) = (&file[header..], Vec::new());
    while !blocks.is_empty() {
        long(&mut blocks); // rows
        let length = long(&mut blocks);
        data.extend(&blocks[..length]);
        assert_eq!(&blocks[length..length + 16], marker);
        blocks = &blocks[length + 16..];
    }
    data
}

/// `examples/consume_rows.py` until so many results are complete.
struct Consumer<'a> {
    broker: &'a Broker,
    images: usize,
    registry: Option<&'a str>,
}

impl Consumer<'_> {
    /// None, loudly, where it cannot run.
    fn run(&self) -> Option<Output> {
        let mut example = Command::new(interpreter("confluent_kafka, fastavro")?);
        example.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/consume_rows.py"));
        example.args([&self.broker.bootstrap, "sdss", "--idle-s", "30", "--until", &self.images.to_string()]);
        if let Some(url) = self.registry {
            example.args(["--registry", url]);
        }
        Some(example.output().unwrap())
    }
}

/// Log lines that belong to a message: all that were written while it was in work carry where it lies.
fn assert_told_of(told: &str, message: &Seen, topic: &str) {
    let lines = told.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let ours: Vec<_> = lines.filter(|l| l["span"]["image_id"] == message.key.as_str()).collect();
    for words in ["stage finished", "frame processed"] {
        assert!(ours.iter().any(|l| l["message"] == words), "{words} of {}: {ours:#?}", message.key);
    }
    for line in ours {
        let span = &line["span"];
        let at = (span["topic"].as_str(), span["partition"].as_i64(), span["offset"].as_i64());
        assert_eq!(at, (Some(topic), Some(message.partition.into()), Some(message.offset)), "{line}");
    }
}

/// Holds an image's records against the files that file mode wrote of it.
fn assert_same_as_files(records: &[Vec<Seen>; 4], out: &Path, id: &str) -> Value {
    let of_image = |topic: usize| records[topic].iter().filter(|r| r.key == id).collect::<Vec<_>>();
    let read = |kind: &str| fs::read(out.join(format!("{id}.{kind}"))).unwrap();
    let rows = of_image(0);
    assert!(rows.iter().all(|r| r.partition == rows[0].partition), "an image's rows keep their order");
    let data: Vec<u8> = rows.iter().flat_map(|r| datum(r).to_vec()).collect();
    assert!(data == container_data(&read("catalog.avro")), "rows of {id}");

    let [mask] = of_image(1)[..] else { panic!("masks of {id}") };
    let (mask, expected) = (decoded(mask, "mask"), read("masks.fits"));
    let bytes = match mask["uri"].as_str() {
        Some(uri) => fs::read(uri.strip_prefix("file://").unwrap()).unwrap(),
        None => mask["bytes"].as_array().unwrap().iter().map(|b| b.as_u64().unwrap() as u8).collect(),
    };
    assert!(bytes == expected, "masks of {id}");
    assert_eq!(mask["sha256"], sha256(&expected).as_str());
    assert_eq!(mask["sizeBytes"], expected.len());

    let [end] = of_image(2)[..] else { panic!("ends of {id}") };
    let (end, done) = (decoded(end, "image"), results::record(out, id));
    for count in ["rows", "stars", "galaxies", "unclassified", "tiles"] {
        assert_eq!(end[count], done[count], "{count} of {id}");
    }
    assert_eq!((end["rows"].as_u64(), &end["masks"]), (Some(rows.len() as u64), &1.into()));
    assert!(rows.len() > 5 && end["quality"].as_array().unwrap().len() == 5);
    mask
}

#[test]
fn the_stream_carries_what_file_mode_writes_and_a_consumer_knows_when_it_is_complete() {
    let broker = Broker::shared(&[]);
    let (site, out) = (Site::new(broker, "twinpeak", 3, LONGEST_RECORD), tempfile::tempdir().unwrap());
    night().iter().for_each(|field| field.write(&site.frames()));
    let paths = [site.frames(), out.path().to_owned()].map(|p| p.to_str().unwrap().to_owned());
    start(command(&["process", "--avro", &paths[0], "--out", &paths[1]])).wait().assert_code(0);

    // Two whose masks ride along, by a daemon that is watched; one with a claim check.
    let (daemon, address) = site.start(&["model.segmenter=net", "log.level=debug"]);
    until("readiness", || readiness(&address).0);
    night()[..2].iter().for_each(|field| site.send(&field.id, &site.message(&field.id)));
    site.until_visible(2, 0);
    until("all is committed", || site.is_done());
    assert_eq!(measured(&address, "assigned_partitions"), 3.0);
    until("the lag is known", || get(&address, "/metrics").1.matches("kafka_consumer_lag_messages{").count() == 3);
    until("no lag", || measured(&address, "consumer_lag_messages{") == 0.0);
    let sent_bytes: usize = site.sent().iter().map(|m| m.payload.len()).sum();
    for (series, expected) in [
        ("committed_images_total", 2.0),
        ("latency_seconds_count", 2.0),
        ("commit_seconds_count", measured(&address, "commits_total")),
        ("received_bytes_total", sent_bytes as f64),
        ("aborts_total", 0.0),
        ("fenced_total", 0.0),
    ] {
        assert_eq!(measured(&address, series), expected, "{series}");
    }
    assert!(measured(&address, "commits_total") > 0.0 && measured(&address, "latency_seconds_sum") > 0.0);
    assert!(measured(&address, "rebalances_total") > 0.0 && measured(&address, "committed_bytes_total") > 0.0);
    let ended = terminate(daemon);
    site.sent().iter().for_each(|message| assert_told_of(&ended.told, message, &site.topics.new_images));

    let third = &night()[2].id;
    site.send(third, &site.message(third));
    site.work_off(&["model.segmenter=net", "kafka.inline_mask_bytes=1000", &site.keeps_objects()]);
    let records = site.records();
    let masks = [0, 1, 2].map(|n| assert_same_as_files(&records, out.path(), &night()[n].id));
    let claims = masks.each_ref().map(|mask| mask["uri"].is_string() && mask["bytes"].is_null());
    assert_eq!((claims, records[3].len()), ([false, false, true], 0));

    site.work_off(&[]);
    assert!(site.records() == records, "a daemon that starts again does nothing again");

    let example = Consumer { broker, images: 3, registry: None };
    let Some(read) = example.run() else { return };
    let told = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(read.status.success(), "{read:?}");
    for field in night() {
        let rows = results::record(out.path(), &field.id)["rows"].clone();
        assert!(told.contains(&format!("image complete: {}, {rows} rows, 1 masks, model ", field.id)), "{told}");
    }
    let object = masks[2]["uri"].as_str().unwrap().strip_prefix("file://").unwrap();
    fs::write(object, "not the masks").unwrap();
    let read = example.run().unwrap();
    let told = String::from_utf8_lossy(&read.stderr);
    assert!(!read.status.success() && told.contains("is not the one announced"), "{told}");
}

#[test]
fn topics_that_are_missing_are_named() {
    let broker = Broker::shared(&[]);
    let site = Site::bare(broker, "missing");
    broker.topic(&site.topics.sources, 1, &[]);
    let ended = start(site.daemon(&[])).wait();
    ended.assert_code(9);
    let t = &site.topics;
    let names = [&t.new_images, &t.masks, &t.images, &t.rejected, &t.replayed].map(String::as_str).join(", ");
    let expected = format!("topics are missing: {names}; make them, or set kafka.create_partitions");
    assert!(ended.last_words().ends_with(&expected), "{}", ended.last_words());
}

#[test]
fn a_topic_too_short_for_any_rejection_is_told_at_the_start() {
    let site = Site::new(Broker::shared(&[]), "short", 1, "16383");
    let ended = start(site.daemon(&[])).wait();
    ended.assert_code(9);
    let expected = format!("{} takes records of 16383 bytes at most: raise its", site.topics.rejected);
    assert!(ended.last_words().contains(&expected), "{}", ended.last_words());
}

#[test]
fn a_broker_that_comes_later_is_waited_for_and_one_that_goes_is_told() {
    let broker = Broker::to_come();
    let site = Site::bare(&broker, "later");
    let (mut daemon, address) = site.start(&["kafka.create_partitions=2"]);
    let mut words = String::new();
    until("the reason", || {
        let (ready, told) = readiness(&address);
        assert!(!ready, "{told}");
        words = told;
        words.contains("Connection refused")
    });
    assert!(words.contains(&broker.bootstrap), "{words}");
    assert_eq!(get(&address, "/healthz").0, 200);
    until("failures are counted", || measured(&address, "errors_total") > 0.0);
    assert!(!daemon.ended());

    broker.restart(&["--port", broker.bootstrap.rsplit_once(':').unwrap().1]);
    until("readiness", || readiness(&address).0);
    let field = &night()[0];
    site.announce(field);
    site.send_all(&[Sent { key: "bad", payload: Some(b"no JSON"), ..Sent::default() }]);
    site.until_visible(1, 1);
    terminate(daemon);
    assert!(site.is_done(), "what was done is committed");
    assert_eq!(broker.lag("later", &site.topics.new_images).len(), 2, "partitions as configured");
    let records = site.records();
    site.work_off(&[]);
    assert!(site.records() == records);

    let (daemon, address) = site.start(&[]);
    until("readiness", || readiness(&address).0);
    broker.kill();
    until("the broker's death is reported", || !readiness(&address).0);
    let words = readiness(&address).1;
    assert!(words.contains(&broker.bootstrap), "{words}");
    terminate(daemon);
}
