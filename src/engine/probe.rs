//! Somebody who watches the engine and the stream: metrics, logs, progress, readiness.

use super::ports::PortError;
use twinpeak_core::frame::ImageId;
use twinpeak_core::model::ModelError;
use twinpeak_core::outcome::{Finished, Stage};

/// Watches the engine.
pub trait Probe: Sync + Send {
    /// Something happened; returns at once. Called from any thread of the engine. Who wants all events matches them all,
    /// so that a new one is noticed when it is compiled.
    fn on(&self, event: &Event<'_>);
}

/// Watches nothing.
pub struct NoProbe;

impl Probe for NoProbe {
    fn on(&self, _: &Event<'_>) {}
}

/// What happens in the engine.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// A frame entered.
    Arrived(&'a ImageId),
    /// A stage of a frame is done.
    StageDone {
        /// Which.
        stage: Stage,
        /// How long it took, s.
        seconds: f64,
    },
    /// A frame has a stage behind it.
    Passed {
        /// The frame.
        image: &'a ImageId,
        /// The stage.
        stage: Stage,
    },
    /// Frames waiting before a stage.
    Queue {
        /// Which.
        stage: Stage,
        /// How many.
        depth: usize,
    },
    /// Permits in use.
    Permits {
        /// How many.
        used: usize,
        /// Of how many.
        of: usize,
    },
    /// A batch of a net went through a device.
    Batch {
        /// The net's stage.
        stage: Stage,
        /// Slots that were filled.
        filled: usize,
        /// Slots of a batch.
        of: usize,
        /// How long it took, s.
        seconds: f64,
    },
    /// A device answered, on work or on a probe while idle.
    DeviceAlive(&'a str),
    /// A device failed.
    DeviceFailed {
        /// Its name.
        device: &'a str,
        /// How.
        error: &'a ModelError,
    },
    /// A frame was published.
    Finished(&'a Finished),
    /// A frame's outcome was dropped: somebody else does it again.
    Dropped(&'a ImageId),
    /// A port failed and will be tried again.
    Retrying {
        /// Where.
        stage: Stage,
        /// How.
        error: &'a PortError,
    },
    /// Something happened on the stream.
    Stream(&'a StreamEvent),
}

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
