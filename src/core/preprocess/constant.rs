//! Adjacent pixels of one exact value: what noise does not do. A fill of 0 or any other value, a dead amplifier,
//! column or row, a plateau where a detector clips.
//!
//! How many equal neighbours are too many depends on how coarse the counts are: where two neighbours are equal with
//! probability p, a run of n is expected p^(n-1) times a pixel. SDSS's counts are .1 to .3 sigma apart (p = .05) and
//! its longest runs in 40 real bands have 13.

use std::ops::Range;

use crate::frame::{Plane, mask};

/// A constant block this many sigma above the level may be a clipped core.
const CLIPPED_SIGMA: f32 = 20.0;
/// Largest side of a clipped core, px, that is not above saturation.
const CORE_PX: usize = 128;
/// Light beside a clipped core is its star's: more than this share of its own...
const WING_SHARE: f32 = 0.1;
/// ...on more than this share of its sides; a fill has the sky beside it.
const WINGED: f64 = 0.2;
/// Rows narrower than this may be bleeding, which has no wings, where the whole is so many times as high as wide, px.
const NARROW_PX: usize = 8;
const LONG: usize = 3;
/// Shortest run, along a row or column, that is no chance, px: longer where counts are coarse.
const SHORTEST_RUN_PX: usize = 16;
/// Smallest square, px on a side.
const SMALLEST_SQUARE_PX: usize = 4;
/// Runs that chance may make in a frame.
const EXPECTED: f64 = 1e-4;

/// Pixels that are asked for the chance of equal neighbours, about.
const SAMPLE_PX: usize = 400_000;
/// Where neighbours are equal more often than this, equal values hang together over the whole frame by chance.
const SPARSE: f64 = 0.3;

/// Marks blocks of one exact value as [`mask::NO_DATA`], or as [`mask::SAT`] where they are the cores of stars: far above
/// the sky's `level` and `sigma`, with the star's wings about them.
pub(super) fn mark_constant_blocks(pixels: &Plane<f32>, bits: &mut Plane<u8>, level: f32, sigma: f32) {
    let (width, height) = (pixels.width(), pixels.height());
    let chance = chance_of_equals(pixels);
    let run = shortest_run(chance, pixels.pixels().len());
    let side = SMALLEST_SQUARE_PX.max((run as f64).sqrt().ceil() as usize);
    let mut blocks = Blocks { pixels, bits, level, sigma, spread: chance < SPARSE, cores: Vec::new() };
    // A run of 2n holds two columns that are multiples of n, so only those are asked.
    let step = run / 2;
    for y in 0..height {
        let row = pixels.row(y);
        for x in (0..width.saturating_sub(step)).step_by(step) {
            if row[x] == row[x + step] && blocks.is_new(x, y) {
                let equal = run_about(|i| row.get(i).copied(), x);
                if equal.len() >= run {
                    blocks.mark(equal.map(|x| (x, y)).collect());
                }
            }
        }
    }
    for y in (0..height.saturating_sub(step)).step_by(step) {
        for (x, (p, q)) in pixels.row(y).iter().zip(pixels.row(y + step)).enumerate() {
            if p == q && blocks.is_new(x, y) {
                let equal = run_about(|i| (i < height).then(|| pixels.at(x, i)), y);
                if equal.len() >= run {
                    blocks.mark(equal.map(|y| (x, y)).collect());
                }
            }
        }
    }
    // A square holds one place whose column and row are multiples of its side.
    for y in (0..height).step_by(side) {
        for x in (0..width).step_by(side) {
            if blocks.is_new(x, y)
                && let Some((left, top)) = square_about(pixels, x, y, side)
            {
                blocks.mark((0..side * side).map(|i| (left + i % side, top + i / side)).collect());
            }
        }
    }
    for (x, y) in std::mem::take(&mut blocks.cores) {
        let bits = &mut blocks.bits.row_mut(y)[x];
        *bits = *bits & !mask::NO_DATA | mask::SAT;
    }
}

/// With which probability a run of equal values goes on, from the numbers of runs of one, two, three and four: a block
/// makes longer ones alone.
fn chance_of_equals(pixels: &Plane<f32>) -> f64 {
    const FEWEST: u32 = 30;
    let mut runs = [0u32; 5];
    let rows = (pixels.pixels().len() / SAMPLE_PX + 1).min(8);
    for y in (0..pixels.height()).step_by(rows) {
        let mut length = 1;
        for w in pixels.row(y).windows(2) {
            let goes_on = w[0] == w[1];
            runs[length * usize::from(!goes_on && length < runs.len())] += 1;
            length = if goes_on { length + 1 } else { 1 };
        }
    }
    let ratio = |k: usize| if runs[k] < FEWEST { 0.0 } else { f64::from(runs[k + 1]) / f64::from(runs[k]) };
    (1..4).map(ratio).fold(1e-3, f64::max)
}

/// Equal values in a row so long are expected less than [`EXPECTED`] times among so many pixels; an even number.
fn shortest_run(chance: f64, pixels: usize) -> usize {
    let run = 1.0 + (EXPECTED / (pixels as f64 + 1.0)).ln() / chance.min(0.99).ln();
    SHORTEST_RUN_PX.max(run.ceil() as usize).next_multiple_of(2)
}

/// The run of values equal to that at `i`.
fn run_about(at: impl Fn(usize) -> Option<f32>, i: usize) -> Range<usize> {
    let value = at(i);
    let after = (i + 1..).take_while(|&j| at(j) == value).count();
    let before = (0..i).rev().take_while(|&j| at(j) == value).count();
    i - before..i + 1 + after
}

/// First column and row of a square of equal values about (x, y).
fn square_about(pixels: &Plane<f32>, x: usize, y: usize, side: usize) -> Option<(usize, usize)> {
    let value = pixels.at(x, y);
    let equal = |x: usize, y: usize| pixels.get(x as isize, y as isize) == Some(value);
    if !((x > 0 && equal(x - 1, y)) || equal(x + 1, y)) {
        return None;
    }
    let (left, top) = (x.saturating_sub(side - 1), y.saturating_sub(side - 1));
    let corners = (top..=y).flat_map(|y| (left..=x).map(move |x| (x, y)));
    corners.into_iter().find(|&(left, top)| (top..top + side).all(|y| (left..left + side).all(|x| equal(x, y))))
}

struct Blocks<'a> {
    pixels: &'a Plane<f32>,
    bits: &'a mut Plane<u8>,
    level: f32,
    sigma: f32,
    /// Whether equal pixels that touch a block belong to it.
    spread: bool,
    /// Pixels of cores, which pass for NO_DATA until all is found.
    cores: Vec<(usize, usize)>,
}

impl Blocks<'_> {
    /// A pixel above saturation may be a fill's as well.
    fn is_open(&self, x: usize, y: usize) -> bool {
        self.bits.at(x, y) & (mask::BAD | mask::NO_DATA) == 0
    }

    fn is_new(&self, x: usize, y: usize) -> bool {
        self.is_open(x, y) && self.pixels.at(x, y).is_finite()
    }

    /// Marks equal pixels, and every other that equals them and touches them through such.
    fn mark(&mut self, mut found: Vec<(usize, usize)>) {
        let (width, height) = (self.pixels.width(), self.pixels.height());
        let Some(&first) = found.first() else { return };
        let value = self.pixels.at(first.0, first.1);
        let saturated = self.bits.at(first.0, first.1) & mask::SAT != 0;
        found.iter().for_each(|&(x, y)| self.bits.row_mut(y)[x] |= mask::NO_DATA);
        let mut next = 0;
        while let Some(&(x, y)) = found.get(next) {
            next += 1;
            let beside = [
                (x > 0).then(|| (x - 1, y)),
                (x + 1 < width).then_some((x + 1, y)),
                (y > 0).then(|| (x, y - 1)),
                (y + 1 < height).then_some((x, y + 1)),
            ];
            for (x, y) in beside.into_iter().flatten().filter(|_| self.spread) {
                if self.pixels.at(x, y) == value && self.is_open(x, y) {
                    self.bits.row_mut(y)[x] |= mask::NO_DATA;
                    found.push((x, y));
                }
            }
        }
        if value > self.level + CLIPPED_SIGMA * self.sigma && self.is_core(&mut found, value, saturated) {
            self.cores.append(&mut found);
        } else if saturated {
            found.iter().for_each(|&(x, y)| self.bits.row_mut(y)[x] &= !mask::SAT);
        }
    }

    /// Whether bright equal pixels are a star's core, with what bled from it: they have its wings beside them.
    fn is_core(&self, found: &mut [(usize, usize)], value: f32, saturated: bool) -> bool {
        found.sort_unstable_by_key(|&(x, y)| (y, x));
        let rows: Vec<(usize, usize, usize)> = found
            .chunk_by(|a, b| a.1 == b.1 && a.0 + 1 == b.0)
            .map(|row| (row[0].1, row[0].0, row[row.len() - 1].0))
            .collect();
        let (low, high) = rows.iter().fold((usize::MAX, 0), |(low, high), row| (low.min(row.1), high.max(row.2)));
        let (wide, tall) = (high + 1 - low, rows[rows.len() - 1].0 + 1 - rows[0].0);
        let wing = self.level + WING_SHARE * (value - self.level);
        let sides = |least: usize| {
            let thick = rows.iter().filter(move |(_, from, to)| to + 1 - from >= least);
            let beside = thick.flat_map(|&(y, from, to)| [(from as isize - 1, y), (to as isize + 1, y)]);
            beside.filter_map(|(x, y)| self.pixels.get(x, y as isize)).filter(|v| v.is_finite())
        };
        let is_long = tall >= LONG * wide || found.len() < wide * tall / LONG;
        let asked = sides(if is_long { NARROW_PX } else { 1 }).count();
        let winged = sides(if is_long { NARROW_PX } else { 1 }).filter(|v| *v > wing).count();
        if asked > 0 {
            return winged as f64 > WINGED * asked as f64;
        }
        // Bleeding alone, or with a star that is hardly wider.
        let small = wide < CORE_PX && tall < CORE_PX;
        small || (saturated && sides(1).filter(|v| *v > wing).count() > 2)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// Noise of `sigma` steps, in whole steps.
    fn counts(sigma: f64, seed: u64) -> Plane<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut noise = || -> f64 { StandardNormal.sample(&mut rng) };
        Plane::from_pixels(512, 512, (0..512 * 512).map(|_| (sigma * noise()).round() as f32).collect())
    }

    fn marked(pixels: &Plane<f32>) -> Plane<u8> {
        let mut bits = Plane::filled(pixels.width(), pixels.height(), 0);
        mark_constant_blocks(pixels, &mut bits, 1e6, 1.0);
        bits
    }

    #[test]
    fn coarse_counts_are_no_block() {
        for (seed, sigma) in (0..).zip([0.3, 0.5, 0.8, 1.0, 2.0, 5.0, 50.0]) {
            let n = marked(&counts(sigma, seed)).pixels().iter().filter(|m| **m != 0).count();
            assert_eq!(n, 0, "noise of {sigma} counts");
        }
    }

    #[test]
    fn a_block_of_any_value_is_found_to_its_last_pixel() {
        for value in [0.0, -9.0, 3.0, -999.0, 1e5] {
            let mut pixels = counts(4.0, 9);
            let inside = |x: usize, y: usize| {
                let (x, y) = (x as isize, y as isize);
                // A diamond, whose tips are one pixel wide; a square of 6; a line of 20.
                (x - 200).abs() + (y - 200).abs() < 40
                    || ((400..406).contains(&x) && (301..307).contains(&y))
                    || (y == 450 && (33..53).contains(&x))
            };
            for y in 0..512 {
                for x in (0..512).filter(|&x| inside(x, y)) {
                    pixels.set(x, y, value);
                }
            }
            let bits = marked(&pixels);
            let mut beyond = 0;
            for y in 0..512 {
                for x in 0..512 {
                    let marked = bits.at(x, y) == mask::NO_DATA;
                    assert!(marked || !inside(x, y), "{value} at {x} {y}");
                    beyond += usize::from(marked && !inside(x, y));
                }
            }
            assert!(beyond < 60, "{beyond} beyond the blocks of {value}"); // neighbours that are equal by chance
        }
    }

    /// A star of a width of 4 px, clipped at 60,000, and what bled from it; a rectangle of the same value without wings, small
    /// and large, and whether or not the value is above saturation.
    #[test]
    fn a_clipped_core_is_saturated_and_a_rectangle_is_no_data() {
        for above_saturation in [false, true] {
            let mut pixels = counts(4.0, 10);
            for y in 60..140 {
                for x in 20..100 {
                    let r2 = (x as f32 - 60.0).powi(2) + (y as f32 - 100.0).powi(2);
                    let light = pixels.at(x, y) + 4e5 * (-r2 / 32.0).exp();
                    pixels.set(x, y, light.min(60_000.0));
                }
            }
            (40..160).for_each(|y| pixels.row_mut(y)[59..62].fill(60_000.0));
            let blocks = [(300..306, 50..57), (200..330, 200..440)];
            for (rows, columns) in blocks.clone() {
                rows.for_each(|y| pixels.row_mut(y)[columns.clone()].fill(60_000.0));
            }
            let mut bits = pixels.map(|v| if above_saturation && v > 50_000.0 { mask::SAT } else { 0 });
            mark_constant_blocks(&pixels, &mut bits, 0.0, 4.0);
            for y in 0..512 {
                for x in (0..512).filter(|&x| pixels.at(x, y) == 60_000.0) {
                    let in_block = blocks.iter().any(|(rows, columns)| rows.contains(&y) && columns.contains(&x));
                    let right = if in_block { mask::NO_DATA } else { mask::SAT };
                    assert_eq!(bits.at(x, y), right, "{above_saturation}: {x} {y}");
                }
            }
        }
    }
}
