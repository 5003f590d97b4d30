//! One method, one seed: from objects without labels to a score of each test object.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::bank::{Bank, Learned};
use super::figures::{LATENT_BINS, LATENT_RANGE};
use super::{How, Plan, Step};
use crate::learn::classify::{self, VaeSettings};
use crate::learn::dataset::{DataSet, Features, stamp};
use crate::learn::hierarchy::{self, Naming, Verdict};
use crate::learn::manifold::{
    Isomap, IsomapSettings, KMeans, KMeansSettings, ManifoldError, Mixture, MixtureSettings, Points, PriorThreshold,
    StarFraction, SupervisedProbe, SupervisedProbeError, SupervisedProbeSettings, Tsne, TsneSettings,
};
use crate::learn::sample::TEACHING_MAG;
use crate::learn::whole::Encoded;
use crate::learn::{LearnError, Progress, Run};
use crate::model::{Classifier, ModelError, STAMP_LEN};
use crate::survey::Survey;
use crate::torch::bundle::ClassifierPart;
use crate::torch::device::{DeviceError, Wanted, choose};
use crate::torch::infer::TorchClassifier;

/// Stamps classified at a time.
const BATCH: usize = 64;
/// An ensemble uses some dozens of seeds from its first on.
const SEEDS_APART: u64 = 100_000;

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
        How::Concentration => measured(ground, |f| &f.concentration, 1.0)?,
        How::HalfLightRadius => measured(ground, |f| &f.half_light_radius_px, -1.0)?,
        How::Manifold { of, step } => manifold(ground, learned(of)?, *step, asked.seed)?,
        How::Hierarchy { of, vae } => hierarchy(ground, learned(of)?, vae, asked.seed, &run)?,
        How::Direct { of } => direct(ground, learned(of)?)?,
        How::SupervisedProbe { of, hidden } => probe(learned(of)?, *hidden, asked, &run)?,
        How::ChiSquared => return Err(AnswerError::NotMeasured { what: "chi^2" }),
        How::ClassStar => return Err(AnswerError::NotMeasured { what: "CLASS_STAR" }),
        How::Ensemble => ensemble(ground, asked.seed, &run)?,
        How::Likelihood { .. } => return Err(AnswerError::NotMeasured { what: "EB" }),
    };
    answer.training_s += start.elapsed().as_secs_f64();
    Ok(answer)
}

/// The prior share of stars by magnitude, from counts: stars 10^(2.9 + .17 (r - 19)), galaxies 10^(3.1 + .45 (r - 20))
/// a square degree and magnitude, of slope .38 beyond 20 and .6 below 16.
fn model_counts() -> Result<StarFraction, ManifoldError> {
    let galaxies = |r: f64| match r {
        r if r > 20.0 => 3.1 + 0.38 * (r - 20.0),
        r if r < 16.0 => 3.1 - 1.8 + 0.6 * (r - 16.0),
        r => 3.1 + 0.45 * (r - 20.0),
    };
    let share = |r: f64| {
        let (stars, galaxies) = (10f64.powf(2.9 + 0.17 * (r - 19.0)), 10f64.powf(galaxies(r)));
        stars / (stars + galaxies)
    };
    let edges: Vec<f32> = (14..=23).map(|r| r as f32).collect();
    let fraction = edges.windows(2).map(|e| share(f64::from(e[0] + e[1]) / 2.0)).collect();
    StarFraction::by_mag(edges, fraction)
}

/// A scalar of all objects, training and test, cut at the prior share of stars.
fn cut(ground: &Ground, training: &[f64], test: &[f64]) -> Result<Answer, AnswerError> {
    let known = &ground.training;
    let (mag, concentration) = (&known.reference_mag[..training.len()], &known.concentration[..training.len()]);
    let threshold = PriorThreshold::fit(training, mag, concentration, model_counts()?)?;
    // The score is the scalar itself; only the calls use the cut by magnitude, so it is one cut for the table.
    let overall = {
        let margins = threshold.margin(training, mag)?;
        let share = margins.iter().filter(|m| **m > 0.0).count() as f64 / margins.len().max(1) as f64;
        PriorThreshold::fit(training, mag, concentration, StarFraction::overall(share)?)?
    };
    let scores = test.iter().map(|s| overall.star_sign * s).collect();
    let criteria = BTreeMap::from([("naming_correlation".to_owned(), overall.correlation.abs())]);
    let threshold = overall.at.first().copied().unwrap_or(f64::NAN);
    Ok(Answer { scores, threshold, objects: training.len(), criteria, ..Answer::default() })
}

fn measured(ground: &Ground, column: fn(&Features) -> &Vec<f32>, sign: f64) -> Result<Answer, AnswerError> {
    let lowest = |v: f32| if v.is_finite() { sign * f64::from(v) } else { -1e9 };
    let of = |features: &Features| column(features).iter().map(|&v| lowest(v)).collect::<Vec<_>>();
    Ok(Answer { objects: 0, criteria: BTreeMap::new(), ..cut(ground, &of(&ground.training), &of(&ground.test))? })
}

fn points(latents: &Encoded, limit: usize) -> Result<Points, ManifoldError> {
    let values = latents.values.iter().take(limit.saturating_mul(latents.width));
    Points::new(latents.width, values.map(|&v| f64::from(v)).collect())
}

fn manifold(ground: &Ground, learned: Learned, step: Step, seed: u64) -> Result<Answer, AnswerError> {
    let [training, test] = &learned.latents;
    let limit = ground.plan.manifold_objects_max;
    let (training, test) = (points(training, limit)?, points(test, usize::MAX)?);
    let scalars = |of: &dyn Fn(&Points) -> Result<Vec<f64>, ManifoldError>| -> Result<_, ManifoldError> {
        Ok((of(&training)?, of(&test)?))
    };
    let mut criteria = BTreeMap::new();
    let (fitted, placed) = match step {
        Step::Isomap => {
            let isomap = Isomap::fit(&training, &IsomapSettings { seed, ..IsomapSettings::default() })?;
            criteria.insert("torn_off_components".to_owned(), isomap.components() as f64);
            scalars(&|p| isomap.scalar(p))?
        }
        Step::Tsne => {
            let tsne = Tsne::fit(&training, &TsneSettings { seed, ..TsneSettings::default() })?;
            scalars(&|p| tsne.scalar(p))?
        }
        Step::KMeans => {
            let means = KMeans::fit(&training, &KMeansSettings { seed, ..KMeansSettings::default() })?;
            scalars(&|p| means.scalar(p))?
        }
        Step::Mixture => {
            let mixture = Mixture::fit(&training, &MixtureSettings { seed, ..MixtureSettings::default() })?;
            scalars(&|p| mixture.scalar(p))?
        }
    };
    let mut answer = cut(ground, &fitted, &placed)?;
    if step == Step::Mixture {
        answer.probabilities = Some(answer.scores.iter().map(|&s| logistic(s)).collect());
    }
    answer.criteria.append(&mut criteria);
    Ok(Answer { training_s: learned.training_s, loss: thinned(&learned.loss), ..answer })
}

fn hierarchy(
    ground: &Ground,
    learned: Learned,
    vae: &VaeSettings,
    seed: u64,
    run: &Run,
) -> Result<Answer, AnswerError> {
    let [training, test] = &learned.latents;
    let known = &ground.training;
    let n = training.objects();
    let naming = Naming { mag: &known.reference_mag[..n], concentration: &known.concentration[..n] };
    let verdict = hierarchy::part("A+Vr", [training, test], naming, vae, seed, run)?;
    let odds = |mu: &Vec<f32>| mu.iter().map(|&m| Verdict::log_odds(m)).collect::<Vec<_>>();
    let scores = odds(&verdict.test);
    Ok(Answer {
        probabilities: Some(scores.iter().map(|&o| logistic(o)).collect()),
        scores,
        threshold: 0.0,
        objects: n,
        training_s: learned.training_s,
        loss: thinned(&verdict.curve.loss),
        latent: histogram(&verdict.test),
        criteria: BTreeMap::from([
            ("naming_correlation".to_owned(), verdict.correlation.abs()),
            ("near_a_peak".to_owned(), near_a_peak(&verdict.training)),
        ]),
    })
}

/// The first latent is the answer already.
fn direct(ground: &Ground, learned: Learned) -> Result<Answer, AnswerError> {
    let first = |latents: &Encoded| -> Vec<f64> {
        latents.values.chunks_exact(latents.width).map(|z| f64::from(z[0])).collect()
    };
    let [training, test] = &learned.latents;
    let mut answer = cut(ground, &first(training), &first(test))?;
    let single = |latents: &Encoded| -> Vec<f32> { first(latents).iter().map(|&z| z as f32).collect() };
    answer.latent = histogram(&single(test));
    answer.criteria.insert("near_a_peak".to_owned(), near_a_peak(&single(training)));
    Ok(Answer { training_s: learned.training_s, loss: thinned(&learned.loss), ..answer })
}

fn probe(learned: Learned, hidden: bool, asked: &Asked, run: &Run) -> Result<Answer, AnswerError> {
    let [training, test] = &learned.latents;
    let labelled: Vec<(usize, bool)> =
        (0..training.objects()).filter_map(|i| Some((i, (*asked.labels.get(i)?)?))).collect();
    let row = |&(i, _): &(usize, bool)| &training.values[i * training.width..][..training.width];
    let values = labelled.iter().flat_map(row).map(|&v| f64::from(v)).collect();
    let is_star: Vec<bool> = labelled.iter().map(|l| l.1).collect();
    let new = if hidden { SupervisedProbeSettings::mlp } else { SupervisedProbeSettings::logistic };
    let probe = SupervisedProbe::train(&Points::new(training.width, values)?, &is_star, &new(asked.seed), run)?;
    let scores = probe.probability(&points(test, usize::MAX)?)?;
    let (objects, training_s) = (labelled.len(), learned.training_s);
    Ok(Answer { probabilities: Some(scores.clone()), scores, threshold: 0.5, objects, training_s, ..Answer::default() })
}

/// The shipped ensemble, trained anew, as the daemon runs it.
fn ensemble(ground: &Ground, seed: u64, run: &Run) -> Result<Answer, AnswerError> {
    let known = &ground.training;
    let taught: Vec<usize> = (0..known.len()).filter(|&i| TEACHING_MAG.contains(&known.reference_mag[i])).collect();
    let objects = classify::Objects {
        stamps: taught.iter().map(|&i| stamp(&known.stamp[i])).collect(),
        null_stamps: taught.iter().map(|&i| stamp(&known.null_stamp[i])).collect(),
        mag: taught.iter().map(|&i| known.reference_mag[i]).collect(),
        concentration: taught.iter().map(|&i| known.concentration[i]).collect(),
    };
    let usual = classify::Settings::default();
    let settings = classify::Settings { seed: usual.seed + SEEDS_APART * seed, ..usual };
    let trained = classify::train(&objects, &settings, run)?;
    let part = ClassifierPart { batch: BATCH, probe: Vec::new(), shape: settings.shape };
    let mut classifier = TorchClassifier::of(&trained.parameters, &part, &choose(Wanted::Cpu)?)?;
    let mut scores = Vec::with_capacity(ground.test.len());
    let mut log_odds = vec![0.0; BATCH * classifier.seeds()];
    let mags = ground.test.reference_mag.chunks(BATCH);
    for (stamps, mags) in ground.test.stamp.chunks(BATCH).zip(mags) {
        let mut batch: Vec<f32> = stamps.iter().flat_map(stamp).collect();
        batch.resize(BATCH * STAMP_LEN, 0.0);
        classifier.classify(&batch, &mut log_odds)?;
        let rows = log_odds.chunks_exact(classifier.seeds()).zip(mags);
        // Beyond the calibrated magnitudes there is no probability: undecided.
        scores.extend(
            rows.map(|(odds, &mag)| {
                trained.calibration.star_probability(odds, mag).map_or(0.5, |p| f64::from(p.value))
            }),
        );
    }
    let weakest = trained.naming.iter().map(|c| c.abs()).fold(f64::INFINITY, f64::min);
    Ok(Answer {
        probabilities: Some(scores.clone()),
        scores,
        threshold: 0.5,
        objects: taught.len(),
        loss: trained.curves.last().map_or_else(Vec::new, |curve| thinned(&curve.loss)),
        criteria: BTreeMap::from([("naming_correlation".to_owned(), weakest)]),
        ..Answer::default()
    })
}

fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Share of objects within half a peak's distance of a peak: 1 where all are decided.
fn near_a_peak(mu: &[f32]) -> f64 {
    mu.iter().filter(|m| (m.abs() - 1.0).abs() < 0.5).count() as f64 / mu.len().max(1) as f64
}

fn histogram(mu: &[f32]) -> Vec<f32> {
    let mut shares = vec![0.0; LATENT_BINS];
    for &m in mu {
        let bin = (f64::from(m) + LATENT_RANGE) / (2.0 * LATENT_RANGE) * LATENT_BINS as f64;
        shares[(bin.max(0.0) as usize).min(LATENT_BINS - 1)] += 1.0 / mu.len() as f32;
    }
    shares
}

/// Up to 100 means of equal stretches.
fn thinned(loss: &[f32]) -> Vec<f32> {
    let stretch = loss.len().div_ceil(100).max(1);
    loss.chunks(stretch).map(|part| part.iter().sum::<f32>() / part.len() as f32).collect()
}
