//! What is made of an encoder's latents.

use std::collections::BTreeMap;

use super::baseline::cut;
use super::{Answer, AnswerError, RunRequest, logistic, thinned};
use crate::hierarchy::{self, OrientationInputs, Verdict};
use crate::manifold::{
    Isomap, IsomapSettings, KMeans, KMeansSettings, ManifoldError, Mixture, MixtureSettings, Points, Tsne, TsneSettings,
};
use crate::study::Step;
use crate::study::context::StudyContext;
use crate::study::encoder_cache::Learned;
use crate::study::figures::{LATENT_BINS, LATENT_RANGE};
use crate::supervised::{SupervisedError, SupervisedProbe};
use crate::whole::Encoded;
use twinpeak_learn::Run;
use twinpeak_learn::classify::VaeSettings;
use twinpeak_learn::loss::PriorLoss;

pub(super) fn points(latents: &Encoded, limit: usize) -> Result<Points, ManifoldError> {
    let values = latents.values.iter().take(limit.saturating_mul(latents.width));
    Points::new(latents.width, values.map(|&v| f64::from(v)).collect())
}

pub(super) fn manifold(context: &StudyContext, learned: Learned, step: Step, seed: u64) -> Result<Answer, AnswerError> {
    let [training, test] = &learned.latents;
    let limit = context.plan.manifold_objects_max;
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
    let (mut answer, sign) = cut(context, &fitted, &placed)?;
    if step == Step::Mixture {
        answer.probabilities = Some(answer.scores.iter().map(|&s| logistic(s)).collect());
        answer.training_probabilities = Some(fitted.iter().map(|&s| logistic(sign * s)).collect());
    }
    answer.criteria.append(&mut criteria);
    Ok(Answer { training_s: learned.training_s, loss: thinned(&learned.loss), ..answer })
}

pub(super) fn hierarchy(
    context: &StudyContext,
    learned: Learned,
    vae: &VaeSettings,
    seed: u64,
    run: &Run,
) -> Result<Answer, AnswerError> {
    let [training, test] = &learned.latents;
    let known = &context.training;
    let n = training.objects();
    let naming_mag = context.survey.magnitudes().naming;
    let orientation =
        OrientationInputs { mag: &known.reference_mag[..n], concentration: &known.concentration[..n], naming_mag };
    let verdict = hierarchy::part("A+Vr", [training, test], orientation, vae, seed, run)?;
    let odds = |mu: &Vec<f32>| mu.iter().map(|&m| Verdict::log_odds(m)).collect::<Vec<_>>();
    let scores = odds(&verdict.test);
    let probabilities = |odds: &[f64]| Some(odds.iter().map(|&o| logistic(o)).collect());
    Ok(Answer {
        probabilities: probabilities(&scores),
        training_probabilities: probabilities(&odds(&verdict.training)),
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

/// The first latent is the answer already; through the tanh that its net was trained with, where its pull wants one.
pub(super) fn direct(context: &StudyContext, learned: Learned, pull: Option<PriorLoss>) -> Result<Answer, AnswerError> {
    let seen = |z: f32| if pull.is_some_and(PriorLoss::wants_tanh) { f64::from(z).tanh() } else { f64::from(z) };
    let first =
        |latents: &Encoded| -> Vec<f64> { latents.values.chunks_exact(latents.width).map(|z| seen(z[0])).collect() };
    let [training, test] = &learned.latents;
    let (mut answer, _) = cut(context, &first(training), &first(test))?;
    let single = |latents: &Encoded| -> Vec<f32> { first(latents).iter().map(|&z| z as f32).collect() };
    answer.latent = histogram(&single(test));
    answer.criteria.insert("near_a_peak".to_owned(), near_a_peak(&single(training)));
    Ok(Answer { training_s: learned.training_s, loss: thinned(&learned.loss), ..answer })
}

pub(super) fn probe(learned: Learned, hidden: bool, request: &RunRequest, run: &Run) -> Result<Answer, AnswerError> {
    let [training, test] = &learned.latents;
    let labelled: Vec<(usize, bool)> =
        (0..training.objects()).filter_map(|i| Some((i, (*request.labels.get(i)?)?))).collect();
    if labelled.is_empty() {
        return Err(SupervisedError::NoLabels.into());
    }
    let row = |&(i, _): &(usize, bool)| &training.values[i * training.width..][..training.width];
    let values = labelled.iter().flat_map(row).map(|&v| f64::from(v)).collect();
    let is_star: Vec<bool> = labelled.iter().map(|l| l.1).collect();
    let new = if hidden { SupervisedProbe::mlp } else { SupervisedProbe::logistic };
    let probe = SupervisedProbe::train(&Points::new(training.width, values)?, &is_star, &new(request.seed), run)?;
    let scores = probe.probability(&points(test, usize::MAX)?)?;
    let (objects, training_s) = (labelled.len(), learned.training_s);
    Ok(Answer { probabilities: Some(scores.clone()), scores, threshold: 0.5, objects, training_s, ..Answer::default() })
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
