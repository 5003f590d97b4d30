//! The part of the plan that is about finding objects: `[[hypercolumn]]` and `[[segmenter]]` of `config/study.toml`,
//! and each sky's frames.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clusters::ClusterRule;
use crate::hypercolumn::Settings;
use crate::study::Supervision;
use twinpeak_core::hex::hex;
use twinpeak_nets::segmentation::Level;

/// Whole frames of a sky.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fields {
    /// From the simulator; nights and PSFs to learn from are others than those of the test.
    Simulated {
        /// Seed of the simulated nights.
        seed: u64,
        /// Width of a field, px.
        width: usize,
        /// Height of a field, px.
        height: usize,
        /// Number of frames to learn from.
        training: usize,
        /// Frames on which objects are looked for.
        test: usize,
    },
    /// Frames that lie on disk.
    Frames {
        /// A folder of frames, or of folders of frames.
        folder: PathBuf,
        /// The images on which objects are looked for; the others are learned from.
        test: Vec<String>,
    },
}

/// A net whose hypercolumns tell objects from the sky.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hypercolumn {
    /// Its name, by which segmenters ask for it.
    pub name: String,
    /// How the net is trained.
    #[serde(default)]
    pub net: Settings,
}

/// A row of the tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmenterRow {
    /// Name of the segmenter in tables and records.
    pub name: String,
    /// Section or figure of the paper, or what else it comes from.
    pub source: String,
    /// How often it is repeated.
    pub seeds: usize,
    /// What scores its pixels.
    pub how: Finder,
    /// Whether the panels show it.
    #[serde(default)]
    pub shown: bool,
}

/// From five bands to a score of each pixel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Finder {
    /// SExtractor's default rule (3x3 filter, 5 px) on one image.
    SextractorRule {
        /// The image that the rule is applied to.
        on: Image,
    },
    /// The program itself, on the reference band.
    Sextractor,
    /// The matched filter of [`twinpeak_core::threshold`] on the weighted sum of all bands.
    MatchedFilter,
    /// The net of the shipped bundle, with the bundle's thresholds as its own.
    Shipped,
    /// A net trained end to end on sources injected into the frames' own noise: what ships, on these frames.
    Injection,
    /// Hypercolumns of a net, made into a score.
    Hypercolumns {
        /// Name of the net in the plan.
        of: String,
        /// What is made of them.
        step: Grouping,
        /// Levels that enter a linear head's hypercolumn, if not all.
        #[serde(default)]
        levels: Option<Vec<Level>>,
    },
}

/// A single image made of the bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Image {
    /// The reference band alone.
    Reference,
    /// The weighted sum of the three shape bands.
    ShapeSum,
}

/// From hypercolumns to a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// The nearer of two centres.
    KMeans,
    /// The likelier of two Gaussians.
    Mixture,
    /// The linear head that a classical rule teaches.
    Head,
}

impl Grouping {
    /// As `clusters` calls it; a head is no clustering.
    pub(super) fn rule(self) -> Option<ClusterRule> {
        match self {
            Self::KMeans => Some(ClusterRule::KMeans),
            Self::Mixture => Some(ClusterRule::Mixture),
            Self::Head => None,
        }
    }
}

impl Finder {
    /// Whether the segmenter has learned from frames or from nothing.
    pub fn supervision(&self) -> Supervision {
        match self {
            Self::Shipped | Self::Injection | Self::Hypercolumns { .. } => Supervision::LabelFree,
            _ => Supervision::Baseline,
        }
    }

    /// The net that it builds on.
    pub fn hypercolumn(&self) -> Option<&str> {
        match self {
            Self::Hypercolumns { of, .. } => Some(of),
            _ => None,
        }
    }
}

/// Tells a segmenter's settings, with all it builds on, from any other's: 16 hex digits. `shipped` names the bundle's
/// net and thresholds; the rest of a bundle finds no objects.
pub fn fingerprint(segmenter: &SegmenterRow, net: Option<&Hypercolumn>, data_sha256: &str, shipped: &str) -> String {
    let shipped = if segmenter.how == Finder::Shipped { shipped } else { "" };
    let all = format!("{data_sha256} {:?} {net:?} {shipped} {}", segmenter.how, env!("CARGO_PKG_VERSION"));
    hex(&Sha256::digest(all)[..8])
}
