//! Writing one band of a frame as the survey's own files are, so that `load` reads it back.

use std::io::Write;

use super::FitsError;
use super::card::{Cards, TableSize, fill_block};
use twinpeak_core::frame::Frame;
use twinpeak_core::survey::{Survey, ZeroPoint};
use twinpeak_core::time::DAY_S;

/// Band `b` of a frame as a plain FITS file: a 32-bit floating-point image with the survey's cards and, where the
/// sky is known, the survey's table of it (one sample). Same frame, same bytes.
///
/// # Errors
/// [`FitsError::NotAscii`] where the survey's names cannot stand in a header; [`FitsError::NoZeroPoint`] where its zero
/// points are in a table alone.
pub fn encode_band(survey: &Survey, frame: &Frame, b: usize) -> Result<Vec<u8>, FitsError> {
    let (band, profile) = (&frame.bands[b], survey.profile());
    let mut cards = Cards::default();
    cards.add("SIMPLE", true, "").add("BITPIX", -32i64, "").add("NAXIS", 2usize, "");
    cards.add("NAXIS1", band.pixels.width(), "").add("NAXIS2", band.pixels.height(), "");
    cards.add("EXTEND", true, "").add("BUNIT", profile.unit.as_str(), "");
    cards.add("FILTER", survey.band(b), "filter used");
    for (key, id) in [("RUN", frame.ids.run), ("CAMCOL", frame.ids.camcol), ("FIELD", frame.ids.field)] {
        if let Some(id) = id {
            cards.add(key, i64::from(id), "");
        }
    }
    if let Some(id) = frame.ids.rerun {
        cards.add("RERUN", id.to_string().as_str(), "");
    }
    let exposure_s = frame.exposure_s.unwrap_or(profile.typical.exposure_s);
    let nmgy_per_unit = nmgy_per_unit(survey, b, band.nmgy_per_dn, exposure_s)?;
    if let Some(key) = &profile.cards.nmgy_per_dn {
        cards.add(key, band.nmgy_per_dn / nmgy_per_unit, "calibration, flux per count");
    }
    if let Some(key) = &profile.calibration.card {
        cards.add(key, profile.calibration.card_value(band.nmgy_per_dn, exposure_s), "zero point");
    }
    if let (Some(key), Some(sky_nmgy)) = (&profile.calibration.removed_sky_card, band.removed_sky_nmgy) {
        cards.add(key, sky_nmgy / nmgy_per_unit, "sky that was subtracted");
    }
    if let (Some(key), Some(exposure_s)) = (&profile.cards.exposure_s, frame.exposure_s) {
        cards.add(key, exposure_s, "exposure time, s");
    }
    if let (Some(key), Some(middle)) = (&profile.cards.start_tai_s, frame.midpoint_mjd_tai) {
        cards.add(key, middle * DAY_S - exposure_s / 2.0, "start of exposure, seconds since MJD 0 (TAI)");
    }
    cards.add_wcs(&band.wcs);
    let mut bytes = cards.finish()?;
    bytes.reserve(band.pixels.pixels().len() * 4);
    let nmgy_per_unit = nmgy_per_unit as f32;
    bytes.extend(band.pixels.pixels().iter().flat_map(|v| (v / nmgy_per_unit).to_be_bytes()));
    fill_block(&mut bytes);
    if let (Some(column), Some(sky_nmgy)) = (&profile.cards.sky_table, band.removed_sky_nmgy) {
        bytes.extend(sky_table(column, (sky_nmgy / band.nmgy_per_dn) as f32)?);
    }
    Ok(bytes)
}

/// Flux of one unit of the written pixels, nMgy.
fn nmgy_per_unit(survey: &Survey, b: usize, nmgy_per_dn: f64, exposure_s: f64) -> Result<f64, FitsError> {
    let calibration = &survey.profile().calibration;
    if let Some(nmgy_per_unit) = survey.nmgy_per_unit() {
        return Ok(nmgy_per_unit);
    }
    let zero = match (&calibration.card, calibration.zero_point_mag.get(survey.band(b))) {
        (Some(_), _) => calibration.zero_point_of_card(calibration.card_value(nmgy_per_dn, exposure_s)),
        (None, Some(mag)) => ZeroPoint::Mag(*mag),
        (None, None) => return Err(FitsError::NoZeroPoint { band: survey.band(b).to_owned() }),
    };
    let flux = calibration.pixel_flux(zero, &survey.profile().unit, Some(exposure_s));
    flux.map(|flux| flux.nmgy_per_unit).ok_or_else(|| FitsError::NoZeroPoint { band: survey.band(b).to_owned() })
}

fn sky_table(column: &str, sky_dn: f32) -> Result<Vec<u8>, FitsError> {
    let mut cards = Cards::table(TableSize { row_bytes: 4, rows: 1, columns: 1, heap_bytes: 0 });
    cards.add("TTYPE1", column, "sky that was subtracted").add("TFORM1", "1E", "");
    cards.add("TUNIT1", "count", "");
    let mut bytes = cards.finish()?;
    bytes.extend(sky_dn.to_be_bytes());
    fill_block(&mut bytes);
    Ok(bytes)
}

/// Packs a file as its name says: `.bz2`, `.gz`, or not at all. Same bytes in, same bytes out.
///
/// # Errors
/// [`FitsError::Pack`]
pub fn pack(name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, FitsError> {
    let packed = if name.ends_with(".bz2") {
        let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        packer.write_all(&bytes).and_then(|()| packer.finish())
    } else if name.ends_with(".gz") {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(&bytes).and_then(|()| packer.finish())
    } else {
        Ok(bytes)
    };
    packed.map_err(|source| FitsError::Pack { name: name.to_owned(), source })
}
