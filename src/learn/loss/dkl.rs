//! The double-peak prior term, exact.
//!
//! `KL(N || Q) = ln(s/sigma) - 1/2 + E[(|X| - m)^2 / 2s^2 - ln(1 + e^(-2 m |X| / s^2)) + ln 2]` for equal peaks, X ~
//! N(mu, sigma^2). (The paper's A.2 has gamma 2.5 times too large and is not bounded below.)
//!
//! The expectation is a trapezoid sum over [-8, 8] sigma: Gauss-Hermite misses the kink at X = 0. It is taken
//! over the residual, not over ln cosh: the quadratic and ln cosh are both ~ m^2 / 2s^2 and nearly cancel, which
//! would cost f32 its digits.

use tch::{TchError, Tensor};

use super::DoublePeak;

/// Nodes for training: 1e-9 for m sigma / s^2 <= 9 and 2e-3 at worst.
pub const NODES: i64 = 257;

/// KL(N(mu, sigma^2) || Q), each, for 1-D `mu` and `sigma`.
///
/// # Errors
/// libtorch's.
pub fn dkl(mu: &Tensor, sigma: &Tensor, prior: DoublePeak, nodes: i64) -> Result<Tensor, TchError> {
    let (m, s2) = (prior.peak, prior.width.powi(2));
    let h = 0.5 * (prior.weight / (1.0 - prior.weight)).ln();
    let t = Tensor::f_linspace(-8.0, 8.0, nodes, (mu.kind(), mu.device()))?;
    let density = t.f_square()?.f_mul_scalar(-0.5)?.f_exp()?;
    let weights = density.f_div(&density.f_sum(mu.kind())?)?;
    let x = mu.f_unsqueeze(1)?.f_add(&sigma.f_unsqueeze(1)?.f_mul(&t)?)?;
    // With h, |m x / s^2 + h| stands for m |x| / s^2, and (|x| - m)^2 / 2s^2 becomes the first two terms.
    let a = x.f_mul_scalar(m / s2)?.f_add_scalar(h)?.f_abs()?;
    let quadratic = if h == 0.0 {
        x.f_abs()?.f_sub_scalar(m)?.f_square()?.f_div_scalar(2.0 * s2)?
    } else {
        x.f_square()?.f_add_scalar(m * m)?.f_div_scalar(2.0 * s2)?.f_sub(&a)?
    };
    let residual = quadratic.f_sub(&a.f_mul_scalar(-2.0)?.f_exp()?.f_log1p()?)?;
    let constant = prior.width.ln() - 0.5 + 2f64.ln() - 0.5 * (4.0 * prior.weight * (1.0 - prior.weight)).ln();
    residual.f_mv(&weights)?.f_sub(&sigma.f_log()?)?.f_add_scalar(constant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::loss::{POINTS, assert_reference};
    use tch::Kind;

    const FINE: i64 = 32769;

    fn at(mu: f64, sigma: f64, prior: DoublePeak, nodes: i64) -> f64 {
        dkl(&Tensor::from_slice(&[mu]), &Tensor::from_slice(&[sigma]), prior, nodes).unwrap().double_value(&[0])
    }

    #[test]
    fn reference_values() {
        let equal = [0.125432792509, 0.760996254916, 0.744816543982, 1.19720026410, 1.28816377876, 3.18943791243];
        let unequal = [0.158736521664, 0.557256339312, 1.25366002095, 1.19342737088, 1.79397816611, 2.85296567581];
        for (i, (mu, sigma, peak, width)) in POINTS.into_iter().enumerate() {
            let value = |weight| at(mu, sigma, DoublePeak { peak, width, weight }, FINE);
            assert_reference(value(0.5), equal[i], "DKL");
            assert_reference(value(0.7), unequal[i], "DKL, pi+ = .7");
        }
    }

    #[test]
    fn reference_gradients() {
        let by_mu = [0.0, -0.555807165875, 1.06845651536, 0.0398110043213, 0.972947050148, 8.0];
        let by_sigma = [-0.605705509602, -1.91703067469, -0.130249823617, -0.912231130195, -0.799628157357, -8.4];
        for (i, (mu, sigma, peak, width)) in POINTS.into_iter().enumerate() {
            let (mu, sigma) = (Tensor::from_slice(&[mu]), Tensor::from_slice(&[sigma]));
            let (mu, sigma) = (mu.set_requires_grad(true), sigma.set_requires_grad(true));
            let loss = dkl(&mu, &sigma, DoublePeak { peak, width, weight: 0.5 }, FINE).unwrap();
            loss.sum(Kind::Double).backward();
            assert_reference(mu.grad().double_value(&[0]), by_mu[i], "d DKL / d mu");
            assert_reference(sigma.grad().double_value(&[0]), by_sigma[i], "d DKL / d sigma");
        }
    }

    #[test]
    fn training_nodes_and_f32_are_near_enough() {
        for (mu, sigma, peak, width) in POINTS {
            let prior = DoublePeak { peak, width, weight: 0.5 };
            let exact = at(mu, sigma, prior, FINE);
            assert!((at(mu, sigma, prior, NODES) - exact).abs() < 2e-3);
            let (mu, sigma) = (Tensor::from_slice(&[mu as f32]), Tensor::from_slice(&[sigma as f32]));
            let single = dkl(&mu, &sigma, prior, NODES).unwrap().double_value(&[0]);
            assert!((single - exact).abs() < 2e-3, "{single} {exact}");
        }
    }
}
