//! A supervised net: a small convolutional one trained on labels end to end, on the same PSF residuals that the
//! label-free methods see. What it scores is what labels are worth.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, TchError, Tensor, no_grad};

use super::{SupervisedError, probabilities};
use twinpeak_core::model::{STAMP, STAMP_LEN};
use twinpeak_learn::classify::{ShuffledBatches, values};
use twinpeak_learn::trainer::{Schedule, Step, Trainer, inputs};
use twinpeak_learn::{Curve, LearnError, Run};
use twinpeak_nets::classifier::symmetry;
use twinpeak_nets::parameters::{Parameters, Start, Tensors};
use twinpeak_nets::stamps::{StampNet, shapes};

const NET: &str = "supervised-net";
/// Magnitudes are seen from here, in units of two.
const MAG_ZERO: f32 = 20.0;
const MAG_UNIT: f32 = 2.0;

/// How the supervised net is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupervisedNetSettings {
    /// Passes over the training stamps.
    pub epochs: usize,
    /// Stamps in a step's batch.
    pub batch: usize,
    /// Seed of the weights and of the order of stamps.
    pub seed: u64,
}

impl SupervisedNetSettings {
    /// The usual, of this seed.
    pub fn of(seed: u64) -> Self {
        Self { epochs: 20, batch: 128, seed }
    }
}

/// A net of PSF residuals that was trained on labels.
#[derive(Clone, Debug, PartialEq)]
pub struct SupervisedNet(Parameters);

impl SupervisedNet {
    /// Learns which `stamps`, of objects with these reference-band magnitudes, are stars'.
    ///
    /// # Errors
    /// Without labels, with fewer than 20 objects of a class, and for a training that fails.
    pub fn train(
        stamps: &[[f32; STAMP_LEN]],
        mag: &[f32],
        is_star: &[bool],
        settings: &SupervisedNetSettings,
        run: &Run,
    ) -> Result<(Self, Curve), SupervisedError> {
        let labels = probabilities(NET, is_star)?;
        let start = Parameters::random(&shapes(), Start::He, &mut ChaCha8Rng::seed_from_u64(settings.seed));
        let mut batches = ShuffledBatches::new(stamps.len(), settings.batch, settings.seed);
        let trainer = Trainer {
            net: format!("{NET}-{}", settings.seed),
            steps: batches.steps(settings.epochs),
            rate: 2e-3,
            schedule: Schedule::OneCycle { rise: 0.2 },
            weight_decay: 1e-2,
            gradient_max: 5.0,
            seed: settings.seed,
            inputs: inputs(&format!("{settings:?}"), [stamps.as_flattened(), mag, labels.as_slice()]),
        };
        let torch = |source| LearnError::Torch { net: trainer.net.clone(), source };
        let (stamps, mag) = seen(stamps, mag).map_err(torch)?;
        let labels = Tensor::f_from_slice(&labels).map_err(torch)?;
        let (parameters, curve) = run.descend(&trainer, &start, StampNet::new, |net, step, rng| -> Step {
            let batch = batches.at(step)?;
            let turned = symmetry(&stamps.f_index_select(0, &batch)?, rng.random_range(0..8))?;
            let log_odds = net.log_odds(&turned, &mag.f_index_select(0, &batch)?)?;
            let labels = labels.f_index_select(0, &batch)?;
            Ok(log_odds.f_binary_cross_entropy_with_logits::<Tensor>(&labels, None, None, Reduction::Mean)?)
        })?;
        Ok((Self(parameters), curve))
    }

    /// Log-odds of star, the mean over the eight views.
    ///
    /// # Errors
    /// libtorch's.
    pub fn log_odds(&self, stamps: &[[f32; STAMP_LEN]], mag: &[f32]) -> Result<Vec<f32>, LearnError> {
        const PIECE: usize = 512;
        twinpeak_nets::device::start();
        let all = || -> Result<Vec<f32>, TchError> {
            let net = StampNet::new(&Tensors::upload(&self.0, Device::Cpu, Kind::Float)?)?;
            let mut all = Vec::with_capacity(stamps.len());
            for (stamps, mag) in stamps.chunks(PIECE).zip(mag.chunks(PIECE)) {
                let (stamps, mag) = seen(stamps, mag)?;
                all.extend(values(&net.symmetric_log_odds(&stamps, &mag)?)?);
            }
            Ok(all)
        };
        no_grad(all).map_err(|source| LearnError::Torch { net: NET.to_owned(), source })
    }
}

/// (n, 21, 21) and (n, 1), as the net takes them.
fn seen(stamps: &[[f32; STAMP_LEN]], mag: &[f32]) -> Result<(Tensor, Tensor), TchError> {
    let side = STAMP as i64;
    let mag: Vec<f32> = mag.iter().map(|m| (m - MAG_ZERO) / MAG_UNIT).collect();
    Ok((
        Tensor::f_from_slice(stamps.as_flattened())?.f_view([-1, side, side])?,
        Tensor::f_from_slice(&mag)?.f_view([-1, 1])?,
    ))
}

#[cfg(test)]
mod tests {
    use rand_distr::StandardNormal;

    use super::*;

    const RUN: Run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| {} };

    /// Noise; a galaxy has a ring in it.
    fn objects(n: usize, seed: u64) -> (Vec<[f32; STAMP_LEN]>, Vec<f32>, Vec<bool>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let ring = |i: usize| {
            let (x, y) = ((i % STAMP) as f32 - 10.0, (i / STAMP) as f32 - 10.0);
            if (3.0..5.0).contains(&x.hypot(y)) { 1.5 } else { 0.0 }
        };
        let is_star: Vec<bool> = (0..n).map(|i| i % 2 == 0).collect();
        let stamps = is_star.iter().map(|star| {
            let noise = |i| rng.sample::<f32, _>(StandardNormal) + if *star { 0.0 } else { ring(i) };
            (0..STAMP_LEN).map(noise).collect::<Vec<f32>>().try_into().unwrap()
        });
        (stamps.collect(), vec![20.0; n], is_star)
    }

    #[test]
    fn it_learns_what_labels_say_and_the_same_seed_learns_the_same() {
        let (stamps, mag, is_star) = objects(400, 1);
        let settings = SupervisedNetSettings { epochs: 6, batch: 32, seed: 3 };
        let train = || SupervisedNet::train(&stamps, &mag, &is_star, &settings, &RUN).unwrap().0;
        let net = train();
        let (unseen, mag, truly) = objects(200, 2);
        let odds = net.log_odds(&unseen, &mag).unwrap();
        let right = odds.iter().zip(&truly).filter(|(o, star)| (**o > 0.0) == **star).count();
        assert!(right > 180, "{right} of 200");
        assert_eq!(train(), net);
    }

    #[test]
    fn without_labels_there_is_no_supervised_net() {
        let told = SupervisedNet::train(&[], &[], &[], &SupervisedNetSettings::of(1), &RUN).unwrap_err();
        assert!(matches!(told, SupervisedError::NoLabels));
    }
}
