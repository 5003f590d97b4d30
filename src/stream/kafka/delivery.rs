//! A message on its way from the broker through the pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use twinpeak_core::hex::hex;

use rdkafka::message::{BorrowedMessage, Headers, Message};
use sha2::{Digest, Sha256};

/// Topic, partition and offset of a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
    /// Offset within the partition.
    pub offset: i64,
}

impl Origin {
    /// Distinguishes the message, and the group that works on it, from any other: 16 hexadecimal digits. Objects carry
    /// it in their names, so that what one message leaves is never another's.
    pub(super) fn fingerprint(&self, group: &str) -> String {
        let digest = Sha256::digest(format!("{group} {self}"));
        hex(&digest[..8])
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.topic, self.partition, self.offset)
    }
}

/// A message as it lies on the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Topic, partition and offset.
    pub origin: Origin,
    /// When it was written, ms since 1970 (UTC), where the broker knows.
    pub timestamp_ms: Option<i64>,
    /// Key as it was sent, if any.
    pub key: Option<Vec<u8>>,
    /// Its value; a tombstone has none.
    pub payload: Option<Vec<u8>>,
    /// Headers as they were sent: name and value, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Incoming {
    /// Copies what the client has read.
    pub(super) fn read(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect()
        });
        Self {
            origin: Origin { topic: topic.clone(), partition: message.partition(), offset: message.offset() },
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }

    /// Its value; a tombstone's is empty.
    pub fn bytes(&self) -> &[u8] {
        self.payload.as_deref().unwrap_or_default()
    }
}

/// The time for which a partition is ours without a break. Once it is over, whatever was begun in it is stale: the
/// messages are taken again, by us or by somebody else.
#[derive(Clone, Debug)]
pub struct AssignmentEpoch(Arc<AtomicBool>);

impl AssignmentEpoch {
    /// A new epoch, which is current.
    pub fn begin() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Whether the partition is still assigned as it was when this epoch began.
    pub fn is_current(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Ends, for all who have a copy.
    pub fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A message in work.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message as it was read.
    pub incoming: Arc<Incoming>,
    /// While it holds, the outcome may be published.
    pub epoch: AssignmentEpoch,
    /// How often a process died while it worked on it.
    pub died: u32,
    /// Why the broker would not take its outcome, where that has happened.
    pub refused: Option<String>,
}
