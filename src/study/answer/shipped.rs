//! What the daemon runs, trained anew: the ensemble of A+Vr, the likelihood of profiles (EB), colour, and all together.

use std::collections::BTreeMap;

use super::{Answer, AnswerError, Ground, logistic, thinned};
use crate::learn::dataset::{Features, stamp};
use crate::learn::sample::TEACHING_MAG;
use crate::learn::{Curve, Run, classify, colour, eb};
use crate::model::{Classifier, STAMP_LEN};
use crate::torch::bundle::ClassifierPart;
use crate::torch::device::{Wanted, choose};
use crate::torch::infer::{TorchClassifier, TorchColour};

/// Stamps classified at a time.
const BATCH: usize = 64;
/// An ensemble uses some dozens of seeds from its first on.
const SEEDS_APART: u64 = 100_000;

/// The shipped ensemble, trained anew, as the daemon runs it.
pub(super) fn ensemble(ground: &Ground, seed: u64, run: &Run) -> Result<Answer, AnswerError> {
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

/// EB's log-odds of the test objects, with what colour adds.
pub(super) fn likelihood(ground: &Ground, coloured: bool, seed: u64, run: &Run) -> Result<Answer, AnswerError> {
    let [training, mut scores] = log_odds(ground)?;
    let mut loss = Vec::new();
    if coloured {
        let (ratios, curve) = colour_ratios(ground, &training, seed, run)?;
        scores.iter_mut().zip(ratios).for_each(|(score, ratio)| *score += f64::from(ratio));
        loss = thinned(&curve.loss);
    }
    let probabilities = Some(scores.iter().map(|&odds| logistic(odds)).collect());
    Ok(Answer { scores, threshold: 0.0, probabilities, objects: ground.training.len(), loss, ..Answer::default() })
}

/// EB's log-odds of the training objects, from which its shares are learned, and of the test objects.
fn log_odds(ground: &Ground) -> Result<[Vec<f64>; 2], AnswerError> {
    let known = &ground.training;
    let objects = eb::Objects { chi2: known.chi2.clone(), sn: known.sn.clone(), mag: known.reference_mag.clone() };
    let mixture = eb::train(&objects)?;
    Ok([known, &ground.test].map(|features| {
        let of = |i: usize| mixture.log_odds(&features.chi2[i], features.sn[i], features.reference_mag[i]);
        // Without a fit there is no telling.
        (0..features.len()).map(|i| of(i).map_or(0.0, f64::from)).collect()
    }))
}

/// What colour adds to the test objects' log-odds, learned from the `training` ones' by EB.
fn colour_ratios(ground: &Ground, training: &[f64], seed: u64, run: &Run) -> Result<(Vec<f32>, Curve), AnswerError> {
    let star_prob = training.iter().map(|&odds| logistic(odds) as f32).collect();
    let settings = colour::Settings { seed, ..colour::Settings::default() };
    let objects = colour::Objects { inputs: inputs(&ground.training), star_prob };
    let (nets, curve) = colour::train(&objects, &settings, run)?;
    Ok((TorchColour::new(&nets, &choose(Wanted::Cpu)?)?.log_ratios(&inputs(&ground.test))?, curve))
}

/// Colours and magnitude, as the nets of colour see them.
fn inputs(features: &Features) -> Vec<[f32; 5]> {
    let of = |([a, b, c, d], mag): (&[f32; 4], &f32)| [*a, *b, *c, *d, *mag];
    features.colours.iter().zip(&features.reference_mag).map(of).collect()
}

/// The mean of the ensemble's log-odds and EB's, and colour.
pub(super) fn combination(ground: &Ground, seed: u64, run: &Run) -> Result<Answer, AnswerError> {
    let ensemble = ensemble(ground, seed, run)?;
    let [training, test] = log_odds(ground)?;
    let (ratios, _) = colour_ratios(ground, &training, seed, run)?;
    let one = |((p, eb), ratio): ((&f64, f64), f32)| {
        let p = p.clamp(1e-6, 1.0 - 1e-6);
        0.5 * ((p / (1.0 - p)).ln() + eb) + f64::from(ratio)
    };
    let scores: Vec<f64> = ensemble.scores.iter().zip(test).zip(ratios).map(one).collect();
    let probabilities = Some(scores.iter().map(|&odds| logistic(odds)).collect());
    Ok(Answer { scores, threshold: 0.0, probabilities, ..ensemble })
}
