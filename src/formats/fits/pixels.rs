//! The pixels of a file's image: the first HDU that holds one, plain or tile-compressed.

use super::file_error::FileError;
use super::foreign::{ForeignDecoder, ForeignImage};
use super::hdu::{Hdu, axes};
use super::header::Header;
use super::shape::{Shape, reals};
use super::table::Table;
use super::{Limits, tiles};
use twinpeak_core::frame::Plane;
use twinpeak_core::preprocess::SMALLEST_PX;

/// Index of the HDU that holds the image: the first with pixels, else the first that declares any.
pub(super) fn find(hdus: &[Hdu]) -> Result<usize, FileError> {
    let is_image = |hdu: &Hdu| {
        let extension = hdu.header.text("XTENSION");
        let plain = extension.is_none_or(|x| x == "IMAGE") && hdu.header.integer("NAXIS").is_some_and(|n| n >= 2);
        plain || is_compressed(&hdu.header)
    };
    let with_pixels = hdus.iter().position(|hdu| is_image(hdu) && !hdu.data.is_empty());
    with_pixels.or_else(|| hdus.iter().position(is_image)).ok_or(FileError::NoImage)
}

/// Width and height of an image, if they and its type are acceptable; says nothing about its data.
pub(super) fn shape(header: &Header, limits: &Limits) -> Result<Shape, FileError> {
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
    let double = match header.integer(bitpix) {
        Some(-32) => false,
        Some(-64) => true,
        Some(bitpix) => return Err(FileError::PixelType { bitpix }),
        None => return Err(FileError::BadCard { card: bitpix.into() }),
    };
    Ok(Shape { width: width as usize, height: height as usize, double })
}

/// The pixels of the image of HDU `image` of a file, in the unit of its header.
pub(super) fn decode(
    file: &[u8],
    hdus: &[Hdu],
    image: usize,
    shape: Shape,
    foreign: Option<&dyn ForeignDecoder>,
) -> Result<Plane<f32>, FileError> {
    let hdu = &hdus[image];
    let table = Table::of(hdu)?;
    if table.as_ref().is_some_and(|table| table.column("NULL_PIXEL_MASK").is_some()) {
        return Err(FileError::NullPixelMask);
    }
    let of_others = table.as_ref().map(|table| ForeignImage::of(hdus, image, table)).transpose()?.flatten();
    if let Some(of_others) = of_others {
        // These are scaled already.
        let pixels = of_others.decode(file, shape, foreign)?;
        return Ok(Plane::from_pixels(shape.width, shape.height, pixels));
    }
    let mut pixels = match table {
        Some(table) => tiles::decode(&hdu.header, &table, shape)?,
        None => reals(hdu.data, shape.double),
    };
    let wanted = shape.width * shape.height;
    if pixels.len() < wanted {
        return Err(FileError::BadCard { card: "GCOUNT".into() }); // the axes promise more than the HDU holds
    }
    pixels.truncate(wanted);
    let (scale, zero) = (hdu.header.number("BSCALE").unwrap_or(1.0), hdu.header.number("BZERO").unwrap_or(0.0));
    if (scale, zero) != (1.0, 0.0) {
        pixels.iter_mut().for_each(|v| *v = (f64::from(*v) * scale + zero) as f32);
    }
    Ok(Plane::from_pixels(shape.width, shape.height, pixels))
}

fn is_compressed(header: &Header) -> bool {
    header.is_true("ZIMAGE")
}
