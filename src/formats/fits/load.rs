//! Five files into a [`Frame`], the bands side by side.
//!
//! `input_hash` is the SHA-256 of the five files' SHA-256 digests in band order (of the bytes as stored), so that
//! the bands can be hashed side by side too.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::calibration_header::CalibrationHeader;
use super::file_error::FileError;
use super::foreign::Reader;
use super::hdu::Hdu;
use super::{pixels, unpack};
use twinpeak_core::frame::{BANDS, Band, FieldIds, Frame, ImageId, PerBand, Plane, mask};
use twinpeak_core::outcome::Rejection;
use twinpeak_core::survey::{FileName, Survey};

/// One band's file that somebody else has read.
#[derive(Clone, Debug)]
pub struct NamedBytes {
    /// Its name as the sender gave it; the last part must fit the survey's pattern.
    pub name: String,
    /// The file as stored, packed or not.
    pub bytes: Vec<u8>,
}

/// Reads and decodes the five files of an image. Their paths are never interpreted: any name the operating
/// system allows will do, if its last part fits the survey's pattern.
///
/// # Errors
/// [`Rejection`], naming the file at fault; where several are, the first in band order.
pub fn load(
    survey: &Survey,
    image: &ImageId,
    files: &PerBand<PathBuf>,
    reader: impl Into<Reader>,
) -> Result<Frame, Rejection> {
    let reader = &reader.into();
    let names: PerBand<String> = std::array::from_fn(|b| files[b].display().to_string());
    let fetch = std::array::from_fn(|b| move || unpack::read(&files[b], survey.band(b), &reader.limits));
    assemble(survey, image, &names, reader, fetch)
}

/// Decodes the five files of an image from memory, as [`load`] does from disk.
///
/// # Errors
/// [`Rejection`], as for [`load`].
pub fn decode(
    survey: &Survey,
    image: &ImageId,
    files: PerBand<NamedBytes>,
    reader: impl Into<Reader>,
) -> Result<Frame, Rejection> {
    let names = files.each_ref().map(|file| file.name.clone());
    assemble(survey, image, &names, &reader.into(), files.map(|file| move || Ok(file.bytes)))
}

/// One band's file, decoded.
struct Decoded {
    band: Band,
    facts: CalibrationHeader,
    digest: [u8; 32],
}

fn assemble(
    survey: &Survey,
    image: &ImageId,
    names: &PerBand<String>,
    reader: &Reader,
    fetch: PerBand<impl FnOnce() -> Result<Vec<u8>, FileError> + Send>,
) -> Result<Frame, Rejection> {
    let ids = check_names(survey, image, names)?;
    let bands = fetch.into_par_iter().enumerate().map(|(b, fetch)| {
        fetch().and_then(|packed| decode_band(survey, &ids, b, &packed, reader)).map_err(|f| f.reject(&names[b]))
    });
    // All are awaited before the first fault in band order is taken: which one is told must not depend on time.
    let done: Vec<Result<Decoded, Rejection>> = bands.collect();
    let decoded: Vec<Decoded> = done.into_iter().collect::<Result<_, _>>()?;
    let decoded: PerBand<Decoded> =
        decoded.try_into().unwrap_or_else(|_| unreachable!("there is one result for each band"));

    let size = |d: &Decoded| (d.band.pixels.width(), d.band.pixels.height());
    let reference = &decoded[survey.reference()];
    let wanted = size(reference);
    if let Some(b) = decoded.iter().position(|d| size(d) != wanted) {
        return Err(FileError::OtherSize { found: size(&decoded[b]), wanted }.reject(&names[b]));
    }
    let mut digest = Sha256::new();
    decoded.iter().for_each(|d| digest.update(d.digest));
    Ok(Frame {
        id: image.clone(),
        ids,
        midpoint_mjd_tai: reference.facts.midpoint_mjd_tai,
        exposure_s: reference.facts.exposure_s,
        input_hash: format!("{:x}", digest.finalize()),
        files: names.clone(),
        bands: decoded.map(|d| d.band),
    })
}

/// Each file must be of the image, and of the band as which it is given. Returns what the names say of the field.
fn check_names(survey: &Survey, image: &ImageId, names: &PerBand<String>) -> Result<FieldIds, Rejection> {
    let mut given: Vec<FileName> = Vec::with_capacity(BANDS);
    for path in names {
        let name = Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let said = survey.file_name(&name);
        let said = said.ok_or_else(|| FileError::ForeignName { survey: survey.profile().name.clone() }.reject(path))?;
        if said.image != *image {
            return Err(FileError::OtherImage { found: said.image, wanted: image.clone() }.reject(path));
        }
        if given.iter().any(|other| other.band == said.band) {
            return Err(FileError::Twice { band: survey.band(said.band).to_owned() }.reject(path));
        }
        given.push(said);
    }
    match given.iter().enumerate().find(|(b, said)| said.band != *b) {
        Some((b, said)) => {
            let (found, wanted) = (survey.band(said.band).to_owned(), survey.band(b).to_owned());
            Err(FileError::OtherBand { found, wanted }.reject(&names[b]))
        }
        None => Ok(given[survey.reference()].ids),
    }
}

/// Hashes and decodes one file at once; hashing costs about as much as decoding a plain one.
fn decode_band(
    survey: &Survey,
    ids: &FieldIds,
    b: usize,
    packed: &[u8],
    reader: &Reader,
) -> Result<Decoded, FileError> {
    let (digest, decoded) = rayon::join(|| Sha256::digest(packed).into(), || read_band(survey, ids, b, packed, reader));
    decoded.map(|(band, facts)| Decoded { band, facts, digest })
}

fn read_band(
    survey: &Survey,
    ids: &FieldIds,
    b: usize,
    packed: &[u8],
    reader: &Reader,
) -> Result<(Band, CalibrationHeader), FileError> {
    let bytes = unpack::unpack(packed, &reader.limits)?;
    let hdus = Hdu::split(&bytes)?;
    let image = pixels::find(&hdus)?;
    let shape = pixels::shape(&hdus[image].header, &reader.limits)?;
    let facts = CalibrationHeader::read(survey, b, &hdus, image, shape)?;
    let mut pixels = pixels::decode(&bytes, &hdus, image, shape, reader.foreign.as_deref())?;
    let nmgy_per_unit = survey.nmgy_per_unit() as f32;
    if nmgy_per_unit != 1.0 {
        pixels.pixels_mut().iter_mut().for_each(|v| *v *= nmgy_per_unit);
    }
    let detector = survey.detector(ids);
    let band = Band {
        mask: no_data(&pixels),
        pixels,
        wcs: facts.wcs.clone(),
        nmgy_per_dn: facts.nmgy_per_dn,
        gain_e_per_dn: detector.gain_e_per_dn[b],
        dark_variance_dn2: detector.dark_variance_dn2[b],
        saturation_nmgy: survey.profile().saturation.trusted_dn * facts.nmgy_per_dn,
        removed_sky_nmgy: facts.removed_sky_nmgy,
    };
    Ok((band, facts))
}

fn no_data(pixels: &Plane<f32>) -> Plane<u8> {
    pixels.map(|v| if v.is_finite() { 0 } else { mask::NO_DATA })
}
