//! Claim checks: objects named by the SHA-256 of their bytes, and by an ending that says whose they are: the same bytes
//! stored again by the same owner are one object, and no owner ever removes another's.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::ObjectStoreError;
use crate::message::Uri;
use twinpeak_core::hex::hex;

/// Where claim checks are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Objects {
    /// Nowhere.
    None,
    /// Below a folder.
    Folder(PathBuf),
    /// In a bucket, below a prefix.
    Bucket { bucket: String, prefix: String },
}

impl Objects {
    /// By the URI of the folder or prefix; nothing for nowhere.
    ///
    /// # Errors
    /// [`ObjectStoreError::Setting`] where it is no such URI.
    pub fn parse(text: &str) -> Result<Self, ObjectStoreError> {
        let refuse = |problem| ObjectStoreError::Setting { key: "objects", problem };
        if text.is_empty() {
            return Ok(Self::None);
        }
        match text.trim_end_matches('/').parse() {
            Ok(Uri::File(folder)) => Ok(Self::Folder(folder)),
            Ok(Uri::S3 { bucket, key }) => Ok(Self::Bucket { bucket, prefix: key }),
            Err(problem) => Err(refuse(format!("{problem} (file:///folder or s3://bucket/prefix, or nothing)"))),
        }
    }

    /// The place of an object by its digest; nowhere: none.
    pub fn place(&self, sha256: &str, ending: &str) -> Option<Uri> {
        let (shelf, name) = (&sha256[..2], format!("{sha256}.{ending}"));
        match self {
            Self::None => None,
            Self::Folder(folder) => Some(Uri::File(folder.join(shelf).join(name))),
            Self::Bucket { bucket, prefix } => {
                Some(Uri::S3 { bucket: bucket.clone(), key: format!("{prefix}/{shelf}/{name}") })
            }
        }
    }

    /// Whether a place is one that [`Objects::place`] gives: no other is ever removed.
    pub fn holds(&self, uri: &Uri) -> bool {
        let name = match uri {
            Uri::File(path) => path.file_name().and_then(|name| name.to_str()),
            Uri::S3 { key, .. } => key.rsplit('/').next(),
        };
        let Some((sha256, ending)) = name.and_then(|name| name.split_once('.')) else { return false };
        let digest = sha256.len() == 64 && sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        digest && is_ending(ending) && self.place(sha256, ending).as_ref() == Some(uri)
    }
}

/// Letters, digits and single dots.
pub(super) fn is_ending(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_where_its_bytes_say() {
        let digest = sha256(b"abc");
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        for place in ["file:///srv/objects", "file:///srv/objects/", "s3://bucket/some/prefix"] {
            let objects = Objects::parse(place).unwrap();
            let uri = objects.place(&digest, "masks.fits").unwrap();
            let expected = format!("{}/ba/{digest}.masks.fits", place.trim_end_matches('/'));
            assert_eq!(uri.to_string(), expected);
            assert!(objects.holds(&uri));
        }
        assert_eq!(Objects::parse("").unwrap().place(&digest, "fits"), None);
    }

    #[test]
    fn only_objects_of_ours_are_held() {
        let objects = Objects::parse("file:///srv/objects").unwrap();
        let digest = sha256(b"abc");
        let file = |path: &str| Uri::File(format!("/srv/{path}").into());
        for other in [
            file(&format!("other/ba/{digest}.fits")),
            file(&format!("objects/bb/{digest}.fits")),
            file(&format!("objects/ba/../ba/{digest}.fits")),
            file(&format!("objects/ba/{digest}")),
            file(&format!("objects/ba/{digest}./x")),
            file("objects/ba/notes.fits"),
            Uri::S3 { bucket: "srv".into(), key: format!("objects/ba/{digest}.fits") },
        ] {
            assert!(!objects.holds(&other), "{other}");
        }
    }
}
