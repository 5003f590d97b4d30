//! Which peak is the stars'? The one whose members are more concentrated relative to the PSF, among objects
//! bright enough for concentration to tell. No label is needed, and where the answer is not clear none is given.
//!
//! *Within a magnitude.* A score that follows brightness alone follows concentration too, since bright objects are stars
//! more often: so ranks are compared among objects of about one magnitude, and what they say is added up.
//!
//! *Clear means two things.* The correlation is no chance ([`SIGNIFICANCE_MIN`]), and it is not small
//! ([`CORRELATION_MIN`]): among many objects any confusion is significant. Peaks that part stars (a share f of all) from
//! galaxies, where a star is more concentrated than a galaxy with probability A, correlate by (2 A - 1) sqrt(3 f (1 - f)):
//! .8 for equal shares, and still .3 where one object in thirty is of the rarer kind.

use crate::LearnError;

/// Least significance, in standard deviations of no correlation.
const SIGNIFICANCE_MIN: f64 = 5.0;
/// Least rank correlation with concentration, in size.
const CORRELATION_MIN: f64 = 0.3;
/// Objects are compared with those of the same bin of so many magnitudes.
const BIN_MAG: f32 = 0.5;

/// A name that cannot be given.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "the star peak has no name: rank correlation with concentration is {correlation:.2} over {objects} objects, \
     {significance:.1} sigma; asked for are .3 and 5 sigma"
)]
pub struct AmbiguousOrientation {
    /// Of ranks, within a magnitude.
    pub correlation: f64,
    /// Number of objects that it was taken over.
    pub objects: usize,
    /// In standard deviations of no correlation.
    pub significance: f64,
}

impl AmbiguousOrientation {
    pub(super) fn of(self, autoencoder: usize, vae: usize) -> LearnError {
        let Self { correlation, objects, significance } = self;
        LearnError::Unnamed { autoencoder, vae, correlation, objects, significance }
    }
}

/// +1 where a larger score means star, -1 where a smaller one does; and the rank correlation that says so. All by object:
/// scores, magnitudes in the reference band, concentrations. Objects between `naming_mag` are asked: there concentration
/// tells stars from galaxies.
///
/// # Errors
/// [`AmbiguousOrientation`] where the correlation is small, or may be chance.
pub fn star_sign(
    scores: &[f32],
    mag: &[f32],
    concentration: &[f32],
    naming_mag: [f64; 2],
) -> Result<(f32, f64), AmbiguousOrientation> {
    let [brightest, faintest] = naming_mag.map(|mag| mag as f32);
    let bright: Vec<usize> = (0..scores.len())
        .filter(|&i| mag[i] > brightest && mag[i] < faintest && concentration[i].is_finite())
        .collect();
    let (correlation, comparisons) = within(&bright, |i| (mag[i] / BIN_MAG).floor() as i32, scores, concentration);
    let significance = correlation.abs() * (comparisons as f64).sqrt();
    if significance < SIGNIFICANCE_MIN || correlation.abs() < CORRELATION_MIN {
        return Err(AmbiguousOrientation { correlation, objects: bright.len(), significance });
    }
    Ok((correlation.signum() as f32, correlation))
}

/// The rank correlation within bins, each as heavy as it has objects, and how many free comparisons it rests on.
fn within(objects: &[usize], bin: impl Fn(usize) -> i32, a: &[f32], b: &[f32]) -> (f64, usize) {
    let mut sorted = objects.to_vec();
    sorted.sort_by_key(|&i| bin(i));
    let (mut sum, mut comparisons) = (0.0, 0);
    for members in sorted.chunk_by(|&i, &j| bin(i) == bin(j)) {
        let pick = |values: &[f32]| members.iter().map(|&i| values[i]).collect::<Vec<_>>();
        let free = members.len() - 1;
        sum += free as f64 * spearman(&pick(a), &pick(b));
        comparisons += free;
    }
    (sum / comparisons.max(1) as f64, comparisons)
}

/// Spearman's rank correlation, ties sharing their mean rank; 0 where one side is constant.
pub fn spearman(a: &[f32], b: &[f32]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    if scale > 0.0 { product(&a, &b) / scale } else { 0.0 }
}

/// Rank of each value among all, from 0.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0.0;
    for tied in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let count = tied.len() as f64;
        tied.iter().for_each(|&i| ranks[i] = before + (count - 1.0) / 2.0);
        before += count;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.spearmanr([1, 2, 2, 4, 5, 0], [3, 1, 4, 4, 9, -2]).statistic = 0.8676...
    #[test]
    fn spearman_is_scipys() {
        let found = spearman(&[1.0, 2.0, 2.0, 4.0, 5.0, 0.0], &[3.0, 1.0, 4.0, 4.0, 9.0, -2.0]);
        assert!((found - 0.867_647_058_823_529_4).abs() < 1e-12, "{found}");
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }

    fn sign(scores: &[f32], concentration: &[f32]) -> Result<(f32, f64), AmbiguousOrientation> {
        star_sign(scores, &vec![18.0; scores.len()], concentration, [15.0, 20.5])
    }

    #[test]
    fn the_more_concentrated_peak_is_the_stars() {
        let concentration: Vec<f32> = (0..60).map(|i| i as f32).collect();
        let odds: Vec<f32> = concentration.iter().map(|c| 30.0 - c).collect();
        assert_eq!(sign(&odds, &concentration), Ok((-1.0, -1.0)));
    }

    #[test]
    fn brightness_that_passes_for_shape_gets_no_name_however_many_objects_there_are() {
        // Scores follow the magnitude, and so does concentration; nothing else joins them.
        let n = 20_000;
        let noise = |i: usize, k: usize| ((i * k) % 9973) as f32 / 9973.0;
        let mag: Vec<f32> = (0..n).map(|i| 15.0 + 5.5 * noise(i, 7919)).collect();
        let scores: Vec<f32> = (0..n).map(|i| mag[i] + noise(i, 6007)).collect();
        let concentration: Vec<f32> = (0..n).map(|i| mag[i] + noise(i, 3001)).collect();
        assert!(spearman(&scores, &concentration) > 0.8);
        assert!(star_sign(&scores, &mag, &concentration, [15.0, 20.5]).is_err());
    }

    #[test]
    fn a_small_correlation_gets_no_name_though_it_is_significant() {
        let concentration: Vec<f32> = (0..9000).map(|i| ((i * 7919) % 8999) as f32).collect();
        let scores: Vec<f32> = (0..9000).map(|i| 0.15 * concentration[i] + ((i * 6007) % 8999) as f32).collect();
        let ambiguous = sign(&scores, &concentration).unwrap_err();
        assert!(ambiguous.significance > 10.0 && ambiguous.correlation < CORRELATION_MIN, "{ambiguous}");
    }

    #[test]
    fn an_unclear_peak_gets_no_name() {
        let odds: Vec<f32> = (0..60).map(|i| ((i * 37) % 60) as f32).collect();
        let ambiguous = sign(&odds, &(0..60).map(|i| i as f32).collect::<Vec<_>>()).unwrap_err();
        assert!(ambiguous.significance < 5.0);
        let few = sign(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).unwrap_err();
        assert!(few.of(1, 0).to_string().contains("over 3 objects"));
    }
}
