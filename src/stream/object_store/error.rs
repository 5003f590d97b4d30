//! What can go wrong between a URI and its bytes.

use std::io;

use crate::message::Uri;

/// Why bytes could not be had, kept or removed: one line that names the place and what to do, and no secret.
#[derive(Debug, thiserror::Error)]
pub enum ObjectStoreError {
    /// A place that the configuration does not allow; nothing was asked of it.
    #[error("{uri}: {ban}")]
    Forbidden {
        /// URI of the object or file.
        uri: Uri,
        /// Rule of the configuration that forbids it.
        ban: DenyReason,
    },
    /// Nothing is there.
    #[error("{uri}: not found: put it there, then send the message again")]
    NotFound {
        /// URI of the object or file.
        uri: Uri,
    },
    /// A folder, pipe, socket or device.
    #[error("{uri}: is no regular file: name one")]
    NotAFile {
        /// URI of the object or file.
        uri: Uri,
    },
    /// Over the limit; no more than the limit was read.
    #[error("{uri}: at least {bytes} bytes, over the limit of {limit}: raise input.max_file_bytes, or shrink the file")]
    TooLarge {
        /// URI of the object or file.
        uri: Uri,
        /// Length that was declared or read, bytes.
        bytes: u64,
        /// `input.max_file_bytes`.
        limit: u64,
    },
    /// No answer in time, tries included.
    #[error("{uri}: no answer within {after_s} s: look after the disk or store, or raise remote.{key}")]
    Timeout {
        /// URI of the object or file.
        uri: Uri,
        /// The key of the limit that was hit.
        key: &'static str,
        /// The limit in seconds.
        after_s: u32,
    },
    /// The store cannot be reached, or answers only with faults of its own, tries included.
    #[error("{uri}: the object store cannot serve ({problem}): look after it, or after remote.s3_endpoint")]
    Unreachable {
        /// URI of the object or file.
        uri: Uri,
        /// Last failure of the connection or the store.
        problem: String,
    },
    /// The store says no.
    #[error(
        "{uri}: the object store refuses with {status}{}: let the credentials read, list and write the bucket",
        spaced(code)
    )]
    Refused {
        /// URI of the object or file.
        uri: Uri,
        /// HTTP status.
        status: u16,
        /// S3's, such as `AccessDenied`; empty where it gave none.
        code: String,
    },
    /// No room left; nothing half-written is seen.
    #[error("{uri}: could not be written: no room left ({source})")]
    Full {
        /// URI of the object or file.
        uri: Uri,
        /// In the system's words.
        source: io::Error,
    },
    /// Anything else that the system refuses.
    #[error("{uri}: cannot {action}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// URI of the object or file.
        uri: Uri,
        /// In the system's words.
        source: io::Error,
    },
    /// Asked to keep something without a place for it.
    #[error("there is no place for large objects: set remote.objects")]
    NoObjects,
    /// Given up because the program is ending.
    #[error("{uri}: given up, the program is ending")]
    Stopped {
        /// URI of the object or file.
        uri: Uri,
    },
    /// A setting that cannot be used.
    #[error("remote.{key}: {problem}")]
    Setting {
        /// Key below `[remote]`.
        key: &'static str,
        /// What is wrong, and what would do.
        problem: String,
    },
    /// No threads to work on.
    #[error("cannot start the threads that fetch files: {0}")]
    Start(#[source] io::Error),
}

/// Why the configuration forbids a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DenyReason {
    /// A file elsewhere, links resolved.
    #[error("not below any of remote.file_roots, links resolved")]
    OutsideRoots,
    /// A bucket that is not named.
    #[error("not in any of remote.s3_buckets")]
    ForeignBucket,
    /// A key that cannot be asked for as it is written.
    #[error("the key has empty or relative parts")]
    OddKey,
    /// To be removed, but never stored by this program.
    #[error("not one of the objects below remote.objects")]
    NotOurs,
}

impl ObjectStoreError {
    /// Whether the same may go well later, with nothing changed but the world.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Unreachable { .. } | Self::Full { .. } | Self::Stopped { .. } => true,
            Self::Io { source, .. } => source.raw_os_error().is_some_and(|code| PASSING.contains(&code)),
            Self::Forbidden { .. } | Self::NotFound { .. } | Self::NotAFile { .. } | Self::TooLarge { .. } => false,
            Self::Refused { .. } | Self::NoObjects | Self::Setting { .. } | Self::Start(_) => false,
        }
    }

    /// What a failure of the system at a place means.
    pub(super) fn of(action: &'static str, uri: &Uri, source: io::Error) -> Self {
        let uri = uri.clone();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound { uri },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { uri, source },
            _ => Self::Io { action, uri, source },
        }
    }
}

fn spaced(code: &str) -> String {
    if code.is_empty() { String::new() } else { format!(" {code}") }
}

/// Faults of a disk, a mount or this process that pass.
const PASSING: [i32; 9] = [
    libc::ENOENT, // of a folder to write in; a file to read would be `NotFound`
    libc::EIO,
    libc::ESTALE,
    libc::ETIMEDOUT,
    libc::EHOSTDOWN,
    libc::EMFILE,
    libc::ENFILE,
    libc::ENOMEM,
    libc::EINTR,
];
