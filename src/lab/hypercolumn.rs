//! The paper's nets whose hypercolumns find objects (section 5): a variational auto-encoder, a plain one, and one with
//! residual connections, which is trained here on a blind spot too. What ships is the plain one
//! ([`twinpeak_learn::segment`]).

mod blind_spot;
mod variational;

use serde::{Deserialize, Serialize};

use blind_spot::BlindSpot;
use twinpeak_learn::segment::{self, Reconstruction, TileSampler};
use twinpeak_learn::{Curve, LearnError, Run};
use twinpeak_nets::parameters::Parameters;
use twinpeak_nets::segmentation::{Level, Shape};
use variational::Variational;

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

/// How a net is trained: [`segment::Settings`], and what the auto-encoder is asked to do. Runs are told apart by this
/// struct's `Debug` text: neither its name nor its fields' may change while records of them are to count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Size of the segmentation net.
    pub shape: Shape,
    /// What it is asked to do.
    pub variant: Variant,
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
        let segment::Settings { shape, levels, steps, head_steps, batch, rate, seed } = segment::Settings::default();
        Self { shape, variant: Variant::default(), levels, steps, head_steps, batch, rate, seed }
    }
}

impl Settings {
    /// What the head's training and the plain auto-encoder's need of them.
    pub fn training(&self) -> segment::Settings {
        let Self { shape, variant: _, levels, steps, head_steps, batch, rate, seed } = self.clone();
        segment::Settings { shape, levels, steps, head_steps, batch, rate, seed }
    }
}

/// Trains the auto-encoder ([`Shape::autoencoder`]) on what it is asked to do; gives the loss too.
///
/// # Errors
/// [`LearnError`]
pub fn train_autoencoder(
    sampler: &TileSampler,
    settings: &Settings,
    run: &Run,
) -> Result<(Parameters, Curve), LearnError> {
    let training = settings.training();
    match settings.variant {
        Variant::Plain => segment::train_autoencoder(sampler, &Reconstruction, &training, run),
        Variant::Variational => segment::train_autoencoder(sampler, &Variational, &training, run),
        Variant::BlindSpot => segment::train_autoencoder(sampler, &BlindSpot, &training, run),
    }
}

#[cfg(test)]
mod tests;
