//! From a file's pixels to nanomaggies: what one unit of them is, where a frame's zero point stands, and which cards
//! give gain, read noise and saturation.
//!
//! A survey's pixels are fluxes, whose unit has the magnitude `zero_point_mag`, or counts, whose flux each frame tells
//! by one of three ways: a card of its header, a row of a table of CCDs, or a number of the survey for the band.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Profile, SurveyError};
use crate::frame::PerBand;

/// Magnitude of one nanomaggy: the unit of all fluxes inside the program and in its results.
pub const NMGY_MAG: f64 = 22.5;
/// Magnitude (AB) of one nanojansky.
const NJY_MAG: f64 = 31.4;

/// The section `calibration` of a survey's file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calibration {
    /// Card with a frame's zero point.
    pub card: Option<String>,
    /// What that card holds.
    pub card_holds: CardHolds,
    /// Table of CCDs with zero points.
    pub table: Option<TableOfCcds>,
    /// Magnitude of one count (with `per_second`, of one count a second) in each band, where neither card nor table is named
    /// or they do not know a frame.
    pub zero_point_mag: BTreeMap<String, f64>,
    /// The zero point is that of one count a second: counts are divided by the exposure time.
    pub per_second: bool,
    /// Cards with the gain, electrons per DN; the mean of those that are there, one an amplifier. Else `[[detector]]`.
    pub gain_cards: Vec<String>,
    /// Cards with the read noise, electrons; the mean of their squares. Else `[[detector]]`.
    pub read_noise_cards: Vec<String>,
    /// Cards with the value above which a pixel is not trusted, DN, sky and all; the least of them. Else `saturation`.
    pub saturation_cards: Vec<String>,
    /// Card with the sky that was subtracted, in the pixels' unit. Saturation is then that of pixel and sky together.
    pub removed_sky_card: Option<String>,
}

/// What a card with a zero point holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardHolds {
    /// Magnitude of one count (MAGZERO, ZEROPT, PHOTZP).
    #[default]
    ZeroPointMag,
    /// Counts of magnitude 0 (FLUXMAG0 of HSC and LSST).
    #[serde(rename = "counts_of_mag_0")]
    CountsOfMag0,
    /// Flux of one count, nJy (PHOTCALIB of LSST).
    NjyPerCount,
}

/// A table beside the survey's file (CSV or FITS) with one row a CCD of an exposure.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOfCcds {
    /// Its path, from the folder of the survey's file.
    pub file: String,
    /// Column with the zero point, mag.
    pub zero_point: String,
    /// A row is a frame's where each of these columns holds what the card named for it says; `{band}` stands for the
    /// band and `{file}` for the file's name.
    #[serde(rename = "match")]
    pub matching: BTreeMap<String, String>,
}

/// Flux of one count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ZeroPoint {
    /// Magnitude of one count.
    Mag(f64),
    /// Counts of a source of magnitude 0.
    CountsOfMag0(f64),
    /// nJy of one count.
    Njy(f64),
}

/// What a file's pixels are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelFlux {
    /// Flux of one unit of a pixel, nMgy.
    pub nmgy_per_unit: f64,
    /// Flux of one count (DN), nMgy.
    pub nmgy_per_dn: f64,
}

impl Calibration {
    /// Whether pixels are counts.
    pub fn of_counts(&self) -> bool {
        self.card.is_some() || self.table.is_some() || !self.zero_point_mag.is_empty()
    }

    /// What counts are worth; `None` where the exposure time is needed and not known.
    ///
    /// A zero point `per_second` is that of a count a second, so that a count is worth that over the exposure. Pixels whose
    /// unit is a rate are each worth as many counts as the exposure has seconds.
    pub fn pixel_flux(&self, zero: ZeroPoint, unit: &str, exposure_s: Option<f64>) -> Option<PixelFlux> {
        let nmgy = zero.nmgy_per_count();
        let rate = Unit::parse(unit).per_second;
        if self.per_second == rate {
            let nmgy_per_dn = if rate { nmgy / exposure_s? } else { nmgy };
            return Some(PixelFlux { nmgy_per_unit: nmgy, nmgy_per_dn });
        }
        let exposure_s = exposure_s?;
        let nmgy_per_dn = if self.per_second { nmgy / exposure_s } else { nmgy };
        let nmgy_per_unit = if rate { nmgy_per_dn * exposure_s } else { nmgy_per_dn };
        Some(PixelFlux { nmgy_per_unit, nmgy_per_dn })
    }

    /// The zero point of a card's value.
    pub fn zero_point_of_card(&self, value: f64) -> ZeroPoint {
        match self.card_holds {
            CardHolds::ZeroPointMag => ZeroPoint::Mag(value),
            CardHolds::CountsOfMag0 => ZeroPoint::CountsOfMag0(value),
            CardHolds::NjyPerCount => ZeroPoint::Njy(value),
        }
    }

    /// What stands in the card for counts of this flux: the inverse of [`Self::pixel_flux`].
    pub fn card_value(&self, nmgy_per_dn: f64, exposure_s: f64) -> f64 {
        let nmgy = if self.per_second { nmgy_per_dn * exposure_s } else { nmgy_per_dn };
        match self.card_holds {
            CardHolds::ZeroPointMag => NMGY_MAG - 2.5 * nmgy.log10(),
            CardHolds::CountsOfMag0 => 1e9 / nmgy,
            CardHolds::NjyPerCount => nmgy * nmgy_of_mag(NMGY_MAG) / nmgy_of_mag(NJY_MAG),
        }
    }
}

impl ZeroPoint {
    /// Flux of one count, nMgy; not finite or not positive where the zero point makes no sense.
    pub fn nmgy_per_count(self) -> f64 {
        match self {
            Self::Mag(mag) => nmgy_of_mag(mag),
            Self::CountsOfMag0(counts) => 1e9 / counts,
            Self::Njy(njy) => njy * nmgy_of_mag(NJY_MAG),
        }
    }
}

/// Flux of a magnitude, nMgy.
pub fn nmgy_of_mag(mag: f64) -> f64 {
    10f64.powf(0.4 * (NMGY_MAG - mag))
}

/// Holds the section against the rest of the description, and gives `typical.nmgy_per_dn` what the survey's own zero
/// points say.
pub(super) fn check(profile: &mut Profile) -> Result<(), SurveyError> {
    let calibration = &profile.calibration;
    let value = |key, problem: &str| Err(SurveyError::Value { key, problem: problem.to_owned() });
    match (profile.zero_point_mag, calibration.of_counts()) {
        (Some(mag), _) if !mag.is_finite() => return value("zero_point_mag", "it must be a magnitude"),
        (Some(_), true) => {
            return value(
                "zero_point_mag",
                "fluxes have it, counts have calibration.card, .table or .zero_point_mag: not both",
            );
        }
        (None, false) => {
            return value(
                "zero_point_mag",
                "it is missing: give it for fluxes; for counts calibration.card, .table or .zero_point_mag",
            );
        }
        _ => {}
    }
    if calibration.of_counts() && profile.cards.nmgy_per_dn.is_some() {
        return value("cards.nmgy_per_dn", "counts are their own DN: name their zero point in calibration.card");
    }
    if calibration.card.is_some() && calibration.table.is_some() {
        return value("calibration", "a frame has one zero point: name card or table, not both");
    }
    if let Some(table) = calibration.table.as_ref().filter(|t| t.matching.is_empty()) {
        let problem = format!("say which row of {} is a frame's, as in match = {{ expnum = \"EXPNUM\" }}", table.file);
        return value("calibration.table", &problem);
    }
    let planes = &profile.bands.planes;
    if let Some((band, _)) = calibration
        .zero_point_mag
        .iter()
        .find(|(band, mag)| !mag.is_finite() || band.is_empty() || !planes.contains(band))
    {
        return value("calibration.zero_point_mag", &format!("{band:?} is none of {planes:?}, or has no magnitude"));
    }
    let own = calibration.zero_point_mag.len();
    if own > 0 && own < planes.iter().filter(|p| !p.is_empty()).count() {
        return value("calibration.zero_point_mag", "give each band's, or none");
    }
    let usual: PerBand<Option<f64>> = std::array::from_fn(|b| {
        let mag = *calibration.zero_point_mag.get(&planes[b])?;
        let flux = calibration.pixel_flux(ZeroPoint::Mag(mag), &profile.unit, Some(profile.typical.exposure_s))?;
        Some(flux.nmgy_per_dn)
    });
    for (typical, usual) in profile.typical.nmgy_per_dn.iter_mut().zip(usual) {
        *typical = usual.unwrap_or(*typical);
    }
    Ok(())
}

/// A unit as headers write it: without case, plural, or the choice among its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The unit of an amount.
    base: String,
    /// Whether it is a rate.
    per_second: bool,
}

/// Names of one unit each; the first is the one compared.
const SYNONYMS: [&[&str]; 4] = [
    &["count", "ct", "adu", "dn", "data number", "analog-to-digital unit"],
    &["electron", "e", "e-", "photoelectron", "elec"],
    &["nanomaggy", "nmgy", "nmaggy", "nanomgy"],
    &["njy", "nanojansky", "nanojanskys"],
];

impl Unit {
    /// Reads a unit: `ADU`, `counts`, `electron/s`, `e- s-1`, `nanomaggies`.
    pub fn parse(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        let rates = ["/sec", "/s", " s-1", ".s-1", " s**-1", " s^-1", "*s**-1", " per second", " per sec", "/second"];
        let amount = rates.iter().find_map(|rate| {
            let squeezed = text.replace(" /", "/").replace("/ ", "/");
            squeezed.strip_suffix(rate).map(str::to_owned)
        });
        let per_second = amount.is_some();
        let amount = amount.unwrap_or(text);
        let amount = amount.trim();
        let known = |name: &str| SYNONYMS.iter().find(|names| names.contains(&name)).map(|names| names[0].to_owned());
        let singular = match amount.strip_suffix("ies") {
            Some(stem) => format!("{stem}y"),
            None => amount.strip_suffix('s').unwrap_or(amount).to_owned(),
        };
        let base = known(amount).or_else(|| known(&singular)).unwrap_or(singular);
        Self { base, per_second }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::Survey;

    const SDSS: &str = include_str!("../../../config/surveys/sdss.toml");

    /// The shipped survey with counts in its files, calibrated as `section` says.
    fn counts(section: &str) -> Result<Survey, SurveyError> {
        let text = SDSS.replacen("zero_point_mag = 22.5", "", 1).replacen("nmgy_per_dn = \"NMGY\"", "", 1);
        Survey::parse(&format!(
            "{}\n[calibration]\n{section}\n",
            text.replacen("unit = \"nanomaggy\"", "unit = \"adu\"", 1)
        ))
    }

    /// One nanomaggy is 3.6308 uJy: AB magnitude 22.5. LSST's zero point of nJy is 31.4.
    #[test]
    fn zero_points_are_fluxes() {
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
        near(ZeroPoint::Mag(22.5).nmgy_per_count(), 1.0);
        near(ZeroPoint::Mag(27.5).nmgy_per_count(), 0.01);
        near(ZeroPoint::CountsOfMag0(1e11).nmgy_per_count(), 0.01); // magnitude 27.5
        near(ZeroPoint::Njy(3_630.780_547_701_014).nmgy_per_count(), 1.0);
        for holds in ["zero_point_mag", "counts_of_mag_0", "njy_per_count"] {
            for per_second in [true, false] {
                let survey =
                    counts(&format!("card = \"ZP\"\ncard_holds = \"{holds}\"\nper_second = {per_second}")).unwrap();
                let calibration = &survey.profile().calibration;
                let zero = calibration.zero_point_of_card(calibration.card_value(0.004, 90.0));
                near(calibration.pixel_flux(zero, "adu", Some(90.0)).unwrap().nmgy_per_dn, 0.004);
            }
        }
    }

    #[test]
    fn the_exposure_divides_once() {
        let flux = |per_second, unit: &str, exposure_s| {
            let calibration = Calibration { per_second, ..Calibration::default() };
            let flux = calibration.pixel_flux(ZeroPoint::Mag(22.5), unit, exposure_s)?;
            Some((flux.nmgy_per_unit, flux.nmgy_per_dn))
        };
        assert_eq!(flux(false, "adu", None), Some((1.0, 1.0)));
        assert_eq!(flux(true, "adu", Some(50.0)), Some((0.02, 0.02)));
        assert_eq!(flux(true, "electron/s", Some(50.0)), Some((1.0, 0.02)));
        assert_eq!(flux(false, "electron / s", Some(50.0)), Some((50.0, 1.0)));
        assert_eq!([flux(true, "adu", None), flux(true, "e/s", None), flux(false, "e/s", None)], [None; 3]);
    }

    #[test]
    fn a_unit_has_many_names() {
        for alike in [
            &["adu", "ADU", "counts", "DN", "ct "][..],
            &["electron", "Electrons", "e-", "e"],
            &["nanomaggy", "NANOMAGGIES", "nmgy"],
            &["counts/s", "adu / sec", "DN s-1"],
            &["nJy", "nanojansky"],
            &["erg", "ergs"],
        ] {
            for name in alike {
                assert_eq!(Unit::parse(name), Unit::parse(alike[0]), "{name}");
            }
        }
        let different = ["adu", "electron", "nanomaggy", "adu/s", "nJy", "Jy", "mJy"].map(Unit::parse);
        assert!(different.iter().enumerate().all(|(i, unit)| !different[..i].contains(unit)), "{different:?}");
    }

    #[test]
    fn a_frame_has_one_zero_point() {
        let all = "zero_point_mag = { u = 22.5, g = 25.0, r = 25.0, i = 25.0, z = 25.0 }";
        let survey = counts(&format!("per_second = true\n{all}")).unwrap();
        let usual = survey.profile().typical.nmgy_per_dn;
        assert!((usual[0] - 1.0 / 53.9).abs() < 1e-12 && (usual[1] - 0.1 / 53.9).abs() < 1e-12, "{usual:?}");
        for (section, says) in [
            ("per_second = true", "calibration.card"),
            ("card = \"A\"\ntable = { file = \"a.csv\", zero_point = \"z\", match = { a = \"B\" } }", "one zero point"),
            ("table = { file = \"a.csv\", zero_point = \"z\", match = {} }", "a.csv"),
            ("zero_point_mag = { y = 25.0 }", "\"y\""),
            ("zero_point_mag = { r = 25.0 }", "each band"),
            ("card_hold = \"njy\"", "card_hold"),
        ] {
            let error = counts(section).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let both = format!("{SDSS}\n[calibration]\n{all}\n");
        assert!(Survey::parse(&both).unwrap_err().to_string().contains("not both"));
    }
}
