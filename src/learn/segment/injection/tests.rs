use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::testing::field;
use super::super::{false_rate, score_frame};
use super::*;
use twinpeak_core::extract::{Parting, Settings as Extraction, extract};
use twinpeak_core::filter::{Edge, Gaussian, weighted_sum};
use twinpeak_core::frame::BANDS;
use twinpeak_nets::bundle::SegmenterPart;
use twinpeak_nets::device::{Wanted, choose};
use twinpeak_nets::infer::TorchSegmenter;

fn quick(steps: usize) -> Settings {
    Settings { steps, batch: 16, ..Settings::default() }
}

const ALONE: Run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };

/// After a short training most of what is 20 sigma bright is found on a field that was never seen, and little else.
#[test]
fn a_net_that_saw_injected_sources_finds_real_ones() {
    let frames = [field(1), field(2)];
    let settings = quick(250);
    let trained = train(&frames, [1, 2, 3], &MissingBands::none(), &settings, &ALONE).unwrap();
    assert_eq!(trained.parameters.check(&settings.shape.parameters(Gives::CentreAndExtent)), Ok(()));
    let part = SegmenterPart { batch: 8, probe: vec![], gives: Gives::CentreAndExtent, shape: settings.shape.clone() };
    let mut net = TorchSegmenter::of(&trained.parameters, &part, &choose(Wanted::Cpu).unwrap()).unwrap();
    let (rate, _) = false_rate(&mut net, &frames, 16, 5, 54.0).unwrap().unwrap();
    let unseen = field(3);
    let scores = score_frame(&mut net, &unseen.planes, 16).unwrap();
    let sum = weighted_sum(&unseen.planes, &[(1.0 / BANDS as f32).sqrt(); BANDS]);
    let detection = Gaussian::new(1.0).blur_to_unit_noise(&sum, Edge::Reflect);
    let settings = Extraction {
        detect_threshold: rate.threshold(54.0),
        extent_threshold: 0.0,
        min_area_px: 5,
        parting: Parting::CENTRES,
        max_children: Extraction::MAX_CHILDREN,
        max_component_px: Extraction::MAX_COMPONENT_PX,
    };
    let bits = Plane::filled(192, 192, 0);
    let found = extract(&scores, &detection, &bits, &settings);
    let noise = score_frame(&mut net, &unseen.noise_only, 16).unwrap();
    let nothing = extract(&noise, &detection, &bits, &settings);
    println!("{} objects of 60, {} where there are none", found.objects.len(), nothing.objects.len());
    // Some of the 60 touch.
    assert!((40..70).contains(&found.objects.len()), "{}", found.objects.len());
    assert!(nothing.objects.len() < 12, "{}", nothing.objects.len());
}

/// Each tile is drawn by a seed of its own: the number of threads decides nothing, and nothing is left to chance.
#[test]
fn a_batch_is_the_same_on_any_number_of_threads() {
    let frames = [field(1), field(2)];
    let injector = Injector::new(&frames, [1, 2, 3], MissingBands::none()).unwrap();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| draw(&injector, 6, &mut ChaCha8Rng::seed_from_u64(4)))
    };
    let (one, three) = (on(1), on(3));
    assert!(one.pixels == three.pixels && one.centre == three.centre && one.extent_known == three.extent_known);
    assert!(one.pixels.iter().all(|p| p.is_finite()));
    // Centres are asked for, and lie where light is.
    let lit = |i: usize| (0..BANDS).map(|b| one.pixels[i * BANDS + b]).sum::<f32>();
    let centres: Vec<f32> = (0..one.centre.len()).filter(|&i| one.centre[i] > 0.0).map(lit).collect();
    let sky: Vec<f32> = (0..one.centre.len()).filter(|&i| one.centre_known[i] > one.centre[i]).map(lit).collect();
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    assert!(centres.len() > 60 && mean(&centres) > mean(&sky) + 1.0, "{} {}", mean(&centres), mean(&sky));
}

#[test]
fn the_same_seed_trains_the_same_bits_and_another_one_others() {
    let frames = [field(1)];
    let trained = |seed| {
        let settings = Settings { seed, ..quick(6) };
        train(&frames, [1, 2, 3], &MissingBands::none(), &settings, &ALONE).unwrap().parameters
    };
    assert_eq!(trained(3), trained(3));
    assert_ne!(trained(3), trained(4));
}
