//! What becomes of an image: its products or the reason why there are none, and where on the way that was decided.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::frame::{ImageId, PerBand, Plane};
use crate::reference::Agreement;
use crate::wcs::Wcs;

/// A step of a frame's way; the same names stand in metrics, spans, benches and rejections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Taking a frame from the source.
    Ingest,
    /// Reading, background, masks, registration.
    Prepare,
    /// The segmentation net.
    Segment,
    /// Components, PSF, measurement.
    Extract,
    /// The classification net.
    Classify,
    /// Encoding and handing over the results.
    Publish,
}

impl Stage {
    /// All, in flow order.
    pub const ALL: [Self; 6] =
        [Self::Ingest, Self::Prepare, Self::Segment, Self::Extract, Self::Classify, Self::Publish];

    /// Its name in metrics, logs and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Prepare => "prepare",
            Self::Segment => "segment",
            Self::Extract => "extract",
            Self::Classify => "classify",
            Self::Publish => "publish",
        }
    }
}

/// Why an image was refused: a bounded set, so that it can be a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A file is empty, cut short or damaged.
    Truncated,
    /// Not a FITS file, or not an image.
    NotFits,
    /// The way in which a file's pixels are coded broke the process that was to decode them, which nothing else was in.
    Undecodable,
    /// A file could not be opened or read.
    Unreadable,
    /// Larger than the configured limit, declared or unpacked.
    TooLarge,
    /// Smaller than one tile.
    TooSmall,
    /// A band is not there.
    MissingBand,
    /// Bands of different fields, sizes, or one twice.
    BandMismatch,
    /// No or unusable world coordinates.
    BadWcs,
    /// Not the unit or pixel type of the survey.
    BadUnits,
    /// A time of exposure that cannot be: out of range, in the future, or an end before its beginning.
    BadTime,
    /// No usable pixel: all NaN, constant, or no noise to measure.
    NoSignal,
    /// Pixels that cannot be a sky as the telescope sees it: another band's, undersampled, trailed or doubled stars.
    BadImage,
    /// A message that is not what its schema says.
    BadMessage,
    /// A message older than the configured age.
    TooOld,
    /// A place from which nothing may be read.
    Forbidden,
    /// A place that did not answer in time, or not with the file.
    Unreachable,
    /// The process died on this image more than once.
    Crashed,
    /// A fault of ours, caught.
    Internal,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 19] = [
        Self::Truncated,
        Self::NotFits,
        Self::Undecodable,
        Self::Unreadable,
        Self::TooLarge,
        Self::TooSmall,
        Self::MissingBand,
        Self::BandMismatch,
        Self::BadWcs,
        Self::BadUnits,
        Self::BadTime,
        Self::NoSignal,
        Self::BadImage,
        Self::BadMessage,
        Self::TooOld,
        Self::Forbidden,
        Self::Unreachable,
        Self::Crashed,
        Self::Internal,
    ];

    /// Its name, as in metrics and rejections.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::NotFits => "not_fits",
            Self::Undecodable => "undecodable",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::TooSmall => "too_small",
            Self::MissingBand => "missing_band",
            Self::BandMismatch => "band_mismatch",
            Self::BadWcs => "bad_wcs",
            Self::BadUnits => "bad_units",
            Self::BadTime => "bad_time",
            Self::NoSignal => "no_signal",
            Self::BadImage => "bad_image",
            Self::BadMessage => "bad_message",
            Self::TooOld => "too_old",
            Self::Forbidden => "forbidden",
            Self::Unreachable => "unreachable",
            Self::Crashed => "crashed",
            Self::Internal => "internal",
        }
    }
}

/// An image that cannot be processed: a value that takes the same stages as a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The kind of fault, for metrics and for programs that read the record.
    pub reason: Reason,
    /// The stage that rejected it.
    pub stage: Stage,
    /// Path or URI of the file at fault, where one is.
    pub file: Option<String>,
    /// One line: what is wrong.
    pub message: String,
    /// One line: what to do.
    pub advice: String,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file:?}: ")?;
        }
        write!(f, "{} ({}; {})", self.message, self.reason.name(), self.advice)
    }
}

/// Version and hash of the bundle that made a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelIdentity {
    /// Version of the bundle, from its manifest.
    pub version: String,
    /// SHA-256 of the bundle, hex.
    pub hash: String,
}

/// One image's end: what the sink gets.
pub struct Finished {
    /// Name of the image.
    pub image_id: ImageId,
    /// Its place in arrival order, from 0.
    pub sequence: u64,
    /// Seconds spent in each stage.
    pub timings_s: BTreeMap<Stage, f64>,
    /// Its products, or why there are none.
    pub outcome: Outcome,
}

/// What came of an image: its products, or why there are none.
pub enum Outcome {
    /// The image was processed: its catalogue, masks and quality.
    Processed(Box<Products>),
    /// The image was rejected: reason, stage, message and advice.
    Rejected(Rejection),
    /// There was nothing to do.
    Nothing,
}

/// All that came of one image.
pub struct Products {
    /// Catalogue of its sources, by NUMBER.
    pub catalog: Catalog,
    /// 0 for sky, else a source's NUMBER.
    pub segmentation: Plane<u32>,
    /// [`crate::frame::mask`] bits on the reference grid, all bands together.
    pub bits: Plane<u8>,
    /// The reference band's coordinates, for the masks' headers.
    pub wcs: Wcs,
    /// The three shape bands on the reference grid in units of their sky noise, for the picture.
    pub picture: [Plane<f32>; 3],
    /// Seeing, noise and depth of each band.
    pub quality: PerBand<BandQuality>,
    /// How it agrees with the reference catalogue, where there is one.
    pub reference: Option<Agreement>,
    /// Tiles that went through the segmentation net.
    pub tiles: usize,
    /// Device that served it.
    pub device: String,
}

/// What a frame's band was like; goes into the record, the headers and the metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BandQuality {
    /// Name of the band.
    pub band: String,
    /// Full width at half maximum of the PSF at the frame's centre, arcsec.
    #[serde(deserialize_with = "number_or_nan")]
    pub fwhm_arcsec: f64,
    /// Ellipticity of the PSF, 1 - b/a.
    #[serde(deserialize_with = "number_or_nan")]
    pub ellipticity: f64,
    /// Sky: what the survey removed and what was left, nMgy per pixel.
    #[serde(deserialize_with = "number_or_nan")]
    pub sky_nmgy: f64,
    /// Noise of one sky pixel, nMgy.
    #[serde(deserialize_with = "number_or_nan")]
    pub sky_sigma_nmgy: f64,
    /// Magnitude of a point source at S/N 5.
    #[serde(deserialize_with = "number_or_nan")]
    pub depth_5sigma_mag: f64,
    /// Stars that made the PSF.
    pub psf_stars: usize,
    /// Whether the bundle's PSF had to serve.
    pub psf_fallback: bool,
    /// Robust scatter of bright stars about the WCS registration to the reference band, px.
    #[serde(deserialize_with = "number_or_nan")]
    pub registration_residual_px: f64,
    /// Median of PSF minus reference magnitude of the stars of the reference catalogue; NaN without one.
    #[serde(default = "nan", deserialize_with = "number_or_nan")]
    pub zero_point_offset_mag: f64,
    /// Trails of satellites and aeroplanes that were masked.
    #[serde(default)]
    pub streaks: usize,
}

fn nan() -> f64 {
    f64::NAN
}

impl BandQuality {
    /// Of a band that the image does not have: nothing is known but its name, which is empty where the survey has no
    /// such band either.
    pub fn absent(band: &str) -> Self {
        Self {
            band: band.to_owned(),
            fwhm_arcsec: f64::NAN,
            ellipticity: f64::NAN,
            sky_nmgy: f64::NAN,
            sky_sigma_nmgy: f64::NAN,
            depth_5sigma_mag: f64::NAN,
            psf_stars: 0,
            psf_fallback: false,
            registration_residual_px: f64::NAN,
            zero_point_offset_mag: f64::NAN,
            streaks: 0,
        }
    }

    /// Whether the image does not have the band: one that was taken has noise.
    pub fn is_absent(&self) -> bool {
        !self.sky_sigma_nmgy.is_finite()
    }
}

/// JSON writes what could not be measured as null.
pub(crate) fn number_or_nan<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}
