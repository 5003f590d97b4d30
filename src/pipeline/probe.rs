//! Somebody who watches the engine and the stream: metrics, logs, progress, readiness.

use super::ports::{Finished, PortError, Stage};
use crate::frame::ImageId;
use crate::model::ModelError;

/// Watches the engine; every method returns at once.
pub trait Probe: Sync + Send {
    /// A frame entered.
    fn arrived(&self, _image: &ImageId) {}
    /// A stage of a frame took so long.
    fn stage(&self, _stage: Stage, _seconds: f64) {}
    /// A frame has a stage behind it.
    fn passed(&self, _image: &ImageId, _stage: Stage) {}
    /// Messages waiting before a stage.
    fn queue(&self, _stage: Stage, _depth: usize) {}
    /// Permits in use, of how many.
    fn permits(&self, _used: usize, _of: usize) {}
    /// A batch of a net went through a device: slots filled, of how many.
    fn batch(&self, _stage: Stage, _filled: usize, _of: usize, _seconds: f64) {}
    /// A device answered, on work or on a probe while idle.
    fn device_alive(&self, _device: &str) {}
    /// A device failed.
    fn device_failed(&self, _device: &str, _error: &ModelError) {}
    /// A frame was published.
    fn finished(&self, _finished: &Finished) {}
    /// A frame's outcome was dropped: somebody else does it again.
    fn dropped(&self, _image: &ImageId) {}
    /// A port failed and will be tried again.
    fn retrying(&self, _stage: Stage, _error: &PortError) {}
    /// Something happened on the stream.
    fn stream(&self, _event: &StreamEvent) {}
}

/// Watches nothing.
pub struct NoProbe;
impl Probe for NoProbe {}

/// What a stream with transactions does.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEvent {
    /// Messages of a partition that are not committed yet.
    Lag {
        /// Which.
        partition: i32,
        /// From the committed offset to the end; `None` once the partition is no longer ours.
        messages: Option<u64>,
    },
    /// Bytes of messages that came in.
    Received {
        /// So many.
        bytes: u64,
    },
    /// A transaction is committed.
    Committed {
        /// Images whose outputs are visible now.
        images: u64,
        /// Bytes of its records.
        bytes: u64,
        /// From the call to its answer, s.
        seconds: f64,
    },
    /// From an image's message to its commit, s.
    Latency {
        /// So long.
        seconds: f64,
    },
    /// A transaction was given up; its images are done again.
    Aborted,
    /// Partitions came or went.
    Rebalanced {
        /// Ours now.
        partitions: usize,
    },
    /// The broker refuses us because somebody else has our place.
    Fenced,
    /// The stream was held back because the pipeline was full, s.
    Paused {
        /// So long.
        seconds: f64,
    },
    /// A call to the broker failed and is tried again, or the session is built anew.
    Failed {
        /// The client's name for the kind of error, e.g. `BrokerTransportFailure`.
        kind: String,
    },
}
