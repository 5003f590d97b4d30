//! A supervised probe: how much of the classes do the latents hold? For evaluation only (the paper's 93 % on 30
//! latents).
//!
//! With no hidden layer it is logistic regression, with one a small MLP; both minimise the cross-entropy on
//! standardised latents, as a student whose teacher are the labels.

use super::{SupervisedError, probabilities};
use crate::manifold::{ManifoldError, Points};
use crate::student::{Student, StudentSettings};
use twinpeak_learn::Run;
use twinpeak_learn::posterior::logistic;

const NET: &str = "supervised-probe";

/// A net on latents that was trained on labels.
#[derive(Clone, Debug, PartialEq)]
pub struct SupervisedProbe(Student);

impl SupervisedProbe {
    /// Settings of logistic regression, without a hidden layer.
    pub fn logistic(seed: u64) -> StudentSettings {
        StudentSettings { hidden: Vec::new(), epochs: 100, batch: 256, seed }
    }

    /// Settings of a net with one hidden layer of 32 units.
    pub fn mlp(seed: u64) -> StudentSettings {
        StudentSettings { hidden: vec![32], ..Self::logistic(seed) }
    }

    /// Learns which of `points` are stars. `run` may keep a checkpoint, named by the hidden layers and the seed.
    ///
    /// # Errors
    /// For labels that are not one an object, fewer than 20 objects of a class, and a training that fails.
    pub fn train(
        points: &Points,
        is_star: &[bool],
        settings: &StudentSettings,
        run: &Run,
    ) -> Result<Self, SupervisedError> {
        let labels = probabilities(NET, is_star)?;
        let name = format!("{NET}-{}", settings.hidden.len());
        let (student, _) = Student::teach(&name, points, &labels, settings, run)?;
        Ok(Self(student))
    }

    /// Each object's probability of being a star.
    ///
    /// # Errors
    /// For objects of another width, and libtorch's.
    pub fn probability(&self, points: &Points) -> Result<Vec<f64>, ManifoldError> {
        Ok(self.0.log_odds(points)?.into_iter().map(logistic).collect())
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::manifold::{Scaling, samples};

    const RUN: Run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| {} };

    fn train(points: &Points, is_star: &[bool], settings: StudentSettings) -> SupervisedProbe {
        SupervisedProbe::train(points, is_star, &settings, &RUN).unwrap()
    }

    /// What defines logistic regression: where the likelihood is greatest, the probabilities' sum is the number of
    /// stars, and so is their sum weighted by any coordinate the stars' own.
    #[test]
    fn without_a_hidden_layer_it_is_logistic_regression() {
        let (points, _) = samples::two_gaussians(600, 2, 2);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let is_star: Vec<bool> =
            points.rows().map(|r| rng.random_bool(1.0 / (1.0 + (0.7 * r[0] - 0.4 * r[1] + 0.3).exp()))).collect();
        let settings = StudentSettings { epochs: 1500, batch: 600, ..SupervisedProbe::logistic(1) };
        let found = train(&points, &is_star, settings).probability(&points).unwrap();
        let deviation = Scaling::of(&points).deviation;
        for along in [None, Some(0), Some(1)] {
            let weight = |r: &[f64]| along.map_or(1.0, |d: usize| r[d] / deviation[d]);
            let miss = points.rows().zip(&found).zip(&is_star);
            let mean: f64 = miss.map(|((r, p), s)| weight(r) * (p - f64::from(u8::from(*s)))).sum::<f64>() / 600.0;
            // Gradient descent comes near, and a probe that learned nothing is off by a tenth and more.
            assert!(mean.abs() < 0.02, "{along:?}: {mean}");
        }
    }

    /// Classes by the quadrants along and across the line between two Gaussians: no plane parts them.
    #[test]
    fn a_hidden_layer_learns_what_no_plane_parts() {
        let (points, _) = samples::two_gaussians(600, 2, 2);
        let middle: f64 = Scaling::of(&points).mean.iter().sum();
        let odd: Vec<bool> = points.rows().map(|r| (r[0] > r[1]) != (r[0] + r[1] > middle)).collect();
        let right = |settings| {
            let found = train(&points, &odd, settings).probability(&points).unwrap();
            found.iter().zip(&odd).filter(|(p, odd)| (**p > 0.5) == **odd).count()
        };
        let found = right(SupervisedProbe::mlp(3));
        assert!(found > 560, "{found} of 600");
        assert_eq!(found, right(SupervisedProbe::mlp(3)));
        assert!(right(SupervisedProbe::logistic(3)) < found);
    }

    #[test]
    fn unsound_labels_are_refused() {
        let points = samples::gaussians();
        let train = |labels: &[bool]| {
            SupervisedProbe::train(&points, labels, &SupervisedProbe::logistic(1), &RUN).unwrap_err().to_string()
        };
        assert!(train(&[]).contains("no training object has a label"));
        let few: Vec<bool> = (0..60).map(|i| i < 30).collect();
        assert_eq!(train(&few), "60 values of probability for 300 objects");
        assert!(train(&[true; 300]).contains("0 galaxies, at least 20 are needed"), "{}", train(&[true; 300]));
    }
}
