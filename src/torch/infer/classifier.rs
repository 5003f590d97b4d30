//! The ensemble of classification nets behind its port.

use tch::{Kind, TchError, Tensor};

use crate::model::{Classifier, ModelError, STAMP, STAMP_LEN};
use crate::torch::bundle::{Bundle, ClassifierPart};
use crate::torch::device::{Chosen, model_error, start};
use crate::torch::infer::{judge, pattern};
use crate::torch::nets::classifier::{Encoder, Shape, VaeEncoder};
use crate::torch::parameters::{Parameters, Tensors};

/// One auto-encoder with its VAEs.
#[derive(Debug)]
struct Member {
    encoder: Encoder,
    mean: Tensor,
    deviation: Tensor,
    vaes: Vec<(VaeEncoder, Tensor)>,
}

/// The ensemble on a device; always in f32, being small.
#[derive(Debug)]
pub struct TorchClassifier {
    members: Vec<Member>,
    shape: Shape,
    chosen: Chosen,
    batch: usize,
    expected: Vec<f32>,
}

impl TorchClassifier {
    /// Copies the bundle's nets to the device and runs one batch, so that a device that cannot serve is found now.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails or answers nonsense.
    pub fn new(bundle: &Bundle, chosen: &Chosen) -> Result<Self, ModelError> {
        Self::of(bundle.classifier(), &bundle.manifest().classifier, chosen)
    }

    /// The same for an ensemble that is in no bundle yet. `parameters` are those of `part.shape`.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails or answers nonsense.
    pub fn of(parameters: &Parameters, part: &ClassifierPart, chosen: &Chosen) -> Result<Self, ModelError> {
        let members = members(parameters, &part.shape, chosen).map_err(|e| model_error(&chosen.name, &e))?;
        let (shape, expected) = (part.shape.clone(), part.probe.clone());
        let mut classifier = Self { members, shape, chosen: chosen.clone(), batch: part.batch, expected };
        classifier.probe()?;
        Ok(classifier)
    }

    /// What the bundle's `probe` holds once this has been run on a CPU in f32.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails.
    pub fn probe_answers(&mut self) -> Result<Vec<f32>, ModelError> {
        let mut log_odds = vec![f32::NAN; self.batch * self.seeds()];
        self.classify(&pattern(self.batch * STAMP_LEN), &mut log_odds)?;
        log_odds.truncate(self.seeds());
        Ok(log_odds)
    }

    fn run(&self, stamps: &[f32], log_odds: &mut [f32]) -> Result<(), TchError> {
        start();
        let _no_grad = tch::no_grad_guard();
        let side = STAMP as i64;
        let stamps = Tensor::f_from_slice(stamps)?.f_view([self.batch as i64, side, side])?;
        let stamps = stamps.f_to_device(self.chosen.device)?;
        let mut columns = Vec::with_capacity(self.shape.seeds());
        for member in &self.members {
            let latents = member.encoder.symmetric_latents(&stamps)?;
            let latents = latents.f_sub(&member.mean)?.f_div(&member.deviation)?;
            for (vae, star_sign) in &member.vaes {
                columns.push(vae.log_odds(&latents, &self.shape)?.f_mul(star_sign)?);
            }
        }
        let rows = Tensor::f_stack(&columns, 1)?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        rows.f_copy_data(log_odds, log_odds.len())
    }
}

fn members(parameters: &Parameters, shape: &Shape, chosen: &Chosen) -> Result<Vec<Member>, TchError> {
    let _no_grad = tch::no_grad_guard();
    let tensors = Tensors::upload(parameters, chosen.device, Kind::Float)?;
    let vae = |a: usize, v: usize| {
        let prefix = format!("ae{a}.vae{v}.");
        Ok((VaeEncoder::new(&tensors, &prefix)?, tensors.get(&format!("{prefix}star_sign"))?))
    };
    let member = |a: usize| {
        Ok(Member {
            encoder: Encoder::new(&tensors, &format!("ae{a}."))?,
            mean: tensors.get(&format!("ae{a}.norm.mean"))?,
            deviation: tensors.get(&format!("ae{a}.norm.deviation"))?,
            vaes: (0..shape.vaes).map(|v| vae(a, v)).collect::<Result<_, TchError>>()?,
        })
    };
    (0..shape.autoencoders).map(member).collect()
}

impl Classifier for TorchClassifier {
    fn batch(&self) -> usize {
        self.batch
    }

    fn seeds(&self) -> usize {
        self.shape.seeds()
    }

    fn classify(&mut self, stamps: &[f32], log_odds: &mut [f32]) -> Result<(), ModelError> {
        self.run(stamps, log_odds).map_err(|e| model_error(&self.chosen.name, &e))
    }

    /// The answer must be what the trainer got on a processor, within the tolerance.
    fn probe(&mut self) -> Result<(), ModelError> {
        let answers = self.probe_answers()?;
        judge(&self.chosen, &answers, &self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torch::bundle::testing;
    use crate::torch::device::{Wanted, choose};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    fn noise(n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (0..n).map(|_| rng.sample(StandardNormal)).collect()
    }

    #[test]
    fn a_stamp_gets_the_same_bits_in_every_slot_beside_any_neighbours() {
        let mut classifier = TorchClassifier::new(&testing::bundle(), &choose(Wanted::Cpu).unwrap()).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (stamp, seeds) = (noise(STAMP_LEN, &mut rng), classifier.seeds());
        let mut first: Option<Vec<u32>> = None;
        for slot in 0..classifier.batch() {
            let mut stamps = noise(classifier.batch() * STAMP_LEN, &mut rng);
            stamps[slot * STAMP_LEN..][..STAMP_LEN].copy_from_slice(&stamp);
            let mut log_odds = vec![0.0; classifier.batch() * seeds];
            classifier.classify(&stamps, &mut log_odds).unwrap();
            let bits: Vec<u32> = log_odds[slot * seeds..][..seeds].iter().map(|s| s.to_bits()).collect();
            assert_eq!(first.get_or_insert_with(|| bits.clone()), &bits, "slot {slot}");
        }
    }

    #[test]
    fn turning_a_stamp_changes_nothing_but_rounding() {
        let mut classifier = TorchClassifier::new(&testing::bundle(), &choose(Wanted::Cpu).unwrap()).unwrap();
        let stamp = noise(STAMP_LEN, &mut ChaCha8Rng::seed_from_u64(3));
        let turned: Vec<f32> = (0..STAMP_LEN).map(|i| stamp[(i % STAMP) * STAMP + STAMP - 1 - i / STAMP]).collect();
        let mut stamps = [stamp, turned].concat();
        stamps.resize(classifier.batch() * STAMP_LEN, 0.0);
        let mut log_odds = vec![0.0; classifier.batch() * classifier.seeds()];
        classifier.classify(&stamps, &mut log_odds).unwrap();
        let (a, b) = (&log_odds[..classifier.seeds()], &log_odds[classifier.seeds()..2 * classifier.seeds()]);
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3 && *a != 0.0), "{a:?} {b:?}");
    }
}
