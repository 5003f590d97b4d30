//! The engine: ingest -> prepare -> segment -> extract -> classify -> publish.
//!
//! ```text
//!            permits: so many frames may be between ingest and publish
//!  source -> ingest -> prepare workers -> batcher -> device threads -> collector
//!                          |                ^  (segment)                  | score of every pixel
//!                          |                |                             v
//!                          |            objects <---------------- extract workers
//!                          |                |  (classify)
//!                          |                +-> device threads -> collector -> finish workers
//!                          | rejected                                             |
//!                          +------------------------------------------------------+-> publish, in order -> sink
//! ```
//!
//! Every channel has room for one message a permit, so no send between two stages ever blocks; the only
//! backpressure is the permit that a frame needs to come in. Only ingest reads `stop`: it drops its sender
//! and the closing of channels ripples down the line. A frame goes through with the one set of nets that the
//! engine was started with, so no batch can mix two: for other nets the engine is reloaded, that is run to its
//! end between two frames ([`Stop::reload`](flow::Stop::reload)) and run again from the same source into the same sink.

mod batch;
mod batching;
pub mod flow;
mod ingest;
pub mod ports;
mod probe;
mod publish;
mod reorder;
mod run;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use ports::PortError;

use twinpeak_core::model::{Classifier, ModelError, Segmenter};
use twinpeak_core::outcome::ModelIdentity;
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;

pub use run::run;

/// One device's nets; a thread of the engine owns them.
pub struct Device {
    /// Its name, e.g. `cpu` or `cuda:0`.
    pub name: String,
    /// Segmentation.
    pub segmenter: Box<dyn Segmenter>,
    /// Classification.
    pub classifier: Box<dyn Classifier>,
}

/// All that decides what comes out of a frame.
pub struct Models {
    /// The survey.
    pub survey: Arc<Survey>,
    /// How frames are treated.
    pub recipe: Recipe,
    /// Whose nets.
    pub identity: ModelIdentity,
    /// What they run on, as published.
    pub device: String,
}

/// Bounds on the engine's own work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Frames between ingest and publish.
    pub frames_in_flight: usize,
    /// Threads that prepare, and as many that extract; each also uses all cores within a frame.
    pub workers: usize,
    /// How often a port that asks for another try gets it.
    pub port_retries: u32,
    /// First wait before such a try; doubled each time.
    pub port_backoff: Duration,
    /// A device without work for so long makes an inference all the same, to show that it can.
    pub idle_probe: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frames_in_flight: 4,
            workers: 2,
            port_retries: 5,
            port_backoff: Duration::from_millis(200),
            idle_probe: Duration::from_secs(20),
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames published with products.
    pub processed: u64,
    /// Frames published as rejected.
    pub rejected: u64,
}

/// Why the engine ended before its source did.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The source failed.
    #[error("the source of frames failed: {0}")]
    Source(#[source] PortError),
    /// The sink failed.
    #[error("results cannot be stored: {0}")]
    Sink(#[source] PortError),
    /// A device failed twice on the same batch.
    #[error("{0}; frames in flight were not published and will be taken again")]
    Device(#[source] ModelError),
    /// A stage died.
    #[error("the stage {0} died; frames in flight were not published and will be taken again")]
    Died(&'static str),
}
