//! The auto-encoder's training: reconstruct stretched tiles.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::Reduction;

use super::Settings;
use super::tiles::Sampler;
use crate::frame::Plane;
use crate::learn::descent::{Descent, Schedule, inputs};
use crate::learn::{Curve, LearnError, Run};
use crate::model::TILE_LEN;
use crate::torch::nets::cells::{STRETCH_SIGMA, cells};
use crate::torch::nets::segmentation::Autoencoder;
use crate::torch::parameters::{Parameters, Start};

/// Misses beyond this (stretched sigma) count linearly: quadratic for noise, linear for bright cores.
const HUBER_SIGMA: f64 = 3.0;
/// Scale of the loss: its gradient's norm then rarely exceeds 1, where it is cut.
const SCALE: f64 = 6.0;
/// Steps of rising rate.
const WARM_UP: usize = 30;

pub(super) fn train(sampler: &Sampler, settings: &Settings, run: &Run) -> Result<(Parameters, Curve), LearnError> {
    let shape = &settings.shape;
    let mut start = Parameters::random(&shape.autoencoder(), Start::He, &mut ChaCha8Rng::seed_from_u64(settings.seed));
    if let Some(last) = start.0.get_mut("y.weight") {
        // Start by predicting nearly nothing: sky.
        last.values.iter_mut().for_each(|v| *v *= 0.1);
    }
    let frames = sampler.frames.iter();
    let descent = Descent {
        net: "segmenter-autoencoder".to_owned(),
        steps: settings.steps,
        rate: settings.rate,
        schedule: Schedule::Cosine { warm_up: WARM_UP },
        weight_decay: 0.0,
        gradient_max: 1.0,
        seed: settings.seed,
        inputs: inputs(&format!("{settings:?}"), frames.flat_map(|f| f.planes.iter().map(Plane::pixels))),
    };
    run.descend(
        &descent,
        &start,
        |tensors| Autoencoder::new(tensors, shape),
        |net, _, rng| {
            let mut pixels = Vec::with_capacity(settings.batch * TILE_LEN);
            for _ in 0..settings.batch {
                let place = sampler.draw(rng);
                place.cut_bands(&sampler.frames[place.frame].planes, &mut pixels);
            }
            let cells = cells(&pixels)?;
            let target = cells.f_mul_scalar(f64::from(STRETCH_SIGMA))?;
            let made = net.reconstruct(&net.hypercolumns(&cells)?)?;
            made.f_smooth_l1_loss(&target, Reduction::Mean, HUBER_SIGMA)?.f_mul_scalar(SCALE)
        },
    )
}
