//! Where on the scale of magnitudes a survey's objects are saturated, plain, faint or lost. All are reference-band
//! magnitudes.

use serde::{Deserialize, Serialize};

use super::{Profile, SurveyError, nmgy_of_mag};
use crate::frame::BANDS;

/// Spacing of the nodes of tables by magnitude, mag.
pub const NODE_STEP_MAG: f64 = 0.25;

/// The ranges that training and checks keep to. What a survey's file leaves out follows from its depth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Magnitudes {
    /// 5 sigma of a point source at the usual noise and seeing.
    pub depth: f64,
    /// Objects that teach the classifier: brighter ones are saturated, fainter ones all noise.
    pub teaching: [f64; 2],
    /// Where concentration tells stars from galaxies, so that it names the star peak.
    pub naming: [f64; 2],
    /// Objects that count in a frame's mixture, which is watched for drift.
    pub drift: [f64; 2],
    /// First and last node of the calibration of the nets.
    pub calibration: [f64; 2],
    /// Up to here objects are few, and the calibration's window is twice as wide.
    pub sparse_to: f64,
    /// First and last node of the shares of profiles.
    pub profiles: [f64; 2],
    /// No magnitude is fainter where one must be a number, as that of an object of negative flux.
    pub faintest: f64,
    /// Of simulated objects with flat counts.
    pub flat: [f64; 2],
}

/// The section `magnitudes` of a survey's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenMagnitudes {
    /// See [`Magnitudes::teaching`].
    pub teaching: Option<[f64; 2]>,
    /// See [`Magnitudes::naming`].
    pub naming: Option<[f64; 2]>,
    /// See [`Magnitudes::drift`].
    pub drift: Option<[f64; 2]>,
    /// See [`Magnitudes::calibration`].
    pub calibration: Option<[f64; 2]>,
    /// See [`Magnitudes::sparse_to`].
    pub sparse_to: Option<f64>,
    /// See [`Magnitudes::profiles`].
    pub profiles: Option<[f64; 2]>,
    /// See [`Magnitudes::faintest`].
    pub faintest: Option<f64>,
    /// See [`Magnitudes::flat`].
    pub flat: Option<[f64; 2]>,
}

impl Magnitudes {
    /// What follows from the brightest star that is not saturated and from the depth: the distances are those that proved
    /// themselves on SDSS, whose depth is 22.8 and whose stars saturate at 15.
    pub fn for_depth(brightest: f64, depth: f64) -> Self {
        Self {
            depth,
            teaching: [brightest - 1.5, depth + 0.1],
            naming: [brightest, depth - 2.3],
            drift: [brightest, depth - 1.8],
            calibration: [brightest + 1.0, depth + 0.2],
            sparse_to: depth - 3.8,
            profiles: [brightest - 2.0, depth + 1.2],
            faintest: depth + 4.7,
            flat: [brightest, depth - 0.3],
        }
    }

    /// Of a description: what it says, and for the rest what follows from its depth.
    pub(super) fn of(profile: &Profile, reference: usize) -> Result<Self, SurveyError> {
        let written = profile.magnitudes;
        let sigma_px = profile.typical.fwhm_arcsec / 2.355 / profile.pixel_scale_arcsec;
        let noise_area_px = 4.0 * std::f64::consts::PI * sigma_px * sigma_px;
        let limit_nmgy = 5.0 * profile.typical.sky_sigma_nmgy[reference] * noise_area_px.sqrt();
        let usual = Self::for_depth(profile.psf_stars.brightest_mag, 22.5 - 2.5 * limit_nmgy.log10());
        let all = Self {
            depth: usual.depth,
            teaching: written.teaching.unwrap_or(usual.teaching),
            naming: written.naming.unwrap_or(usual.naming),
            drift: written.drift.unwrap_or(usual.drift),
            calibration: written.calibration.unwrap_or(usual.calibration),
            sparse_to: written.sparse_to.unwrap_or(usual.sparse_to),
            profiles: written.profiles.unwrap_or(usual.profiles),
            faintest: written.faintest.unwrap_or(usual.faintest),
            flat: written.flat.unwrap_or(usual.flat),
        };
        let ranges = [
            ("magnitudes.teaching", all.teaching),
            ("magnitudes.naming", all.naming),
            ("magnitudes.drift", all.drift),
            ("magnitudes.calibration", all.calibration),
            ("magnitudes.profiles", all.profiles),
            ("magnitudes.flat", all.flat),
        ];
        let rising = |[low, high]: [f64; 2]| low.is_finite() && high.is_finite() && low < high && high - low < 50.0;
        match ranges.into_iter().find(|(_, range)| !rising(*range)) {
            Some((key, [low, high])) => {
                let from = "psf_stars.brightest_mag and the depth that typical.sky_sigma_nmgy, fwhm_arcsec give";
                Err(SurveyError::Value {
                    key,
                    problem: format!("[{low:.2}, {high:.2}] is no range; unsaid it follows {from}"),
                })
            }
            None => Ok(all),
        }
    }

    /// Nodes of a table by magnitude over a range, [`NODE_STEP_MAG`] apart; the last is at or just beyond its end.
    pub fn nodes([first, last]: [f64; 2]) -> Vec<f64> {
        let steps = ((last - first) / NODE_STEP_MAG - 1e-9).ceil().max(1.0) as usize;
        (0..=steps).map(|i| first + NODE_STEP_MAG * i as f64).collect()
    }

    /// The least flux that counts, nMgy: that of [`Self::faintest`].
    pub fn faintest_nmgy(&self) -> f64 {
        nmgy_of_mag(self.faintest)
    }
}

/// The section `simulated` of a survey's file: what `simulate` draws frames by, where it is not asked otherwise.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulated {
    /// Id of a field, with `{run}` (six digits), `{camcol}` and `{field}` (four digits).
    pub image: String,
    /// Pixels in a row of a frame.
    pub width_px: usize,
    /// Rows of a frame.
    pub height_px: usize,
    /// Median FWHM of the PSF in the reference band, arcsec; absent: `typical.fwhm_arcsec`.
    pub median_fwhm_arcsec: Option<f64>,
    /// Scatter of the logarithm of that FWHM between fields.
    pub fwhm_scatter_ln: f64,
    /// FWHM of each band relative to the reference band.
    pub fwhm_by_band: [f64; BANDS],
}

impl Default for Simulated {
    fn default() -> Self {
        Self {
            image: "{run}-{camcol}-{field}".to_owned(),
            width_px: 2048,
            height_px: 2048,
            median_fwhm_arcsec: None,
            fwhm_scatter_ln: 0.15,
            // As wavelength to the power -0.3 over u, g, r, i, z.
            fwhm_by_band: [1.18, 1.09, 1.0, 0.94, 0.90],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::Survey;

    const SDSS: &str = include_str!("../../../config/surveys/sdss.toml");

    #[test]
    fn the_usual_distances_are_those_of_sdss() {
        let said = *Survey::parse(SDSS).unwrap().magnitudes();
        let start = SDSS.find("[magnitudes]").unwrap();
        let end = start + SDSS[start..].find("\n\n").unwrap();
        let unsaid = *Survey::parse(&format!("{}{}", &SDSS[..start], &SDSS[end..])).unwrap().magnitudes();
        let pairs = [said.teaching, said.naming, said.drift, said.calibration, said.profiles, said.flat]
            .into_iter()
            .zip([unsaid.teaching, unsaid.naming, unsaid.drift, unsaid.calibration, unsaid.profiles, unsaid.flat]);
        for (said, unsaid) in pairs {
            assert!((said[0] - unsaid[0]).abs() < 0.11 && (said[1] - unsaid[1]).abs() < 0.11, "{said:?} {unsaid:?}");
        }
        assert!((said.depth - 22.8).abs() < 0.1, "{}", said.depth);
    }

    #[test]
    fn a_deep_survey_of_small_pixels_is_taught_to_its_depth() {
        let text = SDSS.replacen("pixel_scale_arcsec = 0.396", "pixel_scale_arcsec = 0.2", 1);
        let (start, text) = (text.find("[magnitudes]").unwrap(), text);
        let end = start + text[start..].find("\n\n").unwrap();
        let text = format!("{}{}", &text[..start], &text[end..]);
        let deep = text.replacen("0.017, 0.030, 0.052", "0.017, 0.001, 0.052", 1);
        let magnitudes = *Survey::parse(&deep).unwrap().magnitudes();
        assert!((magnitudes.depth - 25.7).abs() < 0.2, "{}", magnitudes.depth);
        assert!(magnitudes.teaching[1] > magnitudes.depth && magnitudes.faintest > 30.0, "{magnitudes:?}");
    }

    #[test]
    fn nodes_cover_their_range() {
        assert_eq!(Magnitudes::nodes([16.0, 23.0]).len(), 29);
        assert_eq!(Magnitudes::nodes([13.0, 24.0]), (0..45).map(|i| 13.0 + 0.25 * f64::from(i)).collect::<Vec<_>>());
        assert_eq!(Magnitudes::nodes([16.0, 16.3]), [16.0, 16.25, 16.5]);
        let error = Survey::parse(&SDSS.replacen("naming = [15.0, 20.5]", "naming = [21.0, 20.5]", 1)).unwrap_err();
        assert!(error.to_string().contains("magnitudes.naming"), "{error}");
    }
}
