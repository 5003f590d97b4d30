//! The variational form of the segmentation net's auto-encoder.
//!
//! It has a second bottleneck beside `z`, which gives ln sigma: the decoder is handed a draw from N(mu, sigma^2) and KL to
//! N(0, 1) is added. With noise of 1 (pixels are in units of it) minus the evidence bound of a tile is
//!
//! > sum over its values of 1/2 (y - x)^2  +  sum over its latents of KL(N(mu, sigma^2) || N(0, 1)),
//!
//! which is brought to the scale of the plain net's loss. Once it is trained `z` is mu and the second bottleneck is dropped:
//! to hypercolumns and head the net looks like any other.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tch::{Kind, Reduction, TchError, Tensor};

use twinpeak_core::model::TILE_LEN;
use twinpeak_learn::loss::vae_kl::vae_kl;
use twinpeak_learn::segment::{HUBER_SIGMA, Objective, SCALE, miss, target};
use twinpeak_nets::cells::cells;
use twinpeak_nets::layers::Conv;
use twinpeak_nets::parameters::{Shapes, Tensors};
use twinpeak_nets::segmentation::{Autoencoder, Shape};

/// Name of the layer that gives the ln sigma of the bottleneck.
const SPREAD: &str = "spread";

/// Give back what is seen, with a bottleneck that is drawn from a normal law and kept near the standard one.
pub(super) struct Variational;

impl Objective for Variational {
    type Layers = Conv;

    fn name(&self) -> &'static str {
        "Variational"
    }

    fn shapes(&self, shape: &Shape) -> Shapes {
        Conv::shapes(SPREAD, shape.widths[2], shape.bottleneck, 1)
    }

    fn layers(&self, tensors: &Tensors) -> Result<Conv, TchError> {
        Conv::new(tensors, SPREAD, 1)
    }

    fn loss(
        &self,
        net: &Autoencoder,
        spread: &Conv,
        pixels: Vec<f32>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Tensor, TchError> {
        let seen = cells(&pixels)?;
        let mut encoded = net.encode(&seen)?;
        // Within e^-8 and e^4: a step too far must not end in infinities.
        let sigma = spread.linear(&encoded.e3)?.f_clamp(-8.0, 4.0)?.f_exp()?;
        let scale = SCALE / HUBER_SIGMA / seen.size()[0] as f64 / TILE_LEN as f64;
        let kl = vae_kl(&encoded.z, &sigma)?.f_sum(Kind::Float)?.f_mul_scalar(scale)?;
        let unit: Vec<f32> = (0..sigma.numel()).map(|_| rng.sample(StandardNormal)).collect();
        encoded.z = encoded.z.f_add(&sigma.f_mul(&Tensor::f_from_slice(&unit)?.f_view_as(&sigma)?)?)?;
        miss(&net.reconstruct(&net.decode(encoded)?)?, &target(&seen)?, Reduction::Mean)?.f_add(&kl)
    }
}
