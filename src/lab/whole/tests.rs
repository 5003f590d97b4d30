use super::*;
use twinpeak_core::frame::BANDS;
use twinpeak_core::model::TILE;

/// Round blobs of two sizes in noise, made anew from the step.
struct Blobs {
    batch: usize,
}

impl Blobs {
    fn cutouts(&self, first: usize) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(first as u64);
        let side = TILE as i64;
        let mut values = Vec::with_capacity(self.batch * BANDS * TILE * TILE);
        for i in 0..self.batch {
            let width = if (first + i).is_multiple_of(2) { 2.0f32 } else { 6.0 };
            for _ in 0..BANDS {
                for p in 0..TILE * TILE {
                    let (x, y) = ((p % TILE) as f32 - 32.0, (p / TILE) as f32 - 32.0);
                    let noise: f32 = rand::Rng::sample(&mut rng, rand_distr::StandardNormal);
                    values.push(3.0 * (-(x * x + y * y) / (2.0 * width * width)).exp() + 0.1 * noise);
                }
            }
        }
        Tensor::from_slice(&values).view([self.batch as i64, BANDS as i64, side, side])
    }
}

impl CutoutBatches for Blobs {
    fn steps_an_epoch(&self) -> usize {
        8
    }

    fn at(&mut self, step: usize) -> Result<Tensor, LabError> {
        Ok(self.cutouts(step * self.batch))
    }

    fn fingerprint(&self) -> String {
        "blobs".to_owned()
    }
}

fn settings(pull: Option<PriorLoss>) -> Settings {
    let (prior_weight, rate, start) = (1.0, 3e-3, Start::He);
    Settings { latents: 2, pull, prior_weight, epochs: 3, warm_up_epochs: 1, batch: 8, rate, start }
}

const QUIET: Run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };

fn trained(pull: Option<PriorLoss>, distance: Distance) -> (Parameters, Curve) {
    train("test", &mut Blobs { batch: 8 }, &settings(pull), distance, 1, &QUIET).unwrap()
}

fn falls(curve: &Curve) {
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let n = curve.loss.len();
    assert!(mean(&curve.loss[n - 6..]) < 0.7 * mean(&curve.loss[..6]), "{:?}", curve.loss);
}

#[test]
fn nets_learn_to_make_what_they_see_and_the_same_seed_learns_the_same() {
    let (encoder, curve) = trained(None, Distance::Pixels);
    falls(&curve);
    assert_eq!(encoder.check(&settings(None).shape().encoder()), Ok(()));
    assert_eq!(trained(None, Distance::Pixels).0, encoder);
    falls(&trained(Some(PriorLoss::VaeKl), Distance::Pixels).1);
}

/// Figure 4, right: with the frozen encoder's latents as the measure, pixels that it does not look at cost nothing.
#[test]
fn a_frozen_encoder_may_define_the_loss() {
    let (frozen, _) = trained(None, Distance::Pixels);
    let through = Distance::Features(&frozen, settings(None).shape());
    let (_, curve) = trained(Some(PriorLoss::Dkl), through);
    assert!(curve.loss.iter().all(|l| l.is_finite()));
    let pixels = trained(Some(PriorLoss::Dkl), Distance::Pixels).1;
    assert!(curve.loss[0] < 0.1 * pixels.loss[0], "{} {}", curve.loss[0], pixels.loss[0]);
}

#[test]
fn latents_come_in_the_order_of_the_objects() {
    let (encoder, _) = trained(None, Distance::Pixels);
    let shape = settings(None).shape();
    let blobs = Blobs { batch: 6 };
    let batches = [0, 6].map(|first| Ok(blobs.cutouts(first)));
    let encoded = encode(&encoder, shape, batches.into_iter()).unwrap();
    assert_eq!((encoded.objects(), encoded.width), (12, 2));
    let second = encode(&encoder, shape, [Ok(blobs.cutouts(6))].into_iter()).unwrap();
    assert_eq!(encoded.values[12..], second.values[..]);
}
