//! A VAE of latents (A+Vr, figure 4 left): one or two hidden variables behind 30 latents, the first of them pulled into
//! two balanced peaks.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

use super::autoencoder::ShuffledBatches;
use crate::loss::{DoublePeak, PriorLoss};
use crate::prior::{LatentPosterior, LatentPrior, bounded, warmth};
use crate::trainer::{Schedule, Step, Trainer, inputs};
use crate::{Curve, LearnError, Run};
use twinpeak_nets::classifier::{VaeDecoder, VaeEncoder, VaeShape};
use twinpeak_nets::parameters::{Parameters, Start, Tensors};

/// How a VAE is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaeSettings {
    /// What pulls the first hidden variable into two peaks.
    pub pull: PriorLoss,
    /// Number of hidden variables.
    pub hidden: usize,
    /// Whether the latents are normalised, with statistics frozen afterwards (batch norm without weights).
    pub batch_norm: bool,
    /// Passes over the training latents.
    pub epochs: usize,
    /// Objects in a step's batch.
    pub batch: usize,
    /// Weight of the prior term.
    pub prior_weight: f64,
    /// Epochs over which it rises to that.
    pub warm_up_epochs: usize,
    /// Weight of the term that keeps the two peaks balanced.
    pub balance_weight: f64,
    /// Distribution that weights are drawn from at the start.
    pub start: Start,
}

impl Default for VaeSettings {
    fn default() -> Self {
        Self {
            pull: PriorLoss::Dkl,
            hidden: 1,
            batch_norm: true,
            epochs: 50,
            batch: 256,
            prior_weight: 0.3,
            warm_up_epochs: 10,
            balance_weight: 5.0,
            start: Start::Uniform,
        }
    }
}

/// Which VAE is trained: its name, size and seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Net {
    /// Its name, of checkpoint and curve.
    pub name: String,
    /// Widths of its layers.
    pub shape: VaeShape,
    /// Seed of its weights, batches and samples.
    pub seed: u64,
}

/// Its encoder, trained on normalised `latents` (n, inputs), and the loss in nats an object.
///
/// # Errors
/// [`LearnError`]
pub fn train(
    net: &Net,
    latents: &Tensor,
    prior: DoublePeak,
    settings: &VaeSettings,
    run: &Run,
) -> Result<(Parameters, Curve), LearnError> {
    let torch = |source| LearnError::Torch { net: net.name.clone(), source };
    let shapes = [net.shape.encoder(), net.shape.decoder()].concat();
    let start = Parameters::random(&shapes, settings.start, &mut ChaCha8Rng::seed_from_u64(net.seed));
    let mut batches = ShuffledBatches::new(latents.size()[0] as usize, settings.batch, net.seed);
    let prior = LatentPrior::new(prior, batches.size()).map_err(torch)?;
    let trainer = Trainer {
        net: net.name.clone(),
        steps: batches.steps(settings.epochs),
        rate: 3e-3,
        schedule: Schedule::OneCycle { rise: 0.2 },
        weight_decay: 0.0,
        gradient_max: 5.0,
        seed: net.seed,
        inputs: inputs(&format!("{net:?} {settings:?}"), [super::values(latents).map_err(torch)?.as_slice()]),
    };
    let build = |tensors: &Tensors| -> Result<(VaeEncoder, VaeDecoder), TchError> {
        Ok((VaeEncoder::new(tensors, "")?, VaeDecoder::new(tensors)?))
    };
    let (mut parameters, curve) = run.descend(&trainer, &start, build, |(encoder, decoder), step, rng| -> Step {
        let x = latents.f_index_select(0, &batches.at(step)?)?;
        let (mu, sigma) = encoder.posterior(&x)?;
        let posterior = LatentPosterior::sample((bounded(mu, settings.pull, prior.peaks())?, sigma), rng)?;
        let (made, log_variance) = decoder.decode(&posterior.z)?;
        let miss = x.f_sub(&made)?.f_square()?.f_mul(&log_variance.f_neg()?.f_exp()?)?.f_add(&log_variance)?;
        let reconstruction = miss.f_sum_dim_intlist(1, false, Kind::Float)?.f_mean(Kind::Float)?.f_mul_scalar(0.5)?;
        let warm = warmth(batches.epoch(step), settings.warm_up_epochs);
        let pull = prior.of(settings.pull, &posterior)?.f_mul_scalar(settings.prior_weight * warm)?;
        let loss = reconstruction.f_add(&pull)?;
        let balance = prior.imbalance(&posterior)?.f_mul_scalar(settings.balance_weight)?;
        Ok(loss.f_add(&balance)?)
    })?;
    parameters.0.retain(|name, _| name.starts_with("encode."));
    Ok((parameters, curve))
}
