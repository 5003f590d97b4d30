//! Training the segmentation net by injection: sources are added to a frame's own noise, and the net learns to say of each
//! pixel whether the centre of one is there, and whether one reaches it.
//!
//! No label, catalogue or simulation enters. The noise is the frame with its sign flipped and its objects masked; what a
//! source looks like is measured on the frames: the PSF of each band, the colours and sizes of isolated detections. It is
//! self-supervised in the sense in which the paper's auto-encoders are: nothing but frames is needed. What the net learns
//! is not bounded by another detector's opinion, as it is with a head that a matched filter teaches.
//!
//! `library` measures what there is to inject, `images` draws it, `tiles` puts it into noise and says what is true there,
//! `loss` is what the net is asked.

mod images;
mod library;
mod loss;
mod tiles;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use library::{Kind, Library};
use tiles::{Injector, Tile};

use super::{TrainedSegmenter, TrainingFrame};
use crate::trainer::{Schedule, Step, Trainer, inputs};
use crate::{LearnError, MissingBands, Run};
use twinpeak_core::frame::Plane;
use twinpeak_core::model::{TILE_LEN, TILE_PIXELS};
use twinpeak_nets::cells::cells;
use twinpeak_nets::parameters::{Parameters, Start, Tensors};
use twinpeak_nets::segmentation::{Autoencoder, Gives, Head, Shape};

const NET: &str = "segmenter-injection";
/// Steps over which the learning rate rises.
const WARM_UP: usize = 50;
/// The gradient's norm is cut to this.
const GRADIENT_MAX: f64 = 5.0;
/// Size of the head's first weights, and its first bias: nearly all pixels are no centre.
const HEAD_START: (f32, f32) = (0.02, -5.0);

/// How a net is trained by injection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Size of the net. It is no auto-encoder any more, so nothing is gained by keeping noise from its decoder.
    pub shape: Shape,
    /// Steps of the training.
    pub steps: usize,
    /// Tiles in a step's batch.
    pub batch: usize,
    /// Highest learning rate of the schedule.
    pub rate: f64,
    /// Seeds weights and tiles.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { shape: Shape { skip_weight: 1.0, ..Shape::default() }, steps: 4000, batch: 24, rate: 3e-3, seed: 7 }
    }
}

/// Trains on `frames`; `shape_bands` are the three bands in whose sum an object's extent is defined, and `missing` those
/// that tiles may lack.
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
    LearnError::unless_enough("segmenter", "frames", frames.len(), 1)?;
    let injector = Injector::new(frames, shape_bands, missing.clone())?;
    let trainer = Trainer {
        net: NET.to_owned(),
        steps: settings.steps,
        rate: settings.rate,
        schedule: Schedule::Cosine { warm_up: WARM_UP },
        weight_decay: 0.0,
        gradient_max: GRADIENT_MAX,
        seed: settings.seed,
        inputs: inputs(
            &format!("{settings:?} {}", missing.told()),
            frames.iter().flat_map(|f| f.planes.iter().map(Plane::pixels)),
        ),
    };
    let build = |tensors: &Tensors| Ok((Autoencoder::new(tensors, &settings.shape)?, Head::new(tensors)?));
    let (parameters, curve) = run.descend(&trainer, &start(settings), build, |(net, head), _, rng| -> Step {
        let batch = draw(&injector, settings.batch, rng);
        let maps = head.maps(&net.hypercolumns(&cells(&batch.pixels)?)?)?;
        Ok(loss::cross_entropy(&maps, &batch)?)
    })?;
    Ok(TrainedSegmenter { parameters, curves: vec![curve], agreement: None })
}

/// Random weights, and a head that says at first that nothing is there.
fn start(settings: &Settings) -> Parameters {
    let shapes = settings.shape.parameters(Gives::CentreAndExtent);
    let mut start = Parameters::random(&shapes, Start::He, &mut ChaCha8Rng::seed_from_u64(settings.seed));
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed ^ 1);
    for name in Head::level_names() {
        let weights = start.0.get_mut(&name).into_iter().flat_map(|a| &mut a.values);
        weights.for_each(|w| *w = HEAD_START.0 * rng.sample::<f32, _>(rand_distr::StandardNormal));
    }
    let bias = start.0.get_mut(Head::BIAS).into_iter().flat_map(|a| &mut a.values);
    bias.for_each(|b| *b = HEAD_START.1);
    start
}

/// A batch: tiles one after the other, and what is true of their pixels.
#[derive(Debug, Default)]
struct Batch {
    /// NHWC, in units of sky noise.
    pixels: Vec<f32>,
    /// 1 where a centre is.
    centre: Vec<f32>,
    /// 1 where it is known whether a centre is here.
    centre_known: Vec<f32>,
    /// 1 where an object reaches.
    extent: Vec<f32>,
    /// 1 where it is known whether an object is here.
    extent_known: Vec<f32>,
}

/// Tiles are drawn side by side, each by a seed of its own, so that the number of threads decides nothing.
fn draw(injector: &Injector, tiles: usize, rng: &mut ChaCha8Rng) -> Batch {
    let seeds: Vec<u64> = (0..tiles).map(|_| rng.random()).collect();
    let tile = |&seed: &u64| injector.draw(&mut ChaCha8Rng::seed_from_u64(seed));
    let drawn: Vec<Tile> = seeds.par_iter().map(tile).collect();
    let mut batch = Batch::default();
    batch.pixels.reserve(tiles * TILE_LEN);
    batch.centre.reserve(tiles * TILE_PIXELS);
    for tile in drawn {
        batch.pixels.extend(tile.pixels);
        batch.centre.extend(tile.centre);
        batch.centre_known.extend(tile.centre_known);
        batch.extent.extend(tile.extent);
        batch.extent_known.extend(tile.extent_known);
    }
    batch
}

#[cfg(test)]
mod tests;
