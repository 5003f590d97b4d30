//! Which HDU is meant: by its EXTNAME or number, else the only image of the sky in the file.

use std::path::Path;

use super::file_error::FileError;
use super::hdu::Hdu;
use super::{Limits, unpack};
use twinpeak_core::outcome::Rejection;
use twinpeak_core::survey::Survey;

/// EXTNAMEs, or beginnings of them, that say a plane belongs to an image and is none itself: HST's, JWST's, DES's,
/// LSST's and SWarp's.
const PLANES: [&str; 17] = [
    "MASK", "MSK", "DQ", "BPM", "FLAG", "QUALITY", "VAR", "ERR", "SIGMA", "STD", "RMS", "WEIGHT", "WGT", "WHT", "IVAR",
    "INVVAR", "CTX",
];

/// Index of the HDU with the pixels of band `b`: the one that is `given` by name or number, else that of the survey's
/// description, else the first with pixels, if no other is an image of its own.
pub(super) fn image(hdus: &[Hdu], survey: &Survey, b: usize, given: Option<&str>) -> Result<usize, FileError> {
    let described = &survey.profile().image;
    let wanted = given.map(str::to_owned).or_else(|| Some(described.hdu.as_ref()?.of(survey.band(b), "")));
    if let Some(wanted) = wanted {
        return named(hdus, &wanted);
    }
    let mut alike = images(hdus);
    let is_ccd =
        |i: &usize| extname(&hdus[*i]).is_some_and(|name| described.ccds.as_ref().is_some_and(|c| c.is_match(name)));
    if alike.iter().any(is_ccd) {
        alike.retain(is_ccd);
    }
    match alike[..] {
        [] => Err(FileError::NoImage),
        [one] => Ok(one),
        _ => Err(FileError::SeveralImages { hdus: list(hdus, &alike) }),
    }
}

/// Cards that name the filter.
const FILTER_CARDS: [&str; 4] = ["FILTER", "BAND", "FILTNAM", "FILTNAME"];

/// No card of the image `at` may name another band, by the survey's names and aliases: a file's name can be wrong, or a
/// filter's wheel. What they do not know says nothing. The first header of a file of all bands speaks of none of them.
pub(super) fn same_filter(hdus: &[Hdu], survey: &Survey, b: usize, at: usize) -> Result<(), FileError> {
    let first = (!survey.has_all_bands_in_one_file()).then_some(0);
    for (hdu, card) in [Some(at), first].into_iter().flatten().flat_map(|hdu| FILTER_CARDS.map(|card| (hdu, card))) {
        let Some(value) = hdus[hdu].header.text(card) else { continue };
        match survey.plane_of_card(value) {
            Some(found) if found != b => {
                let (found, wanted) = (survey.band(found).to_owned(), survey.band(b).to_owned());
                return Err(FileError::OtherFilter { card, value: value.to_owned(), found, wanted });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Index of the HDU of that EXTNAME (in any case; `NAME,2` is the one of EXTVER 2) or number.
pub(super) fn named(hdus: &[Hdu], wanted: &str) -> Result<usize, FileError> {
    let missing = || FileError::NoHdu { wanted: wanted.to_owned(), there: list(hdus, &all(hdus)) };
    let (name, version) = match wanted.rsplit_once(',') {
        Some((name, version)) if version.trim().parse::<i64>().is_ok() => (name, version.trim().parse::<i64>().ok()),
        _ => (wanted, None),
    };
    let fits = |hdu: &Hdu| {
        extname(hdu).is_some_and(|found| found.eq_ignore_ascii_case(name))
            && version.is_none_or(|v| hdu.header.integer("EXTVER").unwrap_or(1) == v)
    };
    let found: Vec<usize> = (0..hdus.len()).filter(|&i| fits(&hdus[i])).collect();
    match (&found[..], wanted.parse::<usize>()) {
        ([one], _) => Ok(*one),
        ([], Ok(number)) if number < hdus.len() => Ok(number),
        ([], _) => Err(missing()),
        _ => Err(FileError::SeveralOfName { wanted: wanted.to_owned(), hdus: list(hdus, &found) }),
    }
}

/// The HDU of a file of planes that belongs to the image called `ccd`: the one of the same name, else the only one.
pub(super) fn sibling(hdus: &[Hdu], ccd: &str) -> Result<usize, FileError> {
    let with_pixels: Vec<usize> =
        all(hdus).into_iter().filter(|&i| hdus[i].is_image() && !hdus[i].data.is_empty()).collect();
    match with_pixels[..] {
        [] => Err(FileError::NoImage),
        [one] => Ok(one),
        _ if !ccd.is_empty() => named(hdus, ccd),
        _ => Err(FileError::SeveralImages { hdus: list(hdus, &with_pixels) }),
    }
}

/// The images of the sky in a file: HDUs with pixels that are no planes of another image. Where one of the first's
/// pixel type and with coordinates of its own follows it, both are of equal standing.
fn images(hdus: &[Hdu]) -> Vec<usize> {
    let image = all(hdus).into_iter().filter(|&i| hdus[i].is_image());
    let (with_pixels, without): (Vec<usize>, Vec<usize>) = image.partition(|&i| !hdus[i].data.is_empty());
    let (planes, others): (Vec<usize>, Vec<usize>) = with_pixels.into_iter().partition(|&i| is_plane(&hdus[i]));
    // A picture or raw counts may come before the image itself.
    let is_sky = |i: &&usize| hdus[**i].is_real() && hdus[**i].header.has("CTYPE1");
    let Some(&first) = others.iter().find(is_sky).or(others.first()).or(planes.first()).or(without.first()) else {
        return Vec::new();
    };
    let is_equal = |hdu: &Hdu| hdu.is_real() == hdus[first].is_real() && hdu.header.has("CTYPE1");
    others.into_iter().filter(|&i| i != first && is_equal(&hdus[i])).fold(vec![first], |mut all, i| {
        all.push(i);
        all
    })
}

fn is_plane(hdu: &Hdu) -> bool {
    let name = extname(hdu).unwrap_or_default().to_uppercase();
    PLANES.iter().any(|plane| name.starts_with(plane) || name.ends_with(plane))
}

/// The name of an HDU, where it has one.
pub(super) fn extname<'a>(hdu: &'a Hdu) -> Option<&'a str> {
    hdu.header.text("EXTNAME").filter(|name| !name.is_empty())
}

fn all(hdus: &[Hdu]) -> Vec<usize> {
    (0..hdus.len()).collect()
}

/// HDUs as a message names them: number, and name where there is one. The first few of many.
fn list(hdus: &[Hdu], which: &[usize]) -> String {
    const FEW: usize = 8;
    let one = |&i: &usize| extname(&hdus[i]).map_or_else(|| i.to_string(), |name| format!("{i} {name}"));
    let mut words: Vec<String> = which.iter().take(FEW).map(one).collect();
    if which.len() > FEW {
        words.push(format!("{} more", which.len() - FEW));
    }
    words.join(", ")
}

/// Names of the CCDs in a file, in its order: EXTNAMEs that match the survey's `image.ccds`. Empty where the survey
/// names none: the file is then one image.
///
/// # Errors
/// [`Rejection`] where the file cannot be read or is no FITS file.
pub fn ccds(survey: &Survey, file: &Path, limits: &Limits) -> Result<Vec<String>, Rejection> {
    if survey.profile().image.ccds.is_none() {
        return Ok(Vec::new());
    }
    let name = file.display().to_string();
    let bytes = unpack::read(file, "", limits).map_err(|fault| fault.reject(&name))?;
    ccds_in(survey, &name, &bytes, limits)
}

/// [`ccds`] of a file, packed or not, that somebody else has read.
///
/// # Errors
/// [`Rejection`], as for [`ccds`].
pub fn ccds_in(survey: &Survey, name: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<String>, Rejection> {
    let Some(ccds) = &survey.profile().image.ccds else { return Ok(Vec::new()) };
    let names = || {
        let bytes = unpack::unpack(bytes, limits)?;
        let hdus = Hdu::split(&bytes)?;
        let images = hdus.iter().filter(|hdu| hdu.is_image()).filter_map(extname);
        Ok(images.filter(|name| ccds.is_match(name)).map(str::to_owned).collect())
    };
    names().map_err(|fault: FileError| fault.reject(name))
}
