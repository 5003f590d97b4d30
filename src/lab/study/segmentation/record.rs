//! What a run of a segmenter leaves behind: one line of JSON.

use serde::{Deserialize, Serialize};

use super::metrics::{DetectionMetrics, PixelMetrics};
use crate::study::Records;

/// One run of one segmenter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Where it was trained and scored.
    pub sky: String,
    /// Name of the segmenter in the plan.
    pub segmenter: String,
    /// Seed of this run.
    pub seed: u64,
    /// Tells the settings of the segmenter and of all that it builds on from others (SHA-256, shortened).
    pub settings: String,
    /// Seconds of training, with the net it builds on.
    pub training_s: f64,
    /// Metrics, or why there are none.
    pub ending: SegmentEnding,
}

/// How a run ended. Failures keep their place in the tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentEnding {
    /// With these metrics on fields that it had not seen.
    #[serde(rename = "marks")]
    Measured(SegmentMetrics),
    /// The segmenter gave no answer.
    Failed {
        /// The error, in words.
        reason: String,
    },
}

/// Metrics of a run over all fields of its sky.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentMetrics {
    /// At thresholds chosen by the number of false components.
    pub at: Vec<DetectionMetrics>,
    /// At the thresholds that it comes with: where clusters part, even odds, those of a bundle or a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<DetectionMetrics>,
    /// Of its scores as they are, where true pixels are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<PixelMetrics>,
}

impl SegmentMetrics {
    /// Those at `false_components` a field.
    pub fn at(&self, false_components: f64) -> Option<&DetectionMetrics> {
        self.at.iter().find(|m| m.asked == Some(false_components))
    }
}

impl SegmentRecord {
    /// Its metrics, unless it failed.
    pub fn metrics(&self) -> Option<&SegmentMetrics> {
        match &self.ending {
            SegmentEnding::Measured(metrics) => Some(metrics),
            SegmentEnding::Failed { .. } => None,
        }
    }
}

impl Records<SegmentRecord> {
    /// The run of these settings with this seed, if it was made.
    pub fn find(&self, sky: &str, segmenter: &str, settings: &str, seed: u64) -> Option<&SegmentRecord> {
        let is =
            |r: &&SegmentRecord| r.sky == sky && r.segmenter == segmenter && r.settings == settings && r.seed == seed;
        self.all().iter().find(is)
    }
}
