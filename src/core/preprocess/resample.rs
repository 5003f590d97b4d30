//! A band on another grid: what its pixels would have been, had they lain there. Flux is conserved: a pixel of the
//! new grid holds the band's surface brightness at its place times its own area. Whatever a band's turn, mirror,
//! scale or distortion, the coordinates come from the world coordinates ([`Nodes`]) and the weights from one kernel
//! ([`Kernel`]).
//!
//! Noise. A pixel of the band has white noise sigma. A resampled pixel is `A sum_i w_i p_i`, A being its area in the
//! band's pixels and the weights w of sum 1, so alone it has the noise `A sigma sqrt(sum w^2)`, which for A = 1 is .82
//! sigma in the mean, and its neighbours share it. What is measured are sums over many pixels: a point source, an
//! aperture, a matched filter. In these every pixel of the band has in all the weight `A sum_j w_ij` = 1, since the
//! pixels of the new grid tile the sky, so the noise of a sum over N pixels is that of the `N A` pixels of the band
//! below them: `sigma sqrt(A)` for each. That is the sigma which a resampled band carries: not of one pixel, but of
//! what is made of them. It holds for a point source as far as the kernel passes what the PSF holds, which six pixels
//! do (pulls of .98 to 1.00 for a FWHM of 3.3 px, below); bilinear weights would not.

mod kernel;
mod nodes;

pub(super) use nodes::Nodes;

use kernel::{Kernel, LANES};
use nodes::At;

use super::Sky;
use super::registration::Place;
use crate::filter::for_row_blocks;
use crate::frame::{Band, Plane, mask};

/// A pixel of which so much of the weight, all signs taken as positive, falls on pixels without a measurement has none.
const LOST_SHARE: f32 = 0.02;
/// One with so much of the weight on saturated pixels is saturated. Far less than the other: such pixels hold values of
/// thousands of sigma, which ring.
const SATURATED_SHARE: f32 = 0.002;

/// Brings a cleaned band, and what is known of its sky, onto the grid of `nodes`. What the band does not show is
/// NO_DATA and EDGE. Rows run in parallel.
pub(super) fn onto(band: &mut Band, sky: &mut Sky, nodes: &Nodes) -> Place {
    let size = nodes.size();
    let (x_scale, y_scale, area) = nodes.extent_and_area();
    let source = Source::new(band, Kernel::new(x_scale), Kernel::new(y_scale));
    let mut pixels = Plane::filled(size.0, size.1, 0.0f32);
    let mut bits = Plane::filled(size.0, size.1, 0u8);
    // The mask is written beside the pixels, row by row.
    let mut rows = Plane::filled(size.0, size.1, (0.0f32, 0u8));
    for_row_blocks(&mut rows, |first, rows| {
        for (y, row) in rows.chunks_exact_mut(size.0).enumerate() {
            nodes.along_row(first + y, |x, at| row[x] = source.at(at));
        }
    });
    for ((p, m), made) in pixels.pixels_mut().iter_mut().zip(bits.pixels_mut()).zip(rows.pixels()) {
        (*p, *m) = *made;
    }
    band.variance = band.variance.take().map(|from| variance(&from, nodes));
    (band.pixels, band.mask) = (pixels, bits);
    band.removed_sky_nmgy = band.removed_sky_nmgy.map(|level| level * area);
    sky.level_nmgy = (f64::from(sky.level_nmgy) * area) as f32;
    sky.sigma_nmgy = (f64::from(sky.sigma_nmgy) * area.sqrt()) as f32;
    Place { moved: true, ..Place::HERE }
}

/// The variance of the nearest pixel, as that of sums: by area. Infinite where the band does not reach.
fn variance(from: &Plane<f32>, nodes: &Nodes) -> Plane<f32> {
    let size = nodes.size();
    let mut made = Plane::filled(size.0, size.1, f32::INFINITY);
    for_row_blocks(&mut made, |first, rows| {
        for (y, row) in rows.chunks_exact_mut(size.0).enumerate() {
            nodes.along_row(first + y, |x, at| {
                let nearest =
                    (at.x.is_finite() && at.y.is_finite()).then_some((at.x.round() as isize, at.y.round() as isize));
                let value = nearest.and_then(|(x, y)| from.get(x, y));
                row[x] = value.map_or(f32::INFINITY, |value| at.area as f32 * value);
            });
        }
    });
    made
}

/// The pixels that are resampled.
struct Source<'a> {
    band: &'a Band,
    across: Kernel,
    along: Kernel,
    /// All bits of the window of taps that begins at a pixel.
    window: Plane<u8>,
}

impl<'a> Source<'a> {
    fn new(band: &'a Band, across: Kernel, along: Kernel) -> Self {
        let window = any_bit(&band.mask, across.taps(), along.taps());
        Self { band, across, along, window }
    }

    /// Value and bits of a pixel of the new grid.
    fn at(&self, at: At) -> (f32, u8) {
        const BEYOND: (f32, u8) = (0.0, mask::NO_DATA | mask::EDGE);
        let (width, height) = (self.band.pixels.width(), self.band.pixels.height());
        let inside = |v: f64, length: usize| v >= -0.5 && v <= length as f64 - 0.5;
        // A NaN, where there is no place on the sky, is not inside.
        if !inside(at.x, width) || !inside(at.y, height) {
            return BEYOND;
        }
        let ((x, by_x), (y, by_y)) = (self.across.at(at.x), self.along.at(at.y));
        let area = at.area as f32;
        let whole = x >= 0
            && y >= 0
            && x as usize + by_x.len() <= width
            && y as usize + self.along.taps() <= height
            && self.window.at(x as usize, y as usize) & mask::UNUSABLE == 0;
        if whole {
            return (area * self.sum(x as usize, y as usize, by_x, by_y), 0);
        }
        let (value, bits) = self.sum_of_usable((x, y), by_x, by_y);
        (area * value, bits)
    }

    /// The weighted sum where every pixel has a measurement.
    fn sum(&self, x: usize, y: usize, by_x: &[f32], by_y: &[f32]) -> f32 {
        let mut sum = 0.0;
        for (i, by_x) in by_x.as_chunks::<LANES>().0.iter().enumerate() {
            let mut lanes = [0.0f32; LANES];
            for (j, &by_y) in by_y[..self.along.taps()].iter().enumerate() {
                let row = &self.band.pixels.row(y + j)[x + i * LANES..][..LANES];
                for (lane, &p) in lanes.iter_mut().zip(row) {
                    *lane += by_y * p;
                }
            }
            sum += lanes.iter().zip(by_x).map(|(lane, w)| lane * w).sum::<f32>();
        }
        sum
    }

    /// The same where some have none: their weight goes to the others, unless it is too much.
    fn sum_of_usable(&self, (x, y): (isize, isize), by_x: &[f32], by_y: &[f32]) -> (f32, u8) {
        let (mut sum, mut kept, mut total, mut bits) = (0.0, 0.0, 0.0, 0);
        let (mut all, mut lost, mut saturated) = (0.0, 0.0, 0.0);
        for (j, &by_y) in by_y[..self.along.taps()].iter().enumerate() {
            for (i, &by_x) in by_x[..self.across.taps()].iter().enumerate() {
                let (px, py) = (x + i as isize, y + j as isize);
                let weight = by_x * by_y;
                all += weight.abs();
                total += weight;
                let m = self.band.mask.get(px, py).unwrap_or(mask::NO_DATA);
                if m & (mask::BAD | mask::NO_DATA) != 0 {
                    lost += weight.abs();
                    bits |= if weight == 0.0 { 0 } else { m & (mask::BAD | mask::NO_DATA) };
                    continue;
                }
                saturated += if m & mask::SAT != 0 { weight.abs() } else { 0.0 };
                sum += weight * self.band.pixels.get(px, py).unwrap_or(0.0);
                kept += weight;
            }
        }
        let sat = if saturated > SATURATED_SHARE * all { mask::SAT } else { 0 };
        if lost > LOST_SHARE * all { (0.0, bits | sat) } else { (sum * total / kept, sat) }
    }
}

/// For each pixel, all bits of the `columns` x `rows` pixels that begin there, as far as they lie on the plane.
fn any_bit(bits: &Plane<u8>, columns: usize, rows: usize) -> Plane<u8> {
    let (width, height) = (bits.width(), bits.height());
    let mut across = bits.clone();
    for y in 0..height {
        let from = bits.row(y);
        for k in 1..columns.min(width) {
            across.row_mut(y).iter_mut().zip(&from[k..]).for_each(|(to, from)| *to |= from);
        }
    }
    let mut both = across.clone();
    for y in 0..height {
        for k in 1..rows.min(height - y) {
            both.row_mut(y).iter_mut().zip(across.row(y + k)).for_each(|(to, from)| *to |= from);
        }
    }
    both
}

#[cfg(test)]
mod tests;
