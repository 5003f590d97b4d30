//! What the prior adds to a variational auto-encoder's loss when there are several latents: the first one is pulled
//! towards the two peaks, the others towards N(0, 1). (A double peak on each of d latents would make 2^d clusters.)

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tch::{Device, Kind, TchError, Tensor};

use super::loss::{self, DoublePeak, Latents, LossError, PriorLoss, vae_kl, w1};

/// A batch's latents: means, deviations, and a sample of each, (n, latents).
#[derive(Debug)]
pub struct LatentPosterior {
    mu: Tensor,
    sigma: Tensor,
    /// A sample of each latent, (n, latents).
    pub z: Tensor,
}

impl LatentPosterior {
    /// Draws a sample of each of `(mu, sigma)`, (n, latents) each, sigma > 0.
    ///
    /// # Errors
    /// libtorch's.
    pub fn sample((mu, sigma): (Tensor, Tensor), rng: &mut ChaCha8Rng) -> Result<Self, TchError> {
        let noise: Vec<f32> = (0..mu.numel()).map(|_| rng.sample(StandardNormal)).collect();
        let z = sigma.f_mul(&Tensor::f_from_slice(&noise)?.f_view_as(&mu)?)?.f_add(&mu)?;
        Ok(Self { mu, sigma, z })
    }
}

/// Means (n, latents) as a pull wants them: the first latent's through m tanh where that keeps it from running away.
///
/// # Errors
/// libtorch's.
pub fn bounded(mu: Tensor, pull: PriorLoss, peaks: DoublePeak) -> Result<Tensor, TchError> {
    if !pull.wants_tanh() {
        return Ok(mu);
    }
    let first = mu.f_narrow(1, 0, 1)?.f_tanh()?.f_mul_scalar(peaks.peak)?;
    Tensor::f_cat(&[first, mu.f_narrow(1, 1, mu.size()[1] - 1)?], 1)
}

/// The share of the prior's weight in a pass (from 0), while it rises over the first `passes`.
pub fn warmth(pass: usize, passes: usize) -> f64 {
    ((pass + 1) as f64 / passes.max(1) as f64).min(1.0)
}

/// The prior, with what batches of a known size need of it.
#[derive(Debug)]
pub struct LatentPrior(loss::Prior);

impl LatentPrior {
    /// For batches of `batch` objects.
    ///
    /// # Errors
    /// libtorch's.
    pub fn new(peaks: DoublePeak, batch: usize) -> Result<Self, TchError> {
        loss::Prior::new(peaks, batch as i64, Kind::Float, Device::Cpu).map(Self)
    }

    /// The two peaks that the first latent is pulled towards.
    pub fn peaks(&self) -> DoublePeak {
        self.0.peaks
    }

    /// The mean over the batch of the pull on the first latent and the KL divergence of the others from N(0, 1): a
    /// scalar, nats where the pull is one.
    ///
    /// # Errors
    /// A loss outside its domain, and libtorch's.
    pub fn of(&self, pull: PriorLoss, posterior: &LatentPosterior) -> Result<Tensor, LossError> {
        let LatentPosterior { mu, sigma, z } = posterior;
        let first = Latents { mu: mu.f_select(1, 0)?, sigma: sigma.f_select(1, 0)?, z: z.f_select(1, 0)? };
        let pulled = pull.of(&first, &self.0)?;
        let others = mu.size()[1] - 1;
        if others == 0 {
            return Ok(pulled);
        }
        let kl = vae_kl::vae_kl(&mu.f_narrow(1, 1, others)?, &sigma.f_narrow(1, 1, others)?)?;
        Ok(pulled.f_add(&kl.f_sum_dim_intlist(1, false, Kind::Float)?.f_mean(Kind::Float)?)?)
    }

    /// How far the first latent's samples are from filling both peaks equally: Wasserstein-1, a scalar in units of the
    /// latent.
    ///
    /// # Errors
    /// libtorch's.
    pub fn imbalance(&self, posterior: &LatentPosterior) -> Result<Tensor, TchError> {
        w1::w1(&posterior.z.f_select(1, 0)?, &self.0.quantiles)
    }
}
