//! Rejected messages that are too large for their topic: kept in the object store, or else cut, and never in a loop.

use std::fs;

use super::sha256;
use crate::common::broker::{Broker, Seen, Sent};
use crate::common::site::Site;

/// What the topic of rejected messages takes, bytes.
const LONGEST: usize = 60_000;

/// Bytes that do not shrink.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Sends what is too large in every way, and gives the rejections in that order.
fn rejected(site: &Site, settings: &[&str]) -> (Vec<Seen>, Vec<Vec<u8>>) {
    let hex = |length: usize| noise(length / 2).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (header, key) = (hex(200_000), hex(200_001));
    let headers = [("trace", "abc"), ("long", &*header)];
    // Forty million zeros are a small message until they are unpacked.
    let payloads = [noise(150_000), vec![0; 40_000_000], b"no JSON".to_vec(), b"nor this".to_vec()];
    let sent = |key, payload: usize, headers| Sent { key, payload: Some(&payloads[payload]), headers, age_s: 0 };
    let messages =
        [sent("long", 0, &headers[..1]), sent("giant", 1, &[]), sent("headers", 2, &headers), sent(&key, 3, &[])];
    site.send_all(&messages);
    site.work_off(settings);
    let [_, _, images, rejected] = site.records();
    assert_eq!((images.len(), rejected.len()), (0, payloads.len()));
    for (record, payload) in rejected.iter().zip(&payloads) {
        assert_eq!(record.header("twinpeak.bytes"), Some(&*payload.len().to_string()));
    }
    assert_eq!(rejected[0].header("twinpeak.reason"), Some("bad_message"));
    assert_eq!(rejected[1].header("twinpeak.reason"), Some("too_large"));
    // What came with a message goes before the message does.
    for (record, payload) in rejected.iter().zip(&payloads).skip(2) {
        assert_eq!((record.header("twinpeak.reason"), &record.payload), (Some("bad_message"), payload));
        assert_eq!((record.header("twinpeak.headers-cut"), record.header("long")), (Some("true"), None));
    }
    assert_eq!((rejected[0].key.as_str(), rejected[0].header("trace")), ("long", Some("abc")));
    (rejected, payloads.into())
}

#[test]
fn a_rejected_message_too_large_for_its_topic_is_kept_beside() {
    let site = Site::new(Broker::shared(&[]), "kept", 1, &LONGEST.to_string());
    let (rejected, payloads) = rejected(&site, &[&site.keeps_objects()]);
    for (record, payload) in rejected.iter().zip(&payloads).take(2) {
        assert!(record.payload.is_empty());
        let uri = record.header("twinpeak.payload-uri").unwrap();
        assert!(fs::read(uri.strip_prefix("file://").unwrap()).unwrap() == *payload);
        assert_eq!(record.header("twinpeak.payload-sha256"), Some(&*sha256(payload)));
    }
}

#[test]
fn a_rejected_message_too_large_for_its_topic_is_cut_where_nothing_keeps_it() {
    let site = Site::new(Broker::shared(&[]), "cut", 1, &LONGEST.to_string());
    let (rejected, payloads) = rejected(&site, &[]);
    for (record, payload) in rejected.iter().zip(&payloads).take(2) {
        assert!(!record.payload.is_empty() && payload.starts_with(&record.payload));
        assert_eq!(record.header("twinpeak.payload-cut"), Some("true"));
        assert_eq!(record.header("twinpeak.payload-sha256"), Some(&*sha256(payload)));
    }
}
