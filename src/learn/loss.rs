//! Losses, one formula a file: what pulls a variational auto-encoder's latents towards two peaks, a star's and a
//! galaxy's.
//!
//! Notation: N = N(mu, sigma^2) is one latent's posterior, Q = pi+ N(m, s^2) + pi- N(-m, s^2) the prior, v = s^2 +
//! sigma^2, phi_v the normal density of variance v. `mu` and `sigma` are 1-D (n), f32 or f64, sigma > 0; m >= 0 and
//! s > 0, of any ratio. All is in nats, save the distances.
//!
//! | loss | paper | formula | kind |
//! |---|---|---|---|
//! | [`vae_kl`] | eq 7 | KL(N, N(0, 1)) | each |
//! | [`sc`] | A.1 | the sum of pi KL(N, peak): convex, so it has one minimum and no double peak | each |
//! | [`lse`] | - | -ln of the sum of pi e^(-KL(N, peak)): the tight bound | each |
//! | [`dkl`] | A.2 | KL(N, Q) itself | each |
//! | [`aw`] | B.2 | distance from the nearest peak | each |
//! | [`w1`] | B | Wasserstein-1 distance of a batch from Q | batch |
//! | [`pw`] | B.3 | L2 distance of a batch's mixture from Q | batch |
//! | [`sc_paper`], [`dkl_paper`], [`aw_paper`], [`pw_paper`] | A, B | the same as printed, mistakes included | each |
//!
//! 0 <= DKL <= LSE <= SC. The printed four are for fidelity: each file says what is wrong with its formula. [`PriorLoss`]
//! names one for a configuration.

pub mod aw;
pub mod aw_paper;
pub mod dkl;
pub mod dkl_paper;
pub mod lse;
mod prior_loss;
pub mod pw;
pub mod pw_paper;
pub mod sc;
pub mod sc_paper;
pub mod vae_kl;
pub mod w1;
#[cfg(test)]
mod w1_each;

use tch::{TchError, Tensor};

pub use prior_loss::{Latents, Prior, PriorLoss};

/// The double-peak prior Q: a mixture of two normals about 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoublePeak {
    /// m: the peaks stand at + and - this.
    pub peak: f64,
    /// s: standard deviation of each.
    pub width: f64,
    /// pi+: weight of the positive peak, in (0, 1).
    pub weight: f64,
}

/// A prior that would not part two classes.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "peak / width is {ratio:.2}: below {} the best single posterior lies between the peaks (two minima exist only \
     above 2.45, the global ones only above 2.80); make width smaller, such as peak / 3.5",
    DoublePeak::LEAST_RATIO
)]
pub struct PriorError {
    /// Half the peaks' distance in widths, m / s.
    pub ratio: f64,
}

/// Why a loss has no value.
#[derive(Debug, thiserror::Error)]
pub enum LossError {
    /// A call of libtorch failed.
    #[error(transparent)]
    Torch(#[from] TchError),
    /// The parts of a batch do not belong together.
    #[error("a batch needs mu, sigma and z of one length, the prior's quantiles too: got {sizes:?}")]
    Sizes {
        /// Shapes of mu, sigma, z and the quantiles.
        sizes: [Vec<i64>; 4],
    },
    /// The integral printed in B.3 is negative, as no integral of a square can be.
    #[error(
        "pw-paper has no real root at latent {latent} (mu {mu:.4}, sigma {sigma:.4}; peaks at +-{}, width {}): its \
         printed integral is {integral:.3e} there, a misplaced bracket's doing; use pw",
        prior.peak, prior.width
    )]
    NoRoot {
        /// Place in the batch, from 0.
        latent: i64,
        /// Mean of that latent.
        mu: f64,
        /// Standard deviation of that latent.
        sigma: f64,
        /// The prior that it is compared with.
        prior: DoublePeak,
        /// What stands under the root.
        integral: f64,
    },
}

impl DoublePeak {
    /// Smallest m / s with which nets are trained.
    pub const LEAST_RATIO: f64 = 3.5;

    /// A prior with equal peaks, fit for training.
    ///
    /// # Errors
    /// [`PriorError`] for m / s below [`Self::LEAST_RATIO`], or no number.
    pub fn for_training(peak: f64, width: f64) -> Result<Self, PriorError> {
        let ratio = peak / width;
        // A rounding error's leave: 1 / (1 / 3.5) is below 3.5.
        let parts = peak > 0.0 && width > 0.0 && ratio >= Self::LEAST_RATIO - 1e-9;
        if parts { Ok(Self { peak, width, weight: 0.5 }) } else { Err(PriorError { ratio }) }
    }

    /// -ln Q(x), each, less a constant: (|x| - m)^2 / 2s^2 - ln(1 + e^(-2 m |x| / s^2)) for equal peaks.
    ///
    /// So written it keeps f32's digits: in (x^2 + m^2) / 2s^2 - ln cosh(m x / s^2) both terms are ~ m^2 / 2s^2 and
    /// nearly cancel.
    fn surprise(self, x: &Tensor) -> Result<Tensor, TchError> {
        let (m, s2) = (self.peak, self.width.powi(2));
        let h = 0.5 * (self.weight / (1.0 - self.weight)).ln();
        // With h, |m x / s^2 + h| stands for m |x| / s^2, and (|x| - m)^2 / 2s^2 becomes the first two terms.
        let a = x.f_mul_scalar(m / s2)?.f_add_scalar(h)?.f_abs()?;
        let quadratic = if h == 0.0 {
            x.f_abs()?.f_sub_scalar(m)?.f_square()?.f_div_scalar(2.0 * s2)?
        } else {
            x.f_square()?.f_add_scalar(m * m)?.f_div_scalar(2.0 * s2)?.f_sub(&a)?
        };
        quadratic.f_sub(&a.f_mul_scalar(-2.0)?.f_exp()?.f_log1p()?)
    }

    /// What [`Self::surprise`] leaves out, less the entropy of N(mu, 1).
    fn surprise_constant(self) -> f64 {
        self.width.ln() - 0.5 + 2f64.ln() - 0.5 * (4.0 * self.weight * (1.0 - self.weight)).ln()
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
