//! The auto-encoder's training: reconstruct stretched tiles. What exactly is asked of it is an [`Objective`]: what ships is
//! asked for [`Reconstruction`], and the study asks for others.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, TchError, Tensor, no_grad};

use super::Settings;
use super::tiles::TileSampler;
use crate::trainer::{Schedule, Step, Trainer, inputs};
use crate::{Curve, LearnError, Run};
use twinpeak_core::frame::{BANDS, Plane};
use twinpeak_core::model::TILE_LEN;
use twinpeak_nets::cells::{SIDE, STRETCH_SIGMA, cells};
use twinpeak_nets::parameters::{Parameters, Shapes, Start, Tensors};
use twinpeak_nets::segmentation::{Autoencoder, Shape, with_channels_last};

const NET: &str = "segmenter-autoencoder";
/// Misses beyond this (stretched sigma) count linearly: quadratic for noise, linear for bright cores.
pub const HUBER_SIGMA: f64 = 3.0;
/// Scale of the loss: its gradient's norm then rarely exceeds 1, where it is cut.
pub const SCALE: f64 = 6.0;
/// Steps over which the learning rate rises.
const WARM_UP: usize = 30;

/// What the auto-encoder is asked to do with a batch of tiles.
pub trait Objective {
    /// Layers that the training alone needs, beside the net's own.
    type Layers;

    /// Its name: a checkpoint of another objective is refused.
    fn name(&self) -> &'static str;

    /// Parameters of [`Self::Layers`], by name.
    fn shapes(&self, shape: &Shape) -> Shapes;

    /// Builds them over the parameters.
    ///
    /// # Errors
    /// libtorch's.
    fn layers(&self, tensors: &Tensors) -> Result<Self::Layers, TchError>;

    /// The loss, a scalar, on `pixels`: tiles one after the other, NHWC, in units of sky noise. `rng` is the step's own.
    ///
    /// # Errors
    /// libtorch's.
    fn loss(
        &self,
        net: &Autoencoder,
        layers: &Self::Layers,
        pixels: Vec<f32>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Tensor, TchError>;
}

/// Give back what is seen, through the bottleneck.
#[derive(Clone, Copy, Debug)]
pub struct Reconstruction;

impl Objective for Reconstruction {
    type Layers = ();

    fn name(&self) -> &'static str {
        "Plain"
    }

    fn shapes(&self, _: &Shape) -> Shapes {
        Shapes::new()
    }

    fn layers(&self, _: &Tensors) -> Result<(), TchError> {
        Ok(())
    }

    fn loss(&self, net: &Autoencoder, (): &(), pixels: Vec<f32>, _: &mut ChaCha8Rng) -> Result<Tensor, TchError> {
        let seen = cells(&pixels)?;
        miss(&net.reconstruct(&net.hypercolumns(&seen)?)?, &target(&seen)?, Reduction::Mean)
    }
}

/// Trains the auto-encoder ([`Shape::autoencoder`]); gives the loss too.
///
/// # Errors
/// [`LearnError`]
pub fn train_autoencoder<O: Objective>(
    sampler: &TileSampler,
    objective: &O,
    settings: &Settings,
    run: &Run,
) -> Result<(Parameters, Curve), LearnError> {
    let shape = &settings.shape;
    let own = shape.autoencoder();
    let shapes = [own.clone(), objective.shapes(shape)].concat();
    let mut start = Parameters::random(&shapes, Start::He, &mut ChaCha8Rng::seed_from_u64(settings.seed));
    if let Some(last) = start.0.get_mut("y.weight") {
        // Start by predicting nearly nothing: sky.
        last.values.iter_mut().for_each(|v| *v *= 0.1);
    }
    let frames = sampler.frames.iter();
    let trainer = Trainer {
        net: NET.to_owned(),
        steps: settings.steps,
        rate: settings.rate,
        schedule: Schedule::Cosine { warm_up: WARM_UP },
        weight_decay: 0.0,
        gradient_max: 1.0,
        seed: settings.seed,
        inputs: inputs(
            &(settings.told(objective.name()) + &sampler.missing.told()),
            frames.flat_map(|f| f.planes.iter().map(Plane::pixels)),
        ),
    };
    let build = |tensors: &Tensors| Ok((Autoencoder::new(tensors, shape)?, objective.layers(tensors)?));
    let (mut parameters, curve) = run.descend(&trainer, &start, build, |(net, layers), _, rng| -> Step {
        let mut pixels = Vec::with_capacity(settings.batch * TILE_LEN);
        for _ in 0..settings.batch {
            let place = sampler.draw(rng);
            place.cut_bands(&sampler.frames[place.frame].planes, &mut pixels);
        }
        Ok(objective.loss(net, layers, pixels, rng)?)
    })?;
    parameters.0.retain(|name, _| own.iter().any(|(known, _)| known == name));
    Ok((parameters, curve))
}

/// What a net that sees these cells, (n, 20, 32, 32) and stretched, is to give back: in units of stretched sigma.
///
/// # Errors
/// libtorch's.
pub fn target(cells: &Tensor) -> Result<Tensor, TchError> {
    cells.f_mul_scalar(f64::from(STRETCH_SIGMA))
}

/// How far what was made is from the target, both (n, 20, 32, 32) in stretched sigma; Huber's loss times [`SCALE`], of each
/// value or reduced.
///
/// # Errors
/// libtorch's.
pub fn miss(made: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor, TchError> {
    made.f_smooth_l1_loss(target, reduction, HUBER_SIGMA)?.f_mul_scalar(SCALE)
}

/// What a trained net makes of tiles (n times [`TILE_LEN`] values in units of sky noise, NHWC), in the same order and units.
///
/// # Errors
/// libtorch's.
pub fn reconstruct(autoencoder: &Parameters, shape: &Shape, tiles: &[f32]) -> Result<Vec<f32>, LearnError> {
    reconstructed(autoencoder, shape, tiles).map_err(|source| LearnError::Torch { net: NET.to_owned(), source })
}

fn reconstructed(parameters: &Parameters, shape: &Shape, tiles: &[f32]) -> Result<Vec<f32>, TchError> {
    twinpeak_nets::device::start();
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
    use twinpeak_core::model::TILE;

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
