//! A supervised probe: how much of the classes do the latents hold? For evaluation only (the paper's 93 % on 30
//! latents): it learns from labels, so nothing it learns may enter a model. The labels come as an argument; this
//! module opens no truth.
//!
//! With no hidden layer it is logistic regression, with one a small MLP; both minimise the cross-entropy on
//! standardised latents.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, TchError, Tensor, no_grad};

use super::{Points, Scaling};
use crate::learn::classify::Batches;
use crate::learn::descent::{Descent, Schedule, inputs};
use crate::learn::manifold::ManifoldError;
use crate::learn::{LearnError, Run};
use crate::torch::nets::layers::Mlp;
use crate::torch::parameters::{Parameters, Start, Tensors};

const NET: &str = "supervised-probe";
/// Fewest objects of each class.
const OBJECTS_MIN: usize = 20;

/// How the probe is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupervisedProbeSettings {
    /// Width of the hidden layer; none for logistic regression.
    pub hidden: Option<usize>,
    /// Passes over the objects.
    pub epochs: usize,
    /// Objects a step.
    pub batch: usize,
    /// Of the start and the batches.
    pub seed: u64,
}

impl SupervisedProbeSettings {
    /// Logistic regression.
    pub fn logistic(seed: u64) -> Self {
        Self { hidden: None, epochs: 100, batch: 256, seed }
    }

    /// 32 hidden units.
    pub fn mlp(seed: u64) -> Self {
        Self { hidden: Some(32), ..Self::logistic(seed) }
    }
}

/// A trained probe.
#[derive(Clone, Debug, PartialEq)]
pub struct SupervisedProbe {
    scaling: Scaling,
    parameters: Parameters,
    layers: usize,
}

impl SupervisedProbe {
    /// Learns which of `points` are stars. `run` may keep a checkpoint, named by the hidden layer and the seed.
    ///
    /// # Errors
    /// For labels that are not one an object, fewer than 20 objects of a class, and a training that fails.
    pub fn train(
        points: &Points,
        is_star: &[bool],
        settings: &SupervisedProbeSettings,
        run: &Run,
    ) -> Result<Self, SupervisedProbeError> {
        if is_star.len() != points.len() {
            let (found, expected) = (is_star.len(), points.len());
            return Err(ManifoldError::OtherLength { what: "label", found, expected }.into());
        }
        let stars = is_star.iter().filter(|&&s| s).count();
        for (what, found) in [("stars", stars), ("galaxies", is_star.len() - stars)] {
            if found < OBJECTS_MIN {
                return Err(LearnError::TooFew { net: NET, what, found, needed: OBJECTS_MIN }.into());
            }
        }
        let scaling = Scaling::of(points);
        let x = single(&scaling.apply(points)?);
        let labels: Vec<f32> = is_star.iter().map(|&s| f32::from(u8::from(s))).collect();
        let widths: Vec<usize> = [points.width()].into_iter().chain(settings.hidden).chain([1]).collect();
        let layers = widths.len() - 1;
        let start = Parameters::random(
            &Mlp::shapes("probe", &widths),
            Start::Uniform,
            &mut ChaCha8Rng::seed_from_u64(settings.seed),
        );
        let mut batches = Batches::new(points.len(), settings.batch, settings.seed);
        let descent = Descent {
            net: format!("{NET}-{}-{}", settings.hidden.unwrap_or(0), settings.seed),
            steps: batches.steps(settings.epochs),
            rate: 1e-2,
            schedule: Schedule::OneCycle { rise: 0.2 },
            weight_decay: 1e-4,
            gradient_max: 5.0,
            seed: settings.seed,
            inputs: inputs(&format!("{settings:?}"), [x.as_slice(), labels.as_slice()]),
        };
        let torch = |source| LearnError::Torch { net: descent.net.clone(), source };
        let x = Tensor::f_from_slice(&x).and_then(|x| x.f_view([-1, points.width() as i64])).map_err(torch)?;
        let labels = Tensor::f_from_slice(&labels).map_err(torch)?;
        let build = |tensors: &Tensors| Mlp::new(tensors, "probe", layers);
        let (parameters, _) = run.descend(&descent, &start, build, |net, step, _| {
            let batch = batches.at(step)?;
            let log_odds = net.forward(&x.f_index_select(0, &batch)?)?.f_squeeze_dim(1)?;
            let labels = labels.f_index_select(0, &batch)?;
            log_odds.f_binary_cross_entropy_with_logits::<Tensor>(&labels, None, None, Reduction::Mean)
        })?;
        Ok(Self { scaling, parameters, layers })
    }

    /// Each object's probability of being a star.
    ///
    /// # Errors
    /// For objects of another width, and libtorch's.
    pub fn probability(&self, points: &Points) -> Result<Vec<f64>, ManifoldError> {
        let x = single(&self.scaling.apply(points)?);
        crate::torch::device::start();
        no_grad(|| -> Result<Vec<f64>, TchError> {
            let net = Mlp::new(&Tensors::upload(&self.parameters, Device::Cpu, Kind::Float)?, "probe", self.layers)?;
            let x = Tensor::f_from_slice(&x)?.f_view([-1, points.width() as i64])?;
            let chance = net.forward(&x)?.f_squeeze_dim(1)?.f_to_kind(Kind::Double)?.f_sigmoid()?;
            Vec::try_from(chance.f_contiguous()?)
        })
        .map_err(ManifoldError::from)
    }
}

fn single(points: &Points) -> Vec<f32> {
    points.values().iter().map(|&v| v as f32).collect()
}

/// Why there is no probe.
#[derive(Debug, thiserror::Error)]
pub enum SupervisedProbeError {
    /// Its input is unsound.
    #[error(transparent)]
    Input(#[from] ManifoldError),
    /// Its training failed.
    #[error(transparent)]
    Training(#[from] LearnError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::manifold::samples;
    use rand::Rng;

    const RUN: Run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| {} };

    fn train(points: &Points, is_star: &[bool], settings: SupervisedProbeSettings) -> SupervisedProbe {
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
        let settings = SupervisedProbeSettings { epochs: 1500, batch: 600, ..SupervisedProbeSettings::logistic(1) };
        let found = train(&points, &is_star, settings).probability(&points).unwrap();
        let deviation = Scaling::of(&points).deviation;
        for along in [None, Some(0), Some(1)] {
            let weight = |r: &[f64]| along.map_or(1.0, |d: usize| r[d] / deviation[d]);
            let miss = points.rows().zip(&found).zip(&is_star);
            let mean: f64 = miss.map(|((r, p), s)| weight(r) * (p - f64::from(u8::from(*s)))).sum::<f64>() / 600.0;
            // Descent comes near, and a probe that learned nothing is off by a tenth and more.
            assert!(mean.abs() < 0.02, "{along:?}: {mean}");
        }
    }

    /// Classes by the quadrants along and across the line between two Gaussians: no plane parts them.
    #[test]
    fn a_hidden_layer_learns_what_no_plane_parts() {
        let (points, _) = samples::two_gaussians(600, 2, 2);
        let middle: f64 = points.mean().iter().sum();
        let odd: Vec<bool> = points.rows().map(|r| (r[0] > r[1]) != (r[0] + r[1] > middle)).collect();
        let right = |settings| {
            let found = train(&points, &odd, settings).probability(&points).unwrap();
            found.iter().zip(&odd).filter(|(p, odd)| (**p > 0.5) == **odd).count()
        };
        let found = right(SupervisedProbeSettings::mlp(3));
        assert!(found > 560, "{found} of 600");
        assert_eq!(found, right(SupervisedProbeSettings::mlp(3)));
        assert!(right(SupervisedProbeSettings::logistic(3)) < found);
    }

    #[test]
    fn unsound_labels_are_refused() {
        let points = samples::gaussians();
        let train = |labels: &[bool]| {
            SupervisedProbe::train(&points, labels, &SupervisedProbeSettings::logistic(1), &RUN)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(train(&[true]), "1 values of label for 300 objects");
        assert!(train(&[true; 300]).contains("0 galaxies, at least 20 are needed"), "{}", train(&[true; 300]));
    }
}
