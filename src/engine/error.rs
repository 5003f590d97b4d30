//! Why the engine ends before its source does.

use twinpeak_core::model::ModelError;

use super::ports::PortError;

/// Why the engine ended before its source did.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The source of frames failed for good.
    #[error("the source of frames failed: {0}")]
    Source(#[source] PortError),
    /// The sink of outcomes failed for good.
    #[error("results cannot be stored: {0}")]
    Sink(#[source] PortError),
    /// A device failed twice on the same batch.
    #[error("{0}; frames in flight were not published and will be taken again")]
    Device(#[source] ModelError),
    /// The thread of a stage ended by panic; the stage's name.
    #[error("the stage {0} died; frames in flight were not published and will be taken again")]
    Died(&'static str),
}
