//! One method, one seed: from objects without labels to a score of each test object.

mod baseline;
mod beside;
mod latent;
mod shipped;
mod taught;

use std::collections::BTreeMap;
use std::time::Instant;

use super::MethodKind;
use super::context::StudyContext;
use super::encoder_cache::{EncoderCache, Learned};
use super::evidence::{Seen, evidence};
use super::isolated::isolated;
use crate::LabError;
use crate::manifold::ManifoldError;
use crate::student::StudentError;
use crate::supervised::SupervisedError;
use twinpeak_core::model::ModelError;
use twinpeak_learn::posterior::logistic;
use twinpeak_learn::{LearnError, Progress, Run};
use twinpeak_nets::device::DeviceError;

/// What a method says of the test objects, and what its training took.
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
    /// Number of objects that it learned from.
    pub objects: usize,
    /// Time of training, s.
    pub training_s: f64,
    /// Loss by step of the last net.
    pub loss: Vec<f32>,
    /// Histogram of the first latent.
    pub latent: Vec<f32>,
    /// What can be said without labels.
    pub criteria: BTreeMap<String, f64>,
}

/// Why a method gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// A training, or the data that it reads.
    #[error(transparent)]
    Training(#[from] LabError),
    /// A manifold, clusters, or the cut of their scalar.
    #[error(transparent)]
    Manifold(#[from] ManifoldError),
    /// The teaching of a student failed.
    #[error(transparent)]
    Student(#[from] StudentError),
    /// Learning from labels failed.
    #[error(transparent)]
    Supervised(#[from] SupervisedError),
    /// The trained nets do not run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device that was asked for is not there.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The plan names an encoder that it does not have.
    #[error("the plan has no encoder {name:?}")]
    NoEncoder {
        /// Name of the encoder that is missing.
        name: String,
    },
    /// Something that was not measured on these objects.
    #[error("{what} was not measured on these objects; `twinpeak-lab dataset --baselines` does{needs}")]
    NotMeasured {
        /// What was not measured, as people call it.
        what: &'static str,
        /// What else measuring it takes: the end of the message, may be empty.
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

/// One run of a method: with one seed.
#[derive(Clone, Copy)]
pub struct RunRequest<'a> {
    /// What the method does, from the plan.
    pub how: &'a MethodKind,
    /// Seed of all that the method trains.
    pub seed: u64,
    /// Labels of the training objects, for supervised probes alone.
    pub labels: &'a [Option<bool>],
    /// Called after every step of a training.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

impl<'a> RunRequest<'a> {
    /// A training that keeps nothing.
    fn run(&self) -> Run<'a> {
        Run { work_dir: None, checkpoint_steps: usize::MAX, progress: self.progress }
    }
}

/// Runs a method. Nothing but what is supervised looks at `request.labels`.
///
/// # Errors
/// [`AnswerError`]
pub fn answer(context: &StudyContext, request: &RunRequest) -> Result<Answer, AnswerError> {
    let cache = EncoderCache::new(context, request.progress);
    let learned = |name: &str| -> Result<Learned, AnswerError> {
        let encoder = context.plan.encoder(name).ok_or_else(|| AnswerError::NoEncoder { name: name.to_owned() })?;
        Ok(cache.learned(encoder, request.seed)?)
    };
    let start = Instant::now();
    let mut answer = match request.how {
        MethodKind::Alone { then } => {
            let chosen: Vec<usize> =
                isolated(&context.training).iter().enumerate().filter_map(|(i, own)| own.then_some(i)).collect();
            let narrowed = context.on(&chosen);
            let learned = |name: &str| learned(name).map(|learned| learned.on(&chosen));
            made(&narrowed, &RunRequest { how: then, ..*request }, &learned, &cache)?
        }
        _ => made(context, request, &learned, &cache)?,
    };
    answer.training_s += start.elapsed().saturating_sub(cache.spent()).as_secs_f64();
    if let Some(nats) = independent_view(context, request, &answer, &request.run()) {
        answer.criteria.insert("evidence_of_colours".to_owned(), nats);
    }
    Ok(answer)
}

/// What colours say for a method that saw shapes alone (see `evidence`); none where they cannot be learned from its
/// probabilities.
fn independent_view(context: &StudyContext, request: &RunRequest, answer: &Answer, run: &Run) -> Option<f64> {
    if !context.plan.sees_shapes_alone(request.how) {
        return None;
    }
    let (training, test) = (answer.training_probabilities.as_deref()?, answer.probabilities.as_deref()?);
    let [known, asked_of] = [&context.training, &context.test].map(shipped::inputs);
    let training = Seen { inputs: known.get(..training.len())?, star_prob: training };
    evidence(training, Seen { inputs: &asked_of, star_prob: test }, request.seed, run).ok()
}

/// Latents of an encoder, by its name.
type Latents<'a> = &'a dyn Fn(&str) -> Result<Learned, AnswerError>;

fn made(
    context: &StudyContext,
    request: &RunRequest,
    learned: Latents,
    cache: &EncoderCache,
) -> Result<Answer, AnswerError> {
    let run = &request.run();
    match request.how {
        MethodKind::Concentration => baseline::measured(context, |f| &f.concentration, 1.0),
        MethodKind::HalfLightRadius => baseline::measured(context, |f| &f.half_light_radius_px, -1.0),
        MethodKind::Manifold { of, step } => latent::manifold(context, learned(of)?, *step, request.seed),
        MethodKind::Hierarchy { of, vae } => latent::hierarchy(context, learned(of)?, vae, request.seed, run),
        MethodKind::Direct { of } => latent::direct(context, learned(of)?, context.plan.pull(of)),
        MethodKind::SupervisedProbe { of, hidden } => latent::probe(learned(of)?, *hidden, request, run),
        MethodKind::SupervisedNet => taught::supervised_net(context, request, run),
        MethodKind::Distilled { of, colour } => taught::distilled(context, learned(of)?, *colour, request.seed, run),
        MethodKind::ChiSquared => baseline::chi_squared(context),
        MethodKind::ClassStar => beside::class_star(context),
        MethodKind::PsfMinusModel => beside::psf_minus_model(context),
        MethodKind::Ensemble => shipped::ensemble(context, request, cache),
        MethodKind::Profiles { colour } => shipped::profiles(context, *colour, request.seed, run),
        MethodKind::Mean => shipped::shipped(context, request, cache, Some(0.5)),
        MethodKind::Shipped => shipped::shipped(context, request, cache, None),
        MethodKind::Alone { then } => made(context, &RunRequest { how: then, ..*request }, learned, cache),
    }
}

/// Up to 100 means of equal stretches.
fn thinned(loss: &[f32]) -> Vec<f32> {
    let stretch = loss.len().div_ceil(100).max(1);
    loss.chunks(stretch).map(|part| part.iter().sum::<f32>() / part.len() as f32).collect()
}
