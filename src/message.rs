//! Stands in for the module of new-image messages: only where a file lies.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A place that can be read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uri {
    /// A file.
    File(PathBuf),
    /// An object.
    S3 {
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
    },
}

/// Why a text is no such place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write file:///absolute/path or s3://bucket/key")]
pub struct UriError;

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if let Some(path) = text.strip_prefix("file://") {
            return if path.starts_with('/') { Ok(Self::File(path.into())) } else { Err(UriError) };
        }
        let (bucket, key) = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).ok_or(UriError)?;
        Ok(Self::S3 { bucket: bucket.into(), key: key.into() })
    }
}
