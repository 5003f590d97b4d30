//! The pixels of an image, plain or tile-compressed.

use super::file_error::FileError;
use super::foreign::{ForeignDecoder, ForeignImage};
use super::hdu::{Opened, axes};
use super::header::Header;
use super::shape::{Linear, PixelKind, Shape, values};
use super::table::Table;
use super::{Limits, tiles};
use twinpeak_core::frame::Plane;
use twinpeak_core::preprocess::SMALLEST_PX;

/// Width and height of an image, if they and its type are acceptable; says nothing about its data. Whole numbers are
/// counts: they are taken where `counts` says that the survey knows what one is worth.
pub(super) fn shape(header: &Header, limits: &Limits, counts: bool) -> Result<Shape, FileError> {
    let (naxis, bitpix) = if is_compressed(header) { ("ZNAXIS", "ZBITPIX") } else { ("NAXIS", "BITPIX") };
    let [width, height, rest @ ..] = &axes(header, naxis)?[..] else { return Err(FileError::NoImage) };
    let (width, height) = (*width, *height);
    if rest.iter().any(|&n| n != 1) {
        return Err(FileError::NoImage);
    }
    if width.checked_mul(height).is_none_or(|n| n > limits.max_pixels) {
        return Err(FileError::TooManyPixels { width, height, limit: limits.max_pixels });
    }
    if width < SMALLEST_PX as u64 || height < SMALLEST_PX as u64 {
        return Err(FileError::TooSmall { width, height });
    }
    let written = header.integer(bitpix).ok_or_else(|| FileError::BadCard { card: bitpix.into() })?;
    let kind = PixelKind::of(written).filter(|kind| counts || !kind.is_whole());
    let kind = kind.ok_or(FileError::PixelType { bitpix: written })?;
    Ok(Shape { width: width as usize, height: height as usize, kind })
}

/// The pixels of the image of HDU `image` of a file, in the unit of its header.
pub(super) fn decode(
    opened: &Opened,
    image: usize,
    shape: Shape,
    foreign: Option<&dyn ForeignDecoder>,
) -> Result<Plane<f32>, FileError> {
    let hdu = &opened.hdus[image];
    let table = Table::of(hdu)?;
    if table.as_ref().is_some_and(|table| table.column("NULL_PIXEL_MASK").is_some()) {
        return Err(FileError::NullPixelMask);
    }
    let of_others = table.as_ref().map(|table| ForeignImage::of(&opened.hdus, image, table)).transpose()?.flatten();
    if let Some(of_others) = of_others {
        // These are scaled already.
        let pixels = of_others.decode(opened.bytes, shape, foreign)?;
        return Ok(Plane::from_pixels(shape.width, shape.height, pixels));
    }
    let number = |card: &str, absent| hdu.header.finite(card).map(|value| value.unwrap_or(absent));
    let written =
        Linear { scale: number("BSCALE", 1.0)?, zero: number("BZERO", 0.0)?, blank: blank(&hdu.header, shape)? };
    let mut pixels = match table {
        Some(table) => tiles::decode(&hdu.header, &table, shape, written)?,
        None => values(hdu.data, shape.kind, written),
    };
    let wanted = shape.width * shape.height;
    if pixels.len() < wanted {
        return Err(FileError::BadCard { card: "GCOUNT".into() }); // the axes promise more than the HDU holds
    }
    pixels.truncate(wanted);
    Ok(Plane::from_pixels(shape.width, shape.height, pixels))
}

/// The number that stands for no measurement, in images of whole numbers.
fn blank(header: &Header, shape: Shape) -> Result<Option<i64>, FileError> {
    let card = if header.has("ZBLANK") { "ZBLANK" } else { "BLANK" };
    if !shape.kind.is_whole() || header.literal(card).is_none_or(|value| value.trim().is_empty()) {
        return Ok(None);
    }
    header.integer(card).map(Some).ok_or_else(|| FileError::BadCard { card: card.to_owned() })
}

fn is_compressed(header: &Header) -> bool {
    header.is_true("ZIMAGE")
}
