//! Notifications of an object store, moto's: five become one frame, in whatever order they come.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{readiness, terminate};
use crate::common::broker::{Broker, Sent};
use crate::common::s3::Moto;
use crate::common::site::{LONGEST_RECORD, Site};
use crate::common::{BANDS, Field, night, until};

const BUCKET: &str = "night";

/// Puts a band's file into the bucket, below a folder whose name has to be encoded.
fn put(moto: &Moto, field: &Field, band: &str) {
    let at = BANDS.iter().position(|b| *b == band).unwrap();
    moto.object(BUCKET, &format!("a%20b/frame-{band}-{}.fits", field.id), &field.bands[at]);
}

/// What S3 sends when a file has come.
fn notice(name: &str) -> Value {
    let now = Command::new("date").args(["-u", "+%FT%T.%3NZ"]).output().unwrap();
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "eventTime": String::from_utf8(now.stdout).unwrap().trim(),
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": format!("a+b/{name}"), "size": 206_280, "eTag": "e"}},
    }]})
}

/// What MinIO sends: S3's, and more around it; it encodes slashes and spaces its own way.
fn minio(name: &str) -> Value {
    let mut notice = notice(name);
    notice["EventName"] = "s3:ObjectCreated:Put".into();
    notice["Key"] = format!("{BUCKET}/a b/{name}").into();
    notice["Records"][0]["eventName"] = "s3:ObjectCreated:Put".into();
    notice["Records"][0]["s3"]["object"]["key"] = format!("a%20b%2F{name}").into();
    notice
}

fn send(site: &Site, notices: &[Value]) {
    let texts: Vec<_> = notices.iter().map(Value::to_string).collect();
    let keys: Vec<_> = notices.iter().map(|n| n["Records"][0]["s3"]["object"]["key"].as_str().unwrap()).collect();
    let sent =
        keys.iter().zip(&texts).map(|(key, text)| Sent { key, payload: Some(text.as_bytes()), ..Sent::default() });
    site.send_all(&sent.collect::<Vec<_>>());
}

/// A bucket, and the settings with which a daemon reads it.
fn store(site: &Site) -> Option<(Moto, [String; 4])> {
    let moto = Moto::start(&[])?;
    moto.bucket(BUCKET);
    let credentials = site.objects().join("credentials");
    std::fs::write(&credentials, "aws_access_key_id=me\naws_secret_access_key=s3cr3t\n").unwrap();
    let settings = [
        format!("remote.s3_endpoint={}", moto.endpoint()),
        format!("remote.s3_buckets={BUCKET}"),
        format!("remote.s3_credentials_file={}", credentials.display()),
        "remote.s3_allow_http=true".into(),
    ];
    Some((moto, settings))
}

fn name(band: &str, field: &Field) -> String {
    format!("frame-{band}-{}.fits", field.id)
}

#[test]
fn five_notifications_become_one_frame_and_what_stays_away_is_told_once() {
    let site = Site::new(Broker::shared(&[]), "store", 3, LONGEST_RECORD);
    let Some((moto, ours)) = store(&site) else { return };
    let ours = ours.each_ref().map(String::as_str);
    let [early, late, never] = [0, 1, 2].map(|n| &night()[n]);

    // All there before their notices come, shuffled.
    BANDS.iter().for_each(|band| put(&moto, early, band));
    let (daemon, _) = site.start(&[&ours[..], &["kafka.bands_wait_s=100"]].concat());
    let sidecar = notice(&format!("{}.json", name("r", early)));
    let foreign = notice("flat-r.fits");
    let shuffled = ["i", "z", "u", "r", "g"].map(|band| name(band, early));
    send(&site, &[notice(&shuffled[0]), sidecar, minio(&shuffled[1]), notice(&shuffled[2])]);
    send(&site, &[minio(&shuffled[3]), foreign, notice(&shuffled[4])]);
    site.until_visible(1, 0);

    // The reference comes first and waits.
    put(&moto, late, "r");
    send(&site, &[notice(&name("r", late))]);
    thread::sleep(Duration::from_millis(300));
    for band in ["z", "g", "i", "u"] {
        put(&moto, late, band);
        send(&site, &[notice(&name(band, late))]);
    }
    site.until_visible(2, 0);
    until("every notification is acknowledged", || site.is_done());
    let [sources, masks, images, rejected] = site.records();
    let mut ids: Vec<_> = images.iter().map(|r| r.key.clone()).collect();
    ids.sort();
    assert_eq!(ids, [early.id.clone(), late.id.clone()]);
    assert!(masks.len() == 2 && rejected.is_empty() && sources.iter().any(|r| r.key == early.id));
    let ended = terminate(daemon);
    assert!(!ended.told.contains("s3cr3t"), "{}", ended.told);

    // The reference stays away.
    ["z", "u", "i"].iter().for_each(|band| put(&moto, never, band));
    send(&site, &["z", "i", "u"].map(|band| notice(&name(band, never))));
    site.work_off(&[&ours[..], &["kafka.bands_wait_s=2"]].concat());
    let [_, _, images, rejected] = site.records();
    let [rejected] = &rejected[..] else { panic!("{rejected:?}") };
    assert_eq!((images.len(), rejected.header("twinpeak.reason")), (2, Some("missing_band")));
    assert_eq!(rejected.header("twinpeak.image-id"), Some(&*never.id));
    assert!(rejected.header("twinpeak.message").unwrap().contains("bands g, r have not come"), "{rejected:?}");
    assert!(rejected.key.ends_with(&name("u", never)), "the first band that came reports it: {}", rejected.key);
}

#[test]
fn who_waits_holds_up_its_own_partition_alone_and_no_end_of_the_daemon() {
    let site = Site::new(Broker::shared(&[]), "waits", 6, LONGEST_RECORD);
    let Some((moto, ours)) = store(&site) else { return };
    let ours = ours.each_ref().map(String::as_str);
    // As many wait as there are frames in flight: each would hold a permit, and two a worker.
    for field in night() {
        BANDS.iter().filter(|band| **band != "z").for_each(|band| put(&moto, field, band));
        send(&site, &[notice(&name("r", field))]);
    }
    let waiting: Vec<i32> = site.sent().iter().map(|message| message.partition).collect();
    let keys: Vec<String> = (0..120).map(|n| format!("no image {n}")).collect();
    let behind = keys.iter().map(|key| Sent { key, payload: Some(b"no JSON"), ..Sent::default() });
    site.send_all(&behind.collect::<Vec<_>>());
    let beside = site.sent().iter().filter(|message| !waiting.contains(&message.partition)).count();
    assert!((10..120).contains(&beside), "{beside} of {} on other partitions than {waiting:?}", keys.len());

    let (daemon, address) = site.start(&[&ours[..], &["kafka.bands_wait_s=1000"]].concat());
    site.until_visible(0, beside);
    until("readiness", || readiness(&address).0);
    terminate(daemon); // by its own, not by the end of its patience
    let [_, _, images, rejected] = site.records();
    assert_eq!((images.len(), rejected.len()), (0, beside), "what waits and what is behind it is not done");

    night().iter().for_each(|field| put(&moto, field, "z"));
    site.work_off(&[&ours[..], &["kafka.bands_wait_s=1000", "kafka.transaction_bytes=1"]].concat());
    let [_, masks, images, rejected] = site.records();
    assert_eq!((masks.len(), images.len(), rejected.len()), (3, 3, keys.len()), "it came again, and each once");
    let told: BTreeSet<&str> = rejected.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(told.len(), keys.len());
}
