//! A net from a PSF residual straight to a class, with nothing between that is learned without labels: three convolutions
//! of stride 2 over the 21x21 stamp, then one hidden layer that knows the magnitude too. The study's supervised row.

use tch::{Kind, TchError, Tensor};

use super::classifier::symmetry;
use super::layers::{Conv, Mlp};
use crate::parameters::{Shapes, Tensors};

/// Channels after each convolution.
const WIDTHS: [usize; 3] = [16, 32, 64];
/// Side of the last one's output: 21, 11, 6, 3.
const COARSEST: usize = 3;
/// Width of the hidden layer.
const HIDDEN: usize = 64;

/// Names and shapes of the net's parameters.
pub fn shapes() -> Shapes {
    let [w1, w2, w3] = WIDTHS;
    [
        Conv::shapes("c1", 1, w1, 3),
        Conv::shapes("c2", w1, w2, 3),
        Conv::shapes("c3", w2, w3, 3),
        Mlp::shapes("class", &[w3 * COARSEST * COARSEST + 1, HIDDEN, 1]),
    ]
    .concat()
}

/// A convolutional net from a stamp and a magnitude to log-odds.
#[derive(Debug)]
pub struct StampNet {
    levels: [Conv; 3],
    class: Mlp,
}

impl StampNet {
    /// Over parameters of [`shapes`].
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors) -> Result<Self, TchError> {
        let level = |name| Conv::new(tensors, name, 2);
        Ok(Self { levels: [level("c1")?, level("c2")?, level("c3")?], class: Mlp::new(tensors, "class", 2)? })
    }

    /// (n, 21, 21) stamps and (n, 1) standardised magnitudes -> (n) log-odds of star.
    ///
    /// # Errors
    /// libtorch's.
    pub fn log_odds(&self, stamps: &Tensor, magnitude: &Tensor) -> Result<Tensor, TchError> {
        let mut x = stamps.f_unsqueeze(1)?;
        for level in &self.levels {
            x = level.rectified(&x)?;
        }
        self.class.forward(&Tensor::f_cat(&[x.f_flatten(1, 3)?, magnitude.shallow_clone()], 1)?)?.f_squeeze_dim(1)
    }

    /// The mean over the eight symmetries.
    ///
    /// # Errors
    /// libtorch's.
    pub fn symmetric_log_odds(&self, stamps: &Tensor, magnitude: &Tensor) -> Result<Tensor, TchError> {
        let views =
            (0..8).map(|k| self.log_odds(&symmetry(stamps, k)?, magnitude)).collect::<Result<Vec<_>, TchError>>()?;
        Tensor::f_stack(&views, 0)?.f_mean_dim(&[0i64][..], false, None::<Kind>)
    }
}
