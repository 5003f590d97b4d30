//! The paper's nets over whole 64x64x5 cutouts (sections 3.1 and 4.1): an auto-encoder, or a variational one, with
//! `latents` numbers between its halves. Widths are ours (figure C.9 is lost), chosen so that 10,000 cutouts pass
//! in about 20 s a core.
//!
//! ```text
//! 5@64 -> 16@32 -> 32@16 -> 64@8 -> 64@4 -> latents, or (mu, ln sigma^2) of each
//! latents -> 64@4 -> 32@8 -> 32@16 -> 16@32 -> 20@32 = 5@64
//! ```
//!
//! Going down, strided 3x3 convolutions; going up, nearest neighbours and then a 3x3 convolution, which leaves no
//! checkerboard as a transposed convolution would (Odena et al. 2016, doi:10.23915/distill.00003).

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::layers::{Conv, Mlp};
use crate::parameters::{Shapes, Tensors};
use twinpeak_core::frame::BANDS;

/// Channels at 32, 16, 8 and 4 px.
const WIDTHS: [usize; 4] = [16, 32, 64, 64];
/// Side of the coarsest level.
const COARSEST: usize = 4;
/// Bounds of ln sigma^2 of a latent.
const LOG_VARIANCE: (f64, f64) = (-8.0, 4.0);

/// Whether a cutout becomes a point or a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A point: a plain auto-encoder.
    Plain,
    /// A Gaussian in each latent: a variational auto-encoder.
    Variational,
}

/// Size of a net over whole cutouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Numbers between the halves: 30 as a feature extractor, 2 as the paper's small ones.
    pub latents: usize,
    /// What each of them is.
    pub kind: Kind,
}

impl Shape {
    /// Names and shapes of the encoder's parameters.
    pub fn encoder(&self) -> Shapes {
        let [w1, w2, w3, w4] = WIDTHS;
        let outputs = match self.kind {
            Kind::Plain => self.latents,
            Kind::Variational => 2 * self.latents,
        };
        [
            Conv::shapes("e1", BANDS, w1, 3),
            Conv::shapes("e2", w1, w2, 3),
            Conv::shapes("e3", w2, w3, 3),
            Conv::shapes("e4", w3, w4, 3),
            Mlp::shapes("z", &[w4 * COARSEST * COARSEST, outputs]),
        ]
        .concat()
    }

    /// Parameters of the decoder, needed in training alone.
    pub fn decoder(&self) -> Shapes {
        let [w1, w2, _, w4] = WIDTHS;
        [
            Mlp::shapes("expand", &[self.latents, w4 * COARSEST * COARSEST]),
            Conv::shapes("d3", w4, w2, 3),
            Conv::shapes("d2", w2, w2, 3),
            Conv::shapes("narrow", w2, w1, 1),
            Conv::shapes("d1", w1, w1, 3),
            Conv::shapes("y", w1, 4 * BANDS, 1),
        ]
        .concat()
    }
}

/// The half of the net from cutouts to latents.
#[derive(Debug)]
pub struct Encoder {
    levels: [Conv; 4],
    z: Mlp,
    shape: Shape,
}

impl Encoder {
    /// Over parameters of [`Shape::encoder`].
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors, shape: Shape) -> Result<Self, TchError> {
        let level = |name| Conv::new(tensors, name, 2);
        Ok(Self {
            levels: [level("e1")?, level("e2")?, level("e3")?, level("e4")?],
            z: Mlp::new(tensors, "z", 1)?,
            shape,
        })
    }

    /// (n, 5, 64, 64) -> (n, latents): the latents, or their distributions' means.
    ///
    /// # Errors
    /// libtorch's.
    pub fn latents(&self, cutouts: &Tensor) -> Result<Tensor, TchError> {
        self.outputs(cutouts)?.f_narrow(1, 0, self.shape.latents as i64)
    }

    /// (n, 5, 64, 64) -> means and deviations, (n, latents) each, of a [`Kind::Variational`] net.
    ///
    /// # Errors
    /// libtorch's; a plain net has no deviations.
    pub fn posterior(&self, cutouts: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let (outputs, latents) = (self.outputs(cutouts)?, self.shape.latents as i64);
        let log_variance = outputs.f_narrow(1, latents, latents)?.f_clamp(LOG_VARIANCE.0, LOG_VARIANCE.1)?;
        Ok((outputs.f_narrow(1, 0, latents)?, log_variance.f_mul_scalar(0.5)?.f_exp()?))
    }

    fn outputs(&self, cutouts: &Tensor) -> Result<Tensor, TchError> {
        let mut x = cutouts.shallow_clone();
        for level in &self.levels {
            x = level.rectified(&x)?;
        }
        self.z.forward(&x.f_flatten(1, 3)?)
    }
}

/// The half of the net from latents to cutouts.
#[derive(Debug)]
pub struct Decoder {
    expand: Mlp,
    d3: Conv,
    d2: Conv,
    narrow: Conv,
    d1: Conv,
    y: Conv,
}

impl Decoder {
    /// Over parameters of [`Shape::decoder`].
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors) -> Result<Self, TchError> {
        let conv = |name| Conv::new(tensors, name, 1);
        let (expand, d3, d2) = (Mlp::new(tensors, "expand", 1)?, conv("d3")?, conv("d2")?);
        Ok(Self { expand, d3, d2, narrow: conv("narrow")?, d1: conv("d1")?, y: conv("y")? })
    }

    /// (n, latents) -> (n, 5, 64, 64).
    ///
    /// # Errors
    /// libtorch's.
    pub fn cutouts(&self, latents: &Tensor) -> Result<Tensor, TchError> {
        let side = COARSEST as i64;
        let x = self.expand.forward(latents)?.f_leaky_relu_()?.f_view([-1, WIDTHS[3] as i64, side, side])?;
        let x = self.d3.rectified(&twice(&x)?)?;
        let x = self.d2.rectified(&twice(&x)?)?;
        let x = self.d1.rectified(&twice(&self.narrow.rectified(&x)?)?)?;
        self.y.linear(&x)?.f_pixel_shuffle(2)
    }
}

/// Repeats each pixel in both directions, which doubles the sides.
fn twice(x: &Tensor) -> Result<Tensor, TchError> {
    let side = 2 * x.size()[2];
    x.f_upsample_nearest2d([side, side], None, None)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use tch::Device;

    use super::*;
    use crate::parameters::{Parameters, Start};

    fn net(shape: Shape) -> (Encoder, Decoder) {
        let shapes = [shape.encoder(), shape.decoder()].concat();
        let parameters = Parameters::random(&shapes, Start::He, &mut ChaCha8Rng::seed_from_u64(1));
        let tensors = Tensors::upload(&parameters, Device::Cpu, tch::Kind::Float).unwrap();
        (Encoder::new(&tensors, shape).unwrap(), Decoder::new(&tensors).unwrap())
    }

    #[test]
    fn both_halves_fit() {
        for (latents, kind) in [(30, Kind::Plain), (2, Kind::Variational)] {
            let (encoder, decoder) = net(Shape { latents, kind });
            let x = Tensor::randn([3, 5, 64, 64], (tch::Kind::Float, Device::Cpu));
            let z = encoder.latents(&x).unwrap();
            assert_eq!(z.size(), [3, latents as i64]);
            assert_eq!(decoder.cutouts(&z).unwrap().size(), x.size());
            // A cutout alone is a cutout in a batch.
            let alone = encoder.latents(&x.narrow(0, 1, 1)).unwrap();
            assert!((alone - z.narrow(0, 1, 1)).abs().max().double_value(&[]) < 1e-5);
        }
    }

    #[test]
    fn deviations_are_positive_and_bounded() {
        let (encoder, _) = net(Shape { latents: 2, kind: Kind::Variational });
        let x = 1e4 * Tensor::randn([4, 5, 64, 64], (tch::Kind::Float, Device::Cpu));
        let (mean, deviation) = encoder.posterior(&x).unwrap();
        assert_eq!(mean.size(), deviation.size());
        assert!(deviation.min().double_value(&[]) >= 0.018 && deviation.max().double_value(&[]) <= 7.4);
    }
}
