//! The stream: messages in, outcomes out, exactly once. The only place that names rdkafka; it moves bytes and
//! offsets and knows neither what a message says nor how a row is written.
//!
//! ```text
//!            poll                    source                       sink
//!  broker ---------> session thread --------> engine (pipeline) -------> session thread ---------> broker
//!                    | epoch of each          | order is restored        | one open transaction:
//!                    | partition, offsets      | before the sink          | records, then offsets, commit
//!                    +-- pauses while full     +-- stale: dropped         +-- abort: seek to what is committed
//! ```
//!
//! One thread owns the consumer and the transactional producer. Outputs of several images and the offsets of their
//! messages are committed together, offsets only as far as everything before them is done. A partition is ours for an
//! *epoch*; when that ends (revoked, lost, or its transaction aborted) whatever was begun in it is stale and is
//! dropped at the sink, and the messages are taken again, by us or by another daemon.

mod adapters;
mod context;
mod delivery;
mod delivery_attempts;
mod history;
mod image_records;
mod output;
mod partition_queues;
mod ports;
mod produce;
mod progress;
mod rejected;
mod replay;
mod reports;
mod retrieve;
mod session;
mod settings;
mod status;
mod topics;
mod transaction;
mod transaction_state;

use std::path::PathBuf;

use rdkafka::error::KafkaError as ClientError;

pub use adapters::{Parts, Stream, StreamSink, StreamSource};
pub use delivery::{Incoming, Origin};
pub use delivery_attempts::MAX_ATTEMPTS;
pub use image_records::ImageRecords;
pub use ports::{Intake, Outflow, Request, Software};
pub use produce::{Delivered, Producer};
pub use replay::{Fetch, OnReplayed, Rejections, Replay, ReplayFilter};
pub use retrieve::{NotReplayable, Rejected};
pub use settings::{InputTopic, Secret, Security, Settings};
pub use status::Status;
pub use topics::Topics;

use twinpeak_engine::ports::PortError;

/// Why the stream cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The client refused its settings.
    #[error("the Kafka client refuses its settings: {0}")]
    Settings(#[source] ClientError),
    /// A setting cannot be used.
    #[error("kafka.{key} {problem}")]
    Setting {
        /// Key below `[kafka]`.
        key: &'static str,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
    /// The broker refused, or did not answer.
    #[error("cannot {action}: {source}")]
    Broker {
        /// What was tried, as a verb.
        action: &'static str,
        /// In the client's words.
        source: ClientError,
    },
    /// No broker could be reached.
    #[error("cannot {action}: {why}")]
    Unreachable {
        /// What was tried, as a verb.
        action: &'static str,
        /// In the client's words.
        why: String,
    },
    /// Topics that the stream needs are not there.
    #[error("topics are missing: {}; make them, or set kafka.create_partitions", names.join(", "))]
    MissingTopics {
        /// Names of the missing topics.
        names: Vec<String>,
    },
    /// The topic of rejected messages cannot hold even the shortest rejection.
    #[error(
        "the topic {topic} takes records of {limit} bytes at most: raise its max.message.bytes to {needed} or more"
    )]
    ShortRecords {
        /// Name of the topic.
        topic: String,
        /// Its max.message.bytes, bytes.
        limit: usize,
        /// What it has to be at least, bytes.
        needed: usize,
    },
    /// The password's file cannot be read.
    #[error("kafka.password_file {file:?} cannot be read: {source}")]
    Password {
        /// Path of the file.
        file: PathBuf,
        /// In the system's words.
        source: std::io::Error,
    },
    /// The folder of claims cannot be used.
    #[error("cannot {action} {path:?} (kafka.state_dir): {source}")]
    State {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// In the system's words.
        source: std::io::Error,
    },
    /// The session was lost too often.
    #[error(
        "the session with the broker was lost {times} times within {within_s} s, at last: {source}; where another \
         daemon has the same kafka.instance, give each its own; where commits take longer than \
         kafka.transaction_timeout_s, raise that"
    )]
    LostTooOften {
        /// Number of losses.
        times: usize,
        /// Within so many seconds.
        within_s: u64,
        /// The client's error at the last loss.
        source: ClientError,
    },
    /// Another replay took over.
    #[error(
        "another replay has begun and goes on where this one ends: what this one sent is not sent again (or a \
         transaction took longer than kafka.transaction_timeout_s; then run it again): {source}"
    )]
    OtherReplay {
        /// In the client's words.
        source: ClientError,
    },
    /// The thread that keeps the session died.
    #[error("the thread that speaks to the broker died")]
    Died,
}

impl From<KafkaError> for PortError {
    /// What the session itself could not mend needs a person.
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::State { .. } => Self::Retry(Box::new(error)),
            _ => Self::Fatal(Box::new(error)),
        }
    }
}
