//! The naive analogy of a Wasserstein loss as printed in appendix B.2, p = 1: `-|mu| + |sigma - s|`.
//!
//! It makes mu "as large as possible", without end: the paper leaves it to a tanh in the encoder's last layer to hold
//! mu ([`PriorLoss::wants_tanh`](super::PriorLoss::wants_tanh)). Where the peaks stand does not enter, nor does anything balance
//! them. The sound form is [`aw`](super::aw).

use tch::{TchError, Tensor};

use super::DoublePeak;

/// AW as printed, each (n). Unbounded below: of use only with |mu| bounded. Gradients at the kinks are 0.
///
/// # Errors
/// libtorch's.
pub fn aw_paper(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    sigma.f_sub_scalar(prior.width)?.f_abs()?.f_sub(&mu.f_abs()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Row, check};

    #[test]
    fn reference() {
        let row = Row {
            value: [0.0, -0.5, -0.9, 0.3, -1.7, -1.35],
            by_mu: [0.0, -1.0, 1.0, -1.0, 1.0, -1.0],
            by_sigma: [0.0, 0.0, 0.0, 1.0, -1.0, -1.0],
        };
        check("AW printed", 0.5, &row, aw_paper);
    }
}
