//! From a scalar to a class without labels, by two things known beforehand.
//!
//! Which end is the stars': the one whose objects are the more concentrated, as for the ensemble's peaks. Where the
//! cut is: so that the share of objects on the stars' side is the prior star fraction, from EM or model counts,
//! of all objects or by magnitude (the paper: "prior knowledge like star-galaxy proportion").

use super::ManifoldError;
use twinpeak_learn::classify::star_sign;

/// The prior share of stars between each two magnitudes.
#[derive(Clone, Debug, PartialEq)]
pub struct StarFraction {
    edges: Vec<f32>,
    fraction: Vec<f64>,
}

impl StarFraction {
    /// One share for all magnitudes.
    ///
    /// # Errors
    /// For one outside 0..1.
    pub fn overall(fraction: f64) -> Result<Self, ManifoldError> {
        Self::by_mag(vec![f32::NEG_INFINITY, f32::INFINITY], vec![fraction])
    }

    /// `fraction[b]` holds from `edges[b]` up to `edges[b + 1]`; the first and the last hold beyond their edges, too.
    ///
    /// # Errors
    /// For a share outside 0..1, edges that do not rise, or not one share between each two.
    pub fn by_mag(edges: Vec<f32>, fraction: Vec<f64>) -> Result<Self, ManifoldError> {
        let sound = !fraction.is_empty()
            && edges.len() == fraction.len() + 1
            && edges.windows(2).all(|e| e[0] < e[1])
            && fraction.iter().all(|f| (0.0..=1.0).contains(f));
        if sound { Ok(Self { edges, fraction }) } else { Err(ManifoldError::Fraction { edges, fraction }) }
    }

    fn bin(&self, mag: f32) -> usize {
        let inner = &self.edges[1..self.fraction.len()];
        inner.partition_point(|&edge| edge <= mag)
    }
}

/// A cut by the prior.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorThreshold {
    /// +1 where a larger scalar means star, -1 where a smaller one does.
    pub star_sign: f64,
    /// Rank correlation of the scalar with concentration, which says so.
    pub correlation: f64,
    /// In each bin of magnitude, the least of `star_sign` times the scalar that a star has.
    pub at: Vec<f64>,
    fraction: StarFraction,
}

impl PriorThreshold {
    /// The cut of objects of these scalars (those between `naming_mag` say which end is the stars'), reference-band magnitudes and concentrations relative to the PSF (larger
    /// for a star, one each). A bin without objects is cut as all objects would be at its share.
    ///
    /// # Errors
    /// For columns of different lengths, a scalar that is not finite, and where concentration does not say which
    /// end is the stars'.
    pub fn fit(
        scalar: &[f64],
        mag: &[f32],
        concentration: &[f32],
        naming_mag: [f64; 2],
        fraction: StarFraction,
    ) -> Result<Self, ManifoldError> {
        same_length("magnitude", mag.len(), scalar.len())?;
        same_length("concentration", concentration.len(), scalar.len())?;
        if let Some(row) = scalar.iter().position(|s| !s.is_finite()) {
            return Err(ManifoldError::NotFinite { row, column: 0 });
        }
        let single: Vec<f32> = scalar.iter().map(|&s| s as f32).collect();
        let (sign, correlation) = star_sign(&single, mag, concentration, naming_mag)?;
        let star_sign = f64::from(sign);
        let cut = |(bin, &share): (usize, &f64)| {
            let all = || scalar.iter().map(|s| star_sign * s);
            let within: Vec<f64> = all().zip(mag).filter(|(_, m)| fraction.bin(**m) == bin).map(|(s, _)| s).collect();
            upper_quantile(if within.is_empty() { all().collect() } else { within }, share)
        };
        let at = fraction.fraction.iter().enumerate().map(cut).collect();
        Ok(Self { star_sign, correlation, at, fraction })
    }

    /// How far each object is on the stars' side: positive for a star.
    ///
    /// # Errors
    /// For columns of different lengths.
    pub fn margin(&self, scalar: &[f64], mag: &[f32]) -> Result<Vec<f64>, ManifoldError> {
        same_length("magnitude", mag.len(), scalar.len())?;
        Ok(scalar.iter().zip(mag).map(|(s, &m)| self.star_sign * s - self.at[self.fraction.bin(m)]).collect())
    }
}

fn same_length(what: &'static str, found: usize, expected: usize) -> Result<(), ManifoldError> {
    if found == expected { Ok(()) } else { Err(ManifoldError::OtherLength { what, found, expected }) }
}

/// The value that `share` of the values exceed: midway between two of them, or beyond all.
fn upper_quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let below = values.len() - (share * values.len() as f64).round() as usize;
    match (below.checked_sub(1).and_then(|i| values.get(i)), values.get(below)) {
        (Some(low), Some(high)) => low + 0.5 * (high - low),
        (None, _) => f64::NEG_INFINITY,
        (_, None) => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 objects, the last 60 of them concentrated, of scalars falling with concentration.
    fn objects() -> (Vec<f64>, Vec<f32>, Vec<f32>) {
        let concentration: Vec<f32> = (0..200).map(|i| if i < 140 { i as f32 } else { 1000.0 + i as f32 }).collect();
        let mag = (0..200).map(|i| if i % 2 == 0 { 17.0 } else { 20.0 }).collect();
        (concentration.iter().map(|&c| -f64::from(c).sqrt()).collect(), mag, concentration)
    }

    fn stars(threshold: &PriorThreshold, scalar: &[f64], mag: &[f32]) -> Vec<bool> {
        threshold.margin(scalar, mag).unwrap().iter().map(|&m| m > 0.0).collect()
    }

    #[test]
    fn the_prior_share_of_the_concentrated_end_is_stars() {
        let (scalar, mag, concentration) = objects();
        let threshold =
            PriorThreshold::fit(&scalar, &mag, &concentration, [15.0, 20.5], StarFraction::overall(0.3).unwrap())
                .unwrap();
        assert_eq!((threshold.star_sign, threshold.correlation), (-1.0, -1.0));
        let expected: Vec<bool> = (0..200).map(|i| i >= 140).collect();
        assert_eq!(stars(&threshold, &scalar, &mag), expected);
    }

    #[test]
    fn each_bin_of_magnitude_has_its_own_share() {
        let (scalar, mag, concentration) = objects();
        let fraction = StarFraction::by_mag(vec![16.0, 18.0, 21.0, 23.0], vec![0.5, 0.1, 0.3]).unwrap();
        let threshold = PriorThreshold::fit(&scalar, &mag, &concentration, [15.0, 20.5], fraction).unwrap();
        let found = stars(&threshold, &scalar, &mag);
        let share = |bright: bool| (0..200).filter(|&i| (mag[i] < 18.0) == bright && found[i]).count();
        assert_eq!((share(true), share(false)), (50, 10));
        assert_eq!(stars(&threshold, &[-50.0, -5.0], &[22.0, 99.0]), [true, false], "an empty bin is cut as all are");
    }

    #[test]
    fn shares_of_nothing_and_of_all_hold() {
        assert_eq!(upper_quantile(vec![3.0, 1.0, 2.0], 0.0), f64::INFINITY);
        assert_eq!(upper_quantile(vec![3.0, 1.0, 2.0], 1.0), f64::NEG_INFINITY);
        assert_eq!(upper_quantile(vec![3.0, 1.0, 2.0], 0.34), 2.5);
    }

    #[test]
    fn bad_input_is_refused() {
        for (edges, fraction) in [(vec![1.0, 2.0], vec![1.5]), (vec![2.0, 1.0], vec![0.5]), (vec![1.0], vec![])] {
            assert!(matches!(StarFraction::by_mag(edges, fraction), Err(ManifoldError::Fraction { .. })));
        }
        let (mut scalar, mag, concentration) = objects();
        let fraction = || StarFraction::overall(0.3).unwrap();
        let fit =
            |scalar: &[f64], mag: &[f32]| PriorThreshold::fit(scalar, mag, &concentration, [15.0, 20.5], fraction());
        assert!(matches!(fit(&scalar, &mag[1..]), Err(ManifoldError::OtherLength { what: "magnitude", .. })));
        let unrelated: Vec<f64> = (0..200).map(|i| f64::from((i * 37) % 200)).collect();
        assert!(matches!(fit(&unrelated, &mag), Err(ManifoldError::Unnamed { objects: 200, .. })));
        scalar[7] = f64::NAN;
        assert!(matches!(fit(&scalar, &mag), Err(ManifoldError::NotFinite { row: 7, .. })));
    }
}
