//! Training the segmentation net without labels, in one of two ways.
//!
//! What ships is trained end to end on sources [injected](injection) into the frames' own noise: the score of an object's
//! centre, and that of its extent.
//!
//! The paper's way is an auto-encoder of tiles, and a linear head over its hypercolumns that learns a classical rule's
//! opinion of other pixels: one score, with two thresholds.
//!
//! The paper's section 5 has three nets (a variational one, a plain one, one with residual connections) and clusters
//! their hypercolumns. The plain net with the linear head is [`train`]'s; the others are the study's (`twinpeak-lab`), which
//! trains them through [`Objective`].

mod autoencoder;
mod head;
pub mod injection;
pub mod teacher;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod thresholds;
mod tiles;

use serde::{Deserialize, Serialize};

use super::{Curve, LearnError, MissingBands, Run};
pub use autoencoder::{HUBER_SIGMA, Objective, Reconstruction, SCALE, miss, reconstruct, target, train_autoencoder};
pub use head::train_head;
pub use thresholds::{extent_threshold, false_rate, score_frame, score_sky};
pub use tiles::{Place, TileSampler};
use twinpeak_core::frame::{PerBand, Plane};
use twinpeak_nets::parameters::Parameters;
use twinpeak_nets::segmentation::{Level, Shape};

/// How the segmentation net is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Size of the net.
    pub shape: Shape,
    /// Levels that enter the head's hypercolumn.
    pub levels: Vec<Level>,
    /// Steps of the auto-encoder's training.
    pub steps: usize,
    /// Steps of the head's training.
    pub head_steps: usize,
    /// Tiles in a step's batch.
    pub batch: usize,
    /// Highest learning rate of the schedule.
    pub rate: f64,
    /// Seeds weights and the choice of tiles.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shape: Shape::default(),
            levels: Level::ALL.to_vec(),
            steps: 3000,
            head_steps: 800,
            batch: 32,
            rate: 2e-3,
            seed: 7,
        }
    }
}

impl Settings {
    /// In words, with the objective's name, for a checkpoint's fingerprint. They are what `Debug` gave while the objective
    /// was a setting called variant: checkpoints of then still count.
    fn told(&self, objective: &str) -> String {
        let Self { shape, levels, steps, head_steps, batch, rate, seed } = self;
        format!(
            "Settings {{ shape: {shape:?}, variant: {objective}, levels: {levels:?}, steps: {steps:?}, \
             head_steps: {head_steps:?}, batch: {batch:?}, rate: {rate:?}, seed: {seed:?} }}"
        )
    }
}

/// Fewest objects on all frames together: the head is taught on their pixels.
const OBJECTS_MIN: usize = 100;

/// Whether so many objects, found by the teacher on all frames together, are enough to learn from.
///
/// # Errors
/// [`LearnError::TooFew`]
pub fn enough(objects: usize) -> Result<(), LearnError> {
    LearnError::unless_enough("segmenter", "objects", objects, OBJECTS_MIN)
}

/// A frame to learn from.
#[derive(Clone, Debug)]
pub struct TrainingFrame {
    /// Registered bands in units of their sky noise, as the segmenter will see them.
    pub planes: PerBand<Plane<f32>>,
    /// The same with its sign flipped and its objects replaced by noise: nothing is to be found in it.
    pub noise_only: PerBand<Plane<f32>>,
    /// Where `noise_only` is no real sky.
    pub occupied: Plane<bool>,
    /// What a head is taught.
    pub pseudo_labels: teacher::PseudoLabels,
    /// What is injected.
    pub sources: injection::Library,
}

/// A trained segmentation net, and how its training went.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedSegmenter {
    /// Weights of the net, named as in [`Shape::parameters`].
    pub parameters: Parameters,
    /// Losses of each of its trainings.
    pub curves: Vec<Curve>,
    /// Share of taught pixels on which a head agrees with its teacher.
    pub agreement: Option<f64>,
}

/// Trains an auto-encoder and a head on `frames`; `shape_bands` are the three bands in which objects stand out, and `missing` those that tiles may
/// lack. What a tile shows is taught by all of its frame's bands, also where it lacks one.
///
/// # Errors
/// [`LearnError`]
pub fn train(
    frames: &[TrainingFrame],
    shape_bands: [usize; 3],
    missing: &MissingBands,
    settings: &Settings,
    run: &Run,
) -> Result<TrainedSegmenter, LearnError> {
    let sampler = TileSampler::new(frames, shape_bands)?.lacking(missing.clone());
    let (mut parameters, autoencoder_curve) = train_autoencoder(&sampler, &Reconstruction, settings, run)?;
    let (head, head_curve, agreement) = train_head(&sampler, &parameters, settings, run)?;
    parameters.0.extend(head.0);
    Ok(TrainedSegmenter { parameters, curves: vec![autoencoder_curve, head_curve], agreement: Some(agreement) })
}

#[cfg(test)]
mod tests;
