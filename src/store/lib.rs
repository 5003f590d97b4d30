//! Files in, files out: a watched folder or a list of files as source, a folder of results as sink.
//!
//! What a folder of results holds, for each image: `<id>.catalog.fits`, `<id>.catalog.parquet`,
//! `<id>.masks.fits`, `<id>.quicklook.png`, on request `<id>.catalog.avro`, and last `<id>.done.json`, whose
//! presence says that the set is whole; or `rejected/<id>.json`. `.twinpeak/` beside them is the [`Ledger`]: who owns
//! the folder, and which images are being worked on.
//!
//! Every file appears whole or not at all (see [`write_file`]). The same input gives the same bytes; the one
//! exception is `timings_s` in `<id>.done.json`.
//!
//! # What it may know
//!
//! `twinpeak-core`, `twinpeak-engine` (its ports, which are implemented here) and `twinpeak-formats` (what files are
//! made of). It never knows a broker, an object store, nets or the configuration: how frames are read and tables are
//! written comes in as closures ([`Loader`], [`Encoders`]).
//!
//! # The parts
//!
//! In the order in which a frame meets them:
//!
//! | file | what |
//! | --- | --- |
//! | `field` | the files of one field, band by band, and what is wrong with them |
//! | `watch`, `inbox` | when a field that arrives file by file is ready; [`Inbox`], the watched folder as a source |
//! | `files` | [`FileList`], the frames that somebody names as a source |
//! | `ledger` | [`Ledger`] and [`Lease`]: an image is claimed on disk before the work begins |
//! | `sink`, `record` | [`DirectorySink`]: a set of files appears together, its [`DoneRecord`] last |
//! | `file_set` | [`write_file`]: written aside, synced, renamed |
//! | `night`, `past` | what a folder says of its images, read back |
//!
//! # An image, begun and finished
//!
//! ```
//! use twinpeak_core::frame::ImageId;
//! use twinpeak_store::{Ledger, write_file};
//!
//! let folder = tempfile::tempdir()?;
//! let ledger = Ledger::open(folder.path())?;
//! assert!(Ledger::open(folder.path()).is_err(), "a folder has one owner");
//!
//! let image = ImageId::new("003918-3-0213")?;
//! let lease = ledger.claim(&image)?.ok_or("it is done or in work")?;
//! assert!(ledger.works_on(&image) && ledger.claim(&image)?.is_none());
//!
//! write_file(folder.path(), "003918-3-0213.done.json", b"{}")?;
//! lease.release()?;
//! assert!(ledger.finished()?.contains("003918-3-0213"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod field;
mod file_set;
mod files;
mod inbox;
mod ledger;
mod night;
mod past;
mod record;
mod sink;
#[cfg(test)]
mod testing;
mod watch;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use file_set::write_file;
pub use files::{Fields, FileList};
pub use inbox::Inbox;
pub use ledger::{Lease, Ledger, MAX_ATTEMPTS};
pub use night::Night;
pub use past::{Past, past};
pub use record::{DoneFile, DoneRecord, ModelName, RejectedRecord};
pub use sink::{CatalogAvro, DirectorySink, Encoders};
pub use watch::WatchTimeouts;

use twinpeak_core::frame::{Frame, ImageId, PerBand};
use twinpeak_core::outcome::Rejection;
use twinpeak_engine::ports::PortError;

/// Reads and decodes the five files of an image, given in band order.
pub type Loader = Arc<dyn Fn(&ImageId, &PerBand<PathBuf>) -> Result<Frame, Rejection> + Send + Sync>;

/// Why a folder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room left: the disk, the quota or the limit on a file's size is reached.
    #[error("{path:?} could not be written: no room left ({source}); nothing half-written was kept")]
    Full {
        /// Path of the file.
        path: PathBuf,
        /// In the system's words.
        source: io::Error,
    },
    /// A folder that was there has gone, e.g. its disk was unmounted.
    #[error("the folder {folder:?} has vanished")]
    Vanished {
        /// Path of the folder.
        folder: PathBuf,
    },
    /// Another process writes to the same folder.
    #[error("{folder:?} is in use by another twinpeak: stop it, or choose another output folder")]
    InUse {
        /// Path of the folder.
        folder: PathBuf,
    },
    /// Anything else that the system refuses.
    #[error("cannot {action} {path:?}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// In the system's words.
        source: io::Error,
    },
    /// A record of this program that does not say what it should.
    #[error("{path:?} is no record of this version: {source}")]
    NotRecord {
        /// Path of the file.
        path: PathBuf,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// Results that could not be turned into a file.
    #[error("{file:?} could not be encoded: {source}")]
    Encode {
        /// Name of the file, without its folder.
        file: String,
        /// In the encoder's words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// The file or folder that could not be read or written.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Full { path, .. } | Self::Io { path, .. } | Self::NotRecord { path, .. } => Some(path),
            Self::Vanished { folder } | Self::InUse { folder } => Some(folder),
            Self::Encode { .. } => None,
        }
    }

    /// What a failure of the system on `path`, a file in `folder`, means.
    fn of(action: &'static str, path: &Path, folder: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full { path, source },
            _ if !folder.is_dir() => Self::Vanished { folder: folder.to_owned() },
            _ => Self::Io { action, path, source },
        }
    }
}

impl From<StoreError> for PortError {
    /// Room may be made and a network disk may come back; what else goes wrong needs a person.
    fn from(error: StoreError) -> Self {
        let retry = match &error {
            StoreError::Full { .. } => true,
            StoreError::Io { source, .. } => matches!(
                source.kind(),
                ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::StaleNetworkFileHandle
            ),
            _ => false,
        };
        if retry { Self::Retry(Box::new(error)) } else { Self::Fatal(Box::new(error)) }
    }
}
