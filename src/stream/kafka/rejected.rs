//! The record of a message that could not be processed: the message as it came, and in its headers why.

use rdkafka::message::{Header, OwnedHeaders};

use super::delivery::Incoming;
use super::ports::Software;
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::Rejection;

/// Every header of ours begins so; what came with the message keeps its name.
pub(super) const PREFIX: &str = "twinpeak.";

/// How the original bytes are kept.
pub enum Original {
    /// As the record's value.
    Whole,
    /// In the object store.
    Claim { uri: String, sha256: String },
    /// Nowhere but where the message lies: this record holds the beginning.
    Cut { sha256: String },
}

/// Bytes of a beginning that is kept where the whole cannot be.
pub(super) const CUT_BYTES: usize = 4096;

/// What a record needs beside its value, at most.
pub(super) const RECORD_OVERHEAD: usize = 1024;

/// Every rejection fits into a record so long: a beginning, our headers, and texts that name a file or two.
pub(super) const SHORTEST_LIMIT: usize = 16 << 10;

/// The value, as far as it goes into the record.
pub(super) fn payload<'a>(incoming: &'a Incoming, original: &Original) -> Option<&'a [u8]> {
    match original {
        Original::Whole => incoming.payload.as_deref(),
        Original::Claim { .. } => None,
        Original::Cut { .. } => Some(&incoming.bytes()[..incoming.bytes().len().min(CUT_BYTES)]),
    }
}

/// The headers with which a message came, without those that a daemon gave it.
pub(super) fn theirs(message: &Incoming) -> OwnedHeaders {
    let theirs = message.headers.iter().filter(|(name, _)| !name.starts_with(PREFIX));
    theirs.fold(OwnedHeaders::new(), |headers, (name, value)| {
        headers.insert(Header { key: name, value: value.as_deref() })
    })
}

/// The headers: those of the message if it is `addressed` as it came, then ours.
pub(super) fn headers(
    incoming: &Incoming,
    addressed: bool,
    image: &ImageId,
    rejection: &Rejection,
    software: &Software,
    original: &Original,
) -> OwnedHeaders {
    let headers = if addressed { theirs(incoming) } else { OwnedHeaders::new() };
    let origin = &incoming.origin;
    let mut ours = vec![
        ("reason", rejection.reason.name().to_owned()),
        ("stage", rejection.stage.name().to_owned()),
        ("message", rejection.message.clone()),
        ("advice", rejection.advice.clone()),
        ("image-id", image.to_string()),
        ("topic", origin.topic.to_string()),
        ("partition", origin.partition.to_string()),
        ("offset", origin.offset.to_string()),
        ("bytes", incoming.bytes().len().to_string()),
        ("model-version", software.model_version.clone()),
        ("model-hash", software.model_hash.clone()),
        ("software-version", software.version.clone()),
    ];
    ours.extend(rejection.file.clone().map(|file| ("file", file)));
    ours.extend(incoming.timestamp_ms.map(|ms| ("timestamp-ms", ms.to_string())));
    ours.extend((!addressed).then(|| ("headers-cut", "true".into())));
    match original {
        Original::Whole => {}
        Original::Claim { uri, sha256 } => {
            ours.extend([("payload-uri", uri.clone()), ("payload-sha256", sha256.clone())]);
        }
        Original::Cut { sha256 } => ours.extend([("payload-cut", "true".into()), ("payload-sha256", sha256.clone())]),
    }
    ours.iter().fold(headers, |headers, (name, value)| {
        headers.insert(Header { key: &format!("{PREFIX}{name}"), value: Some(value.as_str()) })
    })
}
