//! Five files into a [`Frame`], the bands side by side.
//!
//! `input_hash` is the SHA-256 of the five files' SHA-256 digests in band order (of the bytes as stored), so that
//! the bands can be hashed side by side too.

use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::calibration_header::CalibrationHeader;
use super::file_error::FileError;
use super::hdu::Hdu;
use super::{Limits, pixels, unpack};
use twinpeak_core::files::FieldFiles;
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

/// Reads and decodes the files of an image. Their paths are never interpreted: any name the operating
/// system allows will do, if its last part fits the survey's pattern.
///
/// # Errors
/// [`Rejection`], naming the file at fault; where several are, the first in band order.
pub fn load(survey: &Survey, image: &ImageId, files: &FieldFiles, limits: &Limits) -> Result<Frame, Rejection> {
    let bands = std::array::from_fn(|b| {
        let file = &files[b].as_ref()?.image.file;
        Some(Given { name: file.display().to_string(), fetch: move || unpack::read(file, survey.band(b), limits) })
    });
    assemble(survey, image, bands, limits)
}

/// Decodes the files of an image from memory, as [`load`] does from disk.
///
/// # Errors
/// [`Rejection`], as for [`load`].
pub fn decode(
    survey: &Survey,
    image: &ImageId,
    files: FieldFiles<NamedBytes>,
    limits: &Limits,
) -> Result<Frame, Rejection> {
    let bands = files.map(|files| {
        let NamedBytes { name, bytes } = files?.image.file;
        Some(Given { name, fetch: move || Ok(bytes) })
    });
    assemble(survey, image, bands, limits)
}

/// One band's file, and how its bytes are had.
struct Given<F> {
    name: String,
    fetch: F,
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
    files: PerBand<Option<Given<impl FnOnce() -> Result<Vec<u8>, FileError> + Send>>>,
    limits: &Limits,
) -> Result<Frame, Rejection> {
    let names = files.each_ref().map(|file| file.as_ref().map_or_else(String::new, |file| file.name.clone()));
    enough_bands(survey, image, &names)?;
    let ids = check_names(survey, image, &names)?;
    let bands = files.into_par_iter().enumerate().map(|(b, file)| {
        let Given { name, fetch } = file?;
        Some(
            fetch()
                .and_then(|packed| decode_band(survey, &ids, b, (&name, &packed), limits))
                .map_err(|f| f.reject(&name)),
        )
    });
    // All are awaited before the first fault in band order is taken: which one is told must not depend on time.
    let done: Vec<Option<Result<Decoded, Rejection>>> = bands.collect();
    let decoded: Vec<Option<Decoded>> = done.into_iter().map(Option::transpose).collect::<Result<_, _>>()?;

    let size = |d: &Decoded| (d.band.pixels.width(), d.band.pixels.height());
    let reference = decoded[survey.reference()].as_ref().expect("it is there: enough_bands has looked");
    let wanted = size(reference);
    if let Some(b) = decoded.iter().position(|d| d.as_ref().is_some_and(|d| size(d) != wanted)) {
        let found = decoded[b].as_ref().map_or(wanted, size);
        return Err(FileError::OtherSize { found, wanted }.reject(&names[b]));
    }
    let mut digest = Sha256::new();
    decoded.iter().flatten().for_each(|d| digest.update(d.digest));
    let absent = Band::absent(&reference.band);
    let (midpoint_mjd_tai, exposure_s) = (reference.facts.midpoint_mjd_tai, reference.facts.exposure_s);
    let mut bands = decoded.into_iter();
    let mut present = [false; BANDS];
    let bands = std::array::from_fn(|b| match bands.next().flatten() {
        Some(decoded) => {
            present[b] = true;
            decoded.band
        }
        None => absent.clone(),
    });
    Ok(Frame {
        id: image.clone(),
        ids,
        midpoint_mjd_tai,
        exposure_s,
        input_hash: format!("{:x}", digest.finalize()),
        files: names,
        bands,
        present,
    })
}

/// The reference band must be there, and as many as the survey requires.
fn enough_bands(survey: &Survey, image: &ImageId, names: &PerBand<String>) -> Result<(), Rejection> {
    let given = names.iter().filter(|name| !name.is_empty()).count();
    let missing = |b: usize| {
        let band = survey.band(b).to_owned();
        FileError::Missing { band }.reject(&survey.file_for(b, image))
    };
    if names[survey.reference()].is_empty() {
        return Err(missing(survey.reference()));
    }
    match survey.planes().find(|&b| names[b].is_empty()) {
        Some(b) if given < survey.required() => Err(missing(b)),
        _ => Ok(()),
    }
}

/// Each file must be of the image, and of the band as which it is given; an empty name is no file. Returns what the
/// names say of the field.
fn check_names(survey: &Survey, image: &ImageId, names: &PerBand<String>) -> Result<FieldIds, Rejection> {
    let mut given: Vec<(usize, FileName)> = Vec::with_capacity(BANDS);
    for (b, path) in names.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let name = Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let said = survey.file_name(&name);
        let said = said.ok_or_else(|| FileError::ForeignName { survey: survey.profile().name.clone() }.reject(path))?;
        if said.image != *image {
            return Err(FileError::OtherImage { found: said.image, wanted: image.clone() }.reject(path));
        }
        if given.iter().any(|(_, other)| other.band == said.band) {
            return Err(FileError::Twice { band: survey.band(said.band).to_owned() }.reject(path));
        }
        given.push((b, said));
    }
    if let Some((b, said)) = given.iter().find(|(b, said)| said.band != *b) {
        let (found, wanted) = (survey.band(said.band).to_owned(), survey.band(*b).to_owned());
        return Err(FileError::OtherBand { found, wanted }.reject(&names[*b]));
    }
    let reference = given.iter().find(|(b, _)| *b == survey.reference());
    Ok(reference.map_or_else(FieldIds::default, |(_, said)| said.ids))
}

/// Hashes and decodes one file at once; hashing costs about as much as decoding a plain one.
fn decode_band(
    survey: &Survey,
    ids: &FieldIds,
    b: usize,
    file: (&str, &[u8]),
    limits: &Limits,
) -> Result<Decoded, FileError> {
    let (digest, decoded) = rayon::join(|| Sha256::digest(file.1).into(), || read_band(survey, ids, b, file, limits));
    decoded.map(|(band, facts)| Decoded { band, facts, digest })
}

fn read_band(
    survey: &Survey,
    ids: &FieldIds,
    b: usize,
    file: (&str, &[u8]),
    limits: &Limits,
) -> Result<(Band, CalibrationHeader), FileError> {
    let (name, packed) = file;
    let bytes = unpack::unpack(packed, limits)?;
    let hdus = Hdu::split(&bytes)?;
    let image = pixels::find(&hdus)?;
    let shape = pixels::shape(&hdus[image].header, limits, survey.nmgy_per_unit().is_none())?;
    let facts = CalibrationHeader::read(survey, b, name, &hdus, image, shape)?;
    let mut pixels = pixels::decode(&hdus[image], shape)?;
    let nmgy_per_unit = facts.nmgy_per_unit as f32;
    if nmgy_per_unit != 1.0 {
        pixels.pixels_mut().iter_mut().for_each(|v| *v *= nmgy_per_unit);
    }
    let detector = survey.detector(ids);
    let band = Band {
        mask: no_data(&pixels),
        pixels,
        wcs: facts.wcs.clone(),
        nmgy_per_dn: facts.nmgy_per_dn,
        gain_e_per_dn: facts.detector.gain_e_per_dn.unwrap_or(detector.gain_e_per_dn[b]),
        dark_variance_dn2: facts.detector.dark_variance_dn2.unwrap_or(detector.dark_variance_dn2[b]),
        saturation_nmgy: facts.saturation_nmgy(survey),
        removed_sky_nmgy: facts.removed_sky_nmgy,
        variance: None,
    };
    Ok((band, facts))
}

fn no_data(pixels: &Plane<f32>) -> Plane<u8> {
    pixels.map(|v| if v.is_finite() { 0 } else { mask::NO_DATA })
}
