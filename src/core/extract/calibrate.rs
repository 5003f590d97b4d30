//! Thresholds without labels: the frame with its sign flipped holds noise with all its correlations and defects,
//! but no object; what is found there is false.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::components::Components;
use crate::filter::{matched_filter, weighted_sum};
use crate::frame::{PerBand, Plane};

/// A frame without objects.
pub struct NoiseOnly {
    /// Registered planes in sigma units, the sign flipped; white noise where objects were.
    pub planes: PerBand<Plane<f32>>,
    /// Share of the pixels that are real, 0..1; in a crowded field there may be too few to calibrate with.
    pub share: f64,
}

/// Makes a frame without objects of registered planes in sigma units: its sign is flipped, and objects (now
/// negative, but with noise of their own) are replaced by white noise. An object is what the matched filter of
/// `psf_fwhm_px` (effective) on the sum by `weights` sees above 3.5 sigma, grown by 5 px, above 30 by 25 px.
///
/// Holes are replaced too: what the filter sees below -5.5 sigma is no noise (a frame has one such place in ten by
/// chance) but the end of a dead column or a patch whose sky was taken too high. Flipped, it would be an object, and a
/// threshold that leaves only 10 a frame would be that of its holes.
pub fn noise_only(registered: &PerBand<Plane<f32>>, weights: &PerBand<f32>, psf_fwhm_px: f64, seed: u64) -> NoiseOnly {
    let score = matched_filter(&weighted_sum(registered, weights), psf_fwhm_px);
    let faint = distance_px(&score, 3.5);
    let bright = distance_px(&score, 30.0);
    let hole = distance_px(&score.map(|s| -s), 5.5);
    let near = faint.pixels().iter().zip(bright.pixels()).zip(hole.pixels());
    let object: Vec<bool> = near.map(|((f, b), h)| *f <= 5 || *b <= 25 || *h <= 5).collect();
    let flipped: Vec<Plane<f32>> = registered
        .par_iter()
        .enumerate()
        .map(|(b, plane)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(b as u64);
            let mut flipped = plane.map(|p| -p);
            for (p, _) in flipped.pixels_mut().iter_mut().zip(&object).filter(|(_, o)| **o) {
                *p = StandardNormal.sample(&mut rng);
            }
            flipped
        })
        .collect();
    let mut planes = flipped.into_iter();
    let real = object.iter().filter(|o| !**o).count();
    NoiseOnly {
        planes: std::array::from_fn(|_| planes.next().unwrap_or_default()),
        share: real as f64 / object.len().max(1) as f64,
    }
}

/// Number of steps along rows and columns to the nearest pixel above `threshold`; large where there is none.
fn distance_px(score: &Plane<f32>, threshold: f32) -> Plane<u16> {
    let (width, height) = (score.width(), score.height());
    let mut d = score.map(|s| if s > threshold { 0u16 } else { u16::MAX / 2 });
    for y in 0..height {
        for x in 0..width {
            let left = if x > 0 { d.at(x - 1, y) + 1 } else { u16::MAX / 2 };
            let above = if y > 0 { d.at(x, y - 1) + 1 } else { u16::MAX / 2 };
            d.set(x, y, d.at(x, y).min(left).min(above));
        }
    }
    for y in (0..height).rev() {
        for x in (0..width).rev() {
            let right = if x + 1 < width { d.at(x + 1, y) + 1 } else { u16::MAX / 2 };
            let below = if y + 1 < height { d.at(x, y + 1) + 1 } else { u16::MAX / 2 };
            d.set(x, y, d.at(x, y).min(right).min(below));
        }
    }
    d
}

/// The score of a frame without objects, and what counts as found on it.
#[derive(Clone, Copy)]
pub struct NoiseScore<'a> {
    /// What the segmenter says of [`NoiseOnly::planes`].
    pub score: &'a Plane<f32>,
    /// [`NoiseOnly::share`].
    pub share: f64,
    /// Fewest pixels of an object.
    pub min_area_px: usize,
}

impl NoiseScore<'_> {
    /// False objects in a whole frame of this size above a detection threshold.
    pub fn false_objects(&self, detect_threshold: f32) -> f64 {
        let components = Components::of(self.score, detect_threshold);
        let found = components.list.iter().filter(|c| c.area_px >= self.min_area_px).count();
        found as f64 / self.share.max(f64::MIN_POSITIVE)
    }

    /// The detection threshold that leaves about `false_objects` a frame of this size: by
    /// bisection on the falling side, since lower down components merge and their number falls again. `None` where
    /// the score has no spread.
    pub fn detect_threshold(&self, false_objects: f64) -> Option<f32> {
        let mut sample: Vec<f32> = self.score.pixels().iter().step_by(7).copied().filter(|s| s.is_finite()).collect();
        let at = (sample.len() as f64 * 0.98) as usize;
        let mut low = *sample.get_mut(..).filter(|s| at < s.len())?.select_nth_unstable_by(at, f32::total_cmp).1;
        let mut high = self.score.pixels().iter().copied().filter(|s| s.is_finite()).fold(low, f32::max);
        if high <= low {
            return None;
        }
        for _ in 0..16 {
            let middle = 0.5 * (low + high);
            if self.false_objects(middle) > false_objects { low = middle } else { high = middle }
        }
        Some(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise() -> PerBand<Plane<f32>> {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        std::array::from_fn(|_| {
            Plane::from_pixels(300, 280, (0..300 * 280).map(|_| StandardNormal.sample(&mut rng)).collect())
        })
    }

    #[test]
    fn flipping_keeps_the_noise_and_drops_the_objects() {
        let mut planes = noise();
        for plane in &mut planes {
            plane.set(100, 100, 500.0);
        }
        let flipped = noise_only(&planes, &[0.447_213_6; 5], 3.0, 1);
        assert!(flipped.share > 0.8 && flipped.share < 1.0 - 2.0 * 25.0 * 25.0 / (300.0 * 280.0), "{}", flipped.share);
        assert!(flipped.planes[2].at(100, 100).abs() < 6.0);
        assert_eq!(flipped.planes[4].at(200, 250), -planes[4].at(200, 250));
    }

    /// A dead column's end has no share in the noise.
    #[test]
    fn a_hole_is_no_object_of_the_flipped_frame() {
        let mut planes = noise();
        (200..240).for_each(|y| planes[2].set(150, y, -12.0));
        let weights = [0.447_213_6; 5];
        let flipped = noise_only(&planes, &weights, 3.0, 1);
        let score = matched_filter(&weighted_sum(&flipped.planes, &weights), 3.0);
        assert!(score.pixels().iter().all(|s| *s < 5.5));
        assert!(flipped.share > 0.97, "{}", flipped.share);
    }

    /// A threshold that suits one frame of noise suits the next.
    #[test]
    fn a_threshold_leaves_as_many_on_another_frame_of_the_same_noise() {
        let planes = noise();
        let scores = [0, 1, 2, 3, 4].map(|b: usize| matched_filter(&planes[b], 2.5));
        let of = |score| NoiseScore { score, share: 1.0, min_area_px: 5 };
        let detect = of(&scores[0]).detect_threshold(20.0).unwrap();
        let unseen: f64 = scores[1..].iter().map(|s| of(s).false_objects(detect)).sum::<f64>() / 4.0;
        // Four counts of 20: a scatter of 2.2, beside that of the first.
        assert!((unseen - 20.0).abs() < 15.0, "{unseen}");
    }

    #[test]
    fn thresholds_leave_what_was_asked_for() {
        let planes = noise();
        let score = matched_filter(&planes[0], 2.5);
        let noise = NoiseScore { score: &score, share: 0.8, min_area_px: 5 };
        let detect = noise.detect_threshold(10.0).unwrap();
        assert!((noise.false_objects(detect) - 10.0).abs() <= 1.25, "{detect}");
    }

    #[test]
    fn distances_count_steps() {
        let mut score = Plane::filled(9, 7, 0.0);
        score.set(4, 3, 1.0);
        let d = distance_px(&score, 0.5);
        assert_eq!((d.at(4, 3), d.at(0, 0), d.at(8, 6), d.at(5, 2)), (0, 7, 7, 2));
    }
}
