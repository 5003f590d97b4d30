//! What learns from a teacher: a likelihood, without labels; or labels, and then it says so.

use super::shipped::{colour_ratios, log_odds};
use super::{Answer, AnswerError, RunRequest, logistic, thinned};
use crate::dataset::stamp;
use crate::student::{Student, StudentSettings};
use crate::study::answer::latent::points;
use crate::study::context::StudyContext;
use crate::study::encoder_cache::Learned;
use crate::supervised::{SupervisedNet, SupervisedNetSettings};
use twinpeak_core::model::STAMP_LEN;
use twinpeak_learn::Run;

/// A+Vr distilled on the profile likelihood (EB): its posteriors of the training objects teach a net of the latents;
/// with what colour adds, learned from it too.
pub(super) fn distilled(
    context: &StudyContext,
    learned: Learned,
    coloured: bool,
    seed: u64,
    run: &Run,
) -> Result<Answer, AnswerError> {
    let [training, test] = &learned.latents;
    let (training, test) = (points(training, usize::MAX)?, points(test, usize::MAX)?);
    let [taught, _] = log_odds(context)?;
    let teacher: Vec<f32> = taught.iter().take(training.len()).map(|&odds| logistic(odds) as f32).collect();
    let (student, curve) = Student::teach("distilled", &training, &teacher, &StudentSettings::distilled(seed), run)?;
    let mut scores = student.log_odds(&test)?;
    if coloured {
        let (ratios, _) = colour_ratios(context, &taught, seed, run)?;
        scores.iter_mut().zip(ratios).for_each(|(score, ratio)| *score += f64::from(ratio));
    }
    let probabilities = |odds: &[f64]| Some(odds.iter().map(|&o| logistic(o)).collect());
    Ok(Answer {
        probabilities: probabilities(&scores),
        training_probabilities: probabilities(&student.log_odds(&training)?),
        scores,
        threshold: 0.0,
        objects: training.len(),
        training_s: learned.training_s,
        loss: thinned(&curve.loss),
        ..Answer::default()
    })
}

/// A small net of PSF residuals that saw labels.
pub(super) fn supervised_net(context: &StudyContext, request: &RunRequest, run: &Run) -> Result<Answer, AnswerError> {
    let known = &context.training;
    let labelled: Vec<(usize, bool)> = (0..known.len()).filter_map(|i| Some((i, (*request.labels.get(i)?)?))).collect();
    let stamps: Vec<[f32; STAMP_LEN]> = labelled.iter().map(|&(i, _)| stamp(&known.stamp[i])).collect();
    let mag: Vec<f32> = labelled.iter().map(|&(i, _)| known.reference_mag[i]).collect();
    let is_star: Vec<bool> = labelled.iter().map(|l| l.1).collect();
    let settings = SupervisedNetSettings::of(request.seed);
    let (net, curve) = SupervisedNet::train(&stamps, &mag, &is_star, &settings, run)?;
    let test: Vec<[f32; STAMP_LEN]> = context.test.stamp.iter().map(stamp).collect();
    let scores: Vec<f64> = net.log_odds(&test, &context.test.reference_mag)?.into_iter().map(f64::from).collect();
    Ok(Answer {
        probabilities: Some(scores.iter().map(|&o| logistic(o)).collect()),
        scores,
        threshold: 0.0,
        objects: labelled.len(),
        loss: thinned(&curve.loss),
        ..Answer::default()
    })
}
