//! No skew between training and serving: the tensors that the trainer learns from are, bit by bit, those that the
//! daemon's engine hands to its nets for the same frame.

use std::sync::{Arc, Mutex};

use twinpeak_core::cutout::{ClassifierInput, MODELS};
use twinpeak_core::frame::Frame;
use twinpeak_core::model::{Classifier, ModelError, OBJECT_LEN, Segmenter, TILE_LEN};
use twinpeak_core::outcome::ModelIdentity;
use twinpeak_core::outcome::*;
use twinpeak_core::posterior::{Calibration, Posterior, ProfileMixture};
use twinpeak_core::preprocess;
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;
use twinpeak_core::threshold::ThresholdSegmenter;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::*;
use twinpeak_engine::{Device, Limits, Models, run};
use twinpeak_learn::{MissingBands, classify, sample};
use twinpeak_sim::{Spec, simulate};

type Seen = Arc<Mutex<Vec<Vec<u32>>>>;

/// Keeps the bits of every item that is not padding.
fn keep(seen: &Seen, batch: &[f32], length: usize) {
    let items = batch.chunks_exact(length).filter(|item| item.iter().any(|v| *v != 0.0));
    seen.lock().unwrap().extend(items.map(|item| item.iter().map(|v| v.to_bits()).collect()));
}

struct Listening {
    filter: ThresholdSegmenter,
    seen: Seen,
}
impl Segmenter for Listening {
    fn batch(&self) -> usize {
        self.filter.batch()
    }
    fn segment(&mut self, tiles: &[f32], scores: &mut [f32]) -> Result<(), ModelError> {
        keep(&self.seen, tiles, TILE_LEN);
        self.filter.segment(tiles, scores)
    }
}

struct ListeningClassifier(Seen);
impl Classifier for ListeningClassifier {
    fn batch(&self) -> usize {
        7
    }
    fn seeds(&self) -> usize {
        1
    }
    fn classify(&mut self, objects: &[f32], answers: &mut [f32]) -> Result<(), ModelError> {
        keep(&self.0, objects, OBJECT_LEN);
        answers.fill(0.0);
        Ok(())
    }
}

struct Nowhere;
impl CatalogSink for Nowhere {
    type Receipt = ();
    type Encoded = ();

    fn encode(&self, finished: &Finished, (): &()) -> Result<(), PortError> {
        assert!(matches!(finished.outcome, Outcome::Processed(_)));
        Ok(())
    }
    fn publish(&self, _: &Finished, (): &(), (): &()) -> Result<PublishOutcome, PortError> {
        Ok(PublishOutcome::Accepted)
    }
}

struct One(Option<Frame>);
impl FrameSource for One {
    type Receipt = ();

    fn next(&mut self, _: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError> {
        Ok(self.0.take().map(|frame| Arrival::new(frame.id.clone(), move || Ok(frame), ())))
    }
}

/// The matched filter's thresholds, and a posterior that is not asked.
fn recipe(survey: &Survey) -> Recipe {
    Recipe {
        posterior: Posterior {
            nets_weight: 1.0,
            nets: Calibration { mag_nodes: vec![20.0], score_nodes: vec![0.0], log_odds: vec![0.0] },
            profiles: ProfileMixture {
                mag_nodes: vec![20.0],
                shares: vec![1.0 / MODELS as f32; MODELS],
                point_like: 1,
                sn_floor: 30.0,
            },
        },
        ..Recipe::for_survey(survey)
    }
}

#[test]
fn trainer_and_daemon_see_the_same_tensors() {
    let survey = Arc::new(Survey::parse(include_str!("../../../../config/surveys/sdss.toml")).unwrap());
    let made = simulate(&Spec { seed: 11, width: 420, height: 300, ..Spec::default() }, &survey).unwrap();
    let recipe = recipe(&survey);
    let filter = ThresholdSegmenter::new(&survey, 3.5);

    let (tiles, objects) = (Seen::default(), Seen::default());
    let models = Models {
        survey: survey.clone(),
        recipe: recipe.clone(),
        identity: ModelIdentity { version: "stub".into(), hash: String::new() },
        device: "stub".into(),
        reference: None,
        requests: Default::default(),
    };
    let device = Device {
        name: "stub".into(),
        segmenter: Box::new(Listening { filter: filter.clone(), seen: tiles.clone() }),
        classifier: Box::new(ListeningClassifier(objects.clone())),
    };
    let (mut source, stop) = (One(Some(made.frame.clone())), Stop::default());
    run(&mut source, &models, vec![device], &Nowhere, &Limits::default(), &stop, &NoProbe).unwrap();

    let prepared = preprocess::prepare(made.frame, &survey, &recipe.preprocess).unwrap();
    let taught_tiles = Seen::default();
    let mut by =
        sample::ObjectFinder { segmenter: &mut Listening { filter, seen: taught_tiles.clone() }, recipe: &recipe };
    let found = sample::find(&prepared, &survey, &mut by).unwrap();
    let mut known = Vec::new();
    let mut taught = classify::TrainingSet::default();
    sample::add_objects(&found, 1, &MissingBands::none(), &mut taught, &mut known);

    let tiles = tiles.lock().unwrap();
    assert!(tiles.len() >= 40 && *tiles == *taught_tiles.lock().unwrap(), "{} tiles", tiles.len());
    // The trainer leaves out objects of magnitudes that do not teach, so its objects are some of the daemon's, in
    // order.
    let objects = objects.lock().unwrap();
    let mut rest = objects.iter();
    assert!(taught.stamps.len() >= 15 && known.len() == taught.stamps.len(), "{} stamps", taught.stamps.len());
    for (stamp, measured) in taught.stamps.iter().zip(known) {
        let mut seen_by_nets = vec![0.0; OBJECT_LEN];
        ClassifierInput { stamp: Box::new(*stamp), measured }.write(&mut seen_by_nets);
        let bits: Vec<u32> = seen_by_nets.iter().map(|v| v.to_bits()).collect();
        assert!(rest.any(|seen| *seen == bits), "an object that the daemon never saw");
    }
}
