//! The bundle's `manifest.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::BundleError;
use crate::parameters::Shapes;
use crate::{classifier, colour, segmentation};
use twinpeak_core::cutout::MODELS;
use twinpeak_core::drift::Expected;
use twinpeak_core::extract::Parting;
use twinpeak_core::recipe::Recipe;

/// The manifest's format that this program reads and writes.
pub const FORMAT: u32 = 3;

/// Where the nets of colour stand among the classifier's parameters.
pub const COLOUR: &str = "colour";

/// All of a bundle that is not weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of the manifest: [`FORMAT`].
    pub format: u32,
    /// The bundle's own version, as rows carry it.
    pub version: String,
    /// Name of the survey that the nets were trained for.
    pub survey: String,
    /// Its bands, in its order.
    pub bands: Vec<String>,
    /// SHA-256 of each other file, lower-case hex, by name.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Size, batch and probe of the segmentation net.
    pub segmenter: SegmenterPart,
    /// Sizes, batch and probe of the classification nets.
    pub classifier: ClassifierPart,
    /// What the nets were made from.
    pub training: Training,
    /// Measured figures by name, for people.
    pub figures: BTreeMap<String, f64>,
    /// How frames are to be treated.
    pub recipe: Recipe,
    /// What the training frames were like, if that was measured: others that are not have drifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// What a bundle says of its segmentation net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmenterPart {
    /// Number of tiles in every batch.
    pub batch: usize,
    /// Some scores of the probe batch on the CPU in f32: a device that answers otherwise is not trusted.
    #[serde(default)]
    pub probe: Vec<f32>,
    /// What it says of each pixel.
    pub gives: segmentation::Gives,
    /// Size of the net.
    pub shape: segmentation::Shape,
}

impl SegmenterPart {
    /// All parameters.
    pub fn parameters(&self) -> Shapes {
        self.shape.parameters(self.gives)
    }
}

/// What a bundle says of its classification nets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierPart {
    /// Number of objects in every batch.
    pub batch: usize,
    /// The answer to the probe object on the CPU: a device that answers otherwise is not trusted.
    #[serde(default)]
    pub probe: Vec<f32>,
    /// The ensemble's sizes and the prior.
    pub shape: classifier::Shape,
    /// Size of the nets of colour.
    pub colour: colour::Shape,
}

impl ClassifierPart {
    /// All parameters: the ensemble's, and under `colour` those of the nets of colour.
    pub fn parameters(&self) -> Shapes {
        let colour = self.colour.parameters().into_iter().map(|(name, shape)| (format!("{COLOUR}.{name}"), shape));
        self.shape.parameters().into_iter().chain(colour).collect()
    }
}

/// What the nets were made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The training frames, in words.
    pub data: String,
    /// SHA-256 of the frames' input hashes in the order used, lower-case hex.
    pub data_sha256: String,
    /// Seed of the segmentation net.
    pub segmenter_seed: u64,
    /// First seed of the classification nets.
    pub classifier_seed: u64,
    /// Share of the segmenter's tiles that lacked a band, 0 to 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub segmenter_missing_band_share: f64,
    /// Share of the classifier's objects that lacked a band, 0 to 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classifier_missing_band_share: f64,
    /// The program that trained them.
    pub software_version: String,
}

/// A bundle that was trained on complete images alone says nothing of it, as before.
fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

/// In a line: TOML's own report draws the line in question, which may hold thousands of numbers.
fn cause(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| before.matches('\n').count() + 1);
    let said: String = error.message().chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    line.map_or_else(|| said.clone(), |line| format!("{said}, in line {line}"))
}

impl Manifest {
    /// Reads the file's text. The format is looked at first, so that another format is called that.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, BundleError> {
        let wrong = |message: String| BundleError::Manifest { path: path.to_owned(), message };
        let text = std::str::from_utf8(bytes).map_err(|e| wrong(e.to_string()))?;
        let misread = |error: toml::de::Error| wrong(cause(&error, text));
        let table: toml::Table = toml::from_str(text).map_err(misread)?;
        let format = table.get("format").and_then(toml::Value::as_integer);
        if let Some(found) = format.and_then(|n| u32::try_from(n).ok()).filter(|&n| n != FORMAT) {
            return Err(BundleError::Format { path: path.to_owned(), found });
        }
        toml::from_str(text).map_err(misread)
    }

    /// The file's text, the same for the same manifest.
    pub(super) fn to_toml(&self) -> String {
        toml::to_string(self)
            .expect("a manifest holds only what TOML can say: strings, numbers, lists, string-keyed maps")
    }

    /// What the types do not say.
    pub(super) fn check(&self, path: &Path) -> Result<(), BundleError> {
        let (s, c) = (&self.segmenter, &self.classifier);
        let (calibration, profiles) = (&self.recipe.posterior.nets, &self.recipe.posterior.profiles);
        let ascending = |nodes: &[f32]| nodes.windows(2).all(|w| w[0] < w[1]) && nodes.iter().all(|v| v.is_finite());
        let fits = |probe: &[f32]| probe.iter().all(|v| v.is_finite());
        let problems = [
            (s.batch == 0 || s.batch > 1024, "segmenter.batch must be 1 to 1024"),
            (c.batch == 0 || c.batch > 4096, "classifier.batch must be 1 to 4096"),
            (s.shape.widths.iter().any(|w| !(1..=1024).contains(w)), "segmenter.shape.widths must be 1 to 1024"),
            (!(1..=1024).contains(&s.shape.bottleneck), "segmenter.shape.bottleneck must be 1 to 1024"),
            (!s.shape.skip_weight.is_finite(), "segmenter.shape.skip_weight must be a number"),
            (c.shape.autoencoders == 0 || c.shape.vaes == 0, "the classifier needs at least one seed"),
            (c.shape.seeds() > 256, "classifier.shape has more than 256 seeds"),
            (!(c.shape.width > 0.0 && c.shape.peak > 0.0), "classifier.shape.peak and width must be above 0"),
            (
                !c.probe.is_empty() && c.probe.len() != c.shape.seeds() + 1,
                "classifier.probe needs one value a seed and one",
            ),
            (!fits(&s.probe) || !fits(&c.probe), "a probe's answers must be numbers"),
            (self.recipe.tile_overlap_px >= twinpeak_core::model::TILE, "recipe.tile_overlap_px must be below 64"),
            (
                !ascending(&calibration.mag_nodes) || !ascending(&calibration.score_nodes),
                "recipe.posterior.nets' nodes must ascend",
            ),
            (
                calibration.mag_nodes.len() * calibration.score_nodes.len() != calibration.log_odds.len()
                    || calibration.log_odds.is_empty(),
                "recipe.posterior.nets.log_odds needs one value for each pair of nodes",
            ),
            (calibration.log_odds.iter().any(|v| !v.is_finite()), "recipe.posterior.nets.log_odds must be numbers"),
            (
                !ascending(&profiles.mag_nodes) || profiles.mag_nodes.is_empty(),
                "recipe.posterior.profiles.mag_nodes must ascend",
            ),
            (
                profiles.shares.len() != MODELS * profiles.mag_nodes.len(),
                "recipe.posterior.profiles.shares needs one value for each model at each magnitude",
            ),
            (
                profiles.shares.iter().any(|s| !(s.is_finite() && *s > 0.0))
                    || profiles.sn_floor.is_nan()
                    || profiles.sn_floor <= 0.0,
                "recipe.posterior.profiles' shares and sn_floor must be above 0",
            ),
            (
                !(1..MODELS).contains(&profiles.point_like),
                "recipe.posterior.profiles.point_like must leave stars and galaxies",
            ),
            (!(0.0..=1.0).contains(&self.recipe.posterior.nets_weight), "recipe.posterior.nets_weight must be 0 to 1"),
            (
                matches!(self.recipe.extract.parting, Parting::Brightness { .. })
                    && self.recipe.extract.extent_threshold < self.recipe.extract.detect_threshold,
                "recipe.extract.extent_threshold must not be below detect_threshold where one score is both",
            ),
            (
                !(self.recipe.false_per_field.is_finite() && self.recipe.false_per_field > 0.0),
                "recipe.false_per_field must be above 0",
            ),
        ];
        let first = problems.into_iter().find(|(wrong, _)| *wrong).map(|(_, problem)| problem);
        match first.or(self.recipe.false_rate.problem()) {
            Some(problem) => Err(BundleError::Value { path: path.to_owned(), problem }),
            None => Ok(()),
        }
    }
}
