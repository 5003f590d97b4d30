//! Trails that are short or curved: narrow paths of lit blocks, told from a galaxy's disc or arm by being in one band alone.

use std::collections::HashSet;

use super::{BLOCKS_PX, EVEN, averaged, voters};
use crate::cramer::{cramer, determinant};
use crate::frame::{Band, Plane, mask};

/// Shortest path, px.
const SHORTEST_PX: f32 = 96.0;
/// Blocks along a path are looked at in groups of so many.
const STEP_BLOCKS: f32 = 2.0;
/// Of these groups so many are lit...
const FILLED: f32 = 0.85;
/// ...so many are narrower than this, blocks...
const THIN: (f32, f32) = (0.7, 4.0);
/// ...and so many lie as near to a parabola, blocks.
const SMOOTH: (f32, f32) = (0.8, 1.5);
/// A place is lit if nine pixels are on average so many sigma above those beside the path.
const LIT_SIGMA: f32 = 1.5;
/// Of the path's places that are dark in another band so many are lit in its own.
const OWN: f32 = 0.7;
/// The path is masked to where its profile is below this, sigma, or this share of its middle, and at most so far, px.
const FAINTEST_SIGMA: f32 = 0.5;
const FAINTEST_SHARE: f32 = 0.05;
const WIDEST_PX: usize = 24;

/// A place on a path, px, and the direction across the path there.
type Place = ((f32, f32), (f32, f32));

/// A narrow path: a place every four pixels.
#[derive(Clone, Debug)]
pub(in crate::preprocess) struct Path {
    points: Vec<Place>,
    half_width_px: f32,
}

/// Narrow paths in a background-subtracted band.
pub(in crate::preprocess) fn paths(band: &Band, sigma: f32) -> Vec<Path> {
    let blocks = averaged(band, sigma, BLOCKS_PX[0]);
    let mut left: HashSet<(i32, i32)> = voters(&blocks).into_iter().map(|(x, y)| (x as i32, y as i32)).collect();
    let mut starts: Vec<(i32, i32)> = left.iter().copied().collect();
    starts.sort_unstable();
    let mut found = Vec::new();
    for start in starts {
        if !left.remove(&start) {
            continue;
        }
        let (mut group, mut next) = (vec![start], 0);
        while let Some(&(x, y)) = group.get(next) {
            next += 1;
            let beside = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (x + dx, y + dy)));
            group.extend(beside.filter(|at| left.remove(at)));
        }
        if group.len() as f32 * BLOCKS_PX[0] as f32 >= SHORTEST_PX
            && let Some(points) = parabola(&group).and_then(|points| centred(band, sigma, points))
            && let Some(path) = measured(band, sigma, points)
        {
            found.push(path);
        }
    }
    found
}

/// Places along a narrow group of blocks; `None` where it is none.
fn parabola(group: &[(i32, i32)]) -> Option<Vec<Place>> {
    let n = group.len() as f32;
    let mean = |f: &dyn Fn(f32, f32) -> f32| group.iter().map(|&(x, y)| f(x as f32, y as f32)).sum::<f32>() / n;
    let (mx, my) = (mean(&|x, _| x), mean(&|_, y| y));
    let (xx, yy) = (mean(&|x, _| (x - mx).powi(2)), mean(&|_, y| (y - my).powi(2)));
    let xy = mean(&|x, y| (x - mx) * (y - my));
    let (sin, cos) = (0.5 * (2.0 * xy).atan2(xx - yy)).sin_cos();
    let turned: Vec<(f32, f32)> = group
        .iter()
        .map(|&(x, y)| (x as f32 - mx, y as f32 - my))
        .map(|(x, y)| (x * cos + y * sin, y * cos - x * sin))
        .collect();
    let from = turned.iter().map(|p| p.0).fold(f32::INFINITY, f32::min);
    let to = turned.iter().map(|p| p.0).fold(f32::NEG_INFINITY, f32::max);
    let block = BLOCKS_PX[0] as f32;
    if (to - from) * block < SHORTEST_PX {
        return None;
    }
    let steps = ((to - from) / STEP_BLOCKS) as usize + 1;
    let mut across = vec![Vec::new(); steps];
    turned.iter().for_each(|p| across[((p.0 - from) / STEP_BLOCKS) as usize].push(p.1));
    let mut middles = Vec::new();
    let mut thin = 0;
    for (step, values) in across.iter_mut().enumerate().filter(|s| !s.1.is_empty()) {
        values.sort_by(f32::total_cmp);
        thin += usize::from(values[values.len() - 1] - values[0] < THIN.1);
        middles.push((from + (step as f32 + 0.5) * STEP_BLOCKS, values[values.len() / 2]));
    }
    let share = |count: usize, of: usize| count as f32 / of as f32;
    if share(middles.len(), steps) < FILLED || share(thin, middles.len()) < THIN.0 {
        return None;
    }
    let [a, b, c] = fitted(&middles)?;
    let curve = |u: f32| a + u * (b + u * c);
    let near = middles.iter().filter(|m| (m.1 - curve(m.0)).abs() < SMOOTH.1).count();
    if share(near, middles.len()) < SMOOTH.0 {
        return None;
    }
    let place = |u: f32| {
        let (v, slope) = (curve(u), b + 2.0 * c * u);
        let (x, y) = (mx + u * cos - v * sin, my + u * sin + v * cos);
        let norm = slope.hypot(1.0);
        let across = ((-sin - slope * cos) / norm, (cos - slope * sin) / norm);
        (((x + 0.5) * block - 0.5, (y + 0.5) * block - 0.5), across)
    };
    Some((0..=((to - from + 2.0) as usize)).map(|i| place(from - 1.0 + i as f32)).collect())
}

/// The parabola through points, by least squares, far ones left out.
fn fitted(points: &[(f32, f32)]) -> Option<[f32; 3]> {
    let mut kept = points.to_vec();
    let mut found = [0.0; 3];
    for _ in 0..3 {
        let sum = |f: &dyn Fn(f64, f64) -> f64| kept.iter().map(|p| f(f64::from(p.0), f64::from(p.1))).sum::<f64>();
        let s: [f64; 5] = [0, 1, 2, 3, 4].map(|k| sum(&|u, _| u.powi(k)));
        let t: [f64; 3] = [0, 1, 2].map(|k| sum(&|u, v| v * u.powi(k)));
        let matrix = [[s[0], s[1], s[2]], [s[1], s[2], s[3]], [s[2], s[3], s[4]]];
        if kept.len() < 5 || determinant(&matrix).abs() < 1e-9 {
            return None;
        }
        found = cramer(&matrix, &t)?.map(|v| v as f32);
        let [a, b, c] = found;
        let miss = |p: &(f32, f32)| (p.1 - a - p.0 * (b + p.0 * c)).abs();
        let mut misses: Vec<f32> = kept.iter().map(miss).collect();
        let half = misses.len() / 2;
        let limit = 3.0 * misses.select_nth_unstable_by(half, f32::total_cmp).1.max(0.5);
        kept.retain(|p| miss(p) <= limit);
    }
    Some(found)
}

/// Mean of nine pixels, sigma, none counted as more than 5; `None` where none is there. Saturated ones are light too.
fn about(band: &Band, sigma: f32, at: (f32, f32)) -> Option<f32> {
    let (x, y) = (at.0.round() as isize, at.1.round() as isize);
    let near = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (x + dx, y + dy)));
    let usable = near.filter(|&(x, y)| band.mask.get(x, y).is_some_and(|m| m & (mask::BAD | mask::NO_DATA) == 0));
    let (n, sum) = usable.fold((0.0, 0.0), |(n, sum), (x, y)| {
        (n + 1.0, sum + (band.pixels.at(x as usize, y as usize) / sigma).clamp(-5.0, 20.0))
    });
    (n > 0.0).then(|| sum / n)
}

/// The path moved onto its light: blocks tell where it is to a few pixels.
fn centred(band: &Band, sigma: f32, mut points: Vec<Place>) -> Option<Vec<Place>> {
    const NEAR_PX: i32 = 6;
    let beside = |at: &Place, d: f32| about(band, sigma, (at.0.0 + d * at.1.0, at.0.1 + d * at.1.1)).unwrap_or(0.0);
    let brightest = |at: &Place| {
        let lights = (-NEAR_PX..=NEAR_PX).map(|d| (d as f32, beside(at, d as f32)));
        lights.fold((0.0, f32::MIN), |best, l| if l.1 > best.1 { l } else { best }).0
    };
    let off: Vec<(f32, f32)> = points.iter().enumerate().map(|(i, at)| (i as f32, brightest(at))).collect();
    let [a, b, c] = fitted(&off)?;
    for (i, ((x, y), (ax, ay))) in points.iter_mut().enumerate() {
        let d = a + i as f32 * (b + i as f32 * c);
        (*x, *y) = (*x + d * *ax, *y + d * *ay);
    }
    Some(points)
}

/// The path with its width; `None` where it bleeds, or is lit unevenly.
fn measured(band: &Band, sigma: f32, points: Vec<Place>) -> Option<Path> {
    let beside = |at: &Place, d: f32| (at.0.0 + d * at.1.0, at.0.1 + d * at.1.1);
    let quantile = |d: f32, of: usize| {
        let mut values: Vec<f32> = points.iter().filter_map(|p| about(band, sigma, beside(p, d))).collect();
        values.sort_by(f32::total_cmp);
        values.get(values.len() * of / 4).copied().unwrap_or(0.0)
    };
    // Where objects lie beside the path, its profile ends on their light.
    let floor = [-1.0, 1.0].map(|side| quantile(side * WIDEST_PX as f32, 2).max(0.0));
    let faint = FAINTEST_SIGMA.max(FAINTEST_SHARE * quantile(0.0, 2));
    let is_dark = |d: &usize| quantile(*d as f32, 2) < floor[1] + faint && quantile(-(*d as f32), 2) < floor[0] + faint;
    let half_width_px = (1..=WIDEST_PX).find(is_dark)? as f32 + 2.0;
    let is_upright = points.iter().all(|p| p.1.1.abs() < 0.05);
    let is_saturated = |p: &Place| {
        let (x, y) = (p.0.0.round() as isize, p.0.1.round() as isize);
        (-3..=3).any(|dx| band.mask.get(x + dx, y).is_some_and(|m| m & mask::SAT != 0))
    };
    let bleeds = is_upright && points.iter().any(is_saturated);
    (!bleeds && quantile(0.0, 1) > EVEN * quantile(0.0, 3)).then_some(Path { points, half_width_px })
}

impl Path {
    /// Which of its places are lit in a band whose pixels lie off by `step`; `None` for a place that the band does not show.
    fn lit(&self, band: &Band, sigma: f32, step: (isize, isize)) -> Vec<Option<bool>> {
        let side = self.half_width_px + 3.0;
        let contrast = |((x, y), (ax, ay)): &Place| {
            let at = |d: f32| about(band, sigma, (x + step.0 as f32 + d * ax, y + step.1 as f32 + d * ay));
            let on = at(0.0)?;
            let around = [at(-side), at(side)].into_iter().flatten().fold(f32::INFINITY, f32::min);
            Some(on - if around.is_finite() { around.max(0.0) } else { 0.0 } > LIT_SIGMA)
        };
        self.points.iter().map(contrast).collect()
    }

    /// Whether its band alone shows it, with each other band's pixels, noise and step to them: it is lit where that one is
    /// dark, which that one is along half of it. Objects may lie under a trail.
    pub(in crate::preprocess) fn is_alone(&self, own: (&Band, f32), others: &[(&Band, f32, (isize, isize))]) -> bool {
        let own = self.lit(own.0, own.1, (0, 0));
        let (mut asked, mut shared) = (0, 0);
        for (band, sigma, step) in others {
            let other = self.lit(band, *sigma, *step);
            let both: Vec<(bool, bool)> = own.iter().zip(&other).filter_map(|(a, b)| a.zip(*b)).collect();
            if 2 * both.len() < own.len() {
                continue; // it does not show the half of it
            }
            let dark = both.iter().filter(|(_, there)| !there).count();
            let alone = both.iter().filter(|(here, there)| *here && !there).count();
            asked += 1;
            shared += usize::from(2 * dark < both.len() || (alone as f32) < OWN * dark as f32);
        }
        asked > 0 && shared == 0
    }

    /// Marks its pixels as [`mask::BAD`].
    pub(in crate::preprocess) fn mark(&self, bits: &mut Plane<u8>) {
        for (x, y) in self.pixels((bits.width(), bits.height())) {
            bits.row_mut(y)[x] |= mask::BAD;
        }
    }

    /// Its pixels, some of them twice.
    pub(in crate::preprocess) fn pixels(&self, (width, height): (usize, usize)) -> Vec<(usize, usize)> {
        let reach = self.half_width_px + 2.0;
        let mut found = Vec::new();
        for ((x, y), _) in &self.points {
            for j in (y - reach).max(0.0) as usize..((y + reach + 1.0).max(0.0) as usize).min(height) {
                for i in (x - reach).max(0.0) as usize..((x + reach + 1.0).max(0.0) as usize).min(width) {
                    if (i as f32 - x).hypot(j as f32 - y) <= reach {
                        found.push((i, j));
                    }
                }
            }
        }
        found
    }
}
