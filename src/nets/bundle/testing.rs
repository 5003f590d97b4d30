//! A small bundle with random weights, for tests: compiled into tests and with the feature `testing`, which only tests
//! ask for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Bundle, ClassifierPart, FORMAT, Manifest, SegmenterPart, Training};
use crate::parameters::{Parameters, Start};
use crate::{classifier, colour, segmentation};
use twinpeak_core::cutout::MODELS;
use twinpeak_core::recipe::Recipe;
use twinpeak_core::{extract, false_rate, posterior, preprocess};

/// A manifest that fits `bundle()`.
pub fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        version: "test-1".to_owned(),
        survey: "sdss".to_owned(),
        bands: "ugriz".chars().map(String::from).collect(),
        files: Default::default(),
        segmenter: SegmenterPart {
            batch: 8,
            probe: vec![],
            gives: segmentation::Gives::CentreAndExtent,
            shape: segmentation::Shape::default(),
        },
        classifier: ClassifierPart {
            batch: 64,
            probe: vec![],
            shape: classifier::Shape::default(),
            colour: colour::Shape::default(),
        },
        training: Training {
            data: "none".to_owned(),
            data_sha256: "0".repeat(64),
            segmenter_seed: 1,
            classifier_seed: 2,
            segmenter_missing_band_share: 0.0,
            classifier_missing_band_share: 0.0,
            software_version: "0.0.0".to_owned(),
        },
        figures: [("auc_14_22".to_owned(), 0.5)].into(),
        recipe: Recipe {
            preprocess: preprocess::Settings::default(),
            tile_overlap_px: 16,
            extract: extract::Settings {
                detect_threshold: 1.0,
                extent_threshold: 2.0,
                min_area_px: 5,
                parting: extract::Parting::CENTRES,
                max_children: 100,
                max_component_px: 100_000,
            },
            false_per_field: 10.0,
            false_rate: false_rate::FalseRate { per_mpx: vec![1.0, 100.0], threshold: vec![3.0, 1.0] },
            fallback_fwhm_arcsec: [1.5, 1.4, 1.3, 1.2, 1.2],
            posterior: posterior::Posterior {
                nets_weight: 0.5,
                nets: posterior::Calibration {
                    mag_nodes: vec![16.0, 23.0],
                    score_nodes: vec![-1.0, 1.0],
                    log_odds: vec![-3.0, 3.0, -1.0, 1.0],
                },
                profiles: posterior::ProfileMixture {
                    mag_nodes: vec![20.0],
                    shares: vec![1.0 / MODELS as f32; MODELS],
                    point_like: 1,
                    sn_floor: 30.0,
                },
            },
        },
        expected: None,
    }
}

/// Random weights; all norms 1, all signs +.
///
/// # Panics
/// Never: the manifest is made for these weights.
pub fn bundle() -> Bundle {
    let manifest = manifest();
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let segmenter = Parameters::random(&manifest.segmenter.parameters(), Start::He, &mut rng);
    let mut classifier = Parameters::random(&manifest.classifier.parameters(), Start::Uniform, &mut rng);
    for (name, array) in &mut classifier.0 {
        if name.ends_with("deviation") || name.ends_with("star_sign") {
            array.values.fill(1.0);
        }
    }
    Bundle::new(manifest, segmenter, classifier).unwrap()
}
