//! A file's HDUs: each header with the bytes that belong to it, checked to be really there.

use super::file_error::FileError;
use super::header::{BLOCK, Header};

/// One header and its data.
#[derive(Debug)]
pub(super) struct Hdu<'a> {
    pub header: Header,
    pub data: &'a [u8],
}

/// A file, unpacked, and what it holds.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    /// All of it: what decodes foreign codings is given the whole.
    pub bytes: &'a [u8],
    pub hdus: Vec<Hdu<'a>>,
}

impl<'a> Opened<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, FileError> {
        Ok(Self { bytes, hdus: Hdu::split(bytes)? })
    }
}

impl<'a> Hdu<'a> {
    /// All HDUs of a file. What follows the last one, if it does not begin like an extension, is no FITS and
    /// is ignored, as the standard asks.
    pub(super) fn split(bytes: &'a [u8]) -> Result<Vec<Self>, FileError> {
        if !bytes.starts_with(b"SIMPLE  =") {
            let begins = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).into_owned();
            return Err(FileError::NotFits { begins });
        }
        let mut all = Vec::new();
        let mut rest = bytes;
        while all.is_empty() || rest.starts_with(b"XTENSION") {
            let (header, length) = Header::parse(rest)?;
            let hdu = all.len();
            let declared = declared_bytes(&header)?.ok_or(FileError::Huge { hdu })?;
            let body = rest.get(length..).unwrap_or_default();
            let data = usize::try_from(declared).ok().and_then(|n| body.get(..n));
            let data = data.ok_or(FileError::CutShort { hdu, declared, present: body.len() })?;
            // Some writers leave the last block short.
            rest = body.get(data.len().next_multiple_of(BLOCK)..).unwrap_or_default();
            all.push(Self { header, data });
        }
        Ok(all)
    }

    /// Whether it declares an image of two axes or more, plain or compressed by tiles.
    pub(super) fn is_image(&self) -> bool {
        let plain = self.header.text("XTENSION").is_none_or(|x| x == "IMAGE");
        (plain && self.header.integer("NAXIS").is_some_and(|n| n >= 2)) || self.is_compressed()
    }

    /// Whether it holds an image compressed by tiles.
    pub(super) fn is_compressed(&self) -> bool {
        self.header.is_true("ZIMAGE")
    }

    /// Whether the pixels of its image are real numbers.
    pub(super) fn is_real(&self) -> bool {
        self.header.integer(if self.is_compressed() { "ZBITPIX" } else { "BITPIX" }).is_some_and(|bits| bits < 0)
    }
}

/// Bytes of data that a header declares, without the filling of the last block; `None` past any machine's word.
fn declared_bytes(header: &Header) -> Result<Option<u64>, FileError> {
    let bitpix = header.integer("BITPIX").filter(|b| [8, 16, 32, 64, -32, -64].contains(b));
    let bitpix = bitpix.ok_or_else(|| FileError::BadCard { card: "BITPIX".into() })?;
    let axes = axes(header, "NAXIS")?;
    if axes.is_empty() {
        return Ok(Some(0));
    }
    let optional = |key, absent| if header.has(key) { header.count(key) } else { Ok(absent) };
    let (extra, groups) = (optional("PCOUNT", 0)?, optional("GCOUNT", 1)?);
    let elements = axes.iter().try_fold(1u64, |product, &axis| product.checked_mul(axis));
    Ok(elements
        .and_then(|n| n.checked_add(extra))
        .and_then(|n| n.checked_mul(groups))
        .and_then(|n| n.checked_mul(bitpix.unsigned_abs() / 8)))
}

/// Lengths of the axes: NAXIS1, NAXIS2... for `prefix` "NAXIS", or the same of a compressed image for "ZNAXIS".
pub(super) fn axes(header: &Header, prefix: &str) -> Result<Vec<u64>, FileError> {
    let n = header.count(prefix)?;
    if n > 999 {
        return Err(FileError::BadCard { card: prefix.to_owned() });
    }
    (1..=n).map(|i| header.count(&format!("{prefix}{i}"))).collect()
}
