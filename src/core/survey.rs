//! A survey as data: everything that SDSS has and another survey has otherwise. `config/surveys/sdss.toml` is
//! the shipped profile; nothing in the code is a special case of it.

mod bands;
mod calibration;
mod ccds;
mod file_names;
mod grouping;
mod magnitudes;
mod planes;

pub use bands::Bands;
pub use calibration::{Calibration, CardHolds, NMGY_MAG, PixelFlux, TableOfCcds, Unit, ZeroPoint, nmgy_of_mag};
pub use ccds::TextTable;
pub use file_names::{FileName, Named};
pub use grouping::{Files, Group};
pub use magnitudes::{Magnitudes, NODE_STEP_MAG, Simulated, WrittenMagnitudes};
pub use planes::{CcdNames, HduName, ImageHdu, MaskCode, MaskPlanes, PlaneKind, PlanePlace, WeightKind, WeightPlanes};

use serde::Deserialize;

use crate::frame::{BANDS, FieldIds, ImageId, PerBand};
use file_names::Pattern;

/// A survey's description, checked.
#[derive(Clone, Debug)]
pub struct Survey {
    profile: Profile,
    pattern: Pattern,
    reference: usize,
    shape: [usize; 3],
    zero_points: ccds::ZeroPoints,
    magnitudes: Magnitudes,
}

/// The file `config/surveys/*.toml`, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Short name; part of every source's id and of the topics' names.
    pub name: String,
    /// Its bands.
    pub bands: Bands,
    /// The band whose pixel grid carries positions.
    pub reference_band: String,
    /// The three bands in which sources stand out best; centring and classification use these.
    pub shape_bands: [String; 3],
    /// Whether a band whose grid is turned, mirrored, scaled or distorted against the reference band's is resampled
    /// onto it; a frame with such a band is refused otherwise.
    #[serde(default = "yes")]
    pub resample: bool,
    /// Side of a pixel, arcsec. A frame whose world coordinates give another is measured with its own; one that
    /// differs by more than 20 % is refused.
    pub pixel_scale_arcsec: f64,
    /// Magnitude of one unit of flux in the files; everything of ours is in nMgy, whose zero point is 22.5. Absent where
    /// they hold counts.
    pub zero_point_mag: Option<f64>,
    /// Value that the header card BUNIT must have.
    pub unit: String,
    /// How counts become fluxes, and cards that say what detectors are like.
    #[serde(default)]
    pub calibration: Calibration,
    /// Regular expression of a file's name, capturing `image`, and `band` unless `files` says where that is found.
    pub file_pattern: String,
    /// Name of a written file, with `{band}` and `{image}`.
    pub file_template: String,
    /// What a file holds, and which files are one field.
    #[serde(default)]
    pub files: Files,
    /// Margins outside which a source belongs to the neighbouring field.
    pub primary_margin_px: Margin,
    /// Softening b of asinh magnitudes, maggies (Lupton, Gunn & Szalay 1999).
    pub asinh_softening_maggies: PerBand<f64>,
    /// Magnitudes of the stars that make a frame's PSF.
    pub psf_stars: PsfStars,
    /// Names of header cards.
    pub cards: Cards,
    /// Usual values, where a header is silent and for simulations.
    pub typical: Typical,
    /// Pixel values beyond which a detector is not linear.
    pub saturation: Saturation,
    /// Ranges of magnitudes that differ from what follows from the depth.
    #[serde(default)]
    pub magnitudes: WrittenMagnitudes,
    /// What simulated frames are like.
    #[serde(default)]
    pub simulated: Simulated,
    /// Gain and dark variance by camera column and run.
    pub detector: Vec<Detector>,
    /// In which HDU pixels are.
    #[serde(default)]
    pub image: ImageHdu,
    /// The survey's own masks.
    pub mask: Option<MaskPlanes>,
    /// The survey's own weights or variances.
    pub weight: Option<WeightPlanes>,
}

fn yes() -> bool {
    true
}

/// Pixels at each side of a frame.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margin {
    /// Columns at the low-x edge, px.
    pub left: usize,
    /// Columns at the high-x edge, px.
    pub right: usize,
    /// Rows at the low-y edge, px.
    pub bottom: usize,
    /// Rows at the high-y edge, px.
    pub top: usize,
}

/// Reference-band magnitudes, in a 4 px aperture, between which isolated stars show the PSF.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PsfStars {
    /// Brighter ones may be saturated.
    pub brightest_mag: f64,
    /// Fainter ones are noise.
    pub faintest_mag: f64,
    /// The mode of the half-light radius is that of objects brighter than this.
    pub mode_faintest_mag: f64,
}

/// Names of the header cards that hold a frame's facts; an absent name is not read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cards {
    /// Calibration, units of flux per DN.
    pub nmgy_per_dn: Option<String>,
    /// Card of the exposure time, s.
    pub exposure_s: Option<String>,
    /// Start of exposure, seconds since MJD 0 (TAI).
    pub start_tai_s: Option<String>,
    /// Column of a table extension with the subtracted sky, DN.
    pub sky_table: Option<String>,
}

/// Usual values of the survey, where a header is silent and for simulations.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typical {
    /// Exposure time, s.
    pub exposure_s: f64,
    /// Seeing before any is measured, arcsec: full width at half maximum of the PSF.
    #[serde(default = "usual_fwhm_arcsec")]
    pub fwhm_arcsec: f64,
    /// Flux of one DN in each band, nMgy.
    pub nmgy_per_dn: PerBand<f64>,
    /// Sky noise of one pixel, nMgy.
    pub sky_sigma_nmgy: PerBand<f64>,
    /// Surface brightness of the sky in each band, mag / arcsec^2.
    pub sky_mag_arcsec2: PerBand<f64>,
    /// Flux of an ordinary object relative to the reference band.
    pub object_sed: PerBand<f64>,
    /// Fewest objects that any part of the sky shows at the survey's depth, a square degree: a frame with far fewer shows
    /// no sky. Absent: any number is believed.
    pub fewest_objects_deg2: Option<f64>,
    /// Standard error of the reference band's world coordinates in each direction on the sky, arcsec. Absent: what the
    /// frame's bands say against each other.
    pub astrometric_error_arcsec: Option<f64>,
}

/// What most sites have.
fn usual_fwhm_arcsec() -> f64 {
    1.0
}

/// Pixel values at which a detector stops being linear.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saturation {
    /// A pixel above this is not trusted, DN.
    pub trusted_dn: f64,
    /// Full well: the value at which a detector clips, DN.
    pub full_well_dn: f64,
    /// Where the survey fills saturated cores with values that look sound: a core whose brightest pixel is above this
    /// is held against its own wings, DN; absent: none is filled.
    pub replaced_core_dn: Option<f64>,
}

/// One camera column's detectors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Camera column; absent: any.
    pub camcol: Option<u32>,
    /// Holds for runs after this one; the last row that fits wins.
    pub after_run: Option<u32>,
    /// Gain of each band, electrons per DN.
    pub gain_e_per_dn: PerBand<f64>,
    /// Read noise and dark current, DN^2.
    pub dark_variance_dn2: PerBand<f64>,
}

/// Why a survey's description cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// Not TOML, an unknown key, a missing key.
    #[error("the survey's description is not understood: {0}")]
    Parse(#[from] toml::de::Error),
    /// The pattern is no regular expression.
    #[error("file_pattern: {0}")]
    Pattern(#[from] regex::Error),
    /// A value that makes no sense.
    #[error("{key}: {problem}")]
    Value {
        /// Key of the description, as it is written there.
        key: &'static str,
        /// What is wrong and what would do.
        problem: String,
    },
}

impl Survey {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// [`SurveyError`] naming the key.
    pub fn parse(text: &str) -> Result<Self, SurveyError> {
        let mut profile: Profile = toml::from_str(text)?;
        calibration::check(&mut profile)?;
        let value = |key, problem: String| SurveyError::Value { key, problem };
        let pattern = Pattern::new(&profile.file_pattern)?;
        let planes = &profile.bands.planes;
        let plane = |name: &str| planes.iter().position(|b| b == name && !b.is_empty());
        let reference = plane(&profile.reference_band)
            .ok_or_else(|| value("reference_band", format!("{:?} is not one of {planes:?}", profile.reference_band)))?;
        let mut shape = [0; 3];
        for (index, name) in shape.iter_mut().zip(&profile.shape_bands) {
            *index = plane(name).ok_or_else(|| value("shape_bands", format!("{name:?} is not one of {planes:?}")))?;
        }
        if ImageId::new(&profile.name).is_err() {
            return Err(value("name", format!("{:?} must be letters, digits, . _ -", profile.name)));
        }
        let positive = |key, values: &[f64]| {
            let bad = values.iter().find(|v| !(v.is_finite() && **v > 0.0));
            bad.map_or(Ok(()), |v| Err(value(key, format!("{v} must be positive"))))
        };
        positive("pixel_scale_arcsec", &[profile.pixel_scale_arcsec])?;
        positive("typical.nmgy_per_dn", &profile.typical.nmgy_per_dn)?;
        positive("typical.sky_sigma_nmgy", &profile.typical.sky_sigma_nmgy)?;
        positive("typical.object_sed", &profile.typical.object_sed)?;
        positive("asinh_softening_maggies", &profile.asinh_softening_maggies)?;
        positive("typical.fwhm_arcsec", &[profile.typical.fwhm_arcsec])?;
        positive("typical.exposure_s", &[profile.typical.exposure_s])?;
        positive("saturation", &[profile.saturation.trusted_dn, profile.saturation.full_well_dn])?;
        positive("saturation.replaced_core_dn", profile.saturation.replaced_core_dn.as_slice())?;
        positive("typical.fewest_objects_deg2", profile.typical.fewest_objects_deg2.as_slice())?;
        if let Some(error) = profile.typical.astrometric_error_arcsec.filter(|e| !(e.is_finite() && *e >= 0.0)) {
            return Err(value("typical.astrometric_error_arcsec", format!("{error} must be 0 or more")));
        }
        for d in &profile.detector {
            positive("detector.gain_e_per_dn", &d.gain_e_per_dn)?;
        }
        let stars = profile.psf_stars;
        if !(stars.brightest_mag < stars.mode_faintest_mag && stars.mode_faintest_mag <= stars.faintest_mag) {
            return Err(value("psf_stars", "brightest_mag < mode_faintest_mag <= faintest_mag must hold".into()));
        }
        if profile.detector.is_empty() {
            return Err(value("detector", "give at least one row".into()));
        }
        let magnitudes = Magnitudes::of(&profile, reference)?;
        let zero_points = ccds::ZeroPoints::default();
        let survey = Self { profile, pattern, reference, shape, zero_points, magnitudes };
        survey.check_planes()?;
        survey.check_files()?;
        Ok(survey)
    }

    /// The description as written.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Index of the reference band.
    pub fn reference(&self) -> usize {
        self.reference
    }

    /// The name of band `b`; empty where the survey has no such plane.
    pub fn band(&self, b: usize) -> &str {
        &self.profile.bands.planes[b]
    }

    /// The planes that the survey has.
    pub fn planes(&self) -> impl Iterator<Item = usize> {
        (0..BANDS).filter(|&b| !self.band(b).is_empty())
    }

    /// The plane of a band by its name or an alias of it.
    pub fn plane_of(&self, name: &str) -> Option<usize> {
        let bands = &self.profile.bands;
        let name = bands.aliases.get(name).map_or(name, String::as_str);
        bands.planes.iter().position(|b| b == name && !b.is_empty())
    }

    /// How many bands an image must have at least.
    pub fn required(&self) -> usize {
        self.profile.bands.required
    }

    /// The detectors that took a field: the last row that fits its camera column and run.
    pub fn detector(&self, ids: &FieldIds) -> &Detector {
        let fits = |d: &&Detector| {
            (d.camcol.is_none() || d.camcol == ids.camcol)
                && d.after_run.is_none_or(|r| ids.run.is_some_and(|run| run > r))
        };
        self.profile.detector.iter().rev().find(fits).unwrap_or(&self.profile.detector[0])
    }

    /// Unit-norm weights of a detection sum over bands in sigma units: SED / sigma, so that the sum has unit noise.
    pub fn detection_weights(&self, sigma_nmgy: &PerBand<f64>, bands: &[usize]) -> PerBand<f32> {
        let mut w = [0.0; BANDS];
        for &b in bands {
            w[b] = self.profile.typical.object_sed[b] / sigma_nmgy[b];
        }
        let norm = w.iter().map(|v| v * v).sum::<f64>().sqrt();
        w.map(|v| (v / norm) as f32)
    }

    /// What one unit of flux in the survey's files is, nMgy: 1 where its zero point is 22.5. `None` where they hold counts.
    pub fn nmgy_per_unit(&self) -> Option<f64> {
        self.profile.zero_point_mag.map(nmgy_of_mag)
    }

    /// The ranges of magnitudes that training and checks keep to.
    pub fn magnitudes(&self) -> &Magnitudes {
        &self.magnitudes
    }

    /// Indices of the three bands in which sources stand out best.
    pub fn shape_bands(&self) -> [usize; 3] {
        self.shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdss() -> Survey {
        Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap()
    }

    #[test]
    fn detectors_change_with_the_run() {
        let gain = |run, camcol| {
            sdss().detector(&FieldIds { run: Some(run), camcol: Some(camcol), ..Default::default() }).gain_e_per_dn[0]
        };
        assert_eq!((gain(1000, 2), gain(1101, 2), gain(4000, 2), gain(4000, 6)), (1.595, 1.825, 1.825, 2.17));
    }

    #[test]
    fn a_survey_has_up_to_five_bands_and_may_ask_for_fewer() {
        let text = include_str!("../../config/surveys/sdss.toml");
        let with = |bands: &str| Survey::parse(&text.replacen(r#"bands = ["u", "g", "r", "i", "z"]"#, bands, 1));
        let all = with(r#"bands = ["u", "g", "r", "i", "z"]"#).unwrap();
        assert_eq!((all.required(), all.planes().count()), (5, 5));
        let table = r#"bands = { planes = ["", "g", "r", "i", "z"], required = 3, aliases = { "HSC-G" = "g" } }"#;
        let some = with(table).unwrap();
        assert_eq!((some.required(), some.planes().collect::<Vec<_>>()), (3, vec![1, 2, 3, 4]));
        assert_eq!((some.plane_of("HSC-G"), some.plane_of("z"), some.plane_of("")), (Some(1), Some(4), None));
        for (bands, says) in [
            (r#"bands = ["u", "g", "r", "i", "z", "y"]"#, "6 planes are chosen"),
            (r#"bands = { planes = ["g", "r", "i"], required = 4 }"#, "4 is not from 1 to 3"),
            (r#"bands = { planes = ["g", "r", "i"], aliases = { "a" = "z" } }"#, "none of"),
            (r#"bands = ["g", "r", "i", "g"]"#, "twice"),
        ] {
            let error = with(bands).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_key() {
        let text = include_str!("../../config/surveys/sdss.toml");
        for (from, to, key) in [
            ("reference_band = \"r\"", "reference_band = \"y\"", "reference_band"),
            ("pixel_scale_arcsec = 0.396", "pixel_scale_arcsec = -1.0", "pixel_scale_arcsec"),
            ("unit = ", "units = ", "units"),
            ("?P<band>", "?P<b>", "file_pattern"),
        ] {
            let error = Survey::parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
