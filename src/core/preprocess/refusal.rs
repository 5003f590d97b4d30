//! Why a frame cannot be prepared, each reason with what was found.

use super::Turn;
use super::plausible::KnownSky;

/// Why a frame cannot be prepared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PreprocessError {
    /// Smaller than a tile.
    #[error("{width}x{height} px is smaller than the smallest frame, 64x64")]
    TooSmall {
        /// Width of the frame, px.
        width: usize,
        /// Height of the frame, px.
        height: usize,
    },
    /// A band without anything to measure.
    #[error("band {band}: {problem}")]
    NoSignal {
        /// Name of the band.
        band: String,
        /// What is wrong: all NaN, constant, or without noise.
        problem: &'static str,
    },
    /// Most of a band is saturated.
    #[error(
        "band {band}: {percent:.0} % of its pixels are above saturation ({saturation_nmgy:.3} nMgy), their median is \
         {level_nmgy:.3} nMgy: a pedestal was added, or unit or calibration are wrong"
    )]
    AboveSaturation {
        /// Name of the band.
        band: String,
        /// Percentage of its pixels.
        percent: f64,
        /// The survey's limit of trusted pixels by this frame's calibration, nMgy.
        saturation_nmgy: f64,
        /// Median of all pixels, nMgy.
        level_nmgy: f64,
    },
    /// The sky's noise is not that of its light.
    #[error(
        "band {band}: the sky's noise, {sigma_nmgy:.4} nMgy a pixel, is {ratio:.2} times what gain {gain_e_per_dn} e/DN \
         and {nmgy_per_dn} nMgy/DN allow at {sky}: unit, zero point or gain are wrong, or no light came in"
    )]
    Noise {
        /// Name of the band.
        band: String,
        /// Noise of a pixel, nMgy.
        sigma_nmgy: f64,
        /// That over the nearest noise which would be right.
        ratio: f64,
        /// Gain, electrons per DN.
        gain_e_per_dn: f64,
        /// Calibration, nMgy per DN.
        nmgy_per_dn: f64,
        /// The sky that it was held against.
        sky: KnownSky,
    },
    /// The survey's variances are not those of the pixels.
    #[error("band {band}: {problem}")]
    Variance {
        /// Name of the band.
        band: String,
        /// What is wrong with them.
        problem: String,
    },
    /// A band's pixels are another's.
    #[error("bands {band} and {other} hold the same exposure: their noise is the same, pixel by pixel")]
    SamePixels {
        /// Name of the band.
        band: String,
        /// Name of the band that has the same pixels.
        other: String,
    },
    /// A negative.
    #[error("band {band}: {dark} objects lie below the sky and {bright} above it: the image is a negative")]
    Negative {
        /// Name of the band.
        band: String,
        /// Objects below the sky.
        dark: usize,
        /// Objects above it.
        bright: usize,
    },
    /// Stars are rings.
    #[error("band {band}: {rings} of its {objects} round objects are rings, dark in the middle: it is out of focus")]
    OutOfFocus {
        /// Name of the band.
        band: String,
        /// Objects that are rings.
        rings: usize,
        /// Objects that were asked.
        objects: usize,
    },
    /// Stars are too sharp for the pixels.
    #[error(
        "band {band}: its stars are {fwhm_px:.1} px wide at half maximum, and below 1.6 px they cannot be told from cosmic rays"
    )]
    Undersampled {
        /// Name of the band.
        band: String,
        /// Full width at half maximum of the sharpest stars, px.
        fwhm_px: f64,
    },
    /// The bands do not overlap on the sky, or too little.
    #[error("band {band} shows {:.0} % of the frame of band {reference}: their centres lie {distance_arcsec:.0} arcsec ({distance_px:.0} px) apart by their world coordinates", 100.0 * overlap)]
    Misregistered {
        /// Name of the band.
        band: String,
        /// Name of the reference band.
        reference: String,
        /// Part of the reference band's frame that it shows, 0..1.
        overlap: f64,
        /// Distance of the centres on the sky, arcsec.
        distance_arcsec: f64,
        /// The same in pixels of the reference band.
        distance_px: f64,
    },
    /// A band's grid is not the reference band's but for a shift, and the band may not be resampled.
    #[error("band {band} is {turn} against band {reference}: {why}")]
    OtherGrid {
        /// Name of the band.
        band: String,
        /// Name of the reference band.
        reference: String,
        /// Angle, mirror and scale.
        turn: Turn,
        /// Why it is not resampled.
        why: &'static str,
    },
    /// A band does not show the reference band's stars where its world coordinates say.
    #[error("band {band} shows other stars than band {other}: {}", told(*.common, *.of, *.shift_px))]
    OtherStars {
        /// Name of the band.
        band: String,
        /// Name of the band that it was held against.
        other: String,
        /// Bright peaks that both have.
        common: usize,
        /// Bright peaks that both should have.
        of: usize,
        /// By how much its stars are off where most are, px along x and y.
        shift_px: Option<(f64, f64)>,
    },
    /// No light came into a band: nothing is where stars must be.
    #[error("band {band}: no light came in, since the {of} places where stars of band {other} must show are empty")]
    NoLight {
        /// Name of the band.
        band: String,
        /// Name of the band whose stars do not show.
        other: String,
        /// Number of them.
        of: usize,
    },
    /// A band whose centre has no place on the sky.
    #[error("band {band}: its centre has no place on the sky by its world coordinates")]
    OffTheSky {
        /// Name of the band.
        band: String,
    },
    /// Pixels of another size than the survey's.
    #[error(
        "pixels of band {band} are {found_arcsec:.3} arcsec wide by their world coordinates, and {wanted_arcsec:.3} by the survey's pixel_scale_arcsec"
    )]
    OtherScale {
        /// Name of the reference band.
        band: String,
        /// Side of a pixel by the frame's world coordinates, arcsec.
        found_arcsec: f64,
        /// By the survey's description, arcsec.
        wanted_arcsec: f64,
    },
}

/// Which stars are common, and where the others lie.
fn told(common: usize, of: usize, shift_px: Option<(f64, f64)>) -> String {
    let counted = format!("by their world coordinates {common} of {of} bright peaks coincide");
    match shift_px {
        Some((x, y)) => format!("{counted}; they would with a shift, since they lie ({x:+.1}, {y:+.1}) px off"),
        None => format!("{counted}, and no shift makes them"),
    }
}

impl PreprocessError {
    /// The band at fault, where one is.
    pub fn band(&self) -> Option<&str> {
        match self {
            Self::TooSmall { .. } => None,
            Self::NoSignal { band, .. }
            | Self::AboveSaturation { band, .. }
            | Self::Noise { band, .. }
            | Self::Variance { band, .. }
            | Self::SamePixels { band, .. }
            | Self::Negative { band, .. }
            | Self::OutOfFocus { band, .. }
            | Self::Undersampled { band, .. }
            | Self::Misregistered { band, .. }
            | Self::OtherGrid { band, .. }
            | Self::OtherStars { band, .. }
            | Self::NoLight { band, .. }
            | Self::OffTheSky { band }
            | Self::OtherScale { band, .. } => Some(band),
        }
    }
}
