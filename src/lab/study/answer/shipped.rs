//! What the daemon runs, trained anew: the ensemble of A+Vr, the profile likelihood (EB), colour, and all together.

use std::collections::BTreeMap;

use super::{Answer, AnswerError, EncoderCache, RunRequest, logistic, thinned};
use crate::dataset::{Features, stamp};
use crate::study::context::StudyContext;
use twinpeak_core::cutout::ClassifierInput;
use twinpeak_core::model::{Classifier, OBJECT_LEN};
use twinpeak_core::posterior::{Posterior, StarProbability};
use twinpeak_learn::{Curve, Run, classify, colour, posterior, profile_likelihood};
use twinpeak_nets::bundle::{COLOUR, ClassifierPart};
use twinpeak_nets::device::{Wanted, choose};
use twinpeak_nets::infer::{TorchClassifier, TorchColour};

/// Objects classified at a time.
const BATCH: usize = 64;
/// An ensemble uses some dozens of seeds from its first on.
const SEEDS_APART: u64 = 100_000;

/// The shipped ensemble, trained anew, as the daemon runs it; its opinion alone.
pub(super) fn ensemble(
    context: &StudyContext,
    request: &RunRequest,
    cache: &EncoderCache,
) -> Result<Answer, AnswerError> {
    let Trained { mut nets, posterior, answer } = train(context, request, cache)?;
    let mut alone = |features| {
        probabilities(&mut nets, features, |answer, input| {
            let (_, seeds) = answer.split_last()?;
            posterior.nets.star_probability(seeds, input.measured.mag)
        })
    };
    Ok(answer.with(alone(&context.training)?, alone(&context.test)?))
}

/// All that ships, trained anew: what the daemon publishes, with the nets' weight that was learned or with this one.
pub(super) fn shipped(
    context: &StudyContext,
    request: &RunRequest,
    cache: &EncoderCache,
    nets_weight: Option<f32>,
) -> Result<Answer, AnswerError> {
    let Trained { mut nets, mut posterior, mut answer } = train(context, request, cache)?;
    posterior.nets_weight = nets_weight.unwrap_or(posterior.nets_weight);
    let mut all = |features| {
        probabilities(&mut nets, features, |answer, input| posterior.star_probability(answer, &input.measured))
    };
    answer.criteria.insert("nets_weight".to_owned(), f64::from(posterior.nets_weight));
    Ok(answer.with(all(&context.training)?, all(&context.test)?))
}

/// A bundle's classifier, and what is said of its training.
struct Trained {
    nets: TorchClassifier,
    posterior: Posterior,
    answer: Answer,
}

fn train(context: &StudyContext, request: &RunRequest, cache: &EncoderCache) -> Result<Trained, AnswerError> {
    let (known, seed) = (&context.training, request.seed);
    let objects = classify::TrainingSet {
        stamps: known.stamp.iter().map(stamp).collect(),
        control_stamps: known.null_stamp.iter().map(stamp).collect(),
        mag: known.reference_mag.clone(),
        concentration: known.concentration.clone(),
    };
    let usual = classify::Settings::of(*context.survey.magnitudes());
    let settings = classify::Settings { seed: usual.seed + SEEDS_APART * seed, ..usual };
    let (ensemble, training_s) = cache.ensemble(&objects, &settings)?;
    let measured: Vec<_> = (0..known.len()).map(|i| known.measurements(i)).collect();
    let judged = posterior::TrainingSet { known: &measured, scores: &ensemble.scores };
    let of_colour = colour::Settings { seed, ..colour::Settings::default() };
    let trained = posterior::train(
        judged,
        ensemble.calibration,
        &of_colour,
        context.survey.magnitudes().profiles,
        &request.run(),
    )?;
    let mut parameters = ensemble.parameters;
    parameters.insert_under(COLOUR, trained.colour);
    let part = ClassifierPart { batch: BATCH, probe: Vec::new(), shape: settings.shape, colour: of_colour.shape };
    let weakest = ensemble.orientation.iter().map(|c| c.abs()).fold(f64::INFINITY, f64::min);
    let answer = Answer {
        threshold: 0.5,
        objects: known.len(),
        training_s,
        loss: ensemble.curves.last().map_or_else(Vec::new, |curve| thinned(&curve.loss)),
        criteria: BTreeMap::from([("naming_correlation".to_owned(), weakest)]),
        ..Answer::default()
    };
    let nets = TorchClassifier::of(&parameters, &part, &choose(Wanted::Cpu)?)?;
    Ok(Trained { nets, posterior: trained.posterior, answer })
}

/// `of` the nets' answer to each object; undecided where there is no basis.
fn probabilities(
    nets: &mut TorchClassifier,
    features: &Features,
    of: impl Fn(&[f32], &ClassifierInput) -> Option<StarProbability>,
) -> Result<Vec<f64>, AnswerError> {
    let input =
        |i: usize| ClassifierInput { stamp: Box::new(stamp(&features.stamp[i])), measured: features.measurements(i) };
    let objects: Vec<ClassifierInput> = (0..features.len()).map(input).collect();
    let mut all = Vec::with_capacity(objects.len());
    let mut answers = vec![0.0; BATCH * nets.answer_len()];
    for objects in objects.chunks(BATCH) {
        let mut batch = vec![0.0; BATCH * OBJECT_LEN];
        objects.iter().zip(batch.chunks_exact_mut(OBJECT_LEN)).for_each(|(object, out)| object.write(out));
        nets.classify(&batch, &mut answers)?;
        let each = objects.iter().zip(answers.chunks_exact(nets.answer_len()));
        all.extend(each.map(|(object, answer)| of(answer, object).map_or(0.5, |p| f64::from(p.value))));
    }
    Ok(all)
}

impl Answer {
    /// The same with these probabilities of the training and of the test objects.
    fn with(self, training: Vec<f64>, test: Vec<f64>) -> Self {
        Self { probabilities: Some(test.clone()), training_probabilities: Some(training), scores: test, ..self }
    }
}

/// The profile likelihood's log-odds of the test objects, with what colour adds.
pub(super) fn profiles(context: &StudyContext, coloured: bool, seed: u64, run: &Run) -> Result<Answer, AnswerError> {
    let [training, mut scores] = log_odds(context)?;
    let mut loss = Vec::new();
    if coloured {
        let (ratios, curve) = colour_ratios(context, &training, seed, run)?;
        scores.iter_mut().zip(ratios).for_each(|(score, ratio)| *score += f64::from(ratio));
        loss = thinned(&curve.loss);
    }
    let [training_probabilities, probabilities] =
        [&training, &scores].map(|all| Some(all.iter().map(|&odds| logistic(odds)).collect()));
    let objects = context.training.len();
    Ok(Answer { scores, threshold: 0.0, probabilities, training_probabilities, objects, loss, ..Answer::default() })
}

/// The profile likelihood's log-odds of the training objects, from which its shares are learned, and of the test
/// objects.
pub(super) fn log_odds(context: &StudyContext) -> Result<[Vec<f64>; 2], AnswerError> {
    let known = &context.training;
    let objects = profile_likelihood::TrainingSet {
        chi2: known.chi2.clone(),
        sn: known.sn.clone(),
        mag: known.reference_mag.clone(),
    };
    let mixture = profile_likelihood::train(&objects, context.survey.magnitudes().profiles)?;
    Ok([known, &context.test].map(|features| {
        let of = |i: usize| mixture.log_odds(&features.chi2[i], features.sn[i], features.reference_mag[i]);
        // Without a fit there is no telling.
        (0..features.len()).map(|i| of(i).map_or(0.0, f64::from)).collect()
    }))
}

/// What colour adds to the test objects' log-odds, learned from the `training` ones' by the profile likelihood.
pub(super) fn colour_ratios(
    context: &StudyContext,
    training: &[f64],
    seed: u64,
    run: &Run,
) -> Result<(Vec<f32>, Curve), AnswerError> {
    let star_prob = training.iter().map(|&odds| logistic(odds) as f32).collect();
    let settings = colour::Settings { seed, ..colour::Settings::default() };
    let objects = colour::TrainingSet { inputs: inputs(&context.training), star_prob };
    let (nets, curve) = colour::train(&objects, &settings, run)?;
    Ok((TorchColour::new(&nets, &choose(Wanted::Cpu)?)?.log_ratios(&inputs(&context.test))?, curve))
}

/// Colours and magnitude, as the nets of colour see them.
pub(super) fn inputs(features: &Features) -> Vec<[f32; 5]> {
    let of = |([a, b, c, d], mag): (&[f32; 4], &f32)| [*a, *b, *c, *d, *mag];
    features.colours.iter().zip(&features.reference_mag).map(of).collect()
}
