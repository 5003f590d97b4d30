//! A robust weighted stack of star stamps, linear in position.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::stars::StarStamp;
use super::{AREA, DISTANCE_SQUARED, NIGHTS, TERMS};
use crate::median::median;

/// Fewer stars make no PSF.
const FEWEST_STARS: usize = 3;
/// Fewer make one PSF for the whole frame.
const FEWEST_FOR_GRADIENT: usize = 25;
/// A star counts by its S/N up to here: brighter ones are no truer, the PSF model limits them, not noise.
const LARGEST_WEIGHT: f64 = 150.0;
/// Pulls the linear terms towards 0, as strongly as a fifth of a bright star.
const RIDGE: f64 = 4500.0;
/// Residuals count within this radius, px.
const CORE_PX: u16 = 6;
/// A stamp whose core residual is above this many medians is left out...
const CLIP: f64 = 2.5;
/// ...while this many remain.
const FEWEST_KEPT: usize = 8;
const ITERATIONS: usize = 5;
/// The PSF goes to 0 between these radii, px: what lies there is noise and neighbours.
const TAPER_PX: (f64, f64) = (11.0, 15.0);

/// A band's PSF.
pub(super) struct Fitted {
    /// Images of the terms 1, u, v.
    pub terms: [Vec<f64>; TERMS],
    /// Draws of their error.
    pub errors: Vec<[Vec<f64>; TERMS]>,
    /// Stars that made it.
    pub stars: usize,
}

/// Fits the position terms; `None` with too few stars. The `seed` is that of the draws of their error.
pub(super) fn fit(stamps: &[StarStamp], half_size_px: (f64, f64), seed: u64) -> Option<Fitted> {
    if stamps.len() < FEWEST_STARS {
        return None;
    }
    let basis: Vec<[f64; TERMS]> =
        stamps.iter().map(|s| [1.0, s.at.0 / half_size_px.0 - 1.0, s.at.1 / half_size_px.1 - 1.0]).collect();
    let core: Vec<usize> = (0..AREA).filter(|&i| DISTANCE_SQUARED[i] < CORE_PX * CORE_PX).collect();
    // Start from the median, so that a blend cannot own the first fit.
    let mut terms = [median_stamp(stamps), vec![0.0; AREA], vec![0.0; AREA]];
    let mut keep = vec![true; stamps.len()];
    for _ in 0..ITERATIONS {
        let error: Vec<f64> = stamps.iter().zip(&basis).map(|(s, b)| core_residual(s, b, &terms, &core)).collect();
        let kept = error.iter().zip(&keep).filter(|(_, k)| **k).map(|(e, _)| *e);
        let limit = CLIP * median(&mut kept.collect::<Vec<_>>()).unwrap_or(f64::NAN);
        let inliers: Vec<bool> = error.iter().map(|e| *e < limit).collect();
        if inliers.iter().filter(|i| **i).count() >= FEWEST_KEPT {
            keep = inliers;
        }
        terms = solve(stamps, &basis, &keep)?;
    }
    let mut errors = errors(stamps, &basis, &keep, &terms, seed);
    taper(&mut terms);
    errors.iter_mut().for_each(taper);
    Some(Fitted { terms, errors, stars: keep.iter().filter(|k| **k).count() })
}

fn taper(terms: &mut [Vec<f64>; TERMS]) {
    for (i, &squared) in DISTANCE_SQUARED.iter().enumerate() {
        let taper = (TAPER_PX.1 - f64::from(squared).sqrt()) / (TAPER_PX.1 - TAPER_PX.0);
        terms.iter_mut().for_each(|t| t[i] *= taper.clamp(0.0, 1.0));
    }
}

/// Draws of the terms' error by the stars' own residuals, each star's times a random number of mean 0 and variance 1: the
/// wild bootstrap of Wu (1986).
fn errors(
    stamps: &[StarStamp],
    basis: &[[f64; TERMS]],
    keep: &[bool],
    terms: &[Vec<f64>; TERMS],
    seed: u64,
) -> Vec<[Vec<f64>; TERMS]> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let draw = |_| {
        let residuals = stamps.iter().zip(basis).map(|(star, basis)| {
            let times: f64 = StandardNormal.sample(&mut random);
            let model = |i: usize| (0..TERMS).map(|t| basis[t] * terms[t][i]).sum::<f64>();
            let pixel = |i: usize| (times * (f64::from(star.pixels[i]) - model(i))) as f32;
            StarStamp { pixels: Box::new(std::array::from_fn(pixel)), at: star.at, sn: star.sn }
        });
        solve(&residuals.collect::<Vec<_>>(), basis, keep)
    };
    (0..NIGHTS).filter_map(draw).collect()
}

fn median_stamp(stamps: &[StarStamp]) -> Vec<f64> {
    (0..AREA)
        .map(|i| median(&mut stamps.iter().map(|s| f64::from(s.pixels[i])).collect::<Vec<_>>()).unwrap_or(f64::NAN))
        .collect()
}

/// Root mean square of a stamp about the model, within the core.
fn core_residual(star: &StarStamp, basis: &[f64; TERMS], terms: &[Vec<f64>; TERMS], core: &[usize]) -> f64 {
    let squares = core.iter().map(|&i| {
        let model: f64 = (0..TERMS).map(|t| basis[t] * terms[t][i]).sum();
        (f64::from(star.pixels[i]) - model).powi(2)
    });
    (squares.sum::<f64>() / core.len() as f64).sqrt()
}

/// Weighted least squares of every pixel on the position terms; `None` where it has no solution.
fn solve(stamps: &[StarStamp], basis: &[[f64; TERMS]], keep: &[bool]) -> Option<[Vec<f64>; TERMS]> {
    let kept: Vec<usize> = (0..stamps.len()).filter(|&s| keep[s]).collect();
    let n = if kept.len() >= FEWEST_FOR_GRADIENT { TERMS } else { 1 };
    let weight = |s: usize| stamps[s].sn.min(LARGEST_WEIGHT).powi(2);
    // Terms that are not fitted keep a unit diagonal and a zero right side: their solution is 0.
    let mut normal = [[0.0; TERMS]; TERMS];
    for (t, row) in normal.iter_mut().enumerate() {
        row[t] = if t >= n {
            1.0
        } else if t > 0 {
            RIDGE
        } else {
            0.0
        };
    }
    let mut right = vec![[0.0; TERMS]; AREA];
    for &s in &kept {
        for t in 0..n {
            let wb = weight(s) * basis[s][t];
            for u in 0..n {
                normal[t][u] += wb * basis[s][u];
            }
            for (r, &p) in right.iter_mut().zip(stamps[s].pixels.iter()) {
                r[t] += wb * f64::from(p);
            }
        }
    }
    let inverse = invert(normal)?;
    Some(std::array::from_fn(|t| right.iter().map(|r| (0..TERMS).map(|u| inverse[t][u] * r[u]).sum()).collect()))
}

/// Inverse of a 3x3 matrix by cofactors; `None` where it is singular.
fn invert(m: [[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let minor = |r: usize, c: usize| {
        let (a, b, x, y) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[a][x] * m[b][y] - m[a][y] * m[b][x]
    };
    let determinant: f64 = (0..3).map(|c| m[0][c] * minor(0, c)).sum();
    if !determinant.is_normal() {
        return None;
    }
    Some(std::array::from_fn(|r| std::array::from_fn(|c| minor(c, r) / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A star whose pixels are `1 + u`, and an outlier of 5.
    #[test]
    fn gradients_are_found_and_outliers_left_out() {
        let mut stamps: Vec<StarStamp> = (0..40)
            .map(|i| {
                let at = (f64::from(i) * 50.0, f64::from(i % 7) * 200.0);
                let value = 1.0 + (at.0 / 1000.0 - 1.0) * 0.1;
                StarStamp { pixels: Box::new([value as f32; AREA]), at, sn: 1000.0 }
            })
            .collect();
        stamps.push(StarStamp { pixels: Box::new([5.0; AREA]), at: (500.0, 500.0), sn: 1000.0 });
        let fitted = fit(&stamps, (1000.0, 700.0), 1).unwrap();
        assert_eq!(fitted.stars, 40);
        let middle = AREA / 2;
        assert!((fitted.terms[0][middle] - 1.0).abs() < 1e-3, "{}", fitted.terms[0][middle]);
        // The ridge takes a share of the slope: 4500 against 40 stars x 150^2 x 1/3.
        assert!((fitted.terms[1][middle] - 0.1).abs() < 3e-3, "{}", fitted.terms[1][middle]);
        assert!(fitted.terms[0][0] == 0.0, "the corners are tapered away");
        assert!(fit(&stamps[..2], (1000.0, 700.0), 1).is_none());
    }

    /// Stars of unit noise about one stamp: the error of their mean is a root of their number.
    #[test]
    fn draws_of_the_error_are_as_large_as_it_is() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut noise = || -> f32 { StandardNormal.sample(&mut random) };
        let star = |i: usize, noise: &mut dyn FnMut() -> f32| StarStamp {
            pixels: Box::new(std::array::from_fn(|_| 5.0 + noise())),
            at: ((i * 37 % 100) as f64, (i * 61 % 100) as f64),
            sn: 200.0,
        };
        let stamps: Vec<StarStamp> = (0..20).map(|i| star(i, &mut noise)).collect();
        let fitted = fit(&stamps, (50.0, 50.0), 1).unwrap();
        let core = || (0..AREA).filter(|&i| DISTANCE_SQUARED[i] < CORE_PX * CORE_PX);
        let rms =
            |of: &dyn Fn(usize) -> f64| (core().map(|i| of(i).powi(2)).sum::<f64>() / core().count() as f64).sqrt();
        let made = rms(&|i| fitted.terms[0][i] - 5.0);
        assert_eq!(fitted.errors.len(), NIGHTS);
        for drawn in &fitted.errors {
            let drawn = rms(&|i| drawn[0][i]);
            assert!((drawn / made - 1.0).abs() < 0.25 && (drawn * 20f64.sqrt() - 1.0).abs() < 0.25, "{drawn} {made}");
        }
    }
}
