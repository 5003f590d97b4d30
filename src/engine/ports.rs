//! What the engine asks of the world: frames to work on, somewhere to put the results, somebody who watches.
//! The daemon gives it a watched directory or Kafka, `process` a list of files, tests a `Vec`.

pub use super::probe::{Event, NoProbe, Probe, StreamEvent};

use super::flow::Stop;
use twinpeak_core::frame::{Frame, ImageId};
use twinpeak_core::outcome::{Finished, Rejection};

/// What an arrival turns out to hold.
pub enum Loaded {
    /// An image to work on.
    Frame(Box<Frame>),
    /// Nothing to do here: it is acknowledged, and nothing is published.
    Nothing,
}

impl Loaded {
    /// The image, where there is one.
    pub fn frame(self) -> Option<Frame> {
        match self {
            Self::Frame(frame) => Some(*frame),
            Self::Nothing => None,
        }
    }
}

impl From<Frame> for Loaded {
    fn from(frame: Frame) -> Self {
        Self::Frame(Box::new(frame))
    }
}

/// Reads and decodes an image's bands; run on a worker, not by the source.
pub type Load = Box<dyn FnOnce() -> Result<Loaded, Rejection> + Send>;

/// An image that has come, and what its source needs back when the outcome is published.
pub struct Arrival<R> {
    /// Name of the image.
    pub image_id: ImageId,
    /// Reads the frame, or says why there is none; called once, from any worker.
    pub load: Load,
    /// Where it came from; all that is logged about the image stands in it.
    pub span: tracing::Span,
    /// The source's own note (a delivery, a lease); the sink gets it back, untouched.
    pub receipt: R,
}

impl<R> Arrival<R> {
    /// An image that surely is one, from a place of no further interest.
    pub fn new(
        image_id: ImageId,
        load: impl FnOnce() -> Result<Frame, Rejection> + Send + 'static,
        receipt: R,
    ) -> Self {
        let span = tracing::info_span!("frame", %image_id);
        let load = Box::new(move || load().map(Loaded::from));
        Self { image_id, load, span, receipt }
    }
}

/// A source of frames: a list of files, a watched folder, a topic.
pub trait FrameSource: Send {
    /// The source's own note on an arrival: a delivery, a lease.
    type Receipt: Send;

    /// The next image; blocks while there is none, `None` when there will be no more or `stop` was requested.
    ///
    /// # Errors
    /// [`PortError`] when the source itself fails (never for one bad image).
    fn next(&mut self, stop: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError>;
}

/// A sink of outcomes: a folder, or topics.
pub trait CatalogSink: Sync + Send {
    /// What its source notes on an arrival.
    type Receipt: Send;
    /// An outcome, ready to be stored.
    type Encoded: Send;

    /// Turns an outcome into what will be stored; called from any worker, for several frames at once, and again
    /// after [`PortError::Retry`].
    ///
    /// # Errors
    /// [`PortError`] where the outcome cannot be encoded; of a result that means its refusal.
    fn encode(&self, outcome: &Finished, receipt: &Self::Receipt) -> Result<Self::Encoded, PortError>;

    /// Stores it, whole or not at all; called in arrival order, one at a time, and again after
    /// [`PortError::Retry`].
    ///
    /// # Errors
    /// [`PortError`] where it cannot be stored.
    fn publish(
        &self,
        finished: &Finished,
        encoded: &Self::Encoded,
        receipt: &Self::Receipt,
    ) -> Result<PublishOutcome, PortError>;
}

/// What became of an outcome that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The sink has it: it is stored, or goes into a transaction that may yet be aborted and done again.
    Accepted,
    /// Its image is no longer ours: somebody else does it again, and nothing was stored.
    Dropped,
}

/// What the engine should do about a port's failure.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Try the same again after a while.
    #[error("{0}")]
    Retry(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Publish this refusal instead.
    #[error("{0}")]
    Refused(Box<Rejection>),
    /// Drain and stop: the session behind the port has ended, and says why itself.
    #[error("{0}")]
    EndSession(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// End the run at once: nothing more can be stored or read.
    #[error("{0}")]
    Fatal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PortError {
    /// Whether the same may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Retry(_) | Self::EndSession(_))
    }
}
