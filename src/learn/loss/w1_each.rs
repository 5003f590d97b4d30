//! The Wasserstein-1 distance of one posterior from the prior: the integral of |F - G|, F and G the distribution
//! functions of N and Q.
//!
//! `A(x) = integral of (F - G)` is known: (x - mu) / sigma = t gives (x - mu) F + sigma phi(t), likewise for each peak. So
//! the distance is the sum of |A| between the places where F and G cross (at most three), which bisection finds.
//! Moving a crossing changes nothing to first order, since the integrand is 0 there: gradients may take them as fixed.
//!
//! For tests alone; [`w1`](super::w1) trains. A batch of posteriors, each at W1 = 0 from one peak, is what
//! training wants, while here each N is far from Q unless it lies between the peaks.

use std::f64::consts::PI;

use tch::{Kind, TchError, Tensor, no_grad};

use super::DoublePeak;

/// Panels searched for a crossing each: enough for 1e-12 of the distance in f64.
pub const PANELS: i64 = 512;
/// Times that a panel is halved in the search for a root.
const HALVINGS: usize = 60;
/// Beyond so many standard deviations F and G are 0 or 1.
const REACH: f64 = 9.0;

/// W1(N, Q), each (n), in units of the latent, by `panels` panels; f32 is computed in f64.
///
/// # Errors
/// libtorch's.
pub fn w1_each(mu: &Tensor, sigma: &Tensor, prior: DoublePeak, panels: i64) -> Result<Tensor, TchError> {
    let kind = mu.kind();
    let column = |x: &Tensor| x.f_to_kind(Kind::Double)?.f_unsqueeze(1);
    let gap = Gap { mu: column(mu)?, sigma: column(sigma)?, prior };
    let (left, right, crossing) = no_grad(|| gap.crossings(panels))?;
    let [left, right, crossing] = [left, right, crossing].map(|x| gap.integral(&x));
    let crossing = crossing?;
    let before = crossing.f_sub(&left?)?.f_abs()?;
    before.f_add(&right?.f_sub(&crossing)?.f_abs()?)?.f_sum_dim_intlist(1, false, Kind::Double)?.f_to_kind(kind)
}

/// F - G, with `mu` and `sigma` (n, 1).
struct Gap {
    mu: Tensor,
    sigma: Tensor,
    prior: DoublePeak,
}

impl Gap {
    /// Panels' left and right ends and the crossing in each, or one of its ends where there is none; each (n, panels).
    fn crossings(&self, panels: i64) -> Result<(Tensor, Tensor, Tensor), TchError> {
        let around = self.prior.peak + REACH * self.prior.width;
        let reach = self.sigma.f_mul_scalar(REACH)?;
        let low = self.mu.f_sub(&reach)?.f_clamp_max(-around)?;
        let high = self.mu.f_add(&reach)?.f_clamp_min(around)?;
        let share = Tensor::f_linspace(0.0, 1.0, panels + 1, (Kind::Double, self.mu.device()))?;
        let edges = high.f_sub(&low)?.f_mul(&share)?.f_add(&low)?;
        let (left, right) = (edges.f_narrow(1, 0, panels)?, edges.f_narrow(1, 1, panels)?);
        let sign = self.at(&left)?.f_sign()?;
        let (mut a, mut b) = (left.shallow_clone(), right.shallow_clone());
        for _ in 0..HALVINGS {
            let middle = a.f_add(&b)?.f_mul_scalar(0.5)?;
            let as_left = self.at(&middle)?.f_sign()?.f_eq_tensor(&sign)?;
            a = middle.f_where_self(&as_left, &a)?;
            b = b.f_where_self(&as_left, &middle)?;
        }
        Ok((left, right, a))
    }

    /// F - G at x.
    fn at(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.sum(x, |x, mu, sigma| x.f_sub(mu)?.f_div(sigma)?.f_special_ndtr())
    }

    /// Antiderivative of F - G at x.
    fn integral(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.sum(x, |x, mu, sigma| {
            let off = x.f_sub(mu)?;
            let t = off.f_div(sigma)?;
            let density = t.f_square()?.f_mul_scalar(-0.5)?.f_exp()?.f_mul_scalar(1.0 / (2.0 * PI).sqrt())?;
            off.f_mul(&t.f_special_ndtr()?)?.f_add(&density.f_mul(sigma)?)
        })
    }

    /// `of` N, less `of` each peak by its weight.
    fn sum<F>(&self, x: &Tensor, of: F) -> Result<Tensor, TchError>
    where
        F: Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor, TchError>,
    {
        let DoublePeak { peak, width, weight } = self.prior;
        let width = self.mu.f_full_like(width)?;
        let of_peak = |at: f64, weight: f64| of(x, &self.mu.f_full_like(at)?, &width)?.f_mul_scalar(weight);
        of(x, &self.mu, &self.sigma)?.f_sub(&of_peak(peak, weight)?)?.f_sub(&of_peak(-peak, 1.0 - weight)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{Row, check};

    fn loss(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
        w1_each(mu, sigma, prior, PANELS)
    }

    /// Gradients by mpmath: the crossings to 30 digits, then the sums of the two densities' integrals between them.
    #[test]
    fn reference() {
        let row = Row {
            value: [0.368746380373, 0.654759984330, 0.900919521301, 0.403404790342, 2.53915050818, 1.50001075905],
            by_mu: [0.0, 0.2454801650081, -0.9328267919539, 0.1567205706063, -0.207218616325, 0.9997249468421],
            by_sigma: [
                -0.7978845608029,
                -0.7598172218442,
                -0.1493920877524,
                -0.4088023785662,
                -0.7708225055234,
                -0.001067617645293,
            ],
        };
        check("W1(N, Q)", 0.5, &row, loss);
    }

    #[test]
    fn reference_of_unequal_peaks() {
        let row = Row {
            value: [0.4852154391784, 0.4758826252631, 1.300002632983, 0.3992840828411, 3.426272733921, 1.100018636647],
            by_mu: [
                -0.642543244984,
                -0.2806533124735,
                -0.9995657874138,
                -0.3033721194816,
                -0.6060161310255,
                0.9995241308619,
            ],
            by_sigma: [
                -0.5224658657468,
                -0.748000883332,
                -0.001636423854848,
                -0.3350968808421,
                -0.5548281187028,
                -0.001782471791807,
            ],
        };
        check("W1(N, Q), pi+ = .7", 0.7, &row, loss);
    }
}
