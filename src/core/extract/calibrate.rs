//! Thresholds without labels: the frame with its sign flipped holds noise with all its correlations and defects,
//! but no object; what is found there is false.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::components::Components;
use crate::frame::{PerBand, Plane};
use crate::sky_tiles::flipped;

/// Makes a frame without objects of registered planes in sigma units: its sign is flipped, and what is `occupied`
/// ([`crate::sky_mask`]: objects, now negative but with noise of their own, and holes, which flipped would be objects) is
/// white noise. In a crowded field little of it is real.
pub fn noise_only(registered: &PerBand<Plane<f32>>, occupied: &Plane<bool>, seed: u64) -> PerBand<Plane<f32>> {
    let flipped: Vec<Plane<f32>> = registered
        .par_iter()
        .enumerate()
        .map(|(b, plane)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(b as u64);
            let pixels = plane.pixels().iter().zip(occupied.pixels());
            let pixels = pixels.map(|(&p, &occupied)| flipped(p, occupied, &mut rng)).collect();
            Plane::from_pixels(plane.width(), plane.height(), pixels)
        })
        .collect();
    let mut planes = flipped.into_iter();
    std::array::from_fn(|_| planes.next().unwrap_or_default())
}

/// The score of centres where there are no objects, and what counts as found there.
#[derive(Clone, Copy, Debug)]
pub struct NoiseScore<'a> {
    /// What the segmenter says of [`noise_only`]'s planes, or of [`crate::sky_tiles`].
    pub planes: &'a [Plane<f32>],
    /// An object counts where its peak lies farther within its plane than this, px.
    pub rim_px: usize,
    /// Pixels of real sky there.
    pub sky_px: usize,
    /// Fewest pixels of an object.
    pub min_area_px: usize,
}

impl<'a> NoiseScore<'a> {
    /// Of a whole frame; `occupied` is what is not real in it.
    pub fn of_frame(score: &'a Plane<f32>, occupied: &Plane<bool>, min_area_px: usize) -> Self {
        let sky_px = occupied.pixels().iter().filter(|o| !**o).count();
        Self { planes: std::slice::from_ref(score), rim_px: 0, sky_px, min_area_px }
    }

    /// False objects above a detection threshold, as they were counted.
    pub fn counted(&self, detect_threshold: f32) -> usize {
        self.planes.par_iter().map(|plane| self.counted_in(plane, detect_threshold)).sum()
    }

    fn counted_in(&self, plane: &Plane<f32>, detect_threshold: f32) -> usize {
        let components = Components::of(plane, detect_threshold);
        let inner = |at: usize, length: usize| at >= self.rim_px && at + self.rim_px < length;
        let counts = |pixels: Vec<(u32, u32)>| {
            let score = |&(y, x): &(u32, u32)| plane.at(x as usize, y as usize);
            let peak = pixels.into_iter().reduce(|a, b| if score(&b) > score(&a) { b } else { a });
            peak.is_some_and(|(y, x)| inner(x as usize, plane.width()) && inner(y as usize, plane.height()))
        };
        let large = components.list.iter().filter(|c| c.area_px >= self.min_area_px);
        large.filter(|c| self.rim_px == 0 || counts(components.pixels(c))).count()
    }

    /// False objects in a million pixels of sky above a detection threshold.
    pub fn per_mpx(&self, detect_threshold: f32) -> f64 {
        1e6 * self.counted(detect_threshold) as f64 / self.sky_px.max(1) as f64
    }

    /// The detection threshold that leaves about so many false objects in a million pixels of sky: by
    /// bisection on the falling side, since lower down components merge and their number falls again. `None` where
    /// the score has no spread.
    pub fn threshold(&self, per_mpx: f64) -> Option<f32> {
        let every = self.planes.iter().flat_map(|plane| plane.pixels().iter().step_by(7));
        let mut sample: Vec<f32> = every.copied().filter(|s| s.is_finite()).collect();
        let at = (sample.len() as f64 * 0.98) as usize;
        let mut low = *sample.get_mut(..).filter(|s| at < s.len())?.select_nth_unstable_by(at, f32::total_cmp).1;
        let all = self.planes.iter().flat_map(|plane| plane.pixels());
        let mut high = all.copied().filter(|s| s.is_finite()).fold(low, f32::max);
        if high <= low {
            return None;
        }
        for _ in 0..16 {
            let middle = 0.5 * (low + high);
            if self.per_mpx(middle) > per_mpx { low = middle } else { high = middle }
        }
        Some(high)
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::filter::{matched_filter, weighted_sum};
    use crate::sky_mask::occupied;

    const WEIGHTS: PerBand<f32> = [0.447_213_6; 5];

    fn noise() -> PerBand<Plane<f32>> {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        std::array::from_fn(|_| {
            Plane::from_pixels(300, 280, (0..300 * 280).map(|_| StandardNormal.sample(&mut rng)).collect())
        })
    }

    fn share(occupied: &Plane<bool>) -> f64 {
        occupied.pixels().iter().filter(|o| !**o).count() as f64 / occupied.pixels().len() as f64
    }

    #[test]
    fn flipping_keeps_the_noise_and_drops_the_objects() {
        let mut planes = noise();
        for plane in &mut planes {
            plane.set(100, 100, 500.0);
        }
        planes[1].pixels_mut().fill(0.0); // a band that was not taken
        let near = occupied(&planes, &WEIGHTS, 3.0);
        let flipped = noise_only(&planes, &near, 1);
        let free = share(&near);
        assert!(free > 0.75 && free < 1.0 - 2.0 * 25.0 * 25.0 / (300.0 * 280.0), "{free}");
        assert!(flipped[2].at(100, 100).abs() < 6.0 && near.at(100, 100));
        let untouched = (0..280 * 300).filter(|&i| !near.pixels()[i]);
        assert!(untouched.into_iter().all(|i| flipped[4].pixels()[i] == -planes[4].pixels()[i]));
        assert!(flipped[1].pixels().iter().all(|p| *p == 0.0));
    }

    /// A dead column's end has no share in the noise.
    #[test]
    fn a_hole_is_no_object_of_the_flipped_frame() {
        let mut planes = noise();
        (200..240).for_each(|y| planes[2].set(150, y, -12.0));
        let near = occupied(&planes, &WEIGHTS, 3.0);
        let flipped = noise_only(&planes, &near, 1);
        let score = matched_filter(&weighted_sum(&flipped, &WEIGHTS), 3.0);
        assert!(score.pixels().iter().all(|s| *s < 5.5));
        assert!(share(&near) > 0.9, "{}", share(&near));
    }

    /// A threshold that suits one frame of noise suits the next.
    #[test]
    fn a_threshold_leaves_as_many_on_another_frame_of_the_same_noise() {
        let planes = noise();
        let free = Plane::filled(300, 280, false);
        let scores = [0, 1, 2, 3, 4].map(|b: usize| matched_filter(&planes[b], 2.5));
        let of = |score| NoiseScore::of_frame(score, &free, 5);
        let detect = of(&scores[0]).threshold(240.0).unwrap(); // 20 in the frame
        let unseen = scores[1..].iter().map(|s| of(s).counted(detect)).sum::<usize>() as f64 / 4.0;
        // Four counts of 20: a scatter of 2.2, beside that of the first.
        assert!((unseen - 20.0).abs() < 15.0, "{unseen}");
    }

    #[test]
    fn thresholds_leave_what_was_asked_for() {
        let score = matched_filter(&noise()[0], 2.5);
        let occupied = Plane::from_pixels(300, 280, (0..300 * 280).map(|i| i % 2 == 0).collect());
        let noise = NoiseScore::of_frame(&score, &occupied, 5);
        let found = noise.threshold(500.0).unwrap();
        // Half of the frame is real, so 21 in the whole stand for 500 in a million.
        assert_eq!(noise.counted(found), 21);
        let flat = score.map(|_| 1.0);
        assert!(NoiseScore::of_frame(&flat, &occupied, 5).threshold(500.0).is_none());
    }

    /// Planes cut out of one another count each object once.
    #[test]
    fn an_object_counts_where_its_peak_is() {
        let score = matched_filter(&noise()[0], 2.5);
        let window = |x0: usize, y0: usize, side: usize| {
            let rows = (y0..y0 + side).flat_map(|y| score.row(y)[x0..x0 + side].iter().copied());
            Plane::from_pixels(side, side, rows.collect())
        };
        let whole = NoiseScore { planes: &[window(0, 0, 176)], rim_px: 8, sky_px: 160 * 160, min_area_px: 5 };
        let parts: Vec<_> = [0, 80].into_iter().flat_map(|y| [0, 80].map(|x| window(x, y, 96))).collect();
        let parts = NoiseScore { planes: &parts, ..whole };
        let of = |n: &NoiseScore| n.counted(2.2);
        assert!(of(&whole) > 9, "{}", of(&whole));
        // One that reaches over a rim of 8 px may be cut in two; none of these does.
        assert_eq!(of(&whole), of(&parts));
    }
}
