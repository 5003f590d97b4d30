//! What a frame's counts are worth, and what its header says of the detector.

use super::file_error::FileError;
use super::header::Header;
use twinpeak_core::survey::{PixelFlux, Survey, ZeroPoint};

/// What a header says of the detector; `None` where it is the survey's description that does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DetectorCards {
    pub gain_e_per_dn: Option<f64>,
    /// Variance of the read noise, DN^2.
    pub dark_variance_dn2: Option<f64>,
    /// DN, sky and all.
    pub saturation_dn: Option<f64>,
    /// Sky that was subtracted, in the pixels' unit.
    pub removed_sky: Option<f64>,
}

/// The zero point of a survey of counts, by card, table or the survey itself.
pub(super) fn counts(
    survey: &Survey,
    band: usize,
    headers: &[&Header; 2],
    file: &str,
    exposure_s: Option<f64>,
) -> Result<PixelFlux, FileError> {
    let calibration = &survey.profile().calibration;
    let own = || calibration.zero_point_mag.get(survey.band(band)).map(|mag| ZeroPoint::Mag(*mag));
    let (zero, source) = match (&calibration.card, &calibration.table) {
        (Some(card), _) => match finite(headers, card)? {
            Some(value) => (Some(calibration.zero_point_of_card(value)), card.clone()),
            None => (own(), card.clone()),
        },
        (None, Some(table)) => {
            let said = |card: &str| headers.iter().find_map(|h| h.literal(card));
            let found = survey.zero_point_of(band, file, &said);
            (found.map(ZeroPoint::Mag).or_else(own), format!("{} in {}", table.zero_point, table.file))
        }
        (None, None) => (own(), "zero_point_mag".to_owned()),
    };
    let zero = zero.ok_or_else(|| FileError::NoZeroPoint { source_of: source.clone() })?;
    let nmgy = zero.nmgy_per_count();
    if !(nmgy.is_finite() && nmgy > 0.0) {
        return Err(FileError::ZeroPoint {
            source_of: source,
            nmgy,
            usual: survey.profile().typical.nmgy_per_dn[band],
        });
    }
    let exposure_card = || survey.profile().cards.exposure_s.clone().unwrap_or_else(|| "EXPTIME".to_owned());
    let flux = calibration.pixel_flux(zero, &survey.profile().unit, exposure_s);
    flux.ok_or_else(|| FileError::NoExposure { card: exposure_card() })
}

/// The detector, by the cards that the survey names.
pub(super) fn detector(survey: &Survey, headers: &[&Header; 2]) -> Result<DetectorCards, FileError> {
    let calibration = &survey.profile().calibration;
    let values = |cards: &[String]| -> Result<Vec<f64>, FileError> {
        let mut found = Vec::new();
        for card in cards {
            let Some(value) = finite(headers, card)? else { continue };
            if value <= 0.0 {
                return Err(FileError::Calibration { card: card.clone(), value });
            }
            found.push(value);
        }
        Ok(found)
    };
    let mean = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let gain_e_per_dn = mean(&values(&calibration.gain_cards)?);
    let variances: Vec<f64> = values(&calibration.read_noise_cards)?.iter().map(|noise_e| noise_e * noise_e).collect();
    let saturation_dn = values(&calibration.saturation_cards)?.into_iter().reduce(f64::min);
    let removed_sky = calibration.removed_sky_card.as_deref().map(|card| finite(headers, card)).transpose()?;
    Ok(DetectorCards {
        gain_e_per_dn,
        dark_variance_dn2: mean(&variances).zip(gain_e_per_dn).map(|(e2, gain)| e2 / (gain * gain)),
        saturation_dn,
        removed_sky: removed_sky.flatten(),
    })
}

/// The number of a card of the image or, without it, of the file's first header.
pub(super) fn finite(headers: &[&Header; 2], card: &str) -> Result<Option<f64>, FileError> {
    Ok(headers[0].finite(card)?.or(headers[1].finite(card)?))
}
