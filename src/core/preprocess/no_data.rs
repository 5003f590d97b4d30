//! Pixels that hold no measurement although they hold a number: sentinels, fills, dead amplifiers, corners of a
//! coadd that no exposure covers. None of them says so; each is told by what no sky can do.
//!
//! - *Absurd*: further below the sky than any gradient, or more light than any detector holds.
//! - *One exact value* over many adjacent pixels: noise repeats itself only by chance ([`super::constant`]).
//! - *No light, or broken*: an area without photon noise, or with far more noise than any sky ([`super::dead`]).
//! - *No sky*: an area whose level lies half the sky's own brightness below the rest. What the sky's brightness is
//!   the noise tells, by the gain, even where the survey has subtracted it.
//! - *Far negative*: a pixel eight sigma below the sky, once that is known.

use super::background::Background;
use super::{constant, dead};
use crate::frame::{Band, Plane, mask};
use crate::median::upper_median;

/// Below the frame's level by this many sigma no sky lies, whatever its gradient.
const ABSURD_SIGMA: f32 = 1000.0;
/// Above saturation by this factor is no light.
const ABSURD_SATURATION: f32 = 100.0;
/// A pixel so many sigma below the sky is no sky: Gaussian noise does that once in 10^15 pixels.
const FAR_NEGATIVE_SIGMA: f32 = 8.0;
/// Side of the blocks that are asked for sky, px.
const BLOCK_PX: usize = 8;
/// Connected blocks that make an area without sky: an object's shadow, a dust ring, is no such thing.
const FEWEST_BLOCKS: usize = 32;
/// An area is without sky if it lies below the rest by this share of the sky...
const SKY_SHARE: f64 = 0.5;
/// ...and by so many sigma: where the sky is faint, the detector's own steps are of its size.
const SKY_SIGMA: f64 = 4.0;
/// Where the scatter of all pixels is so many times that of neighbours, levels differ over the frame.
const STRUCTURED: f32 = 3.0;

/// Level and scatter of a frame's pixels before anything is known of its sky.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rough {
    pub(super) level: f32,
    pub(super) sigma: f32,
}

impl Rough {
    /// Median and scaled median deviation of every ninth usable pixel; `None` where there is none.
    fn of(pixels: &Plane<f32>, bits: &Plane<u8>) -> Option<Self> {
        let mut sample = Vec::with_capacity(pixels.pixels().len() / 9 + 1);
        for y in (0..pixels.height()).step_by(3) {
            let row = pixels.row(y).iter().zip(bits.row(y)).step_by(3);
            sample.extend(row.filter(|(_, m)| **m & mask::UNUSABLE == 0).map(|(p, _)| *p));
        }
        let level = upper_median(&mut sample, f32::total_cmp)?;
        sample.iter_mut().for_each(|v| *v = (*v - level).abs());
        let sigma = 1.4826 * upper_median(&mut sample, f32::total_cmp)?;
        Some(Self { level, sigma })
    }
}

/// Marks what can be told before the sky is measured, and must be, since it would spoil that. Returns what the rest of
/// the pixels are like; `None` where none is left.
pub(super) fn mark_before_sky(band: &mut Band, allowed: dead::Allowed) -> Option<Rough> {
    let ceiling = if band.saturation_nmgy > 0.0 { ABSURD_SATURATION * band.saturation_nmgy as f32 } else { f32::MAX };
    let rough = Rough::of(&band.pixels, &band.mask)?;
    let floor = if rough.sigma > 0.0 { rough.level - ABSURD_SIGMA * rough.sigma } else { f32::MIN };
    for (p, m) in band.pixels.pixels().iter().zip(band.mask.pixels_mut()) {
        *m |= if (*p < floor) | (*p > ceiling) { mask::NO_DATA } else { 0 };
    }
    constant::mark_constant_blocks(&band.pixels, &mut band.mask, rough.level, rough.sigma);
    let live = dead::mark(band, allowed).unwrap_or(rough.sigma);
    // A dead half would have been the median.
    let rough = Rough::of(&band.pixels, &band.mask)?;
    if rough.sigma > STRUCTURED * live {
        // Two levels, of which the upper has the sky, or a gradient: the noise of neighbours is the pixels' own.
        mark_without_sky(band, Rough { level: upper_level(band), sigma: live });
        return Rough::of(&band.pixels, &band.mask);
    }
    mark_without_sky(band, rough);
    Some(rough)
}

/// The value that a third of the usable pixels exceed.
fn upper_level(band: &Band) -> f32 {
    let pixels = band.pixels.pixels().iter().zip(band.mask.pixels()).step_by(7);
    let mut sample: Vec<f32> = pixels.filter(|(_, m)| **m & mask::UNUSABLE == 0).map(|(p, _)| *p).collect();
    let third = 2 * sample.len() / 3;
    sample.sort_unstable_by(f32::total_cmp);
    sample.get(third).copied().unwrap_or(0.0)
}

/// Marks areas, of blocks of 8x8 px, whose level shows that no sky fell on them.
fn mark_without_sky(band: &mut Band, rough: Rough) {
    let (width, height) = (band.pixels.width(), band.pixels.height());
    let (columns, rows) = (width / BLOCK_PX, height / BLOCK_PX);
    let sigma_dn = f64::from(rough.sigma) / band.nmgy_per_dn;
    let sky = (sigma_dn * sigma_dn - band.dark_variance_dn2).max(0.0) * band.gain_e_per_dn * band.nmgy_per_dn;
    let below = (SKY_SHARE * sky).max(SKY_SIGMA * f64::from(rough.sigma)) as f32;
    let limit = rough.level - below;
    if columns == 0 || rows == 0 || !below.is_finite() || below <= 0.0 {
        return;
    }
    let mut dark = vec![false; columns * rows];
    for row in 0..rows {
        let lines: [&[f32]; BLOCK_PX] = std::array::from_fn(|i| band.pixels.row(row * BLOCK_PX + i));
        for column in 0..columns {
            let from = column * BLOCK_PX;
            // No pixel of such a block reaches the sky's own level. Two diagonals decide for most blocks.
            let is_low = |i: usize, j: usize| lines[i][from + j] < limit + below / 2.0;
            let first = (0..BLOCK_PX).filter(|&i| is_low(i, i)).count() >= BLOCK_PX - 1;
            dark[row * columns + column] = first
                && lines.iter().flat_map(|l| &l[from..from + BLOCK_PX]).sum::<f32>()
                    < limit * (BLOCK_PX * BLOCK_PX) as f32;
        }
    }
    for area in areas(&dark, columns).into_iter().filter(|a| a.len() >= FEWEST_BLOCKS) {
        for block in area {
            // A block's rim may be the last that is seen of the area, and the frame's last rows belong to no block.
            let (x, y) = (block % columns * BLOCK_PX, block / columns * BLOCK_PX);
            let reach = |at: usize, last: bool, length: usize| if last { length } else { at + 2 * BLOCK_PX };
            let to_x = reach(x, block % columns + 1 == columns, width);
            let to_y = reach(y, block / columns + 1 == rows, height);
            for y in y.saturating_sub(BLOCK_PX)..to_y.min(height) {
                for x in x.saturating_sub(BLOCK_PX)..to_x.min(width) {
                    let inside = dark[(y / BLOCK_PX).min(rows - 1) * columns + (x / BLOCK_PX).min(columns - 1)];
                    if inside || band.pixels.at(x, y) < limit {
                        band.mask.row_mut(y)[x] |= mask::NO_DATA;
                    }
                }
            }
        }
    }
}

/// Groups of dark blocks that touch along their sides.
pub(super) fn areas(dark: &[bool], columns: usize) -> Vec<Vec<usize>> {
    let mut left = dark.to_vec();
    let mut found = Vec::new();
    for first in 0..left.len() {
        if !std::mem::take(&mut left[first]) {
            continue;
        }
        let (mut area, mut next) = (vec![first], 0);
        while let Some(&at) = area.get(next) {
            next += 1;
            let column = at % columns;
            let beside = [
                (column > 0).then(|| at - 1),
                (column + 1 < columns).then_some(at + 1),
                at.checked_sub(columns),
                Some(at + columns).filter(|i| *i < left.len()),
            ];
            area.extend(beside.into_iter().flatten().filter(|&i| std::mem::take(&mut left[i])));
        }
        found.push(area);
    }
    found
}

/// Marks pixels far below the sky of a background-subtracted band. Where the sky's own estimate was lifted by a large
/// object, by as much less.
pub(super) fn mark_far_negative(band: &mut Band, background: &Background, sigma: f32) {
    let mesh_px = background.mesh_px();
    let floors: Vec<f32> = background.lifted().iter().map(|l| -FAR_NEGATIVE_SIGMA * sigma - *l as f32).collect();
    let columns = band.pixels.width().div_ceil(mesh_px);
    for y in 0..band.pixels.height() {
        let parts = band.pixels.row(y).chunks(mesh_px).zip(band.mask.row_mut(y).chunks_mut(mesh_px));
        for ((pixels, bits), floor) in parts.zip(&floors[y / mesh_px * columns..]) {
            for (p, m) in pixels.iter().zip(bits) {
                *m |= if p < floor { mask::NO_DATA } else { 0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_touch_along_sides() {
        let dark = [true, true, false, false, false, true, true, false, false].to_vec();
        assert_eq!(areas(&dark, 3), [vec![0, 1], vec![5], vec![6]]);
        assert!(areas(&[], 0).is_empty());
    }
}
