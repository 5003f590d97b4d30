//! A+Vr (section 4.1.3, figure 4 left) on any latents: batch norm, a VAE whose prior has two peaks, and a name for them.
//! What the shipped ensemble does six times over its own latents, the study does once over anyone's.

use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::LabError;
use crate::whole::Encoded;
use twinpeak_learn::classify::{VaeSettings, batch_norm, star_sign, vae, values};
use twinpeak_learn::loss::{DoublePeak, PriorLoss};
use twinpeak_learn::prior::bounded;
use twinpeak_learn::{Curve, LearnError, Run};
use twinpeak_nets::classifier::{VaeEncoder, VaeShape};
use twinpeak_nets::parameters::{Parameters, Tensors};

/// Width of the VAE's hidden layers.
const WIDTH: usize = 64;

/// What names the peaks, by training object.
#[derive(Clone, Copy, Debug)]
pub struct OrientationInputs<'a> {
    /// Magnitudes in the reference band.
    pub mag: &'a [f32],
    /// Concentrations relative to the PSF.
    pub concentration: &'a [f32],
    /// Magnitudes between which concentration names.
    pub naming_mag: [f64; 2],
}

/// Where the objects lie between the peaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Mean of the first hidden variable in units of m, stars positive, by training object.
    pub training: Vec<f32>,
    /// The same by test object.
    pub test: Vec<f32>,
    /// Rank correlation with concentration, which named the peaks.
    pub correlation: f64,
    /// Loss of the training by step.
    pub curve: Curve,
}

impl Verdict {
    /// Log-odds of the star peak at a mean of `mu` m.
    pub fn log_odds(mu: f32) -> f64 {
        2.0 * DoublePeak::LEAST_RATIO.powi(2) * f64::from(mu)
    }
}

/// Trains a VAE on `training` and asks it about `test`, of the same width.
///
/// # Errors
/// [`LabError`], for one where the peaks have no name.
pub fn part(
    name: &str,
    [training, test]: [&Encoded; 2],
    orientation: OrientationInputs,
    settings: &VaeSettings,
    seed: u64,
    run: &Run,
) -> Result<Verdict, LabError> {
    twinpeak_nets::device::start();
    let torch = |source| LearnError::Torch { net: name.to_owned(), source };
    let prior = DoublePeak::for_training(1.0, 1.0 / DoublePeak::LEAST_RATIO).map_err(LearnError::from)?;
    let (mut training, mut test) = (training.tensor().map_err(torch)?, test.tensor().map_err(torch)?);
    if settings.batch_norm {
        let [mean, deviation] = batch_norm(&training);
        (training, test) = ((training - &mean) / &deviation, (test - &mean) / &deviation);
    }
    let shape = VaeShape { inputs: training.size()[1] as usize, width: WIDTH, hidden: settings.hidden };
    let net = vae::Net { name: name.to_owned(), shape, seed };
    let (encoder, curve) = vae::train(&net, &training, prior, settings, run)?;
    let means = |latents: &Tensor| first_means(&encoder, latents, settings.pull, prior).map_err(torch);
    let (mut training, mut test) = (means(&training)?, means(&test)?);
    let (sign, correlation) = star_sign(&training, orientation.mag, orientation.concentration, orientation.naming_mag)?;
    training.iter_mut().chain(&mut test).for_each(|mu| *mu *= sign);
    Ok(Verdict { training, test, correlation, curve })
}

fn first_means(
    encoder: &Parameters,
    latents: &Tensor,
    pull: PriorLoss,
    peaks: DoublePeak,
) -> Result<Vec<f32>, TchError> {
    no_grad(|| {
        let encoder = VaeEncoder::new(&Tensors::upload(encoder, Device::Cpu, Kind::Float)?, "")?;
        values(&bounded(encoder.posterior(latents)?.0, pull, peaks)?.f_select(1, 0)?)
    })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Two clouds, 4 deviations apart along each of the first three of six latents, and who is in the first.
    fn clouds(n: usize, seed: u64) -> (Encoded, Vec<bool>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut values, mut first) = (Vec::new(), Vec::new());
        for i in 0..n {
            first.push(i % 2 == 0);
            for d in 0..6 {
                let centre = if d < 3 { if i % 2 == 0 { 2.0 } else { -2.0 } } else { 0.0 };
                values.push(centre + rng.sample::<f32, _>(StandardNormal));
            }
        }
        (Encoded { width: 6, values }, first)
    }

    fn parted(settings: &VaeSettings) -> Result<(Verdict, Vec<bool>), LabError> {
        let ((training, first), (test, truth)) = (clouds(1024, 1), clouds(512, 2));
        // The first cloud is the more concentrated one.
        let concentration: Vec<f32> = first.iter().map(|f| if *f { 1.0 } else { 0.6 }).collect();
        let orientation =
            OrientationInputs { mag: &vec![18.0; 1024], concentration: &concentration, naming_mag: [15.0, 20.5] };
        let run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };
        Ok((part("test", [&training, &test], orientation, settings, 3, &run)?, truth))
    }

    #[test]
    fn clouds_part_with_either_number_of_hidden_variables() {
        for hidden in [1, 2] {
            let settings = VaeSettings { hidden, epochs: 40, batch: 128, ..VaeSettings::default() };
            let (verdict, truth) = parted(&settings).unwrap();
            let right = verdict.test.iter().zip(&truth).filter(|(mu, first)| (**mu > 0.0) == **first).count();
            assert!(right > 480, "{hidden} hidden: {right} of 512");
            assert!(verdict.correlation.abs() > 0.5);
        }
    }

    #[test]
    fn the_plain_prior_and_the_same_seed() {
        let settings = VaeSettings {
            pull: PriorLoss::VaeKl,
            epochs: 3,
            batch: 128,
            balance_weight: 0.0,
            ..VaeSettings::default()
        };
        let once = parted(&settings).map(|v| v.0.test).map_err(|e| e.to_string());
        assert_eq!(once, parted(&settings).map(|v| v.0.test).map_err(|e| e.to_string()));
    }
}
