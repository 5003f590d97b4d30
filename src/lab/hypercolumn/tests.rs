use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;
use crate::clusters::{self, ClusterRule, ClusterSettings, Clustered};
use twinpeak_core::frame::{BANDS, PerBand, Plane};
use twinpeak_learn::segment::{TrainingFrame, extent_threshold, score_plane, teacher};

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

/// Intersection over union of the pixels above a threshold with the teacher's.
fn overlap(scores: &Plane<f32>, threshold: f32, taught: &Plane<bool>) -> f64 {
    let (mut both, mut either) = (0.0, 0.0);
    for (&score, &object) in scores.pixels().iter().zip(taught.pixels()) {
        both += f64::from(u8::from(score > threshold && object));
        either += f64::from(u8::from(score > threshold || object));
    }
    both / either
}

/// Each of the paper's nets, clustered: what is brighter than the sky is the object, whichever cluster came first.
#[test]
fn clusters_of_each_nets_hypercolumns_are_objects_and_sky() {
    let (frames, unseen) = ([field(4)], field(5));
    let sampler = TileSampler::new(&frames, [1, 2, 3]).unwrap();
    let run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };
    for (variant, skip_weight) in [(Variant::Plain, 0.0), (Variant::Variational, 0.0), (Variant::BlindSpot, 1.0)] {
        let shape = Shape { skip_weight, ..Shape::default() };
        let settings = Settings { shape: shape.clone(), variant, steps: 60, batch: 8, ..Settings::default() };
        let (autoencoder, curve) = train_autoencoder(&sampler, &settings, &run).unwrap();
        assert_eq!(autoencoder.check(&shape.autoencoder()), Ok(()));
        assert!(curve.smoothed()[59] < curve.smoothed()[0], "{variant:?}: {:?}", curve.smoothed());
        for rule in [ClusterRule::KMeans, ClusterRule::Mixture] {
            let settings = ClusterSettings { rule, components: 4, pixels: 2000, seed: 1 };
            let clusters = clusters::fit(&sampler, &autoencoder, &shape, &settings).unwrap();
            let mut found = Clustered::new(&autoencoder, &shape, clusters, 4).unwrap();
            let extent = extent_threshold(&mut found, &frames, 16).unwrap();
            let scores = score_plane(&mut found, &unseen.planes, 16).unwrap();
            let overlap = overlap(&scores, extent, &unseen.pseudo_labels.object);
            println!("{variant:?} {rule:?}: {overlap:.3}");
            assert!(overlap > 0.3, "{variant:?} {rule:?}: {overlap}");
        }
    }
}
