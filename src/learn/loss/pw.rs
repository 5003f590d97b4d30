//! The other analogy of a Wasserstein loss (appendix B.3), p = 2, in a sound form.
//!
//! `PW = |mean mu - mean of Q| + sqrt(integral of (P - Q)^2 + eps)`, with P the mixture of a batch's posteriors: all of
//! them together are to look like Q, which balances the peaks as well. mu = (-m, m), sigma = s costs nothing. Products of
//! normal densities integrate to normal densities, so
//!
//! `integral = mean_ij phi_(si^2 + sj^2)(mui - muj) - 2 mean_i [pi+ phi_v(mui - m) + pi- phi_v(mui + m)] + integral Q^2`.
//!
//! The paper takes P for a single N, of which no double peak can ask more than to lie between: that integral is [`l2`].

use std::f64::consts::PI;

use tch::{Kind, TchError, Tensor};

use super::DoublePeak;

/// Under the root, where its slope would be infinite.
const EPS: f64 = 1e-12;

/// PW of a batch, a scalar. Needs memory for n^2 pairs.
///
/// It is summed in f64: near the minimum the three terms cancel, and the root would magnify what f32 leaves.
///
/// # Errors
/// libtorch's.
pub fn pw(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    let kind = mu.kind();
    let (mu, sigma) = (mu.f_to_kind(Kind::Double)?, sigma.f_to_kind(Kind::Double)?);
    let variance = sigma.f_square()?;
    let between = mu.f_unsqueeze(1)?.f_sub(&mu)?;
    let pairs = normal(&between, &variance.f_unsqueeze(1)?.f_add(&variance)?)?.f_mean(Kind::Double)?;
    let cross = overlap(&mu, &sigma, prior)?.f_mean(Kind::Double)?;
    let integral = pairs.f_sub(&cross)?.f_add_scalar(self_overlap(prior))?;
    let root = integral.f_clamp_min(0.0)?.f_add_scalar(EPS)?.f_sqrt()?;
    let centre = (2.0 * prior.weight - 1.0) * prior.peak;
    mu.f_mean(Kind::Double)?.f_sub_scalar(centre)?.f_abs()?.f_add(&root)?.f_to_kind(kind)
}

/// Integral of (N - Q)^2, each (n), in inverse units of the latent.
///
/// # Errors
/// libtorch's.
pub fn l2(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    let own = sigma.f_reciprocal()?.f_mul_scalar(0.5 / PI.sqrt())?;
    own.f_sub(&overlap(mu, sigma, prior)?)?.f_add_scalar(self_overlap(prior))
}

/// Integral of 2 N Q, each.
fn overlap(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    let v = sigma.f_square()?.f_add_scalar(prior.width.powi(2))?;
    let right = normal(&mu.f_sub_scalar(prior.peak)?, &v)?.f_mul_scalar(2.0 * prior.weight)?;
    right.f_add(&normal(&mu.f_add_scalar(prior.peak)?, &v)?.f_mul_scalar(2.0 * (1.0 - prior.weight))?)
}

/// Integral of Q^2, which depends on the prior alone.
fn self_overlap(prior: DoublePeak) -> f64 {
    let (right, left) = (prior.weight, 1.0 - prior.weight);
    let crossed = (-(prior.peak / prior.width).powi(2)).exp();
    (right * right + left * left + 2.0 * right * left * crossed) / (2.0 * PI.sqrt() * prior.width)
}

/// Normal density of variance v at x.
fn normal(x: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let exponent = x.f_square()?.f_div(v)?.f_mul_scalar(-0.5)?;
    exponent.f_exp()?.f_div(&v.f_mul_scalar(2.0 * PI)?.f_sqrt()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Row, check, near};

    #[test]
    fn reference() {
        let row = Row {
            value: [0.0356393353707, 0.352594687581, 0.495883939948, 0.347429069289, 0.310325144400, 3.12092256275],
            by_mu: [0.0, -0.2609958556323, 0.5076481280332, -0.04383514340158, 0.1565681220968, 1.822172427745],
            by_sigma: [
                -0.1722469694069,
                -1.116811528503,
                -1.696127102795,
                -0.5856883424805,
                -0.5401547416486,
                -29.10171533166,
            ],
        };
        check("integral (P - Q)^2", 0.5, &row, l2);
    }

    /// Values by mpmath's quadrature of (N - Q)^2.
    #[test]
    fn reference_of_unequal_peaks() {
        let row = Row {
            value: [
                0.04990476876417,
                0.2449327169079,
                0.9369136951186,
                0.3718250062836,
                0.4263234010161,
                3.105506885154,
            ],
            by_mu: [
                -0.08787825789354,
                -0.5081105449535,
                0.3042382570976,
                -0.290377787301,
                0.09374144781235,
                2.551041398843,
            ],
            by_sigma: [
                -0.1722469694069,
                -0.9456820681529,
                -2.272485826562,
                -0.4951648488218,
                -0.5548148371329,
                -29.45860979337,
            ],
        };
        check("integral (P - Q)^2, pi+ = .7", 0.7, &row, l2);
    }

    /// |mean mu - mean Q| + sqrt(integral (P - Q)^2) and its slopes by mpmath's quadrature; eps is below its digits.
    #[test]
    fn reference_of_a_batch() {
        let by_mu = [
            [-0.5157343592276, -0.3467138309771, -0.7472339395945, -0.1695917828538],
            [-0.3611199011909, -0.4268861100788, -0.795609828264, -0.2461554360678],
        ];
        let by_sigma = [
            [0.1710013552526, -0.2235036252629, 0.1182338607702, -0.04091722335687],
            [0.01676380335259, -0.1887880857415, 0.3122702972568, -0.08209427672799],
        ];
        for (i, (weight, value)) in [(0.5, 0.5289350314104), (0.7, 0.9970068670772)].into_iter().enumerate() {
            let mu = Tensor::from_slice(&[-1.2, 0.3, 0.9, -0.4]).set_requires_grad(true);
            let sigma = Tensor::from_slice(&[0.3, 0.5, 0.2, 0.7]).set_requires_grad(true);
            let loss = pw(&mu, &sigma, DoublePeak { peak: 1.0, width: 0.25, weight }).unwrap();
            loss.backward();
            near("PW", loss.double_value(&[]), value);
            for j in 0..4 {
                near("d PW / d mu", mu.grad().double_value(&[j]), by_mu[i][j as usize]);
                near("d PW / d sigma", sigma.grad().double_value(&[j]), by_sigma[i][j as usize]);
            }
        }
    }

    #[test]
    fn two_balanced_peaks_cost_nothing_and_one_does() {
        let prior = DoublePeak { peak: 1.0, width: 0.25, weight: 0.5 };
        let cost = |mu: [f64; 2]| {
            pw(&Tensor::from_slice(&mu), &Tensor::from_slice(&[0.25, 0.25]), prior).unwrap().double_value(&[])
        };
        assert!(cost([-1.0, 1.0]) < 2e-6);
        assert!(cost([1.0, 1.0]) > 1.0);
    }
}
