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
    /// Effective number of neighbours.
    pub perplexity: f64,
    /// Steps of the descent, the first 250 exaggerated.
    pub steps: usize,
    /// Draws the start.
    pub seed: u64,
}

impl Default for TsneSettings {
    fn default() -> Self {
        Self { perplexity: 30.0, steps: 1000, seed: 20 }
    }
}

/// A drawn map.
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
