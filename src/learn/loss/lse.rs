//! The tight bound that is not in the paper: the log-sum-exp of the two divergences in place of their mean.
//!
//! `LSE = -ln(pi+ e^(-KL(N || N(m, s^2))) + pi- e^(-KL(N || N(-m, s^2))))`, for equal peaks `SC - ln cosh(m mu / s^2)`.
//! It is [`dkl`](super::dkl) with all of N at its mean when asked which peak is nearer: by Jensen DKL <= LSE <= SC, and
//! LSE is as good as DKL where sigma is small beside the way to the other peak. No quadrature.

use tch::{TchError, Tensor};

use super::DoublePeak;

/// LSE, each (n), in nats.
///
/// # Errors
/// libtorch's.
pub fn lse(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    let spread = sigma.f_square()?.f_div_scalar(2.0 * prior.width.powi(2))?;
    prior.surprise(mu)?.f_add(&spread)?.f_sub(&sigma.f_log()?)?.f_add_scalar(prior.surprise_constant())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Row, check};

    #[test]
    fn reference() {
        let row = Row {
            value: [0.5, 1.17499725264, 0.748702734054, 6.31175383145, 1.29481598031, 3.18943791243],
            by_mu: [0.0, -1.856110320303, 1.111111065308, -8.630948523438, 0.9999631349524, 8.0],
            by_sigma: [0.0, 0.0, 0.0, 7.638888888889, -0.7285714285714, -8.4],
        };
        check("LSE", 0.5, &row, lse);
    }

    /// -ln of the sum of pi e^-KL, with mpmath.
    #[test]
    fn reference_of_unequal_peaks() {
        let row = Row {
            value: [0.5, 0.8488560319321, 1.259528355072, 5.981936441539, 1.805633411872, 2.852965675813],
            by_mu: [-0.4, -1.937692609381, 1.111111004236, -8.777604898845, 0.9999139822602, 8.0],
            by_sigma: [0.0, 0.0, 0.0, 7.638888888889, -0.7285714285714, -8.4],
        };
        check("LSE, pi+ = .7", 0.7, &row, lse);
    }
}
