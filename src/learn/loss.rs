//! Losses, one formula per file. Here: the terms that train the shipped nets. The paper's printed forms and
//! the other sound ones (`sc`, `lse`, `aw`, `pw`) belong beside them.
//!
//! Notation: N = N(mu, sigma^2) is one latent's posterior, Q = pi+ N(m, s^2) + pi- N(-m, s^2) the prior.

pub mod dkl;
pub mod vae_kl;
pub mod w1;

/// The double-peak prior Q.
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
    /// m / s.
    pub ratio: f64,
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
}

/// P1..P6 of the reference table: (mu, sigma, m, s).
#[cfg(test)]
const POINTS: [(f64, f64, f64, f64); 6] = [
    (0.0, 1.0, 1.0, 1.0),
    (0.5, 0.5, 1.0, 0.5),
    (-0.9, 0.3, 1.0, 0.3),
    (0.2, 0.8, 1.0, 0.3),
    (-2.0, 0.7, 3.0, 1.0),
    (1.5, 0.1, 1.0, 0.25),
];

/// Agreement with the table's 12 digits; absolute where the reference is 0.
#[cfg(test)]
fn assert_reference(found: f64, reference: f64, what: &str) {
    let scale = if reference == 0.0 { 1.0 } else { reference.abs() };
    assert!((found - reference).abs() <= 1e-10 * scale, "{what}: {found} is not {reference}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prior_without_two_peaks_is_refused() {
        assert!(DoublePeak::for_training(1.0, 1.0 / 3.5).is_ok());
        assert!(DoublePeak::for_training(1.0, 0.25).is_ok());
        for (peak, width) in [(1.0, 0.3), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (-1.0, -0.1), (f64::NAN, 0.1)] {
            let error = DoublePeak::for_training(peak, width).unwrap_err().to_string();
            assert!(error.contains("peak / width is"), "{error}");
        }
    }
}
