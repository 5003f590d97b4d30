//! One method, one seed: from objects without labels to a score of each test object.

mod baseline;
mod beside;
mod latent;
mod shipped;
mod taught;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::alone::alone;
use super::bank::{Bank, Learned};
use super::evidence::{Seen, evidence};
use super::{How, Plan};
use crate::LabError;
use crate::dataset::{DataSet, Features};
use crate::manifold::ManifoldError;
use crate::student::StudentError;
use crate::supervised::SupervisedError;
use twinpeak_core::model::ModelError;
use twinpeak_core::survey::Survey;
use twinpeak_learn::posterior::logistic;
use twinpeak_learn::{LearnError, Progress, Run};
use twinpeak_nets::device::DeviceError;

pub use beside::Beside;

/// A sky's objects, without truth.
pub struct Ground<'a> {
    /// The study.
    pub plan: &'a Plan,
    /// The data set that is learned from.
    pub set: &'a DataSet,
    /// The one whose test part is scored.
    pub scored: &'a DataSet,
    /// Tells the bits of both sets from any others: what is kept of nets is kept for these.
    pub sha256: String,
    /// Tells what both sets were asked to be: runs are kept for that.
    pub origin: String,
    /// The survey of the frames.
    pub survey: &'a Survey,
    /// What is learned from.
    pub training: Features,
    /// What is scored.
    pub test: Features,
    /// What was measured of it on its frames besides.
    pub beside: Option<Beside>,
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
    /// The same of the first training objects, for what can be said without labels.
    pub training_probabilities: Option<Vec<f64>>,
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
    /// A training, or the data that it reads.
    #[error(transparent)]
    Training(#[from] LabError),
    /// A manifold, clusters, or the cut of their scalar.
    #[error(transparent)]
    Manifold(#[from] ManifoldError),
    /// A student.
    #[error(transparent)]
    Student(#[from] StudentError),
    /// What learns from labels.
    #[error(transparent)]
    Supervised(#[from] SupervisedError),
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
    #[error("{what} was not measured on these objects; `twinpeak-lab dataset --baselines` does{needs}")]
    NotMeasured {
        /// What.
        what: &'static str,
        /// What it takes.
        needs: &'static str,
    },
}

impl From<LearnError> for AnswerError {
    fn from(error: LearnError) -> Self {
        Self::Training(error.into())
    }
}

impl AnswerError {
    /// Whether a file, a disk or a device is at fault: no result, and to be tried again.
    pub fn is_external(&self) -> bool {
        match self {
            Self::Training(error) => error.is_external(),
            Self::Student(error) => error.is_external(),
            Self::Supervised(error) => error.is_external(),
            Self::Model(_) | Self::Device(_) => true,
            Self::Manifold(_) | Self::NoEncoder { .. } | Self::NotMeasured { .. } => false,
        }
    }
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

impl<'a> Asked<'a> {
    /// A training that keeps nothing.
    fn run(&self) -> Run<'a> {
        Run { work_dir: None, checkpoint_steps: usize::MAX, progress: self.progress }
    }
}

/// Runs a method. Nothing but what is supervised looks at `asked.labels`.
///
/// # Errors
/// [`AnswerError`]
pub fn answer(ground: &Ground, asked: &Asked) -> Result<Answer, AnswerError> {
    let bank = Bank::new(ground, asked.progress);
    let learned = |name: &str| -> Result<Learned, AnswerError> {
        let encoder = ground.plan.encoder(name).ok_or_else(|| AnswerError::NoEncoder { name: name.to_owned() })?;
        Ok(bank.learned(encoder, asked.seed)?)
    };
    let start = Instant::now();
    let mut answer = match asked.how {
        How::Alone { then } => {
            let chosen: Vec<usize> =
                alone(&ground.training).iter().enumerate().filter_map(|(i, alone)| alone.then_some(i)).collect();
            let narrowed = ground.on(&chosen);
            let learned = |name: &str| learned(name).map(|learned| learned.on(&chosen));
            made(&narrowed, &Asked { how: then, ..*asked }, &learned, &bank)?
        }
        _ => made(ground, asked, &learned, &bank)?,
    };
    answer.training_s += start.elapsed().saturating_sub(bank.spent()).as_secs_f64();
    if let Some(nats) = independent_view(ground, asked, &answer, &asked.run()) {
        answer.criteria.insert("evidence_of_colours".to_owned(), nats);
    }
    Ok(answer)
}

/// What colours say for a method that saw shapes alone (see `evidence`); none where they cannot be learned from its
/// probabilities.
fn independent_view(ground: &Ground, asked: &Asked, answer: &Answer, run: &Run) -> Option<f64> {
    if !ground.plan.sees_shapes_alone(asked.how) {
        return None;
    }
    let (training, test) = (answer.training_probabilities.as_deref()?, answer.probabilities.as_deref()?);
    let [known, asked_of] = [&ground.training, &ground.test].map(shipped::inputs);
    let training = Seen { inputs: known.get(..training.len())?, star_prob: training };
    evidence(training, Seen { inputs: &asked_of, star_prob: test }, asked.seed, run).ok()
}

/// Latents of an encoder, by its name.
type Latents<'a> = &'a dyn Fn(&str) -> Result<Learned, AnswerError>;

fn made(ground: &Ground, asked: &Asked, learned: Latents, bank: &Bank) -> Result<Answer, AnswerError> {
    let run = &asked.run();
    match asked.how {
        How::Concentration => baseline::measured(ground, |f| &f.concentration, 1.0),
        How::HalfLightRadius => baseline::measured(ground, |f| &f.half_light_radius_px, -1.0),
        How::Manifold { of, step } => latent::manifold(ground, learned(of)?, *step, asked.seed),
        How::Hierarchy { of, vae } => latent::hierarchy(ground, learned(of)?, vae, asked.seed, run),
        How::Direct { of } => latent::direct(ground, learned(of)?, ground.plan.pull(of)),
        How::SupervisedProbe { of, hidden } => latent::probe(learned(of)?, *hidden, asked, run),
        How::SupervisedNet => taught::supervised_net(ground, asked, run),
        How::Distilled { of, colour } => taught::distilled(ground, learned(of)?, *colour, asked.seed, run),
        How::ChiSquared => baseline::chi_squared(ground),
        How::ClassStar => beside::class_star(ground),
        How::PsfMinusModel => beside::psf_minus_model(ground),
        How::Ensemble => shipped::ensemble(ground, asked, bank),
        How::Profiles { colour } => shipped::profiles(ground, *colour, asked.seed, run),
        How::Mean => shipped::shipped(ground, asked, bank, Some(0.5)),
        How::Shipped => shipped::shipped(ground, asked, bank, None),
        How::Alone { then } => made(ground, &Asked { how: then, ..*asked }, learned, bank),
    }
}

impl Ground<'_> {
    /// The same with these training objects alone.
    fn on(&self, objects: &[usize]) -> Self {
        Self {
            training: self.training.select(objects),
            test: self.test.clone(),
            beside: self.beside.clone(),
            sha256: self.sha256.clone(),
            origin: self.origin.clone(),
            work: self.work.clone(),
            ..*self
        }
    }
}

/// Up to 100 means of equal stretches.
fn thinned(loss: &[f32]) -> Vec<f32> {
    let stretch = loss.len().div_ceil(100).max(1);
    loss.chunks(stretch).map(|part| part.iter().sum::<f32>() / part.len() as f32).collect()
}
