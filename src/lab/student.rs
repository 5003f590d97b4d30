//! A student: a small net over latents that learns another's probabilities (Hinton, Vinyals & Dean 2015). The loss is
//! the cross-entropy with the teacher's p in place of a label,
//!
//! ```text
//! - mean of  p ln s + (1 - p) ln(1 - s),      s = sigmoid(net(latents))
//! ```
//!
//! whose least value over all nets is at s = E(p | latents): what the latents can say of the teacher's opinion.
//!
//! Taught by the profile likelihood (EB, `learn::profile_likelihood`), which knows nothing but fits of profiles,
//! latents learn what a likelihood knows, and the student stays label-free; that is A+Vr distilled on EB, with a net of
//! the size of the VAE's encoder. Taught by labels, it is the supervised probe (`supervised::SupervisedProbe`) and
//! nothing but a measure.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, TchError, Tensor, no_grad};

use crate::manifold::{ManifoldError, Points, Scaling};
use twinpeak_learn::classify::ShuffledBatches;
use twinpeak_learn::trainer::{Schedule, Step, Trainer, inputs};
use twinpeak_learn::{Curve, LearnError, Run};
use twinpeak_nets::layers::Mlp;
use twinpeak_nets::parameters::{Parameters, Start, Tensors};

/// How a student is taught.
#[derive(Clone, Debug, PartialEq)]
pub struct StudentSettings {
    /// Widths of the hidden layers; none: logistic regression.
    pub hidden: Vec<usize>,
    /// Passes over the training objects.
    pub epochs: usize,
    /// Objects in a step's batch.
    pub batch: usize,
    /// Seed of the weights and of the order of objects.
    pub seed: u64,
}

impl StudentSettings {
    /// Two hidden layers of 64, as A+Vr's encoder has.
    pub fn distilled(seed: u64) -> Self {
        Self { hidden: vec![64, 64], epochs: 30, batch: 256, seed }
    }
}

/// A net that was taught.
#[derive(Clone, Debug, PartialEq)]
pub struct Student {
    scaling: Scaling,
    parameters: Parameters,
    layers: usize,
}

impl Student {
    /// Teaches a net the `probability` of each of `points` to be a star. `run` may keep a checkpoint, named by `name`
    /// and the seed.
    ///
    /// # Errors
    /// [`StudentError`], for probabilities that are not one an object too.
    pub fn teach(
        name: &str,
        points: &Points,
        probability: &[f32],
        settings: &StudentSettings,
        run: &Run,
    ) -> Result<(Self, Curve), StudentError> {
        if probability.len() != points.len() {
            let (found, expected) = (probability.len(), points.len());
            return Err(ManifoldError::OtherLength { what: "probability", found, expected }.into());
        }
        let scaling = Scaling::of(points);
        let x = single(&scaling.apply(points)?);
        let widths = [vec![points.width()], settings.hidden.clone(), vec![1]].concat();
        let layers = widths.len() - 1;
        let shapes = Mlp::shapes("student", &widths);
        let start = Parameters::random(&shapes, Start::Uniform, &mut ChaCha8Rng::seed_from_u64(settings.seed));
        let mut batches = ShuffledBatches::new(points.len(), settings.batch, settings.seed);
        let trainer = Trainer {
            net: format!("{name}-{}", settings.seed),
            steps: batches.steps(settings.epochs),
            rate: 1e-2,
            schedule: Schedule::OneCycle { rise: 0.2 },
            weight_decay: 1e-4,
            gradient_max: 5.0,
            seed: settings.seed,
            inputs: inputs(&format!("{settings:?}"), [x.as_slice(), probability]),
        };
        let torch = |source| LearnError::Torch { net: trainer.net.clone(), source };
        let x = Tensor::f_from_slice(&x).and_then(|x| x.f_view([-1, points.width() as i64])).map_err(torch)?;
        let taught = Tensor::f_from_slice(probability).map_err(torch)?;
        let build = |tensors: &Tensors| Mlp::new(tensors, "student", layers);
        let (parameters, curve) = run.descend(&trainer, &start, build, |net, step, _| -> Step {
            let batch = batches.at(step)?;
            let log_odds = net.forward(&x.f_index_select(0, &batch)?)?.f_squeeze_dim(1)?;
            let taught = taught.f_index_select(0, &batch)?;
            Ok(log_odds.f_binary_cross_entropy_with_logits::<Tensor>(&taught, None, None, Reduction::Mean)?)
        })?;
        Ok((Self { scaling, parameters, layers }, curve))
    }

    /// Its log-odds of star of each object.
    ///
    /// # Errors
    /// For objects of another width, and libtorch's.
    pub fn log_odds(&self, points: &Points) -> Result<Vec<f64>, ManifoldError> {
        let x = single(&self.scaling.apply(points)?);
        twinpeak_nets::device::start();
        no_grad(|| -> Result<Vec<f64>, TchError> {
            let net = Mlp::new(&Tensors::upload(&self.parameters, Device::Cpu, Kind::Float)?, "student", self.layers)?;
            let x = Tensor::f_from_slice(&x)?.f_view([-1, points.width() as i64])?;
            let log_odds = net.forward(&x)?.f_squeeze_dim(1)?.f_to_kind(Kind::Double)?;
            Vec::try_from(log_odds.f_contiguous()?)
        })
        .map_err(ManifoldError::from)
    }
}

fn single(points: &Points) -> Vec<f32> {
    points.values().iter().map(|&v| v as f32).collect()
}

/// Why a student could not be taught.
#[derive(Debug, thiserror::Error)]
pub enum StudentError {
    /// Its latents or targets cannot be learned from.
    #[error(transparent)]
    Input(#[from] ManifoldError),
    /// Its training ended without a net.
    #[error(transparent)]
    Training(#[from] LearnError),
}

impl StudentError {
    /// Whether a file or a disk is at fault, as [`LearnError::is_external`] says.
    pub fn is_external(&self) -> bool {
        matches!(self, Self::Training(error) if error.is_external())
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::StandardNormal;

    use super::*;

    const RUN: Run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| {} };

    /// A teacher that sees more than the student: p depends on a latent and on something that is none. The student
    /// learns the mean of p over what it cannot see.
    #[test]
    fn a_student_learns_the_mean_opinion_of_its_teacher() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut values, mut taught) = (Vec::new(), Vec::new());
        for _ in 0..4000 {
            let (seen, noise): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
            values.extend([seen, noise]);
            // On either side of what the latent says, by chance.
            let p = 0.5 + 0.3 * seen.tanh() + if rng.random_bool(0.5) { 0.15 } else { -0.15 };
            taught.push(p as f32);
        }
        let points = Points::new(2, values).unwrap();
        let settings = StudentSettings { hidden: vec![16], ..StudentSettings::distilled(2) };
        let taught = |settings| Student::teach("test", &points, &taught, settings, &RUN).unwrap().0;
        let student = taught(&settings);
        let asked = Points::new(2, vec![-1.0, 0.5, 0.0, -0.5, 1.0, 0.0]).unwrap();
        for (odds, seen) in student.log_odds(&asked).unwrap().into_iter().zip([-1.0f64, 0.0, 1.0]) {
            let (found, wanted) = (1.0 / (1.0 + (-odds).exp()), 0.5 + 0.3 * seen.tanh());
            assert!((found - wanted).abs() < 0.04, "{seen}: {found} for {wanted}");
        }
        assert_eq!(taught(&settings), student);
    }

    #[test]
    fn as_many_opinions_as_objects() {
        let points = Points::new(1, vec![1.0, 2.0]).unwrap();
        let told = Student::teach("test", &points, &[0.5], &StudentSettings::distilled(1), &RUN).unwrap_err();
        assert_eq!(told.to_string(), "1 values of probability for 2 objects");
    }
}
