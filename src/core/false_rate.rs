//! The threshold of detection, in the operator's words: so many false objects a field.
//!
//! How fast a score's false objects grow fewer with the threshold is a property of the segmenter, and a bundle holds it.
//! Where they do so differs from frame to frame (seeing, sky, correlated noise), by some tenths of log-odds, which is half
//! of the number. So a frame's own noise ([`crate::sky_tiles`]) is asked where it leaves [`ASKED_PER_MPX`], often enough to
//! be counted on a part of the frame, and the bundle's curve is moved there. A frame that shows too little sky has the
//! bundle's own.

use serde::{Deserialize, Serialize};

use crate::extract::calibrate::NoiseScore;
use crate::median::lower_median;

/// False objects in a million pixels at which a frame is compared with the bundle.
pub const ASKED_PER_MPX: f64 = 60.0;
/// Fewest that a frame's sky must be expected to show there: what they say is then right to a quarter.
const FEWEST_EXPECTED: f64 = 15.0;

/// How many false objects a segmenter finds above each threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FalseRate {
    /// False objects in a million pixels of sky, rising.
    pub per_mpx: Vec<f64>,
    /// The threshold that leaves as many, falling.
    pub threshold: Vec<f32>,
}

impl FalseRate {
    /// Rates at which curves are measured.
    pub const PER_MPX: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0];

    /// The median of several frames' curves; `None` where no frame shows each rate.
    pub fn of_frames<'a>(frames: impl IntoIterator<Item = NoiseScore<'a>>) -> Option<Self> {
        let mut curves: Vec<Vec<f32>> = vec![Vec::new(); Self::PER_MPX.len()];
        for frame in frames {
            let curve = Self::PER_MPX.iter().map(|&rate| frame.threshold(rate)).collect::<Option<Vec<f32>>>();
            curves.iter_mut().zip(curve.into_iter().flatten()).for_each(|(all, one)| all.push(one));
        }
        let threshold: Option<Vec<f32>> = curves.iter_mut().map(|all| lower_median(all, f32::total_cmp)).collect();
        Some(Self { per_mpx: Self::PER_MPX.to_vec(), threshold: threshold? })
    }

    /// What is wrong with it, if anything is.
    pub fn problem(&self) -> Option<&'static str> {
        let rising = self.per_mpx.windows(2).all(|w| w[0] < w[1]) && self.per_mpx.iter().all(|r| *r > 0.0);
        let falling = self.threshold.windows(2).all(|w| w[0] >= w[1]) && self.threshold.iter().all(|t| t.is_finite());
        match () {
            () if self.per_mpx.len() != self.threshold.len() || self.per_mpx.len() < 2 => {
                Some("needs two rates at least, and a threshold for each")
            }
            () if !rising || !falling => Some("needs rates that rise and thresholds that fall"),
            () => None,
        }
    }

    /// The threshold that leaves so many false objects in a million pixels: linear in the rate's logarithm, and beyond the
    /// curve's ends as between its last two points.
    pub fn threshold(&self, per_mpx: f64) -> f32 {
        let above = self.per_mpx.partition_point(|r| *r < per_mpx).clamp(1, self.per_mpx.len() - 1);
        let at = |i: usize| (self.per_mpx[i].ln(), f64::from(self.threshold[i]));
        let ((x0, y0), (x1, y1)) = (at(above - 1), at(above));
        (y0 + (y1 - y0) * (per_mpx.max(1e-3).ln() - x0) / (x1 - x0)) as f32
    }

    /// The same for a frame whose own noise was scored, or the bundle's where that shows too little.
    pub fn threshold_of(&self, per_mpx: f64, noise: &NoiseScore) -> f32 {
        let expected = ASKED_PER_MPX * noise.sky_px as f64 / 1e6;
        let own = if expected < FEWEST_EXPECTED { None } else { noise.threshold(ASKED_PER_MPX) };
        self.threshold(per_mpx) + own.map_or(0.0, |own| own - self.threshold(ASKED_PER_MPX))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::filter::matched_filter;
    use crate::frame::Plane;

    fn curve() -> FalseRate {
        FalseRate { per_mpx: vec![1.0, 10.0, 100.0], threshold: vec![5.0, 4.0, 2.0] }
    }

    #[test]
    fn the_curve_is_linear_in_the_rates_logarithm() {
        let curve = curve();
        for (rate, expected) in [(1.0, 5.0), (10f64.sqrt(), 4.5), (31.622_776, 3.0), (1000.0, 0.0), (0.1, 6.0)] {
            assert!((curve.threshold(rate) - expected).abs() < 1e-4, "{rate}");
        }
        assert_eq!(curve.problem(), None);
        assert!(FalseRate { threshold: vec![5.0, 5.5, 2.0], ..curve.clone() }.problem().is_some());
        assert!(FalseRate { threshold: vec![5.0], ..curve }.problem().is_some());
    }

    /// Noise of twice the width: the curve of one frame, moved, serves the other.
    #[test]
    fn a_frame_is_held_to_its_own_noise() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut noise = |offset: f32| {
            let white = (0..1000 * 1000).map(|_| StandardNormal.sample(&mut rng)).collect();
            matched_filter(&Plane::from_pixels(1000, 1000, white), 3.0).map(|s| s + offset)
        };
        let free = Plane::filled(1000, 1000, false);
        let (usual, other) = (noise(0.0), noise(0.8));
        let of = |score| NoiseScore::of_frame(score, &free, 5);
        let curve = FalseRate::of_frames([of(&usual)]).unwrap();
        let own = curve.threshold_of(4.0, &of(&other));
        assert!((own - curve.threshold(4.0) - 0.8).abs() < 0.12, "{own}");
        let little = NoiseScore { sky_px: 100_000, ..of(&other) };
        assert_eq!(curve.threshold_of(4.0, &little), curve.threshold(4.0));
    }
}
