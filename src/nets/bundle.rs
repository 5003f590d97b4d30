//! A model bundle: everything that a trained model is, in one folder.
//!
//! ```text
//! manifest.toml            recipe, sizes of the nets, what they were trained on, measured figures, file hashes
//! segmenter.safetensors    auto-encoder and head
//! classifier.safetensors   encoders, frozen batch norms, VAE encoders and star signs of all seeds; nets of colour
//! ```
//!
//! A bundle that loads is sound: every file is there and unaltered, is for this survey, and holds exactly the
//! tensors that the manifest's nets need. Its hash names it on every row.

mod manifest;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use twinpeak_core::drift::Expected;
use twinpeak_core::hex::hex;

pub use manifest::{COLOUR, ClassifierPart, FORMAT, Manifest, SegmenterPart, Training};

use super::parameters::{ParameterError, Parameters};

/// Name of the manifest's file in a bundle.
pub const MANIFEST: &str = "manifest.toml";
/// Name of the segmentation net's file.
pub const SEGMENTER: &str = "segmenter.safetensors";
/// Name of the classification nets' file.
pub const CLASSIFIER: &str = "classifier.safetensors";

/// A bundle in memory; plain numbers, so threads can share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    manifest: Manifest,
    segmenter: Parameters,
    classifier: Parameters,
    hash: String,
}

/// Why a bundle cannot be used. Every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read.
    #[error("model bundle: cannot read {path:?}: {source}; copy the bundle's folder again, with all three files")]
    Unreadable {
        /// File that could not be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("model bundle: cannot write {path:?}: {source}")]
    Unwritable {
        /// File that could not be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is not TOML, lacks a key, or has an unknown one.
    #[error("model bundle: {path:?} is no manifest of this version: {message}; train again or take another version")]
    Manifest {
        /// The manifest that could not be parsed.
        path: PathBuf,
        /// The parser's words, with the line.
        message: String,
    },
    /// A manifest of another format.
    #[error(
        "model bundle: {path:?} has format {found}, this program reads {FORMAT}; take the program's version that made it"
    )]
    Format {
        /// The manifest in question.
        path: PathBuf,
        /// Format that the file states.
        found: u32,
    },
    /// A value in the manifest that no bundle can have.
    #[error("model bundle: {path:?}: {problem}; train again")]
    Value {
        /// The manifest in question.
        path: PathBuf,
        /// Which value, and why not.
        problem: &'static str,
    },
    /// A file's bytes are not those that the manifest was written for.
    #[error(
        "model bundle: {path:?} is damaged or from another bundle (SHA-256 {found}, the manifest says {expected}); copy the bundle again"
    )]
    Hash {
        /// File whose bytes are others.
        path: PathBuf,
        /// SHA-256 of the file, hex.
        found: String,
        /// SHA-256 that the manifest states, hex.
        expected: String,
    },
    /// Made for another survey.
    #[error(
        "model bundle: {path:?} is for survey {found} with bands {found_bands}, this is {expected} with {expected_bands}; configure the survey's own bundle"
    )]
    Survey {
        /// The bundle's manifest.
        path: PathBuf,
        /// Name of the survey in the manifest.
        found: String,
        /// Bands in the manifest, in its order.
        found_bands: String,
        /// Name of the configured survey.
        expected: String,
        /// Bands of the configured survey.
        expected_bands: String,
    },
    /// Tensors that do not fit the nets.
    #[error("model bundle: {path:?}: {problem}; copy the bundle again or train again")]
    Parameters {
        /// File of the tensors.
        path: PathBuf,
        /// What does not fit.
        #[source]
        problem: ParameterError,
    },
}

impl Bundle {
    /// Puts a bundle together; fills in the files' hashes.
    ///
    /// # Errors
    /// [`BundleError::Parameters`] or [`BundleError::Value`] where the parts do not fit each other.
    pub fn new(mut manifest: Manifest, segmenter: Parameters, classifier: Parameters) -> Result<Self, BundleError> {
        let bytes = |p: &Parameters, name: &str| p.to_safetensors(None).map_err(|e| misfit(Path::new(name), e));
        let (s, c) = (bytes(&segmenter, SEGMENTER)?, bytes(&classifier, CLASSIFIER)?);
        manifest.files = [(SEGMENTER.to_owned(), sha256(&s)), (CLASSIFIER.to_owned(), sha256(&c))].into();
        let hash = bundle_hash(&manifest.to_toml(), &s, &c);
        let bundle = Self { manifest, segmenter, classifier, hash };
        bundle.check(Path::new(""))?;
        Ok(bundle)
    }

    /// Reads and checks a bundle for the survey `survey` with `bands`.
    ///
    /// # Errors
    /// [`BundleError`]
    pub fn load(folder: &Path, survey: &str, bands: &[String]) -> Result<Self, BundleError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| BundleError::Unreadable { path, source })
        };
        let path = folder.join(MANIFEST);
        let text = read(MANIFEST)?;
        let manifest = Manifest::parse(&path, &text)?;
        if manifest.survey != survey || manifest.bands != bands {
            let (found, found_bands) = (manifest.survey, manifest.bands.join(" "));
            let (expected, expected_bands) = (survey.to_owned(), bands.join(" "));
            return Err(BundleError::Survey { path, found, found_bands, expected, expected_bands });
        }
        let file = |name: &str| {
            let (path, bytes) = (folder.join(name), read(name)?);
            let found = sha256(&bytes);
            let expected = manifest.files.get(name).cloned().unwrap_or_else(|| "nothing".to_owned());
            if found != expected {
                return Err(BundleError::Hash { path, found, expected });
            }
            let parameters = Parameters::from_safetensors(&bytes).map_err(|problem| misfit(&path, problem))?;
            Ok((bytes, parameters))
        };
        let ((s, segmenter), (c, classifier)) = (file(SEGMENTER)?, file(CLASSIFIER)?);
        let hash = bundle_hash(&String::from_utf8_lossy(&text), &s, &c);
        let bundle = Self { manifest, segmenter, classifier, hash };
        bundle.check(folder)?;
        Ok(bundle)
    }

    /// Writes the bundle's folder: beside `folder` first, then renamed, so that it appears whole. A bundle that
    /// stands there is replaced.
    ///
    /// # Errors
    /// [`BundleError::Unwritable`]
    pub fn save(&self, folder: &Path) -> Result<(), BundleError> {
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |source| BundleError::Unwritable { path, source }
        };
        let mut aside = folder.as_os_str().to_owned();
        aside.push(".new");
        let (aside, mut old) = (PathBuf::from(aside), folder.as_os_str().to_owned());
        old.push(".old");
        let old = PathBuf::from(old);
        for stale in [&aside, &old] {
            if stale.exists() {
                fs::remove_dir_all(stale).map_err(unwritable(stale))?;
            }
        }
        fs::create_dir_all(&aside).map_err(unwritable(&aside))?;
        let bytes = |p: &Parameters, name: &str| p.to_safetensors(None).map_err(|e| misfit(&folder.join(name), e));
        let files = [
            (SEGMENTER, bytes(&self.segmenter, SEGMENTER)?),
            (CLASSIFIER, bytes(&self.classifier, CLASSIFIER)?),
            (MANIFEST, self.manifest.to_toml().into_bytes()),
        ];
        for (name, bytes) in files {
            let path = aside.join(name);
            let written = fs::File::create(&path).and_then(|mut f| f.write_all(&bytes).and_then(|()| f.sync_all()));
            written.map_err(unwritable(&path))?;
        }
        if folder.exists() {
            fs::rename(folder, &old).map_err(unwritable(folder))?;
        }
        fs::rename(&aside, folder).map_err(unwritable(folder))?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(unwritable(&old))?;
        }
        Ok(())
    }

    /// The same with these measured figures beside those that it has, or in their place.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_figures(&self, figures: BTreeMap<String, f64>) -> Result<Self, BundleError> {
        let mut manifest = self.manifest.clone();
        manifest.figures.extend(figures);
        Self::new(manifest, self.segmenter.clone(), self.classifier.clone())
    }

    /// The same bundle that says what its training frames were like.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_expected(&self, expected: Expected) -> Result<Self, BundleError> {
        let manifest = Manifest { expected: Some(expected), ..self.manifest.clone() };
        Self::new(manifest, self.segmenter.clone(), self.classifier.clone())
    }

    /// All that is not weights.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Weights of the segmentation net.
    pub fn segmenter(&self) -> &Parameters {
        &self.segmenter
    }

    /// Weights of the classification nets.
    pub fn classifier(&self) -> &Parameters {
        &self.classifier
    }

    /// SHA-256 over the three files, lower-case hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    fn check(&self, folder: &Path) -> Result<(), BundleError> {
        self.manifest.check(&folder.join(MANIFEST))?;
        let (segmenter, classifier) = (&self.manifest.segmenter, &self.manifest.classifier);
        let at = |name: &str| folder.join(name);
        self.segmenter.check(&segmenter.parameters()).map_err(|e| misfit(&at(SEGMENTER), e))?;
        self.classifier.check(&classifier.parameters()).map_err(|e| misfit(&at(CLASSIFIER), e))
    }
}

fn misfit(path: &Path, problem: ParameterError) -> BundleError {
    BundleError::Parameters { path: path.to_owned(), problem }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn bundle_hash(manifest: &str, segmenter: &[u8], classifier: &[u8]) -> String {
    let mut all = Sha256::new();
    for part in [manifest.as_bytes(), segmenter, classifier] {
        // Lengths too, so that no two different triples give the same stream.
        all.update((part.len() as u64).to_le_bytes());
        all.update(part);
    }
    hex(&all.finalize())
}

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
