//! The linear head's training: logistic regression on standardised hypercolumns against the teacher's opinion.
//! Negatives are pixels just below the teacher's threshold, plain sky, and frames in which there is nothing to find.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, TchError, Tensor, no_grad};

use super::Settings;
use super::autoencoder::{Objective, Reconstruction};
use super::tiles::TileSampler;
use crate::trainer::{Schedule, Step, Trainer, inputs};
use crate::{Curve, LearnError, Run};
use twinpeak_core::model::{TILE, TILE_PIXELS};
use twinpeak_nets::cells::cells;
use twinpeak_nets::parameters::{Parameters, Start, Tensors};
use twinpeak_nets::segmentation::{Autoencoder, Head, Hypercolumns, Level, with_channels_last};

const OBJECT: u8 = 0;
const JUST_BELOW: u8 = 1;
const SKY: u8 = 2;
const NOISE_ONLY: u8 = 3;
/// A pixel about which the teacher says nothing.
const UNTAUGHT: u8 = 255;
/// Weights of the four classes.
const CLASS_WEIGHTS: [f64; 4] = [0.35, 0.20, 0.25, 0.20];
/// Extent, in thresholds, below which a pixel is sky.
const SKY_EXTENT: f32 = 0.2;
/// Batches from which features are standardised and agreement is measured.
const SURVEY_BATCHES: u64 = 8;

/// Trains the head over a trained auto-encoder; gives its parameters ([`Shape::head`](twinpeak_nets::segmentation::Shape::head)),
/// the loss, and the share (0..1) of taught pixels on which it agrees with its teacher.
///
/// # Errors
/// [`LearnError`]
pub fn train_head(
    sampler: &TileSampler,
    autoencoder: &Parameters,
    settings: &Settings,
    run: &Run,
) -> Result<(Parameters, Curve, f64), LearnError> {
    twinpeak_nets::device::start();
    let torch = |source| LearnError::Torch { net: "segmenter-head".to_owned(), source };
    let fixed = Tensors::upload(autoencoder, Device::Cpu, Kind::Float).and_then(with_channels_last).map_err(torch)?;
    let tiles = LabelledTiles {
        net: Autoencoder::new(&fixed, &settings.shape).map_err(torch)?,
        sampler,
        batch: settings.batch,
    };
    let scales = tiles.scales(settings).map_err(torch)?;
    let mut start = Parameters::random(&settings.shape.head(), Start::He, &mut ChaCha8Rng::seed_from_u64(0));
    start.0.values_mut().for_each(|a| a.values.fill(0.0));
    let weights = autoencoder.0.values().map(|a| a.values.as_slice());
    let data = weights.chain(sampler.frames.iter().map(|f| f.pseudo_labels.extent.pixels()));
    let trainer = Trainer {
        net: "segmenter-head".to_owned(),
        steps: settings.head_steps,
        rate: 0.02,
        schedule: Schedule::Cosine { warm_up: 10 },
        weight_decay: 1e-3,
        gradient_max: 10.0,
        seed: settings.seed + 1,
        inputs: inputs(&(settings.told(Reconstruction.name()) + &sampler.missing.told()), data),
    };
    let (head, curve) = run.descend(&trainer, &start, Head::new, |head, _, rng| -> Step {
        let (columns, classes) = tiles.draw(rng)?;
        Ok(loss(&head.scores(&standardised(&columns, &scales)?)?, &classes)?)
    })?;
    let agreement = tiles.agreement(&head, &scales, settings.seed).map_err(torch)?;
    Ok((folded(head, &scales).map_err(torch)?, curve, agreement))
}

/// Draws batches of hypercolumns and what the teacher says of their pixels.
struct LabelledTiles<'a> {
    net: Autoencoder,
    sampler: &'a TileSampler<'a>,
    batch: usize,
}

/// Mean and deviation of each channel of each level, (1, channels, 1, 1) each; the deviation of a level that is left
/// out is infinite, so that its channels are 0 once they are standardised.
type Scales = Vec<(Tensor, Tensor)>;

impl LabelledTiles<'_> {
    /// Hypercolumns, and each pixel's class (n, 64, 64): a quarter of the tiles hold noise alone.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<(Hypercolumns, Tensor), TchError> {
        let (mut pixels, mut classes) = (Vec::new(), Vec::with_capacity(self.batch * TILE_PIXELS));
        let (mut extent, mut object) = (Vec::new(), Vec::new());
        for i in 0..self.batch {
            let place = self.sampler.draw(rng);
            let frame = &self.sampler.frames[place.frame];
            if i % 4 == 3 {
                place.cut_bands(&frame.noise_only, &mut pixels);
                classes.extend([NOISE_ONLY; TILE_PIXELS]);
                continue;
            }
            place.cut_bands(&frame.planes, &mut pixels);
            extent.clear();
            object.clear();
            place.cut(&frame.pseudo_labels.extent, &mut extent);
            place.cut(&frame.pseudo_labels.object, &mut object);
            classes.extend(extent.iter().zip(&object).map(|(&extent, &object)| class(extent, object)));
        }
        let columns = no_grad(|| self.net.hypercolumns(&cells(&pixels)?))?;
        let side = TILE as i64;
        Ok((columns, Tensor::f_from_slice(&classes)?.f_view([-1, side, side])?))
    }

    fn survey_rng(seed: u64, batch: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(seed + 2);
        rng.set_stream(batch);
        rng
    }

    fn scales(&self, settings: &Settings) -> Result<Scales, TchError> {
        let mut sums: Vec<(Tensor, Tensor)> = Vec::new();
        for batch in 0..SURVEY_BATCHES {
            let (columns, _) = self.draw(&mut Self::survey_rng(settings.seed, batch))?;
            let moments = columns.0.iter().map(|level| {
                let mean = |t: &Tensor| t.f_mean_dim(&[0i64, 2, 3][..], true, Kind::Float);
                Ok((mean(level)?, mean(&level.f_square()?)?))
            });
            let moments = moments.collect::<Result<Vec<_>, TchError>>()?;
            sums = if sums.is_empty() {
                moments
            } else {
                let added = sums.iter().zip(&moments).map(|(a, b)| Ok((a.0.f_add(&b.0)?, a.1.f_add(&b.1)?)));
                added.collect::<Result<_, TchError>>()?
            };
        }
        let scale = |(level, (mean, square)): (Level, &(Tensor, Tensor))| {
            let mean = mean.f_div_scalar(SURVEY_BATCHES as f64)?;
            let square = square.f_div_scalar(SURVEY_BATCHES as f64)?;
            // A channel that hardly changes says nothing; do not blow it up.
            let deviation = square.f_sub(&mean.f_square()?)?.f_clamp_min(1e-6)?.f_sqrt()?;
            let enters = settings.levels.contains(&level);
            Ok((mean, if enters { deviation } else { deviation.f_full_like(f64::INFINITY)? }))
        };
        Level::ALL.into_iter().zip(&sums).map(scale).collect()
    }

    /// Share of taught pixels on the teacher's side, classes weighted as in training.
    fn agreement(&self, head: &Parameters, scales: &Scales, seed: u64) -> Result<f64, TchError> {
        let tensors = Tensors::upload(head, Device::Cpu, Kind::Float).and_then(with_channels_last)?;
        let head = Head::new(&tensors)?;
        let mut sum = 0.0;
        for batch in 0..SURVEY_BATCHES {
            let (columns, classes) = self.draw(&mut Self::survey_rng(seed, 1000 + batch))?;
            let found = head.scores(&standardised(&columns, scales)?)?.f_gt(0.0)?;
            let right = found.f_eq_tensor(&classes.f_eq(i64::from(OBJECT))?)?.f_to_kind(Kind::Float)?;
            sum += class_mean(&right, &classes)?.double_value(&[]);
        }
        Ok(sum / SURVEY_BATCHES as f64)
    }
}

/// A tile's rim is taught as well: at a frame's edge its answer counts, and untaught it is full of false objects.
fn class(extent: f32, object: bool) -> u8 {
    match () {
        () if object => OBJECT,
        () if extent > SKY_EXTENT && extent < 1.0 => JUST_BELOW,
        () if extent.abs() < SKY_EXTENT => SKY,
        () => UNTAUGHT,
    }
}

/// Cross-entropy, every class with its weight however few its pixels.
fn loss(scores: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    let object = classes.f_eq(i64::from(OBJECT))?.f_to_kind(Kind::Float)?;
    let each = scores.f_binary_cross_entropy_with_logits(&object, None::<&Tensor>, None::<&Tensor>, Reduction::None)?;
    class_mean(&each, classes)
}

/// Weighted sum of the classes' means; a class without pixels in this batch counts nothing.
fn class_mean(each: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    let mut sum = Tensor::f_zeros([], (Kind::Float, Device::Cpu))?;
    for (class, weight) in CLASS_WEIGHTS.iter().enumerate() {
        let members = classes.f_eq(class as i64)?.f_to_kind(Kind::Float)?;
        let count = members.f_sum(Kind::Float)?.f_clamp_min(1.0)?;
        sum = sum.f_add(&each.f_mul(&members)?.f_sum(Kind::Float)?.f_div(&count)?.f_mul_scalar(*weight)?)?;
    }
    Ok(sum)
}

fn standardised(columns: &Hypercolumns, scales: &Scales) -> Result<Hypercolumns, TchError> {
    let level = |i: usize| columns.0[i].f_sub(&scales[i].0)?.f_div(&scales[i].1);
    Ok(Hypercolumns([level(0)?, level(1)?, level(2)?, level(3)?, level(4)?, level(5)?]))
}

/// The head for plain hypercolumns: the standardisation goes into weights and bias.
fn folded(head: Parameters, scales: &Scales) -> Result<Parameters, TchError> {
    let mut tensors = Tensors::upload(&head, Device::Cpu, Kind::Float)?;
    let mut bias = tensors.get(Head::BIAS)?;
    for (name, (mean, deviation)) in Head::level_names().zip(scales) {
        let weight = tensors.get(&name)?.f_div(deviation)?;
        bias = bias.f_sub(&weight.f_mul(mean)?.f_sum_dim_intlist(&[1i64, 2, 3][..], false, Kind::Float)?)?;
        tensors.0.insert(name, weight);
    }
    tensors.0.insert(Head::BIAS.to_owned(), bias);
    tensors.download()
}
