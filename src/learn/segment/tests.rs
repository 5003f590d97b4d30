use super::testing::{field, overlap};
use super::*;
use twinpeak_nets::bundle::SegmenterPart;
use twinpeak_nets::device::{Wanted, choose};
use twinpeak_nets::infer::TorchSegmenter;
use twinpeak_nets::segmentation::Gives;

#[test]
fn the_net_finds_what_its_teacher_finds_on_a_field_it_never_saw() {
    let frames = [field(1), field(2)];
    let settings = Settings { steps: 150, head_steps: 120, batch: 16, ..Settings::default() };
    let run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };
    let trained = train(&frames, [1, 2, 3], &MissingBands::none(), &settings, &run).unwrap();
    assert!(trained.agreement > Some(0.93), "{:?}", trained.agreement);
    assert_eq!(trained.parameters.check(&settings.shape.parameters(Gives::Score)), Ok(()));

    let part = SegmenterPart { batch: 8, probe: vec![], gives: Gives::Score, shape: settings.shape.clone() };
    let mut segmenter = TorchSegmenter::of(&trained.parameters, &part, &choose(Wanted::Cpu).unwrap()).unwrap();
    let (rate, by_frame) = false_rate(&mut segmenter, &frames, 16, 5, 54.0).unwrap().unwrap();
    let (detect, extent) = (rate.threshold(54.0), extent_threshold(&mut segmenter, &frames, 16).unwrap());
    assert!(extent >= detect && by_frame.len() == 2);

    let unseen = field(3);
    let noise = score_frame(&mut segmenter, &unseen.noise_only, 16).unwrap().centre;
    let rim = noise.row(0).iter().chain(noise.row(191)).filter(|&&s| s > detect).count();
    assert!(rim <= 4, "{rim} of 384 edge pixels of a frame without objects are objects");
    let found = score_frame(&mut segmenter, &unseen.planes, 16).unwrap();
    let overlap = overlap(&found.extent, extent, &unseen.pseudo_labels.object);
    println!("IoU with the teacher {overlap:.3}, agreement {:.3?}, {rate:?}", trained.agreement);
    assert!(overlap > 0.6, "{overlap}");
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
