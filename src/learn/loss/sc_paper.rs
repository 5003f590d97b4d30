//! The scaling bound as printed in appendix A.1.
//!
//! `-1/2 ln 2 (s^2 + ln sigma^2 - (mu - m)^2 / 2 - (mu + m)^2 / 2 - sigma^2)`. Against [`sc`](super::sc) it has a
//! factor ln 2 too many, its 1/s^2 is lost and s^2 stands for ln s^2: the width s pulls at nothing. Up to a factor and a
//! constant it is the ordinary [`vae_kl`](super::vae_kl), so it pulls to sigma = 1 and to mu = 0, between the peaks.

use std::f64::consts::LN_2;

use tch::{TchError, Tensor};

use super::DoublePeak;

/// SC as printed, each (n), of equal peaks whatever the prior's weight. May be negative.
///
/// # Errors
/// libtorch's.
pub fn sc_paper(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    let variance = sigma.f_square()?;
    // The two squares are mu^2 + m^2.
    let spread = mu.f_square()?.f_add_scalar(prior.peak.powi(2) - prior.width.powi(2))?;
    spread.f_add(&variance)?.f_sub(&variance.f_log()?)?.f_mul_scalar(0.5 * LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Row, check};
    use crate::loss::vae_kl::vae_kl;

    #[test]
    fn reference() {
        let row = Row {
            value: [0.346573590280, 0.913670001768, 1.46182855320, 0.705723331999, 4.57593237436, 2.70419942013],
            by_mu: [0.0, 0.34657359028, -0.623832462504, 0.138629436112, -1.38629436112, 1.03972077084],
            by_sigma: [0.0, -1.03972077084, -2.102546447699, -0.311916231252, -0.5050072315508, -6.862157087543],
        };
        check("SC printed", 0.5, &row, sc_paper);
    }

    #[test]
    fn it_is_the_ordinary_term_in_disguise() {
        let prior = DoublePeak { peak: 1.0, width: 0.25, weight: 0.5 };
        let (mu, sigma) = (Tensor::from_slice(&[-1.3, 0.2, 2.0]), Tensor::from_slice(&[0.1, 0.8, 2.5]));
        let printed = sc_paper(&mu, &sigma, prior).unwrap();
        let ordinary = (vae_kl(&mu, &sigma).unwrap() + 0.5 * (1.0 + 1.0 - 0.0625)) * LN_2;
        assert!(printed.allclose(&ordinary, 1e-14, 0.0, false));
    }
}
