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
        /// File that could not be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no manifest: the making has not ended.
    #[error(
        "data set: {path:?} is not there: it is written last; run `twinpeak-lab dataset` with this --out to its end"
    )]
    Unfinished {
        /// The manifest that is missing.
        path: PathBuf,
    },
    /// A manifest that is none of this version.
    #[error("data set: {path:?} is no manifest of this version: {source}; make the data set again")]
    Manifest {
        /// The manifest that could not be parsed.
        path: PathBuf,
        /// In the parser's words, with the line.
        source: Box<toml::de::Error>,
    },
    /// A manifest of another format.
    #[error("data set: {path:?} has format {found}, this program reads {expected}; make the data set again")]
    Format {
        /// The manifest in question.
        path: PathBuf,
        /// Format that the file states.
        found: u32,
        /// Format that this program reads.
        expected: u32,
    },
    /// The data set is another survey's.
    #[error("data set: {path:?} is of the survey {found} with bands {bands}, not of {expected}; give its own survey")]
    OfAnotherSurvey {
        /// The data set's manifest.
        path: PathBuf,
        /// Name of the survey that the data set is of.
        found: String,
        /// The data set's bands, in its order.
        bands: String,
        /// The survey that was asked for.
        expected: String,
    },
    /// A file that holds other bytes than were written.
    #[error(
        "data set: shard {path:?} is damaged ({damage}); delete it and run `twinpeak-lab dataset` as before: only it is made again"
    )]
    Damaged {
        /// The shard's damaged file.
        path: PathBuf,
        /// What is wrong with its bytes.
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
        /// Name of the array.
        name: &'static str,
    },
    /// A cutout cannot be unpacked.
    #[error("cutout {index} cannot be unpacked")]
    Cutout {
        /// Index of the cutout in its shard, from 0.
        index: usize,
    },
}
