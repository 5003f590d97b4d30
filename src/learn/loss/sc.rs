//! The scaling bound of appendix A.1, as it should read.
//!
//! -ln is convex, so KL(N || Q) <= pi+ KL(N || N(m, s^2)) + pi- KL(N || N(-m, s^2)), which for equal peaks is
//! `ln(s / sigma) + (mu^2 + m^2 + sigma^2) / 2s^2 - 1/2` = KL(N || N(0, s^2)) + m^2 / 2s^2: the pull towards a single
//! peak at 0. The bound is sound and useless: averaging the two divergences forgets that there are two peaks.

use tch::{TchError, Tensor};

use super::DoublePeak;

/// SC, each (n), in nats. Unequal weights move its single minimum to (pi+ - pi-) m.
///
/// # Errors
/// libtorch's.
pub fn sc(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    let DoublePeak { peak: m, width: s, weight } = prior;
    let centre = (2.0 * weight - 1.0) * m;
    let spread = mu.f_sub_scalar(centre)?.f_square()?.f_add(&sigma.f_square()?)?;
    let constant = s.ln() - 0.5 + (m * m - centre * centre) / (2.0 * s * s);
    spread.f_div_scalar(2.0 * s * s)?.f_sub(&sigma.f_log()?)?.f_add_scalar(constant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Row, check};

    #[test]
    fn reference() {
        let row = Row {
            value: [0.5, 2.5, 10.0555555555556, 7.85250408032, 6.60167494394, 26.4962907319],
            by_mu: [0.0, 2.0, -10.0, 2.222222222222, -2.0, 24.0],
            by_sigma: [0.0, 0.0, 0.0, 7.638888888889, -0.7285714285714, -8.4],
        };
        check("SC", 0.5, &row, sc);
    }

    /// The sum of pi KL(N, peak), with mpmath.
    #[test]
    fn reference_of_unequal_peaks() {
        let row = Row {
            value: [0.5, 1.7, 14.05555555556, 6.963615191433, 9.001674943939, 16.89629073187],
            by_mu: [-0.4, 0.4, -14.44444444444, -2.222222222222, -3.2, 17.6],
            by_sigma: [0.0, 0.0, 0.0, 7.638888888889, -0.7285714285714, -8.4],
        };
        check("SC, pi+ = .7", 0.7, &row, sc);
    }
}
