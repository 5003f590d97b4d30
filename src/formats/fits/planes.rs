//! A survey's own planes beside an image: masks of bits, values or spans, and weights, on the image's grid.

#[cfg(test)]
mod tests;
pub(super) mod written;

use rayon::prelude::*;

use super::choose;
use super::file_error::FileError;
use super::foreign::{ForeignDecoder, ForeignImage, Reader};
use super::hdu::{Hdu, Opened, axes};
use super::shape::Shape;
use super::table::Table;
use super::{pixels, tiles};
use twinpeak_core::frame::{Plane, mask};
use twinpeak_core::median::upper_median;
use twinpeak_core::survey::{MaskCode, PlaneKind, PlanePlace, WeightKind};

/// The image to which planes belong.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    pub shape: Shape,
    /// Name of its band.
    pub band: &'a str,
    /// EXTNAME of its HDU; empty where it has none.
    pub ccd: &'a str,
}

/// Index of the HDU with a plane: `given` by name or number, else by the survey's description, else the one that
/// belongs to the image.
pub(super) fn find(hdus: &[Hdu], place: &PlanePlace, image: Image, given: Option<&str>) -> Result<usize, FileError> {
    match (given, &place.hdu) {
        (Some(given), _) => choose::named(hdus, given),
        (None, Some(described)) => choose::named(hdus, &described.of(image.band, image.ccd)),
        (None, None) => choose::sibling(hdus, image.ccd),
    }
}

/// The bits of every pixel, from HDU `at`.
pub(super) fn bits(
    opened: &Opened,
    at: usize,
    code: &MaskCode,
    shape: Shape,
    foreign: Option<&dyn ForeignDecoder>,
) -> Result<Plane<u8>, FileError> {
    let hdu = opened.hdus.get(at).ok_or(FileError::NoImage)?;
    let each = Each { opened, at, shape, foreign };
    let of_bits = |meaning: [u8; 64]| {
        move |value: i64| {
            let (mut rest, mut bits) = (value as u64, 0);
            while rest != 0 {
                bits |= meaning[rest.trailing_zeros() as usize];
                rest &= rest - 1;
            }
            bits
        }
    };
    match code {
        MaskCode::Bits(meaning) => each.through(of_bits(*meaning)),
        MaskCode::Names(names) => each.through(of_bits(named_bits(hdu, at, names)?)),
        MaskCode::Values(values) => {
            // Most pixels are 0, which may mean something too.
            let of_zero = values.get(&0).copied().unwrap_or(0);
            each.through(|value| if value == 0 { of_zero } else { values.get(&value).copied().unwrap_or(0) })
        }
        MaskCode::Tables(_) => Err(FileError::NoImage),
    }
}

/// Which bit has which meaning, by the header's MP_ cards.
fn named_bits(hdu: &Hdu, at: usize, names: &[(String, u8)]) -> Result<[u8; 64], FileError> {
    let mut meaning = [0; 64];
    for (name, bit) in names {
        let card = format!("MP_{name}");
        let number = hdu.header.integer(&card).and_then(|n| usize::try_from(n).ok()).filter(|n| *n < meaning.len());
        let number = number.ok_or_else(|| {
            let there: Vec<&str> =
                hdu.header.cards().map(|(key, _)| key).filter(|key| key.starts_with("MP_")).collect();
            FileError::NoBitName { hdu: at, card, there: there.join(" ") }
        })?;
        meaning[number] |= bit;
    }
    Ok(meaning)
}

/// The image of whole numbers in HDU `at`.
struct Each<'a> {
    opened: &'a Opened<'a>,
    at: usize,
    shape: Shape,
    foreign: Option<&'a dyn ForeignDecoder>,
}

impl Each<'_> {
    /// Each of them through `meaning`.
    fn through(&self, meaning: impl Fn(i64) -> u8 + Sync) -> Result<Plane<u8>, FileError> {
        let Self { opened, at, shape, foreign } = *self;
        let hdu = &opened.hdus[at];
        let size = same_size(hdu, at, PlaneKind::Mask, (shape.width, shape.height))?;
        let compressed = Table::of(hdu)?;
        let card = if compressed.is_some() { "ZBITPIX" } else { "BITPIX" };
        let bitpix = hdu.header.integer(card).ok_or_else(|| FileError::BadCard { card: card.into() })?;
        let number = |card: &str, absent| hdu.header.finite(card).map(|value| value.unwrap_or(absent));
        let (scale, zero) = (number("BSCALE", 1.0)?, number("BZERO", 0.0)?);
        if bitpix < 0 || scale != 1.0 || zero.fract() != 0.0 {
            return Err(FileError::MaskType { hdu: at, bitpix, scale, zero });
        }
        let of_others =
            compressed.as_ref().map(|table| ForeignImage::of(&opened.hdus, at, table)).transpose()?.flatten();
        if let Some(of_others) = of_others {
            // Scaled already; the numbers of these codings are below 2^24, which an f32 holds.
            let pixels = of_others.decode(opened.bytes, shape, foreign)?;
            let pixels = pixels.iter().map(|v| meaning(*v as i64)).collect();
            return Ok(Plane::from_pixels(size.0, size.1, pixels));
        }
        let zero = zero as i64; // of unsigned numbers
        let meaning = |stored: i64| meaning(stored.wrapping_add(zero));
        let pixels: Vec<u8> = match compressed {
            Some(table) => tiles::whole_numbers(&hdu.header, &table, size, meaning)?,
            None => {
                let wanted = size.0 * size.1 * (bitpix.unsigned_abs() as usize / 8);
                let data = hdu.data.get(..wanted).ok_or_else(|| FileError::BadCard { card: "GCOUNT".into() })?;
                match bitpix {
                    8 => data.iter().map(|&b| meaning(b.into())).collect(),
                    16 => data.as_chunks().0.iter().map(|b| meaning(i16::from_be_bytes(*b).into())).collect(),
                    32 => data.as_chunks().0.iter().map(|b| meaning(i32::from_be_bytes(*b).into())).collect(),
                    _ => data.as_chunks().0.iter().map(|b| meaning(i64::from_be_bytes(*b))).collect(),
                }
            }
        };
        Ok(Plane::from_pixels(size.0, size.1, pixels))
    }
}

/// The size of an HDU's image, which must be the image's own.
fn same_size(hdu: &Hdu, at: usize, kind: PlaneKind, wanted: (usize, usize)) -> Result<(usize, usize), FileError> {
    let prefix = if hdu.is_compressed() { "ZNAXIS" } else { "NAXIS" };
    let [width, height, rest @ ..] = &axes(&hdu.header, prefix)?[..] else { return Err(FileError::NoImage) };
    if !hdu.is_image() || rest.iter().any(|&n| n != 1) {
        return Err(FileError::NoImage);
    }
    let found = (*width, *height);
    if found != (wanted.0 as u64, wanted.1 as u64) {
        return Err(FileError::PlaneSize { hdu: at, kind, found, wanted });
    }
    Ok(wanted)
}

/// The bits of every pixel from binary tables of spans, one table a meaning: SDSS's fpM. A row is an object; its column
/// `s` holds spans of three big-endian 16-bit numbers, a row and its first and last column, and `row0`, `col0` are
/// their offset. What lies outside of the image is left out, as SDSS's own reader does.
///
/// Source: <https://data.sdss.org/datamodel/files/PHOTO_REDUX/RERUN/RUN/objcs/CAMCOL/fpM.html>
pub(super) fn spans(
    hdus: &[Hdu],
    tables: &[(twinpeak_core::survey::HduName, u8)],
    image: Image,
) -> Result<Plane<u8>, FileError> {
    const SPAN_BYTES: usize = 6;
    let (width, height) = (image.shape.width, image.shape.height);
    for (card, found) in [("MASKROWS", height), ("MASKCOLS", width)] {
        if let Some(declared) = hdus[0].header.integer(card).filter(|n| *n != found as i64) {
            return Err(FileError::MaskCard { card, declared, found });
        }
    }
    let mut plane = Plane::filled(width, height, 0u8);
    for (name, bit) in tables {
        let at = choose::named(hdus, &name.of(image.band, image.ccd))?;
        let table = Table::of(&hdus[at])?.ok_or(FileError::NoTable { hdu: at, column: "s" })?;
        let column = table.column("s").ok_or(FileError::NoTable { hdu: at, column: "s" })?;
        let offset =
            |row: usize, name: &str| table.column(name).and_then(|c| table.number(row, c)).unwrap_or(0.0) as i64;
        for row in 0..table.rows() {
            let spans = table.array(row, column).filter(|bytes| bytes.len() % SPAN_BYTES == 0);
            let spans = spans.ok_or(FileError::BadSpan { hdu: at, row })?;
            let (row0, col0) = (offset(row, "row0"), offset(row, "col0"));
            for span in spans.as_chunks::<SPAN_BYTES>().0 {
                let [y, from, to] = [0, 2, 4].map(|i| i64::from(i16::from_be_bytes([span[i], span[i + 1]])));
                if from > to {
                    return Err(FileError::BadSpan { hdu: at, row });
                }
                let (y, from, to) = (y + row0, (from + col0).max(0), (to + col0).min(width as i64 - 1));
                if (0..height as i64).contains(&y) && from <= to {
                    plane.row_mut(y as usize)[from as usize..=to as usize].iter_mut().for_each(|m| *m |= bit);
                }
            }
        }
    }
    Ok(plane)
}

/// Variance of every pixel in the square of the unit of `pixels`, infinite where it has no weight, from HDU `at`.
pub(super) fn variance(
    opened: &Opened,
    at: usize,
    kind: WeightKind,
    pixels: &Plane<f32>,
    reader: &Reader,
) -> Result<Plane<f32>, FileError> {
    let hdu = opened.hdus.get(at).ok_or(FileError::NoImage)?;
    same_size(hdu, at, PlaneKind::Weight, (pixels.width(), pixels.height()))?;
    let mut plane = {
        let shape = pixels::shape(&hdu.header, &reader.limits, true)?;
        pixels::decode(opened, at, shape, reader.foreign.as_deref())?
    };
    let of = move |v: f32| {
        let sound = v.is_finite() && v > 0.0;
        let variance = match kind {
            WeightKind::Variance => v,
            WeightKind::Sigma => v * v,
            WeightKind::InverseVariance | WeightKind::Weight => 1.0 / v,
        };
        if sound && variance > 0.0 { variance } else { f32::INFINITY }
    };
    let chunks = plane.pixels_mut().par_chunks_mut(1 << 16).map(|chunk| {
        chunk.iter_mut().fold(false, |any, v| {
            *v = of(*v);
            any | v.is_finite()
        })
    });
    if !chunks.reduce(|| false, |a, b| a | b) {
        return Err(FileError::NoWeight { hdu: at });
    }
    if kind == WeightKind::Weight {
        let scale = noise_per_weight(pixels, &plane).ok_or(FileError::NoWeight { hdu: at })?;
        plane.pixels_mut().iter_mut().for_each(|v| *v *= scale);
    }
    Ok(plane)
}

/// By how much relative variances are too small: the variance, in their unit, of the differences of pixels four apart,
/// which neither the sky nor most sources reach. By the median, so that sources do not either.
fn noise_per_weight(pixels: &Plane<f32>, relative: &Plane<f32>) -> Option<f32> {
    const APART_PX: usize = 4;
    let mut steps: Vec<f32> = Vec::new();
    for y in (0..pixels.height()).step_by(3) {
        let (row, variance) = (pixels.row(y), relative.row(y));
        steps.extend((APART_PX..row.len()).step_by(3).filter_map(|x| {
            let step = (row[x] - row[x - APART_PX]).abs() / (variance[x] + variance[x - APART_PX]).sqrt();
            (step.is_finite() && variance[x].is_finite() && variance[x - APART_PX].is_finite()).then_some(step)
        }));
    }
    let sigma = 1.4826 * upper_median(&mut steps, f32::total_cmp)?;
    Some(sigma * sigma).filter(|scale| *scale > 0.0)
}

/// What a mask says of a pixel without what is less than saturation: surveys call saturated pixels bad or interpolated
/// besides, and a star whose core is taken out as a defect would be found as a ring of fragments.
pub(super) fn gravest(bits: u8) -> u8 {
    if bits & mask::SAT != 0 { bits & !(mask::BAD | mask::NO_DATA) } else { bits }
}

/// Marks pixels without weight. What the mask says of them already is left: the core of a saturated star has no weight
/// either, and stays the core of a star.
pub(super) fn mark_weightless(bits: &mut Plane<u8>, variance: &Plane<f32>) {
    for (m, v) in bits.pixels_mut().iter_mut().zip(variance.pixels()) {
        if v.is_infinite() && *m & mask::UNUSABLE == 0 {
            *m |= mask::NO_DATA;
        }
    }
}
