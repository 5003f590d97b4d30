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
    ["HCOMPRESS_1", "PLIO_1"].contains(&name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::{NamedBytes, decode};
    use twinpeak_core::files::plain;
    use twinpeak_core::frame::{Frame, ImageId};
    use twinpeak_core::outcome::{Reason, Rejection};
    use twinpeak_core::survey::Survey;

    /// 70x65 pixels, by Rice.
    const SOUND: &[u8] = include_bytes!("../../../tests/data/frame-r-rice.fits.fz");

    /// Says the same of every image.
    struct Always(Result<f32, ForeignError>);

    impl ForeignDecoder for Always {
        fn decode(&self, file: &[u8], hdu: usize, [width, height]: [usize; 2]) -> Result<Vec<f32>, ForeignError> {
            assert!(file.starts_with(b"SIMPLE") && hdu == 1);
            self.0.clone().map(|value| vec![value; width * height])
        }
    }

    /// The file with other text where `from` stands and the blanks behind it.
    fn replaced(file: &[u8], from: &str, to: &str) -> Vec<u8> {
        let mut bytes = file.to_vec();
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let length = from.len().max(to.len());
        bytes[at..at + length].copy_from_slice(format!("{to:length$}").as_bytes());
        bytes
    }

    fn read(bytes: &[u8], decoder: Option<Always>) -> Result<Frame, Rejection> {
        let survey = Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap();
        let image = ImageId::new("003918-3-0213").unwrap();
        let file = |b| NamedBytes { name: survey.file_for(b, &image).replace(".bz2", ".fz"), bytes: bytes.to_vec() };
        let foreign = decoder.map(|decoder| Arc::new(decoder) as Arc<dyn ForeignDecoder>);
        decode(&survey, &image, plain(std::array::from_fn(file)), &Reader { foreign, ..Reader::default() })
    }

    fn hcompress() -> Vec<u8> {
        replaced(SOUND, "'RICE_1  '", "'HCOMPRESS_1'")
    }

    #[test]
    fn the_pixels_of_a_foreign_coding_are_its_decoder_s() {
        let frame = read(&hcompress(), Some(Always(Ok(7.5)))).unwrap();
        assert!(frame.bands.iter().all(|band| band.pixels.pixels() == vec![7.5; 70 * 65]));
        let own = read(SOUND, Some(Always(Err(ForeignError::Damaged("is asked".into()))))).unwrap();
        assert_eq!(own.bands[2].pixels.width(), 70, "what the reader here knows, it reads itself");
    }

    #[test]
    fn each_way_of_having_no_pixels_has_its_reason() {
        let says = |decoder, reason, part: &str| {
            let rejection = read(&hcompress(), decoder).unwrap_err();
            assert_eq!(rejection.reason, reason, "{rejection}");
            assert!(rejection.message.contains("HCOMPRESS_1") && rejection.message.contains(part), "{rejection}");
        };
        let with = |error: fn(String) -> ForeignError| Some(Always(Err(error("it is so".into()))));
        says(None, Reason::NotFits, "not supported");
        says(
            with(ForeignError::Damaged),
            Reason::Truncated,
            "HDU 1, compressed with HCOMPRESS_1, is damaged: it is so",
        );
        says(with(ForeignError::Undecodable), Reason::Undecodable, "HDU 1");
        says(with(ForeignError::Unavailable), Reason::Internal, "it is so");
    }

    #[test]
    fn what_nobody_knows_is_refused_by_name() {
        for (bytes, part) in [
            (replaced(SOUND, "'RICE_1  '", "'BZIP2_1'"), "\"BZIP2_1\" is not supported"),
            (replaced(SOUND, "'SUBTRACTIVE_DITHER_", "'SUBTRACTIVE_BLUE_"), "ZQUANTIZ is \"SUBTRACTIVE_BLUE_"),
            (replaced(&hcompress(), "'ZSCALE  '", "'OTHER   '"), "ZSCALE is missing"),
            (replaced(SOUND, "'ZZERO   '", "'NULL_PIXEL_MASK'"), "NULL_PIXEL_MASK"),
        ] {
            let said = read(&bytes, Some(Always(Ok(1.0)))).unwrap_err().to_string();
            assert!(said.contains(part), "{said}");
        }
    }
}
