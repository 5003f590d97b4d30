//! What a net's score is on empty sky, by the bands that a tile has.
//!
//! A bundle's thresholds were set where tiles have all bands. A tile that lacks some has less noise in it, and the same
//! threshold would be a far higher one: without i, half of the objects at 22.5 to 23 were lost. So the scores of such a
//! tile are brought to the scale of those with all bands: linearly, so that on white noise the middle and the upper end
//! of both are the same. Then a frame of noise has as many false objects, and what is not there has no weight.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use twinpeak_core::frame::{BANDS, PerBand};
use twinpeak_core::model::TILE_LEN;

/// Tiles of noise that are looked at, once for each set of bands that is met.
pub(super) const TILES: usize = 256;
/// Share of pixels above the upper end: 1000 of the tiles' million.
const ABOVE: f64 = 1e-3;

/// The score's middle and its upper end on white noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NoiseLevels {
    median: f32,
    upper: f32,
}

impl NoiseLevels {
    /// Of the scores of tiles of noise, in any order.
    pub fn of(mut scores: Vec<f32>) -> Option<Self> {
        let mut at = |share: f64| {
            let index = (share * scores.len().checked_sub(1)? as f64) as usize;
            Some(*scores.select_nth_unstable_by(index, f32::total_cmp).1)
        };
        let (median, upper) = (at(0.5)?, at(1.0 - ABOVE)?);
        (upper > median).then_some(Self { median, upper })
    }

    /// A score of these levels on the scale of `all`.
    pub fn to(self, all: Self, score: f32) -> f32 {
        all.median + (score - self.median) * (all.upper - all.median) / (self.upper - self.median)
    }
}

/// `tiles` tiles of white noise in the bands that are `seen`, NHWC; the same for the same number.
pub(super) fn noise_tiles(tiles: usize, number: u64, seen: PerBand<bool>) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let mut noise = vec![0.0; tiles * TILE_LEN];
    for pixel in noise.chunks_exact_mut(BANDS) {
        for (p, seen) in pixel.iter_mut().zip(seen) {
            let unit: f32 = rng.sample(StandardNormal);
            *p = if seen { unit } else { 0.0 };
        }
    }
    noise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_of_less_width_about_another_middle_is_brought_to_the_others_scale() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let all: Vec<f32> = (0..100_000).map(|_| rng.sample(StandardNormal)).collect();
        let fewer: Vec<f32> = all.iter().map(|s| 0.4 * s - 3.0).collect();
        let (to, from) = (NoiseLevels::of(all).unwrap(), NoiseLevels::of(fewer).unwrap());
        for score in [-1.0, 0.0, 2.0, 30.0] {
            assert!((from.to(to, 0.4 * score - 3.0) - score).abs() < 1e-3 * (1.0 + score.abs()));
        }
        assert_eq!(NoiseLevels::of(vec![]), None);
        assert_eq!(NoiseLevels::of(vec![1.0; 9]), None, "a net that answers everything alike has no scale");
    }

    #[test]
    fn noise_is_white_where_a_band_is_seen_and_nothing_elsewhere() {
        let seen = [true, false, true, true, false];
        let noise = noise_tiles(4, 1, seen);
        for (b, seen) in seen.into_iter().enumerate() {
            let of_band = || noise.iter().skip(b).step_by(BANDS);
            let power = of_band().map(|p| p * p).sum::<f32>() / of_band().count() as f32;
            assert!((power - f32::from(u8::from(seen))).abs() < 0.05, "{power}");
        }
    }
}
