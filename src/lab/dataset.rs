//! Data sets: objects from many frames, cut and measured once, read by every training.
//!
//! ```text
//! DIR/plan.toml                 what it is made of; written first, and held against what is asked when it is resumed
//! DIR/train/00000.features      the first image's objects, column by column (features.rs)
//! DIR/train/00000.cutouts       their 64x64x5 cutouts, in units of sky noise, packed (cutouts.rs)
//! DIR/validate/... DIR/test/...
//! DIR/dataset.toml              the manifest: plan, shards with checksums, constants of the transforms; written last
//! ```
//!
//! A shard is one image's objects and a function of that image alone; so a making that was interrupted goes on with the
//! first shard that is not there, and ends with the same bits. Every file ends with its checksum. Objects are those
//! that the daemon would classify, found and measured by its own stages: the paper's cutouts, neighbours masked,
//! centred to a fraction of a pixel.
//!
//! Nothing here says what an object is, and nothing below `learn` can name what would: where fields are simulated, that
//! lies in a folder beside this one, which only evaluation reads.

mod batches;
mod checksum;
mod cutouts;
mod error;
mod features;
mod manifest;
mod shard;
mod transform;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use twinpeak_core::survey::Survey;

pub use batches::{Batch, Batches, Order};
pub use cutouts::Cutouts;
pub use error::{Damage, DataSetError};
pub use features::{Features, ObjectFeatures, stamp};
pub use manifest::{Entry, FORMAT, FoundBy, MANIFEST, Manifest, Origin, Part, Parts, Plan};
pub use shard::{EncodedShard, Shard, shard_files, shard_name};
pub use transform::{Input, Magnitudes, Measuring, Softening, Standard, Standards, View};

/// Objects of the training part, about so many, that the transforms' constants are measured on.
const SAMPLE: usize = 2000;

/// A data set on disk.
#[derive(Clone, Debug)]
pub struct DataSet {
    folder: PathBuf,
    manifest: Manifest,
}

/// The manifest's format, whatever else it says.
#[derive(Deserialize)]
struct Versioned {
    plan: Version,
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl DataSet {
    /// Reads the manifest; shards are read when they are needed.
    ///
    /// # Errors
    /// [`DataSetError`] where there is none, or it is of another version.
    pub fn open(folder: &Path) -> Result<Self, DataSetError> {
        let path = folder.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => DataSetError::Unfinished { path: path.clone() },
            _ => DataSetError::Unreadable { path: path.clone(), source },
        })?;
        let no_manifest = |source| DataSetError::Manifest { path: path.clone(), source: Box::new(source) };
        let found = toml::from_str::<Versioned>(&text).map_err(no_manifest)?.plan.format;
        if found != FORMAT {
            return Err(DataSetError::Format { path, found, expected: FORMAT });
        }
        let manifest = toml::from_str(&text).map_err(no_manifest)?;
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// The same, where it must be of this survey.
    ///
    /// # Errors
    /// Those of [`Self::open`], and [`DataSetError::OfAnotherSurvey`].
    pub fn open_for(folder: &Path, survey: &Survey) -> Result<Self, DataSetError> {
        let set = Self::open(folder)?;
        let plan = &set.manifest.plan;
        if plan.is_of(survey) {
            return Ok(set);
        }
        Err(DataSetError::OfAnotherSurvey {
            path: folder.join(MANIFEST),
            found: plan.survey.clone(),
            bands: plan.bands.join(" "),
            expected: survey.profile().name.clone(),
        })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many objects a part has.
    pub fn len(&self, part: Part) -> usize {
        self.manifest.shards.get(part).iter().map(|entry| entry.objects).sum()
    }

    /// Whether a part has none.
    pub fn is_empty(&self, part: Part) -> bool {
        self.len(part) == 0
    }

    /// What is known of all objects of a part; 2 kB each. No cutout is read.
    ///
    /// # Errors
    /// [`DataSetError`] naming the shard.
    pub fn features(&self, part: Part) -> Result<Features, DataSetError> {
        let mut features = Features::default();
        let folder = self.folder_of(part);
        for entry in self.manifest.shards.get(part) {
            entry.read_features(&folder, &mut features)?;
        }
        Ok(features)
    }

    /// The cutouts of a part's first `limit` objects (`usize::MAX`: all), in batches of `size`.
    pub fn batches(&self, part: Part, order: Order, size: usize, limit: usize) -> Batches<'_> {
        Batches::new(self, part, order, size, limit)
    }

    fn folder_of(&self, part: Part) -> PathBuf {
        self.folder.join(part.name())
    }
}

/// Measures the constants of the transforms on a sample of the training part: as many objects of each shard, from its
/// first.
///
/// # Errors
/// [`DataSetError`] naming the shard.
pub fn standards(folder: &Path, training: &[Entry], survey: &Survey) -> Result<Standards, DataSetError> {
    let folder = folder.join(Part::Train.name());
    let mut measuring = Measuring::new(survey);
    let mut cutout = Vec::new();
    for entry in training {
        let mut features = Features::default();
        entry.read_features(&folder, &mut features)?;
        let cutouts = entry.read_cutouts(&folder)?;
        for (index, sky_sigma) in features.sky_sigma.iter().enumerate().take(SAMPLE.div_ceil(training.len())) {
            cutout.clear();
            cutouts.unpack(index, &mut cutout).map_err(|damage| {
                let (_, path) = shard_files(&folder, &entry.shard);
                DataSetError::Damaged { path, damage }
            })?;
            measuring.add(&cutout, sky_sigma);
        }
    }
    Ok(measuring.standards())
}
