//! A VAE's training: one hidden variable behind 30 latents, pulled into two balanced peaks.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tch::{Kind, TchError, Tensor};

use super::Settings;
use super::autoencoder::Batches;
use crate::learn::descent::{Descent, Schedule, inputs};
use crate::learn::loss::{DoublePeak, dkl, w1};
use crate::learn::{Curve, LearnError, Run};
use crate::torch::nets::classifier::{VaeDecoder, VaeEncoder};
use crate::torch::parameters::{Parameters, Start, Tensors};

/// The encoder of auto-encoder `a`'s `v`-th VAE, trained on normalised `latents` (n, width).
pub(super) fn train(
    a: usize,
    v: usize,
    latents: &Tensor,
    prior: DoublePeak,
    settings: &Settings,
    run: &Run,
) -> Result<(Parameters, Curve), LearnError> {
    let net = format!("classifier-ae{a}-vae{v}");
    let torch = |source| LearnError::Torch { net: net.clone(), source };
    // Far from the auto-encoders' seeds.
    let seed = settings.seed + 1000 * (1 + a as u64) + v as u64;
    let shapes = [settings.shape.vae_encoder(), settings.shape.vae_decoder()].concat();
    let start = Parameters::random(&shapes, Start::Uniform, &mut ChaCha8Rng::seed_from_u64(seed));
    let mut batches = Batches::new(latents.size()[0] as usize, settings.vae_batch, seed);
    let quantiles = w1::prior_quantiles(batches.size() as i64, prior).map_err(torch)?.to_kind(Kind::Float);
    let descent = Descent {
        net: net.clone(),
        steps: batches.steps(settings.vae_epochs),
        rate: 3e-3,
        schedule: Schedule::OneCycle { rise: 0.2 },
        weight_decay: 0.0,
        gradient_max: 5.0,
        seed,
        inputs: inputs(&format!("{settings:?}"), [super::values(latents).map_err(torch)?.as_slice()]),
    };
    let build = |tensors: &Tensors| -> Result<(VaeEncoder, VaeDecoder), TchError> {
        Ok((VaeEncoder::new(tensors, "")?, VaeDecoder::new(tensors)?))
    };
    let (mut parameters, curve) = run.descend(&descent, &start, build, |(encoder, decoder), step, rng| {
        let x = latents.f_index_select(0, &batches.at(step)?)?;
        let (mu, sigma) = encoder.posterior(&x)?;
        let noise: Vec<f32> = (0..batches.size()).map(|_| rng.sample(StandardNormal)).collect();
        let z = sigma.f_mul(&Tensor::f_from_slice(&noise)?)?.f_add(&mu)?;
        let (made, log_variance) = decoder.decode(&z)?;
        let miss = x.f_sub(&made)?.f_square()?.f_mul(&log_variance.f_neg()?.f_exp()?)?.f_add(&log_variance)?;
        let reconstruction = miss.f_sum_dim_intlist(1, false, Kind::Float)?.f_mean(Kind::Float)?.f_mul_scalar(0.5)?;
        let warm = ((batches.epoch(step) + 1) as f64 / settings.warm_up_epochs.max(1) as f64).min(1.0);
        let pull = dkl::dkl(&mu, &sigma, prior, dkl::NODES)?.f_mean(Kind::Float)?;
        let balance = w1::w1(&z, &quantiles)?;
        reconstruction
            .f_add(&pull.f_mul_scalar(settings.prior_weight * warm)?)?
            .f_add(&balance.f_mul_scalar(settings.balance_weight)?)
    })?;
    parameters.0.retain(|name, _| name.starts_with("encode."));
    Ok((parameters, curve))
}
