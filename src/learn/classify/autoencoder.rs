//! An auto-encoder's training: reconstruct randomly turned stamps.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, TchError, Tensor, no_grad};

use super::Settings;
use crate::trainer::{Schedule, Step, Trainer, inputs};
use crate::{Curve, LearnError, Run};
use twinpeak_core::model::{STAMP, STAMP_LEN};
use twinpeak_nets::classifier::{Encoder, decoder, symmetry};
use twinpeak_nets::layers::Mlp;
use twinpeak_nets::parameters::{Parameters, Start, Tensors};

/// The `a`-th auto-encoder's encoder, trained on `stamps` (n, 21, 21), and the loss: mean squared miss of a pixel, in units
/// of the noise's variance.
///
/// # Errors
/// [`LearnError`]
pub fn train(a: usize, stamps: &Tensor, settings: &Settings, run: &Run) -> Result<(Parameters, Curve), LearnError> {
    let seed = settings.seed + a as u64;
    let shapes = [settings.shape.encoder(), settings.shape.decoder()].concat();
    let start = Parameters::random(&shapes, Start::Uniform, &mut ChaCha8Rng::seed_from_u64(seed));
    let mut batches = ShuffledBatches::new(stamps.size()[0] as usize, settings.autoencoder_batch, seed);
    let values = super::values(stamps).map_err(|source| LearnError::Torch { net: "classifier".to_owned(), source })?;
    let trainer = Trainer {
        net: format!("classifier-ae{a}"),
        steps: batches.steps(settings.autoencoder_epochs),
        rate: 2e-3,
        schedule: Schedule::OneCycle { rise: 0.15 },
        weight_decay: 1e-4,
        gradient_max: 5.0,
        seed,
        inputs: inputs(&format!("{settings:?}"), [values.as_slice()]),
    };
    let build =
        |tensors: &Tensors| -> Result<(Encoder, Mlp), TchError> { Ok((Encoder::new(tensors, "")?, decoder(tensors)?)) };
    let (mut parameters, curve) = run.descend(&trainer, &start, build, |(encoder, decoder), step, rng| -> Step {
        let batch = stamps.f_index_select(0, &batches.at(step)?)?;
        let pixels = symmetry(&batch, rng.random_range(0..8))?.f_reshape([-1, STAMP_LEN as i64])?;
        let made = decoder.forward(&encoder.latents(&pixels)?)?;
        Ok(made.f_mse_loss(&pixels, Reduction::Mean)?)
    })?;
    parameters.0.retain(|name, _| name.starts_with("encode."));
    Ok((parameters, curve))
}

/// Stamps as a tensor, (n, 21, 21).
///
/// # Errors
/// libtorch's.
pub fn stamps(stamps: &[[f32; STAMP_LEN]]) -> Result<Tensor, TchError> {
    let side = STAMP as i64;
    Tensor::f_from_slice(stamps.as_flattened())?.f_view([-1, side, side])
}

/// What a trained encoder makes of stamps (n, 21, 21): (n, latents), the mean over their eight views. In pieces, so that
/// eight views of all stamps never stand in memory at once.
///
/// # Errors
/// libtorch's.
pub fn latents(encoder: &Parameters, stamps: &Tensor) -> Result<Tensor, TchError> {
    const PIECE: i64 = 512;
    no_grad(|| {
        let encoder = Encoder::new(&Tensors::upload(encoder, Device::Cpu, Kind::Float)?, "")?;
        let pieces = stamps.f_split(PIECE, 0)?;
        let latents = pieces.iter().map(|p| encoder.symmetric_latents(p)).collect::<Result<Vec<_>, _>>()?;
        Tensor::f_cat(&latents, 0)
    })
}

/// Shuffled batches, a new order each epoch; a smaller last batch is left out, as it would make a noisy step.
#[derive(Clone, Debug)]
pub struct ShuffledBatches {
    n: usize,
    batch: usize,
    seed: u64,
    epoch: Option<usize>,
    order: Vec<i64>,
}

impl ShuffledBatches {
    /// Of `n` objects, `batch` at a time, or all where there are fewer.
    pub fn new(n: usize, batch: usize, seed: u64) -> Self {
        Self { n, batch: batch.min(n).max(1), seed, epoch: None, order: Vec::new() }
    }

    fn steps_an_epoch(&self) -> usize {
        self.n / self.batch
    }

    /// Steps of so many passes.
    pub fn steps(&self, epochs: usize) -> usize {
        epochs * self.steps_an_epoch()
    }

    /// The pass, from 0, that a step belongs to.
    pub fn epoch(&self, step: usize) -> usize {
        step / self.steps_an_epoch()
    }

    /// Number of objects in a batch.
    pub fn size(&self) -> usize {
        self.batch
    }

    /// Indices of step `step`'s batch, (batch) of i64: a function of the seed and the step alone.
    ///
    /// # Errors
    /// libtorch's.
    pub fn at(&mut self, step: usize) -> Result<Tensor, TchError> {
        let epoch = self.epoch(step);
        if self.epoch != Some(epoch) {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ 0x5eed_0f0e_2de2);
            rng.set_stream(epoch as u64);
            self.order = (0..self.n as i64).collect();
            self.order.shuffle(&mut rng);
            self.epoch = Some(epoch);
        }
        let first = (step % self.steps_an_epoch()) * self.batch;
        Tensor::f_from_slice(&self.order[first..first + self.batch])?.f_to_kind(Kind::Int64)
    }
}
