//! All that makes a probability, learned without labels: the nets' calibration comes with the ensemble (`classify`) and is
//! brought to the profiles' number of stars (`alignment`), the profiles' shares come from `profile_likelihood`, colour from
//! `colour`; and how much the nets count beside the profiles is found here.
//!
//! Both judge the same pixels, and no likelihood compares them: the nets have none for an object's pixels. But colours
//! are known to neither. Given the class and the magnitude, shape and colour know nothing of each other, so the better
//! p is as a probability of star, the better it predicts the colours:
//!
//! ```text
//! P(c | shape, m) = p P(c | star, m) + (1 - p) P(c | galaxy, m)
//! e = ln P(c | shape, m) / P(c | m) = ln [ p q / pi + (1 - p) (1 - q) / (1 - pi) ]
//! ```
//!
//! with q = P(star | c, m) and pi = P(star | m) from nets of colour that were taught by the profiles on the other half
//! of the objects. The weight with the highest mean of e over all objects is taken. The profiles teach q, which favours
//! them a little: what the nets are given, they have earned.

use super::alignment::{Opinions, aligned};
use super::{Curve, LearnError, Run, colour, profile_likelihood};
use twinpeak_core::cutout::Measurements;
use twinpeak_core::model::COLOUR_LEN;
use twinpeak_core::posterior::{Calibration, Posterior, ProfileMixture};
use twinpeak_nets::device::{Wanted, choose};
use twinpeak_nets::infer::TorchColour;
use twinpeak_nets::parameters::Parameters;

/// Weights that are tried: so many steps from 0 to 1.
const STEPS: usize = 20;

/// What is learned of a bundle's posterior: shares, laws, weights and the nets of colour.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedPosterior {
    /// What a bundle's recipe takes over.
    pub posterior: Posterior,
    /// Weights of the nets of colour.
    pub colour: Parameters,
    /// Loss of the nets of colour by step.
    pub curve: Curve,
    /// Mean e at each weight tried, from 0 to 1: nats an object.
    pub evidence: Vec<f64>,
}

/// What is learned from: for each object what was measured of it, and the nets' score (the mean of `seed_score` over
/// the ensemble). All of one length.
#[derive(Clone, Copy, Debug)]
pub struct TrainingSet<'a> {
    /// What was measured of each object.
    pub known: &'a [Measurements],
    /// Score of the ensemble for each object.
    pub scores: &'a [f32],
}

/// Whether objects of which this was measured are enough for the nets of colour: they are learned last.
///
/// # Errors
/// [`LearnError::TooFew`]
pub fn enough(known: &[Measurements]) -> Result<(), LearnError> {
    colour::enough(known.iter().filter(|k| k.colour_inputs().is_some()).count())
}

/// Learns it; the shares of profiles on nodes over the survey's `magnitudes.profiles`.
///
/// # Errors
/// [`LearnError`]
pub fn train(
    objects: TrainingSet,
    nets: Calibration,
    settings: &colour::Settings,
    profiles_mag: [f64; 2],
    run: &Run,
) -> Result<TrainedPosterior, LearnError> {
    let profiles = profiles(objects.known, profiles_mag)?;
    let both = shapes(objects, &nets, &profiles);
    let nets = aligned(nets, &both);
    let (taught, opinions) = opinions(objects, &nets, &profiles);
    let evidence = evidence(&taught, &opinions, settings)?;
    let best = (0..evidence.len()).max_by(|&a, &b| evidence[a].total_cmp(&evidence[b])).unwrap_or(0);
    let nets_weight = best as f32 / STEPS as f32;
    let (colour, curve) = colour::train(&taught, settings, run)?;
    Ok(TrainedPosterior { posterior: Posterior { nets_weight, nets, profiles }, colour, curve, evidence })
}

/// Learns the mixture of profiles from the fits of all objects.
fn profiles(known: &[Measurements], profiles_mag: [f64; 2]) -> Result<ProfileMixture, LearnError> {
    let column = |of: fn(&Measurements) -> f32| known.iter().map(of).collect();
    profile_likelihood::train(
        &profile_likelihood::TrainingSet {
            chi2: known.iter().map(|k| k.chi2).collect(),
            sn: column(|k| k.sn),
            mag: column(|k| k.mag),
        },
        profiles_mag,
    )
}

/// What the nets and the profiles say of each object's shape, of those of which both say something.
fn shapes(objects: TrainingSet, nets: &Calibration, profiles: &ProfileMixture) -> Vec<Opinions> {
    let each = objects.known.iter().zip(objects.scores);
    let of = |(known, &score): (&Measurements, &f32)| {
        let (nets, profiles) = (nets.log_odds(score, known.mag)?, profiles.log_odds(&known.chi2, known.sn, known.mag)?);
        Some(Opinions { mag: known.mag.into(), nets: nets.into(), profiles: profiles.into() })
    };
    each.filter_map(of).collect()
}

/// What the nets and the profiles say of an object's shape: log-odds.
struct Opinion {
    nets: f64,
    profiles: f64,
}

/// The objects of which all is known, as colour learns from them, and both opinions of each.
fn opinions(
    objects: TrainingSet,
    nets: &Calibration,
    profiles: &ProfileMixture,
) -> (colour::TrainingSet, Vec<Opinion>) {
    let (mut taught, mut opinions) = (colour::TrainingSet::default(), Vec::new());
    for (known, &score) in objects.known.iter().zip(objects.scores) {
        let odds = nets.log_odds(score, known.mag).zip(profiles.log_odds(&known.chi2, known.sn, known.mag));
        if let (Some((nets, profiles)), Some(inputs)) = (odds, known.colour_inputs()) {
            taught.inputs.push(inputs);
            taught.star_prob.push(logistic(profiles.into()) as f32);
            opinions.push(Opinion { nets: nets.into(), profiles: profiles.into() });
        }
    }
    (taught, opinions)
}

/// Mean e at each weight; each half of the objects is judged by colours learned on the other.
fn evidence(
    taught: &colour::TrainingSet,
    opinions: &[Opinion],
    settings: &colour::Settings,
) -> Result<Vec<f64>, LearnError> {
    // Short trainings, whose curves and checkpoints nobody wants.
    let run = Run { work_dir: None, checkpoint_steps: usize::MAX, progress: &|_| () };
    let mut sums = vec![0.0; STEPS + 1];
    for half in 0..2 {
        let of_half = |other: usize| (0..opinions.len()).filter(move |i| i % 2 != other);
        let others = colour::TrainingSet {
            inputs: of_half(half).map(|i| taught.inputs[i]).collect(),
            star_prob: of_half(half).map(|i| taught.star_prob[i]).collect(),
        };
        let (nets, _) = colour::train(&others, settings, &run)?;
        let judged: Vec<usize> = of_half(1 - half).collect();
        let inputs: Vec<[f32; COLOUR_LEN]> = judged.iter().map(|&i| taught.inputs[i]).collect();
        let odds = TorchColour::new(&nets, &choose(Wanted::Cpu)?)?.log_odds(&inputs)?;
        for (i, [both, magnitude]) in judged.into_iter().zip(odds).filter_map(|(i, odds)| Some((i, odds?))) {
            for (step, sum) in sums.iter_mut().enumerate() {
                let weight = step as f64 / STEPS as f64;
                let shape = weight * opinions[i].nets + (1.0 - weight) * opinions[i].profiles;
                *sum += nats(logistic(shape), both.into(), magnitude.into());
            }
        }
    }
    let n = opinions.len().max(1) as f64;
    Ok(sums.into_iter().map(|sum| sum / n).collect())
}

/// e of one object from p and the log-odds of q and of pi.
pub fn nats(p: f64, both: f64, magnitude: f64) -> f64 {
    // ln(q / pi) and ln((1 - q) / (1 - pi)), sound for any odds: ln sigmoid(x) = -ln(1 + e^-x).
    let ln_sigmoid = |x: f64| -((-x.abs()).exp().ln_1p() + (-x).max(0.0));
    let star = ln_sigmoid(both) - ln_sigmoid(magnitude);
    let galaxy = ln_sigmoid(-both) - ln_sigmoid(-magnitude);
    (p * star.exp() + (1.0 - p) * galaxy.exp()).ln()
}

/// The probability with these log-odds.
pub fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;
    use twinpeak_core::cutout::MODELS;

    /// By hand: q = .8, pi = .4, p = .9 gives ln(.9 x 2 + .1 / 3).
    #[test]
    fn one_object_by_hand() {
        let odds = |p: f64| (p / (1.0 - p)).ln();
        assert!((nats(0.9, odds(0.8), odds(0.4)) - (1.8f64 + 0.1 / 3.0).ln()).abs() < 1e-12);
        assert_eq!(nats(0.3, 2.0, 2.0), 0.0);
        assert!(nats(0.0, 700.0, 0.0).is_finite());
    }

    /// Two populations that differ in a colour; each opinion is Bayes' from a number that is + or - 1 with noise of
    /// its own.
    fn sky(nets_noise: f64, profiles_noise: f64) -> (colour::TrainingSet, Vec<Opinion>) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut taught, mut opinions) = (colour::TrainingSet::default(), vec![]);
        for _ in 0..4000 {
            let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            let mut inputs: [f32; COLOUR_LEN] = std::array::from_fn(|_| rng.sample(StandardNormal));
            inputs[0] += 1.5 * side as f32;
            let mut odds = |noise: f64| 2.0 * (side + noise * rng.sample::<f64, _>(StandardNormal)) / (noise * noise);
            let opinion = Opinion { nets: odds(nets_noise), profiles: odds(profiles_noise) };
            taught.inputs.push(inputs);
            taught.star_prob.push(logistic(opinion.profiles) as f32);
            opinions.push(opinion);
        }
        (taught, opinions)
    }

    #[test]
    fn the_better_opinion_counts_more() {
        let best = |nets, profiles| {
            let (taught, opinions) = sky(nets, profiles);
            let e = evidence(&taught, &opinions, &colour::Settings::default()).unwrap();
            assert_eq!(e.len(), STEPS + 1);
            (0..e.len()).max_by(|&a, &b| e[a].total_cmp(&e[b])).unwrap()
        };
        let (worse, alike, better) = (best(3.0, 1.0), best(1.0, 1.0), best(0.7, 1.4));
        assert!(worse < alike && alike < better, "{worse} {alike} {better}");
        assert!((5..=15).contains(&alike), "{alike} of {STEPS}");
    }

    #[test]
    fn objects_of_which_something_is_unknown_are_left_out() {
        let sound = Measurements { mag: 20.0, sn: 9.0, chi2: [900.0; MODELS], colours: [0.3; 4] };
        let mut known = [sound; 3];
        known[0].chi2[2] = f32::NAN;
        known[1].colours[3] = f32::NAN;
        let nets = Calibration { mag_nodes: vec![20.0], score_nodes: vec![0.0], log_odds: vec![1.0] };
        let shares = vec![1.0 / MODELS as f32; MODELS];
        let profiles = ProfileMixture { mag_nodes: vec![20.0], shares, point_like: 1, sn_floor: 30.0 };
        let (taught, opinions) = opinions(TrainingSet { known: &known, scores: &[0.0; 3] }, &nets, &profiles);
        assert_eq!((taught.inputs.len(), opinions.len()), (1, 1));
        assert!((f64::from(taught.star_prob[0]) - 1.0 / MODELS as f64).abs() < 1e-6);
    }
}
