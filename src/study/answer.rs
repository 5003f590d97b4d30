//! One method, one seed: from objects without labels to a score of each test object.

mod baseline;
mod latent;
mod shipped;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::bank::{Bank, Learned};
use super::{How, Plan};
use crate::learn::dataset::{DataSet, Features};
use crate::learn::manifold::{ManifoldError, SupervisedProbeError};
use crate::learn::{LearnError, Progress, Run};
use crate::model::ModelError;
use crate::survey::Survey;
use crate::torch::device::DeviceError;

/// A sky's objects, without truth.
pub struct Ground<'a> {
    /// The study.
    pub plan: &'a Plan,
    /// The data set that is learned from.
    pub set: &'a DataSet,
    /// The one whose test part is scored.
    pub scored: &'a DataSet,
    /// SHA-256 of their manifests.
    pub sha256: String,
    /// The survey of the frames.
    pub survey: &'a Survey,
    /// What is learned from.
    pub training: Features,
    /// What is scored.
    pub test: Features,
    /// Where latents and checkpoints are kept.
    pub work: PathBuf,
}

/// A method's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Higher for a star, by test object.
    pub scores: Vec<f64>,
    /// Above it an object is called a star.
    pub threshold: f64,
    /// Probabilities, where the method gives them.
    pub probabilities: Option<Vec<f64>>,
    /// Objects learned from.
    pub objects: usize,
    /// Seconds of training.
    pub training_s: f64,
    /// Loss by step of the last net.
    pub loss: Vec<f32>,
    /// Histogram of the first latent.
    pub latent: Vec<f32>,
    /// What can be said without labels.
    pub criteria: BTreeMap<String, f64>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// A training.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// A manifold, clusters, or the cut of their scalar.
    #[error(transparent)]
    Manifold(#[from] ManifoldError),
    /// The supervised probe.
    #[error(transparent)]
    Probe(#[from] SupervisedProbeError),
    /// The trained nets do not run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There is no device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The plan names an encoder that it does not have.
    #[error("the plan has no encoder {name:?}")]
    NoEncoder {
        /// Which.
        name: String,
    },
    /// Something that was not measured on these objects.
    #[error("{what} was not measured on these objects")]
    NotMeasured {
        /// What.
        what: &'static str,
    },
}

/// One run.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// What the method does.
    pub how: &'a How,
    /// Its seed.
    pub seed: u64,
    /// Labels of the training objects, for supervised probes alone.
    pub labels: &'a [Option<bool>],
    /// Called after every step of a training.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// Runs a method. Nothing but a supervised probe looks at `asked.labels`.
///
/// # Errors
/// [`AnswerError`]
pub fn answer(ground: &Ground, asked: &Asked) -> Result<Answer, AnswerError> {
    let bank = Bank { ground, progress: asked.progress };
    let learned = |name: &str| -> Result<Learned, AnswerError> {
        let encoder = ground.plan.encoder(name).ok_or_else(|| AnswerError::NoEncoder { name: name.to_owned() })?;
        Ok(bank.learned(encoder, asked.seed)?)
    };
    let run = Run { work_dir: None, checkpoint_steps: usize::MAX, progress: asked.progress };
    let start = Instant::now();
    let mut answer = match asked.how {
        How::Concentration => baseline::measured(ground, |f| &f.concentration, 1.0)?,
        How::HalfLightRadius => baseline::measured(ground, |f| &f.half_light_radius_px, -1.0)?,
        How::Manifold { of, step } => latent::manifold(ground, learned(of)?, *step, asked.seed)?,
        How::Hierarchy { of, vae } => latent::hierarchy(ground, learned(of)?, vae, asked.seed, &run)?,
        How::Direct { of } => latent::direct(ground, learned(of)?)?,
        How::SupervisedProbe { of, hidden } => latent::probe(learned(of)?, *hidden, asked, &run)?,
        How::ChiSquared => baseline::chi_squared(ground)?,
        How::ClassStar => return Err(AnswerError::NotMeasured { what: "CLASS_STAR" }),
        How::Ensemble => shipped::ensemble(ground, asked.seed, &run)?,
        How::Profiles { colour } => shipped::profiles(ground, *colour, asked.seed, &run)?,
        How::Shipped => shipped::shipped(ground, asked.seed, &run)?,
    };
    answer.training_s += start.elapsed().as_secs_f64();
    Ok(answer)
}

fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Up to 100 means of equal stretches.
fn thinned(loss: &[f32]) -> Vec<f32> {
    let stretch = loss.len().div_ceil(100).max(1);
    loss.chunks(stretch).map(|part| part.iter().sum::<f32>() / part.len() as f32).collect()
}
