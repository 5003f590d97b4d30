//! How well the pixels that we call objects' agree with those that are.

use serde::Serialize;

use twinpeak_core::frame::Plane;

/// Pixels by what they are and what we say; those whose truth is left open are in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// An object's, and found to be one's.
    pub both: usize,
    /// Found to be an object's, but sky.
    pub ours_alone: usize,
    /// An object's, but taken for sky.
    pub true_alone: usize,
}

impl Overlap {
    /// Compares two planes of object numbers, 0 being sky; true pixels of value `ignored` are left out. `None`
    /// where the planes differ in size.
    pub fn measure(ours: &Plane<u32>, truth: &Plane<u32>, ignored: u32) -> Option<Self> {
        if (ours.width(), ours.height()) != (truth.width(), truth.height()) {
            return None;
        }
        let mut overlap = Self::default();
        for (&ours, &truth) in ours.pixels().iter().zip(truth.pixels()).filter(|(_, truth)| **truth != ignored) {
            match (ours != 0, truth != 0) {
                (true, true) => overlap.both += 1,
                (true, false) => overlap.ours_alone += 1,
                (false, true) => overlap.true_alone += 1,
                (false, false) => {}
            }
        }
        Some(overlap)
    }

    /// Intersection over union, 0..1; `None` where there is no object.
    pub fn iou(&self) -> Option<f64> {
        let union = self.both + self.ours_alone + self.true_alone;
        (union > 0).then(|| self.both as f64 / union as f64)
    }
}

impl std::ops::AddAssign for Overlap {
    fn add_assign(&mut self, other: Self) {
        self.both += other.both;
        self.ours_alone += other.ours_alone;
        self.true_alone += other.true_alone;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_counted_once_and_open_ones_not_at_all() {
        let ours = Plane::from_pixels(4, 2, vec![1, 1, 0, 0, 2, 2, 2, 0]);
        let truth = Plane::from_pixels(4, 2, vec![9, 0, 9, 0, 9, 99, 9, 99]);
        let overlap = Overlap::measure(&ours, &truth, 99).unwrap();
        assert_eq!(overlap, Overlap { both: 3, ours_alone: 1, true_alone: 1 });
        assert_eq!(overlap.iou(), Some(0.6));
        assert_eq!(Overlap::default().iou(), None);
        assert_eq!(Overlap::measure(&ours, &Plane::filled(2, 4, 0), 99), None);
    }
}
