//! t-SNE (van der Maaten & Hinton 2008) to one scalar.
//!
//! Neighbours get affinities P, Gaussian with a width of given perplexity; the map's Q falls off as 1 / (1 + (yi - yj)^2);
//! descent lowers KL(P || Q). The crate bhtsne does it: its Barnes-Hut tree begins at two dimensions, so the repulsion
//! is interpolated on a grid here (FIt-SNE, Linderman et al. 2019), of the same order in speed and accuracy.
//!
//! The crate's own start is not seeded, so we give it one: N(0, 1e-4^2) as van der Maaten's. Its sums over threads
//! depend on who took which share; on one thread they do not. Use the other threads for other seeds.
//!
//! A new object lies at its nearest fitted objects' mean, weighted by the inverse of the distance.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::neighbours::nearest;
use super::points::squared_distance;
use super::{ManifoldError, Points};

const METHOD: &str = "t-SNE";
/// Standard deviation of the start.
const START: f64 = 1e-4;
/// Fitted objects that place a new one.
const PLACED_BY: usize = 5;

/// How the map is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TsneSettings {
    /// Perplexity: the effective number of neighbours of an object.
    pub perplexity: f64,
    /// Steps of the descent, the first 250 exaggerated.
    pub steps: usize,
    /// Seed of the positions that the descent starts from.
    pub seed: u64,
}

impl Default for TsneSettings {
    fn default() -> Self {
        Self { perplexity: 30.0, steps: 1000, seed: 20 }
    }
}

/// A one-dimensional map of objects, on which new ones can be placed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tsne {
    points: Points,
    map: Vec<f64>,
}

impl Tsne {
    /// Maps `points`.
    ///
    /// # Errors
    /// For no more than three times the perplexity of objects, no spread, and a map that left the numbers.
    pub fn fit(points: &Points, settings: &TsneSettings) -> Result<Self, ManifoldError> {
        // bhtsne looks at floor(3 perplexity) neighbours and panics without them.
        let perplexity = settings.perplexity.clamp(1.0, 1e6);
        points.fit_for(METHOD, (3.0 * perplexity) as usize + 2)?;
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let start: Vec<f64> = (0..points.len()).map(|_| START * rng.sample::<f64, _>(StandardNormal)).collect();
        let rows: Vec<&[f64]> = points.rows().collect();
        let draw = || {
            let mut map = bhtsne::tSNE::<f64, &[f64], 1>::new(&rows);
            map.perplexity(perplexity).epochs(settings.steps).initial_embedding(start);
            map.fit_sne(|a, b| squared_distance(a, b).sqrt()).embedding()
        };
        let map = ThreadPoolBuilder::new().num_threads(1).build()?.install(draw);
        if map.iter().any(|y| !y.is_finite()) {
            return Err(ManifoldError::NotConverged { method: METHOD, steps: settings.steps });
        }
        Ok(Self { points: points.clone(), map })
    }

    /// Each object's place on the map. Which end is which is arbitrary, and so are the gaps' widths.
    ///
    /// # Errors
    /// For objects of another width.
    pub fn scalar(&self, points: &Points) -> Result<Vec<f64>, ManifoldError> {
        points.of_width(self.points.width())?;
        let rows: Vec<&[f64]> = points.rows().collect();
        Ok(rows.into_par_iter().map(|row| self.locate(row)).collect())
    }

    fn locate(&self, object: &[f64]) -> f64 {
        let near = nearest(&self.points, object, PLACED_BY, None);
        let place = |index: usize| self.map[index];
        if let Some(same) = near.iter().find(|n| n.distance == 0.0) {
            return place(same.index);
        }
        let weights: f64 = near.iter().map(|n| n.distance.recip()).sum();
        near.iter().map(|n| place(n.index) / n.distance).sum::<f64>() / weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifold::samples;

    #[test]
    fn two_clusters_part_on_one_scalar_whatever_the_seed() {
        let (points, second) = samples::two_gaussians(300, 30, 1);
        for seed in 0..3 {
            let map = Tsne::fit(&points, &TsneSettings { seed, ..TsneSettings::default() }).unwrap();
            let scalar = map.scalar(&points).unwrap();
            let range = |class| {
                let of = scalar.iter().zip(&second).filter(move |(_, s)| **s == class).map(|(y, _)| *y);
                of.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)))
            };
            let (a, b) = (range(false), range(true));
            assert!(a.1 < b.0 || b.1 < a.0, "seed {seed}: {a:?} {b:?}");
        }
    }

    /// Van der Maaten & Hinton 2008: neighbours stay neighbours.
    #[test]
    fn objects_along_a_line_keep_their_neighbours() {
        let (line, along) = samples::line(200, 30, 2);
        let map = Tsne::fit(&line, &TsneSettings { perplexity: 10.0, ..TsneSettings::default() }).unwrap();
        let scalar = map.scalar(&line).unwrap();
        let ranked = |by: &[f64]| {
            let mut order: Vec<usize> = (0..by.len()).collect();
            order.sort_by(|&i, &j| by[i].total_cmp(&by[j]));
            order
        };
        let truth = ranked(&along);
        let mut place = vec![0usize; truth.len()];
        truth.iter().enumerate().for_each(|(rank, &i)| place[i] = rank);
        let near = ranked(&scalar).windows(2).filter(|w| place[w[0]].abs_diff(place[w[1]]) <= 5).count();
        assert!(near > 180, "{near} of 199 steps on the map are steps of 5 or less on the line");
    }

    #[test]
    fn a_new_object_lies_among_its_neighbours_and_a_fitted_one_on_itself() {
        let (points, _) = samples::two_gaussians(200, 30, 3);
        let map = Tsne::fit(&points, &TsneSettings { steps: 300, ..TsneSettings::default() }).unwrap();
        assert_eq!(map.scalar(&points).unwrap(), map.map);
        let new: Vec<f64> = points.row(7).iter().map(|x| x + 1e-9).collect();
        let place = map.scalar(&Points::new(30, new).unwrap()).unwrap()[0];
        assert!((place - map.map[7]).abs() < 1e-6, "{place} {}", map.map[7]);
    }

    #[test]
    fn the_seed_decides_and_threads_do_not() {
        let (points, _) = samples::two_gaussians(200, 30, 4);
        let settings = TsneSettings { steps: 300, ..TsneSettings::default() };
        let fit = |settings| Tsne::fit(&points, &settings).unwrap();
        let three = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(fit(settings), three.install(|| fit(settings)));
        assert_ne!(fit(settings), fit(TsneSettings { seed: 5, ..settings }));
    }

    #[test]
    fn unsound_input_is_refused_and_repeated_objects_are_not() {
        let fit = |values| Tsne::fit(&Points::new(2, values).unwrap(), &TsneSettings::default());
        assert!(matches!(fit(vec![1.0; 4]), Err(ManifoldError::TooFew { found: 2, needed: 92, .. })));
        assert!(matches!(fit(vec![1.0; 200]), Err(ManifoldError::NoSpread { objects: 100 })));
        fit((0..184).map(f64::from).collect()).unwrap();
        fit((0..400).map(|i| if i < 300 { 1.0 } else { f64::from(i) }).collect()).unwrap();
    }
}
