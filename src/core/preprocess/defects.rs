//! Pixels that are not to be trusted, and why: no data, saturation with its bleeding, bad columns, the rim.

use std::ops::Range;

use crate::frame::{Band, Plane, mask};

/// Width of the rim that gets [`mask::EDGE`], px.
pub(super) const RIM_PX: usize = 8;

/// Marks pixels without a finite value, rows and columns that are wholly zero or empty, and, where they are searched
/// for, saturated pixels.
pub(super) fn mark_unmeasured(band: &mut Band, search: bool) {
    let (width, height) = (band.pixels.width(), band.pixels.height());
    let saturation = if search && band.saturation_nmgy > 0.0 { band.saturation_nmgy as f32 } else { f32::INFINITY };
    let mut column_lives = vec![false; width];
    let mut row_lives = vec![false; height];
    for (y, lives) in row_lives.iter_mut().enumerate() {
        let bits = band.mask.row_mut(y);
        for ((&p, m), column) in band.pixels.row(y).iter().zip(bits).zip(&mut column_lives) {
            *m |= if p.is_finite() { 0 } else { mask::NO_DATA };
            *m |= if p > saturation { mask::SAT } else { 0 };
            let alive = p.is_finite() && p != 0.0;
            *column |= alive;
            *lives |= alive;
        }
    }
    let any_dead_column = column_lives.contains(&false);
    for (y, lives) in row_lives.iter().enumerate() {
        if !lives {
            band.mask.row_mut(y).iter_mut().for_each(|m| *m |= mask::NO_DATA);
        } else if any_dead_column {
            let dead = column_lives.iter().map(|lives| if *lives { 0 } else { mask::NO_DATA });
            band.mask.row_mut(y).iter_mut().zip(dead).for_each(|(m, dead)| *m |= dead);
        }
    }
}

/// Follows bleeding up and down from saturated pixels of a background-subtracted band, then lets all of it grow
/// by one pixel.
pub(super) fn mark_bleeding(band: &mut Band, sigma: f32) {
    let core = marked(&band.mask, mask::SAT);
    mark_bleeding_from(core, band, sigma);
}

/// The same from pixels that were found later.
pub(super) fn mark_bleeding_from(mut core: Vec<(usize, usize)>, band: &mut Band, sigma: f32) {
    let pixels = &band.pixels;
    let (width, height) = (pixels.width(), pixels.height());
    // Charge runs along the column alone: such a pixel stands far out of the pixels beside the column, which a
    // star's round wing does not.
    let bleeds = |x: usize, y: usize| {
        let beside = |d: isize| pixels.get(x as isize + d, y as isize);
        let flank = match (beside(-4), beside(4)) {
            (Some(a), Some(b)) => a.min(b),
            (one, other) => one.or(other).unwrap_or(0.0),
        };
        pixels.at(x, y) > 5.0 * sigma + 2.0 * flank.max(0.0)
    };
    let mut bled = Vec::new();
    for &(x, y) in &core {
        let up = (y + 1..height).take_while(|&y| band.mask.at(x, y) & mask::SAT == 0 && bleeds(x, y));
        let down = (0..y).rev().take_while(|&y| band.mask.at(x, y) & mask::SAT == 0 && bleeds(x, y));
        bled.extend(up.chain(down).map(|y| (x, y)));
    }
    core.append(&mut bled);
    for (x, y) in core {
        for y in y.saturating_sub(1)..(y + 2).min(height) {
            band.mask.row_mut(y)[x.saturating_sub(1)..(x + 2).min(width)].iter_mut().for_each(|m| *m |= mask::SAT);
        }
    }
}

/// Columns to the side with which a column is compared: a defect may be two wide.
const BESIDE_PX: usize = 2;

/// Marks stretches of columns that stand off from the columns on both sides by the same sign for hundreds of rows.
pub(super) fn mark_bad_columns(band: &mut Band, sigma: f32) {
    const STRETCH_PX: usize = 128;
    const IN_A_ROW: usize = 3;
    let height = band.pixels.height();
    let stretches = (height / STRETCH_PX).max(1);
    let bounds = |s: usize| s * height / stretches..(s + 1) * height / stretches;
    let off: Vec<Vec<bool>> = (0..stretches).map(|s| stands_off(&band.pixels, bounds(s), sigma)).collect();
    for (first, off) in off.windows(IN_A_ROW.min(stretches)).enumerate() {
        let rows = bounds(first).start..bounds(first + off.len() - 1).end;
        let stands_off: Vec<usize> = (0..band.pixels.width()).filter(|&x| off.iter().all(|off| off[x])).collect();
        let bad: Vec<usize> = stands_off
            .chunk_by(|a, b| a + 1 == *b)
            .filter(|columns| !has_wings(&band.pixels, rows.clone(), columns, sigma))
            .flatten()
            .copied()
            .collect();
        for y in rows {
            let bits = band.mask.row_mut(y);
            bad.iter().for_each(|&x| bits[x] |= mask::BAD);
        }
    }
}

/// Whether columns that stand off have a star's wings beside them: light came there, as along a trail.
fn has_wings(pixels: &Plane<f32>, rows: Range<usize>, columns: &[usize], sigma: f32) -> bool {
    const WING_SHARE: f32 = 0.25;
    let height = |x: isize| {
        let mut values: Vec<f32> =
            rows.clone().step_by(3).filter_map(|y| pixels.get(x, y as isize)).filter(|v| v.is_finite()).collect();
        crate::median::upper_median(&mut values, f32::total_cmp).unwrap_or(0.0)
    };
    let (Some(&first), Some(&last)) = (columns.first(), columns.last()) else { return false };
    let most = columns.iter().map(|&x| height(x as isize)).fold(0.0, f32::max);
    // A faint column's neighbours are noise.
    most > 2.0 * sigma && [first as isize - 1, last as isize + 1].iter().all(|&x| height(x) > WING_SHARE * most)
}

/// For each column, whether its pixels in `rows` are all in all higher, or lower, than those on both sides.
fn stands_off(pixels: &Plane<f32>, rows: Range<usize>, sigma: f32) -> Vec<bool> {
    let width = pixels.width();
    let (mut left, mut right) = (vec![0.0f32; width], vec![0.0f32; width]);
    let limit = 3.0 * sigma; // one object must not carry a stretch
    let n = rows.len() as f32;
    for y in rows {
        let row = pixels.row(y);
        let steps = row.iter().skip(BESIDE_PX).zip(row).map(|(p, l)| (p - l).clamp(-limit, limit));
        // The step from column x to the right is the negative of the step from x + 2 to the left.
        for ((d, l), r) in steps.zip(left.iter_mut().skip(BESIDE_PX)).zip(&mut right) {
            *l += d;
            *r -= d;
        }
    }
    // Six times the scatter of a mean difference, and never what a little structure in the sky could do.
    let enough = n * sigma * (6.0 * (2.0 / n).sqrt()).max(0.75);
    let both = |(l, r): (&f32, &f32)| (*l > enough && *r > enough) || (*l < -enough && *r < -enough);
    left.iter().zip(&right).map(both).collect()
}

/// Marks the rim.
pub(super) fn mark_rim(bits: &mut Plane<u8>) {
    let (width, height) = (bits.width(), bits.height());
    let rim = RIM_PX.min(width).min(height);
    for y in 0..height {
        let row = bits.row_mut(y);
        if y < rim || y + rim >= height {
            row.iter_mut().for_each(|m| *m |= mask::EDGE);
        } else {
            row[..rim].iter_mut().for_each(|m| *m |= mask::EDGE);
            row[width - rim..].iter_mut().for_each(|m| *m |= mask::EDGE);
        }
    }
}

/// Places with a bit, row by row.
fn marked(bits: &Plane<u8>, bit: u8) -> Vec<(usize, usize)> {
    let width = bits.width().max(1);
    let all = bits.pixels().iter().enumerate();
    all.filter(|(_, m)| **m & bit != 0).map(|(i, _)| (i % width, i / width)).collect()
}
