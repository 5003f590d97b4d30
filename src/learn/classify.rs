//! Training the classification ensemble without labels: auto-encoders of PSF residuals, double-peak VAEs of their
//! latents, the star peak's name, and the calibration against simulated point sources.

pub mod autoencoder;
mod calibration;
mod orientation;
pub mod vae;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::loss::DoublePeak;
use super::{Curve, LearnError, Run};
pub use autoencoder::ShuffledBatches;
pub use calibration::control_calibration;
pub use orientation::{AmbiguousOrientation, spearman, star_sign};
use twinpeak_core::model::STAMP_LEN;
use twinpeak_core::posterior::{Calibration, seed_score};
use twinpeak_core::survey::Magnitudes;
use twinpeak_nets::classifier::{Shape, VaeEncoder};
use twinpeak_nets::parameters::{Array, Parameters, Tensors};
pub use vae::VaeSettings;

/// How the ensemble is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Sizes, number of seeds, and the prior.
    pub shape: Shape,
    /// Passes of an auto-encoder over the stamps.
    pub autoencoder_epochs: usize,
    /// Stamps in a step's batch of an auto-encoder.
    pub autoencoder_batch: usize,
    /// How each VAE is trained.
    pub vae: VaeSettings,
    /// Seed of the first net; the others follow from it.
    pub seed: u64,
    /// The survey's ranges of magnitudes, for naming and calibration.
    pub magnitudes: Magnitudes,
}

impl Settings {
    /// The usual ones, for a survey of these ranges of magnitudes.
    pub fn of(magnitudes: Magnitudes) -> Self {
        Self {
            shape: Shape::default(),
            autoencoder_epochs: 20,
            autoencoder_batch: 128,
            vae: VaeSettings::default(),
            seed: 20,
            magnitudes,
        }
    }
}

/// What is learned from: for each object its stamp, what a point source in its place would look like, and two numbers
/// that name and calibrate. All of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingSet {
    /// PSF residuals in units of noise (see `cutout`).
    pub stamps: Vec<[f32; STAMP_LEN]>,
    /// The simulated point-source control: a point source of the same flux, PSF and neighbours.
    pub control_stamps: Vec<[f32; STAMP_LEN]>,
    /// PSF magnitude in the reference band.
    pub mag: Vec<f32>,
    /// Concentration relative to the PSF, larger for a star.
    pub concentration: Vec<f32>,
}

/// A trained ensemble with its calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedClassifier {
    /// Weights of all its nets, named as in [`Shape::parameters`].
    pub parameters: Parameters,
    /// From its log-odds to a probability.
    pub calibration: Calibration,
    /// Mean score over the seeds of each object that was learned from (see [`seed_score`]).
    pub scores: Vec<f32>,
    /// Loss of each net by step.
    pub curves: Vec<Curve>,
    /// Rank correlation with concentration that named each seed's star peak.
    pub orientation: Vec<f64>,
}

/// Fewest objects from which an ensemble is trained.
const OBJECTS_MIN: usize = 300;

/// Whether so many objects are enough to train an auto-encoder on.
///
/// # Errors
/// [`LearnError::TooFew`]
pub fn enough(objects: usize) -> Result<(), LearnError> {
    LearnError::unless_enough("classifier", "objects", objects, OBJECTS_MIN)
}

/// Trains the ensemble, auto-encoders in parallel.
///
/// # Errors
/// [`LearnError`]
pub fn train(objects: &TrainingSet, settings: &Settings, run: &Run) -> Result<TrainedClassifier, LearnError> {
    let shape = &settings.shape;
    let prior = DoublePeak::for_training(shape.peak, shape.width)?;
    let n = objects.stamps.len();
    let others = [objects.control_stamps.len(), objects.mag.len(), objects.concentration.len()];
    let complete = others.into_iter().min().unwrap_or(0).min(n);
    if n < OBJECTS_MIN || complete < n {
        return Err(LearnError::TooFew { net: "classifier", what: "objects", found: complete, needed: OBJECTS_MIN });
    }
    let members: Vec<Member> = (0..shape.autoencoders)
        .into_par_iter()
        .map(|a| Member::train(a, objects, prior, settings, run))
        .collect::<Result<_, _>>()?;

    let seeds = || members.iter().flat_map(|m| &m.seeds);
    let mean = |scores: fn(&Seed) -> &Vec<f32>| -> Vec<f32> {
        let count = shape.seeds() as f32;
        (0..n).map(|i| seeds().map(|seed| scores(seed)[i]).sum::<f32>() / count).collect()
    };
    let (scores, control_scores) = (mean(|s| &s.scores), mean(|s| &s.control_scores));
    let calibration = control_calibration(&scores, &control_scores, &objects.mag, &settings.magnitudes);
    let orientation = seeds().map(|s| s.correlation).collect();
    let (mut parameters, mut curves) = (Parameters::default(), Vec::new());
    for (a, member) in members.into_iter().enumerate() {
        parameters.insert_under(&format!("ae{a}"), member.parameters);
        curves.extend(member.curves);
    }
    Ok(TrainedClassifier { parameters, calibration, scores, curves, orientation })
}

/// One auto-encoder with its VAEs.
struct Member {
    parameters: Parameters,
    curves: Vec<Curve>,
    seeds: Vec<Seed>,
}

/// One VAE's opinion, star positive, on the ensemble's scale.
struct Seed {
    scores: Vec<f32>,
    control_scores: Vec<f32>,
    correlation: f64,
}

impl Member {
    fn train(
        a: usize,
        objects: &TrainingSet,
        prior: DoublePeak,
        settings: &Settings,
        run: &Run,
    ) -> Result<Self, LearnError> {
        let torch = |source| LearnError::Torch { net: format!("classifier-ae{a}"), source };
        twinpeak_nets::device::start();
        let shape = &settings.shape;
        let [stamps, controls] = [
            autoencoder::stamps(&objects.stamps).map_err(torch)?,
            autoencoder::stamps(&objects.control_stamps).map_err(torch)?,
        ];
        let (mut parameters, curve) = autoencoder::train(a, &stamps, settings, run)?;
        let mut curves = vec![curve];
        let latents = autoencoder::latents(&parameters, &stamps).map_err(torch)?;
        let control_latents = autoencoder::latents(&parameters, &controls).map_err(torch)?;

        let [mean, deviation] = batch_norm(&latents);
        let (latents, control_latents) = ((latents - &mean) / &deviation, (control_latents - &mean) / &deviation);
        for (name, tensor) in [("norm.mean", &mean), ("norm.deviation", &deviation)] {
            let values = values(tensor).map_err(torch)?;
            parameters.0.insert(name.to_owned(), Array { shape: vec![values.len()], values });
        }
        let mut seeds = Vec::new();
        for v in 0..shape.vaes {
            let net = vae::Net {
                name: format!("classifier-ae{a}-vae{v}"),
                shape: shape.vae(),
                // Far from the auto-encoders' seeds.
                seed: settings.seed + 1000 * (1 + a as u64) + v as u64,
            };
            let (mut vae, curve) = vae::train(&net, &latents, prior, &settings.vae, run)?;
            curves.push(curve);
            let log_odds = |latents| log_odds(&vae, latents, shape).map_err(torch);
            let (found, control) = (log_odds(&latents)?, log_odds(&control_latents)?);
            let oriented =
                orientation::star_sign(&found, &objects.mag, &objects.concentration, settings.magnitudes.naming);
            let (sign, correlation) = oriented.map_err(|ambiguous| ambiguous.of(a, v))?;
            let score = |log_odds: &[f32]| log_odds.iter().map(|&o| seed_score(o * sign)).collect();
            seeds.push(Seed { scores: score(&found), control_scores: score(&control), correlation });
            vae.0.insert("star_sign".to_owned(), Array { shape: vec![1], values: vec![sign] });
            parameters.insert_under(&format!("vae{v}"), vae);
        }
        Ok(Self { parameters, curves, seeds })
    }
}

/// Mean and deviation of each latent of (n, width), (width) each: a batch norm without weights, its statistics frozen.
pub fn batch_norm(latents: &Tensor) -> [Tensor; 2] {
    let mean = latents.mean_dim(&[0i64][..], false, Kind::Float);
    [mean, latents.std_dim(&[0i64][..], false, false) + 1e-6]
}

fn log_odds(vae: &Parameters, latents: &Tensor, shape: &Shape) -> Result<Vec<f32>, TchError> {
    no_grad(|| {
        let encoder = VaeEncoder::new(&Tensors::upload(vae, Device::Cpu, Kind::Float)?, "")?;
        values(&encoder.log_odds(latents, shape)?)
    })
}

/// All numbers of a tensor of f32, the last dimension fastest.
///
/// # Errors
/// libtorch's.
pub fn values(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let mut values = vec![0.0; tensor.numel()];
    tensor.f_contiguous()?.f_copy_data(&mut values, tensor.numel())?;
    Ok(values)
}

#[cfg(test)]
mod tests;
