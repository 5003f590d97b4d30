//! Codings of tiles that the reader here does not know, and the port to one who does.
//!
//! What decodes them may be a library that damaged bytes can break, so the port's implementation keeps it apart from this
//! process; here, it is only a function from a file to pixels.

use std::fmt;
use std::sync::Arc;

use super::Limits;
use super::file_error::FileError;
use super::hdu::Hdu;
use super::header::Header;
use super::shape::Shape;
use super::table::Table;

/// Decodes images whose coding the reader here does not know.
pub trait ForeignDecoder: Send + Sync {
    /// The pixels of HDU `hdu` (from 0) of an unpacked file, `size` (width, height) of them, row by row; scaled by BSCALE
    /// and BZERO, NaN where there is none.
    ///
    /// # Errors
    /// [`ForeignError`], which becomes the frame's rejection.
    fn decode(&self, file: &[u8], hdu: usize, size: [usize; 2]) -> Result<Vec<f32>, ForeignError>;
}

/// Why a foreign coding gave no pixels. Each holds one line that says what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForeignError {
    /// The image is damaged or makes no sense.
    Damaged(String),
    /// The image broke the decoder, which was kept apart.
    Undecodable(String),
    /// There is no decoder to be had: not the file's fault.
    Unavailable(String),
}

/// How files are read: under which limits, and who decodes the codings that the reader here does not know. Without
/// anybody, such a file is refused by the name of its coding.
#[derive(Clone, Default)]
pub struct Reader {
    /// How much one file may ask of us.
    pub limits: Limits,
    /// Who decodes foreign codings.
    pub foreign: Option<Arc<dyn ForeignDecoder>>,
}

impl From<&Limits> for Reader {
    fn from(limits: &Limits) -> Self {
        Self { limits: *limits, foreign: None }
    }
}

impl From<&Reader> for Reader {
    fn from(reader: &Reader) -> Self {
        reader.clone()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("limits", &self.limits).field("foreign", &self.foreign.is_some()).finish()
    }
}

/// An image for a [`ForeignDecoder`].
pub(super) struct ForeignImage {
    coding: String,
    hdu: usize,
}

impl ForeignImage {
    /// The image of HDU `hdu`, if its coding is foreign and what decodes such images would understand it. A coding that
    /// nobody knows is left to the reader here, which refuses it.
    pub(super) fn of(hdus: &[Hdu], hdu: usize, table: &Table) -> Result<Option<Self>, FileError> {
        let header = &hdus[hdu].header;
        let Some(coding) = coding(header) else { return Ok(None) };
        // Where neither column is there, cfitsio takes whole numbers for the bits of reals.
        let real = header.integer("ZBITPIX").is_some_and(|bits| bits < 0);
        let missing = ["ZSCALE", "ZZERO"].into_iter().find(|name| table.column(name).is_none());
        match missing.filter(|_| real) {
            Some(name) => Err(FileError::BadCard { card: name.to_owned() }),
            None => Ok(Some(Self { coding, hdu })),
        }
    }

    pub(super) fn decode(
        self,
        file: &[u8],
        shape: Shape,
        decoder: Option<&dyn ForeignDecoder>,
    ) -> Result<Vec<f32>, FileError> {
        let Self { coding, hdu } = self;
        let decoder = decoder.ok_or_else(|| FileError::Compression { name: coding.clone() })?;
        decoder.decode(file, hdu, [shape.width, shape.height]).map_err(|error| match error {
            ForeignError::Damaged(problem) => FileError::BadCoding { hdu, coding, problem },
            ForeignError::Undecodable(problem) => FileError::Undecodable { hdu, coding, problem },
            ForeignError::Unavailable(problem) => FileError::NoDecoder { hdu, coding, problem },
        })
    }
}

/// The name of a coding that is foreign here and known elsewhere.
fn coding(header: &Header) -> Option<String> {
    let name = header.text("ZCMPTYPE")?;
    let whole_numbers = header.integer("ZBITPIX").is_some_and(|bits| bits > 0);
    match name {
        "HCOMPRESS_1" | "PLIO_1" => Some(name.to_owned()),
        "RICE_1" | "RICE_ONE" | "GZIP_1" | "GZIP_2" if whole_numbers => Some(format!("{name} of whole numbers")),
        "RICE_1" | "RICE_ONE" => {
            let bytes = super::tiles::rice_bytes(header).filter(|bytes| *bytes != 4)?;
            Some(format!("{name} with BYTEPIX {bytes}"))
        }
        _ => None,
    }
}
