//! The co-trained colour (Blum & Mitchell 1998): two small nets learn the profile likelihood's (EB's) posteriors, one
//! from colours and magnitude and one from magnitude alone; their difference is what colour adds (see
//! `torch::nets::colour`).
//!
//! EB never sees a colour and its posteriors are the only teacher, so nothing here is labelled. An object must not be
//! judged by nets that it taught: a study trains them on other images. The posteriors are soft, so the loss is the
//! cross-entropy with p(star) in place of a label.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Reduction, TchError, Tensor};

use super::classify::ShuffledBatches;
use super::trainer::{Schedule, Step, Trainer, inputs};
use super::{Curve, LearnError, Run};
use twinpeak_core::model::COLOUR_LEN as INPUTS;
use twinpeak_nets::colour::{Nets, Shape};
use twinpeak_nets::parameters::{Array, Parameters, Start};

const NET: &str = "colour";
/// Fewest objects from which colour is learned.
const OBJECTS_MIN: usize = 300;
/// Fewest of each kind, by the sum of their posteriors.
const OF_A_KIND_MIN: f32 = 20.0;

/// How the nets are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Widths of both nets.
    pub shape: Shape,
    /// Passes over the training objects.
    pub epochs: usize,
    /// Objects in a step's batch.
    pub batch: usize,
    /// Highest learning rate of the schedule.
    pub rate: f64,
    /// Decoupled weight decay (Loshchilov & Hutter 2019).
    pub weight_decay: f64,
    /// Seed of the weights and of the order of objects.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { shape: Shape::default(), epochs: 40, batch: 256, rate: 5e-3, weight_decay: 1e-2, seed: 40 }
    }
}

/// What is learned from. All of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingSet {
    /// Asinh colours of the best galaxy's fluxes (see `cutout`) and the reference-band PSF magnitude.
    pub inputs: Vec<[f32; INPUTS]>,
    /// The profile likelihood's posterior probability of being a star.
    pub star_prob: Vec<f32>,
}

/// Whether so many objects are enough.
pub(super) fn enough(objects: usize) -> Result<(), LearnError> {
    LearnError::unless_enough(NET, "objects with colours", objects, OBJECTS_MIN)
}

/// Trains both nets; gives all of [`Shape::parameters`] and the loss. TrainingSet with a number that is not finite are
/// left out.
///
/// # Errors
/// [`LearnError`]
pub fn train(objects: &TrainingSet, settings: &Settings, run: &Run) -> Result<(Parameters, Curve), LearnError> {
    let torch = |source| LearnError::Torch { net: NET.to_owned(), source };
    let (mut x, teacher): (Vec<[f32; INPUTS]>, Vec<f32>) = (objects.inputs.iter().zip(&objects.star_prob))
        .filter(|(x, p)| x.iter().all(|v| v.is_finite()) && p.is_finite())
        .map(|(x, p)| (*x, *p))
        .unzip();
    let (found, stars) = (x.len(), teacher.iter().sum::<f32>());
    enough(found)?;
    if stars.min(found as f32 - stars) < OF_A_KIND_MIN {
        return Err(LearnError::OneClass { net: NET, stars: f64::from(stars), objects: found });
    }
    let constants = standardise(&mut x);
    let start = Parameters::random(&settings.shape.nets(), Start::He, &mut ChaCha8Rng::seed_from_u64(settings.seed));
    let mut batches = ShuffledBatches::new(found, settings.batch, settings.seed);
    let trainer = Trainer {
        net: NET.to_owned(),
        steps: batches.steps(settings.epochs),
        rate: settings.rate,
        schedule: Schedule::OneCycle { rise: 0.2 },
        weight_decay: settings.weight_decay,
        gradient_max: 5.0,
        seed: settings.seed,
        inputs: inputs(&format!("{settings:?}"), [x.as_flattened(), teacher.as_slice()]),
    };
    let tensor = |values: &[f32], width: i64| Tensor::f_from_slice(values)?.f_view([-1, width]);
    let x = tensor(x.as_flattened(), INPUTS as i64).map_err(torch)?;
    let teacher = tensor(&teacher, 1).and_then(|t| t.f_squeeze_dim(1)).map_err(torch)?;
    let (mut parameters, curve) = run.descend(
        &trainer,
        &start,
        |t| Nets::new(t, ""),
        |nets, step, _| -> Step {
            let batch = batches.at(step)?;
            let p = teacher.f_index_select(0, &batch)?;
            let (both, magnitude) = nets.log_odds(&x.f_index_select(0, &batch)?)?;
            Ok(cross_entropy(&both, &p)?.f_add(&cross_entropy(&magnitude, &p)?)?)
        },
    )?;
    for (part, values) in ["mean", "deviation"].into_iter().zip(constants) {
        parameters.0.insert(format!("input.{part}"), Array { shape: vec![INPUTS], values: values.to_vec() });
    }
    Ok((parameters, curve))
}

fn cross_entropy(log_odds: &Tensor, p: &Tensor) -> Result<Tensor, TchError> {
    log_odds.f_binary_cross_entropy_with_logits(p, None::<Tensor>, None::<Tensor>, Reduction::Mean)
}

/// Mean 0 and deviation 1 for each input; gives what they were.
fn standardise(x: &mut [[f32; INPUTS]]) -> [[f32; INPUTS]; 2] {
    let n = x.len() as f64;
    let mean = |value: &dyn Fn(&[f32; INPUTS]) -> f64| x.iter().map(value).sum::<f64>() / n;
    let means: [f64; INPUTS] = std::array::from_fn(|i| mean(&|row| f64::from(row[i])));
    let deviations: [f64; INPUTS] =
        std::array::from_fn(|i| mean(&|row| (f64::from(row[i]) - means[i]).powi(2)).sqrt().max(1e-3));
    for row in x.iter_mut() {
        *row = std::array::from_fn(|i| ((f64::from(row[i]) - means[i]) / deviations[i]) as f32);
    }
    [means, deviations].map(|constants| constants.map(|c| c as f32))
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::StandardNormal;

    use super::*;
    use twinpeak_nets::device::{Wanted, choose};
    use twinpeak_nets::infer::TorchColour;

    const RUN: Run<'static> = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };

    /// Fainter objects are galaxies more often. Stars have a first colour of + `colour_tells`, galaxies of minus
    /// that, with a scatter of 1. And the true log-ratios. The teacher is sure: a cap on its log-odds would cap
    /// what colour can add, by magnitude.
    fn objects(n: usize, colour_tells: f32, seed: u64) -> (TrainingSet, Vec<f32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut objects, mut truth) = (TrainingSet::default(), vec![]);
        for _ in 0..n {
            let mag: f32 = rng.random_range(17.0..22.0);
            let prior = 1.0 / (1.0 + (mag - 19.5f32).exp());
            let star = rng.random::<f32>() < prior;
            let mut x: [f32; INPUTS] = std::array::from_fn(|_| rng.sample(StandardNormal));
            x[0] += if star { colour_tells } else { -colour_tells };
            x[INPUTS - 1] = mag;
            objects.inputs.push(x);
            objects.star_prob.push(if star { 1.0 } else { 0.0 });
            truth.push(2.0 * colour_tells * x[0]);
        }
        (objects, truth)
    }

    fn ratios(trained: &Parameters, of: &TrainingSet) -> Vec<f32> {
        trained.check(&Settings::default().shape.parameters()).unwrap();
        let nets = TorchColour::new(trained, &choose(Wanted::Cpu).unwrap()).unwrap();
        nets.log_ratios(&of.inputs).unwrap()
    }

    fn correlation(a: &[f32], b: &[f32]) -> f64 {
        let n = a.len() as f64;
        let mean = |v: &[f32]| v.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let (ma, mb) = (mean(a), mean(b));
        let product = |x: &[f32], y: &[f32], mx: f64, my: f64| {
            x.iter().zip(y).map(|(&x, &y)| (f64::from(x) - mx) * (f64::from(y) - my)).sum::<f64>()
        };
        product(a, b, ma, mb) / (product(a, a, ma, ma) * product(b, b, mb, mb)).sqrt()
    }

    #[test]
    fn what_colour_adds_is_learned_and_magnitude_adds_nothing() {
        let (trained, _) = train(&objects(3000, 1.0, 1).0, &Settings::default(), &RUN).unwrap();
        let (unseen, truth) = objects(1000, 1.0, 2);
        let found = ratios(&trained, &unseen);
        assert!(correlation(&found, &truth) > 0.9, "{}", correlation(&found, &truth));
        let mag: Vec<f32> = unseen.inputs.iter().map(|x| x[INPUTS - 1]).collect();
        let of_mag = correlation(&found, &mag) - correlation(&truth, &mag);
        assert!(of_mag.abs() < 0.1, "{of_mag}");
    }

    #[test]
    fn a_colour_that_tells_nothing_adds_little() {
        let (trained, _) = train(&objects(3000, 0.0, 1).0, &Settings::default(), &RUN).unwrap();
        let found = ratios(&trained, &objects(1000, 0.0, 2).0);
        let rms = (found.iter().map(|r| r * r).sum::<f32>() / 1000.0).sqrt();
        assert!(rms < 0.3, "{rms}");
    }

    #[test]
    fn the_same_seed_gives_the_same_nets_and_a_missing_colour_says_nothing() {
        let (mut few, _) = objects(400, 1.0, 1);
        few.inputs[3][1] = f32::NAN;
        let trained = |seed| train(&few, &Settings { seed, ..Settings::default() }, &RUN).unwrap().0;
        assert_eq!(trained(1), trained(1));
        assert_ne!(trained(1), trained(2));
        let found = ratios(&trained(1), &few);
        assert!(found[3] == 0.0 && found.iter().all(|r| r.is_finite()));
    }

    #[test]
    fn too_few_and_one_kind_are_refused() {
        let (mut few, _) = objects(299, 1.0, 1);
        assert!(train(&few, &Settings::default(), &RUN).unwrap_err().to_string().contains("299 objects"));
        few = objects(400, 1.0, 1).0;
        few.star_prob.fill(0.999);
        assert!(train(&few, &Settings::default(), &RUN).unwrap_err().to_string().contains("of one kind"));
    }
}
