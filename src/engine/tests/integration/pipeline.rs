//! The engine's laws, with stub nets and tiny synthetic frames: the same results in the same order whatever the
//! number of threads and permits; one bad frame harms no other; a failing device or sink ends the run with
//! its reason, and nothing hangs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::Normal;

use twinpeak_core::cutout::MODELS;
use twinpeak_core::frame::{BANDS, Band, FieldIds, Frame, ImageId, Plane};
use twinpeak_core::model::{
    Classifier, ModelError, OBJECT_LEN, STAMP_LEN, Segmenter, TILE_LEN, TILE_PIXELS, TILE_SCORES,
};
use twinpeak_core::outcome::{ModelIdentity, *};
use twinpeak_core::posterior::{Calibration, Posterior, ProfileMixture};
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;
use twinpeak_core::threshold::ThresholdSegmenter;
use twinpeak_core::wcs::Wcs;
use twinpeak_core::{extract, preprocess};
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::*;
use twinpeak_engine::{Device, EngineError, Limits, Models, Summary, run};

/// Scores a pixel by the sum of its bands.
struct SumSegmenter;
impl Segmenter for SumSegmenter {
    fn batch(&self) -> usize {
        4
    }
    fn segment(&mut self, tiles: &[f32], scores: &mut [f32]) -> Result<(), ModelError> {
        assert_eq!(tiles.len(), 4 * TILE_LEN);
        for (scores, tile) in scores.chunks_exact_mut(TILE_SCORES).zip(tiles.chunks_exact(TILE_LEN)) {
            for map in scores.chunks_exact_mut(TILE_PIXELS) {
                for (score, pixel) in map.iter_mut().zip(tile.chunks_exact(BANDS)) {
                    *score = pixel.iter().sum::<f32>() / (BANDS as f32).sqrt();
                }
            }
        }
        Ok(())
    }
}

/// Every profile as likely as any other.
fn flat() -> ProfileMixture {
    ProfileMixture { mag_nodes: vec![20.0], shares: vec![1.0 / MODELS as f32; MODELS], point_like: 1, sn_floor: 30.0 }
}

/// Scores an object by its stamp's mean.
struct MeanClassifier;
impl Classifier for MeanClassifier {
    fn batch(&self) -> usize {
        3
    }
    fn seeds(&self) -> usize {
        2
    }
    fn classify(&mut self, objects: &[f32], answers: &mut [f32]) -> Result<(), ModelError> {
        for (out, object) in answers.chunks_exact_mut(3).zip(objects.chunks_exact(OBJECT_LEN)) {
            let mean = object[..STAMP_LEN].iter().sum::<f32>() / STAMP_LEN as f32;
            out.copy_from_slice(&[mean, 2.0 * mean, 0.0]);
        }
        Ok(())
    }
}

/// Fails from the `after`-th batch on, `times` times; counts what it was asked.
struct FailingSegmenter {
    asked: Arc<AtomicUsize>,
    after: usize,
    times: usize,
    error: Option<ModelError>,
}
impl Segmenter for FailingSegmenter {
    fn batch(&self) -> usize {
        4
    }
    fn segment(&mut self, tiles: &[f32], scores: &mut [f32]) -> Result<(), ModelError> {
        let n = self.asked.fetch_add(1, Ordering::SeqCst);
        if n >= self.after && n < self.after.saturating_add(self.times) {
            match &self.error {
                Some(error) => return Err(error.clone()),
                None => panic!("the net panics"),
            }
        }
        SumSegmenter.segment(tiles, scores)
    }
}

fn device(segmenter: impl Segmenter + 'static) -> Device {
    Device { name: "stub".into(), segmenter: Box::new(segmenter), classifier: Box::new(MeanClassifier) }
}

fn models() -> Models {
    let nets =
        Calibration { mag_nodes: vec![15.0, 25.0], score_nodes: vec![-5.0, 5.0], log_odds: vec![-4.0, 4.0, -2.0, 2.0] };
    Models {
        survey: Arc::new(Survey::parse(include_str!("../../../../config/surveys/sdss.toml")).unwrap()),
        recipe: Recipe {
            preprocess: preprocess::Settings::default(),
            tile_overlap_px: 16,
            extract: extract::Settings {
                detect_threshold: 6.0,
                extent_threshold: 3.0,
                min_area_px: 5,
                parting: extract::Parting::BRIGHTNESS,
                max_children: 100,
                max_component_px: 100_000,
            },
            false_per_field: 10.0,
            false_rate: ThresholdSegmenter::false_rate(),
            fallback_fwhm_arcsec: [1.4; BANDS],
            posterior: Posterior { nets_weight: 1.0, nets, profiles: flat() },
        },
        identity: ModelIdentity { version: "stub".into(), hash: "0".repeat(64) },
        device: "stub".into(),
        reference: None,
        requests: Default::default(),
    }
}

/// Noise and a few blobs.
fn frame(id: &ImageId, seed: u64, width: usize, height: usize) -> Frame {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(0.0f32, 0.03).unwrap();
    let blobs: Vec<(f32, f32, f32)> = (0..8)
        .map(|_| {
            let (x, y) = (rng.random_range(5.0..width as f32 - 5.0), rng.random_range(5.0..height as f32 - 5.0));
            (x, y, rng.random_range(2.0f32..60.0))
        })
        .collect();
    let cd = [[-1.1e-4, 0.0], [0.0, 1.1e-4]];
    let wcs = Wcs::tangent((width, height), (150.0, 2.0), (width as f64 / 2.0, height as f64 / 2.0), cd).unwrap();
    let bands = std::array::from_fn(|_| {
        let mut pixels = Plane::filled(width, height, 0.0f32);
        for y in 0..height {
            for x in 0..width {
                let light: f32 = blobs
                    .iter()
                    .map(|(bx, by, flux)| {
                        let r2 = (x as f32 - bx).powi(2) + (y as f32 - by).powi(2);
                        flux * (-r2 / (2.0 * 1.5 * 1.5)).exp() / (2.0 * std::f32::consts::PI * 1.5 * 1.5)
                    })
                    .sum();
                pixels.set(x, y, light + rng.sample(normal));
            }
        }
        Band {
            mask: Plane::filled(width, height, 0),
            pixels,
            wcs: wcs.clone(),
            nmgy_per_dn: 0.005,
            gain_e_per_dn: 4.7,
            dark_variance_dn2: 1.0,
            saturation_nmgy: 150.0,
            removed_sky_nmgy: None,
            variance: None,
        }
    });
    Frame {
        id: id.clone(),
        ids: FieldIds::default(),
        midpoint_mjd_tai: Some(52_000.5),
        exposure_s: Some(53.9),
        bands,
        input_hash: format!("{seed:064x}"),
        present: [true; BANDS],
        files: Default::default(),
    }
}

/// What each frame of the night is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Good { seed: u64, width: usize, height: usize },
    Unreadable,
    Empty,
    Panics,
}

struct Night {
    frames: std::vec::IntoIter<(ImageId, Kind)>,
}

fn night(kinds: &[Kind]) -> Night {
    let name = |i| ImageId::new(&format!("image-{i}")).unwrap();
    Night { frames: kinds.iter().enumerate().map(|(i, k)| (name(i), *k)).collect::<Vec<_>>().into_iter() }
}

impl FrameSource for Night {
    type Receipt = ();

    fn next(&mut self, _: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError> {
        Ok(self.frames.next().map(|(image_id, kind)| {
            let id = image_id.clone();
            let load = move || match kind {
                Kind::Good { seed, width, height } => Ok(frame(&id, seed, width, height)),
                Kind::Empty => {
                    let mut empty = frame(&id, 1, 80, 80);
                    empty.bands[2].pixels = Plane::filled(80, 80, f32::NAN);
                    Ok(empty)
                }
                Kind::Panics => panic!("a fault in the reader"),
                Kind::Unreadable => Err(Rejection {
                    reason: Reason::Truncated,
                    stage: Stage::Prepare,
                    file: Some("r.fits".into()),
                    message: "cut short".into(),
                    advice: "copy it again".into(),
                }),
            };
            Arrival::new(image_id, load, ())
        }))
    }
}

/// Keeps, in order, all that would be published of each image.
#[derive(Default)]
struct Shelf {
    published: Mutex<Vec<(String, String)>>,
    refuse: Option<(usize, fn() -> PortError)>,
    tries: AtomicUsize,
}

impl CatalogSink for Shelf {
    type Receipt = ();
    type Encoded = String;

    fn encode(&self, finished: &Finished, (): &()) -> Result<String, PortError> {
        Ok(match &finished.outcome {
            Outcome::Processed(p) => format!("{:?} {:?} {:?} {:?}", p.catalog, p.quality, p.segmentation, p.bits),
            Outcome::Rejected(r) => format!("{r:?}"),
            Outcome::Nothing => String::new(),
        })
    }
    fn publish(&self, finished: &Finished, encoded: &String, (): &()) -> Result<PublishOutcome, PortError> {
        let tries = self.tries.fetch_add(1, Ordering::SeqCst);
        if let Some((until, error)) = self.refuse
            && tries < until
        {
            return Err(error());
        }
        self.published.lock().unwrap().push((finished.image_id.to_string(), encoded.clone()));
        Ok(PublishOutcome::Accepted)
    }
}

fn limits(frames_in_flight: usize, workers: usize) -> Limits {
    Limits { frames_in_flight, workers, port_retries: 3, port_backoff: Duration::from_millis(1), ..Limits::default() }
}

fn go(kinds: &[Kind], devices: usize, limits: &Limits) -> (Summary, Vec<(String, String)>) {
    let shelf = Shelf::default();
    let devices = (0..devices).map(|_| device(SumSegmenter)).collect();
    let summary = run(&mut night(kinds), &models(), devices, &shelf, limits, &Stop::default(), &NoProbe).unwrap();
    (summary, shelf.published.into_inner().unwrap())
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => (0u64..5, 64usize..140, 64usize..100).prop_map(|(seed, width, height)| Kind::Good { seed, width, height }),
        1 => Just(Kind::Unreadable),
        1 => Just(Kind::Empty),
        1 => Just(Kind::Panics),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 20, ..ProptestConfig::default() })]
    #[test]
    fn results_and_their_order_do_not_depend_on_threads(
        kinds in proptest::collection::vec(kind(), 0..9), in_flight in 1usize..6, workers in 1usize..4, devices in 1usize..4,
    ) {
        let (summary, one) = go(&kinds, 1, &limits(1, 1));
        let (many_summary, many) = go(&kinds, devices, &limits(in_flight, workers));
        prop_assert_eq!(one.len(), kinds.len());
        let bad = kinds.iter().filter(|k| !matches!(k, Kind::Good { .. })).count();
        prop_assert_eq!(summary.rejected as usize, bad, "{:?}", one);
        prop_assert_eq!(summary, many_summary);
        prop_assert!(one == many);
    }
}

#[test]
fn objects_are_found_and_classified() {
    let (_, published) = go(&[Kind::Good { seed: 3, width: 200, height: 150 }], 2, &limits(2, 2));
    let text = &published[0].1;
    assert!(text.matches("Row {").count() >= 4, "{} rows", text.matches("Row {").count());
    assert!(text.contains("star_prob: Some("));
}

#[test]
fn bad_frames_are_rejected_with_their_reason_and_harm_no_other() {
    let good = Kind::Good { seed: 1, width: 80, height: 70 };
    let (summary, published) = go(&[good, Kind::Unreadable, Kind::Panics, Kind::Empty, good], 1, &limits(3, 2));
    assert_eq!(summary, Summary { processed: 2, rejected: 3 });
    for (i, reason) in [(1, "Truncated"), (2, "Internal"), (3, "NoSignal")] {
        assert!(published[i].1.contains(reason), "{}", published[i].1);
    }
    assert!(published[2].1.contains("a fault in the reader"));
}

#[test]
fn a_frame_that_is_refused_after_segmentation_holds_nobody_up() {
    let mut models = models();
    let text = include_str!("../../../../config/surveys/sdss.toml");
    let wants_more = text.replacen("fewest_objects_deg2 = 3000.0", "fewest_objects_deg2 = 1e9", 1);
    models.survey = Arc::new(Survey::parse(&wants_more).unwrap());
    let (done, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let shelf = Shelf::default();
        let kinds = [Kind::Good { seed: 1, width: 80, height: 70 }; 5];
        let devices = vec![device(SumSegmenter)];
        let summary = run(&mut night(&kinds), &models, devices, &shelf, &limits(2, 2), &Stop::default(), &NoProbe);
        done.send((summary.unwrap(), shelf.published.into_inner().unwrap())).unwrap();
    });
    let (summary, published) = waits.recv_timeout(Duration::from_mins(5)).expect("the run ends");
    assert_eq!(summary, Summary { processed: 0, rejected: 5 });
    assert!(published.iter().all(|p| p.1.contains("NoSignal") && p.1.contains("stage: Extract")), "{published:?}");
}

fn fails(after: usize, times: usize, error: Option<ModelError>) -> (Result<Summary, EngineError>, usize, usize) {
    let (shelf, asked) = (Shelf::default(), Arc::new(AtomicUsize::new(0)));
    let devices =
        (0..2).map(|_| device(FailingSegmenter { asked: asked.clone(), after, times, error: error.clone() })).collect();
    let kinds = [Kind::Good { seed: 2, width: 130, height: 100 }; 6];
    let result = run(&mut night(&kinds), &models(), devices, &shelf, &limits(3, 2), &Stop::default(), &NoProbe);
    (result, shelf.published.into_inner().unwrap().len(), asked.load(Ordering::SeqCst))
}

fn out_of_memory() -> ModelError {
    ModelError::OutOfMemory { device: "stub".into(), message: "no room".into() }
}

#[test]
fn one_failure_of_a_device_is_survived() {
    let (result, published, _) = fails(4, 1, Some(out_of_memory()));
    assert_eq!((result.unwrap().processed, published), (6, 6));
}

#[test]
fn a_lost_device_ends_the_run_with_its_reason() {
    for error in [Some(out_of_memory()), None] {
        let (result, published, asked) = fails(5, usize::MAX, error);
        assert!(matches!(result, Err(EngineError::Device(_))), "{result:?}");
        assert!(published < 6 && asked < 12, "{published} published, {asked} asked");
    }
}

#[test]
fn a_sink_is_tried_again_and_then_given_up() {
    for (refusals, survives) in [(2, true), (usize::MAX, false)] {
        let full = || PortError::Retry(Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)));
        let shelf = Shelf { refuse: Some((refusals, full)), ..Shelf::default() };
        let kinds = [Kind::Good { seed: 2, width: 64, height: 64 }; 3];
        let result = run(
            &mut night(&kinds),
            &models(),
            vec![device(SumSegmenter)],
            &shelf,
            &limits(2, 1),
            &Stop::default(),
            &NoProbe,
        );
        assert_eq!(result.is_ok(), survives, "{result:?}");
        assert_eq!(shelf.published.into_inner().unwrap().len(), if survives { 3 } else { 0 });
    }
}

#[test]
fn stopping_finishes_what_is_in_flight_and_takes_no_more() {
    struct Endless(Night, usize, Stop);
    impl FrameSource for Endless {
        type Receipt = ();

        fn next(&mut self, stop: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError> {
            self.1 += 1;
            if self.1 == 4 {
                self.2.drain();
            }
            self.0.next(stop)
        }
    }
    let stop = Stop::default();
    let mut source = Endless(night(&[Kind::Good { seed: 2, width: 90, height: 64 }; 50]), 0, stop.clone());
    let shelf = Shelf::default();
    let summary =
        run(&mut source, &models(), vec![device(SumSegmenter)], &shelf, &limits(2, 1), &stop, &NoProbe).unwrap();
    // The fourth came with the request to stop and was returned to the source.
    assert_eq!((summary.processed, source.1), (3, 4));
    assert_eq!(shelf.published.into_inner().unwrap().len(), 3);
}
