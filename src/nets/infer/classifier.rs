//! The ensemble of classification nets behind its port.

use tch::{Kind, TchError, Tensor};

use crate::bundle::{Bundle, COLOUR, ClassifierPart};
use crate::classifier::{Encoder, Shape, VaeEncoder};
use crate::colour::Colour;
use crate::device::{Chosen, model_error, start};
use crate::infer::{judge, pattern};
use crate::parameters::{Parameters, Tensors};
use twinpeak_core::model::{COLOUR_LEN, Classifier, ModelError, OBJECT_LEN, STAMP, STAMP_LEN};

/// One auto-encoder with its VAEs.
#[derive(Debug)]
struct Member {
    encoder: Encoder,
    mean: Tensor,
    deviation: Tensor,
    vaes: Vec<(VaeEncoder, Tensor)>,
}

/// The ensemble and the nets of colour on a device; always in f32, being small.
#[derive(Debug)]
pub struct TorchClassifier {
    members: Vec<Member>,
    colour: Colour,
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

    /// The same for nets that are in no bundle yet. `parameters` are those of `part`.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails or answers nonsense.
    pub fn of(parameters: &Parameters, part: &ClassifierPart, chosen: &Chosen) -> Result<Self, ModelError> {
        let nets = nets(parameters, &part.shape, chosen);
        let (members, colour) = nets.map_err(|e| model_error(&chosen.name, &e))?;
        let (shape, expected) = (part.shape.clone(), part.probe.clone());
        let mut classifier = Self { members, colour, shape, chosen: chosen.clone(), batch: part.batch, expected };
        classifier.probe()?;
        Ok(classifier)
    }

    /// What the bundle's `probe` holds once this has been run on a CPU in f32.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails.
    pub fn probe_answers(&mut self) -> Result<Vec<f32>, ModelError> {
        let mut answers = vec![f32::NAN; self.batch * self.answer_len()];
        self.classify(&pattern(self.batch * OBJECT_LEN), &mut answers)?;
        answers.truncate(self.answer_len());
        Ok(answers)
    }

    fn run(&self, objects: &[f32], answers: &mut [f32]) -> Result<(), TchError> {
        start();
        let _no_grad = tch::no_grad_guard();
        let (side, stamp_len) = (STAMP as i64, STAMP_LEN as i64);
        let objects = Tensor::f_from_slice(objects)?.f_view([self.batch as i64, OBJECT_LEN as i64])?;
        let objects = objects.f_to_device(self.chosen.device)?;
        let stamps = objects.f_narrow(1, 0, stamp_len)?.f_reshape([-1, side, side])?;
        let mut columns = Vec::with_capacity(self.answer_len());
        for member in &self.members {
            let latents = member.encoder.symmetric_latents(&stamps)?;
            let latents = latents.f_sub(&member.mean)?.f_div(&member.deviation)?;
            for (vae, star_sign) in &member.vaes {
                columns.push(vae.log_odds(&latents, &self.shape)?.f_mul(star_sign)?);
            }
        }
        columns.push(self.colour.log_ratio(&objects.f_narrow(1, stamp_len, COLOUR_LEN as i64)?)?);
        let rows = Tensor::f_stack(&columns, 1)?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        rows.f_copy_data(answers, answers.len())
    }
}

fn nets(parameters: &Parameters, shape: &Shape, chosen: &Chosen) -> Result<(Vec<Member>, Colour), TchError> {
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
    let members = (0..shape.autoencoders).map(member).collect::<Result<_, TchError>>()?;
    Ok((members, Colour::new(&tensors, &format!("{COLOUR}."))?))
}

impl Classifier for TorchClassifier {
    fn batch(&self) -> usize {
        self.batch
    }

    fn seeds(&self) -> usize {
        self.shape.seeds()
    }

    fn classify(&mut self, objects: &[f32], answers: &mut [f32]) -> Result<(), ModelError> {
        self.run(objects, answers).map_err(|e| model_error(&self.chosen.name, &e))
    }

    /// The answer must be what the trainer got on a processor, within the tolerance.
    fn probe(&mut self) -> Result<(), ModelError> {
        let answers = self.probe_answers()?;
        judge(&self.chosen, &answers, &self.expected)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::bundle::testing;
    use crate::device::{Wanted, choose};

    fn noise(n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (0..n).map(|_| rng.sample(StandardNormal)).collect()
    }

    #[test]
    fn an_object_gets_the_same_bits_in_every_slot_beside_any_neighbours() {
        let mut classifier = TorchClassifier::new(&testing::bundle(), &choose(Wanted::Cpu).unwrap()).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (object, width) = (noise(OBJECT_LEN, &mut rng), classifier.answer_len());
        let mut first: Option<Vec<u32>> = None;
        for slot in 0..classifier.batch() {
            let mut objects = noise(classifier.batch() * OBJECT_LEN, &mut rng);
            objects[slot * OBJECT_LEN..][..OBJECT_LEN].copy_from_slice(&object);
            let mut answers = vec![0.0; classifier.batch() * width];
            classifier.classify(&objects, &mut answers).unwrap();
            let bits: Vec<u32> = answers[slot * width..][..width].iter().map(|s| s.to_bits()).collect();
            assert_eq!(first.get_or_insert_with(|| bits.clone()), &bits, "slot {slot}");
        }
    }

    #[test]
    fn turning_a_stamp_changes_nothing_but_rounding_and_a_colour_only_the_last_value() {
        let mut classifier = TorchClassifier::new(&testing::bundle(), &choose(Wanted::Cpu).unwrap()).unwrap();
        let object = noise(OBJECT_LEN, &mut ChaCha8Rng::seed_from_u64(3));
        let turn =
            |i: usize| if i < STAMP_LEN { object[(i % STAMP) * STAMP + STAMP - 1 - i / STAMP] } else { object[i] };
        let turned: Vec<f32> = (0..OBJECT_LEN).map(turn).collect();
        let mut coloured = object.clone();
        coloured[STAMP_LEN] += 1.0;
        let mut objects = [object, turned, coloured].concat();
        objects.resize(classifier.batch() * OBJECT_LEN, 0.0);
        let (width, seeds) = (classifier.answer_len(), classifier.seeds());
        let mut answers = vec![0.0; classifier.batch() * width];
        classifier.classify(&objects, &mut answers).unwrap();
        let [a, b, c] = [0, 1, 2].map(|i| &answers[i * width..][..width]);
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3 && *a != 0.0), "{a:?} {b:?}");
        assert!(a[..seeds] == c[..seeds] && a[seeds] != c[seeds], "{a:?} {c:?}");
    }
}
