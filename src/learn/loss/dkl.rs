//! The double-peak prior term, exact: what appendix A.2 of the paper sets out to find.
//!
//! `KL(N || Q) = ln(s/sigma) - 1/2 + E[(|X| - m)^2 / 2s^2 - ln(1 + e^(-2 m |X| / s^2)) + ln 2]` for equal peaks, X ~
//! N(mu, sigma^2). (What the paper prints is [`dkl_paper`](super::dkl_paper).)
//!
//! The expectation is a trapezoid sum over [-8, 8] sigma: Gauss-Hermite misses the kink at X = 0.

use tch::{TchError, Tensor};

use super::DoublePeak;

/// Nodes for training: 1e-9 for m sigma / s^2 <= 9 and 2e-3 at worst.
pub const NODES: i64 = 257;

/// KL(N(mu, sigma^2) || Q), each (n), in nats, by `nodes` nodes.
///
/// # Errors
/// libtorch's.
pub fn dkl(mu: &Tensor, sigma: &Tensor, prior: DoublePeak, nodes: i64) -> Result<Tensor, TchError> {
    let t = Tensor::f_linspace(-8.0, 8.0, nodes, (mu.kind(), mu.device()))?;
    let density = t.f_square()?.f_mul_scalar(-0.5)?.f_exp()?;
    let weights = density.f_div(&density.f_sum(mu.kind())?)?;
    let x = mu.f_unsqueeze(1)?.f_add(&sigma.f_unsqueeze(1)?.f_mul(&t)?)?;
    prior.surprise(&x)?.f_mv(&weights)?.f_sub(&sigma.f_log()?)?.f_add_scalar(prior.surprise_constant())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{POINTS, Row, check};

    const FINE: i64 = 32769;

    #[test]
    fn reference() {
        let row = Row {
            value: [0.125432792509, 0.760996254916, 0.744816543982, 1.19720026410, 1.28816377876, 3.18943791243],
            by_mu: [0.0, -0.555807165875, 1.06845651536, 0.0398110043213, 0.972947050148, 8.0],
            by_sigma: [-0.605705509602, -1.91703067469, -0.130249823617, -0.912231130195, -0.799628157357, -8.4],
        };
        check("DKL", 0.5, &row, |mu, sigma, prior| dkl(mu, sigma, prior, FINE));
    }

    /// Gradients by mpmath: differences of its quadrature with 30 digits.
    #[test]
    fn reference_of_unequal_peaks() {
        let row = Row {
            value: [0.158736521664, 0.557256339312, 1.25366002095, 1.19342737088, 1.79397816611, 2.85296567581],
            by_mu: [-0.2520756258079, -0.9256565830677, 1.048654932185, -0.3651946494429, 0.9546813886852, 8.0],
            by_sigma: [-0.573978721271, -1.575354784048, -0.1840685598772, -0.8024847058021, -0.8413196954808, -8.4],
        };
        check("DKL, pi+ = .7", 0.7, &row, |mu, sigma, prior| dkl(mu, sigma, prior, FINE));
    }

    #[test]
    fn training_nodes_and_f32_are_near_enough() {
        for (mu, sigma, peak, width) in POINTS {
            let prior = DoublePeak { peak, width, weight: 0.5 };
            let (mu, sigma) = (Tensor::from_slice(&[mu]), Tensor::from_slice(&[sigma]));
            let exact = dkl(&mu, &sigma, prior, FINE).unwrap().double_value(&[0]);
            let few = dkl(&mu, &sigma, prior, NODES).unwrap().double_value(&[0]);
            assert!((few - exact).abs() < 2e-3, "{few} {exact}");
            let single = |x: &Tensor| x.to_kind(tch::Kind::Float);
            let few = dkl(&single(&mu), &single(&sigma), prior, NODES).unwrap().double_value(&[0]);
            assert!((few - exact).abs() < 2e-3, "{few} {exact}");
        }
    }
}
