//! A field's files into a [`Frame`], the bands side by side.
//!
//! `input_hash` is the SHA-256 of the files' SHA-256 digests in band order (of the bytes as stored; a band's mask and
//! weight after its image, where they have files of their own), so that the bands can be hashed side by side too.

use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::calibration_header::CalibrationHeader;
use super::file_error::FileError;
use super::foreign::Reader;
use super::hdu::Opened;
use super::{choose, pixels, planes, unpack};
use twinpeak_core::files::{BandFiles, FieldFiles, Place};
use twinpeak_core::frame::{BANDS, Band, FieldIds, Frame, ImageId, PerBand, Plane, mask};
use twinpeak_core::outcome::{Reason, Rejection};
use twinpeak_core::survey::{MaskCode, PlaneKind, PlanePlace, Survey};

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
pub fn load(
    survey: &Survey,
    image: &ImageId,
    files: &FieldFiles,
    reader: impl Into<Reader>,
) -> Result<Frame, Rejection> {
    let reader = &reader.into();
    let bands = std::array::from_fn(|b| {
        let given = |place: &Place| {
            let Place { file, hdu } = place.clone();
            let fetch = move || unpack::read(&file, survey.band(b), &reader.limits);
            Given { name: place.file.display().to_string(), hdu, fetch }
        };
        files[b].as_ref().map(|files| each(files, given))
    });
    assemble(survey, image, bands, reader)
}

/// Decodes the files of an image from memory, as [`load`] does from disk.
///
/// # Errors
/// [`Rejection`], as for [`load`].
pub fn decode(
    survey: &Survey,
    image: &ImageId,
    files: FieldFiles<NamedBytes>,
    reader: impl Into<Reader>,
) -> Result<Frame, Rejection> {
    let given = |place: Place<NamedBytes>| {
        let Place { file: NamedBytes { name, bytes }, hdu } = place;
        Given { name, hdu, fetch: move || Ok(bytes) }
    };
    let bands = files.map(|files| {
        let BandFiles { image, mask, weight } = files?;
        Some(Files { image: given(image), mask: mask.map(given), weight: weight.map(given) })
    });
    assemble(survey, image, bands, &reader.into())
}

fn each<G>(files: &BandFiles, given: impl Fn(&Place) -> G) -> Files<G> {
    Files {
        image: given(&files.image),
        mask: files.mask.as_ref().map(&given),
        weight: files.weight.as_ref().map(&given),
    }
}

/// The files of one band.
struct Files<G> {
    image: G,
    mask: Option<G>,
    weight: Option<G>,
}

/// One file, which HDU of it is meant, and how its bytes are had.
struct Given<F> {
    name: String,
    hdu: Option<String>,
    fetch: F,
}

/// One file as stored.
struct Fetched {
    name: String,
    hdu: Option<String>,
    packed: Vec<u8>,
}

/// One band, decoded.
struct Decoded {
    band: Band,
    facts: CalibrationHeader,
    /// SHA-256 of its files: the image, then mask and weight where they have files of their own.
    digests: Vec<[u8; 32]>,
}

fn assemble(
    survey: &Survey,
    image: &ImageId,
    files: PerBand<Option<Files<Given<impl FnOnce() -> Result<Vec<u8>, FileError> + Send>>>>,
    reader: &Reader,
) -> Result<Frame, Rejection> {
    let names = files.each_ref().map(|files| files.as_ref().map_or_else(String::new, |f| f.image.name.clone()));
    enough_bands(survey, image, &names)?;
    let ids = check_names(survey, &names)?;
    let bands = files.into_par_iter().enumerate().map(|(b, files)| Some(decode_band(survey, &ids, b, files?, reader)));
    // All are awaited before the first fault in band order is taken: which one is told must not depend on time.
    let done: Vec<Option<Result<Decoded, Rejection>>> = bands.collect();
    let decoded: Vec<Option<Decoded>> = done.into_iter().map(Option::transpose).collect::<Result<_, _>>()?;
    let reference = decoded[survey.reference()].as_ref().expect("it is there: enough_bands has looked");
    let mut digest = Sha256::new();
    decoded.iter().flatten().flat_map(|d| &d.digests).for_each(|one| digest.update(one));
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

/// A file whose name says a band must be given as that band; which files are one image is said by who grouped them.
/// An empty name is no file. Returns what the names say of the field.
fn check_names(survey: &Survey, names: &PerBand<String>) -> Result<FieldIds, Rejection> {
    let mut given: Vec<(usize, usize)> = Vec::with_capacity(BANDS);
    let mut ids = FieldIds::default();
    for (b, path) in names.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let name = Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        // As it is on a disk, or with a URI's escapes.
        let said = survey.file_name(&name).or_else(|| survey.file_name(&unescaped(&name)));
        let Some(said) = said else { continue };
        if b == survey.reference() {
            ids = said.ids;
        }
        let Some(band) = said.band else { continue };
        if given.iter().any(|(_, other)| *other == band) {
            return Err(FileError::Twice { band: survey.band(band).to_owned() }.reject(path));
        }
        given.push((b, band));
    }
    if let Some((b, band)) = given.iter().find(|(b, band)| band != b) {
        let (found, wanted) = (survey.band(*band).to_owned(), survey.band(*b).to_owned());
        return Err(FileError::OtherBand { found, wanted }.reject(&names[*b]));
    }
    Ok(ids)
}

/// A name as it is without the percent-escapes of a URI; what is no escape stays.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let digits = digits.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let escaped = digits.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Fetches, hashes and decodes one band's files; hashing costs about as much as decoding a plain one.
fn decode_band(
    survey: &Survey,
    ids: &FieldIds,
    b: usize,
    files: Files<Given<impl FnOnce() -> Result<Vec<u8>, FileError>>>,
    reader: &Reader,
) -> Result<Decoded, Rejection> {
    let image = fetch(files.image)?;
    // A plane's file that is away is told as such, not as a band.
    let plane = |given: Option<_>, kind| {
        let missing = |rejection: Rejection| match rejection.reason {
            Reason::MissingBand => {
                let file = rejection.file.unwrap_or_default();
                FileError::MissingPlane { kind, band: survey.band(b).to_owned() }.reject(&file)
            }
            _ => rejection,
        };
        given.map(fetch).transpose().map_err(missing)
    };
    let (mask, weight) = (plane(files.mask, PlaneKind::Mask)?, plane(files.weight, PlaneKind::Weight)?);
    let files = Files { image, mask, weight };
    let hash = || {
        let all = std::iter::once(&files.image).chain(&files.mask).chain(&files.weight);
        all.map(|file| Sha256::digest(&file.packed).into()).collect()
    };
    let (digests, decoded) = rayon::join(hash, || read_band(survey, ids, b, &files, reader));
    decoded.map(|(band, facts)| Decoded { band, facts, digests })
}

fn fetch(given: Given<impl FnOnce() -> Result<Vec<u8>, FileError>>) -> Result<Fetched, Rejection> {
    let Given { name, hdu, fetch } = given;
    let packed = fetch().map_err(|fault| fault.reject(&name))?;
    Ok(Fetched { name, hdu, packed })
}

fn read_band(
    survey: &Survey,
    ids: &FieldIds,
    b: usize,
    files: &Files<Fetched>,
    reader: &Reader,
) -> Result<(Band, CalibrationHeader), Rejection> {
    let file = &files.image;
    let bytes = unpack::unpack(&file.packed, &reader.limits).map_err(|fault| fault.reject(&file.name))?;
    let opened = Opened::new(&bytes).map_err(|fault| fault.reject(&file.name))?;
    let hdus = &opened.hdus;
    let image = || -> Result<_, FileError> {
        let at = choose::image(hdus, survey, b, file.hdu.as_deref())?;
        choose::same_filter(hdus, survey, b, at)?;
        let shape = pixels::shape(&hdus[at].header, &reader.limits, survey.nmgy_per_unit().is_none())?;
        let facts = CalibrationHeader::read(survey, b, &file.name, hdus, at, shape)?;
        Ok((at, shape, facts, pixels::decode(&opened, at, shape, reader.foreign.as_deref())?))
    };
    let (at, shape, facts, mut pixels) = image().map_err(|fault| fault.reject(&file.name))?;

    let belongs = planes::Image { shape, band: survey.band(b), ccd: choose::extname(&hdus[at]).unwrap_or_default() };
    let mut bits = no_data(&pixels);
    if let Some(found) = read_mask(survey, &opened, files, belongs, reader)? {
        bits.pixels_mut().iter_mut().zip(found.pixels()).for_each(|(m, found)| *m |= planes::gravest(*found));
    }
    let mut variance = read_variance(survey, &opened, files, belongs, &pixels, reader)?;
    if let Some(variance) = &variance {
        planes::mark_weightless(&mut bits, variance);
    }
    let nmgy_per_unit = facts.nmgy_per_unit as f32;
    if nmgy_per_unit != 1.0 {
        pixels.pixels_mut().iter_mut().for_each(|v| *v *= nmgy_per_unit);
        let variance = variance.iter_mut().flat_map(|variance| variance.pixels_mut());
        variance.for_each(|v| *v *= nmgy_per_unit * nmgy_per_unit);
    }
    let detector = survey.detector(ids);
    let band = Band {
        mask: bits,
        pixels,
        wcs: facts.wcs.clone(),
        nmgy_per_dn: facts.nmgy_per_dn,
        gain_e_per_dn: facts.detector.gain_e_per_dn.unwrap_or(detector.gain_e_per_dn[b]),
        dark_variance_dn2: facts.detector.dark_variance_dn2.unwrap_or(detector.dark_variance_dn2[b]),
        saturation_nmgy: facts.saturation_nmgy(survey),
        removed_sky_nmgy: facts.removed_sky_nmgy,
        variance,
    };
    Ok((band, facts))
}

/// The survey's mask of an image, from the file that was given for it or the image's own.
fn read_mask(
    survey: &Survey,
    of_image: &Opened,
    files: &Files<Fetched>,
    image: planes::Image,
    reader: &Reader,
) -> Result<Option<Plane<u8>>, Rejection> {
    let described = survey.profile().mask.as_ref().map(|mask| (mask, &mask.place));
    read_plane(survey, of_image, files, (image, PlaneKind::Mask), described, reader, |opened, mask, given| {
        if let MaskCode::Tables(tables) = &mask.code {
            return planes::spans(&opened.hdus, tables, image);
        }
        let at = planes::find(&opened.hdus, &mask.place, image, given)?;
        planes::bits(opened, at, &mask.code, image.shape, reader.foreign.as_deref())
    })
}

/// The survey's variance of an image, in the square of the pixels' unit.
fn read_variance(
    survey: &Survey,
    of_image: &Opened,
    files: &Files<Fetched>,
    image: planes::Image,
    pixels: &Plane<f32>,
    reader: &Reader,
) -> Result<Option<Plane<f32>>, Rejection> {
    let described = survey.profile().weight.as_ref().map(|weight| (weight, &weight.place));
    read_plane(survey, of_image, files, (image, PlaneKind::Weight), described, reader, |opened, weight, given| {
        let at = planes::find(&opened.hdus, &weight.place, image, given)?;
        planes::variance(opened, at, weight.kind, pixels, reader)
    })
}

/// Finds the file of a plane and reads it: `None` where there is none and none is needed.
fn read_plane<D, P>(
    survey: &Survey,
    of_image: &Opened,
    files: &Files<Fetched>,
    (image, kind): (planes::Image, PlaneKind),
    described: Option<(&D, &PlanePlace)>,
    reader: &Reader,
    read: impl Fn(&Opened, &D, Option<&str>) -> Result<P, FileError>,
) -> Result<Option<P>, Rejection> {
    let given = match kind {
        PlaneKind::Mask => files.mask.as_ref(),
        PlaneKind::Weight => files.weight.as_ref(),
    };
    let band = || image.band.to_owned();
    let (described, place) = match (described, given) {
        (Some(described), _) => described,
        (None, None) => return Ok(None),
        (None, Some(file)) => {
            let survey = survey.profile().name.clone();
            return Err(FileError::UndescribedPlane { kind, band: band(), survey }.reject(&file.name));
        }
    };
    let outcome = match given {
        Some(file) => {
            let all = || {
                let bytes = unpack::unpack(&file.packed, &reader.limits)?;
                read(&Opened::new(&bytes)?, described, file.hdu.as_deref())
            };
            all().map_err(|fault| fault.reject(&file.name))
        }
        None if place.file.is_some() && !place.required => return Ok(None),
        None if place.file.is_some() => {
            let name = Path::new(&files.image.name).file_name().map(|n| n.to_string_lossy().into_owned());
            let wanted = survey.companion(&name.unwrap_or_default(), kind);
            Err(FileError::MissingPlane { kind, band: band() }
                .reject(&wanted.unwrap_or_else(|| files.image.name.clone())))
        }
        None => match read(of_image, described, None) {
            Err(FileError::NoHdu { .. }) if !place.required => return Ok(None),
            outcome => outcome.map_err(|fault| fault.reject(&files.image.name)),
        },
    };
    outcome.map(Some)
}

fn no_data(pixels: &Plane<f32>) -> Plane<u8> {
    pixels.map(|v| if v.is_finite() { 0 } else { mask::NO_DATA })
}
