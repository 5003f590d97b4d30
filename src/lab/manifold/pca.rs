//! Principal components (Pearson 1901): the directions in which objects spread most, as an orthonormal basis. A few dozen
//! keep what 170 channels of a hypercolumn say, most of which say it several times over.

use tch::{Kind, Tensor};

use super::ManifoldError;
use super::points::Points;

const METHOD: &str = "principal components";

/// An orthonormal basis, the direction of largest variance first.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// Mean latents of the objects, which are taken off first.
    pub mean: Vec<f64>,
    /// Unit vectors, each as wide as an object.
    pub components: Vec<Vec<f64>>,
    /// Variance of the objects along each component.
    pub variance: Vec<f64>,
}

impl Pca {
    /// The first `components` of `points`, or as many as these have latents.
    ///
    /// # Errors
    /// For fewer than two objects, no spread, and libtorch's.
    pub fn fit(points: &Points, components: usize) -> Result<Self, ManifoldError> {
        points.fit_for(METHOD, 2)?;
        twinpeak_nets::device::start();
        let (mean, width) = (points.mean(), points.width());
        let table = Tensor::f_from_slice(points.values())?.f_view([points.len() as i64, width as i64])?;
        let offsets = table.f_sub(&Tensor::f_from_slice(&mean)?)?;
        let covariance = offsets.f_transpose(0, 1)?.f_matmul(&offsets)?.f_div_scalar(points.len() as f64)?;
        // In ascending order; vectors are columns.
        let (variance, vectors) = covariance.f_linalg_eigh("L")?;
        let kept = components.min(width) as i64;
        let last = |t: &Tensor| t.f_flip([0])?.f_narrow(0, 0, kept)?.f_contiguous();
        let variance = Vec::try_from(last(&variance)?)?;
        let vectors: Vec<f64> =
            Vec::try_from(last(&vectors.f_transpose(0, 1)?)?.f_to_kind(Kind::Double)?.f_view([-1])?)?;
        Ok(Self { mean, components: vectors.chunks_exact(width).map(<[f64]>::to_vec).collect(), variance })
    }

    /// The objects' coordinates.
    ///
    /// # Errors
    /// For objects of another width.
    pub fn apply(&self, points: &Points) -> Result<Points, ManifoldError> {
        points.of_width(self.mean.len())?;
        let along = |row: &[f64], axis: &[f64]| -> f64 {
            row.iter().zip(&self.mean).zip(axis).map(|((x, mean), a)| (x - mean) * a).sum()
        };
        let coordinates = points.rows().flat_map(|row| self.components.iter().map(move |axis| along(row, axis)));
        Points::new(self.components.len(), coordinates.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifold::samples;

    #[test]
    fn the_basis_is_orthonormal_and_its_coordinates_have_the_variances_it_says() {
        let (points, _) = samples::two_gaussians(400, 12, 3);
        let pca = Pca::fit(&points, 5).unwrap();
        for (i, a) in pca.components.iter().enumerate() {
            for (j, b) in pca.components.iter().enumerate() {
                let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12, "{i} {j}: {product}");
            }
        }
        let coordinates = pca.apply(&points).unwrap();
        let mean = coordinates.mean();
        for (mine, said) in coordinates.variance(&mean).iter().zip(&pca.variance) {
            assert!((mine - said).abs() < 1e-10 * said, "{mine} {said}");
        }
        assert!(mean.iter().all(|m| m.abs() < 1e-10) && pca.variance.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn all_components_keep_every_distance() {
        let (points, _) = samples::two_gaussians(60, 4, 5);
        let turned = Pca::fit(&points, 99).unwrap().apply(&points).unwrap();
        let distance = |of: &Points| -> f64 { of.row(0).iter().zip(of.row(59)).map(|(a, b)| (a - b).powi(2)).sum() };
        assert_eq!(turned.width(), 4);
        assert!((distance(&turned) - distance(&points)).abs() < 1e-9);
    }
}
