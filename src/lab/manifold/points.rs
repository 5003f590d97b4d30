//! A table of latents, checked once.

use super::ManifoldError;

/// Objects as points in the space of their latents: one or more, all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    width: usize,
    values: Vec<f64>,
}

impl Points {
    /// From `values` (objects, `width`), one object after the other.
    ///
    /// # Errors
    /// For values that are no such table, and for one that is not finite.
    pub fn new(width: usize, values: Vec<f64>) -> Result<Self, ManifoldError> {
        if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
            return Err(ManifoldError::Ragged { width, values: values.len() });
        }
        match values.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(ManifoldError::NotFinite { row: at / width, column: at % width }),
            None => Ok(Self { width, values }),
        }
    }

    /// Number of objects.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Number of latents of each object.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All of them, object after object.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Latents of object `i`, from 0.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.width..][..self.width]
    }

    /// Latents of each object in turn.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.width)
    }

    /// Mean of each latent over the objects.
    pub(super) fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.width];
        self.rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(m, x)| *m += x));
        mean.iter_mut().for_each(|m| *m /= self.len() as f64);
        mean
    }

    /// Mean squared deviation of each latent from `mean`.
    pub(super) fn variance(&self, mean: &[f64]) -> Vec<f64> {
        let mut variance = vec![0.0; self.width];
        for row in self.rows() {
            variance.iter_mut().zip(row).zip(mean).for_each(|((v, x), m)| *v += (x - m).powi(2));
        }
        variance.iter_mut().for_each(|v| *v /= self.len() as f64);
        variance
    }

    /// Refuses what `method` cannot be fitted on: fewer than `needed` objects, or one point over and over.
    pub(super) fn fit_for(&self, method: &'static str, needed: usize) -> Result<(), ManifoldError> {
        let found = self.len();
        if found < needed {
            return Err(ManifoldError::TooFew { method, found, needed });
        }
        if self.rows().all(|row| row == self.row(0)) {
            return Err(ManifoldError::NoSpread { objects: found });
        }
        Ok(())
    }

    /// Refuses objects whose latents are not `expected` in number.
    pub(super) fn of_width(&self, expected: usize) -> Result<(), ManifoldError> {
        let found = self.width;
        if found == expected { Ok(()) } else { Err(ManifoldError::OtherWidth { found, expected }) }
    }
}

/// Batch norm without weights, its statistics frozen: latents of very different spread would drown each other in a
/// distance.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// Mean of each latent over the objects.
    pub mean: Vec<f64>,
    /// Standard deviation of each; 1 for a latent that never changes.
    pub deviation: Vec<f64>,
}

impl Scaling {
    /// The scaling that gives these objects mean 0 and deviation 1.
    pub fn of(points: &Points) -> Self {
        let mean = points.mean();
        let deviation = points.variance(&mean).iter().map(|&v| if v > 0.0 { v.sqrt() } else { 1.0 }).collect();
        Self { mean, deviation }
    }

    /// The objects with each latent at mean 0 and deviation 1.
    ///
    /// # Errors
    /// For objects of another width, or so far out that they are not finite any more.
    pub fn apply(&self, points: &Points) -> Result<Points, ManifoldError> {
        points.of_width(self.mean.len())?;
        let scaled = |row: &[f64]| -> Vec<f64> {
            row.iter()
                .zip(&self.mean)
                .zip(&self.deviation)
                .map(|((x, mean), deviation)| (x - mean) / deviation)
                .collect()
        };
        Points::new(points.width, points.rows().flat_map(scaled).collect())
    }
}

/// Squared Euclidean distance of two points of one width.
pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_finite_table_is_one() {
        assert_eq!(Points::new(2, vec![1.0, 2.0, 3.0, 4.0]).unwrap().row(1), [3.0, 4.0]);
        for (width, values) in [(0, vec![1.0]), (2, vec![]), (2, vec![1.0; 3])] {
            assert!(matches!(Points::new(width, values), Err(ManifoldError::Ragged { .. })));
        }
        let error = Points::new(2, vec![0.0, 1.0, 2.0, f64::NAN]).unwrap_err();
        assert!(error.to_string().starts_with("latent 1 of object 1 is not finite"), "{error}");
    }

    #[test]
    fn scaled_latents_have_mean_0_and_deviation_1() {
        let points = Points::new(2, vec![1.0, 5.0, 3.0, 5.0, 8.0, 5.0]).unwrap();
        let scaled = Scaling::of(&points).apply(&points).unwrap();
        let mean = scaled.mean();
        assert!(mean.iter().all(|m| m.abs() < 1e-15), "{mean:?}");
        let variance = scaled.variance(&mean);
        assert!((variance[0] - 1.0).abs() < 1e-15 && variance[1] == 0.0, "{variance:?}");
        let other = Points::new(1, vec![1.0]).unwrap();
        assert!(matches!(Scaling::of(&points).apply(&other), Err(ManifoldError::OtherWidth { found: 1, expected: 2 })));
    }
}
