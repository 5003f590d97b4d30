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
    /// Seed of the draw of landmarks.
    pub seed: u64,
}

impl Default for IsomapSettings {
    fn default() -> Self {
        Self { neighbours: 10, landmarks: 300, seed: 20 }
    }
}

/// A fitted manifold, on which new objects can be placed.
#[derive(Clone, Debug, PartialEq)]
pub struct Isomap {
    points: Points,
    neighbours: usize,
    components: usize,
    /// Squared ways from each landmark (landmarks, objects).
    squared_ways: Vec<Vec<f64>>,
    /// Leading eigenvector over the root of its eigenvalue, v / sqrt(lambda), by landmark.
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
        let near = nearest(&self.points, object, self.neighbours, None);
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
    twinpeak_nets::device::start();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifold::samples;
    use crate::manifold::samples::correlation;
    use twinpeak_learn::classify::spearman;

    /// sklearn.manifold.Isomap(n_neighbors=6, n_components=1, eigen_solver="dense") on the same points: `embedding_`
    /// of four of them and `transform` of two new ones.
    #[test]
    fn with_all_landmarks_it_is_scikit_learns() {
        let points = samples::spiral();
        let fitted = Isomap::fit(&points, &IsomapSettings { neighbours: 6, landmarks: 80, seed: 1 }).unwrap();
        let at = |t: f64, u: f64| vec![t * t.cos(), u * t.sin()];
        let new = Points::new(3, [at(5.0, 5.1), vec![1.0], at(12.0, 12.0), vec![2.0]].concat()).unwrap();
        let (old, new) = (fitted.scalar(&points).unwrap(), fitted.scalar(&new).unwrap());
        let expected = [
            -22.966_113_313_766_314,
            -12.747_099_006_573_437,
            3.649_726_333_845_028,
            -5.560_681_176_337_433,
            -18.094_274_313_324_078,
            4.165_473_010_818_788,
        ];
        let sign = -old[0].signum();
        for (found, expected) in [old[0], old[17], old[40], old[79], new[0], new[1]].iter().zip(expected) {
            assert!((sign * found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn a_swiss_roll_is_unrolled() {
        let (roll, arc) = samples::swiss_roll(1500, 3);
        let settings = IsomapSettings { neighbours: 10, landmarks: 200, seed: 4 };
        let fitted = Isomap::fit(&roll, &settings).unwrap();
        assert_eq!(fitted.components(), 1);
        let found = fitted.scalar(&roll).unwrap();
        assert!(correlation(&found, &arc).abs() > 0.99, "{}", correlation(&found, &arc));
        let (new, new_arc) = samples::swiss_roll(200, 5);
        let found = fitted.scalar(&new).unwrap();
        assert!(correlation(&found, &new_arc).abs() > 0.99, "{}", correlation(&found, &new_arc));
    }

    #[test]
    fn a_line_in_30_dimensions_is_itself() {
        let (line, along) = samples::line(200, 30, 6);
        let found = Isomap::fit(&line, &IsomapSettings::default()).unwrap().scalar(&line).unwrap();
        let mean = along.iter().sum::<f64>() / 200.0;
        let sign = (found[0] * (along[0] - mean)).signum();
        let miss = found.iter().zip(&along).map(|(y, a)| (sign * y - (a - mean)).abs()).fold(0.0, f64::max);
        assert!(miss < 1e-9, "{miss}");
    }

    #[test]
    fn a_torn_manifold_is_joined_and_counted() {
        let two: Vec<f64> = (0..60).map(|i| f64::from(i) + if i < 30 { 0.0 } else { 100.0 }).collect();
        let two = Points::new(1, two).unwrap();
        let fitted = Isomap::fit(&two, &IsomapSettings { neighbours: 4, landmarks: 20, seed: 7 }).unwrap();
        assert_eq!(fitted.components(), 2);
        let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
        let order = spearman(&single(&fitted.scalar(&two).unwrap()), &single(two.values()));
        assert_eq!(order.abs(), 1.0);
    }

    #[test]
    fn the_seed_decides_and_threads_do_not() {
        let (points, _) = samples::two_gaussians(400, 30, 8);
        let settings = IsomapSettings { neighbours: 8, landmarks: 50, seed: 9 };
        let fit = |settings| Isomap::fit(&points, &settings).unwrap();
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(fit(settings), one.install(|| fit(settings)));
        assert_ne!(fit(settings), fit(IsomapSettings { seed: 10, ..settings }));
    }

    #[test]
    fn unsound_input_is_refused() {
        let fit = |values| Isomap::fit(&Points::new(2, values).unwrap(), &IsomapSettings::default());
        assert!(matches!(fit(vec![1.0; 4]), Err(ManifoldError::TooFew { found: 2, needed: 11, .. })));
        assert!(matches!(fit(vec![1.0; 40]), Err(ManifoldError::NoSpread { objects: 20 })));
        let fitted = fit((0..40).map(f64::from).collect()).unwrap();
        let other = Points::new(1, vec![0.0]).unwrap();
        assert!(matches!(fitted.scalar(&other), Err(ManifoldError::OtherWidth { found: 1, expected: 2 })));
    }
}
