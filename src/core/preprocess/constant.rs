//! Adjacent pixels of one exact value: what noise does not do. A fill of 0 or any other value, a dead amplifier,
//! column or row, a plateau where a detector clips.
//!
//! How many equal neighbours are too many depends on how coarse the counts are: where two neighbours are equal with
//! probability p, a run of n is expected p^(n-1) times a pixel. SDSS's counts are .1 to .3 sigma apart (p = .05) and
//! its longest runs in 40 real bands have 13.

use std::ops::Range;

use crate::frame::{Plane, mask};

/// A constant block this many sigma above the level, and small, is a clipped core, not a hole.
pub(super) const CLIPPED_SIGMA: f32 = 20.0;
/// Largest side of a clipped core, px.
const CORE_PX: usize = 128;
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

/// Marks blocks of one exact value as [`mask::NO_DATA`], or as [`mask::SAT`] where they are small and above
/// `clipped`.
pub(super) fn mark_constant_blocks(pixels: &Plane<f32>, bits: &mut Plane<u8>, clipped: f32) {
    let (width, height) = (pixels.width(), pixels.height());
    let chance = chance_of_equals(pixels);
    let run = shortest_run(chance, pixels.pixels().len());
    let side = SMALLEST_SQUARE_PX.max((run as f64).sqrt().ceil() as usize);
    let mut blocks = Blocks { pixels, bits, clipped, spread: chance < SPARSE };
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
    clipped: f32,
    /// Whether equal pixels that touch a block belong to it.
    spread: bool,
}

impl Blocks<'_> {
    fn is_new(&self, x: usize, y: usize) -> bool {
        self.bits.at(x, y) & mask::UNUSABLE == 0 && self.pixels.at(x, y).is_finite()
    }

    /// Marks equal pixels, and every other that equals them and touches them through such.
    fn mark(&mut self, mut found: Vec<(usize, usize)>) {
        let (width, height) = (self.pixels.width(), self.pixels.height());
        let Some(&first) = found.first() else { return };
        let value = self.pixels.at(first.0, first.1);
        found.iter().for_each(|&(x, y)| self.bits.row_mut(y)[x] |= mask::NO_DATA);
        let (mut low, mut high) = (first, first);
        let mut next = 0;
        while let Some(&(x, y)) = found.get(next) {
            next += 1;
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
            let beside = [
                (x > 0).then(|| (x - 1, y)),
                (x + 1 < width).then_some((x + 1, y)),
                (y > 0).then(|| (x, y - 1)),
                (y + 1 < height).then_some((x, y + 1)),
            ];
            for (x, y) in beside.into_iter().flatten().filter(|_| self.spread) {
                if self.pixels.at(x, y) == value && self.bits.at(x, y) & mask::UNUSABLE == 0 {
                    self.bits.row_mut(y)[x] |= mask::NO_DATA;
                    found.push((x, y));
                }
            }
        }
        if value > self.clipped && high.0 - low.0 < CORE_PX && high.1 - low.1 < CORE_PX {
            for (x, y) in found {
                let bits = &mut self.bits.row_mut(y)[x];
                *bits = *bits & !mask::NO_DATA | mask::SAT;
            }
        }
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
        mark_constant_blocks(pixels, &mut bits, 1e6);
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

    #[test]
    fn a_clipped_core_is_saturated() {
        let mut pixels = counts(4.0, 10);
        for y in 100..106 {
            pixels.row_mut(y)[50..57].fill(60_000.0);
        }
        let mut bits = Plane::filled(512, 512, 0);
        mark_constant_blocks(&pixels, &mut bits, 80.0);
        assert_eq!(bits.pixels().iter().filter(|m| **m == mask::SAT).count(), 42);
        assert_eq!(bits.pixels().iter().filter(|m| **m == mask::NO_DATA).count(), 0);
    }
}
