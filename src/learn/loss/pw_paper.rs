//! The other analogy of a Wasserstein loss as printed in appendix B.3: `|mu| + sqrt(integral)`, p = 2, with the integral
//! of (N - Q)^2 in the form of the appendix's last line (which itself drops |mu| and the root).
//!
//! In that line one bracket is misplaced: sigma s (1/s + (2/sigma) R), R = sqrt(1/s^2 + 1/sigma^2), stands where
//! sigma s (1/s + 2/sigma) R is meant. All other terms are right, so what is printed is [`l2`] of equal peaks plus
//! (sigma / sqrt(v) - 1/s) / (4 sqrt(pi)): negative near the best fit of a single N, where the loss has no real root.
//! And one N cannot be two peaks: even without the slip each latent would be pulled between them.

use std::f64::consts::PI;

use tch::{TchError, Tensor};

use super::pw::l2;
use super::{DoublePeak, LossError};

/// PW as printed, each (n), of equal peaks whatever the prior's weight.
///
/// # Errors
/// [`LossError::NoRoot`] where the printed integral is negative for any latent, naming the worst; libtorch's.
pub fn pw_paper(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, LossError> {
    let integral = integral(mu, sigma, prior)?;
    let latent = integral.f_argmin(None, false)?.f_int64_value(&[])?;
    let [least, mu_there, sigma_there] = [&integral, mu, sigma].map(|each| each.f_double_value(&[latent]));
    let least = least?;
    if least < 0.0 {
        return Err(LossError::NoRoot { latent, mu: mu_there?, sigma: sigma_there?, prior, integral: least });
    }
    Ok(mu.f_abs()?.f_add(&integral.f_sqrt()?)?)
}

/// The appendix's last line, each (n). No integral of a square: it may be negative.
fn integral(mu: &Tensor, sigma: &Tensor, prior: DoublePeak) -> Result<Tensor, TchError> {
    let equal = DoublePeak { weight: 0.5, ..prior };
    let v = sigma.f_square()?.f_add_scalar(prior.width.powi(2))?;
    let slip = sigma.f_div(&v.f_sqrt()?)?.f_sub_scalar(1.0 / prior.width)?.f_div_scalar(4.0 * PI.sqrt())?;
    l2(mu, sigma, equal)?.f_add(&slip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{POINTS, Row, check, near};

    /// The formula letter by letter, with mpmath.
    #[test]
    fn reference() {
        let row = Row {
            value: [-0.00567249041591, 0.170235465907, 0.125461523759, 0.00933787518812, 0.250163118825, 2.60911666696],
            by_mu: [0.0, -0.2609958556323, 0.5076481280332, -0.04383514340158, 0.1565681220968, 1.822172427745],
            by_sigma: [
                -0.1223791843568,
                -1.017075958403,
                -1.529901152627,
                -0.5653355834103,
                -0.4626040510334,
                -28.65013181652,
            ],
        };
        check("PW printed", 0.5, &row, integral);
    }

    #[test]
    fn the_root_and_its_absence() {
        let (mu, sigma, peak, width) = POINTS[1];
        let at = |mu: &[f64], sigma: &[f64], peak, width| {
            pw_paper(&Tensor::from_slice(mu), &Tensor::from_slice(sigma), DoublePeak { peak, width, weight: 0.5 })
        };
        let whole = at(&[mu], &[sigma], peak, width).unwrap();
        near("PW printed, whole", whole.double_value(&[0]), 0.5 + 0.170235465907f64.sqrt());
        // P1, second in its batch.
        let error = at(&[3.0, 0.0], &[1.0, 1.0], 1.0, 1.0).unwrap_err();
        assert!(matches!(error, LossError::NoRoot { latent: 1, integral, .. } if integral < 0.0), "{error}");
        let says = error.to_string();
        assert!(says.contains("no real root at latent 1 (mu 0.0000, sigma 1.0000; peaks at +-1, width 1)"), "{says}");
    }
}
