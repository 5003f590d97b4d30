//! Training without labels: the segmentation net with its self-taught head, and the ensemble of classification
//! nets with its calibration.
//!
//! Everything is seeded and resumable: each training draws step `n`'s randomness from (seed, `n`) alone and leaves a
//! checkpoint every so many steps, so a run that was interrupted ends with the same bits as one that was not.
//! Training runs on the CPU, one thread a net; the nets are small enough.
//!
//! libtorch's plain methods (which panic) are used here, unlike in `torch`: the only failure to be expected is
//! memory, and it ends the command, not a daemon.

pub mod classify;
pub mod colour;
pub mod dataset;
mod descent;
pub mod eb;
mod error;
pub mod hierarchy;
pub mod loss;
pub mod manifold;
pub mod posterior;
mod prior;
pub mod sample;
pub mod segment;
pub mod student;
pub mod supervised;
pub mod whole;

pub use descent::{Curve, Progress, Run};
pub use error::LearnError;
