//! The two ports of [`twinpeak_core::model`] over libtorch. Each value owns its nets and belongs to one thread.
//!
//! libtorch's answer for a row may depend on how many rows there are, so each net has exactly one padded batch shape.
//! Bits repeat on one device and processor type; between them, and between f32 and bf16, answers agree within
//! the tolerances below.

use crate::device::{Chosen, Precision};
use twinpeak_core::model::ModelError;

mod classifier;
mod colour;
mod noise_levels;
mod segmenter;

pub use classifier::TorchClassifier;
pub use colour::TorchColour;
pub use segmenter::TorchSegmenter;

/// Largest difference of a score between f32 and bf16, times the score where that is beyond 1. Measured with the
/// trained net on a real field: .12 at worst between -3 and 3, root mean square .025; 1 pixel in 10,000 changes sides.
pub const BF16_TOLERANCE: f32 = 0.15;
/// Largest difference of a score or of log-odds between devices in f32, on the same scale.
pub const DEVICE_TOLERANCE: f32 = 0.01;

/// Fixed values that look a little like noise, for probes.
fn pattern(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1013) as f32 / 250.0 - 2.0).collect()
}

/// Whether a probe's answers are those of the trainer's CPU (`expected`; empty where none were kept).
fn judge(chosen: &Chosen, answers: &[f32], expected: &[f32]) -> Result<(), ModelError> {
    let lost = |message: &str| Err(ModelError::DeviceLost { device: chosen.name.clone(), message: message.to_owned() });
    if answers.iter().any(|a| !a.is_finite()) {
        return lost("a probe gave no numbers");
    }
    let tolerance = match chosen.precision {
        Precision::F32 => DEVICE_TOLERANCE,
        Precision::Bf16 => BF16_TOLERANCE,
    };
    if answers.iter().zip(expected).any(|(a, e)| (a - e).abs() > tolerance * e.abs().max(1.0)) {
        return lost("a probe's answer differs from the one in the bundle");
    }
    Ok(())
}
