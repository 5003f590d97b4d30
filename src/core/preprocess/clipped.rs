//! Star cores that were cut off below the survey's trusted value, or cut out. Another detector's full well, a wrong
//! `trusted_dn`, or a pipeline that wrote NaN, 0 or a wrapped number where a star was too bright: none says so.
//!
//! - *Cut off*: the brightest value is that of several adjacent pixels, which light does not do; or, where a sky was
//!   subtracted since, flat tops of one height at several places and nothing brighter.
//! - *Cut out*: a hole at the sky's level or below it, or without a value, whose rim is all bright.

use super::no_data::Rough;
use crate::frame::{Band, Plane, mask};
use crate::median::median;

/// No core is fainter than this, sigma above the level.
const BRIGHT_SIGMA: f32 = 50.0;
/// The brightest value is a limit where so many pixels have it.
const FEWEST_EQUAL: usize = 3;
/// A pixel is on a flat top that differs from three of the four beside it by less than this, sigma.
const FLAT_SIGMA: f32 = 0.3;
/// So many pixels on flat tops...
const FEWEST_FLAT: usize = 12;
/// ...at so many places further apart than this, px...
const FEWEST_PLACES: usize = 3;
const APART_PX: usize = 10;
/// ...four of five of them within this share of their median, are a limit...
const SAME_HEIGHT: f32 = 0.01;
/// ...unless more than this share of their number is brighter.
const BRIGHTER: usize = 4;
/// A hole's pixels are below this, sigma above the level.
const HOLE_SIGMA: f32 = 5.0;
/// A hole with more pixels than this is no core.
const LARGEST_HOLE: usize = 2000;

/// Marks cores as [`mask::SAT`]; those that were cut out get the value of their rim, so that the star is one object.
pub(super) fn mark(band: &mut Band, rough: Rough) {
    let bright = rough.level + BRIGHT_SIGMA * rough.sigma;
    let limit = flat_limit(band, rough.sigma, bright).or_else(|| equal_limit(&band.pixels, &band.mask, bright));
    if let Some(limit) = limit {
        for (p, m) in band.pixels.pixels().iter().zip(band.mask.pixels_mut()) {
            *m |= if *p >= limit { mask::SAT } else { 0 };
        }
    }
    fill_holes(band, rough.level + HOLE_SIGMA * rough.sigma, bright);
}

/// The brightest value, where several pixels have it and two of them touch.
fn equal_limit(pixels: &Plane<f32>, bits: &Plane<u8>, bright: f32) -> Option<f32> {
    let usable =
        || pixels.pixels().iter().zip(bits.pixels()).filter(|(_, m)| **m & mask::UNUSABLE == 0).map(|(p, _)| *p);
    let most = usable().fold(f32::MIN, f32::max);
    if most <= bright {
        return None;
    }
    let width = pixels.width();
    let is_most = |i: &usize| pixels.pixels()[*i] == most && bits.pixels()[*i] & mask::UNUSABLE == 0;
    let equal: Vec<usize> = (0..pixels.pixels().len()).filter(is_most).collect();
    let touch = |i: &usize| equal.binary_search(&(i + 1)).is_ok() || equal.binary_search(&(i + width)).is_ok();
    (equal.len() >= FEWEST_EQUAL && equal.iter().any(touch)).then_some(most)
}

/// The height of flat tops that nothing exceeds.
fn flat_limit(band: &Band, sigma: f32, bright: f32) -> Option<f32> {
    let (pixels, width) = (&band.pixels, band.pixels.width());
    let mut flat: Vec<(usize, usize)> = Vec::new();
    for y in 1..pixels.height().saturating_sub(1) {
        let row = pixels.row(y);
        for x in (1..width.saturating_sub(1)).filter(|&x| row[x] > bright && band.mask.at(x, y) & mask::UNUSABLE == 0) {
            let beside = [row[x - 1], row[x + 1], pixels.at(x, y - 1), pixels.at(x, y + 1)];
            if beside.iter().filter(|v| (**v - row[x]).abs() < FLAT_SIGMA * sigma).count() >= 3 {
                flat.push((x, y));
            }
        }
    }
    let height = median(&mut flat.iter().map(|&(x, y)| f64::from(pixels.at(x, y))).collect::<Vec<f64>>())? as f32;
    let same = SAME_HEIGHT * (height - bright).max(0.0);
    let all = flat.len();
    flat.retain(|&(x, y)| (pixels.at(x, y) - height).abs() < same);
    if flat.len() < FEWEST_FLAT || 5 * flat.len() < 4 * all {
        return None;
    }
    let mut places: Vec<(usize, usize)> = Vec::new();
    for &(x, y) in &flat {
        if places.len() < FEWEST_PLACES
            && places.iter().all(|p| p.0.abs_diff(x) > APART_PX || p.1.abs_diff(y) > APART_PX)
        {
            places.push((x, y));
        }
    }
    let brighter = pixels.pixels().iter().zip(band.mask.pixels());
    let brighter = brighter.filter(|(p, m)| **p > height + 2.0 * same && **m & mask::UNUSABLE == 0).count();
    let least = flat.iter().map(|&(x, y)| pixels.at(x, y)).fold(height, f32::min);
    (places.len() >= FEWEST_PLACES && BRIGHTER * brighter < flat.len()).then_some(least - FLAT_SIGMA * sigma)
}

/// Marks and fills holes whose rim is all bright.
fn fill_holes(band: &mut Band, dark: f32, bright: f32) {
    let (width, height) = (band.pixels.width(), band.pixels.height());
    let mut steps = Vec::new();
    for y in 0..height {
        let row = band.pixels.row(y);
        for x in (1..width).filter(|&x| row[x - 1] > bright && is_dark(row[x], dark)) {
            steps.push((x, y));
        }
    }
    for start in steps {
        let Some((hole, rim)) = hole_about(&band.pixels, start, dark) else { continue };
        // The rim is the star's flank: half of it far above the sky, and none of it sky.
        if rim.iter().filter(|v| **v > bright).count() * 2 <= rim.len() {
            continue;
        }
        let most = rim.iter().copied().fold(f32::MIN, f32::max);
        for (x, y) in hole {
            band.pixels.set(x, y, most);
            let bits = &mut band.mask.row_mut(y)[x];
            *bits = *bits & !mask::NO_DATA | mask::SAT;
        }
    }
}

/// Whether a pixel may be a hole's: without a value, or below `dark`.
fn is_dark(p: f32, dark: f32) -> bool {
    p.is_nan() || p < dark
}

/// Places of a hole, and the values around it.
type Hole = (Vec<(usize, usize)>, Vec<f32>);

/// The dark pixels that hang together about one; `None` where it is not dark, or they are too many or reach the border.
fn hole_about(pixels: &Plane<f32>, start: (usize, usize), dark: f32) -> Option<Hole> {
    if !is_dark(pixels.at(start.0, start.1), dark) {
        return None; // filled by now
    }
    let mut hole = vec![start];
    let mut seen = std::collections::HashSet::from([start]);
    let mut rim = Vec::new();
    let mut next = 0;
    while let Some(&(x, y)) = hole.get(next) {
        next += 1;
        if hole.len() > LARGEST_HOLE || x == 0 || y == 0 || x + 1 == pixels.width() || y + 1 == pixels.height() {
            return None;
        }
        for (x, y) in [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)] {
            if !seen.insert((x, y)) {
                continue;
            }
            if is_dark(pixels.at(x, y), dark) {
                hole.push((x, y));
            } else {
                rim.push(pixels.at(x, y));
            }
        }
    }
    Some((hole, rim))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::preprocess::streaks::tests::noise;

    const ROUGH: Rough = Rough { level: 0.0, sigma: 1.0 };

    /// Gaussian stars of width 1.5 px with their photons' noise, as bright as 300 to 3000 sigma, on noise.
    fn stars() -> Band {
        let mut band = noise((400, 400), 5);
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        for i in 0..36usize {
            let (cx, cy, peak) = (30 + i % 6 * 60, 30 + i / 6 * 60, 300.0 + 75.0 * i as f32);
            for y in cy - 9..cy + 10 {
                for x in cx - 9..cx + 10 {
                    let r2 = (x as f32 - cx as f32 - 0.3).powi(2) + (y as f32 - cy as f32 + 0.2).powi(2);
                    let light = peak * (-r2 / 4.5).exp();
                    let photons: f32 = StandardNormal.sample(&mut rng);
                    band.pixels.set(x, y, band.pixels.at(x, y) + light + photons * (light / 10.0).sqrt());
                }
            }
        }
        band
    }

    fn saturated(band: &Band) -> Vec<usize> {
        let bits = band.mask.pixels().iter().enumerate();
        bits.filter(|(_, m)| **m & mask::SAT != 0).map(|(i, _)| i).collect()
    }

    #[test]
    fn whole_stars_are_left_alone() {
        let mut band = stars();
        mark(&mut band, ROUGH);
        assert!(saturated(&band).is_empty());
    }

    #[test]
    fn cores_that_were_cut_off_are_saturated_also_under_a_sky_that_was_subtracted_since() {
        for slope in [0.0, 0.002] {
            let mut band = stars();
            let whole = band.pixels.clone();
            for y in 0..400 {
                for x in 0..400 {
                    band.pixels.set(x, y, whole.at(x, y).min(1200.0) - slope * x as f32);
                }
            }
            mark(&mut band, ROUGH);
            let clipped: Vec<usize> = (0..400 * 400).filter(|i| whole.pixels()[*i] >= 1200.0).collect();
            let found = saturated(&band);
            assert!(clipped.len() > 50 && clipped.iter().all(|i| found.contains(i)), "{slope}");
            assert!(found.len() < clipped.len() + clipped.len() / 3, "{slope}: {} {}", found.len(), clipped.len());
        }
    }

    #[test]
    fn cores_that_were_cut_out_are_saturated_and_filled() {
        for hole in [0.0, f32::NAN, -2000.0, f32::NEG_INFINITY] {
            let mut band = stars();
            let whole = band.pixels.clone();
            for (i, v) in whole.pixels().iter().enumerate().filter(|v| *v.1 > 1000.0) {
                band.pixels.pixels_mut()[i] = if hole == -2000.0 { -v } else { hole };
                band.mask.pixels_mut()[i] = if hole.is_finite() { 0 } else { mask::NO_DATA };
            }
            mark(&mut band, ROUGH);
            let cut: Vec<usize> = (0..400 * 400).filter(|i| whole.pixels()[*i] > 1000.0).collect();
            assert_eq!(saturated(&band), cut, "{hole}");
            assert!(cut.iter().all(|i| band.pixels.pixels()[*i] > 100.0 && band.mask.pixels()[*i] == mask::SAT));
        }
    }

    /// A dead square beside a star, and a dark pixel on its flank that the sky touches, are no holes.
    #[test]
    fn what_is_open_to_the_sky_is_no_hole() {
        let mut band = stars();
        for y in 320..345 {
            band.pixels.row_mut(y)[332..380].fill(0.0);
        }
        mark(&mut band, ROUGH);
        assert!(saturated(&band).is_empty());
    }
}
