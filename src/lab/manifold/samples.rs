//! Points whose structure is known, for the tests. What scikit-learn is compared on has no random numbers: the
//! multiples of irrational numbers modulo 1 stand in for them.

use std::f64::consts::{PI, TAU};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::Points;

const GOLDEN: f64 = 0.618_033_988_749_894_9;
const PLASTIC: f64 = 0.754_877_666_246_692_7;

/// Fractional part of i a: an even sequence within 0..1.
fn fraction(i: usize, a: f64) -> f64 {
    (i as f64 * a).fract()
}

/// 80 points along a spiral of some height.
pub(super) fn spiral() -> Points {
    let row = |i: usize| {
        let t = 4.0 + 9.0 * i as f64 / 80.0;
        [t * t.cos(), t * t.sin(), 3.0 * fraction(i, GOLDEN)]
    };
    Points::new(3, (0..80).flat_map(row).collect()).unwrap()
}

/// 120 points in two overlapping parallelograms, every third in the second.
pub(super) fn blocks() -> Points {
    let row = |i: usize| {
        let (u, v, second) = (fraction(i, GOLDEN), fraction(i, PLASTIC), f64::from(u8::from(i.is_multiple_of(3))));
        [3.0 * u + 2.0 * second, 2.0 * v + 1.5 * u + second]
    };
    Points::new(2, (0..120).flat_map(row).collect()).unwrap()
}

/// 300 points in two overlapping Gaussians (Box & Muller 1958), every third in the second.
pub(crate) fn gaussians() -> Points {
    let row = |i: usize| {
        let (radius, angle) = ((-2.0 * fraction(i + 1, GOLDEN).ln()).sqrt(), TAU * fraction(i + 1, PLASTIC));
        let (x, y) = (radius * angle.cos(), radius * angle.sin());
        if i.is_multiple_of(3) { [0.5 * x + 2.5, 1.5 * y + 1.0] } else { [x, y] }
    };
    Points::new(2, (0..300).flat_map(row).collect()).unwrap()
}

/// `n` points of two Gaussians of deviation 1, ten apart, one in three of the second, and which those are.
pub(crate) fn two_gaussians(n: usize, width: usize, seed: u64) -> (Points, Vec<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let second: Vec<bool> = (0..n).map(|_| rng.random::<f64>() < 1.0 / 3.0).collect();
    let shift = 10.0 / (width as f64).sqrt();
    let row = |&second: &bool| {
        let shift = if second { shift } else { 0.0 };
        (0..width).map(|_| shift + rng.sample::<f64, _>(StandardNormal)).collect::<Vec<_>>()
    };
    (Points::new(width, second.iter().flat_map(row).collect()).unwrap(), second)
}

/// `n` points of the swiss roll of Tenenbaum et al. 2000, and how far along it they are.
pub(super) fn swiss_roll(n: usize, seed: u64) -> (Points, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let turns: Vec<f64> = (0..n).map(|_| 1.5 * PI * (1.0 + 2.0 * rng.random::<f64>())).collect();
    let values = turns.iter().flat_map(|t| [t * t.cos(), 21.0 * rng.random::<f64>(), t * t.sin()]).collect();
    let arc = |t: &f64| 0.5 * (t * (1.0 + t * t).sqrt() + t.asinh());
    (Points::new(3, values).unwrap(), turns.iter().map(arc).collect())
}

/// `n` points on a straight line, and how far along it they are.
pub(super) fn line(n: usize, width: usize, seed: u64) -> (Points, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let direction: Vec<f64> = (0..width).map(|_| rng.sample(StandardNormal)).collect();
    let norm = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
    let along: Vec<f64> = (0..n).map(|_| 10.0 * rng.random::<f64>()).collect();
    let values = along.iter().flat_map(|a| direction.iter().map(move |d| a * d / norm)).collect();
    (Points::new(width, values).unwrap(), along)
}

/// Pearson's correlation of two columns.
pub(super) fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let product =
        |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 { x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum() };
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}
