//! Frames far out of focus: each star is a ring, the image of the mirror with its hole. Rings are found as many objects
//! or as none, their fluxes and shapes are wrong, and no row shows it, so the frame is refused.
//!
//! Objects are groups of lit blocks that are as wide as high. A ring has less light in its middle than around it, in all
//! directions; a star, a galaxy, and a core that saturated have not.

use super::no_data::areas;
use super::streaks::averaged;
use crate::frame::{Band, Plane, mask};

/// Side of a block, px.
const BLOCK_PX: usize = 4;
/// An object's blocks are lit by so many of their own sigma.
const LIT_SIGMA: f32 = 5.0;
/// Blocks of an object.
const FEWEST_BLOCKS: usize = 6;
const MOST_BLOCKS: usize = 1500;
/// The middle has less than this share of the ring's light...
const HOLLOW: f32 = 0.6;
/// ...and each eighth of the ring more than this.
const EVEN: f32 = 0.35;
/// So many rings...
const FEWEST: usize = 12;
/// ...and this share of the objects make a frame that is out of focus.
const MOST_SHARE: f64 = 0.5;

/// How many objects of a background-subtracted band are rings, and of how many, where that shows a frame out of focus.
pub(super) fn rings(band: &Band, sigma: f32) -> Option<(usize, usize)> {
    let blocks = averaged(band, sigma, BLOCK_PX);
    let columns = blocks.width();
    let lit: Vec<bool> = blocks.pixels().iter().map(|v| *v > LIT_SIGMA).collect();
    let (mut objects, mut found) = (0, 0);
    for area in areas(&lit, columns.max(1)).iter().filter(|a| (FEWEST_BLOCKS..=MOST_BLOCKS).contains(&a.len())) {
        if let Some(is_ring) = is_ring(&band.pixels, &band.mask, area, columns, sigma) {
            objects += 1;
            found += usize::from(is_ring);
        }
    }
    (found >= FEWEST && found as f64 > MOST_SHARE * objects as f64).then_some((found, objects))
}

/// Whether an object is a ring; `None` where it cannot be told: it is not round, cut by a defect, or too faint.
fn is_ring(pixels: &Plane<f32>, bits: &Plane<u8>, area: &[usize], columns: usize, sigma: f32) -> Option<bool> {
    let bounds = |at: fn(usize, usize) -> usize| {
        area.iter().map(|i| at(*i, columns)).fold((usize::MAX, 0), |(low, high), v| (low.min(v), high.max(v + 1)))
    };
    let (x, y) = (bounds(|i, columns| i % columns), bounds(|i, columns| i / columns));
    let (wide, tall) = (x.1 - x.0, y.1 - y.0);
    if 2 * wide > 3 * tall || 2 * tall > 3 * wide {
        return None;
    }
    let (columns_px, rows_px) = (x.0 * BLOCK_PX..x.1 * BLOCK_PX, y.0 * BLOCK_PX..y.1 * BLOCK_PX);
    let places = || rows_px.clone().flat_map(|y| columns_px.clone().map(move |x| (x, y)));
    if places().any(|(x, y)| bits.at(x, y) & mask::UNUSABLE != 0) {
        return None;
    }
    let light = |(x, y): (usize, usize)| pixels.at(x, y).max(0.0);
    let sum: f32 = places().map(light).sum();
    let mean = |f: fn((usize, usize)) -> f32| places().map(|p| f(p) * light(p)).sum::<f32>() / sum;
    let (cx, cy) = (mean(|p| p.0 as f32), mean(|p| p.1 as f32));
    let radius = |(x, y): (usize, usize)| (x as f32 - cx).hypot(y as f32 - cy);
    // The ring's own radius is that of the light.
    let ring_px = places().map(|p| radius(p) * light(p)).sum::<f32>() / sum;
    let (mut middle, mut eighths) = ((0.0, 0u32), [(0.0, 0u32); 8]);
    for (x, y) in places() {
        let r = radius((x, y)) / ring_px;
        let into = if r < 0.35 {
            &mut middle
        } else if (0.75..1.25).contains(&r) {
            let turn = (y as f32 - cy).atan2(x as f32 - cx) / std::f32::consts::TAU + 0.5;
            &mut eighths[(8.0 * turn) as usize % 8]
        } else {
            continue;
        };
        *into = (into.0 + pixels.at(x, y), into.1 + 1);
    }
    let per_pixel = |(sum, n): (f32, u32)| sum / n.max(1) as f32;
    let ring = eighths.map(per_pixel);
    let typical = ring.iter().sum::<f32>() / 8.0;
    // Fainter, and noise alone would make the middle dark.
    if typical < sigma || middle.1 == 0 {
        return None;
    }
    Some(per_pixel(middle) < HOLLOW * typical && ring.iter().all(|v| *v > EVEN * typical))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::preprocess::streaks::tests::noise;

    /// 60 objects of this profile, up to a radius.
    fn objects(seed: u64, reach: f32, profile: impl Fn(f32) -> f32) -> Band {
        let mut band = noise((800, 700), seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..60 {
            let (cx, cy) = (rng.random_range(60.0..740.0f32), rng.random_range(60.0..640.0f32));
            let bright = 10f32.powf(rng.random_range(0.0..1.5));
            for y in 0..700 {
                for x in 0..800 {
                    let r = (x as f32 - cx).hypot(y as f32 - cy);
                    if r < reach {
                        band.pixels.set(x, y, band.pixels.at(x, y) + bright * profile(r));
                    }
                }
            }
        }
        band
    }

    #[test]
    fn rings_of_any_size_are_out_of_focus_and_stars_and_galaxies_are_not() {
        for (seed, outer, inner) in [(1, 7.0, 3.0), (2, 9.0, 4.0), (3, 16.0, 6.0), (4, 25.0, 9.0)] {
            let ring = |r: f32| 8.0 / (1.0 + ((r - outer) / 0.5).exp()) / (1.0 + ((inner - r) / 0.5).exp());
            let found = rings(&objects(seed, 60.0, ring), 1.0);
            assert!(found.is_some_and(|(rings, objects)| rings > 2 * objects / 3), "{outer}: {found:?}");
        }
        for (seed, width) in [(5, 1.5f32), (6, 3.0), (7, 8.0)] {
            assert_eq!(rings(&objects(seed, 60.0, |r| 200.0 * (-r * r / 2.0 / width.powi(2)).exp()), 1.0), None);
            assert_eq!(rings(&objects(seed, 60.0, |r| 50.0 * (-r / width).exp()), 1.0), None);
        }
    }
}
