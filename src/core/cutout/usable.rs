//! Which pixels of a cut are the object's own.

use super::in_aperture;
use crate::frame::{Plane, mask};
use crate::psf::{AREA, DISTANCE_SQUARED, RADIUS, SIDE};

/// A core reaches so far, px: about a width of the PSF.
const CORE_PX: u16 = 3;
/// A cut with a ring of one pixel, from which masks grow.
const RINGED: usize = SIDE + 2;

/// True where an object that `is_other`, grown by one pixel along the axes, or no frame is, in the 31x31 pixels about the
/// whole pixel nearest to `at`. The object's own pixels, of `number`, are never masked.
pub(super) fn neighbours(
    segmentation: &Plane<u32>,
    at: (f64, f64),
    is_other: impl Fn(u32) -> bool,
    number: u32,
) -> [bool; AREA] {
    if all_in_window(segmentation, at, |s| !is_other(s)) {
        return [false; AREA];
    }
    let window = ringed(at, |x, y| segmentation.get(x, y));
    let other = |i: usize| window[i].is_some_and(&is_other);
    from_ring(|i| match window[i] {
        None => true,
        Some(s) if s == number => false,
        Some(_) => [i, i - 1, i + 1, i - RINGED, i + RINGED].into_iter().any(other),
    })
}

/// True where a band has no measurement, grown by one pixel because a cut between pixels takes from its neighbours;
/// `None` where every pixel is usable.
pub(super) fn unusable(bits: &Plane<u8>, at: (f64, f64)) -> Option<Box<[bool; AREA]>> {
    if all_in_window(bits, at, |b| b & mask::UNUSABLE == 0) {
        return None;
    }
    let window = ringed(at, |x, y| bits.get(x, y).is_none_or(|b| b & mask::UNUSABLE != 0));
    let ring = [0, 1, 2, RINGED, RINGED + 1, RINGED + 2, 2 * RINGED, 2 * RINGED + 1, 2 * RINGED + 2];
    Some(Box::new(from_ring(|i| ring.iter().any(|r| window[i + r - RINGED - 1]))))
}

/// Whether a band shows the core of an object at `at`, which is whole within [`CORE_PX`], and half of its wings, which go
/// on to the aperture's rim.
pub(super) fn is_shown(bits: &Plane<u8>, at: (f64, f64)) -> bool {
    let has_data = |b: u8| b & mask::NO_DATA == 0;
    if all_in_window(bits, at, has_data) {
        return true;
    }
    let window = ringed(at, |x, y| bits.get(x, y).is_some_and(has_data));
    let shown = from_ring(|i| window[i]);
    let is_core = |i: usize| DISTANCE_SQUARED[i] <= CORE_PX * CORE_PX;
    let wings = || (0..AREA).filter(|&i| in_aperture(i) && !is_core(i));
    (0..AREA).all(|i| shown[i] || !is_core(i)) && 2 * wings().filter(|&i| shown[i]).count() >= wings().count()
}

/// The 31x31 pixels about the whole pixel nearest to `at`; infinite outside the plane.
pub(super) fn nearest_pixels(plane: &Plane<f32>, at: (f64, f64)) -> Box<[f32; AREA]> {
    let (x, y) = nearest(at);
    let first = RADIUS as isize;
    let pixel = |i: usize| plane.get(x - first + (i % SIDE) as isize, y - first + (i / SIDE) as isize);
    Box::new(std::array::from_fn(|i| pixel(i).unwrap_or(f32::INFINITY)))
}

/// The whole pixel nearest to a position.
pub(crate) fn nearest(at: (f64, f64)) -> (isize, isize) {
    // Ties to even, as numpy rounds; NaN becomes 0 and wild positions saturate, far from overflow.
    let whole = |v: f64| v.round_ties_even().clamp(-1e9, 1e9) as isize;
    (whole(at.0), whole(at.1))
}

/// Whether the whole window lies inside the frame and all of its pixels are `good`: the usual case, found fast.
fn all_in_window<T: Copy>(plane: &Plane<T>, at: (f64, f64), good: impl Fn(T) -> bool) -> bool {
    let (x, y) = nearest(at);
    let reach = RADIUS as isize + 1;
    let inside = |v: isize, length: usize| v >= reach && v + reach < length as isize;
    inside(x, plane.width()) && inside(y, plane.height()) && {
        let (left, top) = ((x - reach) as usize, (y - reach) as usize);
        // Without a way out of the inner loop it is vectorised.
        let row_is_good = |row: &[T]| row.iter().fold(true, |all, &v| all & good(v));
        (top..top + RINGED).all(|row| row_is_good(&plane.row(row)[left..left + RINGED]))
    }
}

fn ringed<T>(at: (f64, f64), value: impl Fn(isize, isize) -> T) -> [T; RINGED * RINGED] {
    let (x, y) = nearest(at);
    let first = RADIUS as isize + 1;
    std::array::from_fn(|i| value(x - first + (i % RINGED) as isize, y - first + (i / RINGED) as isize))
}

/// The 31x31 pixels inside the ring, from a function of their index in the ringed window.
fn from_ring(f: impl Fn(usize) -> bool) -> [bool; AREA] {
    std::array::from_fn(|i| f((i / SIDE + 1) * RINGED + i % SIDE + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_grow_by_one_pixel_but_not_over_the_object() {
        let mut segmentation = Plane::filled(64, 64, 0);
        segmentation.set(30, 30, 1);
        segmentation.set(31, 30, 1);
        segmentation.set(32, 30, 2);
        let masked = neighbours(&segmentation, (30.0, 30.0), |s| s > 1, 1);
        let at = |x: usize, y: usize| masked[(y + RADIUS - 30) * SIDE + x + RADIUS - 30];
        assert!(at(32, 30) && at(33, 30) && at(32, 29) && at(32, 31));
        assert!(!at(31, 30) && !at(30, 30) && !at(31, 29) && !at(33, 31));
        assert_eq!(masked.iter().filter(|m| **m).count(), 4);
    }

    #[test]
    fn beyond_the_frame_nothing_is_usable() {
        let masked = neighbours(&Plane::filled(64, 64, 0), (0.0, 5.0), |s| s > 1, 1);
        assert_eq!(masked.iter().filter(|m| !**m).count(), 16 * 21);
        let bits = Plane::filled(64, 64, 0);
        assert!(unusable(&bits, (31.0, 31.0)).is_none());
        assert!(unusable(&bits, (f64::NAN, 1e300)).unwrap().iter().all(|u| *u));
    }

    /// Beside an edge along y nearly half of the wings is missing at the least distance; in a corner more than half.
    #[test]
    fn a_core_and_half_of_the_wings_are_enough() {
        let mut bits = Plane::filled(64, 64, 0);
        let shown = |x: f64, y: f64| is_shown(&bits, (x, y));
        assert!(shown(31.0, 31.0) && shown(3.0, 31.0) && !shown(2.0, 31.0) && !shown(61.0, 31.0) && shown(60.0, 31.0));
        assert!(!shown(3.0, 3.0) && shown(5.0, 5.0) && !shown(f64::NAN, 1e300));
        // A band of no data is an edge, and a defect is none.
        bits.set(31, 31, mask::BAD | mask::SAT);
        assert!(is_shown(&bits, (31.0, 31.0)));
        (0..64).for_each(|y| bits.set(28, y, mask::NO_DATA));
        assert!(is_shown(&bits, (32.0, 31.0)) && !is_shown(&bits, (31.0, 31.0)));
    }

    #[test]
    fn an_unusable_pixel_spoils_its_neighbours() {
        let mut bits = Plane::filled(64, 64, mask::EDGE);
        bits.set(31, 31, mask::SAT);
        assert_eq!(unusable(&bits, (31.0, 31.0)).unwrap().iter().filter(|u| **u).count(), 9);
    }
}
