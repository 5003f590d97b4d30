//! The classical segmenter: a matched filter on the weighted sum of the bands. It is the baseline that a net has
//! to beat, and what tests use instead of one.

use crate::false_rate::FalseRate;
use crate::filter::{Edge, Gaussian};
use crate::frame::{BANDS, PerBand, Plane};
use crate::model::{ModelError, Segmenter, TILE, TILE_LEN, TILE_PIXELS, TILE_SCORES};
use crate::survey::Survey;
use crate::tile::bands_seen;

/// Width of the filter in units of the PSF's effective width. A narrower one keeps close pairs and extents sharper; this
/// one finds most, and more than any other that was tried: it is the baseline, so it is the best one.
pub const FILTER_PER_PSF: f64 = 1.0;

/// Scores pixels by a matched filter; a score is in units of its noise.
#[derive(Clone, Debug)]
pub struct ThresholdSegmenter {
    weights: PerBand<f32>,
    kernel: Gaussian,
}

impl ThresholdSegmenter {
    /// Tiles in a batch.
    pub const BATCH: usize = 32;
    /// Threshold of detection and extent: about 10 false objects on a 2048x1489 frame of noise.
    pub const DETECT_SIGMA: f32 = 3.77;

    /// How many false objects white noise leaves above each threshold, for a PSF of 3.4 px and objects of 5 px.
    pub fn false_rate() -> FalseRate {
        FalseRate {
            per_mpx: FalseRate::PER_MPX.to_vec(),
            threshold: vec![3.99, 3.84, 3.73, 3.60, 3.45, 3.28, 3.11, 2.92],
        }
    }

    /// A filter for a PSF of `psf_fwhm_px` (effective: of the Gaussian with its noise-equivalent area), the bands
    /// weighted for an ordinary object over the survey's usual noise.
    pub fn new(survey: &Survey, psf_fwhm_px: f64) -> Self {
        let sigma = &survey.profile().typical.sky_sigma_nmgy;
        let bands: Vec<usize> = (0..BANDS).collect();
        Self {
            weights: survey.detection_weights(sigma, &bands),
            kernel: Gaussian::of_fwhm(FILTER_PER_PSF * psf_fwhm_px),
        }
    }
}

impl ThresholdSegmenter {
    /// The weights of a tile that has these bands: of unit norm, so that the score's noise is 1 whatever is missing.
    fn weights_of(&self, seen: PerBand<bool>) -> PerBand<f32> {
        let norm = self.weights.iter().zip(seen).filter(|(_, seen)| *seen).map(|(w, _)| w * w).sum::<f32>().sqrt();
        if seen == [true; BANDS] || norm == 0.0 { self.weights } else { self.weights.map(|w| w / norm) }
    }
}

impl Segmenter for ThresholdSegmenter {
    fn batch(&self) -> usize {
        Self::BATCH
    }

    fn segment(&mut self, tiles: &[f32], scores: &mut [f32]) -> Result<(), ModelError> {
        let mut sum = Plane::filled(TILE, TILE, 0.0);
        for (tile, score) in tiles.chunks_exact(TILE_LEN).zip(scores.chunks_exact_mut(TILE_SCORES)) {
            let weights = self.weights_of(bands_seen(tile));
            for (s, pixel) in sum.pixels_mut().iter_mut().zip(tile.chunks_exact(BANDS)) {
                *s = pixel.iter().zip(&weights).map(|(p, w)| p * w).sum();
            }
            let matched = self.kernel.blur_to_unit_noise(&sum, Edge::Zero);
            score.chunks_exact_mut(TILE_PIXELS).for_each(|map| map.copy_from_slice(matched.pixels()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{matched_filter, weighted_sum};
    use crate::scores::Scores;
    use crate::tile::Tiling;

    fn survey() -> Survey {
        Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap()
    }

    fn planes(width: usize, height: usize) -> PerBand<Plane<f32>> {
        std::array::from_fn(|b| {
            let pixel = |i: usize| ((i * (31 + b) + i * i % 101) % 17) as f32 - 8.0;
            Plane::from_pixels(width, height, (0..width * height).map(pixel).collect())
        })
    }

    /// The table is what white noise gives: 40 million pixels of it, filtered for a PSF of 3.4 px.
    #[test]
    fn noise_leaves_as_many_false_objects_as_the_table_says() {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let scores: Vec<Plane<f32>> = (0..40)
            .map(|n| {
                let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(n);
                let white = (0..1_000_000).map(|_| StandardNormal.sample(&mut rng)).collect();
                matched_filter(&Plane::from_pixels(1000, 1000, white), FILTER_PER_PSF * 3.4)
            })
            .collect();
        let noise =
            crate::extract::calibrate::NoiseScore { planes: &scores, rim_px: 0, sky_px: 40_000_000, min_area_px: 5 };
        let table = ThresholdSegmenter::false_rate();
        let measured: Vec<f32> = table.per_mpx.iter().map(|rate| noise.threshold(*rate).unwrap()).collect();
        println!("measured {measured:.3?}, the table says {:.3?}", table.threshold);
        let apart = measured.iter().zip(&table.threshold).map(|(m, t)| (m - t).abs());
        assert!(apart.into_iter().all(|apart| apart < 0.06));
    }

    /// Without its strongest bands a tile's noise is still 1, so that the threshold leaves as many false objects.
    #[test]
    fn the_score_has_unit_noise_whatever_bands_a_tile_has() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let mut noise = |missing: &[usize]| {
            let mut segmenter = ThresholdSegmenter::new(&survey(), 3.5);
            let mut tiles = vec![0.0; segmenter.batch() * TILE_LEN];
            for pixel in tiles.chunks_exact_mut(BANDS) {
                for (b, p) in pixel.iter_mut().enumerate() {
                    *p = if missing.contains(&b) { 0.0 } else { rng.sample(rand_distr::StandardNormal) };
                }
            }
            let mut scores = vec![0.0; segmenter.batch() * TILE_SCORES];
            segmenter.segment(&tiles, &mut scores).unwrap();
            // The rim sees nothing beyond the tile.
            let inner = |i: &usize| (8..56).contains(&(i % TILE)) && (8..56).contains(&(i % TILE_PIXELS / TILE));
            let inner: Vec<f32> = (0..scores.len()).filter(inner).map(|i| scores[i]).collect();
            (inner.iter().map(|s| s * s).sum::<f32>() / inner.len() as f32).sqrt()
        };
        for missing in [&[][..], &[3], &[0, 1, 3], &[1, 2, 3, 4]] {
            let noise = noise(missing);
            assert!((noise - 1.0).abs() < 0.05, "{missing:?}: {noise}");
        }
    }

    #[test]
    fn stitched_tiles_equal_the_filter_of_the_whole_frame() {
        let (width, height) = (150, 130);
        let planes = planes(width, height);
        let mut segmenter = ThresholdSegmenter::new(&survey(), 3.5);
        let tiling = Tiling::new(width, height, 16);
        assert!(tiling.len() <= segmenter.batch());
        let mut tiles = vec![0.0; segmenter.batch() * TILE_LEN];
        let mut scores = vec![f32::NAN; segmenter.batch() * TILE_SCORES];
        for i in 0..tiling.len() {
            tiling.cut(&planes, i, &mut tiles[i * TILE_LEN..]);
        }
        segmenter.segment(&tiles, &mut scores).unwrap();
        let mut stitched = Scores::filled(width, height, f32::NAN);
        for i in 0..tiling.len() {
            tiling.stitch(i, &scores[i * TILE_SCORES..], &mut stitched);
        }
        let whole = matched_filter(&weighted_sum(&planes, &segmenter.weights), FILTER_PER_PSF * 3.5);
        assert_eq!(stitched.centre, stitched.extent);
        for (s, w) in stitched.centre.pixels().iter().zip(whole.pixels()) {
            assert!((s - w).abs() < 1e-4, "{s} for {w}");
        }
    }
}
