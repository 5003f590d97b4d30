use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;
use twinpeak_core::frame::BANDS;
use twinpeak_nets::bundle::SegmenterPart;
use twinpeak_nets::device::{Wanted, choose};
use twinpeak_nets::infer::TorchSegmenter;

/// Gaussian blobs of S/N 3 to 30 a pixel at their peaks on white noise, five bands alike.
fn field(seed: u64) -> TrainingFrame {
    const SIDE: usize = 192;
    const BLOB_PX: f64 = 1.6;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut flux = Plane::filled(SIDE, SIDE, 0.0f32);
    for _ in 0..60 {
        let (x, y) = (rng.random_range(8.0..184.0), rng.random_range(8.0..184.0));
        let peak = 3.0 * 10f64.powf(rng.random_range(0.0..1.0));
        for row in 0..SIDE {
            for column in 0..SIDE {
                let r2 = (column as f64 - x).powi(2) + (row as f64 - y).powi(2);
                let value = flux.at(column, row) + (peak * (-0.5 * r2 / BLOB_PX.powi(2)).exp()) as f32;
                flux.set(column, row, value);
            }
        }
    }
    let planes: PerBand<_> = std::array::from_fn(|_| flux.map(|f| f + rng.sample::<f32, _>(StandardNormal)));
    let noise_only: PerBand<_> = std::array::from_fn(|_| flux.map(|_| rng.sample::<f32, _>(StandardNormal)));
    let weights = teacher::Weights::new(&[1.0; BANDS], &[1.0; BANDS], [1, 2, 3]);
    let pseudo_labels = teacher::teach(&planes, &weights, 2.355 * BLOB_PX);
    TrainingFrame { planes, noise_only, sky_share: 1.0, pseudo_labels }
}

#[test]
fn the_net_finds_what_its_teacher_finds_on_a_field_it_never_saw() {
    let frames = [field(1), field(2)];
    let settings = Settings { steps: 150, head_steps: 120, batch: 16, ..Settings::default() };
    let run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };
    let trained = train(&frames, [1, 2, 3], &settings, &run).unwrap();
    assert!(trained.agreement > 0.93, "{}", trained.agreement);
    assert_eq!(trained.parameters.check(&settings.shape.parameters()), Ok(()));

    let part = SegmenterPart { batch: 8, probe: vec![], shape: settings.shape.clone() };
    let mut segmenter = TorchSegmenter::of(&trained.parameters, &part, &choose(Wanted::Cpu).unwrap()).unwrap();
    let thresholds = thresholds(&mut segmenter, &frames, 16, 2.0, 5).unwrap();
    assert!(thresholds.extent >= thresholds.detect && thresholds.by_frame.len() == 2);

    let unseen = field(3);
    let noise = score_plane(&mut segmenter, &unseen.noise_only, 16).unwrap();
    let rim = noise.row(0).iter().chain(noise.row(191)).filter(|&&s| s > thresholds.detect).count();
    assert!(rim <= 4, "{rim} of 384 edge pixels of a frame without objects are objects");
    let found = score_plane(&mut segmenter, &unseen.planes, 16).unwrap();
    let overlap = overlap(&found, thresholds.extent, &unseen.pseudo_labels.object);
    println!("IoU with the teacher {overlap:.3}, agreement {:.3}, {thresholds:?}", trained.agreement);
    assert!(overlap > 0.6, "{overlap}");
}

/// Intersection over union of the pixels above a threshold with the teacher's.
fn overlap(scores: &Plane<f32>, threshold: f32, taught: &Plane<bool>) -> f64 {
    let (mut both, mut either) = (0.0, 0.0);
    for (&score, &object) in scores.pixels().iter().zip(taught.pixels()) {
        both += f64::from(u8::from(score > threshold && object));
        either += f64::from(u8::from(score > threshold || object));
    }
    both / either
}

#[test]
fn a_level_that_is_left_out_has_no_weight() {
    let frames = [field(6)];
    let sampler = TileSampler::new(&frames, [1, 2, 3]).unwrap();
    let run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };
    let levels = vec![Level::E1, Level::D1];
    let settings = Settings { levels, steps: 5, head_steps: 5, batch: 4, ..Settings::default() };
    let (autoencoder, _) = train_autoencoder(&sampler, &Reconstruction, &settings, &run).unwrap();
    let (head, ..) = train_head(&sampler, &autoencoder, &settings, &run).unwrap();
    for level in Level::ALL {
        let weight = &head.0[&format!("head.{}.weight", level.name())];
        let silent = weight.values.iter().all(|w| *w == 0.0);
        assert_eq!(silent, !settings.levels.contains(&level), "{level:?}");
    }
}

/// The words that checkpoints of earlier programs were fingerprinted by.
#[test]
fn settings_are_told_as_they_always_were() {
    let told = Settings { levels: vec![Level::E1], ..Settings::default() }.told(Reconstruction.name());
    assert!(told.starts_with("Settings { shape: Shape { "), "{told}");
    let rest = " }, variant: Plain, levels: [E1], steps: 3000, head_steps: 800, batch: 32, rate: 0.002, seed: 7 }";
    assert!(told.ends_with(rest), "{told}");
}
