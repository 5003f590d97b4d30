//! `dataset.toml`: what a data set is made of, and which files it is.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::transform::Standards;
use twinpeak_core::frame::PerBand;
use twinpeak_core::hex::hex;
use twinpeak_core::survey::Survey;

/// Version of the files' layout.
pub const FORMAT: u32 = 1;
/// Name of the manifest; written last.
pub const MANIFEST: &str = "dataset.toml";

/// The parts of a data set. No image is in two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What nets are trained on.
    Train,
    /// What choices are made on.
    Validate,
    /// What figures are reported on.
    Test,
}

impl Part {
    /// All, in the order in which they are made.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validate, Self::Test];

    /// The name of its folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validate => "validate",
            Self::Test => "test",
        }
    }
}

/// One value for each part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts<T> {
    /// That of [`Part::Train`].
    pub train: T,
    /// That of [`Part::Validate`].
    pub validate: T,
    /// That of [`Part::Test`].
    pub test: T,
}

impl<T> Parts<T> {
    /// Each part's, from a function of it.
    pub fn of(mut make: impl FnMut(Part) -> T) -> Self {
        Self { train: make(Part::Train), validate: make(Part::Validate), test: make(Part::Test) }
    }

    /// The value of one part.
    pub fn get(&self, part: Part) -> &T {
        match part {
            Part::Train => &self.train,
            Part::Validate => &self.validate,
            Part::Test => &self.test,
        }
    }

    /// The value of one part, to be changed.
    pub fn get_mut(&mut self, part: Part) -> &mut T {
        match part {
            Part::Train => &mut self.train,
            Part::Validate => &mut self.validate,
            Part::Test => &mut self.test,
        }
    }
}

/// All that decides a data set's bits: two with the same plan are the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Format of the data set: [`FORMAT`].
    pub format: u32,
    /// Version of the program that made it.
    pub software_version: String,
    /// Name of the survey that the frames are of.
    pub survey: String,
    /// Its bands, in the order of the cutouts.
    pub bands: PerBand<String>,
    /// Objects in each part: as many from the simulator; at most as many from frames.
    pub objects: Parts<usize>,
    /// What found the objects on the frames.
    pub found_by: FoundBy,
    /// Where the frames come from.
    pub origin: Origin,
}

impl Plan {
    /// Tells what was asked for from anything else. Two sets of one origin agree but for rounding: another processor,
    /// or another program that finds the same objects, changes the last bits of a cutout and no conclusion.
    pub fn origin(&self) -> String {
        let Self { format: _, software_version: _, survey, bands, objects, found_by, origin } = self;
        let all = format!("{survey} {bands:?} {objects:?} {found_by:?} {origin:?}");
        hex(&Sha256::digest(all))
    }

    /// Whether it is of this survey.
    pub fn is_of(&self, survey: &Survey) -> bool {
        let profile = survey.profile();
        self.survey == profile.name && self.bands == profile.bands.planes
    }
}

/// What found the objects of a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// The matched filter, which needs no training.
    MatchedFilter,
    /// The segmentation net of a bundle, which learned without labels.
    Bundle {
        /// Checksum of that net's weights: what else stands in a bundle finds nothing.
        segmenter_sha256: String,
    },
}

/// Where the frames come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Fields that the simulator draws.
    Simulated {
        /// Seed of each part's night.
        nights: Parts<u64>,
        /// Pixels in a row of a field.
        width: usize,
        /// Rows of a field.
        height: usize,
        /// Whether as many objects of each magnitude, instead of the sky's counts.
        flat: bool,
    },
    /// Frames that lie on disk.
    Frames {
        /// The images of each part, in order.
        images: Parts<Vec<String>>,
    },
}

/// One shard: the objects of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The files' name without ending, in the part's folder.
    pub shard: String,
    /// Name of the image.
    pub image: String,
    /// Number of objects in the shard.
    pub objects: usize,
    /// SHA-256 of `SHARD.features`, hex.
    pub features_sha256: String,
    /// SHA-256 of `SHARD.cutouts`, hex.
    pub cutouts_sha256: String,
}

/// A data set's manifest: what was asked for, and the files that came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What it is made of.
    pub plan: Plan,
    /// Constants by which pixels are standardised, measured on the training part.
    pub standards: Standards,
    /// The files, in their order.
    pub shards: Parts<Vec<Entry>>,
}

impl Manifest {
    /// Tells this data from any other: the checksums of the training part's shards, which tell all that is learned
    /// from.
    pub fn fingerprint(&self) -> String {
        let sums = self.shards.train.iter().map(|entry| entry.cutouts_sha256.as_str());
        hex(&Sha256::digest(sums.collect::<String>()))
    }
}
