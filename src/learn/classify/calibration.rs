//! The calibration of p(star) by the simulated point-source control: in each magnitude window,
//! observed = pi control + (1 - pi) galaxies.
//! Galaxies score lower than point sources, so above the control's median nearly all are stars: that half gives pi, and
//! p(star | score) = pi control / observed, made monotone. Point sources are simulated (noise through the fit
//! and the nets), galaxies are not.

use twinpeak_core::posterior::Calibration;
use twinpeak_core::survey::Magnitudes;

/// Bins in score: the columns of the calibration's table.
const SCORE_BINS: usize = 40;
/// Smoothing of the score's distributions, bins.
const SMOOTHING_BINS: f64 = 1.2;

/// From scores (mean of `seed_score` over seeds) of the observed, of their controls, and magnitudes. Rows and windows are
/// those of the survey's `magnitudes`; beyond the range nothing calibrates, since the observed are too uncertain.
pub fn control_calibration(
    scores: &[f32],
    control_scores: &[f32],
    mag: &[f32],
    magnitudes: &Magnitudes,
) -> Calibration {
    let low = f64::from(scores.iter().copied().fold(f32::INFINITY, f32::min)) - 0.01;
    let high = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max)) + 0.01;
    let width = (high - low) / SCORE_BINS as f64;
    let mag_nodes = Magnitudes::nodes(magnitudes.calibration);
    let mut log_odds = Vec::with_capacity(mag_nodes.len() * SCORE_BINS);
    for &node in &mag_nodes {
        // Bright objects are few.
        let window = if node > magnitudes.sparse_to { 0.4 } else { 0.8 };
        let density = |scores: &[f32], mag_max: f64| {
            let mut histogram = [0.0; SCORE_BINS];
            for (&score, &m) in scores.iter().zip(mag).filter(|(_, m)| f64::from(**m) < mag_max) {
                let bin = (f64::from(score) - low) / width;
                if bin >= 0.0 && bin < SCORE_BINS as f64 {
                    histogram[bin as usize] += (-0.5 * ((f64::from(m) - node) / window).powi(2)).exp();
                }
            }
            normalised(smoothed(&histogram))
        };
        row(&density(scores, magnitudes.calibration[1]), &density(control_scores, f64::INFINITY), &mut log_odds);
    }
    Calibration {
        mag_nodes: mag_nodes.iter().map(|&m| m as f32).collect(),
        score_nodes: (0..SCORE_BINS).map(|i| (low + (i as f64 + 0.5) * width) as f32).collect(),
        log_odds,
    }
}

/// One magnitude's log-odds by score.
fn row(observed: &[f64; SCORE_BINS], control: &[f64; SCORE_BINS], log_odds: &mut Vec<f32>) {
    let above = |density: &[f64; SCORE_BINS], from: usize| density[from..].iter().sum::<f64>();
    let off_median = |&i: &usize| (above(control, i) - 0.5).abs();
    let median = (0..SCORE_BINS).min_by(|i, j| off_median(i).total_cmp(&off_median(j))).unwrap_or(0);
    let share = (above(observed, median) / above(control, median).max(1e-12)).clamp(0.02, 0.97);
    let mut least = 0.0f64;
    for (n, o) in control.iter().zip(observed) {
        let p = (share * n / (o + 1e-6)).clamp(1e-3, 1.0 - 1e-3);
        least = least.max(p);
        log_odds.push((least / (1.0 - least)).ln() as f32);
    }
}

fn normalised(mut density: [f64; SCORE_BINS]) -> [f64; SCORE_BINS] {
    let sum: f64 = density.iter().sum();
    density.iter_mut().for_each(|d| *d /= sum.max(1e-300));
    density
}

/// A Gaussian filter with mirrored ends.
fn smoothed(histogram: &[f64; SCORE_BINS]) -> [f64; SCORE_BINS] {
    let reach = (4.0 * SMOOTHING_BINS + 0.5) as isize;
    let weight = |k: isize| (-0.5 * (k as f64 / SMOOTHING_BINS).powi(2)).exp();
    let norm: f64 = (-reach..=reach).map(weight).sum();
    let n = SCORE_BINS as isize;
    std::array::from_fn(|i| {
        let at = |k: isize| {
            let j = i as isize + k;
            let j = if j < 0 { -1 - j } else { j };
            histogram[(if j >= n { 2 * n - 1 - j } else { j }) as usize]
        };
        (-reach..=reach).map(|k| weight(k) / norm * at(k)).sum()
    })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Two populations of known shares and overlap: p must come out as the true fraction of stars by score.
    #[test]
    fn calibrated_probability_is_the_true_fraction() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let normal = |rng: &mut ChaCha8Rng| rng.sample::<f32, _>(StandardNormal);
        let (mut scores, mut controls, mut mag, mut star) = (vec![], vec![], vec![], vec![]);
        for i in 0..20_000 {
            let is_star = i % 5 < 2;
            mag.push(rng.random_range(19.0..22.5));
            scores.push(0.5 * normal(&mut rng) + if is_star { 1.0 } else { -1.0 });
            controls.push(0.5 * normal(&mut rng) + 1.0);
            star.push(is_star);
        }
        let calibration = control_calibration(&scores, &controls, &mag, &Magnitudes::for_depth(15.0, 22.8));
        let mut bins = [(0.0f64, 0.0f64, 0.0f64); 5];
        for ((&score, &m), &star) in scores.iter().zip(&mag).zip(&star) {
            let p = calibration.star_probability(&[10.0 * score.sinh()], m).unwrap().value;
            let bin = &mut bins[((p * 5.0) as usize).min(4)];
            *bin = (bin.0 + f64::from(p), bin.1 + f64::from(u8::from(star)), bin.2 + 1.0);
        }
        let error: f64 = bins.iter().map(|(p, star, _)| (p - star).abs()).sum::<f64>() / 20_000.0;
        assert!(error < 0.02, "{error} {bins:?}");
    }

    /// classify.null_calibration of the reference on scores sin(i), nulls 1 + .3 sin(3 i), mags 17 + 5 (i % 7)/7.
    #[test]
    fn the_table_is_the_references() {
        let mag: Vec<f32> = (0..700).map(|i| 17.0 + 5.0 * (i % 7) as f32 / 7.0).collect();
        let scores: Vec<f32> = (0..700).map(|i| (i as f32).sin()).collect();
        let controls: Vec<f32> = (0..700).map(|i| 0.6 + 0.3 * (3.0 * i as f32).sin()).collect();
        let calibration = control_calibration(&scores, &controls, &mag, &Magnitudes::for_depth(15.0, 22.8));
        for (row, column, value) in REFERENCE {
            let found = calibration.log_odds[row * SCORE_BINS + column];
            assert!((found - value).abs() < 2e-3, "({row}, {column}): {found} is not {value}");
        }
    }
    const REFERENCE: [(usize, usize, f32); 4] =
        [(0, 24, 2.399_02), (8, 23, -1.311_46), (16, 22, -3.280_28), (28, 23, -0.976_02)];
}
