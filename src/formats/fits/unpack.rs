//! From a file to FITS bytes: read under a limit, recognised by its first bytes, unpacked under a limit.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;

use super::Limits;
use super::file_error::FileError;

/// Reads a whole regular file of at most `limits.max_file_bytes`.
pub(super) fn read(path: &Path, band: &str, limits: &Limits) -> Result<Vec<u8>, FileError> {
    let fault = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => FileError::Missing { band: band.to_owned() },
        _ => FileError::Unreadable { source },
    };
    // Asked before opening: opening a pipe would wait for its writer.
    let about = std::fs::metadata(path).map_err(fault)?;
    if !about.is_file() {
        return Err(FileError::NotAFile);
    }
    let limit = limits.max_file_bytes;
    if about.len() > limit {
        return Err(FileError::FileTooLarge { bytes: about.len(), limit });
    }
    let mut bytes = Vec::with_capacity(about.len() as usize + 1);
    // The file may still be growing: what counts is what was read.
    File::open(path).and_then(|f| f.take(limit.saturating_add(1)).read_to_end(&mut bytes)).map_err(fault)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::FileTooLarge { bytes: bytes.len() as u64, limit });
    }
    Ok(bytes)
}

/// The FITS bytes inside `packed`, whatever its name says.
pub(super) fn unpack<'a>(packed: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, FileError> {
    match packed {
        [] => Err(FileError::Empty),
        [b'B', b'Z', b'h', ..] => drain("bzip2", MultiBzDecoder::new(packed), packed.len(), limits).map(Cow::Owned),
        [0x1f, 0x8b, ..] => drain("gzip", MultiGzDecoder::new(packed), packed.len(), limits).map(Cow::Owned),
        _ if packed.len() as u64 > limits.max_unpacked_bytes => {
            Err(FileError::Bomb { limit: limits.max_unpacked_bytes })
        }
        _ => Ok(Cow::Borrowed(packed)),
    }
}

fn drain(packing: &'static str, stream: impl Read, packed_bytes: usize, limits: &Limits) -> Result<Vec<u8>, FileError> {
    let limit = limits.max_unpacked_bytes;
    // Frames shrink about fourfold; the buffer grows from here if they shrank more.
    let expected = (packed_bytes as u64).saturating_mul(4).min(limit);
    let mut bytes = Vec::with_capacity(expected as usize);
    let outcome = stream.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    if bytes.len() as u64 > limit {
        return Err(FileError::Bomb { limit });
    }
    outcome.map_err(|source| FileError::Damaged { packing, source })?;
    if bytes.is_empty() { Err(FileError::Empty) } else { Ok(bytes) }
}
