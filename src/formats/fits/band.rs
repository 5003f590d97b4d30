//! Writing one band of a frame as the survey's own files are, so that `load` reads it back.

use std::io::Write;

use super::FitsError;
use super::card::{Cards, TableSize, fill_block};
use super::planes::written::{self, Place, image_cards};
use twinpeak_core::frame::Frame;
use twinpeak_core::survey::{MaskCode, PlaneKind, Survey, ZeroPoint};
use twinpeak_core::time::DAY_S;

/// Band `b` of a frame as a plain FITS file: a 32-bit floating-point image with the survey's cards, the survey's mask
/// and weights where they lie in the same file, and, where the sky is known, the survey's table of it (one sample). Same
/// frame, same bytes.
///
/// # Errors
/// [`FitsError::NotAscii`] where the survey's names cannot stand in a header; [`FitsError::NoZeroPoint`] where its zero
/// points are in a table alone.
pub fn encode_band(survey: &Survey, frame: &Frame, b: usize) -> Result<Vec<u8>, FitsError> {
    let (band, profile) = (&frame.bands[b], survey.profile());
    let (mut bytes, mut cards) = match &profile.image.written_hdu {
        None => (Vec::new(), image_cards(&Place::Primary, -32, &band.pixels)),
        Some(name) => {
            let mut primary = Cards::primary();
            add_facts(&mut primary, survey, frame, b)?;
            (primary.finish()?, image_cards(&Place::Extension(name), -32, &band.pixels))
        }
    };
    cards.add("BUNIT", profile.unit.as_str(), "");
    if profile.image.written_hdu.is_none() {
        add_facts(&mut cards, survey, frame, b)?;
    }
    cards.add_wcs(&band.wcs);
    bytes.extend(cards.finish()?);
    bytes.reserve(band.pixels.pixels().len() * 4);
    let nmgy_per_unit = nmgy_per_unit(survey, frame, b)? as f32;
    let sky = if profile.image.sky_left_in { band.removed_sky_nmgy.unwrap_or(0.0) as f32 } else { 0.0 };
    bytes.extend(band.pixels.pixels().iter().flat_map(|v| ((v + sky) / nmgy_per_unit).to_be_bytes()));
    fill_block(&mut bytes);
    for kind in [PlaneKind::Mask, PlaneKind::Weight] {
        if let Some(hdu) =
            survey.place_of(kind).filter(|place| place.file.is_none()).and_then(|place| place.hdu.as_ref())
        {
            let name = hdu.of(survey.band(b), profile.image.written_hdu.as_deref().unwrap_or_default());
            bytes.extend(written::plane(survey, band, kind, &Place::Extension(&name), nmgy_per_unit)?);
        }
    }
    if let (Some(column), Some(sky_nmgy)) = (&profile.cards.sky_table, band.removed_sky_nmgy) {
        bytes.extend(sky_table(column, (sky_nmgy / band.nmgy_per_dn) as f32)?);
    }
    Ok(bytes)
}

/// The mask or the weights of band `b` as the survey's file of their own; `None` where the survey has no such file, or
/// the frame no such plane.
///
/// # Errors
/// [`FitsError`], as for [`encode_band`].
pub fn encode_companion(
    survey: &Survey,
    frame: &Frame,
    b: usize,
    kind: PlaneKind,
) -> Result<Option<Vec<u8>>, FitsError> {
    let Some(place) = survey.place_of(kind).filter(|place| place.file.is_some() && place.required) else {
        return Ok(None);
    };
    let ccd = survey.profile().image.written_hdu.as_deref();
    let described = place.hdu.as_ref().map(|hdu| hdu.of(survey.band(b), ccd.unwrap_or_default()));
    let name = described.as_deref().filter(|name| name.parse::<usize>().is_err()).or(ccd);
    let nmgy_per_unit = nmgy_per_unit(survey, frame, b)? as f32;
    let in_tables = matches!(&survey.profile().mask, Some(mask) if matches!(mask.code, MaskCode::Tables(_)));
    let Some(name) = name.filter(|_| kind != PlaneKind::Mask || !in_tables) else {
        return written::plane(survey, &frame.bands[b], kind, &Place::Primary, nmgy_per_unit).map(Some);
    };
    let mut bytes = Cards::primary().finish()?;
    bytes.extend(written::plane(survey, &frame.bands[b], kind, &Place::Extension(name), nmgy_per_unit)?);
    Ok(Some(bytes))
}

/// What holds for the whole exposure.
fn add_facts(cards: &mut Cards, survey: &Survey, frame: &Frame, b: usize) -> Result<(), FitsError> {
    let (band, profile) = (&frame.bands[b], survey.profile());
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
    let nmgy_per_unit = nmgy_per_unit(survey, frame, b)?;
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
    Ok(())
}

/// Flux of one unit of the written pixels, nMgy.
fn nmgy_per_unit(survey: &Survey, frame: &Frame, b: usize) -> Result<f64, FitsError> {
    let (calibration, nmgy_per_dn) = (&survey.profile().calibration, frame.bands[b].nmgy_per_dn);
    let exposure_s = frame.exposure_s.unwrap_or(survey.profile().typical.exposure_s);
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
