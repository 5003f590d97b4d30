//! The balance of the two peaks: the Wasserstein-1 distance between a batch of latents and the prior.
//!
//! Appendix B.3 calls it combinatorial and looks for analogies. In one dimension it is not: sorting is the optimal
//! transport, so the i-th smallest latent goes to the i-th quantile of Q. Each peak takes its share of the batch and no
//! more, which is what the per-sample losses cannot ask for.

use tch::{Kind, TchError, Tensor};

use super::DoublePeak;

/// Quantiles of Q at (i + 1/2) / n, i = 0..n, f64, by bisection.
///
/// # Errors
/// libtorch's.
pub fn prior_quantiles(n: i64, prior: DoublePeak) -> Result<Tensor, TchError> {
    let DoublePeak { peak, width, weight } = prior;
    let options = (Kind::Double, tch::Device::Cpu);
    let p = Tensor::f_arange(n, options)?.f_add_scalar(0.5)?.f_div_scalar(n)?;
    let mut low = Tensor::f_full([n], -peak - 10.0 * width, options)?;
    let mut high = Tensor::f_full([n], peak + 10.0 * width, options)?;
    for _ in 0..80 {
        let middle = low.f_add(&high)?.f_mul_scalar(0.5)?;
        let share = |at: f64| middle.f_sub_scalar(at)?.f_div_scalar(width)?.f_special_ndtr();
        let below = share(peak)?.f_mul_scalar(weight)?.f_add(&share(-peak)?.f_mul_scalar(1.0 - weight)?)?;
        let left = below.f_lt_tensor(&p)?;
        low = middle.f_where_self(&left, &low)?;
        high = high.f_where_self(&left, &middle)?;
    }
    low.f_add(&high)?.f_mul_scalar(0.5)
}

/// Distance between a batch `z` (n), a sample of each posterior, and the prior, whose [`prior_quantiles`] of the same n,
/// kind and device are given. A scalar in units of the latent, for any real z.
///
/// # Errors
/// libtorch's.
pub fn w1(z: &Tensor, quantiles: &Tensor) -> Result<Tensor, TchError> {
    z.f_sort(0, false)?.0.f_sub(quantiles)?.f_abs()?.f_mean(z.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::POINTS;

    /// W1(N, Q) of the reference table, with N given by its own quantiles; 2e5 of them reach 1e-5.
    #[test]
    fn reference_values() {
        let table = [0.368746380373, 0.654759984330, 0.900919521301, 0.403404790342, 2.53915050818, 1.50001075905];
        let n = 200_000;
        for ((mu, sigma, peak, width), reference) in POINTS.into_iter().zip(table) {
            let normal = prior_quantiles(n, DoublePeak { peak: 0.0, width: 1.0, weight: 0.5 }).unwrap();
            let z = normal.f_mul_scalar(sigma).unwrap().f_add_scalar(mu).unwrap().flip([0]);
            let prior = prior_quantiles(n, DoublePeak { peak, width, weight: 0.5 }).unwrap();
            let found = w1(&z, &prior).unwrap().double_value(&[]);
            assert!((found - reference).abs() < 2e-5, "{found} is not {reference}");
        }
    }

    #[test]
    fn one_full_peak_costs_more_than_two_halves() {
        let prior = prior_quantiles(1000, DoublePeak { peak: 1.0, width: 0.01, weight: 0.5 }).unwrap();
        let both: Vec<f64> = (0..1000).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let distance = |z: &[f64]| w1(&Tensor::from_slice(z), &prior).unwrap().double_value(&[]);
        assert!(distance(&both) < 0.01);
        assert!(distance(&[1.0; 1000]) > 0.9);
    }
}
