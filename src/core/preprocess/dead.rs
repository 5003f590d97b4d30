//! Dead and broken parts of a detector, by their noise. Light has photon noise, so a part without it has seen no light,
//! whatever its level: 0 after the sky was subtracted, a pedestal, or minus the sky. A part with far more noise than any
//! sky, below the sky as often as above it, is broken.
//!
//! A block's noise is that of the differences of neighbours, which neither level nor gradient reach. What live sky has
//! is the noise of the loudest 15 % of the frame that are alike and that gain and zero point allow: a dead half would be
//! the median. Coadds are deeper in parts, and galaxies and clouds light in parts; there objects are seen, which a dead
//! part has none of. Nor is a noise a fault that the survey's own variances state.

use super::no_data::areas;
use crate::frame::{Band, Plane, mask};
use crate::median::upper_median;

/// Side of a block, px.
const BLOCK_PX: usize = 16;
/// Blocks that make a part.
const FEWEST_BLOCKS: usize = 8;
/// A difference counts at most so many times that which one in ten exceeds.
const CLIP: f32 = 2.5;
/// Live sky: this share of the blocks...
const LIVE_SHARE: f64 = 0.15;
/// ...have the same noise to this factor.
const ALIKE: f32 = 1.35;
/// A dead block has less than this share of the live sky's photons.
const PHOTON_SHARE: f32 = 0.2;
/// It is quieter by this factor at least: where the detector's own noise is nearly all, that tells nothing.
const QUIETER: f32 = 1.6;
/// A light source is brighter than its block by this, in the block's noise, and its neighbour by half.
const SOURCE_SIGMA: f32 = 10.0;
/// A dead part has objects in at most one of its blocks, and in this share of them.
const SOURCE_SHARE: f64 = 0.02;
/// A broken block is louder than live sky by this factor...
const LOUD: f32 = 3.0;
/// ...and has this share of its pixels below the sky by so many of its sigma.
const LOW_SHARE: f64 = 0.08;
const LOW_SIGMA: f32 = 4.0;

/// What noise gain and zero point allow, nMgy a pixel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    /// Of the detector alone.
    pub(super) dark: f32,
    /// Under the faintest sky.
    pub(super) least: f32,
    /// Under the brightest sky.
    pub(super) most: f32,
}

/// Marks dead and broken parts as [`mask::NO_DATA`]; returns the noise of live sky, from differences of neighbours.
pub(super) fn mark(band: &mut Band, allowed: Allowed) -> Option<f32> {
    let noise = Noise::of(&band.pixels, &band.mask)?;
    let live = noise.live(allowed.most)?;
    let photons = (live * live - allowed.dark * allowed.dark).max(0.0);
    let quiet = (allowed.dark * allowed.dark + PHOTON_SHARE * photons).sqrt().min(allowed.least).min(live / QUIETER);
    let is_dead = |i: usize| noise.smooth(i).is_some_and(|n| n < quiet && !noise.is_stated(band, i, n, QUIETER));
    let dead: Vec<bool> = (0..noise.blocks.len()).map(is_dead).collect();
    for area in areas(&dead, noise.columns).into_iter().filter(|area| area.len() >= FEWEST_BLOCKS) {
        let lit = area.iter().filter(|i| noise.has_source(&band.pixels, **i, live)).count();
        if lit as f64 <= 1f64.max(SOURCE_SHARE * area.len() as f64) {
            noise.mark(&area, &mut band.mask);
        }
    }
    let loud = LOUD * live.max(allowed.most / LOUD);
    if noise.blocks.iter().flatten().any(|n| *n > loud) {
        let sky = noise.level(&band.pixels, |n| n < ALIKE * live && n > live / ALIKE)?;
        let is_broken = |i: usize| {
            let is_loud = noise.blocks[i].is_some_and(|n| n > loud && !noise.is_stated(band, i, n, LOUD));
            is_loud && noise.is_low(&band.pixels, i, sky, live)
        };
        let broken: Vec<bool> = (0..noise.blocks.len()).map(is_broken).collect();
        let parts = areas(&broken, noise.columns).into_iter();
        parts.filter(|area| area.len() >= FEWEST_BLOCKS).for_each(|area| noise.mark(&area, &mut band.mask));
    }
    Some(live)
}

/// Noise of each block of a band; `None` where too few of its pixels are usable.
struct Noise {
    columns: usize,
    blocks: Vec<Option<f32>>,
}

impl Noise {
    fn of(pixels: &Plane<f32>, bits: &Plane<u8>) -> Option<Self> {
        let (columns, rows) = (pixels.width() / BLOCK_PX, pixels.height() / BLOCK_PX);
        let mut steps = Vec::new();
        for y in (0..pixels.height()).step_by(7) {
            let row = pixels.row(y).windows(2).zip(bits.row(y).windows(2)).step_by(5);
            steps.extend(row.filter(|(_, m)| (m[0] | m[1]) & mask::UNUSABLE == 0).map(|(p, _)| (p[1] - p[0]).abs()));
        }
        // One that most of a dead frame does not reach.
        steps.sort_unstable_by(f32::total_cmp);
        let most = CLIP * steps.get(9 * steps.len() / 10).copied()?;
        let mut blocks = Vec::with_capacity(columns * rows);
        let (mut sums, mut counts) = (vec![0f32; columns], vec![0u32; columns]);
        for row in 0..rows {
            sums.fill(0.0);
            counts.fill(0);
            for y in row * BLOCK_PX..(row + 1) * BLOCK_PX {
                let parts = pixels.row(y).chunks_exact(BLOCK_PX).zip(bits.row(y).chunks_exact(BLOCK_PX));
                for ((pixels, bits), (sum, count)) in parts.zip(sums.iter_mut().zip(&mut counts)) {
                    for (p, m) in pixels.as_chunks::<2>().0.iter().zip(bits.as_chunks::<2>().0) {
                        let usable = (m[0] | m[1]) & mask::UNUSABLE == 0;
                        *sum += if usable { (p[1] - p[0]).abs().min(most) } else { 0.0 };
                        *count += u32::from(usable);
                    }
                }
            }
            // The mean distance of two Gaussian values is 2 sigma over the root of pi.
            let noise = |(sum, n): (&f32, &u32)| {
                let enough = 4 * *n as usize >= BLOCK_PX * BLOCK_PX;
                enough.then(|| sum / *n as f32 * std::f32::consts::PI.sqrt() / 2.0)
            };
            blocks.extend(sums.iter().zip(&counts).map(noise));
        }
        Some(Self { columns, blocks })
    }

    /// Noise of live sky, at most `most` unless all is above that.
    fn live(&self, most: f32) -> Option<f32> {
        let mut all: Vec<f32> = self.blocks.iter().flatten().copied().filter(|n| *n > 0.0).collect();
        all.sort_by(f32::total_cmp);
        let fewest = (LIVE_SHARE * all.len() as f64).ceil().max(1.0) as usize;
        let loudest = |all: &[f32]| {
            (fewest..=all.len()).rev().find_map(|end| {
                let alike = &all[end - fewest..end];
                (alike[fewest - 1] < ALIKE * alike[0]).then(|| alike[fewest / 2])
            })
        };
        let allowed = &all[..all.partition_point(|n| *n < ALIKE * most)];
        loudest(allowed).or_else(|| loudest(&all))
    }

    /// Mean of a block and those beside it that are like it: one block's own noise is uncertain by 7 %.
    fn smooth(&self, i: usize) -> Option<f32> {
        let own = self.blocks[i]?;
        let (x, y) = (i % self.columns, i / self.columns);
        let near = |at: usize, n: usize| at.saturating_sub(1)..(at + 2).min(n);
        let beside = near(y, self.blocks.len() / self.columns)
            .flat_map(|y| near(x, self.columns).map(move |x| (x, y)))
            .filter_map(|(x, y)| self.blocks[y * self.columns + x])
            .filter(|n| *n < 1.25 * own && *n > own / 1.25);
        let (n, sum) = beside.fold((0.0, 0.0), |(n, sum), noise| (n + 1.0, sum + noise));
        Some(sum / n)
    }

    /// Whether the survey's own variances say that a block has this noise, to a factor: then it is no fault.
    fn is_stated(&self, band: &Band, i: usize, noise: f32, factor: f32) -> bool {
        let Some(variance) = &band.variance else { return false };
        let (mut n, mut sum) = (0.0, 0.0);
        for v in self.pixels(variance, i).flatten().filter(|v| v.is_finite() && **v > 0.0) {
            (n, sum) = (n + 1.0, sum + v);
        }
        let stated = (sum / n).sqrt();
        noise * factor > stated && noise < stated * factor
    }

    /// First column and row of a block.
    fn corner(&self, i: usize) -> (usize, usize) {
        (i % self.columns * BLOCK_PX, i / self.columns * BLOCK_PX)
    }

    fn pixels<'a>(&self, pixels: &'a Plane<f32>, i: usize) -> impl Iterator<Item = &'a [f32]> + Clone {
        let (x, y) = self.corner(i);
        (y..y + BLOCK_PX).map(move |y| &pixels.row(y)[x..x + BLOCK_PX])
    }

    /// Whether a block shows light: two pixels beside each other that are far brighter than the rest.
    fn has_source(&self, pixels: &Plane<f32>, i: usize, live: f32) -> bool {
        let mut all: Vec<f32> = self.pixels(pixels, i).flatten().copied().filter(|p| p.is_finite()).collect();
        let Some(level) = upper_median(&mut all, f32::total_cmp) else { return false };
        let by = SOURCE_SIGMA * self.blocks[i].unwrap_or(live).max(0.1 * live);
        let is_source = |w: &[f32]| w[0].max(w[1]) > level + by && w[0].min(w[1]) > level + by / 2.0;
        // A row that is bright all along is the part's border.
        let is_border = |row: &[f32]| 4 * row.iter().filter(|p| **p > level + by / 2.0).count() > 3 * BLOCK_PX;
        self.pixels(pixels, i).any(|row| row.windows(2).any(is_source) && !is_border(row))
    }

    /// Whether many of a block's pixels are below the sky.
    fn is_low(&self, pixels: &Plane<f32>, i: usize, sky: f32, live: f32) -> bool {
        let low = self.pixels(pixels, i).flatten().filter(|p| **p < sky - LOW_SIGMA * live).count();
        low as f64 > LOW_SHARE * (BLOCK_PX * BLOCK_PX) as f64
    }

    /// Median of the pixels of blocks of such noise.
    fn level(&self, pixels: &Plane<f32>, is: impl Fn(f32) -> bool) -> Option<f32> {
        let blocks = (0..self.blocks.len()).filter(|i| self.blocks[*i].is_some_and(&is));
        let mut sample: Vec<f32> =
            blocks.flat_map(|i| self.pixels(pixels, i).flat_map(|row| row.iter().step_by(5))).copied().collect();
        upper_median(&mut sample, f32::total_cmp)
    }

    /// Marks blocks, and as much about them: one across a part's border may not show.
    fn mark(&self, area: &[usize], bits: &mut Plane<u8>) {
        let (width, height) = (bits.width(), bits.height());
        let reach = |at: usize, length: usize| {
            let end = at + 2 * BLOCK_PX;
            // The frame's last rows and columns belong to no block.
            at.saturating_sub(BLOCK_PX)..if end + BLOCK_PX > length { length } else { end }
        };
        for &i in area {
            let (x, y) = self.corner(i);
            for y in reach(y, height) {
                bits.row_mut(y)[reach(x, width)].iter_mut().for_each(|m| *m |= mask::NO_DATA);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::preprocess::streaks::tests::noise;

    const ALLOWED: Allowed = Allowed { dark: 0.3, least: 0.5, most: 2.2 };

    /// Noise of 1 with 300 stars; where `is`, noise of `sigma` about `level`.
    fn field(seed: u64, sigma: f32, level: f32, is: impl Fn(usize, usize) -> bool) -> Band {
        let mut band = noise((640, 520), seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..300 {
            let (cx, cy) = (rng.random_range(9..631usize), rng.random_range(9..511usize));
            let peak = 10f32.powf(rng.random_range(0.7..3.0));
            for (y, x) in (cy - 8..cy + 9).flat_map(|y| (cx - 8..cx + 9).map(move |x| (y, x))) {
                let r2 = (x as f32 - cx as f32).powi(2) + (y as f32 - cy as f32).powi(2);
                band.pixels.set(x, y, band.pixels.at(x, y) + peak * (-r2 / 4.0).exp());
            }
        }
        for y in 0..520 {
            for x in (0..640).filter(|&x| is(x, y)) {
                let v: f32 = StandardNormal.sample(&mut rng);
                band.pixels.set(x, y, level + sigma * v);
            }
        }
        band
    }

    #[test]
    fn parts_without_photons_are_dead_at_any_level_and_loud_ones_are_broken() {
        type Part = fn(usize, usize) -> bool;
        let parts: [Part; 6] = [
            |x, _| x < 320,
            |x, y| x >= 320 && y < 260,
            |x, _| (200..245).contains(&x),
            |x, y| x > 256 && y > 256,
            |x, _| x >= 160,
            |_, y| y > 430,
        ];
        for (seed, is) in (0..).zip(parts) {
            for (sigma, level) in [(0.3, 0.0), (0.3, -24.0), (0.05, 300.0), (0.3, 5.0), (0.35, 0.0), (15.0, 0.0)] {
                let broken = sigma > 1.0;
                let mut band = field(seed, sigma, level, is);
                let live = mark(&mut band, ALLOWED).unwrap();
                assert!((0.9..1.5).contains(&live), "{seed} {sigma} {level}: live {live}");
                let (mut missed, mut beyond) = (0, 0);
                for y in 0..520 {
                    for x in 0..640 {
                        let marked = band.mask.at(x, y) & mask::NO_DATA != 0;
                        missed += usize::from(is(x, y) && !marked);
                        let near = [-32isize, 0, 32].iter().any(|dx| {
                            [-32isize, 0, 32]
                                .iter()
                                .any(|dy| is((x as isize + dx).max(0) as usize, (y as isize + dy).max(0) as usize))
                        });
                        beyond += usize::from(!near && marked);
                    }
                }
                let enough = if broken { 2000 } else { 300 };
                assert!(missed < enough && beyond == 0, "{seed} {sigma} {level}: {missed} missed, {beyond} beyond");
            }
        }
    }

    #[test]
    fn live_skies_of_any_depth_are_left() {
        for seed in 0..8 {
            let mut band = field(40 + seed, 0.0, 0.0, |_, _| false);
            mark(&mut band, ALLOWED);
            assert!(band.mask.pixels().iter().all(|m| *m == 0));
            // A quarter of sixteen times the depth: it shows its stars.
            for y in 0..260 {
                for x in 0..320 {
                    let v = band.pixels.at(x, y);
                    band.pixels.set(x, y, if v < 4.0 { v / 4.0 } else { v });
                }
            }
            mark(&mut band, Allowed { dark: 0.0, ..ALLOWED });
            assert!(band.mask.pixels().iter().all(|m| *m == 0), "{seed}");
        }
    }
}
