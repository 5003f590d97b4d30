//! What a file's headers say of the field that it belongs to, for surveys whose file names do not say it.

use std::path::Path;

use super::calibration_header::CalibrationHeader;
use super::file_error::FileError;
use super::hdu::Hdu;
use super::{Limits, choose, pixels, unpack};
use twinpeak_core::files::Sighting;
use twinpeak_core::outcome::Rejection;
use twinpeak_core::survey::{Group, Survey};

/// One answer for the file; where the survey's files hold several CCDs, one for each. Centre and time are looked for
/// where fields are grouped by them, the band where a card names it.
///
/// # Errors
/// [`Rejection`] where the file cannot be read, holds none of what the survey describes, or a header cannot be used.
pub fn sightings(survey: &Survey, file: &Path, limits: &Limits) -> Result<Vec<Sighting>, Rejection> {
    let name = file.display().to_string();
    let look = || {
        let packed = unpack::read(file, "", limits)?;
        let bytes = unpack::unpack(&packed, limits)?;
        let hdus = Hdu::split(&bytes)?;
        let Some(ccds) = &survey.profile().image.ccds else {
            return Ok(vec![sighting(survey, &name, &hdus, None, limits)?]);
        };
        let names = hdus.iter().filter(|hdu| hdu.is_image()).filter_map(choose::extname);
        let names: Vec<&str> = names.filter(|name| ccds.is_match(name)).collect();
        if names.is_empty() {
            return Err(FileError::NoImage);
        }
        names.into_iter().map(|ccd| sighting(survey, &name, &hdus, Some(ccd), limits)).collect()
    };
    look().map_err(|fault: FileError| fault.reject(&name))
}

fn sighting(
    survey: &Survey,
    name: &str,
    hdus: &[Hdu],
    ccd: Option<&str>,
    limits: &Limits,
) -> Result<Sighting, FileError> {
    let mut said = Sighting { ccd: ccd.map(str::to_owned), ..Sighting::default() };
    let card = survey.profile().files.band_card.as_deref();
    if card.is_none() && survey.group() != Group::Sky {
        return Ok(said);
    }
    // Where the pixels are the band decides, but all bands' HDUs lie in one place where a card names the band.
    let at = choose::image(hdus, survey, survey.reference(), ccd)?;
    let headers = [&hdus[at].header, &hdus[0].header];
    said.band = card.and_then(|card| headers.iter().find_map(|header| header.text(card))).map(str::to_owned);
    if survey.group() == Group::Sky {
        let band = said.band.as_deref().and_then(|card| survey.plane_of_card(card)).unwrap_or(survey.reference());
        let shape = pixels::shape(&hdus[at].header, limits, survey.nmgy_per_unit().is_none())?;
        let facts = CalibrationHeader::read(survey, band, name, hdus, at, shape)?;
        let middle = |length: usize| (length as f64 - 1.0) / 2.0;
        said.centre_deg = facts.wcs.pixel_to_sky(middle(shape.width), middle(shape.height));
        said.midpoint_mjd_tai = facts.midpoint_mjd_tai;
    }
    Ok(said)
}
