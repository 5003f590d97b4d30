//! The classification nets: an auto-encoder of PSF residuals, and a variational auto-encoder of its latents
//! with one hidden variable whose prior has two peaks (A+Vr). Stamps are not stretched: their S/N floor (see `cutout`)
//! has tamed bright ones already.
//!
//! ```text
//! 21x21 stamp -> 441-256-128-30 -> mean over the 8 symmetries of the square -> frozen batch norm
//!             -> 30-64-64-(mu, ln sigma^2) -> log-odds 2 m mu / s^2 of the two peaks
//! ```

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::layers::Mlp;
use crate::parameters::{Shapes, Tensors};
use twinpeak_core::model::{STAMP, STAMP_LEN};

/// Log-odds beyond this are cut: the posterior's mean says nothing finer there.
pub const LOG_ODDS_MAX: f64 = 60.0;
/// Bounds of ln sigma^2 of the hidden variable.
const LOG_VARIANCE: (f64, f64) = (-8.0, 4.0);
/// Bounds of the ln variance of a reconstructed latent.
const LATENT_LOG_VARIANCE: (f64, f64) = (-4.0, 3.0);

/// The nets' sizes and the prior, as the manifest says them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Widths of the auto-encoder's hidden layers.
    pub hidden: [usize; 2],
    /// Number of latents of each auto-encoder.
    pub latents: usize,
    /// Width of the variational auto-encoder's two hidden layers.
    pub vae_hidden: usize,
    /// Number of auto-encoders in the ensemble.
    pub autoencoders: usize,
    /// Variational auto-encoders for each of them.
    pub vaes: usize,
    /// The prior's peaks stand at + and - this.
    pub peak: f64,
    /// Standard deviation of each peak.
    pub width: f64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { hidden: [256, 128], latents: 30, vae_hidden: 64, autoencoders: 3, vaes: 2, peak: 1.0, width: 1.0 / 3.5 }
    }
}

impl Shape {
    /// Number of VAEs in the ensemble, each with a seed of its own.
    pub fn seeds(&self) -> usize {
        self.autoencoders * self.vaes
    }

    /// Parameters of one auto-encoder's encoder.
    pub fn encoder(&self) -> Shapes {
        Mlp::shapes("encode", &[STAMP_LEN, self.hidden[0], self.hidden[1], self.latents])
    }

    /// Parameters of its decoder, needed in training alone.
    pub fn decoder(&self) -> Shapes {
        Mlp::shapes("decode", &[self.latents, self.hidden[1], self.hidden[0], STAMP_LEN])
    }

    /// The size of one variational auto-encoder.
    pub fn vae(&self) -> VaeShape {
        VaeShape { inputs: self.latents, width: self.vae_hidden, hidden: 1 }
    }

    /// All parameters, as a bundle holds them: for each auto-encoder its encoder and frozen batch norm, for
    /// each of its VAEs the encoder and the sign that makes the star peak positive.
    pub fn parameters(&self) -> Shapes {
        let under = |prefix: String, shapes: Shapes| {
            shapes.into_iter().map(move |(name, shape)| (format!("{prefix}.{name}"), shape))
        };
        let mut all = Shapes::new();
        for a in 0..self.autoencoders {
            all.extend(under(format!("ae{a}"), self.encoder()));
            let norm = ["mean", "deviation"].map(|part| (format!("norm.{part}"), vec![self.latents]));
            all.extend(under(format!("ae{a}"), norm.to_vec()));
            for v in 0..self.vaes {
                all.extend(under(format!("ae{a}.vae{v}"), self.vae().encoder()));
                all.push((format!("ae{a}.vae{v}.star_sign"), vec![1]));
            }
        }
        all
    }
}

/// Widths of a variational auto-encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaeShape {
    /// Number of latents that it encodes.
    pub inputs: usize,
    /// Width of its two hidden layers.
    pub width: usize,
    /// Hidden variables: the two peaks stand on the first.
    pub hidden: usize,
}

impl VaeShape {
    /// Names and shapes of the encoder's parameters.
    pub fn encoder(&self) -> Shapes {
        Mlp::shapes("encode", &[self.inputs, self.width, self.width, 2 * self.hidden])
    }

    /// Parameters of the decoder, needed in training alone.
    pub fn decoder(&self) -> Shapes {
        let decoder = Mlp::shapes("decode", &[self.hidden, self.width, self.width, self.inputs]);
        [decoder, vec![("log_variance".to_owned(), vec![self.inputs])]].concat()
    }
}

/// The `k`-th (0..8) symmetry of the square of (n, 21, 21) stamps. The odd side keeps the object in the middle.
///
/// # Errors
/// libtorch's.
pub fn symmetry(stamps: &Tensor, k: usize) -> Result<Tensor, TchError> {
    let mut flips = Vec::new();
    if k & 1 != 0 {
        flips.push(2);
    }
    if k & 2 != 0 {
        flips.push(1);
    }
    let flipped = if flips.is_empty() { stamps.shallow_clone() } else { stamps.f_flip(&flips[..])? };
    if k & 4 != 0 { flipped.f_transpose(1, 2) } else { Ok(flipped) }
}

/// Encoder of an auto-encoder: PSF residuals to latents.
#[derive(Debug)]
pub struct Encoder(Mlp);

impl Encoder {
    /// Over parameters of [`Shape::encoder`] under `prefix` (with its dot, or empty).
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors, prefix: &str) -> Result<Self, TchError> {
        Mlp::new(tensors, &format!("{prefix}encode"), 3).map(Self)
    }

    /// (n, 441) -> (n, latents).
    ///
    /// # Errors
    /// libtorch's.
    pub fn latents(&self, pixels: &Tensor) -> Result<Tensor, TchError> {
        self.0.forward(pixels)
    }

    /// (n, 21, 21) stamps -> (n, latents), the mean over the eight symmetries: what an object is does not
    /// depend on how the camera was turned.
    ///
    /// # Errors
    /// libtorch's.
    pub fn symmetric_latents(&self, stamps: &Tensor) -> Result<Tensor, TchError> {
        let n = stamps.size()[0];
        let views = (0..8).map(|k| symmetry(stamps, k)).collect::<Result<Vec<_>, _>>()?;
        let pixels = Tensor::f_stack(&views, 0)?.f_reshape([8 * n, (STAMP * STAMP) as i64])?;
        let latents = self.latents(&pixels)?;
        let width = latents.size()[1];
        latents.f_view([8, n, width])?.f_mean_dim(&[0i64][..], false, None::<tch::Kind>)
    }
}

/// Encoder of a variational auto-encoder: latents to a hidden Gaussian.
#[derive(Debug)]
pub struct VaeEncoder(Mlp);

impl VaeEncoder {
    /// Over parameters of [`VaeShape::encoder`] under `prefix` (with its dot, or empty).
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors, prefix: &str) -> Result<Self, TchError> {
        Mlp::new(tensors, &format!("{prefix}encode"), 3).map(Self)
    }

    /// (n, latents), normalised -> mean and deviation of the hidden variables, (n, hidden) each.
    ///
    /// # Errors
    /// libtorch's.
    pub fn posterior(&self, latents: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let out = self.0.forward(latents)?;
        let hidden = out.size()[1] / 2;
        let log_variance = out.f_narrow(1, hidden, hidden)?.f_clamp(LOG_VARIANCE.0, LOG_VARIANCE.1)?;
        Ok((out.f_narrow(1, 0, hidden)?, log_variance.f_mul_scalar(0.5)?.f_exp()?))
    }

    /// (n) log-odds of the positive peak against the negative one at the first variable's posterior mean.
    ///
    /// # Errors
    /// libtorch's.
    pub fn log_odds(&self, latents: &Tensor, shape: &Shape) -> Result<Tensor, TchError> {
        let (mean, _) = self.posterior(latents)?;
        mean.f_select(1, 0)?.f_mul_scalar(2.0 * shape.peak / shape.width.powi(2))?.f_clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX)
    }
}

/// Its decoder, with the noise it ascribes to each latent: some carry nothing.
#[derive(Debug)]
pub struct VaeDecoder {
    mlp: Mlp,
    log_variance: Tensor,
}

impl VaeDecoder {
    /// Over parameters of [`VaeShape::decoder`].
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors) -> Result<Self, TchError> {
        Ok(Self { mlp: Mlp::new(tensors, "decode", 3)?, log_variance: tensors.get("log_variance")? })
    }

    /// (n, hidden) -> (n, latents), and the ln variance of each latent.
    ///
    /// # Errors
    /// libtorch's.
    pub fn decode(&self, hidden: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let log_variance = self.log_variance.f_clamp(LATENT_LOG_VARIANCE.0, LATENT_LOG_VARIANCE.1)?;
        Ok((self.mlp.forward(hidden)?, log_variance))
    }
}

/// The auto-encoder's decoder.
///
/// # Errors
/// For a parameter that is not there.
pub fn decoder(tensors: &Tensors) -> Result<Mlp, TchError> {
    Mlp::new(tensors, "decode", 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_symmetries_differ_and_keep_the_middle() {
        let stamp = Tensor::arange(STAMP_LEN as i64, (tch::Kind::Float, tch::Device::Cpu)).view([1, 21, 21]);
        let views: Vec<Tensor> = (0..8).map(|k| symmetry(&stamp, k).unwrap().contiguous()).collect();
        for (i, view) in views.iter().enumerate() {
            assert_eq!(view.double_value(&[0, 10, 10]), 220.0);
            assert_eq!(view.sum(tch::Kind::Double), stamp.sum(tch::Kind::Double));
            assert!(views[..i].iter().all(|other| other != view));
        }
    }
}
