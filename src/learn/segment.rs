//! Training the segmentation net without labels: an auto-encoder of tiles, a linear head over its hypercolumns that
//! learns a classical rule's opinion of other pixels, and two thresholds.
//!
//! The paper's section 5 has three nets (a variational one, a plain one, one with residual connections) and clusters
//! their hypercolumns; [`Variant`] and [`Clustered`] are those, for the study. What is shipped is the plain net with the
//! linear head.

mod autoencoder;
mod blind_spot;
mod clusters;
mod head;
pub mod teacher;
mod thresholds;
mod tiles;

use serde::{Deserialize, Serialize};

use super::{Curve, LearnError, Run};
use crate::frame::{PerBand, Plane};
use crate::torch::nets::segmentation::{Level, Shape};
use crate::torch::parameters::Parameters;
pub use clusters::{ClusterRule, ClusterSettings, Clustered, Clusters};
pub use thresholds::{Thresholds, extent_threshold, score_plane, thresholds};

/// What the auto-encoder is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Give back what it sees, through its bottleneck.
    #[default]
    Plain,
    /// The same with a bottleneck that is drawn from a normal law and kept near the standard one.
    Variational,
    /// Give back pixels that it does not see: without this a net with skips copies its input, noise included.
    BlindSpot,
}

/// How the segmentation net is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Its size.
    pub shape: Shape,
    /// What it is asked to do.
    pub variant: Variant,
    /// Levels that enter the head's hypercolumn.
    pub levels: Vec<Level>,
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
        Self {
            shape: Shape::default(),
            variant: Variant::Plain,
            levels: Level::ALL.to_vec(),
            steps: 3000,
            head_steps: 800,
            batch: 32,
            rate: 2e-3,
            seed: 7,
        }
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

/// Frames to learn from, and where on them there is something to see.
pub struct Ground<'a>(tiles::Sampler<'a>);

impl<'a> Ground<'a> {
    /// `shape_bands` are the three bands in which objects stand out.
    ///
    /// # Errors
    /// [`LearnError::TooFew`] without a frame.
    pub fn new(frames: &'a [TrainingFrame], shape_bands: [usize; 3]) -> Result<Self, LearnError> {
        LearnError::unless_enough("segmenter", "frames", frames.len(), 1)?;
        Ok(Self(tiles::Sampler::new(frames, shape_bands)))
    }

    /// The auto-encoder: [`Shape::autoencoder`].
    ///
    /// # Errors
    /// [`LearnError`]
    pub fn autoencoder(&self, settings: &Settings, run: &Run) -> Result<(Parameters, Curve), LearnError> {
        autoencoder::train(&self.0, settings, run)
    }

    /// The head over a trained auto-encoder ([`Shape::head`]), and the share of taught pixels on which it agrees with its
    /// teacher.
    ///
    /// # Errors
    /// [`LearnError`]
    pub fn head(
        &self,
        autoencoder: &Parameters,
        settings: &Settings,
        run: &Run,
    ) -> Result<(Parameters, Curve, f64), LearnError> {
        head::train(&self.0, autoencoder, settings, run)
    }

    /// Two clusters of a trained auto-encoder's hypercolumns.
    ///
    /// # Errors
    /// [`LearnError`], a clustering that fails among them.
    pub fn clusters(
        &self,
        autoencoder: &Parameters,
        shape: &Shape,
        settings: &ClusterSettings,
    ) -> Result<Clusters, LearnError> {
        clusters::fit(&self.0, autoencoder, shape, settings)
    }
}

/// What a trained auto-encoder makes of tiles (n times [`crate::model::TILE_LEN`] values in units of sky noise, NHWC), in
/// the same order and units.
///
/// # Errors
/// libtorch's.
pub fn reconstruct(autoencoder: &Parameters, shape: &Shape, tiles: &[f32]) -> Result<Vec<f32>, LearnError> {
    let torch = |source| LearnError::Torch { net: "segmenter-autoencoder".to_owned(), source };
    autoencoder::reconstruct(autoencoder, shape, tiles).map_err(torch)
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
    let ground = Ground::new(frames, shape_bands)?;
    let (mut parameters, autoencoder_curve) = ground.autoencoder(settings, run)?;
    let (head, head_curve, agreement) = ground.head(&parameters, settings, run)?;
    parameters.0.extend(head.0);
    Ok(TrainedSegmenter { parameters, curves: vec![autoencoder_curve, head_curve], agreement })
}

#[cfg(test)]
mod tests;
