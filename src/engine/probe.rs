//! Somebody who watches the engine and the stream: metrics, logs, progress, readiness.

use super::ports::PortError;
use twinpeak_core::frame::ImageId;
use twinpeak_core::model::ModelError;
use twinpeak_core::outcome::{Finished, Stage};

/// An observer of the engine: metrics, logs, the page, tests.
pub trait Probe: Sync + Send {
    /// Something happened; returns at once. Called from any thread of the engine. Who wants all events matches them
    /// all, so that a new one is noticed when it is compiled.
    fn on(&self, event: &Event<'_>);
}

/// An observer that ignores every event.
pub struct NoProbe;

impl Probe for NoProbe {
    fn on(&self, _: &Event<'_>) {}
}

/// An event of the engine or of its ports.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// A frame came from the source; it may still wait for a permit.
    Arrived(&'a ImageId),
    /// A stage of a frame is done.
    StageDone {
        /// The stage that is done.
        stage: Stage,
        /// Time that the stage took, s.
        seconds: f64,
    },
    /// A frame has a stage behind it.
    Passed {
        /// Name of the frame's image.
        image: &'a ImageId,
        /// The stage that it has passed.
        stage: Stage,
    },
    /// Frames waiting before a stage.
    Queue {
        /// The stage that they wait for.
        stage: Stage,
        /// Frames or messages that wait.
        depth: usize,
    },
    /// How many of the permits for frames in flight are in use.
    Permits {
        /// Number of permits in use.
        used: usize,
        /// Number of permits in all.
        of: usize,
    },
    /// A batch of a net went through a device.
    Batch {
        /// The stage that the net belongs to.
        stage: Stage,
        /// Number of slots that hold work; the others are padding.
        filled: usize,
        /// Number of slots in a batch.
        of: usize,
        /// Time that the device took, s.
        seconds: f64,
    },
    /// A device answered, on work or on a probe while idle.
    DeviceAlive(&'a str),
    /// A batch failed on a device.
    DeviceFailed {
        /// Name of the device, such as `cuda:0`.
        device: &'a str,
        /// What the device reported.
        error: &'a ModelError,
    },
    /// A frame was published, with its outcome.
    Finished(&'a Finished),
    /// A frame's outcome was dropped: somebody else does it again.
    Dropped(&'a ImageId),
    /// A port failed and will be tried again.
    Retrying {
        /// The stage that will try again.
        stage: Stage,
        /// What the port reported.
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
        /// Number of the partition.
        partition: i32,
        /// From the committed offset to the end; `None` once the partition is no longer ours.
        messages: Option<u64>,
    },
    /// Bytes of messages that came in.
    Received {
        /// Length of the message, bytes.
        bytes: u64,
    },
    /// A transaction is committed.
    Committed {
        /// Images whose outputs are visible now.
        images: u64,
        /// Length of its records, bytes.
        bytes: u64,
        /// From the call to its answer, s.
        seconds: f64,
    },
    /// An image's way from its message to its commit ended.
    Latency {
        /// From the message to the commit, s.
        seconds: f64,
    },
    /// A transaction was given up; its images are done again.
    Aborted,
    /// Partitions were assigned to this daemon or taken from it.
    Rebalanced {
        /// Partitions that are assigned to this daemon now.
        partitions: usize,
    },
    /// The broker refuses us because somebody else has our place.
    Fenced,
    /// Reading was paused because the pipeline was full.
    Paused {
        /// Time for which reading was paused, s.
        seconds: f64,
    },
    /// A call to the broker failed and is tried again, or the session is built anew.
    Failed {
        /// The client's name for the kind of error, e.g. `BrokerTransportFailure`.
        kind: String,
    },
}
