//! Draws Gaussians on planes, strip by strip: threads share no pixel, and every pixel adds its objects in their
//! order, so the bytes do not depend on the number of threads.

use std::f32::consts::{LN_2, LOG2_E};

use rayon::prelude::*;

use super::mixture::Blob;
use super::truth::IGNORED;
use twinpeak_core::frame::Plane;

/// Rows that one thread draws at a time.
const STRIP: usize = 32;

/// S/N of g + r + i in a pixel above which it belongs to an object, and above which it is left out of scores.
const OWNED_SNR: f32 = 1.5;
const IGNORED_SNR: f32 = 0.75;

/// The sum of all objects.
pub(super) fn planes(objects: &[Vec<Blob>], width: usize, height: usize) -> Plane<f32> {
    let extents: Vec<Extent> = objects.iter().map(|o| Extent::of(o)).collect();
    let mut plane = Plane::filled(width, height, 0f32);
    plane.pixels_mut().par_chunks_mut(STRIP * width).enumerate().for_each(|(k, rows)| {
        let (first, last) = (k * STRIP, k * STRIP + rows.len() / width);
        for (blobs, extent) in objects.iter().zip(&extents) {
            let Some((low, high)) = extent.clip_rows(first, last) else { continue };
            for blob in blobs {
                for y in low..high {
                    blob.add_row(y, 0, &mut rows[(y - first) * width..][..width]);
                }
            }
        }
    });
    plane
}

/// For each pixel the id of its brightest object, 0 for sky, [`IGNORED`] between the two.
pub(super) fn segmentation(objects: &[Vec<Blob>], ids: &[u32], noise: f32, width: usize, height: usize) -> Plane<u32> {
    let extents: Vec<Extent> = objects.iter().map(|o| Extent::of(o)).collect();
    let mut plane = Plane::filled(width, height, 0u32);
    plane.pixels_mut().par_chunks_mut(STRIP * width).enumerate().for_each(|(k, owner)| {
        let (first, last) = (k * STRIP, k * STRIP + owner.len() / width);
        let (mut sum, mut best) = (vec![0f32; owner.len()], vec![0f32; owner.len()]);
        let mut alone = Vec::new();
        for ((blobs, extent), &id) in objects.iter().zip(&extents).zip(ids) {
            let Some((low, high)) = extent.clip_rows(first, last) else { continue };
            let Some((left, right)) = extent.clip_columns(width) else { continue };
            for y in low..high {
                alone.clear();
                alone.resize(right - left, 0f32);
                for blob in blobs {
                    blob.add_row(y, left, &mut alone);
                }
                let from = (y - first) * width + left;
                for (i, &value) in alone.iter().enumerate() {
                    sum[from + i] += value;
                    if value > best[from + i] {
                        best[from + i] = value;
                        owner[from + i] = id;
                    }
                }
            }
        }
        for (id, sum) in owner.iter_mut().zip(&sum) {
            let snr = sum / noise;
            *id = if snr > OWNED_SNR {
                *id
            } else if snr > IGNORED_SNR {
                IGNORED
            } else {
                0
            };
        }
    });
    plane
}

/// The rows and columns that an object reaches.
#[derive(Clone, Copy, Debug)]
struct Extent {
    x: [f64; 2],
    y: [f64; 2],
}

impl Extent {
    fn of(blobs: &[Blob]) -> Self {
        let mut all = Self { x: [f64::MAX, f64::MIN], y: [f64::MAX, f64::MIN] };
        for b in blobs {
            let reach = b.reach();
            let (dy, dx) = (reach * b.across.sqrt(), reach * (b.along + b.slope * b.slope * b.across).sqrt());
            all.x = [all.x[0].min(b.x - dx), all.x[1].max(b.x + dx)];
            all.y = [all.y[0].min(b.y - dy), all.y[1].max(b.y + dy)];
        }
        all
    }

    fn clip_rows(&self, first: usize, last: usize) -> Option<(usize, usize)> {
        clip(self.y, first, last)
    }

    fn clip_columns(&self, width: usize) -> Option<(usize, usize)> {
        clip(self.x, 0, width)
    }
}

/// Whole pixels of `range` within `first..last`.
fn clip(range: [f64; 2], first: usize, last: usize) -> Option<(usize, usize)> {
    let low = range[0].floor().max(first as f64);
    let high = (range[1].ceil() + 1.0).min(last as f64);
    (low < high).then_some((low as usize, high as usize))
}

impl Blob {
    /// Radius in sigmas at which the floor is met.
    fn reach(&self) -> f64 {
        if self.peak > self.floor { (2.0 * (self.peak / self.floor).ln()).sqrt() } else { 0.0 }
    }

    /// Adds row `y` to `row`, whose first pixel is column `left`.
    fn add_row(&self, y: usize, left: usize, row: &mut [f32]) {
        let dy = y as f64 - self.y;
        let height = self.peak * (-0.5 * dy * dy / self.across).exp();
        if height <= self.floor {
            return;
        }
        let centre = self.x + self.slope * dy - left as f64;
        let half = (2.0 * self.along * (height / self.floor).ln()).sqrt();
        let Some((low, high)) = clip([(centre - half).ceil(), (centre + half).floor()], 0, row.len()) else {
            return;
        };
        let start = (low as f64 - centre) as f32;
        let (steepness, height) = ((-0.5 / self.along) as f32, height as f32);
        for (i, pixel) in row[low..high].iter_mut().enumerate() {
            let d = start + i as i32 as f32;
            *pixel += height * exp(steepness * d * d);
        }
    }
}

/// e^x to 3e-6 for -80 <= x <= 0, in a form that compilers vectorise.
fn exp(x: f32) -> f32 {
    // Adding 1.5 x 2^23 rounds to a whole number and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let t = x * LOG2_E;
    let rounded = t + ROUND;
    let f = t - (rounded - ROUND);
    let p = 1.0 + f * (LN_2 + f * (0.240_226_5 + f * (0.055_504_11 + f * (0.009_618_129 + f * 0.001_333_355_8))));
    p * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_fast_exponential_is_one() {
        for k in 0..8000 {
            let x = -0.01 * k as f32;
            assert!((super::exp(x) / x.exp() - 1.0).abs() < 1e-5, "{x}");
        }
    }
}
