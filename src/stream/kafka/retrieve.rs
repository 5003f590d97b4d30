//! A rejected message as it lies on its topic, and the message that it once was.

use sha2::{Digest, Sha256};

use super::delivery::{Incoming, Origin};
use super::rejected::PREFIX;

/// A rejected message, as the dead-letter topic records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The record on the dead-letter topic.
    record: Incoming,
}

/// Why a rejected message cannot be sent again.
#[derive(Debug, thiserror::Error)]
pub enum NotReplayable {
    /// A record that no daemon has written.
    #[error("its record does not say where it came from, so no daemon wrote it")]
    NoOrigin,
    /// A message of another topic.
    #[error("it came from the topic {topic:?}, and the daemons read {expected:?}")]
    OtherTopic {
        /// Topic that its headers name.
        topic: String,
        /// Topic that the daemons read.
        expected: String,
    },
    /// Its original lies in the object store and does not come from there.
    #[error("its original cannot be had: {source}")]
    NotFetched {
        /// The object store's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What lies there is not what was rejected.
    #[error("its original at {place} is another one: SHA-256 {found}, expected {expected}")]
    Changed {
        /// Place of the bytes: a URI, or topic, partition and offset.
        place: String,
        /// SHA-256 of the bytes that lie there, hex.
        found: String,
        /// What the record says.
        expected: String,
    },
    /// The record holds a part of it alone, and the topic from which it came holds it no longer.
    #[error("only a part of it was kept, and {origin} is gone from its topic")]
    Gone {
        /// Topic, partition and offset of the original.
        origin: Origin,
    },
    /// The topic takes no message of this size any more.
    #[error("{reported}: raise its max.message.bytes")]
    TooLarge {
        /// The broker's refusal, with the sizes.
        reported: String,
    },
}

/// Where a rejected message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept<'a> {
    /// In the record.
    Here,
    /// Its bytes in the object store, all else in the record.
    Object { uri: &'a str },
    /// Where the message came from.
    AtOrigin,
}

impl Rejected {
    pub(super) fn new(record: Incoming) -> Self {
        Self { record }
    }

    /// Topic, partition and offset of its record.
    pub fn record(&self) -> &Origin {
        &self.record.origin
    }

    /// What it is called in the topic of replayed messages: `<partition>-<offset>` of its record.
    pub fn name(&self) -> String {
        format!("{}-{}", self.record.origin.partition, self.record.origin.offset)
    }

    /// Why it was rejected, by [`twinpeak_core::outcome::Reason::name`]; empty where its record does not say.
    pub fn reason(&self) -> &str {
        self.said("reason").unwrap_or_default()
    }

    /// The image that it names, or a name made for it; empty where its record does not say.
    pub fn image(&self) -> &str {
        self.said("image-id").unwrap_or_default()
    }

    /// What was wrong, in a line; empty where its record does not say.
    pub fn message(&self) -> &str {
        self.said("message").unwrap_or_default()
    }

    /// The record, whose key, headers and value are the message's where it is [`Kept::Here`].
    pub(super) fn as_message(&self) -> &Incoming {
        &self.record
    }

    /// Where it came from, which must be where the daemons read.
    ///
    /// # Errors
    /// [`NotReplayable::NoOrigin`], [`NotReplayable::OtherTopic`].
    pub(super) fn origin(&self, expected: &str) -> Result<Origin, NotReplayable> {
        let (topic, partition, offset) = (self.said("topic"), self.said("partition"), self.said("offset"));
        let number = |text: Option<&str>| text?.parse::<i64>().ok().filter(|n| *n >= 0);
        let partition = number(partition).and_then(|p| i32::try_from(p).ok());
        let (Some(topic), Some(partition), Some(offset)) = (topic, partition, number(offset)) else {
            return Err(NotReplayable::NoOrigin);
        };
        if topic != expected {
            return Err(NotReplayable::OtherTopic { topic: topic.to_owned(), expected: expected.to_owned() });
        }
        Ok(Origin { topic: topic.into(), partition, offset })
    }

    /// Where it is.
    pub(super) fn kept(&self) -> Kept<'_> {
        let cut = |what| self.said(what).is_some();
        match self.said("payload-uri") {
            _ if cut("headers-cut") || cut("payload-cut") => Kept::AtOrigin,
            Some(uri) => Kept::Object { uri },
            None => Kept::Here,
        }
    }

    /// Holds bytes that came from elsewhere against those that were rejected, as far as the record holds these.
    ///
    /// # Errors
    /// [`NotReplayable::Changed`]
    pub(super) fn check(&self, bytes: &[u8], place: &str) -> Result<(), NotReplayable> {
        let found = format!("{:x}", Sha256::digest(bytes));
        match self.said("payload-sha256") {
            None => Ok(()),
            Some(expected) if expected == found => Ok(()),
            Some(expected) => {
                Err(NotReplayable::Changed { place: place.to_owned(), found, expected: expected.to_owned() })
            }
        }
    }

    fn said(&self, name: &str) -> Option<&str> {
        let ours = |given: &str| given.strip_prefix(PREFIX) == Some(name);
        let (_, value) = self.record.headers.iter().find(|(given, _)| ours(given))?;
        std::str::from_utf8(value.as_deref()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers;

    use super::*;
    use crate::kafka::Software;
    use crate::kafka::rejected::{self, Original};
    use twinpeak_core::frame::ImageId;
    use twinpeak_core::outcome::{Reason, Rejection, Stage};

    /// A message with headers, of which one pretends to be ours.
    fn message() -> Incoming {
        Incoming {
            origin: Origin { topic: "in".into(), partition: 3, offset: 41 },
            timestamp_ms: Some(7),
            key: Some(b"k".to_vec()),
            payload: Some(vec![0xff; 5000]),
            headers: vec![
                ("trace".into(), Some(b"1".to_vec())),
                ("twinpeak.topic".into(), Some(b"elsewhere".to_vec())),
                ("empty".into(), None),
                ("trace".into(), Some(b"2".to_vec())),
            ],
        }
    }

    /// The record that the daemon writes of it, read back.
    fn rejected(original: &Original) -> Rejected {
        rejected_as(true, original)
    }

    fn rejected_as(addressed: bool, original: &Original) -> Rejected {
        let rejection = Rejection {
            reason: Reason::TooOld,
            stage: Stage::Ingest,
            file: None,
            message: "old".into(),
            advice: "none".into(),
        };
        let software = Software { version: "0".into(), model_version: "m".into(), model_hash: "h".into() };
        let image = ImageId::new("a-1").unwrap();
        let headers = rejected::headers(&message(), addressed, &image, &rejection, &software, original);
        Rejected::new(Incoming {
            origin: Origin { topic: "rejected".into(), partition: 1, offset: 9 },
            payload: rejected::payload(&message(), original).map(<[u8]>::to_vec),
            headers: headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect(),
            ..message()
        })
    }

    #[test]
    fn what_was_rejected_is_found_again() {
        let rejected = rejected(&Original::Whole);
        assert_eq!((rejected.reason(), rejected.image(), rejected.message()), ("too_old", "a-1", "old"));
        assert_eq!(rejected.origin("in").unwrap(), message().origin);
        assert_eq!(rejected.name(), "1-9");
        assert_eq!((rejected.kept(), &rejected.as_message().payload), (Kept::Here, &message().payload));
        let headers = rejected::theirs(rejected.as_message());
        let headers: Vec<_> = headers.iter().map(|h| (h.key, h.value)).collect();
        assert_eq!(headers, [("trace", Some(&b"1"[..])), ("empty", None), ("trace", Some(b"2"))]);
    }

    #[test]
    fn bytes_from_elsewhere_must_be_the_same() {
        let sha256 = format!("{:x}", Sha256::digest(message().bytes()));
        let claim = Original::Claim { uri: "s3://b/k".into(), sha256: sha256.clone() };
        let (claimed, cut) = (rejected(&claim), rejected(&Original::Cut { sha256 }));
        assert_eq!((claimed.kept(), cut.kept()), (Kept::Object { uri: "s3://b/k" }, Kept::AtOrigin));
        let bare = rejected_as(false, &claim);
        assert_eq!(bare.kept(), Kept::AtOrigin, "an object has no headers");
        for rejected in [claimed, cut, bare] {
            rejected.check(message().bytes(), "there").unwrap();
            let reported = rejected.check(b"other", "there").unwrap_err().to_string();
            assert!(reported.contains("there") && reported.contains("another one"), "{reported}");
        }
    }

    #[test]
    fn records_of_strangers_are_not_sent_anywhere() {
        let stranger = Rejected::new(Incoming { headers: vec![], ..message() });
        assert!(matches!(stranger.origin("in"), Err(NotReplayable::NoOrigin)));
        assert_eq!((stranger.reason(), stranger.image()), ("", ""));
        let other = rejected(&Original::Whole).origin("sources-v1").unwrap_err().to_string();
        assert!(other.contains("\"in\"") && other.contains("sources-v1"), "{other}");
        let negative = message().headers.into_iter().chain([
            ("twinpeak.partition".to_owned(), Some(b"-1".to_vec())),
            ("twinpeak.offset".to_owned(), Some(b"0".to_vec())),
        ]);
        let negative = Rejected::new(Incoming { headers: negative.collect(), ..message() });
        assert!(matches!(negative.origin("elsewhere"), Err(NotReplayable::NoOrigin)));
    }
}
