//! What a header says about a band: its calibration, times and the sky that was taken off.

use super::coordinates;
use super::file_error::FileError;
use super::hdu::Hdu;
use super::shape::Shape;
use super::table::Table;
use super::time_cards::{exposure_s, midpoint_mjd_tai};
use super::zero_point::{self, DetectorCards};
use twinpeak_core::median::upper_median;
use twinpeak_core::survey::{PixelFlux, Survey, Unit};
use twinpeak_core::wcs::Wcs;

/// The facts of one band's file.
#[derive(Clone, Debug)]
pub(super) struct CalibrationHeader {
    pub wcs: Wcs,
    /// Flux of one unit of the pixels, nMgy.
    pub nmgy_per_unit: f64,
    pub nmgy_per_dn: f64,
    pub detector: DetectorCards,
    pub exposure_s: Option<f64>,
    pub midpoint_mjd_tai: Option<f64>,
    pub removed_sky_nmgy: Option<f64>,
}

/// A calibration farther from the survey's usual one is a fault of the file.
const CALIBRATION_PER_USUAL: std::ops::Range<f64> = 1e-3..1e3;

impl CalibrationHeader {
    /// Reads them from the HDUs of `file`; `image` is the HDU with the pixels, of `shape`, and `band` its index in the
    /// survey.
    pub(super) fn read(
        survey: &Survey,
        band: usize,
        file: &str,
        hdus: &[Hdu],
        image: usize,
        shape: Shape,
    ) -> Result<Self, FileError> {
        // Where the image is an extension, what holds for the whole file stands in the first header.
        let headers = [&hdus[image].header, &hdus[0].header];
        let profile = survey.profile();
        check_unit(&profile.unit, headers.iter().find_map(|h| h.text("BUNIT")))?;
        let exposure_s = exposure_s(&headers, survey);
        let usual = profile.typical.nmgy_per_dn[band];
        let PixelFlux { nmgy_per_unit, nmgy_per_dn } = match survey.nmgy_per_unit() {
            Some(nmgy_per_unit) => {
                let card = profile.cards.nmgy_per_dn.as_deref();
                let units = card.map(|card| zero_point::finite(&headers, card)).transpose()?.flatten();
                PixelFlux { nmgy_per_unit, nmgy_per_dn: units.map_or(usual, |units| units * nmgy_per_unit) }
            }
            None => zero_point::counts(survey, band, &headers, file, exposure_s)?,
        };
        if !CALIBRATION_PER_USUAL.contains(&(nmgy_per_dn / usual)) {
            if survey.nmgy_per_unit().is_none() {
                let source_of = profile.calibration.card.clone().unwrap_or_else(|| "zero_point_mag".to_owned());
                return Err(FileError::ZeroPoint { source_of, nmgy: nmgy_per_dn, usual });
            }
            let card = profile.cards.nmgy_per_dn.as_ref().or(profile.calibration.card.as_ref());
            let value = survey.nmgy_per_unit().map_or(nmgy_per_dn, |nmgy_per_unit| nmgy_per_dn / nmgy_per_unit);
            return Err(FileError::Calibration { card: card.cloned().unwrap_or_default(), value });
        }
        let detector = zero_point::detector(survey, &headers)?;
        Ok(Self {
            wcs: coordinates::read(hdus, image, shape)?,
            nmgy_per_unit,
            nmgy_per_dn,
            detector,
            exposure_s,
            midpoint_mjd_tai: midpoint_mjd_tai(&headers, survey, exposure_s)?,
            removed_sky_nmgy: profile
                .cards
                .sky_table
                .as_deref()
                .and_then(|column| removed_sky_dn(hdus, column))
                .map(|dn| dn * nmgy_per_dn)
                .or_else(|| detector.removed_sky.map(|sky| sky * nmgy_per_unit)),
        })
    }

    /// A pixel above this is not trusted, nMgy. Where a card tells the sky that was subtracted, that counts too.
    pub(super) fn saturation_nmgy(&self, survey: &Survey) -> f64 {
        let trusted_dn = self.detector.saturation_dn.unwrap_or(survey.profile().saturation.trusted_dn);
        let sky_nmgy = self.detector.removed_sky.map_or(0.0, |sky| sky * self.nmgy_per_unit);
        trusted_dn * self.nmgy_per_dn - sky_nmgy
    }
}

/// BUNIT must name the survey's unit, by any of its names.
fn check_unit(wanted: &str, found: Option<&str>) -> Result<(), FileError> {
    match found.filter(|unit| !unit.trim().is_empty()) {
        Some(unit) if Unit::parse(unit) != Unit::parse(wanted) => {
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
