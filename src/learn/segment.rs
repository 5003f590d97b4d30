//! Training the segmentation net without labels: an auto-encoder of tiles, a linear head over its hypercolumns that
//! learns a classical rule's opinion of other pixels, and two thresholds.

mod autoencoder;
mod head;
pub mod teacher;
mod thresholds;
mod tiles;

use serde::{Deserialize, Serialize};

use super::{Curve, LearnError, Run};
use crate::frame::{PerBand, Plane};
use crate::torch::nets::segmentation::Shape;
use crate::torch::parameters::Parameters;
pub use thresholds::{Thresholds, score_plane, thresholds};

/// How the segmentation net is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its size.
    pub shape: Shape,
    /// Steps of the auto-encoder.
    pub steps: usize,
    /// Steps of the head.
    pub head_steps: usize,
    /// Tiles a step.
    pub batch: usize,
    /// Highest rate.
    pub rate: f64,
    /// Seeds weights and the choice of tiles.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { shape: Shape::default(), steps: 3000, head_steps: 800, batch: 32, rate: 2e-3, seed: 7 }
    }
}

/// A frame to learn from.
#[derive(Clone, Debug)]
pub struct TrainingFrame {
    /// Registered bands in units of their sky noise, as the segmenter will see them.
    pub planes: PerBand<Plane<f32>>,
    /// The same with its sign flipped and its objects replaced by noise: nothing is to be found in it.
    pub noise_only: PerBand<Plane<f32>>,
    /// Share of `noise_only` that is real sky, for counting false components.
    pub sky_share: f64,
    /// What the head is taught.
    pub lesson: teacher::Lesson,
}

/// A trained segmentation net.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedSegmenter {
    /// All of [`Shape::parameters`].
    pub parameters: Parameters,
    /// Losses of auto-encoder and head.
    pub curves: Vec<Curve>,
    /// Share of taught pixels on which the head agrees with its teacher.
    pub agreement: f64,
}

/// Trains on `frames`; `shape_bands` are the three bands in which objects stand out.
///
/// # Errors
/// [`LearnError`]
pub fn train(
    frames: &[TrainingFrame],
    shape_bands: [usize; 3],
    settings: &Settings,
    run: &Run,
) -> Result<TrainedSegmenter, LearnError> {
    if frames.is_empty() {
        return Err(LearnError::TooFew { net: "segmenter", what: "frames", found: 0, needed: 1 });
    }
    let sampler = tiles::Sampler::new(frames, shape_bands);
    let (mut parameters, autoencoder_curve) = autoencoder::train(&sampler, settings, run)?;
    let (head, head_curve, agreement) = head::train(&sampler, &parameters, settings, run)?;
    parameters.0.extend(head.0);
    Ok(TrainedSegmenter { parameters, curves: vec![autoencoder_curve, head_curve], agreement })
}

#[cfg(test)]
mod tests;
