//! The exact divergence as printed in appendix A.2: alpha - beta - gamma with
//! `alpha = ln(2s / sigma)`, `beta = -((m - mu)^2 + sigma^2 - s^2) / 2s^2`,
//! `gamma = -2m (-sigma e^(-x^2) + sqrt(pi/2) mu erfc x) / s^2`, x = mu / (sqrt(2) sigma), and in the last line
//! 1 - tanh(1.19 x) for erfc x.
//!
//! alpha and beta are right. gamma is to be E ln(1 + e^(-2 m X / s^2)), for which its max(0, -2 m X / s^2) is put (a
//! ReLU for a softplus: off by ln 2 at X = 0); and it lacks 1 / sqrt(2 pi), so it is 2.5 times too large. Hence the loss
//! is not even in mu, is negative far beyond any divergence, and for narrow peaks is least near mu = -4 m.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use tch::{TchError, Tensor};

use super::DoublePeak;

/// DKL as printed last, with 1 - tanh(1.19 x) for erfc x; each (n), of equal peaks whatever the prior's weight.
///
/// # Errors
/// libtorch's.
pub fn dkl_paper(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    printed(mu, sigma, prior, |x| x.f_mul_scalar(1.19)?.f_tanh()?.f_neg()?.f_add_scalar(1.0))
}

/// The printed form over a `tail`: what stands for erfc x in it.
fn printed(
    mu: &Tensor,
    sigma: &Tensor,
    prior: DoublePeak,
    tail: impl Fn(&Tensor) -> Result<Tensor, TchError>,
) -> Result<Tensor, TchError> {
    let DoublePeak { peak: m, width: s, .. } = prior;
    let s2 = s * s;
    let x = mu.f_div(sigma)?.f_mul_scalar(FRAC_1_SQRT_2)?;
    let alpha = sigma.f_log()?.f_neg()?.f_add_scalar((2.0 * s).ln())?;
    let spread = mu.f_sub_scalar(m)?.f_square()?.f_add(&sigma.f_square()?)?.f_sub_scalar(s2)?;
    let beta = spread.f_div_scalar(-2.0 * s2)?;
    let far = mu.f_mul(&tail(&x)?)?.f_mul_scalar((PI / 2.0).sqrt())?;
    let near = sigma.f_mul(&x.f_square()?.f_neg()?.f_exp()?)?;
    let gamma = far.f_sub(&near)?.f_mul_scalar(-2.0 * m / s2)?;
    alpha.f_sub(&beta)?.f_sub(&gamma)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Row, check};

    #[test]
    fn reference() {
        let row = Row {
            value: [-0.806852819440, 0.338279151761, -29.1382535136, -6.49190337539, -16.6121056174, 3.18943791374],
            by_mu: [1.506628274631, 1.534953468807, 35.27776984014, 12.96601363467, 10.20933804802, 7.999999978834],
            by_sigma: [-2.0, -5.244689526404, 2.876788688023, -13.84400225956, 0.002497648807097, -8.399999669418],
        };
        check("DKL printed, tanh", 0.5, &row, dkl_paper);
    }

    /// DKL as printed in the line before the last.
    #[test]
    fn reference_of_the_form_with_erfc() {
        let row = Row {
            value: [-0.806852819440, 0.357783523403, -29.3902488819, -6.43674370548, -16.7913216704, 3.18943791243],
            by_mu: [1.506628274631, 1.181517963387, 34.51654626793, 13.46431267719, 10.00762414075, 8.0],
            by_sigma: [-2.0, -4.852245277701, -0.2468665897387, -13.89962743281, -0.8298507334642, -8.4],
        };
        check("DKL printed, erfc", 0.5, &row, |mu, sigma, prior| printed(mu, sigma, prior, Tensor::f_special_erfc));
    }

    #[test]
    fn its_minimum_is_no_peak() {
        let prior = DoublePeak { peak: 1.0, width: 0.25, weight: 0.5 };
        let mu = Tensor::linspace(-8.0, 8.0, 16001, (tch::Kind::Double, tch::Device::Cpu));
        let loss = dkl_paper(&mu, &mu.full_like(0.25), prior).unwrap();
        let least = mu.double_value(&[loss.argmin(None, false).int64_value(&[])]);
        assert!((least + 4.013).abs() < 1e-2, "{least}");
        assert!(loss.min().double_value(&[]) < -50.0);
    }
}
