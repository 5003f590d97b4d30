use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;
use twinpeak_core::model::{Classifier, OBJECT_LEN, STAMP};
use twinpeak_nets::bundle::{self, Bundle, COLOUR};
use twinpeak_nets::device::{Wanted, choose};
use twinpeak_nets::infer::TorchClassifier;

/// Stars are noise; galaxies are noise with a ring around a hole, stronger when bright. And which are stars.
fn two_populations(n: usize, seed: u64) -> (TrainingSet, Vec<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let noise = |rng: &mut ChaCha8Rng| -> [f32; STAMP_LEN] { std::array::from_fn(|_| rng.sample(StandardNormal)) };
    let (mut objects, mut star) = (TrainingSet::default(), vec![]);
    for i in 0..n {
        let is_star = i % 2 == 0;
        let mag: f32 = rng.random_range(16.0..22.0);
        let mut stamp = noise(&mut rng);
        if !is_star {
            for (pixel, value) in stamp.iter_mut().enumerate() {
                let (x, y) = ((pixel % STAMP) as f32 - 10.0, (pixel / STAMP) as f32 - 10.0);
                let r2 = (x * x + y * y) / 9.0;
                *value += (24.0 - mag) * 0.8 * (r2 - 0.6) * (-r2).exp();
            }
        }
        objects.stamps.push(stamp);
        objects.control_stamps.push(noise(&mut rng));
        objects.mag.push(mag);
        let spread: f32 = rng.sample(StandardNormal);
        objects.concentration.push(if is_star { 1.0 } else { 0.7 } + 0.1 * spread);
        star.push(is_star);
    }
    (objects, star)
}

fn settings() -> Settings {
    let shape = Shape { hidden: [64, 32], autoencoders: 2, vaes: 1, ..Shape::default() };
    Settings {
        shape,
        autoencoder_epochs: 10,
        vae: VaeSettings { epochs: 30, batch: 128, ..VaeSettings::default() },
        ..Settings::of(twinpeak_core::survey::Magnitudes::for_depth(15.0, 22.8))
    }
}

/// Share of (star, galaxy) pairs in which the star scores higher.
fn auc(score: &[f32], star: &[bool]) -> f64 {
    let pick = |kind: bool| score.iter().zip(star).filter(move |(_, s)| **s == kind).map(|(v, _)| *v);
    let pairs = pick(true).flat_map(|s| pick(false).map(move |g| if s > g { 1.0 } else { 0.0 }));
    let (sum, n) = pairs.fold((0.0, 0.0), |(sum, n), win| (sum + win, n + 1.0));
    sum / n
}

#[test]
fn two_populations_part_without_labels_and_the_bundle_says_so() {
    let (objects, _) = two_populations(1200, 1);
    let run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };
    let trained = train(&objects, &settings(), &run).unwrap();
    assert_eq!(trained.curves.len(), 4);

    // Through the bundle, the port and the posterior, on objects that were never seen.
    let mut manifest = bundle::testing::manifest();
    manifest.classifier.shape = settings().shape;
    manifest.recipe.posterior.nets = trained.calibration;
    let (other, mut parameters) = (bundle::testing::bundle(), trained.parameters);
    let colour = other.classifier().0.iter().filter(|(name, _)| name.starts_with(COLOUR));
    parameters.0.extend(colour.map(|(name, array)| (name.clone(), array.clone())));
    let bundle = Bundle::new(manifest, other.segmenter().clone(), parameters).unwrap();
    let mut classifier = TorchClassifier::new(&bundle, &choose(Wanted::Cpu).unwrap()).unwrap();
    let (unseen, star) = two_populations(512, 2);
    let mut p = vec![];
    for (stamps, mags) in unseen.stamps.chunks_exact(64).zip(unseen.mag.chunks_exact(64)) {
        let (mut objects, mut answers) = (vec![0.0; 64 * OBJECT_LEN], vec![0.0; 64 * classifier.answer_len()]);
        for (object, stamp) in objects.chunks_exact_mut(OBJECT_LEN).zip(stamps) {
            object[..STAMP_LEN].copy_from_slice(stamp);
        }
        classifier.classify(&objects, &mut answers).unwrap();
        let each = answers.chunks_exact(classifier.answer_len()).zip(mags);
        let nets = &bundle.manifest().recipe.posterior.nets;
        p.extend(each.map(|(a, &mag)| nets.star_probability(&a[..classifier.seeds()], mag).unwrap().value));
    }
    let (auc, mean) = (auc(&p, &star), p.iter().sum::<f32>() / p.len() as f32);
    println!("AUC {auc:.3}, mean p(star) {mean:.3}, orientation {:?}", trained.orientation);
    assert!(auc > 0.95, "{auc}");
    assert!((mean - 0.5).abs() < 0.1, "half are stars, mean p is {mean}");
}

#[test]
fn an_interrupted_ensemble_ends_with_the_same_bits() {
    let (objects, _) = two_populations(400, 3);
    let vae = VaeSettings { epochs: 8, ..settings().vae };
    let settings = Settings { autoencoder_epochs: 4, vae, ..settings() };
    let dir = tempfile::tempdir().unwrap();
    let whole = Run { work_dir: None, checkpoint_steps: 5, progress: &|_| () };
    let expected = train(&objects, &settings, &whole).unwrap();
    let kept = Run { work_dir: Some(dir.path()), ..whole };
    assert!(train(&objects, &settings, &kept).unwrap() == expected, "kept");
    // As if it had been killed before the second auto-encoder came to its first checkpoint.
    std::fs::remove_file(dir.path().join("classifier-ae1.checkpoint")).unwrap();
    std::fs::remove_file(dir.path().join("classifier-ae1-vae0.checkpoint")).unwrap();
    assert!(train(&objects, &settings, &kept).unwrap() == expected, "resumed");
}

#[test]
fn a_prior_without_two_peaks_and_too_few_objects_are_refused() {
    let run = Run { work_dir: None, checkpoint_steps: 5, progress: &|_| () };
    let (objects, _) = two_populations(400, 3);
    let flat = Settings { shape: Shape { width: 0.5, ..Shape::default() }, ..settings() };
    assert!(matches!(train(&objects, &flat, &run), Err(LearnError::Prior(_))));
    let (few, _) = two_populations(40, 3);
    assert!(matches!(train(&few, &settings(), &run), Err(LearnError::TooFew { found: 40, .. })));
    let short = TrainingSet { mag: vec![20.0; 12], ..objects };
    assert!(matches!(train(&short, &settings(), &run), Err(LearnError::TooFew { found: 12, .. })));
}
