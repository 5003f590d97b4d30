//! The profile likelihood (EB): the odds of star from how well an object is fitted by the PSF and by PSF-convolved
//! galaxies (chi^2, see `cutout`), with shares of the models learned by magnitude (`learn::profile_likelihood`):
//! empirical Bayes (Robbins 1956).
//!
//! ```text
//! L_k = exp(-chi^2_k / 2 d)    d = 1 + (SN / floor)^2
//! log-odds = ln sum_star pi_k(m) L_k - ln sum_galaxy pi_k(m) L_k
//! ```
//!
//! The damping d: at high S/N the PSF model is wrong by more than the noise, and undamped every bright star would be a
//! galaxy.
//!
//! What a star is. Damped, a galaxy much smaller than a pixel can be told from a point source at no S/N, and the
//! shares of models that fit alike are anybody's: given one share of their own, such galaxies take half the bright
//! stars. So galaxies that small count as point sources, whatever share they learn; they then hold the stars whose
//! PSF is a little wider than the frame's.

use serde::{Deserialize, Serialize};

use super::place;

/// A model no likelier than this, against the best one, is as likely as this: no object is ever quite sure.
const LIKELIHOOD_MIN: f64 = 1e-12;

/// Shares of the models by magnitude, as a bundle holds them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileMixture {
    /// Reference-band PSF magnitudes of the rows.
    pub mag_nodes: Vec<f32>,
    /// Each model's share, row by row: the point-like ones, then the galaxies. Between rows it is linear.
    pub shares: Vec<f32>,
    /// So many models are point-like.
    pub point_like: usize,
    /// S/N at which the PSF model's error equals the noise.
    pub sn_floor: f32,
}

impl ProfileMixture {
    /// Log-odds of star of an object with these chi^2 (one a model), S/N over the same bands, and reference-band PSF
    /// magnitude. `None` where a number is not finite or the table has another number of models.
    pub fn log_odds(&self, chi2: &[f32], sn: f32, mag: f32) -> Option<f32> {
        let (row, along) = place(&self.mag_nodes, mag).filter(|_| mag.is_finite())?;
        let models = chi2.len();
        let here = self.shares.get(row * models..(row + 1) * models)?;
        let next = self.shares.get((row + 1) * models..(row + 2) * models).unwrap_or(here);
        if self.shares.len() != models * self.mag_nodes.len() || self.point_like >= models {
            return None;
        }
        let joint: Vec<f64> = relative_likelihoods(chi2, sn, self.sn_floor)?
            .zip(here.iter().zip(next))
            .map(|(likelihood, (h, n))| likelihood * f64::from(h + (n - h) * along))
            .collect();
        let (star, galaxy) = joint.split_at(self.point_like);
        let odds = star.iter().sum::<f64>().ln() - galaxy.iter().sum::<f64>().ln();
        odds.is_finite().then_some(odds as f32)
    }
}

impl ProfileMixture {
    /// Share of point-like models at a magnitude; `None` for an empty table.
    pub fn star_share(&self, mag: f32) -> Option<f64> {
        let (row, along) = place(&self.mag_nodes, mag).filter(|_| mag.is_finite())?;
        let models = self.shares.len() / self.mag_nodes.len();
        let of = |row: usize| -> Option<f32> {
            Some(self.shares.get(row * models..row * models + self.point_like)?.iter().sum::<f32>())
        };
        let here = of(row)?;
        let next = of(row + 1).unwrap_or(here);
        Some(f64::from(here + (next - here) * along).clamp(1e-6, 1.0 - 1e-6))
    }
}

/// Likelihood of each model relative to the best one's; `None` where a number is not finite.
pub fn relative_likelihoods(chi2: &[f32], sn: f32, sn_floor: f32) -> Option<impl Iterator<Item = f64> + use<'_>> {
    let damping = 1.0 + (f64::from(sn) / f64::from(sn_floor)).powi(2);
    let best = f64::from(chi2.iter().copied().reduce(f32::min)?);
    let finite = damping.is_finite() && chi2.iter().all(|c| c.is_finite());
    let likelihood = move |&c: &f32| (-0.5 * (f64::from(c) - best) / damping).exp().max(LIKELIHOOD_MIN);
    finite.then(|| chi2.iter().map(likelihood))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> ProfileMixture {
        let shares = vec![0.5, 0.2, 0.3, 0.2, 0.1, 0.7];
        ProfileMixture { mag_nodes: vec![20.0, 22.0], shares, point_like: 2, sn_floor: 30.0 }
    }

    /// By hand: at 20.5 the shares are .425 .175 .4, the damping at S/N 60 is 5.
    #[test]
    fn odds_are_bayes() {
        let found = table().log_odds(&[100.0, 110.0, 104.0], 60.0, 20.5).unwrap();
        let star = 0.425 + 0.175 * (-1f64).exp();
        let galaxy = 0.4 * (-0.4f64).exp();
        assert!((f64::from(found) - (star / galaxy).ln()).abs() < 1e-5, "{found}");
    }

    #[test]
    fn only_differences_of_chi2_count_and_the_better_model_wins() {
        let odds = |chi2: [f32; 3]| table().log_odds(&chi2, 10.0, 21.0).unwrap();
        assert!((odds([3.0, 9.0, 5.0]) - odds([503.0, 509.0, 505.0])).abs() < 1e-4);
        assert!(odds([100.0, 130.0, 110.0]) > odds([100.0, 130.0, 105.0]));
        // However sure chi^2 is, the odds are finite.
        assert!(odds([0.0, 1e6, 1e6]) < 30.0 && odds([1e6, 1e6, 0.0]) > -30.0);
    }

    #[test]
    fn beyond_the_nodes_the_last_one_counts_and_without_a_basis_there_are_no_odds() {
        let chi2 = [10.0, 12.0, 11.0];
        assert_eq!(table().log_odds(&chi2, 5.0, 25.0), table().log_odds(&chi2, 5.0, 22.0));
        assert_eq!(table().log_odds(&chi2, 5.0, 12.0), table().log_odds(&chi2, 5.0, 20.0));
        assert_eq!(table().log_odds(&chi2[..2], 5.0, 21.0), None);
        assert_eq!(table().log_odds(&[], 5.0, 21.0), None);
        assert_eq!(table().log_odds(&[f32::NAN, 1.0, 2.0], 5.0, 21.0), None);
        assert_eq!(table().log_odds(&chi2, f32::NAN, 21.0), None);
        assert_eq!(table().log_odds(&chi2, 5.0, f32::NAN), None);
    }
}
