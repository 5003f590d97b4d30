//! Messages of every bad kind: each is rejected with its reason and as it came, and harms nothing else.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use super::{readiness, terminate};
use crate::common::broker::{Broker, Seen, Sent};
use crate::common::fits::packed;
use crate::common::http::{get, metric};
use crate::common::site::{LONGEST_RECORD, Site, measured};
use crate::common::{night, path_of, until};

/// One kind of bad message.
struct Case {
    /// In words; also its key.
    kind: &'static str,
    /// None: a tombstone.
    payload: Option<Vec<u8>>,
    /// Stage and reason in the rejection.
    stage: &'static str,
    reason: &'static str,
    /// Words of the explanation.
    says: &'static str,
    age_s: i64,
}

fn case(kind: &'static str, reason: &'static str, says: &'static str, payload: impl Into<Vec<u8>>) -> Case {
    Case { kind, payload: Some(payload.into()), stage: "ingest", reason, says, age_s: 0 }
}

/// A good message, changed.
fn changed(good: &Value, change: impl FnOnce(&mut Value)) -> String {
    let mut message = good.clone();
    change(&mut message);
    message.to_string()
}

/// Faults of the message itself.
fn malformed(good: &Value) -> Vec<Case> {
    let put = |field: &'static str, value: Value| changed(good, |m| m[field] = value);
    let deep = "[".repeat(100_000);
    vec![
        case("garbage", "bad_message", "is not UTF-8", *b"\x89PNG\xff\xfe\x00"),
        case("text", "bad_message", "is not the JSON it should be", "see /night/frame-r.fits"),
        Case { payload: None, ..case("a tombstone", "bad_message", "is not the JSON it should be", "") },
        case("a list", "bad_message", "is not the JSON it should be", "[1, 2, 3]"),
        case("of no kind", "bad_message", "neither schema_version nor Records", "{}"),
        case("deep", "bad_message", "nested more than 64 deep", deep.clone()),
        case("deep within", "bad_message", "nested more than 64 deep", format!("{{\"x\":{deep}")),
        case("another version", "bad_message", "major version 1 alone", put("schema_version", "2.0".into())),
        case("a version that is none", "bad_message", "MAJOR.MINOR", put("schema_version", "new".into())),
        case("a bad id", "bad_message", "is no image id", put("image_id", "../../etc".into())),
        case(
            "a missing band",
            "missing_band",
            "bands has no i",
            changed(good, |m| {
                m["bands"].as_object_mut().unwrap().remove("i");
            }),
        ),
        case("a notification of nothing", "bad_message", "record 0 has no s3", {
            json!({"Records": [{"eventName": "ObjectCreated:Put"}]}).to_string()
        }),
        case("too long", "too_large", "more than kafka.max_message_bytes, 200000", vec![b' '; 300_000]),
        Case { age_s: 7200, ..case("too old", "too_old", "more than kafka.max_message_age_s, 3600", good.to_string()) },
    ]
}

/// Places that may not be read.
fn escapes(site: &Site, good: &Value) -> Vec<Case> {
    let id = &night()[0].id;
    let at = |uri: String| changed(good, |m| m["bands"]["u"] = uri.into());
    let name = format!("frame-u-{id}.fits");
    // A folder beside, to which links within the root lead.
    let (frames, outside) = (site.frames(), site.frames().with_file_name("outside"));
    fs::create_dir(&outside).unwrap();
    night()[0].write(&outside);
    fs::create_dir(frames.join("linked")).unwrap();
    symlink(outside.join(&name), frames.join("linked").join(&name)).unwrap();
    symlink(&outside, frames.join("folder")).unwrap();
    let (frames, outside) = (frames.display(), outside.display());
    vec![
        case("up", "forbidden", "part \"..\"", at(format!("file://{frames}/../outside/{name}"))),
        case("up, encoded", "forbidden", "part \"..\"", at(format!("file://{frames}/%2e%2E/outside/{name}"))),
        case("outside", "forbidden", "remote.file_roots", at(format!("file://{outside}/{name}"))),
        case("a link outside", "forbidden", "remote.file_roots", at(format!("file://{frames}/linked/{name}"))),
        case("a linked folder outside", "forbidden", "remote.file_roots", at(format!("file://{frames}/folder/{name}"))),
        case("http", "forbidden", "scheme \"http\" is not allowed", at(format!("http://127.0.0.1:9/{name}"))),
        case("a host", "forbidden", "host \"elsewhere\"", at(format!("file://elsewhere{frames}/{name}"))),
        case("a password", "forbidden", "credentials in a URI", at(format!("s3://me:s3cr3t@night/{name}"))),
        case("a foreign bucket", "forbidden", "not in any of remote.s3_buckets", at(format!("s3://elsewhere/{name}"))),
    ]
}

/// Files that are not what they should be: each case has an image of its own, of which one file is spoiled.
fn spoiled(site: &Site) -> Vec<Case> {
    let frames = site.frames();
    let write = |n: usize, band: &str, ending: &str, spoil: &dyn Fn(&Path)| {
        let id = format!("900000-1-{n:04}");
        night()[0].write_as(&frames, &id);
        let plain = path_of(&frames, band, &id);
        let path = frames.join(format!("frame-{band}-{id}.fits{ending}"));
        fs::rename(plain, &path).unwrap();
        spoil(&path);
        changed(&site.message(&id), |m| m["bands"][band] = format!("file://{}", path.display()).into())
    };
    let zeros = vec![0; 5 << 20];
    let gzip = |path: &Path| {
        let mut to = flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::fast());
        to.write_all(&zeros).unwrap();
        to.finish().unwrap();
    };
    let cut = |path: &Path| fs::File::options().write(true).open(path).unwrap().set_len(10_000).unwrap();
    let replaced_by_folder = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    };
    // What is seen once a file is opened is seen when the frame is prepared.
    let prepared = |case| Case { stage: "prepare", ..case };
    let other = changed(&site.message("900000-1-0006"), |m| m["bands"]["g"] = m["bands"]["r"].clone());
    vec![
        prepared(case("a truncated frame", "truncated", "cut short", write(1, "r", "", &cut))),
        case("a file that is not there", "missing_band", "not found", {
            write(2, "i", "", &|path| fs::remove_file(path).unwrap())
        }),
        case("a folder", "unreadable", "is no regular file", write(3, "z", "", &replaced_by_folder)),
        prepared(case("a gzip bomb", "too_large", "unpacks to more than", write(4, "u", ".gz", &gzip))),
        prepared(case("a bzip2 bomb", "too_large", "unpacks to more than", {
            write(5, "u", ".bz2", &|path| fs::write(path, packed(&zeros)).unwrap())
        })),
        case("another's name", "band_mismatch", "is not of band g", other),
    ]
}

/// Holds a rejection against what was sent.
fn assert_rejected(case: &Case, sent: &Seen, rejected: &[Seen], topic: &str) {
    let kind = case.kind;
    let at = [sent.partition.to_string(), sent.offset.to_string()];
    let is_of =
        |r: &&Seen| [r.header("twinpeak.partition"), r.header("twinpeak.offset")] == [Some(&*at[0]), Some(&*at[1])];
    let [record] = rejected.iter().filter(is_of).collect::<Vec<_>>()[..] else { panic!("{kind}: not once") };
    let header = |name: &str| {
        let values: Vec<_> = record.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        assert_eq!(values.len(), 1, "{kind}: {name} in {:?}", record.headers);
        values[0]
    };
    assert_eq!(header("twinpeak.reason"), case.reason, "{kind}: {}", header("twinpeak.message"));
    assert!(header("twinpeak.message").contains(case.says), "{kind}: {}", header("twinpeak.message"));
    assert_eq!((header("twinpeak.stage"), header("twinpeak.topic")), (case.stage, topic), "{kind}");
    assert!(record.payload == sent.payload && record.key == sent.key, "{kind}: as it came");
    assert_eq!(record.tombstone, case.payload.is_none(), "{kind}: none stays none");
    assert_eq!(header("twinpeak.bytes"), sent.payload.len().to_string(), "{kind}");
    assert_eq!(header("trace"), "abc", "{kind}: the message's own headers");
    for name in ["advice", "image-id", "model-version", "model-hash", "software-version", "timestamp-ms"] {
        assert!(!header(&format!("twinpeak.{name}")).is_empty(), "{kind}: {name}");
    }
    let told = format!("{:?}", record.headers);
    assert!(!told.contains("s3cr3t"), "{kind}: {told}");
}

#[test]
fn every_bad_message_is_rejected_with_its_reason_and_harms_nothing() {
    let site = Site::new(Broker::shared(&[]), "bad", 1, LONGEST_RECORD);
    let good = &night()[0];
    good.write(&site.frames());
    let message = site.message(&good.id);
    let mut cases = malformed(&message);
    cases.extend(escapes(&site, &message));
    cases.extend(spoiled(&site));
    // A sender may not speak as the daemon.
    let headers = [("trace", "abc"), ("twinpeak.reason", "forged")];
    let sent =
        cases.iter().map(|c| Sent { key: c.kind, payload: c.payload.as_deref(), headers: &headers, age_s: c.age_s });
    site.send_all(&sent.collect::<Vec<_>>());
    site.send(&good.id, &message);

    let limits = ["kafka.max_message_bytes=200000", "kafka.max_message_age_s=3600", "input.max_unpacked_bytes=4000000"];
    let (mut daemon, address) = site.start(&limits);
    site.until_visible(1, cases.len());
    until("all is committed", || site.is_done());
    assert!(!daemon.ended() && readiness(&address).0, "it lives");
    assert_eq!(measured(&address, "aborts_total"), 0.0);
    let [_, _, images, rejected] = site.records();
    assert_eq!((images.len(), &images[0].key, rejected.len()), (1, &good.id, cases.len()));
    let sent = site.sent();
    for (case, sent) in cases.iter().zip(&sent) {
        assert_rejected(case, sent, &rejected, &site.topics.new_images);
    }
    let metrics = get(&address, "/metrics").1;
    for reason in ["bad_message", "forbidden", "too_large", "too_old", "truncated"] {
        let expected = cases.iter().filter(|c| c.reason == reason).count();
        let series = format!("twinpeak_rejected_frames_total{{reason=\"{reason}\"");
        let counted = metric(&metrics, &series).unwrap_or_default();
        assert_eq!(counted, expected as f64, "{reason} in {metrics}");
    }
    let ended = terminate(daemon);
    assert!(!ended.told.contains("s3cr3t"), "{}", ended.told);
    assert!(ended.told.lines().all(|l| serde_json::from_str::<Value>(l).is_ok()), "{}", ended.told);
}
