//! The two ports of [`crate::model`] over libtorch. Each value owns its nets and belongs to one thread.
//!
//! libtorch's answer for a row may depend on how many rows there are, so each net has exactly one padded batch shape.
//! Bits repeat on one device and processor type; between them, and between f32 and bf16, answers agree within
//! the tolerances below.

mod classifier;
mod segmenter;

pub use classifier::TorchClassifier;
pub use segmenter::TorchSegmenter;

/// Largest difference of a score between f32 and bf16, as a share of the scores' standard deviation over a tile.
pub const BF16_TOLERANCE: f32 = 0.1;
/// Largest difference of a score or of log-odds between devices, f32.
pub const DEVICE_TOLERANCE: f32 = 1e-3;
