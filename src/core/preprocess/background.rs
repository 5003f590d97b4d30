//! The smooth sky of a band, SExtractor's way (Bertin & Arnouts 1996, section 3): the mode of the clipped
//! histogram of each mesh, a 3x3 median over the meshes, a bicubic spline through them.
//!
//! Counts are whole numbers, often .1-.3 sigma apart, and the mode and median of such values jump from step to
//! step: by up to .17 sigma over a frame, which a matched filter multiplies by five. One step of uniform dither
//! in the estimate, never in the data, takes that to .01-.05 sigma.

use rayon::prelude::*;

use super::Settings;
use super::spline::Natural;
use crate::frame::{Plane, mask};
use crate::median::median;

/// Values at the centres of the meshes.
#[derive(Clone, Debug)]
pub(super) struct Background {
    mesh_px: usize,
    columns: usize,
    rows: usize,
    nodes: Vec<f64>,
}

/// Dither of one band: `width` nMgy from end to end, other values for another `key`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dither {
    pub(super) key: u32,
    pub(super) width: f32,
}

impl Dither {
    /// The dither of band `b`.
    pub(super) fn new(settings: &Settings, b: usize, nmgy_per_dn: f64) -> Self {
        let mixed = (settings.dither_seed ^ (b as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .wrapping_mul(0xBF58_476D_1CE4_E5B9);
        Self { key: (mixed >> 32) as u32, width: (settings.dither_dn * nmgy_per_dn) as f32 }
    }

    /// Adds itself to pixels that follow each other from `index` on.
    fn add(&self, pixels: &[f32], index: usize, out: &mut [f32]) {
        for (i, (o, p)) in (index as u32..).zip(out.iter_mut().zip(pixels)) {
            *o = p + self.at(i);
        }
    }

    /// Uniform in `-width / 2..width / 2`, a function of the pixel's index alone (a 32-bit mix by C. Wellons).
    #[inline]
    pub(super) fn at(&self, index: u32) -> f32 {
        let mut h = index.wrapping_mul(0x9E37_79B9) ^ self.key;
        h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
        h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
        h ^= h >> 16;
        ((h >> 8) as i32 as f32 * (1.0 / 16_777_216.0) - 0.5) * self.width
    }
}

impl Background {
    /// Measures it on pixels that are usable; `None` where no mesh has half of its own.
    pub(super) fn measure(pixels: &Plane<f32>, bits: &Plane<u8>, mesh_px: usize, dither: Dither) -> Option<Self> {
        let (width, height) = (pixels.width(), pixels.height());
        let mesh_px = mesh_px.max(8); // a smaller mesh has no histogram
        let (columns, rows) = (width.div_ceil(mesh_px), height.div_ceil(mesh_px));
        let mode = |mesh: usize, values: &mut Vec<f32>, bins: &mut Vec<u32>| {
            let (x0, y0) = (mesh % columns * mesh_px, mesh / columns * mesh_px);
            let (x1, y1) = ((x0 + mesh_px).min(width), (y0 + mesh_px).min(height));
            values.clear();
            values.resize((x1 - x0) * (y1 - y0), 0.0);
            let mut n = 0;
            for y in y0..y1 {
                let row = &pixels.row(y)[x0..x1];
                let usable = bits.row(y)[x0..x1].iter().map(|m| m & mask::UNUSABLE == 0);
                dither.add(row, y * width + x0, &mut values[n..n + row.len()]);
                if usable.clone().all(|u| u) {
                    n += row.len();
                    continue;
                }
                let start = n;
                for (i, usable) in usable.enumerate() {
                    values[n] = values[start + i];
                    n += usize::from(usable);
                }
            }
            (2 * n >= values.len() && n > 0).then(|| mode(&values[..n], bins))
        };
        let modes: Vec<Option<f64>> = (0..columns * rows)
            .into_par_iter()
            .map_init(|| (Vec::new(), Vec::new()), |(values, bins), mesh| mode(mesh, values, bins))
            .collect();
        let nodes = median3x3(&fill(&modes, columns)?, columns, rows);
        Some(Self { mesh_px, columns, rows, nodes })
    }

    /// Median of the meshes.
    pub(super) fn level(&self) -> f64 {
        median(&mut self.nodes.clone()).unwrap_or(0.0)
    }

    /// Side of a mesh, px.
    pub(super) fn mesh_px(&self) -> usize {
        self.mesh_px
    }

    /// By how much an object may have lifted each mesh's sky, row by row: the most that it or one beside it lies above
    /// the median of all.
    pub(super) fn lifted(&self) -> Vec<f64> {
        let level = self.level();
        let near = |i: usize, n: usize| i.saturating_sub(1)..(i + 2).min(n);
        let lifted = |mesh: usize| {
            let (column, row) = (mesh % self.columns, mesh / self.columns);
            let beside = near(row, self.rows).flat_map(|r| &self.nodes[r * self.columns..][near(column, self.columns)]);
            (beside.fold(level, |highest, n| highest.max(*n)) - level).max(0.0)
        };
        (0..self.nodes.len()).map(lifted).collect()
    }

    /// Takes the sky away from every pixel.
    pub(super) fn subtract(&self, pixels: &mut Plane<f32>) {
        let width = pixels.width();
        let down: Vec<Natural> =
            (0..self.columns).map(|c| Natural::new((0..self.rows).map(|r| self.nodes[r * self.columns + c]))).collect();
        pixels.pixels_mut().par_chunks_mut(width.max(1)).enumerate().with_min_len(32).for_each(|(y, row)| {
            let y = self.mesh(y);
            Natural::new(down.iter().map(|spline| spline.at(y))).subtract(row, self.mesh_px);
        });
    }

    /// A pixel's place on the axis of mesh centres.
    fn mesh(&self, pixel: usize) -> f64 {
        (pixel as f64 + 0.5) / self.mesh_px as f64 - 0.5
    }
}

/// Mode of a mesh's values, not empty.
fn mode(values: &[f32], bins: &mut Vec<u32>) -> f64 {
    const SIGMAS: f64 = 5.0; // the histogram's half-width
    let mut sample: Vec<f64> = values.iter().step_by(values.len() / 64 + 1).map(|&v| f64::from(v)).collect();
    let pivot = median(&mut sample).unwrap_or(0.0) as f32;
    let (_, mean, sigma) = moments(values, f32::MIN, f32::MAX, pivot);
    let (n, mean, sigma) = moments(values, (mean - 2.0 * sigma) as f32, (mean + 2.0 * sigma) as f32, pivot);
    if n == 0.0 || sigma <= 1e-9 * mean.abs() || sigma == 0.0 {
        return mean;
    }
    // About four values in a bin near the mode of a Gaussian.
    let levels = (((2.0 / std::f64::consts::PI).sqrt() * SIGMAS / 4.0 * n) as usize + 1).min(4096);
    let scale = 2.0 * SIGMAS * sigma / levels as f64;
    let zero = mean - SIGMAS * sigma;
    bins.clear();
    bins.resize(levels, 0);
    let (inverse, offset) = ((1.0 / scale) as f32, (0.5 - zero / scale) as f32);
    for v in values {
        let bin = v * inverse + offset;
        if bin >= 0.0
            && let Some(count) = bins.get_mut(bin as usize)
        {
            *count += 1;
        }
    }
    let (mean, median, sigma) = clipped(bins);
    let mode = if sigma > 0.0 && (mean - median).abs() / sigma >= 0.3 {
        median // too crowded for the relation below
    } else {
        2.5 * median - 1.5 * mean
    };
    zero + scale * mode
}

/// Mean, median and sigma of a histogram, in bins, clipped at three sigma about the median until they settle.
fn clipped(bins: &[u32]) -> (f64, f64, f64) {
    // Running sums of count, count x bin, count x bin^2: any cut's moments are differences of two of them.
    let mut until = Vec::with_capacity(bins.len() + 1);
    let mut total = [0u64; 3];
    until.push(total);
    for (i, &count) in (0u64..).zip(bins) {
        let count = u64::from(count);
        total = [total[0] + count, total[1] + count * i, total[2] + count * i * i];
        until.push(total);
    }
    let (mut low, mut high, mut previous) = (0, bins.len(), f64::INFINITY);
    let (mut mean, mut median, mut sigma) = (0.0, 0.0, 0.0);
    for _ in 0..100 {
        let [n, sum, square] = [0, 1, 2].map(|k| (until[high][k] - until[low][k]) as f64);
        if n == 0.0 {
            break;
        }
        mean = sum / n;
        sigma = (square / n - mean * mean).max(0.0).sqrt();
        // The bin in which the count passes one half; a bin's values lie evenly within it.
        let half = until[low][0] as f64 + n / 2.0;
        let passed = until.partition_point(|u| (u[0] as f64) < half).clamp(1, bins.len());
        let (below, count) = (until[passed - 1][0] as f64, f64::from(bins[passed - 1]));
        median = passed as f64 - 1.5 + (half - below) / count.max(1.0);
        if sigma < 0.1 || (sigma / previous - 1.0).abs() < 1e-4 {
            break;
        }
        previous = sigma;
        low = ((median - 3.0 * sigma + 0.5).max(0.0) as usize).min(bins.len() - 1);
        high = ((median + 3.0 * sigma + 0.5).max(0.0) as usize + 1).clamp(low + 1, bins.len());
    }
    (mean, median, sigma)
}

/// Number, mean and standard deviation of the values within `low..=high`; `pivot` is anything near the mean, and
/// keeps squares small beside a pedestal.
fn moments(values: &[f32], low: f32, high: f32, pivot: f32) -> (f64, f64, f64) {
    const LANES: usize = 8; // independent sums: they vectorise, and their order is fixed
    const BLOCK: usize = 128; // short enough for single precision
    let (mut n, mut sum, mut square) = (0.0, 0.0, 0.0);
    for block in values.chunks(LANES * BLOCK) {
        let (mut ns, mut sums, mut squares) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
        let (whole, rest) = block.as_chunks::<LANES>();
        let mut last = [f32::NAN; LANES]; // within no bounds
        last[..rest.len()].copy_from_slice(rest);
        for chunk in whole.iter().chain([&last]) {
            for lane in 0..LANES {
                let v = chunk[lane];
                let kept = if (v >= low) & (v <= high) { 1.0 } else { 0.0 };
                let d = if (v >= low) & (v <= high) { v - pivot } else { 0.0 };
                ns[lane] += kept;
                sums[lane] += d;
                squares[lane] += d * d;
            }
        }
        let add = |lanes: [f32; LANES]| lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
        n += add(ns);
        sum += add(sums);
        square += add(squares);
    }
    if n == 0.0 {
        return (0.0, f64::from(pivot), 0.0);
    }
    let (mean, square) = (sum / n, square / n);
    (n, f64::from(pivot) + mean, (square - mean * mean).max(0.0).sqrt())
}

/// Gives a mesh without a value the mean of its nearest neighbours; `None` if there is no value at all.
fn fill(modes: &[Option<f64>], columns: usize) -> Option<Vec<f64>> {
    let place = |i: usize| ((i % columns) as i64, (i / columns) as i64);
    let nearest = |i: usize| {
        let (x, y) = place(i);
        let known = modes.iter().enumerate().filter_map(|(j, m)| {
            let (u, v) = place(j);
            m.map(|m| ((u - x).pow(2) + (v - y).pow(2), m))
        });
        let distance = known.clone().map(|k| k.0).min()?;
        let (n, sum) = known.filter(|k| k.0 == distance).fold((0.0, 0.0), |(n, s), k| (n + 1.0, s + k.1));
        Some(sum / n)
    };
    modes.iter().enumerate().map(|(i, m)| m.or_else(|| nearest(i))).collect()
}

/// Median of each mesh and its neighbours; at the edges the window shrinks symmetrically.
fn median3x3(nodes: &[f64], columns: usize, rows: usize) -> Vec<f64> {
    let reach = |i: usize, n: usize| usize::from(i > 0 && i + 1 < n);
    (0..nodes.len())
        .map(|i| {
            let (x, y) = (i % columns, i / columns);
            let (rx, ry) = (reach(x, columns), reach(y, rows));
            let mut window: Vec<f64> = (y - ry..=y + ry)
                .flat_map(|y| nodes[y * columns + x - rx..=y * columns + x + rx].iter().copied())
                .collect();
            median(&mut window).unwrap_or(0.0)
        })
        .collect()
}
