//! How good are a method's probabilities, without a label? As good as they predict what the method has never seen: a
//! method that knows shapes alone is asked about colours.
//!
//! Let p be its probability of star from an object's shape, m the magnitude, c the colours. Given the class and the
//! magnitude, shape and colour know nothing of each other, so what it predicts for the colours is
//!
//! ```text
//! P(c | shape, m) = p P(c | star, m) + (1 - p) P(c | galaxy, m)
//! ```
//!
//! By Bayes, P(c | star, m) = P(c | m) q / pi with q = P(star | c, m) and pi = P(star | m), and the same for galaxies.
//! Over what is predicted without any method, P(c | m), that is
//!
//! ```text
//! e = ln [ p q / pi + (1 - p) (1 - q) / (1 - pi) ]
//! ```
//!
//! and its mean over objects, in nats an object, says how much better the colours are predicted with the method than
//! without. q and pi are learned on the training objects (`learn::colour`, its two nets, the ratio not tempered), and e
//! is taken on others, whose colours nothing has seen.
//!
//! *What q is learned from.* Not from p alone: the mean of p over objects of one colour is P(star | c) only where p is
//! sure. Where it is not, E(p | c) lies between that and pi by the factor E(p | star) - E(p | galaxy), and a method
//! would win by being surer than it may be. So q is learned as a mixture's densities are (EM, as
//! `learn::profile_likelihood` learns its shares):
//!
//! ```text
//! E   logit r = logit p + ln(q / (1 - q)) - ln(pi / (1 - pi))      the odds from shape and colour
//! M   q = E(r | c, m),  pi = E(r | m)                              two nets, anew
//! ```
//!
//! from r = p on. For a p that is calibrated the true q is where this rests, and e is then a predictive likelihood,
//! highest at the right p. A p drawn at random has e = 0: q is pi, whatever the colours; so has one that is the same
//! for all. What it cannot see is an error that shape and colour share: red compact galaxies that both call stars.

use super::AnswerError;
use twinpeak_core::frame::BANDS;
use twinpeak_learn::posterior::{logistic, nats};
use twinpeak_learn::{Run, colour};
use twinpeak_nets::device::{Wanted, choose};
use twinpeak_nets::infer::TorchColour;

/// Objects as the criterion sees them: all of one length.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Colours, and the reference-band magnitude.
    pub inputs: &'a [[f32; BANDS]],
    /// The method's probability of star.
    pub star_prob: &'a [f64],
}

/// Rounds of expectation maximisation (EM).
const ROUNDS: usize = 6;
/// Passes of the nets in each: few, so that they do not learn the training objects by heart.
const EPOCHS: usize = 10;
/// A probability nearer to 0 or 1 than this is as near.
const PROBABILITY_MIN: f64 = 1e-6;

/// The mean of e over `held_out` objects, nats, with q and pi learned from `training`. Objects without a colour, or
/// without a probability, are left out.
///
/// # Errors
/// Where colour cannot be learned: too few objects, or nearly all of one kind.
pub fn evidence(training: Seen, held_out: Seen, seed: u64, run: &Run) -> Result<f64, AnswerError> {
    let settings = colour::Settings { seed, epochs: EPOCHS, ..colour::Settings::default() };
    let cpu = choose(Wanted::Cpu)?;
    let prior: Vec<f64> = training.star_prob.iter().map(|&p| log_odds(p)).collect();
    let mut objects = colour::TrainingSet { inputs: training.inputs.to_vec(), star_prob: vec![0.0; prior.len()] };
    let mut ratio = vec![0.0; prior.len()];
    let mut told = Vec::new();
    for round in 1..=ROUNDS {
        let posterior = prior.iter().zip(&ratio).map(|(prior, ratio)| logistic(prior + ratio) as f32);
        objects.star_prob = posterior.collect();
        let nets = TorchColour::new(&colour::train(&objects, &settings, run)?.0, &cpu)?;
        if round == ROUNDS {
            told = nets.log_odds(held_out.inputs)?;
        } else {
            let adds = |odds: Option<[f32; 2]>| odds.map_or(0.0, |[both, mag]| f64::from(both - mag));
            ratio = nets.log_odds(training.inputs)?.into_iter().map(adds).collect();
        }
    }
    let known = told.into_iter().zip(held_out.star_prob).filter(|(_, p)| p.is_finite());
    let each = known.filter_map(|(odds, &p)| odds.map(|[both, mag]| nats(p, f64::from(both), f64::from(mag))));
    let (sum, objects) = each.fold((0.0, 0usize), |(sum, objects), e| (sum + e, objects + 1));
    Ok(sum / objects.max(1) as f64)
}

fn log_odds(p: f64) -> f64 {
    let p = p.clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    const RUN: Run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };

    /// Two populations that differ in a colour and in a shape; p is Bayes' from a shape seen through more or less
    /// noise.
    struct Sky {
        inputs: Vec<[f32; BANDS]>,
        shape: Vec<f64>,
        noise: Vec<f64>,
    }

    fn sky(n: usize, seed: u64) -> Sky {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut sky = Sky { inputs: vec![], shape: vec![], noise: vec![] };
        for _ in 0..n {
            let side = if rng.random_bool(0.4) { 1.0 } else { -1.0 };
            let mut x: [f32; BANDS] = std::array::from_fn(|_| rng.sample(StandardNormal));
            x[0] += 1.5 * side as f32;
            x[BANDS - 1] = rng.random_range(18.0..22.0);
            sky.inputs.push(x);
            sky.shape.push(side + rng.sample::<f64, _>(StandardNormal) * 0.5);
            sky.noise.push(rng.sample(StandardNormal));
        }
        sky
    }

    impl Sky {
        /// Of the shape seen with `noise` on top of its own scatter of .5.
        fn probability(&self, noise: f64, sureness: f64) -> Vec<f64> {
            let variance = 0.25 + noise * noise;
            let odds = |(s, n): (&f64, &f64)| sureness * (2.0 * (s + noise * n) / variance + (0.4f64 / 0.6).ln());
            self.shape.iter().zip(&self.noise).map(|pair| 1.0 / (1.0 + (-odds(pair)).exp())).collect()
        }
    }

    fn found(noise: f64, sureness: f64) -> f64 {
        let (training, held_out) = (sky(6000, 1), sky(4000, 2));
        let (taught, asked) = (training.probability(noise, sureness), held_out.probability(noise, sureness));
        let training = Seen { inputs: &training.inputs, star_prob: &taught };
        evidence(training, Seen { inputs: &held_out.inputs, star_prob: &asked }, 1, &RUN).unwrap()
    }

    #[test]
    fn better_probabilities_predict_colours_better_and_unsound_ones_pay() {
        let (good, blurred) = (found(0.0, 1.0), found(1.5, 1.0));
        assert!(good > 1.5 * blurred && blurred > 0.02, "{good} {blurred}");
        // The same order of objects, ten times as sure of it.
        let oversure = found(1.5, 10.0);
        assert!(oversure < blurred, "{oversure} {blurred}");
    }

    #[test]
    fn probabilities_drawn_at_random_predict_nothing() {
        let (training, held_out) = (sky(3000, 1), sky(1500, 2));
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut random = |n| -> Vec<f64> { (0..n).map(|_| rng.random_range(0.02..0.98)).collect() };
        let (taught, asked) = (random(3000), random(1500));
        let training = Seen { inputs: &training.inputs, star_prob: &taught };
        let e = evidence(training, Seen { inputs: &held_out.inputs, star_prob: &asked }, 1, &RUN).unwrap();
        assert!(e.abs() < 0.01, "{e}");
    }
}
