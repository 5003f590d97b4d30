//! The nets of the co-trained colour (Blum & Mitchell 1998): what an object's colours say about it beyond its
//! magnitude, learned from posteriors that never saw a colour.
//!
//! ```text
//! log-ratio = .75 [log-odds(colours, magnitude) - log-odds(magnitude)]
//! ```
//!
//! The posteriors know the magnitude already; taking its part away leaves what colour adds, so that the number counts do
//! not count twice. .75, because errors of colour and of shape are not quite independent.

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::layers::Mlp;
use crate::parameters::{Shapes, Tensors};
use twinpeak_core::model::COLOUR_LEN as INPUTS;

/// Share of the log-ratio that counts.
const STRENGTH: f64 = 0.75;
/// Standardised inputs are cut here: beyond, there was nothing to learn from.
const INPUT_MAX: f64 = 4.0;
/// Number of layers of each net.
const LAYERS: usize = 3;

/// The nets' size, as the manifest says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Width of both hidden layers of each net.
    pub hidden: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { hidden: 32 }
    }
}

impl Shape {
    /// Parameters that are trained: of the net that sees colours and magnitude, and of the one that sees the magnitude.
    pub fn nets(&self) -> Shapes {
        let net = |name, inputs| Mlp::shapes(name, &[inputs, self.hidden, self.hidden, 1]);
        [net("colour", INPUTS), net("magnitude", 1)].concat()
    }

    /// All parameters, as a bundle holds them: the nets, and mean and deviation of the inputs.
    pub fn parameters(&self) -> Shapes {
        let constants = ["mean", "deviation"].map(|part| (format!("input.{part}"), vec![INPUTS]));
        [self.nets(), constants.to_vec()].concat()
    }
}

/// The two nets: one sees colours and magnitude, the other the magnitude alone.
#[derive(Debug)]
pub struct Nets {
    colour: Mlp,
    magnitude: Mlp,
}

impl Nets {
    /// Over parameters of [`Shape::nets`] under `prefix` (with its dot, or empty).
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors, prefix: &str) -> Result<Self, TchError> {
        let net = |name: &str| Mlp::new(tensors, &format!("{prefix}{name}"), LAYERS);
        Ok(Self { colour: net("colour")?, magnitude: net("magnitude")? })
    }

    /// (n, inputs), standardised -> (n) log-odds of star from all of them, and from the magnitude alone.
    ///
    /// # Errors
    /// libtorch's.
    pub fn log_odds(&self, x: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let x = x.f_clamp(-INPUT_MAX, INPUT_MAX)?;
        let magnitude = x.f_narrow(1, INPUTS as i64 - 1, 1)?;
        Ok((self.colour.forward(&x)?.f_squeeze_dim(1)?, self.magnitude.forward(&magnitude)?.f_squeeze_dim(1)?))
    }
}

/// Both nets with the constants of their inputs.
#[derive(Debug)]
pub struct Colour {
    nets: Nets,
    mean: Tensor,
    deviation: Tensor,
}

impl Colour {
    /// Over parameters of [`Shape::parameters`] under `prefix` (with its dot, or empty).
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors, prefix: &str) -> Result<Self, TchError> {
        let constant = |part: &str| tensors.get(&format!("{prefix}input.{part}"));
        Ok(Self { nets: Nets::new(tensors, prefix)?, mean: constant("mean")?, deviation: constant("deviation")? })
    }

    /// (n, inputs) colours and magnitudes -> (n) log-ratios, to be added to log-odds from shape.
    ///
    /// # Errors
    /// libtorch's.
    pub fn log_ratio(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (both, magnitude) = self.log_odds(x)?;
        both.f_sub(&magnitude)?.f_mul_scalar(STRENGTH)
    }

    /// (n, inputs) colours and magnitudes -> (n) log-odds of star from all of them, and from the magnitude alone.
    ///
    /// # Errors
    /// libtorch's.
    pub fn log_odds(&self, x: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        self.nets.log_odds(&x.f_sub(&self.mean)?.f_div(&self.deviation)?)
    }
}
