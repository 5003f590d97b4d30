//! Why a data set cannot be read.

use std::io;
use std::path::PathBuf;

use safetensors::SafeTensorError;

/// Why a data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataSetError {
    /// A file cannot be read.
    #[error("data set: cannot read {path:?}: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no manifest: the making has not ended.
    #[error(
        "data set: {path:?} is not there: it is written last; run `twinpeak-lab dataset` with this --out to its end"
    )]
    Unfinished {
        /// The manifest.
        path: PathBuf,
    },
    /// A manifest that is none of this version.
    #[error("data set: {path:?} is no manifest of this version: {source}; make the data set again")]
    Manifest {
        /// Which.
        path: PathBuf,
        /// In the parser's words, with the line.
        source: Box<toml::de::Error>,
    },
    /// A manifest of another format.
    #[error("data set: {path:?} has format {found}, this program reads {expected}; make the data set again")]
    Format {
        /// Which.
        path: PathBuf,
        /// In the file.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// The data set is another survey's.
    #[error("data set: {path:?} is of the survey {found} with bands {bands}, not of {expected}; give its own survey")]
    OfAnotherSurvey {
        /// The manifest.
        path: PathBuf,
        /// Its survey.
        found: String,
        /// Its bands.
        bands: String,
        /// The survey that was asked for.
        expected: String,
    },
    /// A file that holds other bytes than were written.
    #[error(
        "data set: shard {path:?} is damaged ({damage}); delete it and run `twinpeak-lab dataset` as before: only it is made again"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        damage: Damage,
    },
}

/// What is wrong with a shard's bytes.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The bytes are not those that its own checksum was taken of.
    #[error("its bytes do not match its checksum")]
    Checksum,
    /// A whole file, but not the one that the manifest lists.
    #[error("its checksum is not the manifest's")]
    Foreign,
    /// The arrays cannot be told apart.
    #[error("{0}")]
    Layout(#[from] SafeTensorError),
    /// An array is missing, or of another type or length.
    #[error("array {name} is missing or of another type or length")]
    Column {
        /// Which.
        name: &'static str,
    },
    /// A cutout cannot be unpacked.
    #[error("cutout {index} cannot be unpacked")]
    Cutout {
        /// Which, from 0.
        index: usize,
    },
}
