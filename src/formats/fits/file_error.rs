//! Everything that can be wrong with a file, in one list: each fault knows its reason and what to do about it.

use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::wcs::WcsError;

/// What is wrong with one file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("there is no such file: band {band} is missing")]
    Missing { band: String },
    #[error("cannot be read: {source}")]
    Unreadable { source: std::io::Error },
    #[error("is not a regular file")]
    NotAFile,
    #[error("is empty")]
    Empty,
    #[error("has {bytes} bytes, more than the limit of {limit}")]
    FileTooLarge { bytes: u64, limit: u64 },
    #[error("unpacks to more than the limit of {limit} bytes")]
    Bomb { limit: u64 },
    #[error("the {packing} stream is cut short or damaged: {source}")]
    Damaged { packing: &'static str, source: std::io::Error },
    #[error("is packed by {packing} in {members} pieces and more that hold next to nothing")]
    Crumbs { packing: &'static str, members: u64 },
    #[error("is not a FITS file: it begins with {begins:?}")]
    NotFits { begins: String },
    #[error("a header has no END card: the file is cut short")]
    NoEnd,
    #[error("the header's {card} is missing or makes no sense")]
    BadCard { card: String },
    #[error("HDU {hdu} declares {declared} bytes of data, but {present} are there: the file is cut short")]
    CutShort { hdu: usize, declared: u64, present: usize },
    #[error("HDU {hdu} declares more data than any file here may hold")]
    Huge { hdu: usize },
    #[error("holds no two-dimensional image")]
    NoImage,
    #[error("declares {width}x{height} pixels, more than the limit of {limit}")]
    TooManyPixels { width: u64, height: u64, limit: u64 },
    #[error("{width}x{height} pixels are fewer than the 64x64 of the smallest frame")]
    TooSmall { width: u64, height: u64 },
    #[error("compressed tiles lie over each other: together they are longer than the table's {present} bytes")]
    TilesOverlap { present: usize },
    #[error("tile compression {name:?} is not supported")]
    Compression { name: String },
    #[error("compressed tile {tile} is damaged: {problem}")]
    BadTile { tile: usize, problem: &'static str },
    #[error("HDU {hdu}, compressed with {coding}, is damaged: {problem}")]
    BadCoding { hdu: usize, coding: String, problem: String },
    #[error("HDU {hdu}, compressed with {coding}, cannot be decoded: {problem}")]
    Undecodable { hdu: usize, coding: String, problem: String },
    #[error("HDU {hdu} is compressed with {coding}, and {problem}")]
    NoDecoder { hdu: usize, coding: String, problem: String },
    #[error("tiles were quantised by a method of no standard: ZQUANTIZ is {method:?}")]
    Quantised { method: String },
    #[error("HDU keeps its missing pixels in a column NULL_PIXEL_MASK, which is not read")]
    NullPixelMask,
    #[error("pixels are of type BITPIX {bitpix}, not floating-point fluxes")]
    PixelType { bitpix: i64 },
    #[error("pixels are in {found:?}, not {wanted:?}")]
    Unit { found: String, wanted: String },
    #[error("the calibration {card} = {value} makes no sense")]
    Calibration { card: String, value: f64 },
    #[error("{0}")]
    Wcs(#[from] WcsError),
    #[error("world coordinates are in {found}, not right ascension and declination in degrees (ICRS)")]
    SkySystem { found: String },
    #[error("the name is not one of survey {survey}")]
    ForeignName { survey: String },
    #[error("belongs to image {found}, not {wanted}")]
    OtherImage { found: ImageId, wanted: ImageId },
    #[error("is band {found}, given as band {wanted}")]
    OtherBand { found: String, wanted: String },
    #[error("band {band} is given twice")]
    Twice { band: String },
    #[error("is {found:?} pixels, but the reference band is {wanted:?}")]
    OtherSize { found: (usize, usize), wanted: (usize, usize) },
}

impl FileError {
    /// The fault as the outcome of the image whose file `file` it is.
    pub(super) fn reject(self, file: &str) -> Rejection {
        let (reason, advice) = self.judgement();
        Rejection {
            reason,
            stage: Stage::Prepare,
            file: Some(file.to_owned()),
            // A header's words are repeated in it, and may be anything.
            message: self.to_string().replace(char::is_control, "\u{fffd}"),
            advice: advice.into(),
        }
    }

    fn judgement(&self) -> (Reason, &'static str) {
        match self {
            Self::Missing { .. } => (Reason::MissingBand, "deliver all five bands of the field"),
            Self::Unreadable { .. } => (Reason::Unreadable, "check that the file exists and may be read"),
            Self::NotAFile => (Reason::Unreadable, "give a file, not a folder, pipe or device"),
            Self::Crumbs { .. } => (Reason::TooLarge, "pack the file anew, in one piece"),
            Self::FileTooLarge { .. } | Self::Bomb { .. } | Self::Huge { .. } | Self::TooManyPixels { .. } => {
                (Reason::TooLarge, "raise the limits on files if it really is that large")
            }
            Self::Empty
            | Self::Damaged { .. }
            | Self::NoEnd
            | Self::CutShort { .. }
            | Self::BadTile { .. }
            | Self::TilesOverlap { .. }
            | Self::BadCoding { .. } => (Reason::Truncated, "copy or fetch the file again"),
            Self::Undecodable { .. } => {
                (Reason::Undecodable, "fetch the file again; if it is whole, unpack it with funpack and send that")
            }
            Self::NoDecoder { .. } => {
                (Reason::Internal, "see that the program may start a process and confine it, and report it")
            }
            Self::NotFits { .. } | Self::BadCard { .. } | Self::NoImage => {
                (Reason::NotFits, "give a FITS image, plain or packed as .bz2, .gz or .fz")
            }
            Self::Compression { .. } | Self::Quantised { .. } | Self::NullPixelMask => {
                (Reason::NotFits, "compress with fpack's Rice or gzip method")
            }
            Self::TooSmall { .. } => (Reason::TooSmall, "give frames of at least 64x64 pixels"),
            Self::PixelType { .. } | Self::Unit { .. } | Self::Calibration { .. } => {
                (Reason::BadUnits, "give calibrated frames in the survey's unit")
            }
            Self::Wcs(_) | Self::SkySystem { .. } => {
                (Reason::BadWcs, "solve the frame's astrometry and write CTYPE, CRPIX, CRVAL and CD")
            }
            Self::ForeignName { .. } => (Reason::BandMismatch, "name files by the survey's file_pattern"),
            Self::OtherImage { .. } | Self::OtherBand { .. } | Self::Twice { .. } | Self::OtherSize { .. } => {
                (Reason::BandMismatch, "give the five bands of one field, each once")
            }
        }
    }
}
