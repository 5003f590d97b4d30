//! Saturated cores as Sloan's pipeline leaves them: every pixel that was full, and those about it, holds what lies to its
//! left and right, interpolated. What comes out is smooth and looks sound: flat or hollow, of a few thousand counts where
//! the star had a million; and the columns that it bled into are gone without a trace.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use twinpeak_core::frame::{Plane, mask};

/// Fewest and most pixels by which the full ones are grown in each direction.
const GROWN_PX: [usize; 2] = [1, 3];
/// The middle of a core relative to its rim, from hollow to flat.
const HOLLOW: [f32; 2] = [0.4, 1.0];

/// Replaces all pixels at `full_dn` or above, and gives them the bit of saturation.
pub(super) fn replace(dn: &mut Plane<f32>, bits: &mut Plane<u8>, full_dn: f32, rng: &mut ChaCha8Rng) {
    let (width, height) = (dn.width(), dn.height());
    let mut core = Plane::filled(width, height, false);
    let mut seen = Plane::filled(width, height, false);
    for y in 0..height {
        for x in 0..width {
            if dn.at(x, y) < full_dn || seen.at(x, y) {
                continue;
            }
            let full = touching(dn, full_dn, (x, y), &mut seen);
            let grown = rng.random_range(GROWN_PX[0]..=GROWN_PX[1]);
            let hollow = rng.random_range(HOLLOW[0]..=HOLLOW[1]);
            let rows = rows_of(&full, grown, (width, height));
            for &(row, left, right) in &rows {
                let filled = interpolated(dn, row, (left, right), hollow);
                for (column, value) in (left..=right).zip(filled) {
                    dn.set(column, row, value);
                    core.set(column, row, true);
                }
            }
        }
    }
    for (bits, core) in bits.pixels_mut().iter_mut().zip(core.pixels()) {
        *bits |= if *core { mask::SAT } else { 0 };
    }
}

/// All full pixels that touch one another, from `first` on; they are `seen` then.
fn touching(dn: &Plane<f32>, full_dn: f32, first: (usize, usize), seen: &mut Plane<bool>) -> Vec<(usize, usize)> {
    seen.set(first.0, first.1, true);
    let mut found = vec![first];
    let mut next = 0;
    while let Some(&(x, y)) = found.get(next) {
        next += 1;
        for (nx, ny) in [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)] {
            if nx < dn.width() && ny < dn.height() && dn.at(nx, ny) >= full_dn && !seen.at(nx, ny) {
                seen.set(nx, ny, true);
                found.push((nx, ny));
            }
        }
    }
    found
}

/// Rows of the grown pixels, each with its first and last column. A core is convex enough for one run a row.
fn rows_of(full: &[(usize, usize)], grown: usize, (width, height): (usize, usize)) -> Vec<(usize, usize, usize)> {
    let mut runs = std::collections::BTreeMap::new();
    for &(x, y) in full {
        for row in y.saturating_sub(grown)..=(y + grown).min(height - 1) {
            let run = runs.entry(row).or_insert((x, x));
            *run = (run.0.min(x.saturating_sub(grown)), run.1.max((x + grown).min(width - 1)));
        }
    }
    runs.into_iter().map(|(row, (left, right))| (row, left, right)).collect()
}

/// A run's new values: from what lies to its left to what lies to its right, `hollow` times that in the middle.
fn interpolated(dn: &Plane<f32>, row: usize, (left, right): (usize, usize), hollow: f32) -> Vec<f32> {
    let before = left.checked_sub(1).map(|x| dn.at(x, row));
    let after = (right + 1 < dn.width()).then(|| dn.at(right + 1, row));
    // A core at the frame's edge has one side.
    let (before, after) = (before.or(after).unwrap_or(0.0), after.or(before).unwrap_or(0.0));
    let steps = (right - left + 2) as f32;
    let value = |k: usize| {
        let part = k as f32 / steps;
        // Short runs, of a bled column, are straight.
        let depth = (1.0 - hollow) * ((steps - 4.0) / 6.0).clamp(0.0, 1.0);
        (before + part * (after - before)) * (1.0 - depth * 4.0 * part * (1.0 - part))
    };
    (1..=right - left + 1).map(|k| value(k).round()).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_core_is_filled_from_its_sides_and_the_rest_is_left() {
        let mut dn = Plane::filled(60, 50, 100f32);
        for y in 0..50 {
            for x in 0..60 {
                let r2 = (x as f32 - 30.0).powi(2) + (y as f32 - 25.0).powi(2);
                dn.set(x, y, (100.0 + 4e5 * (-r2 / 18.0).exp()).min(60_000.0));
            }
        }
        (0..50).for_each(|y| dn.set(30, y, 60_000.0)); // bled
        let before = dn.clone();
        let mut bits = Plane::filled(60, 50, 0u8);
        replace(&mut dn, &mut bits, 59_400.0, &mut ChaCha8Rng::seed_from_u64(3));
        assert!(dn.pixels().iter().all(|v| *v < 59_400.0));
        for ((old, new), bits) in before.pixels().iter().zip(dn.pixels()).zip(bits.pixels()) {
            assert!(if *bits == 0 { old == new } else { *bits == mask::SAT });
        }
        let filled = |y: usize| (dn.at(30, y), bits.at(30, y));
        assert!(filled(25).0 > 1_000.0 && filled(25).0 < 40_000.0, "{:?}", filled(25));
        // Far along the bled column there is nothing to be seen.
        assert_eq!(filled(3), (100.0, mask::SAT));
        assert_eq!(bits.at(45, 25), 0);
    }
}
