//! Gradient descent that can be interrupted: Adam, a schedule, checkpoints, the loss curve. All nets are
//! trained by [`Run::descend`].

mod adam;
mod checkpoint;

use std::path::Path;

use adam::Adam;
use checkpoint::Fingerprint;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::LearnError;
use super::loss::LossError;
pub use checkpoint::inputs;
use twinpeak_nets::parameters::{Parameters, Tensors};

/// Where a training stands; for a progress bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Name of the net that is trained.
    pub net: String,
    /// Number of steps done.
    pub step: usize,
    /// Number of steps in all.
    pub steps: usize,
    /// Loss, smoothed over the last steps.
    pub loss: f32,
}

/// A training's loss, for a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Name of the net that was trained.
    pub net: String,
    /// Loss of each step, not smoothed.
    pub loss: Vec<f32>,
}

impl Curve {
    /// Loss after each step, smoothed over about 30 steps.
    pub fn smoothed(&self) -> Vec<f32> {
        let mut mean = None;
        let step = |&loss: &f32| {
            let next = mean.map_or(loss, |m: f32| 0.97 * m + 0.03 * loss);
            mean = Some(next);
            next
        };
        self.loss.iter().map(step).collect()
    }
}

/// How trainings are run and watched.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Folder for checkpoints; `None` keeps none.
    pub work_dir: Option<&'a Path>,
    /// Number of steps between checkpoints.
    pub checkpoint_steps: usize,
    /// Called after every step, from several threads.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// How the rate goes over a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// A linear rise, then half a cosine down to 1 % of the peak.
    Cosine {
        /// Number of steps over which the rate rises.
        warm_up: usize,
    },
    /// Half a cosine up from 1/25 of the peak, then half a cosine down to nothing (Smith & Topin 2017).
    OneCycle {
        /// Share of the steps that go up, 0..1.
        rise: f64,
    },
}

impl Schedule {
    fn rate(self, peak: f64, step: usize, steps: usize) -> f64 {
        let between =
            |from: f64, to: f64, share: f64| to + (from - to) * (0.5 + 0.5 * (std::f64::consts::PI * share).cos());
        let (step, steps) = (step as f64, steps as f64);
        match self {
            Self::Cosine { warm_up } => {
                (step / warm_up as f64).min(1.0) * between(peak, 0.0, step / steps) + 0.01 * peak
            }
            Self::OneCycle { rise } => {
                let top = (rise * steps - 1.0).max(1.0);
                if step <= top {
                    between(peak / 25.0, peak, step / top)
                } else {
                    between(peak, peak / 25e4, (step - top) / (steps - 1.0 - top).max(1.0))
                }
            }
        }
    }
}

/// How one net is trained.
#[derive(Clone, Debug)]
pub struct Trainer {
    /// The net's name: of its checkpoint, curve and progress.
    pub net: String,
    /// Number of steps in all.
    pub steps: usize,
    /// Highest learning rate of the schedule.
    pub rate: f64,
    /// How the rate changes from step to step.
    pub schedule: Schedule,
    /// Decoupled weight decay (Loshchilov & Hutter 2019).
    pub weight_decay: f64,
    /// The gradient's norm is cut to this.
    pub gradient_max: f64,
    /// Seed of the randomness in each step.
    pub seed: u64,
    /// Digest of settings and data, by [`inputs`]: a checkpoint of others is refused.
    pub inputs: String,
}

/// What may go wrong in a step. `E` is the error of whoever trains: a caller whose batches come from files has more to say
/// than a [`LearnError`].
pub enum StepError<E = LearnError> {
    /// libtorch failed; [`Run::descend`] adds the net's name.
    Torch(tch::TchError),
    /// Anything else: data that cannot be read, a loss outside its domain.
    Other(E),
}

impl<E> From<tch::TchError> for StepError<E> {
    fn from(source: tch::TchError) -> Self {
        Self::Torch(source)
    }
}

impl<E: From<LearnError>> From<LossError> for StepError<E> {
    fn from(error: LossError) -> Self {
        match error {
            LossError::Torch(source) => Self::Torch(source),
            error => Self::Other(LearnError::Loss(error).into()),
        }
    }
}

/// A step's loss, a scalar.
pub type Step<E = LearnError> = Result<Tensor, StepError<E>>;

impl Run<'_> {
    /// Minimises `loss`, a scalar, from `start`; gives the parameters and the loss of each step. `build` makes the net over
    /// the parameters, once; `loss` is given the net, the step (from 0), and the step's own random numbers.
    ///
    /// # Errors
    /// [`LearnError`] of libtorch, of a checkpoint, or where the loss is not finite; and those of `loss`.
    pub fn descend<Net, E: From<LearnError>>(
        &self,
        trainer: &Trainer,
        start: &Parameters,
        build: impl FnOnce(&Tensors) -> Result<Net, tch::TchError>,
        mut loss: impl FnMut(&Net, usize, &mut ChaCha8Rng) -> Step<E>,
    ) -> Result<(Parameters, Curve), E> {
        twinpeak_nets::device::start();
        let torch = |source| LearnError::Torch { net: trainer.net.clone(), source };
        let fingerprint = Fingerprint::new(trainer, start);
        let path = self.work_dir.map(|dir| dir.join(format!("{}.checkpoint", trainer.net)));
        let mut adam = Adam::new(start).map_err(torch)?;
        let mut curve = Curve { net: trainer.net.clone(), loss: Vec::with_capacity(trainer.steps) };
        if let Some(path) = &path {
            checkpoint::restore(path, &fingerprint, &mut adam, &mut curve)?;
        }
        let net = build(adam.parameters()).map_err(torch)?;
        let mut smoothed = curve.smoothed().last().copied();
        for step in curve.loss.len()..trainer.steps {
            let mut rng = ChaCha8Rng::seed_from_u64(trainer.seed);
            rng.set_stream(step as u64 + 1);
            let loss = loss(&net, step, &mut rng).map_err(|error| match error {
                StepError::Torch(source) => torch(source).into(),
                StepError::Other(error) => error,
            })?;
            let value = loss.double_value(&[]) as f32;
            if !value.is_finite() {
                return Err(LearnError::Diverged { net: trainer.net.clone(), step }.into());
            }
            adam.zero_gradients();
            loss.f_backward().map_err(torch)?;
            adam.step(trainer.schedule.rate(trainer.rate, step, trainer.steps), trainer).map_err(torch)?;
            curve.loss.push(value);
            let mean = smoothed.map_or(value, |m| 0.97 * m + 0.03 * value);
            smoothed = Some(mean);
            let done = step + 1;
            if let Some(path) = &path
                && (done % self.checkpoint_steps.max(1) == 0 || done == trainer.steps)
            {
                checkpoint::save(path, &fingerprint, &adam, &curve)?;
            }
            (self.progress)(Progress { net: trainer.net.clone(), step: done, steps: trainer.steps, loss: mean });
        }
        Ok((adam.parameters().download().map_err(torch)?, curve))
    }
}

#[cfg(test)]
mod tests;
