//! What a header says about a band: its calibration, times and the sky that was taken off.

use super::coordinates;
use super::file_error::FileError;
use super::hdu::Hdu;
use super::shape::Shape;
use super::table::Table;
use twinpeak_core::median::upper_median;
use twinpeak_core::survey::Survey;
use twinpeak_core::wcs::Wcs;

/// Seconds of a day.
pub(super) const DAY_S: f64 = 86_400.0;

/// The facts of one band's file.
#[derive(Clone, Debug)]
pub(super) struct CalibrationHeader {
    pub wcs: Wcs,
    pub nmgy_per_dn: f64,
    pub exposure_s: Option<f64>,
    pub midpoint_mjd_tai: Option<f64>,
    pub removed_sky_nmgy: Option<f64>,
}

/// A calibration farther from the survey's usual one is a fault of the file.
const CALIBRATION_PER_USUAL: std::ops::Range<f64> = 1e-3..1e3;
/// Nor was anything observed after this, MJD.
const LATEST_MJD: f64 = 200_000.0;

impl CalibrationHeader {
    /// Reads them; `image` is the HDU with the pixels, of `shape`, and `band` its index in the survey.
    pub(super) fn read(
        survey: &Survey,
        band: usize,
        hdus: &[Hdu],
        image: usize,
        shape: Shape,
    ) -> Result<Self, FileError> {
        // Where the image is an extension, what holds for the whole file stands in the first header.
        let headers = [&hdus[image].header, &hdus[0].header];
        let number = |card: &Option<String>| {
            let card = card.as_deref()?;
            headers.iter().find_map(|h| h.number(card)).filter(|v| v.is_finite())
        };
        let profile = survey.profile();
        check_unit(&profile.unit, headers.iter().find_map(|h| h.text("BUNIT")))?;
        let usual = profile.typical.nmgy_per_dn[band];
        let nmgy_per_dn = number(&profile.cards.nmgy_per_dn).map_or(usual, |units| units * survey.nmgy_per_unit());
        if !CALIBRATION_PER_USUAL.contains(&(nmgy_per_dn / usual)) {
            let card = profile.cards.nmgy_per_dn.clone().unwrap_or_default();
            return Err(FileError::Calibration { card, value: nmgy_per_dn / survey.nmgy_per_unit() });
        }
        let exposure_s = number(&profile.cards.exposure_s).filter(|s| *s > 0.0);
        let half_s = exposure_s.unwrap_or(profile.typical.exposure_s) / 2.0;
        Ok(Self {
            wcs: coordinates::read(hdus, image, shape)?,
            nmgy_per_dn,
            exposure_s,
            midpoint_mjd_tai: number(&profile.cards.start_tai_s)
                .map(|start_s| (start_s + half_s) / DAY_S)
                .filter(|mjd| (0.0..LATEST_MJD).contains(mjd)),
            removed_sky_nmgy: profile
                .cards
                .sky_table
                .as_deref()
                .and_then(|column| removed_sky_dn(hdus, column))
                .map(|dn| dn * nmgy_per_dn),
        })
    }
}

/// BUNIT must name the survey's unit, in the singular or the plural, in any case.
fn check_unit(wanted: &str, found: Option<&str>) -> Result<(), FileError> {
    let singular = |unit: &str| {
        let unit = unit.trim().to_lowercase();
        match unit.strip_suffix("ies") {
            Some(stem) => format!("{stem}y"),
            None => unit.strip_suffix('s').unwrap_or(&unit).to_owned(),
        }
    };
    match found {
        Some(unit) if singular(unit) != singular(wanted) => {
            Err(FileError::Unit { found: unit.to_owned(), wanted: wanted.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Median of a table's samples of the sky. A courtesy of the file: without it nothing is wrong.
fn removed_sky_dn(hdus: &[Hdu], column: &str) -> Option<f64> {
    let tables = hdus.iter().filter_map(|hdu| Table::of(hdu).ok().flatten());
    let mut samples = tables.filter_map(|table| Some(table.reals(table.column(column)?))).find(|s| !s.is_empty())?;
    upper_median(&mut samples, f64::total_cmp)
}
