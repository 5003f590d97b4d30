//! A second look at the sky, once objects are known. The first background ([`super::background`]) is a mode in which faint
//! wings still have a say: a few hundredths of a sigma, which a matched filter multiplies by five. So noise was found above
//! a threshold more often than the sign-flipped frame said. Here the mean of what is left is taken away, band by band, on
//! the registered planes alone: fluxes are measured with local skies of their own.

use rayon::prelude::*;

use crate::frame::{PerBand, Plane};
use crate::median::median;

/// Side of a box, px; boxes fill the frame evenly.
const BOX_PX: usize = 128;
/// Values beyond are no sky.
const CLIP_SIGMA: f32 = 4.0;
/// A box with less sky has no value of its own.
const FREE_SHARE: f64 = 0.2;

/// Takes the mean of the pixels that are not `occupied` from planes in units of their noise. Pixels that are 0 have no
/// measurement, and stay so.
pub(super) fn subtract(registered: &mut PerBand<Plane<f32>>, occupied: &Plane<bool>) {
    registered.par_iter_mut().for_each(|plane| {
        if let Some(nodes) = Nodes::of(plane, occupied) {
            nodes.subtract(plane);
        }
    });
}

/// The sky at the centres of boxes, row by row.
struct Nodes {
    columns: Vec<usize>,
    rows: Vec<usize>,
    values: Vec<f64>,
}

impl Nodes {
    /// `None` where no box shows enough sky.
    fn of(plane: &Plane<f32>, occupied: &Plane<bool>) -> Option<Self> {
        let (columns, rows) = (edges(plane.width()), edges(plane.height()));
        let mut values = Vec::new();
        for y in rows.windows(2) {
            for x in columns.windows(2) {
                let (mut n, mut sum) = (0usize, 0.0);
                for row in y[0]..y[1] {
                    let pixels = plane.row(row)[x[0]..x[1]].iter().zip(&occupied.row(row)[x[0]..x[1]]);
                    for (&v, _) in pixels.filter(|(v, occupied)| !**occupied && **v != 0.0 && v.abs() < CLIP_SIGMA) {
                        n += 1;
                        sum += f64::from(v);
                    }
                }
                let area = (y[1] - y[0]) * (x[1] - x[0]);
                values.push(if n as f64 > FREE_SHARE * area as f64 { sum / n as f64 } else { f64::NAN });
            }
        }
        let middle = median(&mut values.iter().copied().filter(|v| v.is_finite()).collect::<Vec<_>>())?;
        values.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = middle);
        let smooth = median3x3(&values, columns.len() - 1);
        values.iter_mut().zip(smooth).for_each(|(v, m)| *v = 0.5 * (*v + m));
        Some(Self { columns, rows, values })
    }

    /// Bilinear between the boxes' centres, and constant beyond.
    fn subtract(&self, plane: &mut Plane<f32>) {
        let across: Vec<(usize, usize, f32)> = (0..plane.width()).map(|x| between(&self.columns, x)).collect();
        let n = self.columns.len() - 1;
        for y in 0..plane.height() {
            let (above, below, share) = between(&self.rows, y);
            let node = |c: usize| {
                let (a, b) = (self.values[above * n + c] as f32, self.values[below * n + c] as f32);
                a + share * (b - a)
            };
            let nodes: Vec<f32> = (0..n).map(node).collect();
            for (v, &(left, right, share)) in plane.row_mut(y).iter_mut().zip(&across).filter(|(v, _)| **v != 0.0) {
                *v -= nodes[left] + share * (nodes[right] - nodes[left]);
            }
        }
    }
}

/// Where boxes begin and end along an axis.
fn edges(length: usize) -> Vec<usize> {
    let boxes = ((length as f64 / BOX_PX as f64).round() as usize).max(1);
    (0..=boxes).map(|i| i * length / boxes).collect()
}

/// The boxes whose centres lie about a pixel, and its share of the way from the first to the second.
fn between(edges: &[usize], pixel: usize) -> (usize, usize, f32) {
    let centre = |i: usize| 0.5 * (edges[i] + edges[i + 1]) as f32 - 0.5;
    let last = edges.len() - 2;
    let next = (0..=last).find(|&i| centre(i) >= pixel as f32).unwrap_or(last);
    let before = next.saturating_sub(1);
    let (from, to) = (centre(before), centre(next));
    let share = if to > from { ((pixel as f32 - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 };
    (before, next, share)
}

/// Median of each box and its neighbours, the nearest ones repeated beyond the rim.
fn median3x3(values: &[f64], columns: usize) -> Vec<f64> {
    let rows = values.len() / columns;
    let near = |i: usize, n: usize| [i.saturating_sub(1), i, (i + 1).min(n - 1)];
    let of = |i: usize| {
        let (x, y) = (i % columns, i / columns);
        let around = near(y, rows).into_iter().flat_map(|y| near(x, columns).map(|x| values[y * columns + x]));
        median(&mut around.collect::<Vec<_>>()).unwrap_or_default()
    };
    (0..values.len()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// A tilted sky under noise and a bright object: what is left of the sky is a hundredth of sigma.
    #[test]
    fn a_tilted_sky_is_taken_away_and_an_object_is_not() {
        let (width, height) = (512, 400);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let tilt = |x: usize, y: usize| 0.06 + 1e-4 * x as f32 - 1.5e-4 * y as f32;
        let noise = |i: usize, rng: &mut ChaCha8Rng| -> f32 {
            let unit: f32 = StandardNormal.sample(rng);
            unit + tilt(i % width, i / width)
        };
        let pixels = (0..width * height).map(|i| noise(i, &mut rng)).collect();
        let mut plane = Plane::from_pixels(width, height, pixels);
        let mut occupied = Plane::filled(width, height, false);
        for y in 100..160 {
            plane.row_mut(y)[200..260].iter_mut().for_each(|v| *v += 20.0);
            occupied.row_mut(y)[200..260].fill(true);
        }
        (0..width).for_each(|x| plane.set(x, 7, 0.0));
        let before = plane.clone();
        let mut planes =
            [plane.clone(), plane.clone(), plane.clone(), plane.clone(), Plane::filled(width, height, 0.0)];
        subtract(&mut planes, &occupied);
        let mut worst = 0.0f32;
        for y in 0..height {
            for x in 0..width {
                let taken = before.at(x, y) - planes[2].at(x, y);
                worst = if y == 7 { worst } else { worst.max((taken - tilt(x, y)).abs()) };
            }
        }
        // A box of 128 px squared has an error of .008; half a box beyond the last centre the tilt is not followed.
        assert!(worst < 0.04, "{worst}");
        assert!(planes[2].row(7).iter().all(|v| *v == 0.0), "no measurement stays none");
        assert!(planes[4].pixels().iter().all(|v| *v == 0.0), "a band that was not taken stays empty");
    }
}
