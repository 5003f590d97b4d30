//! The auto-encoder's training: reconstruct stretched tiles.
//!
//! The variational form has a second bottleneck beside `z`, which gives ln sigma: the decoder is handed a draw from
//! N(mu, sigma^2) and KL to N(0, 1) is added. With noise of 1 (pixels are in units of it) minus the evidence bound of a tile is
//!
//! > sum over its values of 1/2 (y - x)^2  +  sum over its latents of KL(N(mu, sigma^2) || N(0, 1)),
//!
//! which is brought to the scale of the loss below. Once it is trained `z` is mu and the second bottleneck is dropped: to
//! hypercolumns and head the net looks like any other.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tch::{Device, Kind, Reduction, TchError, Tensor, no_grad};

use super::tiles::Sampler;
use super::{Settings, Variant, blind_spot};
use crate::frame::{BANDS, Plane};
use crate::learn::descent::{Descent, Schedule, inputs};
use crate::learn::loss::vae_kl::vae_kl;
use crate::learn::{Curve, LearnError, Run};
use crate::model::TILE_LEN;
use crate::torch::nets::cells::{SIDE, STRETCH_SIGMA, cells};
use crate::torch::nets::layers::Conv;
use crate::torch::nets::segmentation::{Autoencoder, Hypercolumns, Shape, with_channels_last};
use crate::torch::parameters::{Parameters, Shapes, Start, Tensors};

/// Misses beyond this (stretched sigma) count linearly: quadratic for noise, linear for bright cores.
const HUBER_SIGMA: f64 = 3.0;
/// Scale of the loss: its gradient's norm then rarely exceeds 1, where it is cut.
const SCALE: f64 = 6.0;
/// Steps of rising rate.
const WARM_UP: usize = 30;
/// Name of the layer that gives the ln sigma of the bottleneck.
const SPREAD: &str = "spread";

pub(super) fn train(sampler: &Sampler, settings: &Settings, run: &Run) -> Result<(Parameters, Curve), LearnError> {
    let shape = &settings.shape;
    let mut shapes = shape.autoencoder();
    if settings.variant == Variant::Variational {
        shapes.extend(spread(shape));
    }
    let mut start = Parameters::random(&shapes, Start::He, &mut ChaCha8Rng::seed_from_u64(settings.seed));
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
    let build = |tensors: &Tensors| {
        let spread = (settings.variant == Variant::Variational).then(|| Conv::new(tensors, SPREAD, 1)).transpose()?;
        Ok((Autoencoder::new(tensors, shape)?, spread))
    };
    let (mut parameters, curve) = run.descend(&descent, &start, build, |(net, spread), _, rng| {
        let mut pixels = Vec::with_capacity(settings.batch * TILE_LEN);
        for _ in 0..settings.batch {
            let place = sampler.draw(rng);
            place.cut_bands(&sampler.frames[place.frame].planes, &mut pixels);
        }
        let whole = cells(&pixels)?;
        let target = whole.f_mul_scalar(f64::from(STRETCH_SIGMA))?;
        match (settings.variant, spread) {
            (Variant::Variational, Some(spread)) => variational(net, spread, &whole, &target, rng),
            (Variant::BlindSpot, _) => {
                let hidden = blind_spot::hide(&mut pixels, rng);
                let made = net.reconstruct(&net.hypercolumns(&cells(&pixels)?)?)?;
                blind_spot::mean(&miss(&made, &target, Reduction::None)?, &hidden)
            }
            _ => miss(&net.reconstruct(&net.hypercolumns(&whole)?)?, &target, Reduction::Mean),
        }
    })?;
    parameters.0.retain(|name, _| !name.starts_with(SPREAD));
    Ok((parameters, curve))
}

/// Parameters of the second bottleneck.
fn spread(shape: &Shape) -> Shapes {
    Conv::shapes(SPREAD, shape.widths[2], shape.bottleneck, 1)
}

fn miss(made: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor, TchError> {
    made.f_smooth_l1_loss(target, reduction, HUBER_SIGMA)?.f_mul_scalar(SCALE)
}

fn variational(
    net: &Autoencoder,
    spread: &Conv,
    cells: &Tensor,
    target: &Tensor,
    rng: &mut ChaCha8Rng,
) -> Result<Tensor, TchError> {
    let mut encoded = net.encode(cells)?;
    // Within e^-8 and e^4: a step too far must not end in infinities.
    let sigma = spread.linear(&encoded.e3)?.f_clamp(-8.0, 4.0)?.f_exp()?;
    let tiles = cells.size()[0] as f64;
    let kl =
        vae_kl(&encoded.z, &sigma)?.f_sum(Kind::Float)?.f_mul_scalar(SCALE / HUBER_SIGMA / tiles / TILE_LEN as f64)?;
    let unit: Vec<f32> = (0..sigma.numel()).map(|_| rng.sample(StandardNormal)).collect();
    encoded.z = encoded.z.f_add(&sigma.f_mul(&Tensor::f_from_slice(&unit)?.f_view_as(&sigma)?)?)?;
    let columns: Hypercolumns = net.decode(encoded)?;
    miss(&net.reconstruct(&columns)?, target, Reduction::Mean)?.f_add(&kl)
}

/// What a trained net makes of tiles (n times [`TILE_LEN`] values in units of sky noise, NHWC), in the same order and units.
pub(super) fn reconstruct(parameters: &Parameters, shape: &Shape, tiles: &[f32]) -> Result<Vec<f32>, TchError> {
    crate::torch::device::start();
    let tensors = Tensors::upload(parameters, Device::Cpu, Kind::Float).and_then(with_channels_last)?;
    let net = Autoencoder::new(&tensors, shape)?;
    let made = no_grad(|| net.reconstruct(&net.hypercolumns(&cells(tiles)?)?))?;
    // (n, (dy, dx, band), y, x) -> (n, y, dy, x, dx, band), and out of the stretch.
    let side = SIDE as i64;
    let pixels = made.f_view([-1, 2, 2, BANDS as i64, side, side])?.f_permute([0, 4, 1, 5, 2, 3])?;
    let stretch = f64::from(STRETCH_SIGMA);
    let values = pixels.f_div_scalar(stretch)?.f_sinh()?.f_mul_scalar(stretch)?;
    Vec::try_from(values.f_reshape([-1])?.f_contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TILE;

    /// A net whose last layer is all bias gives each pixel of a cell and each band its own number.
    #[test]
    fn reconstructed_pixels_stand_where_they_belong() {
        let shape = Shape::default();
        let mut parameters = Parameters::random(&shape.autoencoder(), Start::He, &mut ChaCha8Rng::seed_from_u64(1));
        parameters.0.get_mut("y.weight").unwrap().values.fill(0.0);
        let bias = &mut parameters.0.get_mut("y.bias").unwrap().values;
        bias.iter_mut().enumerate().for_each(|(i, b)| *b = i as f32 / 10.0);
        let made = reconstruct(&parameters, &shape, &vec![0.0; TILE_LEN]).unwrap();
        for (i, value) in made.iter().enumerate() {
            let (y, x, band) = (i / BANDS / TILE, i / BANDS % TILE, i % BANDS);
            let channel = BANDS * (2 * (y % 2) + x % 2) + band;
            let expected = STRETCH_SIGMA * (channel as f32 / 10.0 / STRETCH_SIGMA).sinh();
            assert!((value - expected).abs() < 1e-5, "{y} {x} {band}: {value} for {expected}");
        }
    }
}
