//! Two clusters by k-means (Lloyd 1982), started by k-means++ (Arthur & Vassilvitskii 2007).
//!
//! linfa's k-means is not used: it would bring 25 crates and an older `rand` for these two pages, and counts the
//! old centre among its members at each step.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ManifoldError;
use super::points::{Points, squared_distance};

const METHOD: &str = "k-means";
const STEPS_MAX: usize = 1000;

/// How the clusters are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KMeansSettings {
    /// Starts, of which the best is kept.
    pub restarts: usize,
    /// Start `r` is drawn from stream `r` of this.
    pub seed: u64,
}

impl Default for KMeansSettings {
    fn default() -> Self {
        Self { restarts: 10, seed: 20 }
    }
}

/// Two clusters, the one with the smaller first latent first.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// Mean latents of each cluster.
    pub centres: [Vec<f64>; 2],
    /// Sum of squared distances to the nearer centre.
    pub inertia: f64,
}

impl KMeans {
    /// Finds the two clusters of `points`.
    ///
    /// # Errors
    /// For fewer than two objects, no spread, and where no start settles in 1,000 steps.
    pub fn fit(points: &Points, settings: &KMeansSettings) -> Result<Self, ManifoldError> {
        points.fit_for(METHOD, 2)?;
        (0..settings.restarts.max(1))
            .filter_map(|restart| Self::once(points, settings.seed, restart as u64))
            .min_by(|a, b| a.inertia.total_cmp(&b.inertia))
            .ok_or(ManifoldError::NotConverged { method: METHOD, steps: STEPS_MAX })
    }

    /// The end of start `restart`; `None` if it does not settle.
    pub(super) fn once(points: &Points, seed: u64, restart: u64) -> Option<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(restart);
        let mut found = Self { centres: plus_plus(points, &mut rng), inertia: 0.0 };
        let mut classes: Vec<bool> = Vec::new();
        for _ in 0..STEPS_MAX {
            let now: Vec<bool> = points.rows().map(|row| found.advantage(row) > 0.0).collect();
            if now == classes {
                let nearer = |row: &[f64]| found.centres.each_ref().map(|c| squared_distance(row, c));
                found.inertia = points.rows().map(nearer).map(|[a, b]| a.min(b)).sum();
                found.centres.sort_by(|a, b| a[0].total_cmp(&b[0]));
                return Some(found);
            }
            classes = now;
            found.centres = [false, true].map(|class| mean(points, &classes, class));
        }
        None
    }

    /// Squared distance from the first centre less that from the second: positive for the second cluster, and linear
    /// in the latents.
    ///
    /// # Errors
    /// For objects of another width.
    pub fn scalar(&self, points: &Points) -> Result<Vec<f64>, ManifoldError> {
        points.of_width(self.centres[0].len())?;
        Ok(points.rows().map(|row| self.advantage(row)).collect())
    }

    fn advantage(&self, row: &[f64]) -> f64 {
        let [first, second] = &self.centres;
        squared_distance(row, first) - squared_distance(row, second)
    }
}

/// Two of the points: the first at random, the second with a chance as its squared distance.
fn plus_plus(points: &Points, rng: &mut ChaCha8Rng) -> [Vec<f64>; 2] {
    let first = points.row(rng.random_range(0..points.len()));
    let distances: Vec<f64> = points.rows().map(|row| squared_distance(row, first)).collect();
    let mut left = rng.random::<f64>() * distances.iter().sum::<f64>();
    let past = distances.iter().position(|d| {
        left -= d;
        left < 0.0
    });
    // Rounding may leave the draw past the end: then the farthest.
    let farthest = || (0..points.len()).max_by(|&a, &b| distances[a].total_cmp(&distances[b])).unwrap_or(0);
    [first.to_vec(), points.row(past.unwrap_or_else(farthest)).to_vec()]
}

/// Mean of a cluster. Neither can lose its last member: k-means++ starts both on points that differ, and a step of
/// Lloyd's between two clusters empties none.
fn mean(points: &Points, classes: &[bool], class: bool) -> Vec<f64> {
    let members = || points.rows().zip(classes).filter(|(_, c)| **c == class).map(|(row, _)| row);
    let mut mean = vec![0.0; points.width()];
    members().for_each(|row| mean.iter_mut().zip(row).for_each(|(m, x)| *m += x));
    let count = members().count() as f64;
    mean.iter_mut().for_each(|m| *m /= count);
    mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifold::samples;

    /// sklearn.cluster.KMeans(2, n_init=50, tol=0) on the same points.
    #[test]
    fn the_clusters_are_scikit_learns() {
        let found = KMeans::fit(&samples::blocks(), &KMeansSettings::default()).unwrap();
        let expected =
            [[1.161_016_182_720_227_9, 1.530_135_662_810_686_4], [3.265_684_552_831_13, 2.647_342_925_562_688_4]];
        for (centre, expected) in found.centres.iter().flatten().zip(expected.iter().flatten()) {
            assert!((centre - expected).abs() < 1e-12, "{:?}", found.centres);
        }
        assert!((found.inertia - 117.570_854_155_329_3).abs() < 1e-9, "{}", found.inertia);
    }

    #[test]
    fn two_gaussians_in_30_dimensions_are_told_apart() {
        let (points, second) = samples::two_gaussians(900, 30, 1);
        let found = KMeans::fit(&points, &KMeansSettings::default()).unwrap();
        assert_eq!(found, KMeans::fit(&points, &KMeansSettings::default()).unwrap());
        let scalar = found.scalar(&points).unwrap();
        assert!(scalar.iter().zip(second).all(|(s, second)| (*s > 0.0) == second));
        let [first, second] = found.centres.each_ref().map(|c| Points::new(30, c.clone()).unwrap());
        let between = found.scalar(&first).unwrap()[0] + found.scalar(&second).unwrap()[0];
        assert!(between.abs() < 1e-9, "the centres are equally far from the cut: {between}");
    }

    #[test]
    fn unsound_input_is_refused() {
        let one = Points::new(2, vec![1.0, 2.0]).unwrap();
        let same = Points::new(2, vec![1.0; 20]).unwrap();
        let fit = |points: &Points| KMeans::fit(points, &KMeansSettings::default());
        assert!(matches!(fit(&one), Err(ManifoldError::TooFew { found: 1, needed: 2, .. })));
        assert!(matches!(fit(&same), Err(ManifoldError::NoSpread { objects: 10 })));
        let two = fit(&Points::new(1, vec![4.0, 2.0]).unwrap()).unwrap();
        assert_eq!((two.centres.as_slice(), two.inertia), ([vec![2.0], vec![4.0]].as_slice(), 0.0));
        assert!(matches!(two.scalar(&one), Err(ManifoldError::OtherWidth { found: 2, expected: 1 })));
    }
}
