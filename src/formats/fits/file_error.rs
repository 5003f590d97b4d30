//! Everything that can be wrong with a file, in one list: each fault knows its reason and what to do about it.

use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::survey::PlaneKind;
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
    #[error("holds several images of equal standing, HDUs {hdus}, and nothing says which is meant")]
    SeveralImages { hdus: String },
    #[error("has no HDU {wanted:?}: it has HDUs {there}")]
    NoHdu { wanted: String, there: String },
    #[error("has several HDUs {wanted:?}: {hdus}")]
    SeveralOfName { wanted: String, hdus: String },
    #[error("the {} of band {band} is not there", kind.name())]
    MissingPlane { kind: PlaneKind, band: String },
    #[error("is given as {} of band {band}, but survey {survey} does not say what its values mean", kind.name())]
    UndescribedPlane { kind: PlaneKind, band: String, survey: String },
    #[error("HDU {hdu}: the {} is {found:?} pixels, but the image is {wanted:?}", kind.name())]
    PlaneSize { hdu: usize, kind: PlaneKind, found: (u64, u64), wanted: (usize, usize) },
    #[error("{card} says {declared}, but the image has {found}")]
    MaskCard { card: &'static str, declared: i64, found: usize },
    #[error("HDU {hdu}: the mask is of BITPIX {bitpix}, BSCALE {scale}, BZERO {zero}: no whole numbers")]
    MaskType { hdu: usize, bitpix: i64, scale: f64, zero: f64 },
    #[error("HDU {hdu}: no card {card} says which bit of the mask that is; it has {there:?}")]
    NoBitName { hdu: usize, card: String, there: String },
    #[error("HDU {hdu} is no table with a column {column:?}")]
    NoTable { hdu: usize, column: &'static str },
    #[error("HDU {hdu}: the spans of row {row} make no sense")]
    BadSpan { hdu: usize, row: usize },
    #[error("HDU {hdu}: no pixel has a positive, finite weight")]
    NoWeight { hdu: usize },
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
    #[error("BUNIT = {found:?}: pixels are not in {wanted:?}")]
    Unit { found: String, wanted: String },
    #[error("{card} = {value:?} is no finite number")]
    NoNumber { card: String, value: String },
    #[error("the calibration {card} = {value} makes no sense")]
    Calibration { card: String, value: f64 },
    #[error("by the zero point of {source_of} one count is {nmgy:.3e} nMgy, where some {usual:.3e} are usual")]
    ZeroPoint { source_of: String, nmgy: f64, usual: f64 },
    #[error("pixels are counts, and their zero point ({source_of}) is missing")]
    NoZeroPoint { source_of: String },
    #[error("the zero point is of counts a second, and {card} gives no exposure time in seconds")]
    NoExposure { card: String },
    #[error("{card} = {value:?} is no time between 1980 and now in a scale that is known")]
    Time { card: String, value: String },
    #[error("{end} lies before {begin}: the exposure ends {earlier_s:.1} s before it begins")]
    EndsFirst { begin: String, end: String, earlier_s: f64 },
    #[error("TIMESYS = {name:?} is no time scale that is known")]
    TimeScale { name: String },
    #[error("world coordinates of HDU {hdu}: {source}")]
    Wcs { hdu: usize, source: WcsError },
    #[error("{card} = {value:?} is band {found}, and the file was given as band {wanted}")]
    OtherFilter { card: &'static str, value: String, found: String, wanted: String },
    #[error("is band {found}, given as band {wanted}")]
    OtherBand { found: String, wanted: String },
    #[error("band {band} is given twice")]
    Twice { band: String },
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
            Self::Missing { .. } => (Reason::MissingBand, "deliver as many bands as the survey requires"),
            Self::MissingPlane { .. } => {
                (Reason::MissingBand, "deliver it with the image, or set `required = false` in the survey's section")
            }
            Self::SeveralImages { .. } | Self::NoHdu { .. } | Self::SeveralOfName { .. } => {
                (Reason::BandMismatch, "name the HDU, by EXTNAME or number, in the survey's sections or the message")
            }
            Self::UndescribedPlane { .. } => {
                (Reason::BandMismatch, "describe it in the sections mask and weight of the survey's file")
            }
            Self::PlaneSize { .. } | Self::MaskCard { .. } => {
                (Reason::BandMismatch, "give the plane of this image, on the image's own pixels")
            }
            Self::MaskType { .. } | Self::NoTable { .. } | Self::BadSpan { .. } => {
                (Reason::NotFits, "give a mask of the form that the survey's section mask describes")
            }
            Self::NoBitName { .. } => (Reason::BandMismatch, "correct mask.names in the survey's file"),
            Self::NoWeight { .. } => (Reason::NoSignal, "check kind in the survey's section weight"),
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
            Self::PixelType { .. } => (
                Reason::BadUnits,
                "give calibrated frames, or say in the survey file's calibration what a count is worth",
            ),
            Self::NoZeroPoint { .. } => (
                Reason::BadUnits,
                "write the card or the table's row, or give calibration.zero_point_mag in the survey file",
            ),
            Self::ZeroPoint { .. } => (
                Reason::BadUnits,
                "see calibration.card_holds, per_second and zero_point_mag in the survey file, or correct the card",
            ),
            Self::NoExposure { .. } => {
                (Reason::BadUnits, "write the exposure time, or name its card in cards.exposure_s")
            }
            Self::Time { .. } => {
                (Reason::BadTime, "write DATE-OBS or MJD-OBS as the standard asks, with TIMESYS, or none")
            }
            Self::EndsFirst { .. } => (Reason::BadTime, "correct the two cards, or remove one"),
            Self::NoNumber { .. } => (Reason::BadUnits, "write the number, or remove the card"),
            Self::TimeScale { .. } => (Reason::BadTime, "write one of the standard's, as UTC, TAI or TT, or none"),
            Self::Unit { .. } | Self::Calibration { .. } => {
                (Reason::BadUnits, "give calibrated frames in the survey's unit")
            }
            Self::Wcs { source, .. } => (Reason::BadWcs, source.advice()),
            Self::OtherFilter { .. } => {
                (Reason::BandMismatch, "give the file of this band, or correct the card or the file's name")
            }
            Self::OtherBand { .. } | Self::Twice { .. } => {
                (Reason::BandMismatch, "give each of the field's bands once, as its own")
            }
        }
    }
}
