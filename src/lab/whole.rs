//! The paper's own nets: auto-encoders and variational auto-encoders of whole 64x64x5 cutouts (sections 3.1, 3.2 and
//! 4.1), and the variational one whose loss an auto-encoder defines (figure 4, right).
//!
//! With x the standardised cutout, z its latents and Q the prior of the first latent,
//!
//! ```text
//! AE:            ||x - psi(phi(x))||^2
//! VAE:   1/2     ||x - psi(z)||^2                +  sum over latents of KL(N(mu, sigma^2) || N(0, 1))
//! Vr:    1/2     ||x - psi(z)||^2                +  pull(z1) + KL of the other latents
//! A+Vr, right:   1/2 ||phi(x) - phi(psi(z))||^2  +  pull(z1) + KL of the other latents     phi: the frozen AE's
//! ```
//!
//! The paper's equation 4 prints phi o psi where psi o phi is meant. A double peak on every one of d latents would make
//! 2^d clusters, so it stands on the first alone and the others keep N(0, 1).

mod latents;
mod stream;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, TchError, Tensor, no_grad};

use crate::LabError;
use twinpeak_learn::loss::{DoublePeak, PriorLoss};
use twinpeak_learn::prior::{LatentPosterior, LatentPrior, bounded, warmth};
use twinpeak_learn::trainer::{Schedule, Step, StepError, Trainer, inputs};
use twinpeak_learn::{Curve, LearnError, Run};
use twinpeak_nets::cutouts::{Decoder, Encoder, Kind, Shape};
use twinpeak_nets::parameters::{Parameters, Start, Tensors};

pub use latents::{Encoded, encode};
pub use stream::{CutoutView, Streamed};

/// How a net is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Number of latents between encoder and decoder.
    pub latents: usize,
    /// What pulls the first of them; none: a plain auto-encoder.
    #[serde(default)]
    pub pull: Option<PriorLoss>,
    /// Weight of the prior terms.
    #[serde(default = "one")]
    pub prior_weight: f64,
    /// Passes over the training cutouts.
    pub epochs: usize,
    /// Epochs over which the prior's weight rises.
    #[serde(default)]
    pub warm_up_epochs: usize,
    /// Cutouts in a step's batch.
    pub batch: usize,
    /// Highest learning rate of the schedule.
    pub rate: f64,
    /// Distribution that weights are drawn from at the start.
    #[serde(default)]
    pub start: Start,
}

fn one() -> f64 {
    1.0
}

impl Settings {
    /// Size of the net that these settings train.
    pub fn shape(&self) -> Shape {
        Shape { latents: self.latents, kind: if self.pull.is_some() { Kind::Variational } else { Kind::Plain } }
    }
}

/// Standardised cutouts in mini-batches.
pub trait CutoutBatches {
    /// Whole batches in a pass.
    fn steps_an_epoch(&self) -> usize;

    /// The batch of a step, counted over all passes: (n, 5, 64, 64), a function of the step alone.
    ///
    /// # Errors
    /// [`LabError::Data`] where the data cannot be read.
    fn at(&mut self, step: usize) -> Result<Tensor, LabError>;

    /// Tells one set of cutouts and its order from another.
    fn fingerprint(&self) -> String;
}

/// What defines the distance between a cutout and its reconstruction.
#[derive(Clone, Copy, Debug)]
pub enum Distance<'a> {
    /// The pixels (figure 4, left, and all nets alone).
    Pixels,
    /// The latents of a frozen auto-encoder, given by its parameters and size (figure 4, right).
    Features(&'a Parameters, Shape),
}

/// Trains a net; gives its encoder.
///
/// # Errors
/// [`LabError`]
pub fn train(
    net: &str,
    batches: &mut dyn CutoutBatches,
    settings: &Settings,
    distance: Distance,
    seed: u64,
    run: &Run,
) -> Result<(Parameters, Curve), LabError> {
    twinpeak_nets::device::start();
    let torch = |source| LearnError::Torch { net: net.to_owned(), source };
    let shape = settings.shape();
    let peaks = DoublePeak::for_training(1.0, 1.0 / DoublePeak::LEAST_RATIO).map_err(LearnError::from)?;
    let prior = LatentPrior::new(peaks, settings.batch).map_err(torch)?;
    let shapes = [shape.encoder(), shape.decoder()].concat();
    let start = Parameters::random(&shapes, settings.start, &mut ChaCha8Rng::seed_from_u64(seed));
    let a_pass = batches.steps_an_epoch();
    let trainer = Trainer {
        net: net.to_owned(),
        steps: settings.epochs * a_pass,
        rate: settings.rate,
        schedule: Schedule::OneCycle { rise: 0.2 },
        weight_decay: 1e-4,
        gradient_max: 5.0,
        seed,
        inputs: inputs(&format!("{settings:?} {}", batches.fingerprint()), [&[] as &[f32]]),
    };
    let frozen = match distance {
        Distance::Pixels => None,
        Distance::Features(parameters, shape) => {
            let tensors = Tensors::upload(parameters, Device::Cpu, tch::Kind::Float).map_err(torch)?;
            Some(Encoder::new(&tensors, shape).map_err(torch)?)
        }
    };
    let build = |t: &Tensors| -> Result<_, TchError> { Ok((Encoder::new(t, shape)?, Decoder::new(t)?)) };
    let (mut parameters, curve) =
        run.descend(&trainer, &start, build, |(encoder, decoder), step, rng| -> Step<LabError> {
            let x = batches.at(step).map_err(StepError::Other)?;
            let Some(pull) = settings.pull else {
                return Ok(miss(&x, &decoder.cutouts(&encoder.latents(&x)?)?, frozen.as_ref())?);
            };
            let (mu, sigma) = encoder.posterior(&x)?;
            let posterior = LatentPosterior::sample((bounded(mu, pull, prior.peaks())?, sigma), rng)?;
            let made = miss(&x, &decoder.cutouts(&posterior.z)?, frozen.as_ref())?;
            let warm = warmth(step / a_pass, settings.warm_up_epochs);
            let prior = prior.of(pull, &posterior)?;
            Ok(made.f_mul_scalar(0.5)?.f_add(&prior.f_mul_scalar(settings.prior_weight * warm)?)?)
        })?;
    parameters.0.retain(|name, _| shape.encoder().iter().any(|(known, _)| known == name));
    Ok((parameters, curve))
}

/// Squared distance a cutout, the mean over the batch.
fn miss(x: &Tensor, made: &Tensor, frozen: Option<&Encoder>) -> Result<Tensor, TchError> {
    let difference = match frozen {
        None => x.f_sub(made)?,
        Some(encoder) => no_grad(|| encoder.latents(x))?.f_sub(&encoder.latents(made)?)?,
    };
    difference.f_square()?.f_sum(tch::Kind::Float)?.f_div_scalar(x.size()[0])
}

#[cfg(test)]
mod tests;
