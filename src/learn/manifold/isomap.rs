//! ISOMAP (Tenenbaum, de Silva & Langford 2000) to one coordinate, by landmarks (de Silva & Tenenbaum 2004).
//!
//! The distance between two objects is the shortest way through the neighbourhood graph. With D2 (L, L) the squared
//! ways between L landmarks, classical scaling takes the leading eigenvector v of
//!
//! > B = -1/2 J D2 J,  J = 1 - 1/L,  B v = lambda v,
//!
//! and any object whose squared ways to the landmarks are d2 lies at
//!
//! > y = -1/2 v . (d2 - mean of D2's columns) / sqrt(lambda),
//!
//! which for a landmark is its own sqrt(lambda) v. With as many landmarks as objects this is ISOMAP itself. A new
//! object's way to a landmark goes through the best of its nearest fitted objects.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tch::Tensor;

use super::graph::Graph;
use super::neighbours::nearest;
use super::{ManifoldError, Points};

const METHOD: &str = "ISOMAP";

/// How the manifold is walked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IsomapSettings {
    /// Neighbours an object is joined with.
    pub neighbours: usize,
    /// Landmarks, drawn at random; at most one an object.
    pub landmarks: usize,
    /// Draws them.
    pub seed: u64,
}

impl Default for IsomapSettings {
    fn default() -> Self {
        Self { neighbours: 10, landmarks: 300, seed: 20 }
    }
}

/// A fitted manifold.
#[derive(Clone, Debug, PartialEq)]
pub struct Isomap {
    points: Points,
    neighbours: usize,
    components: usize,
    /// Squared ways from each landmark (landmarks, objects).
    squared_ways: Vec<Vec<f64>>,
    /// v / sqrt(lambda).
    axis: Vec<f64>,
    /// Mean of the landmarks' squared ways to each landmark.
    mean: Vec<f64>,
}

impl Isomap {
    /// Fits the manifold of `points`.
    ///
    /// # Errors
    /// For no more objects than neighbours, no spread, and libtorch's.
    pub fn fit(points: &Points, settings: &IsomapSettings) -> Result<Self, ManifoldError> {
        let (n, neighbours) = (points.len(), settings.neighbours.max(1));
        points.fit_for(METHOD, neighbours + 1)?;
        let graph = Graph::of(points, neighbours);
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let mut landmarks = rand::seq::index::sample(&mut rng, n, settings.landmarks.clamp(2, n)).into_vec();
        landmarks.sort_unstable();
        let ways_from = |&landmark: &usize| graph.distances(landmark).iter().map(|d| d * d).collect();
        let squared_ways: Vec<Vec<f64>> = landmarks.par_iter().map(ways_from).collect();

        let between = |from: &Vec<f64>| landmarks.iter().map(|&to| from[to]).collect::<Vec<_>>();
        let between: Vec<Vec<f64>> = squared_ways.iter().map(between).collect();
        let mean: Vec<f64> = between.iter().map(|row| row.iter().sum::<f64>() / row.len() as f64).collect();
        // Landmarks on one spot, as happens where most objects are repeated.
        let axis = leading_axis(&between, &mean)?.ok_or(ManifoldError::NoSpread { objects: landmarks.len() })?;
        Ok(Self { points: points.clone(), neighbours, components: graph.components, squared_ways, axis, mean })
    }

    /// Pieces that the neighbourhood graph was in before they were joined: 1 unless outliers or gaps tear it.
    pub fn components(&self) -> usize {
        self.components
    }

    /// Each object's coordinate along the manifold, in units of the latents. Which end is which is arbitrary.
    ///
    /// # Errors
    /// For objects of another width.
    pub fn scalar(&self, points: &Points) -> Result<Vec<f64>, ManifoldError> {
        points.of_width(self.points.width())?;
        let rows: Vec<&[f64]> = points.rows().collect();
        Ok(rows.into_par_iter().map(|row| self.locate(row)).collect())
    }

    fn locate(&self, object: &[f64]) -> f64 {
        let near = nearest(&self.points, object, self.neighbours + 1, None);
        let way = |ways: &Vec<f64>| {
            near.iter().map(|n| n.distance + ways[n.index].sqrt()).fold(f64::INFINITY, f64::min).powi(2)
        };
        let ways = self.squared_ways.iter().map(way);
        -0.5 * ways.zip(&self.mean).zip(&self.axis).map(|((way, mean), axis)| axis * (way - mean)).sum::<f64>()
    }
}

/// v / sqrt(lambda) of the doubly centred squared distances, the largest of v positive; `None` where no eigenvalue
/// is.
fn leading_axis(squared: &[Vec<f64>], mean: &[f64]) -> Result<Option<Vec<f64>>, ManifoldError> {
    crate::torch::device::start();
    let l = mean.len();
    let overall = mean.iter().sum::<f64>() / l as f64;
    let centred = |i: usize, j: usize| -0.5 * (squared[i][j] - mean[i] - mean[j] + overall);
    let gram: Vec<f64> = (0..l * l).map(|at| centred(at / l, at % l)).collect();
    let (values, vectors) = Tensor::f_from_slice(&gram)?.f_view([l as i64, l as i64])?.f_linalg_eigh("L")?;
    let lambda = values.f_double_value(&[-1])?;
    let vector = Vec::<f64>::try_from(vectors.f_select(1, -1)?.f_contiguous()?)?;
    let largest = vector.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
    let scale = largest.signum() / lambda.sqrt();
    Ok((lambda > 0.0).then(|| vector.iter().map(|v| v * scale).collect()))
}
