//! Files that know whether they are whole: the SHA-256 of all that comes before is their last 32 bytes.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Damage, DataSetError};
use twinpeak_core::hex::hex;

/// Length of a checksum (SHA-256), bytes.
const LENGTH: usize = 32;

/// Appends to `bytes` the checksum of them.
pub(super) fn append(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

/// The checksum that a whole file's bytes end with, hexadecimal.
pub(super) fn of(whole: &[u8]) -> String {
    let from = whole.len().saturating_sub(LENGTH);
    hex(&whole[from..])
}

/// The file's content and its checksum, hexadecimal; `expected` is the manifest's word for it.
///
/// # Errors
/// [`DataSetError`] where it cannot be read, is damaged, or is not the one expected.
pub(super) fn read(path: &Path, expected: Option<&str>) -> Result<(Vec<u8>, String), DataSetError> {
    let damaged = |damage| DataSetError::Damaged { path: path.to_owned(), damage };
    let mut bytes = fs::read(path).map_err(|source| DataSetError::Unreadable { path: path.to_owned(), source })?;
    let content = bytes.len().checked_sub(LENGTH).ok_or_else(|| damaged(Damage::Checksum))?;
    if Sha256::digest(&bytes[..content])[..] != bytes[content..] {
        return Err(damaged(Damage::Checksum));
    }
    let digest = of(&bytes);
    if expected.is_some_and(|expected| expected != digest) {
        return Err(damaged(Damage::Foreign));
    }
    bytes.truncate(content);
    Ok((bytes, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000.features");
        let whole = append(b"content".to_vec());
        fs::write(&path, &whole).unwrap();
        assert_eq!(read(&path, Some(&of(&whole))).unwrap(), (b"content".to_vec(), of(&whole)));
        let says = |bytes: &[u8], expected| {
            fs::write(&path, bytes).unwrap();
            read(&path, expected).unwrap_err().to_string()
        };
        for i in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[i] ^= 1;
            let told = says(&bytes, None);
            assert!(told.contains("00000.features") && told.contains("does not match") | told.contains("do not match"));
            assert!(says(&whole[..i], None).contains("damaged"));
        }
        assert!(says(&whole, Some("00")).contains("not the manifest's"));
    }
}
