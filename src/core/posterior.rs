//! From what is known of an object to a calibrated probability of being a star. Three opinions are added as log-odds:
//!
//! ```text
//! log-odds = w nets(residual | m) + (1 - w) profiles(chi^2 | m) + colour(colours | m)
//! ```
//!
//! The nets (A+Vr, calibrated) and the profile likelihood (EB) judge the same pixels, so they are averaged; colours are
//! other pixels' doing, so they add.

mod frame_shares;
mod mixture;
mod typical_errors;

pub use frame_shares::FrameShares;
pub use mixture::ProfileMixture;
pub use mixture::relative_likelihoods;
pub use typical_errors::TypicalErrors;

use serde::{Deserialize, Serialize};

use crate::cutout::Measurements;

/// How an object's probability is found, as a bundle holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posterior {
    /// Share of the nets' opinion of an object's shape, 0 to 1; the rest is the profiles'.
    pub nets_weight: f32,
    /// From the nets' log-odds to calibrated ones.
    pub nets: Calibration,
    /// The profiles' log-odds.
    pub profiles: ProfileMixture,
}

impl Posterior {
    /// Before anything is learned: no object has a probability.
    pub fn unlearned() -> Self {
        let nets = Calibration { mag_nodes: Vec::new(), score_nodes: Vec::new(), log_odds: Vec::new() };
        let profiles = ProfileMixture { mag_nodes: Vec::new(), shares: Vec::new(), point_like: 1, sn_floor: 0.0 };
        Self { nets_weight: 0.0, nets, profiles }
    }

    /// Whether the probability of an object may be another one on another night: not where its profiles are sure.
    pub fn may_move(&self, known: &Measurements) -> bool {
        self.profiles.log_odds(&known.chi2, known.sn, known.mag).is_none_or(|odds| odds.abs() < SURE)
    }

    /// The probability of an object to which the classifier gave `answer`: log-odds from each seed, then colour's
    /// log-ratio (see `model::Classifier`). `None` where there is no basis: a number that is not finite. Without
    /// colours or a fit of profiles the others decide.
    pub fn star_probability(&self, answer: &[f32], known: &Measurements) -> Option<StarProbability> {
        self.star_probability_in(&FrameShares::default(), answer, known)
    }

    /// The same in a frame of these shares: they move nets and profiles alike, since both were calibrated where the
    /// bundle's shares hold.
    pub fn star_probability_in(
        &self,
        frame: &FrameShares,
        answer: &[f32],
        known: &Measurements,
    ) -> Option<StarProbability> {
        let (&colour, seeds) = answer.split_last()?;
        if seeds.is_empty() || !known.mag.is_finite() || answer.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let profiles = self.profiles.log_odds(&known.chi2, known.sn, known.mag);
        let colour = if known.colour_inputs().is_some() { colour } else { 0.0 };
        let here = frame.log_odds(known.mag);
        let of = |score: f32| -> Option<f32> {
            let nets = self.nets.log_odds(score, known.mag)?;
            let shape = profiles.map_or(nets, |p| self.nets_weight * nets + (1.0 - self.nets_weight) * p);
            Some(probability(shape + colour + here))
        };
        probability_of(seeds, of)
    }

    /// The probability of an object whose core is saturated, by its wings alone: by the profiles that were fitted to them,
    /// and by how they fall, where that is known (`excess`, 1 of a point source: see `scene`). `None` where they do not say
    /// that it is a star. That a galaxy fits them better is no proof: halos and bleeding spoil a star's wings, and no net
    /// has learned what is left.
    pub fn by_wings(&self, frame: &FrameShares, known: &Measurements, excess: Option<f64>) -> Option<StarProbability> {
        let profiles = self.profiles.log_odds(&known.chi2, known.sn, known.mag)? + frame.log_odds(known.mag);
        let fall = excess.filter(|excess| *excess > 0.0).map_or(f64::NEG_INFINITY, |excess| {
            let off = excess.ln() / WINGS_SCATTER;
            self.profiles.star_share(known.mag).map_or(f64::NEG_INFINITY, |share| (share / (1.0 - share)).ln())
                + (WINGS_RATIO.ln() - 0.5 * off * off)
        });
        let value = probability((f64::from(profiles)).max(fall) as f32);
        (value >= WINGS_DECIDE).then_some(StarProbability { value, error: 0.0 })
    }
}

/// Wings decide at odds of nine to one.
const WINGS_DECIDE: f32 = 0.9;
/// Scatter of ln(excess) of whole stars of magnitude 14 to 16 in real fields.
const WINGS_SCATTER: f64 = 0.12;
/// How many times as often a star's wings fall as a PSF's than a galaxy's do, whose excess lies between 1.2 and 4.
const WINGS_RATIO: f64 = 30.0;

/// Log-odds of star by magnitude and ensemble score, learned without labels (see `learn`): a table on a grid,
/// read by bilinear interpolation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Reference-band PSF magnitudes of the rows.
    pub mag_nodes: Vec<f32>,
    /// Ensemble scores of the columns.
    pub score_nodes: Vec<f32>,
    /// Log-odds, row by row.
    pub log_odds: Vec<f32>,
}

/// A probability of being a star.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StarProbability {
    /// Probability of being a star or quasar, 0..1.
    pub value: f32,
    /// How far it would be off on another night, standard deviation; without other nights the standard deviation over the
    /// seeds, each calibrated alone, which is 0 for a single seed.
    pub error: f32,
}

impl StarProbability {
    /// With the error that `nights` tell, the object's probability on each of them; without any it stays.
    pub fn over_nights(self, nights: &[f32]) -> Self {
        if nights.is_empty() {
            return self;
        }
        let squares = nights.iter().map(|p| (p - self.value).powi(2)).sum::<f32>();
        Self { error: (squares / nights.len() as f32).sqrt(), ..self }
    }
}

/// Beyond these log-odds of the profiles p moves by more than .01 for one object in 35, and a ten-thousandth of all that p
/// moves is theirs (simulated).
const SURE: f32 = 8.0;

/// Log-odds per unit of score beyond the table: keeps objects in order where the table is flat.
const TIE_BREAK: f32 = 1e-3;

/// A seed's log-odds on the scale on which seeds are averaged: linear to 10, logarithmic beyond, so that one very
/// sure seed does not outvote the others.
pub fn seed_score(log_odds: f32) -> f32 {
    (log_odds / 10.0).asinh()
}

impl Calibration {
    /// The probability by the nets alone of an object of reference-band PSF magnitude `mag` with these log-odds, one a
    /// seed. `None` where there is no basis: no seeds, no finite number.
    pub fn star_probability(&self, log_odds: &[f32], mag: f32) -> Option<StarProbability> {
        if log_odds.is_empty() || !mag.is_finite() || log_odds.iter().any(|v| !v.is_finite()) {
            return None;
        }
        probability_of(log_odds, |score| Some(probability(self.log_odds(score, mag)?)))
    }

    /// Calibrated log-odds at a score and magnitude; `None` for an empty or misshapen table.
    pub fn log_odds(&self, score: f32, mag: f32) -> Option<f32> {
        let ((row, down), (column, along)) = (place(&self.mag_nodes, mag)?, place(&self.score_nodes, score)?);
        let width = self.score_nodes.len();
        let node = |row: usize, column: usize| self.log_odds.get(row * width + column).copied();
        // A table of one row or column has no next one, and gives it no weight.
        let (below, right) = ((row + 1).min(self.mag_nodes.len() - 1), (column + 1).min(width - 1));
        let upper = node(row, column)? * (1.0 - along) + node(row, right)? * along;
        let lower = node(below, column)? * (1.0 - along) + node(below, right)? * along;
        Some(upper * (1.0 - down) + lower * down + TIE_BREAK * score)
    }
}

/// The probability at the seeds' mean score, and how far the seeds, each alone, are from each other.
fn probability_of(seeds: &[f32], of: impl Fn(f32) -> Option<f32>) -> Option<StarProbability> {
    let n = seeds.len() as f32;
    let value = of(seeds.iter().map(|&v| seed_score(v)).sum::<f32>() / n)?;
    let each = seeds.iter().map(|&v| of(seed_score(v))).collect::<Option<Vec<_>>>()?;
    let mean = each.iter().sum::<f32>() / n;
    let variance = each.iter().map(|p| (p - mean).powi(2)).sum::<f32>() / (n - 1.0).max(1.0);
    Some(StarProbability { value, error: variance.sqrt() })
}

fn probability(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The node before `value` and the share of the way to the next one; clamped to the grid's ends.
fn place(nodes: &[f32], value: f32) -> Option<(usize, f32)> {
    let (&first, &last) = (nodes.first()?, nodes.last()?);
    let value = value.clamp(first, last.max(first));
    let before = nodes.partition_point(|&n| n <= value).saturating_sub(1).min(nodes.len().saturating_sub(2));
    match nodes.get(before + 1) {
        Some(next) => Some((before, (value - nodes[before]) / (next - nodes[before]))),
        None => Some((before, 0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutout::MODELS;

    fn table() -> Calibration {
        Calibration {
            mag_nodes: vec![16.0, 20.0, 23.0],
            score_nodes: vec![-2.0, 0.0, 1.0],
            log_odds: vec![-6.0, 0.0, 6.0, -4.0, 0.5, 5.0, -2.0, 0.0, 1.0],
        }
    }

    fn log_odds(score: f32) -> f32 {
        10.0 * score.sinh()
    }

    /// scipy.interpolate.RegularGridInterpolator((mags, scores), table)((21.0, -.5)) = -0.5833333...
    #[test]
    fn between_nodes_it_is_bilinear() {
        let expected = -0.583_333_3 - 0.5e-3;
        assert!((table().log_odds(-0.5, 21.0).unwrap() - expected).abs() < 1e-5, "{:?}", table().log_odds(-0.5, 21.0));
        for (row, &mag) in table().mag_nodes.iter().enumerate() {
            for (column, &score) in table().score_nodes.iter().enumerate() {
                let value = table().log_odds(score, mag).unwrap();
                assert!((value - table().log_odds[row * 3 + column] - 1e-3 * score).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn beyond_the_grid_its_edge_counts_and_order_is_kept() {
        let p = |score, mag| table().star_probability(&[log_odds(score)], mag).unwrap().value;
        assert_eq!(p(0.3, 10.0), p(0.3, 16.0));
        assert_eq!(p(0.3, 30.0), p(0.3, 23.0));
        assert!(p(2.5, 23.0) > p(1.5, 23.0) && p(-3.0, 23.0) < p(-2.5, 23.0));
    }

    fn posterior(nets_weight: f32) -> Posterior {
        let profiles = ProfileMixture {
            mag_nodes: vec![20.0],
            shares: [[0.5], [0.5]].concat().into_iter().chain([0.0; MODELS - 2]).collect(),
            point_like: 1,
            sn_floor: 30.0,
        };
        Posterior { nets_weight, nets: table(), profiles }
    }

    /// Two profiles, the first likelier by e^2 at S/N 0.
    fn known() -> Measurements {
        let chi2 = std::array::from_fn(|k| if k == 0 { 900.0 } else { 904.0 });
        Measurements { mag: 20.0, sn: 0.0, chi2, colours: [0.1; 4] }
    }

    /// At 20 and score 0 the nets say .5, the profiles 2, colour -.7.
    #[test]
    fn opinions_are_weighted_and_colour_adds() {
        let p = |w: f32, known| posterior(w).star_probability(&[0.0, 0.0, -0.7], &known).unwrap().value;
        let logit = |p: f32| (p / (1.0 - p)).ln();
        for (w, expected) in [(1.0, 0.5 - 0.7), (0.0, 2.0 - 0.7), (0.25, 0.125 + 1.5 - 0.7)] {
            assert!((logit(p(w, known())) - expected).abs() < 1e-4, "{w}: {}", logit(p(w, known())));
        }
        let mut bare = known();
        bare.chi2[3] = f32::NAN;
        bare.colours[1] = f32::NAN;
        assert!((logit(p(0.25, bare)) - 0.5).abs() < 1e-4, "what is missing leaves it to the others");
    }

    #[test]
    fn seeds_disagree_as_far_as_the_nets_count() {
        let error = |w| posterior(w).star_probability(&[-20.0, 9.0, 0.0], &known()).unwrap().error;
        assert!(error(0.0) == 0.0 && error(0.3) > 0.0 && error(1.0) > error(0.3));
        let none = |answer: &[f32]| posterior(0.3).star_probability(answer, &known());
        assert!(none(&[]).is_none() && none(&[1.0]).is_none() && none(&[1.0, f32::NAN]).is_none());
        let dark = Measurements { mag: f32::NAN, ..known() };
        assert_eq!(posterior(0.3).star_probability(&[1.0, 0.0], &dark), None);
    }

    #[test]
    fn seeds_that_agree_have_no_error_and_those_that_do_not_have() {
        let at = |seeds: &[f32]| table().star_probability(seeds, 20.0).unwrap();
        assert_eq!(at(&[3.0; 4]).error, 0.0);
        assert_eq!(at(&[3.0]).error, 0.0);
        // Standard deviation of two values is |a - b| / sqrt 2.
        let (a, b) = (at(&[-20.0]).value, at(&[9.0]).value);
        let both = at(&[-20.0, 9.0]);
        assert!((both.error - (b - a) / 2f32.sqrt()).abs() < 1e-6);
        assert!(both.value > a && both.value < b);
    }

    #[test]
    fn other_nights_say_how_far_p_moves() {
        let here = StarProbability { value: 0.4, error: 0.01 };
        assert_eq!(here.over_nights(&[]), here);
        let moved = here.over_nights(&[0.5, 0.2]);
        assert!(moved.value == 0.4 && (moved.error - (0.05f32 / 2.0).sqrt()).abs() < 1e-6, "{moved:?}");
    }

    #[test]
    fn without_a_basis_there_is_no_number() {
        assert_eq!(table().star_probability(&[], 20.0), None);
        assert_eq!(table().star_probability(&[1.0, f32::NAN], 20.0), None);
        assert_eq!(table().star_probability(&[1.0], f32::NAN), None);
        let empty = Calibration { mag_nodes: vec![], score_nodes: vec![], log_odds: vec![] };
        assert_eq!(empty.star_probability(&[1.0], 20.0), None);
        let short = Calibration { log_odds: vec![1.0], ..table() };
        assert_eq!(short.star_probability(&[1.0], 22.0), None);
    }
}
