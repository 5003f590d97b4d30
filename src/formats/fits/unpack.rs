//! From a file to FITS bytes: read under a limit, recognised by its first bytes, unpacked under a limit.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;

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

/// How a file is packed.
struct Packing {
    name: &'static str,
    /// The bytes with which each member begins.
    magic: &'static [u8],
    /// Bytes that a member holds at least on the average, beyond the first thousand: beginning one costs time, and a file
    /// can be nothing but beginnings. Tools that pack in parallel make a member of each 64 KiB (bgzip) to 900 kB (pbzip2).
    member_bytes: u64,
}

const GZIP: Packing = Packing { name: "gzip", magic: &[0x1f, 0x8b], member_bytes: 1 << 10 };
const BZIP2: Packing = Packing { name: "bzip2", magic: b"BZh", member_bytes: 1 << 14 };

/// Members that a file may have whatever they hold.
const MEMBERS: u64 = 1000;

/// The FITS bytes inside `packed`, whatever its name says. As gunzip and bunzip2 do, members one behind the other are one
/// file, and what follows the last is ignored: zeros that fill a block, or anything else that is no member.
pub(super) fn unpack<'a>(packed: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, FileError> {
    if packed.is_empty() {
        Err(FileError::Empty)
    } else if packed.starts_with(BZIP2.magic) {
        drain(&BZIP2, packed, limits, BzDecoder::new, BzDecoder::into_inner).map(Cow::Owned)
    } else if packed.starts_with(GZIP.magic) {
        drain(&GZIP, packed, limits, GzDecoder::new, GzDecoder::into_inner).map(Cow::Owned)
    } else if packed.len() as u64 > limits.max_unpacked_bytes {
        Err(FileError::Bomb { limit: limits.max_unpacked_bytes })
    } else {
        Ok(Cow::Borrowed(packed))
    }
}

fn drain<'a, Member: Read>(
    packing: &Packing,
    packed: &'a [u8],
    limits: &Limits,
    begin: impl Fn(&'a [u8]) -> Member,
    rest: impl Fn(Member) -> &'a [u8],
) -> Result<Vec<u8>, FileError> {
    let limit = limits.max_unpacked_bytes;
    // Frames shrink about fourfold; the buffer grows from here if they shrank more.
    let expected = (packed.len() as u64).saturating_mul(4).min(limit);
    let mut bytes = Vec::with_capacity(expected as usize);
    let mut left = packed;
    let mut members = 0;
    while left.starts_with(packing.magic) {
        members += 1;
        if members > MEMBERS + bytes.len() as u64 / packing.member_bytes {
            return Err(FileError::Crumbs { packing: packing.name, members });
        }
        let mut member = begin(left);
        let outcome = member.by_ref().take((limit - bytes.len() as u64).saturating_add(1)).read_to_end(&mut bytes);
        if bytes.len() as u64 > limit {
            return Err(FileError::Bomb { limit });
        }
        outcome.map_err(|source| FileError::Damaged { packing: packing.name, source })?;
        left = rest(member);
    }
    if bytes.is_empty() { Err(FileError::Empty) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const LIMITS: Limits = Limits { max_file_bytes: 1 << 30, max_unpacked_bytes: 1 << 20, max_pixels: 1 };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    type Packer = fn(&[u8]) -> Vec<u8>;
    const PACKERS: [Packer; 2] = [gzip, bzip2];

    #[test]
    fn files_are_unpacked_as_by_gunzip_and_bunzip2() {
        let text: Vec<u8> = (0..9000_u32).flat_map(|i| (i * i).to_le_bytes()).collect();
        for pack in PACKERS {
            let whole = pack(&text);
            let members = [pack(&text[..100]), pack(&text[100..100]), pack(&text[100..])].concat();
            for packed in [whole.clone(), members] {
                for behind in [&b""[..], &[0], &[0; 10_240], b"\x1a\0junk", &[0, 0, 7], &[0x1f]] {
                    let bytes = [&packed, behind].concat();
                    assert_eq!(unpack(&bytes, &LIMITS).unwrap(), text, "{} bytes behind", behind.len());
                }
            }
            // A member that is begun must be whole.
            let cut = [&whole[..], &whole[..whole.len() / 2]].concat();
            assert!(matches!(unpack(&cut, &LIMITS), Err(FileError::Damaged { .. })));
            for cut in [3, whole.len() / 2, whole.len() - 1] {
                assert!(matches!(unpack(&whole[..cut], &LIMITS), Err(FileError::Damaged { .. })), "{cut}");
            }
        }
    }

    #[test]
    fn what_holds_next_to_nothing_ends_early() {
        for pack in PACKERS {
            let bomb = [pack(b"x"), pack(b"").repeat(200_000)].concat();
            let Err(FileError::Crumbs { members, .. }) = unpack(&bomb, &LIMITS) else { panic!("it was unpacked") };
            assert!(members <= MEMBERS + 2);
            let limit = Limits { max_unpacked_bytes: 999, ..LIMITS };
            assert!(matches!(unpack(&pack(&[7; 1000]), &limit), Err(FileError::Bomb { limit: 999 })));
            assert!(matches!(unpack(&pack(&[7; 500]).repeat(2), &limit), Err(FileError::Bomb { .. })));
            assert!(matches!(unpack(&pack(b""), &limit), Err(FileError::Empty)));
        }
    }
}
