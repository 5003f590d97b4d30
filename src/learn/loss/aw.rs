//! The naive analogy of a Wasserstein loss (appendix B.2), in a sound form.
//!
//! `(|mu| - m)^2 + (sigma - s)^2`: the squared Wasserstein-2 distance of N from the nearest peak, zero exactly at
//! mu = +-m, sigma = s, and with a gradient however far away. Nothing in it balances the peaks, since each latent goes
//! to the nearer one: put [`w1`](super::w1) beside it. The paper's form is [`aw_paper`](super::aw_paper).

use tch::{TchError, Tensor};

use super::DoublePeak;

/// AW, each (n), in squared units of the latent. The weights of the peaks do not enter.
///
/// # Errors
/// libtorch's.
pub fn aw(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    let off = mu.f_abs()?.f_sub_scalar(prior.peak)?.f_square()?;
    off.f_add(&sigma.f_sub_scalar(prior.width)?.f_square()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Row, check};

    #[test]
    fn reference() {
        let row = Row {
            value: [1.0, 0.25, 0.01, 0.89, 1.09, 0.2725],
            by_mu: [0.0, -1.0, 0.2, -1.6, 2.0, 1.0],
            by_sigma: [0.0, 0.0, 0.0, 1.0, -0.6, -0.3],
        };
        check("AW", 0.5, &row, aw);
    }

    #[test]
    fn each_peak_costs_nothing() {
        let prior = DoublePeak { peak: 1.0, width: 0.25, weight: 0.5 };
        let (mu, sigma) = (Tensor::from_slice(&[-1.0, 1.0]), Tensor::from_slice(&[0.25, 0.25]));
        assert_eq!(Vec::<f64>::try_from(aw(&mu, &sigma, prior).unwrap()).unwrap(), [0.0, 0.0]);
    }
}
