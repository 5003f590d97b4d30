//! Negatives: frames whose objects lie below the sky. A defect is dark too, but not as an object is, with its flank on all
//! sides, and a frame has more light than such defects.

use super::background::Background;
use crate::frame::{Band, Plane, mask};

/// An object's peak is so many sigma from the sky, and the four pixels beside it half of that.
const PEAK_SIGMA: f32 = 8.0;
/// So many dark objects...
const FEWEST: usize = 12;
/// ...and so many times as many as bright ones make a negative.
const TIMES: usize = 4;

/// How many objects lie below and above the sky of a background-subtracted band, where that shows a negative.
pub(super) fn is_negative(band: &Band, background: &Background, sigma: f32) -> Option<(usize, usize)> {
    let lifted = background.lifted().into_iter().fold(0.0, f64::max) as f32;
    let dark = objects(&band.pixels, &band.mask, |p| -p, PEAK_SIGMA * sigma + lifted);
    if dark < FEWEST {
        return None;
    }
    let bright = objects(&band.pixels, &band.mask, |p| p, PEAK_SIGMA * sigma);
    (dark > TIMES * bright).then_some((dark, bright))
}

/// Peaks of light, as `light` gives it, above a value, with half of it on all four sides.
fn objects(pixels: &Plane<f32>, bits: &Plane<u8>, light: impl Fn(f32) -> f32, above: f32) -> usize {
    let mut found = 0;
    for y in 1..pixels.height().saturating_sub(1) {
        let row = pixels.row(y);
        for x in (1..pixels.width().saturating_sub(1)).filter(|&x| light(row[x]) > above) {
            let beside = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)];
            let is_flank = |&(i, j): &(usize, usize)| {
                let value = light(pixels.at(i, j));
                bits.at(i, j) & mask::UNUSABLE == 0 && value > above / 2.0 && value <= light(row[x])
            };
            found += usize::from(bits.at(x, y) & mask::UNUSABLE == 0 && beside.iter().all(is_flank));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::preprocess::{PreprocessError, Settings, prepare, real};

    /// A negative is refused by the band's name, also where no other band is one.
    #[test]
    fn a_negative_is_refused_and_what_it_is_of_is_not() {
        let Some(frame) = real::frame(real::DEV) else { return };
        let mut one = frame.clone();
        one.bands[1].pixels = frame.bands[1].pixels.map(|p| -p);
        let refused = prepare(one, &real::sdss(), &Settings::default()).err();
        assert!(matches!(&refused, Some(PreprocessError::Negative { band, .. }) if band == "g"), "{refused:?}");
        let mut all = frame;
        all.bands.iter_mut().for_each(|band| band.pixels = band.pixels.map(|p| 3.0 - p));
        let refused = prepare(all, &real::sdss(), &Settings::default()).err();
        assert!(matches!(refused, Some(PreprocessError::Negative { .. })), "{refused:?}");
    }
}
