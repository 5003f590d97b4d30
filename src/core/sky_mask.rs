//! Which pixels of a frame are not plain sky, told from the frame alone: near an object, or in a hole.
//!
//! An object is what the matched filter on the weighted sum of the bands sees above `OBJECT_SIGMA`, with so much around
//! it as its light reaches. What the filter sees below `HOLE_SIGMA` is no noise (a frame has one such place in ten by
//! chance) but the end of a dead column or a patch whose sky was taken too high.

use crate::filter::{matched_filter, weighted_sum};
use crate::frame::{PerBand, Plane};

/// An object is above this, and reaches...
const OBJECT_SIGMA: f32 = 3.0;
/// ...so far beyond, in steps along rows and columns.
const OBJECT_GROWN_PX: u16 = 6;
/// A bright one is above this, and reaches...
const BRIGHT_SIGMA: f32 = 30.0;
/// ...so far.
const BRIGHT_GROWN_PX: u16 = 25;
/// A hole is below this...
const HOLE_SIGMA: f32 = -5.5;
/// ...and reaches so far.
const HOLE_GROWN_PX: u16 = 5;

/// Whether each pixel is near an object or a hole. `registered` are planes in units of their noise, `weights` those of the
/// detection sum ([`crate::survey::Survey::detection_weights`]), `fwhm_px` the width of the filter.
pub fn occupied(registered: &PerBand<Plane<f32>>, weights: &PerBand<f32>, fwhm_px: f64) -> Plane<bool> {
    let score = matched_filter(&weighted_sum(registered, weights), fwhm_px);
    let reach = [
        distance_px(score.map(|s| s > OBJECT_SIGMA)),
        distance_px(score.map(|s| s > BRIGHT_SIGMA)),
        distance_px(score.map(|s| s < HOLE_SIGMA)),
    ];
    let grown = [OBJECT_GROWN_PX, BRIGHT_GROWN_PX, HOLE_GROWN_PX];
    let near = |i: usize| reach.iter().zip(grown).any(|(reach, grown)| reach.pixels()[i] <= grown);
    Plane::from_pixels(score.width(), score.height(), (0..score.pixels().len()).map(near).collect())
}

/// Number of steps along rows and columns to the nearest pixel that is set; large where there is none.
pub fn distance_px(set: Plane<bool>) -> Plane<u16> {
    const FAR: u16 = u16::MAX / 2;
    let (width, height) = (set.width(), set.height());
    let mut d = set.map(|set| if set { 0 } else { FAR });
    for y in 0..height {
        if y > 0 {
            let (above, below) = d.pixels_mut().split_at_mut(y * width);
            let pairs = below[..width].iter_mut().zip(&above[(y - 1) * width..]);
            pairs.for_each(|(d, above)| *d = (*d).min(above + 1));
        }
        let row = d.row_mut(y);
        (1..width).for_each(|x| row[x] = row[x].min(row[x - 1] + 1));
        (1..width).rev().for_each(|x| row[x - 1] = row[x - 1].min(row[x] + 1));
    }
    for y in (1..height).rev() {
        let (above, below) = d.pixels_mut().split_at_mut(y * width);
        let pairs = above[(y - 1) * width..].iter_mut().zip(&below[..width]);
        pairs.for_each(|(d, below)| *d = (*d).min(below + 1));
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_along_rows_and_columns() {
        let mut set = Plane::filled(20, 15, false);
        set.set(3, 4, true);
        set.set(15, 12, true);
        let d = distance_px(set);
        for y in 0..15usize {
            for x in 0..20usize {
                let to = |(u, v): (usize, usize)| x.abs_diff(u) + y.abs_diff(v);
                assert_eq!(usize::from(d.at(x, y)), to((3, 4)).min(to((15, 12))), "{x} {y}");
            }
        }
        assert!(distance_px(Plane::filled(4, 4, false)).pixels().iter().all(|d| *d > 1000));
    }
}
