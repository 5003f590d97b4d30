//! Why a folder could not be read or written.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use twinpeak_engine::ports::PortError;

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
    pub(super) fn of(action: &'static str, path: &Path, folder: &Path, source: io::Error) -> Self {
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
