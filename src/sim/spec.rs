//! What to simulate.

use serde::{Deserialize, Serialize};

use super::king::Cluster;
use twinpeak_core::frame::PerBand;
use twinpeak_core::preprocess::SMALLEST_PX;
use twinpeak_core::survey::Survey;
use twinpeak_core::wcs::WcsError;

/// The highest seed: a seed becomes the run's number, which has six digits.
pub const LAST_SEED: u64 = 990_999;
/// The highest field: a field's number has four digits.
pub const LAST_FIELD: u32 = 9_999;
/// The most visits to one sky.
pub const LAST_VISIT: u32 = 9;
/// The highest field that is visited again: the thousands of its number say which visit it is.
pub const LAST_VISITED_FIELD: u32 = 999;

/// One field to simulate. The default is an ordinary field of the shipped survey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// Seed of the night, 0 to [`LAST_SEED`]. Training and test nights need only different seeds.
    pub seed: u64,
    /// Field of the night, 1 to [`LAST_FIELD`].
    pub field: u32,
    /// 0, or which visit to the sky of this seed and field it is, 1 to [`LAST_VISIT`]: the objects are those of visit 0, in
    /// the same places of the sky, under other conditions (night, seeing, noise, defects, position of the field). The image
    /// has the field's number and a thousand for each visit; an object's id is the same in all visits after 0.
    pub visit: u32,
    /// How far the coordinates in each band's header are off the true ones, arcsec: the scatter in each of the two directions.
    pub wcs_scatter_arcsec: f64,
    /// Width of the field, px.
    pub width: usize,
    /// Height of the field, px.
    pub height: usize,
    /// Distribution of the objects' magnitudes.
    pub counts: Counts,
    /// Multiplies the number of objects.
    pub density: f64,
    /// Exactly so many objects centred in the frame instead; their magnitudes follow `counts`.
    pub sources: Option<usize>,
    /// A star cluster in front, in addition.
    pub cluster: Option<Cluster>,
    /// A large spiral galaxy of r = 13.3 in addition, with bulge, arms and knots: one object.
    pub spiral: bool,
    /// How the width of the PSF is distributed over fields.
    pub seeing: Seeing,
    /// Largest offset of a band against the reference band in (x, y), pixels.
    pub offset_max_px: [f64; 2],
    /// Defects that the field is given.
    pub artefacts: Artefacts,
    /// Significant binary digits that a pixel keeps, 4 to 24. Surveys round the noise's last digits away so that
    /// their files pack: to 10, a band takes 3 MB instead of 11.
    pub significant_bits: u32,
}

/// Distribution of the objects' magnitudes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// As the sky's number counts at high latitude, r 12 to 24.
    #[default]
    Physical,
    /// Flat in r over the survey's `magnitudes.flat`, half of them stars: a training set.
    Flat,
    /// As the sky's galaxies, and not a star: what no PSF can be measured on.
    Galaxies,
}

/// The distribution that each field's PSF is drawn from: an elliptical Moffat profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seeing {
    /// Median FWHM in the reference band, arcsec.
    pub median_fwhm_arcsec: f64,
    /// Scatter of the logarithm of that FWHM between fields.
    pub sigma_ln: f64,
    /// FWHM of each band relative to the reference band.
    pub band_factor: PerBand<f64>,
    /// Range of the Moffat exponent beta.
    pub beta: [f64; 2],
    /// Largest ellipticity, 1 - b/a.
    pub ellipticity_max: f64,
    /// Largest relative change of the FWHM from the field's centre to its edge.
    pub variation_max: f64,
}

/// What goes wrong with a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Artefacts {
    /// Mean number of cosmic-ray tracks in a band of 2048 x 1489 pixels.
    pub cosmic_rays: f64,
    /// Fewest and most bad columns in a band.
    pub bad_columns: [usize; 2],
    /// Largest residual of the sky's subtraction, in units of the sky's noise.
    pub sky_residual_max_sigma: f64,
    /// Fraction of objects put within 2 arcsec of another.
    pub blend_fraction: f64,
    /// What the survey leaves in the place of saturated cores.
    pub cores: Cores,
    /// Number of satellites that cross the frame, each in one of the bands, which are exposed one after the other.
    pub satellite_trails: usize,
}

/// What a survey's pipeline leaves where a detector was saturated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cores {
    /// The brim of the well.
    #[default]
    Clipped,
    /// As Sloan's: all saturated pixels and those about them, bled columns too, hold what lies to their left and right,
    /// interpolated: smooth, flat or hollow, a few thousand counts that look sound.
    Replaced,
}

/// Two objects nearer than this are blended, arcsec.
pub(super) const BLEND_ARCSEC: f64 = 2.0;

impl Default for Spec {
    fn default() -> Self {
        Self {
            seed: 1,
            field: 1,
            visit: 0,
            wcs_scatter_arcsec: 0.0,
            width: 2048,
            height: 1489,
            counts: Counts::Physical,
            density: 1.0,
            sources: None,
            cluster: None,
            spiral: false,
            seeing: Seeing::default(),
            offset_max_px: [3.0, 10.0],
            artefacts: Artefacts::default(),
            significant_bits: 10,
        }
    }
}

impl Default for Seeing {
    fn default() -> Self {
        Self {
            median_fwhm_arcsec: 1.32,
            sigma_ln: 0.15,
            // As wavelength to the power -0.3.
            band_factor: [1.18, 1.09, 1.0, 0.94, 0.90],
            beta: [2.5, 4.0],
            ellipticity_max: 0.08,
            variation_max: 0.04,
        }
    }
}

impl Default for Artefacts {
    fn default() -> Self {
        Self { cosmic_rays: 40.0, bad_columns: [1, 3], sky_residual_max_sigma: 0.5, blend_fraction: 0.05, ..Self::NONE }
    }
}

impl Artefacts {
    /// A perfect detector and an uncrowded sky.
    pub const NONE: Self = Self {
        cosmic_rays: 0.0,
        bad_columns: [0, 0],
        sky_residual_max_sigma: 0.0,
        blend_fraction: 0.0,
        cores: Cores::Clipped,
        satellite_trails: 0,
    };
}

/// Why a field cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A value that makes no sense.
    #[error("{key} is {value}: it must be {range}")]
    Value {
        /// The key of [`Spec`] that holds it.
        key: &'static str,
        /// The value that was given.
        value: f64,
        /// Values that are allowed, in words.
        range: &'static str,
    },
    /// The survey's pixel scale gives no coordinates.
    #[error(transparent)]
    Wcs(#[from] WcsError),
    /// The name of the field is no image id.
    #[error(transparent)]
    Id(#[from] twinpeak_core::frame::InvalidImageId),
}

impl Spec {
    /// An ordinary field of a survey: frames as large as its own, under its seeing.
    pub fn of(survey: &Survey) -> Self {
        let (simulated, typical) = (&survey.profile().simulated, &survey.profile().typical);
        let seeing = Seeing {
            median_fwhm_arcsec: simulated.median_fwhm_arcsec.unwrap_or(typical.fwhm_arcsec),
            sigma_ln: simulated.fwhm_scatter_ln,
            band_factor: simulated.fwhm_by_band,
            ..Seeing::default()
        };
        Self { width: simulated.width_px, height: simulated.height_px, seeing, ..Self::default() }
    }

    /// What lies in the sky of this field: itself, or its visit 0.
    pub(super) fn sky(&self) -> Self {
        Self { visit: 0, wcs_scatter_arcsec: 0.0, ..self.clone() }
    }

    /// Refuses values that make no sense.
    pub(super) fn check(&self) -> Result<(), SimError> {
        let (seeing, bad) = (&self.seeing, &self.artefacts);
        let (last_field, fields) =
            if self.visit == 0 { (LAST_FIELD, "1 to 9999") } else { (LAST_VISITED_FIELD, "1 to 999") };
        let rules = [
            ("seed", self.seed as f64, 0.0, LAST_SEED as f64, "0 to 990999"),
            ("field", f64::from(self.field), 1.0, f64::from(last_field), fields),
            ("visit", f64::from(self.visit), 0.0, f64::from(LAST_VISIT), "0 to 9"),
            ("wcs_scatter_arcsec", self.wcs_scatter_arcsec, 0.0, 10.0, "0 to 10"),
            ("width", self.width as f64, SMALLEST_PX as f64, 16_384.0, "64 to 16384"),
            ("height", self.height as f64, SMALLEST_PX as f64, 16_384.0, "64 to 16384"),
            ("density", self.density, 0.0, 1000.0, "0 to 1000"),
            ("sources", self.sources.unwrap_or(0) as f64, 0.0, 1e6, "at most 1000000"),
            ("seeing.median_fwhm_arcsec", seeing.median_fwhm_arcsec, 0.01, 20.0, "0.01 to 20"),
            ("seeing.sigma_ln", seeing.sigma_ln, 0.0, 1.0, "0 to 1"),
            ("seeing.beta", seeing.beta[0], 1.5, seeing.beta[1], "1.5 or more, in rising order"),
            ("seeing.beta", seeing.beta[1], 1.5, 8.0, "1.5 to 8"),
            ("seeing.ellipticity_max", seeing.ellipticity_max, 0.0, 0.5, "0 to 0.5"),
            ("seeing.variation_max", seeing.variation_max, 0.0, 0.5, "0 to 0.5"),
            ("offset_max_px", self.offset_max_px[0], 0.0, 1000.0, "0 to 1000"),
            ("offset_max_px", self.offset_max_px[1], 0.0, 1000.0, "0 to 1000"),
            ("significant_bits", f64::from(self.significant_bits), 4.0, 24.0, "4 to 24"),
            ("artefacts.cosmic_rays", bad.cosmic_rays, 0.0, 1e5, "0 to 100000"),
            ("artefacts.bad_columns", bad.bad_columns[1] as f64, bad.bad_columns[0] as f64, 64.0, "rising, at most 64"),
            ("artefacts.sky_residual_max_sigma", bad.sky_residual_max_sigma, 0.0, 10.0, "0 to 10"),
            ("artefacts.blend_fraction", bad.blend_fraction, 0.0, 1.0, "0 to 1"),
            ("artefacts.satellite_trails", bad.satellite_trails as f64, 0.0, 1000.0, "0 to 1000"),
        ];
        let cluster = self.cluster.iter().flat_map(|c| {
            [
                ("cluster.stars", c.stars as f64, 0.0, 1e6, "at most 1000000"),
                ("cluster.core_radius_arcsec", c.core_radius_arcsec, 0.1, 1e4, "0.1 to 10000"),
                (
                    "cluster.tidal_radius_arcsec",
                    c.tidal_radius_arcsec,
                    c.core_radius_arcsec,
                    1e5,
                    "the core's radius to 100000",
                ),
                ("cluster.turnoff_mag", c.turnoff_mag, 10.0, 24.0, "10 to 24"),
            ]
        });
        let factors = seeing.band_factor.map(|f| ("seeing.band_factor", f, 0.1, 10.0, "0.1 to 10"));
        for (key, value, low, high, range) in rules.into_iter().chain(factors).chain(cluster) {
            if !(low..=high).contains(&value) {
                return Err(SimError::Value { key, value, range });
            }
        }
        Ok(())
    }
}
