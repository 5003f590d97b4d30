//! The star share of one frame, learned from its own objects without labels: how far the odds of star before anything is
//! measured differ here from the bundle's, by magnitude.
//!
//! ```text
//! logit pi_frame(m) = logit pi_bundle(m) + a0 + a1 x + a2 x^2       a_k ~ N(0, s_k^2)
//! E  r_i = pi L_star / (pi L_star + (1 - pi) L_galaxy)              L_galaxy = sum_k g_k(m) L_k, g the bundle's
//! M  logistic regression of r_i on 1, x, x^2, with the bundle's logit as offset and the priors of a
//! ```
//!
//! (expectation maximisation, Dempster, Laird & Rubin 1977.) In a dense frame low in the Galaxy nearly all is stars, and
//! the shares of ordinary fields take a tenth of them for galaxies. An object whose profiles fit alike says nothing, and
//! where there are too few that say something the bundle's shares hold.

use super::{ProfileMixture, mixture::relative_likelihoods, place};
use crate::cramer::cramer;
use crate::cutout::Measurements;

/// Fewest objects from which a frame's own shares are learned.
const FEWEST: usize = 300;
/// An object says something where star or galaxy is so many times as likely as the other.
const TELLS: f64 = 3.0;
/// Objects below this S/N say more of the profiles' errors than of the frame.
const LEAST_SN: f32 = 8.0;
const ITERATIONS: usize = 40;
/// Standard deviation of a frame's shares about the bundle's, in logit: of the mean, the slope and the bend.
const PRIOR: [f64; TERMS] = [2.0, 1.0, 0.5];
const TERMS: usize = 3;
/// The laws hold between these quantiles of the objects' magnitudes.
const LAWFUL: (f64, f64) = (0.02, 0.98);

/// What is to be added to the log-odds of star of the objects of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct FrameShares {
    /// Coefficients of 1, x, x^2.
    terms: [f64; TERMS],
    /// Magnitudes at which x is -1 and 1; beyond them it stays so.
    range: (f64, f64),
}

/// An object as the shares see it.
struct Seen {
    /// 1, x, x^2.
    powers: [f64; TERMS],
    /// The bundle's logit of star.
    logit: f64,
    /// ln L_star - ln L_galaxy.
    log_ratio: f64,
}

impl FrameShares {
    /// What the objects of a frame say; nothing to add where they are too few.
    pub fn learn<'m>(mixture: &ProfileMixture, objects: impl Iterator<Item = &'m Measurements>) -> Self {
        let known: Vec<(f64, f64, f64)> = objects.filter_map(|object| seen(mixture, object)).collect();
        let telling = known.iter().filter(|(_, _, ratio)| ratio.abs() > TELLS.ln()).count();
        let mut mags: Vec<f64> = known.iter().map(|k| k.0).collect();
        mags.sort_by(f64::total_cmp);
        if telling < FEWEST {
            return Self::default();
        }
        let at = |quantile: f64| mags[(quantile * (mags.len() - 1) as f64).round() as usize];
        let mut shares = Self { terms: [0.0; TERMS], range: (at(LAWFUL.0), at(LAWFUL.1)) };
        if shares.range.1 - shares.range.0 < 1.0 {
            return Self::default();
        }
        let objects: Vec<Seen> = known
            .iter()
            .map(|&(mag, logit, log_ratio)| Seen { powers: shares.powers(mag), logit, log_ratio })
            .collect();
        for _ in 0..ITERATIONS {
            let Some(next) = step(&objects, shares.terms) else { return Self::default() };
            shares.terms = next;
        }
        shares
    }

    /// What is to be added to the log-odds of an object of this reference-band PSF magnitude.
    pub fn log_odds(&self, mag: f32) -> f32 {
        let powers = self.powers(f64::from(mag));
        self.terms.iter().zip(powers).map(|(t, p)| t * p).sum::<f64>() as f32
    }

    fn powers(&self, mag: f64) -> [f64; TERMS] {
        let (low, high) = self.range;
        let x = if high > low { (2.0 * mag.clamp(low, high) - low - high) / (high - low) } else { 0.0 };
        [1.0, x, x * x]
    }
}

/// Magnitude, the bundle's logit of star, and what the profiles say, of an object that can be asked.
fn seen(mixture: &ProfileMixture, object: &Measurements) -> Option<(f64, f64, f64)> {
    let models = object.chi2.len();
    if !object.mag.is_finite() || object.sn.is_nan() || object.sn < LEAST_SN {
        return None;
    }
    let (row, along) = place(&mixture.mag_nodes, object.mag)?;
    let here = mixture.shares.get(row * models..(row + 1) * models)?;
    let next = mixture.shares.get((row + 1) * models..(row + 2) * models).unwrap_or(here);
    let share = |k: usize| f64::from(here[k] + (next[k] - here[k]) * along);
    let (mut star, mut galaxy, mut joint_star, mut joint_galaxy) = (0.0, 0.0, 0.0, 0.0);
    for (k, likelihood) in relative_likelihoods(&object.chi2, object.sn, mixture.sn_floor)?.enumerate() {
        let (sum, joint) =
            if k < mixture.point_like { (&mut star, &mut joint_star) } else { (&mut galaxy, &mut joint_galaxy) };
        *sum += share(k);
        *joint += share(k) * likelihood;
    }
    let logit = (star / galaxy).ln();
    let log_ratio = (joint_star / star).ln() - (joint_galaxy / galaxy).ln();
    (logit.is_finite() && log_ratio.is_finite()).then_some((f64::from(object.mag), logit, log_ratio))
}

/// One step of expectation maximisation, its regression a step of Newton's.
fn step(objects: &[Seen], terms: [f64; TERMS]) -> Option<[f64; TERMS]> {
    let mut normal = [[0.0; TERMS]; TERMS];
    let mut gradient = [0.0; TERMS];
    for k in 0..TERMS {
        normal[k][k] = PRIOR[k].powi(-2);
        gradient[k] = -terms[k] * PRIOR[k].powi(-2);
    }
    for object in objects {
        let logit = object.logit + object.powers.iter().zip(terms).map(|(p, t)| p * t).sum::<f64>();
        let (now, after) = (logistic(logit), logistic(logit + object.log_ratio));
        for i in 0..TERMS {
            gradient[i] += object.powers[i] * (after - now);
            for (to, power) in normal[i].iter_mut().zip(object.powers) {
                *to += object.powers[i] * power * now * (1.0 - now);
            }
        }
    }
    let by = cramer(&normal, &gradient)?;
    Some(std::array::from_fn(|k| terms[k] + by[k].clamp(-1.0, 1.0)))
}

fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::cutout::MODELS;

    /// Half of all are stars by the bundle, at any magnitude; galaxies are of one kind for the most part.
    fn bundle() -> ProfileMixture {
        let row: Vec<f32> = (0..MODELS)
            .map(|k| {
                if k == 0 {
                    0.5
                } else if k == 7 {
                    0.47
                } else {
                    0.002
                }
            })
            .collect();
        ProfileMixture {
            mag_nodes: vec![14.0, 24.0],
            shares: [row.clone(), row].concat(),
            point_like: 1,
            sn_floor: 1e9,
        }
    }

    /// Objects of a frame in which the logit of a star is 2 - (m - 20): what they look like is told worse the fainter.
    fn frame(n: usize) -> Vec<Measurements> {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let one = |_| {
            let mag = rng.random_range(16.0..22.0f32);
            let is_star = rng.random_range(0.0..1.0) < logistic(2.0 - (f64::from(mag) - 20.0));
            let apart = 36.0 * 10f32.powf(-0.4 * (mag - 18.0));
            let noise: f32 = rng.sample::<f32, _>(rand_distr::StandardNormal) * apart.sqrt() * 2.0;
            let mut chi2 = [2000.0; MODELS];
            chi2[0] = 900.0;
            chi2[7] = 900.0 + if is_star { apart } else { -apart } + noise;
            Measurements { mag, sn: 20.0, chi2, colours: [0.0; 4] }
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn a_frames_own_shares_are_found() {
        let found = FrameShares::learn(&bundle(), frame(4000).iter());
        for mag in [18.0f32, 19.0, 20.0, 21.0] {
            let expected = 2.0 - (mag - 20.0);
            // The prior pulls what is far from it: odds of e^5 by a twelfth.
            let bound = 0.4f32.max(0.1 * expected.abs());
            assert!((found.log_odds(mag) - expected).abs() < bound, "{mag}: {} for {expected}", found.log_odds(mag));
        }
    }

    #[test]
    fn the_bundles_hold_where_the_objects_say_little() {
        let objects = frame(4000);
        let few = FrameShares::learn(&bundle(), objects[..200].iter());
        assert_eq!(few, FrameShares::default());
        assert_eq!(few.log_odds(20.0), 0.0);
        let alike = objects.iter().map(|o| Measurements { chi2: [900.0; MODELS], ..*o }).collect::<Vec<_>>();
        assert_eq!(FrameShares::learn(&bundle(), alike.iter()), FrameShares::default());
        let nonsense = objects.iter().map(|o| Measurements { mag: f32::NAN, ..*o }).collect::<Vec<_>>();
        assert_eq!(FrameShares::learn(&bundle(), nonsense.iter()), FrameShares::default());
    }
}
