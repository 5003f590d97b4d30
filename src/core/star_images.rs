//! Whether a frame's objects look as a telescope at rest shows them. Where the tracking failed or the telescope was
//! moved, all are trailed in one direction, or each is there twice: such a frame's fluxes, shapes and classes are wrong
//! without a flag on any row, so the frame is refused.
//!
//! Galaxies lie in all directions, so the mean of the ellipticity vector over the bright objects,
//! `(a^2 - b^2) / (a^2 + b^2)` turned by twice the position angle, is the PSF's. A doubled frame shows in the vectors
//! from each object to those near it: one of them is far too frequent.

use std::collections::BTreeMap;

use crate::catalog::{Row, flag};

/// Objects that are asked have at least this S/N...
const LEAST_SN: f32 = 30.0;
/// ...and there are at least so many.
const FEWEST: usize = 12;
/// Largest mean ellipticity vector: that of a PSF whose axes are as 1 to .65.
pub const MOST_ELLIPTICAL: f64 = 0.4;
/// Two images of an object are nearer than this, px...
const REACH_PX: f64 = 60.0;
/// ...and their fluxes are within this factor.
const FLUX_RATIO: f32 = 4.0;
/// Vectors are counted in cells of this side, px.
const CELL_PX: f64 = 2.0;
/// Share of the objects that have another at one and the same vector.
pub const MOST_DOUBLED: f64 = 0.25;

/// What is wrong with the images of a frame's stars.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum StarImages {
    /// All point one way.
    #[error(
        "the {objects} bright objects are trailed: elongated {direction_deg:.0} deg from the rows, with a mean ellipticity of \
         {ellipticity:.2}, above {MOST_ELLIPTICAL}"
    )]
    Trailed {
        /// Objects that were asked.
        objects: usize,
        /// Length of the mean ellipticity vector.
        ellipticity: f64,
        /// Its direction, deg from +x to +y.
        direction_deg: f64,
    },
    /// Each is there twice.
    #[error(
        "{doubled} of {objects} bright objects are there twice, {x_px:.0} px along the rows and {y_px:.0} px along the columns apart"
    )]
    Doubled {
        /// Objects that were asked.
        objects: usize,
        /// Those with a second image.
        doubled: usize,
        /// Vector to it along the rows, px.
        x_px: f64,
        /// Along the columns, px.
        y_px: f64,
    },
}

impl StarImages {
    /// What is wrong with the images of the objects in `rows`; `None` where nothing is, or too few are bright.
    pub fn problem(rows: &[Row], reference: usize) -> Option<Self> {
        let unfit = flag::SATURATED | flag::TRUNCATED | flag::BAD_PIXELS | flag::MISSING_BAND;
        let is_bright = |r: &&Row| r.psf_flux[reference] > LEAST_SN * r.psf_flux_err[reference] && r.flags & unfit == 0;
        let bright: Vec<&Row> = rows.iter().filter(is_bright).collect();
        if bright.len() < FEWEST {
            return None;
        }
        trailed(&bright).or_else(|| doubled(&bright, reference))
    }
}

fn trailed(bright: &[&Row]) -> Option<StarImages> {
    let (mut along, mut across) = (0.0, 0.0);
    for row in bright {
        let (a2, b2) = (f64::from(row.a).powi(2), f64::from(row.b).powi(2));
        let (ellipticity, angle) = ((a2 - b2) / (a2 + b2), 2.0 * f64::from(row.theta).to_radians());
        along += ellipticity * angle.cos();
        across += ellipticity * angle.sin();
    }
    let objects = bright.len();
    let ellipticity = along.hypot(across) / objects as f64;
    let direction_deg = across.atan2(along).to_degrees() / 2.0;
    (ellipticity > MOST_ELLIPTICAL).then_some(StarImages::Trailed { objects, ellipticity, direction_deg })
}

fn doubled(bright: &[&Row], reference: usize) -> Option<StarImages> {
    let mut by_x = bright.to_vec();
    by_x.sort_by(|a, b| a.x.total_cmp(&b.x));
    // In a crowd every vector is frequent, and a vector's share of the objects means nothing: the nearest few are asked.
    const MOST_NEAR: usize = 40;
    let mut count: BTreeMap<(i64, i64), usize> = BTreeMap::new();
    for (i, row) in by_x.iter().enumerate() {
        let near = by_x[i + 1..].iter().take_while(|o| o.x - row.x < REACH_PX).take(MOST_NEAR);
        for other in near.filter(|o| (o.y - row.y).abs() < REACH_PX) {
            let ratio = other.psf_flux[reference] / row.psf_flux[reference];
            if ratio < FLUX_RATIO && ratio > 1.0 / FLUX_RATIO {
                let cell = |v: f64| (v / CELL_PX).round() as i64;
                *count.entry((cell(other.x - row.x), cell(other.y - row.y))).or_default() += 1;
            }
        }
    }
    // A vector may lie between cells.
    let about = |(x, y): (i64, i64)| -> usize {
        (-1..=1).flat_map(|i| (-1..=1).map(move |j| (x + i, y + j))).filter_map(|cell| count.get(&cell)).sum()
    };
    let (&cell, doubled) =
        count.keys().map(|cell| (cell, about(*cell))).max_by_key(|c| (c.1, std::cmp::Reverse(c.0)))?;
    let objects = bright.len();
    let frequent = doubled >= FEWEST / 2 && doubled as f64 > MOST_DOUBLED * objects as f64;
    // What chance gives to nine cells, were the pairs spread over all of them.
    let pairs: usize = count.values().sum();
    let chance = 9.0 * pairs as f64 * CELL_PX * CELL_PX / (2.0 * REACH_PX * REACH_PX);
    (frequent && doubled as f64 > 5.0 * chance + 3.0).then_some(StarImages::Doubled {
        objects,
        doubled,
        x_px: cell.0 as f64 * CELL_PX,
        y_px: cell.1 as f64 * CELL_PX,
    })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Objects anywhere in 1000x1000 px, of axes as 1 to `axes`, turned by `theta` degrees.
    fn rows(n: usize, mut shape: impl FnMut(&mut ChaCha8Rng) -> (f32, f32)) -> Vec<Row> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        (0..n)
            .map(|_| {
                let (axes, theta) = shape(&mut rng);
                Row {
                    x: rng.random_range(0.0..1000.0),
                    y: rng.random_range(0.0..1000.0),
                    a: 2.0,
                    b: 2.0 * axes,
                    theta,
                    psf_flux: [rng.random_range(50.0..500.0); 5],
                    psf_flux_err: [1.0; 5],
                    ..Row::default()
                }
            })
            .collect()
    }

    #[test]
    fn objects_that_point_one_way_are_trailed_and_galaxies_are_not() {
        let trailed = rows(200, |_| (0.45, 37.0));
        let problem = StarImages::problem(&trailed, 2);
        assert!(
            matches!(problem, Some(StarImages::Trailed { direction_deg, .. }) if (direction_deg - 37.0).abs() < 0.1),
            "{problem:?}"
        );
        assert_eq!(StarImages::problem(&rows(200, |rng| (0.3, rng.random_range(-90.0..90.0))), 2), None);
        assert_eq!(StarImages::problem(&rows(200, |_| (0.8, 10.0)), 2), None);
        assert_eq!(StarImages::problem(&trailed[..5], 2), None);
    }

    #[test]
    fn a_field_that_was_exposed_twice_is_doubled() {
        let once = rows(120, |_| (0.95, 0.0));
        let mut twice = once.clone();
        twice.extend(once.iter().map(|r| Row { x: r.x + 17.3, y: r.y - 8.6, ..r.clone() }));
        let problem = StarImages::problem(&twice, 2);
        let Some(StarImages::Doubled { x_px, y_px, .. }) = problem else { panic!("{problem:?}") };
        assert!((x_px - 17.3).abs() < 3.0 && (y_px + 8.6).abs() < 3.0, "{problem:?}");
        assert_eq!(StarImages::problem(&rows(3000, |_| (0.95, 0.0)), 2), None);
    }
}
