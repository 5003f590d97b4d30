//! A segmentation as a file by itself, and masks read back: which source each pixel belongs to, as the masks say it and
//! as a simulation knows it.

use super::card::Cards;
use super::file_error::FileError;
use super::hdu::Hdu;
use super::masks::{CLASS, MASK, SEGMENTATION, numbers};
use super::table::Table;
use super::tiles::gunzip;
use super::{FitsError, Limits};
use twinpeak_core::frame::Plane;
use twinpeak_core::wcs::Wcs;

/// A file with the extension SEGMENTATION alone, as the masks hold it: tile-compressed 32-bit integers, in which
/// `u32::MAX` becomes -1. Same plane, same bytes.
///
/// # Errors
/// [`FitsError`] where a tile cannot be packed.
pub fn segmentation_file(plane: &Plane<u32>, wcs: &Wcs) -> Result<Vec<u8>, FitsError> {
    let mut bytes = Cards::primary().finish()?;
    bytes.extend(numbers(plane, wcs)?);
    Ok(bytes)
}

/// The extension SEGMENTATION of a file of masks, or of [`segmentation_file`].
///
/// # Errors
/// [`FitsError::NoSegmentation`] for any other file.
pub fn read_segmentation(bytes: &[u8], limits: &Limits) -> Result<Plane<u32>, FitsError> {
    let read = || numbers_of(&Hdu::split(bytes)?, limits);
    read().map_err(refused)
}

/// An image's masks, as [`super::masks()`] writes them.
pub struct Masks {
    /// 0 for sky, else a source's number.
    pub segmentation: Plane<u32>,
    /// Class of each pixel: 0 for sky, 1 for an object without one.
    pub classes: Plane<u8>,
    /// [`twinpeak_core::frame::mask`] bits.
    pub bits: Plane<u8>,
}

/// All extensions of a file of masks.
///
/// # Errors
/// [`FitsError::NoSegmentation`] for any other file.
pub fn read_masks(bytes: &[u8], limits: &Limits) -> Result<Masks, FitsError> {
    let read = || {
        let hdus = Hdu::split(bytes)?;
        let bytes_of = |name| plane(&hdus, name, limits, |[byte]: [u8; 1]| byte);
        Ok(Masks { segmentation: numbers_of(&hdus, limits)?, classes: bytes_of(CLASS)?, bits: bytes_of(MASK)? })
    };
    read().map_err(refused)
}

fn refused(fault: FileError) -> FitsError {
    FitsError::NoSegmentation { problem: fault.to_string() }
}

fn numbers_of(hdus: &[Hdu], limits: &Limits) -> Result<Plane<u32>, FileError> {
    plane(hdus, SEGMENTATION, limits, u32::from_be_bytes)
}

/// The extension `name`, whose pixels have `N` bytes. Tiles are whole rows of gzipped integers; other layouts are other
/// programs'.
fn plane<T: Copy, const N: usize>(
    hdus: &[Hdu],
    name: &str,
    limits: &Limits,
    pixel: impl Fn([u8; N]) -> T,
) -> Result<Plane<T>, FileError> {
    let bad = |card: &str| FileError::BadCard { card: card.to_owned() };
    let hdu = hdus.iter().find(|h| h.header.text("EXTNAME") == Some(name)).ok_or(FileError::NoImage)?;
    let table = Table::of(hdu)?.ok_or(FileError::NoImage)?;
    let squeezed = table.column("COMPRESSED_DATA").ok_or_else(|| bad("TTYPE1"))?;
    let header = &hdu.header;
    let (width, height, tile_rows) = (header.count("ZNAXIS1")?, header.count("ZNAXIS2")?, header.count("ZTILE2")?);
    if width.checked_mul(height).is_none_or(|n| n > limits.max_pixels) {
        return Err(FileError::TooManyPixels { width, height, limit: limits.max_pixels });
    }
    let whole_rows = header.count("ZTILE1")? == width && tile_rows > 0;
    if !whole_rows || table.rows() as u64 != height.div_ceil(tile_rows) {
        return Err(bad("ZTILE1"));
    }
    if header.integer("ZBITPIX") != Some(8 * N as i64) || header.text("ZCMPTYPE") != Some("GZIP_1") {
        return Err(bad("ZBITPIX"));
    }
    let (width, height, tile_rows) = (width as usize, height as usize, tile_rows.min(height) as usize);
    let mut pixels = Vec::new();
    for tile in 0..table.rows() {
        let damaged = |problem| FileError::BadTile { tile, problem };
        let rows = tile_rows.min(height - tile * tile_rows);
        let packed = table.array(tile, squeezed).ok_or_else(|| damaged("it points outside the table"))?;
        let raw = gunzip(packed, rows * width, &[N]).map_err(damaged)?;
        pixels.extend(raw.as_chunks::<N>().0.iter().map(|b| pixel(*b)));
    }
    Ok(Plane::from_pixels(width, height, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::masks;
    use twinpeak_core::catalog::class;
    use twinpeak_core::frame::mask;
    use twinpeak_core::outcome::Outcome;

    const CD: [[f64; 2]; 2] = [[1e-4, 0.0], [0.0, 1e-4]];

    fn plane(width: usize, height: usize) -> Plane<u32> {
        let number = |i: usize| [0, 7, 50_000, u32::MAX][i * i % 4];
        Plane::from_pixels(width, height, (0..width * height).map(number).collect())
    }

    fn file(plane: &Plane<u32>) -> Vec<u8> {
        let wcs = Wcs::tangent((plane.width(), plane.height()), (10.0, 0.0), (5.0, 4.0), CD).unwrap();
        segmentation_file(plane, &wcs).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        for (width, height) in [(70, 64), (64, 65), (300, 1), (1, 97)] {
            let written = plane(width, height);
            assert_eq!(read_segmentation(&file(&written), &Limits::default()).unwrap(), written);
        }
    }

    #[test]
    fn masks_are_read_as_they_were_written() {
        let made = twinpeak_core::testing::processed();
        let Outcome::Processed(mut products) = made.outcome else { panic!("it is processed") };
        products.catalog.rows.iter_mut().zip(1..).for_each(|(row, number)| row.number = number);
        for (x, number) in [(2, 1), (3, 3), (4, 4)] {
            products.segmentation.set(x, 5, number);
        }
        products.bits.set(9, 7, mask::SAT | mask::EDGE);
        let written = masks(&products).unwrap();
        let read = read_masks(&written, &Limits::default()).unwrap();
        assert_eq!((read.segmentation, read.bits), (products.segmentation, products.bits));
        let (star, galaxy) = (class::STAR as u8, class::GALAXY as u8);
        assert_eq!(read.classes.row(5), [0, 0, star, galaxy, 1, 0, 0, 0, 0, 0]);
        assert!(read_masks(&file(&plane(70, 64)), &Limits::default()).is_err(), "it has no classes");
    }

    #[test]
    fn anything_else_is_refused() {
        let whole = file(&plane(70, 64));
        let says = |bytes: &[u8], limits| read_segmentation(bytes, &limits).unwrap_err().to_string();
        assert!(says(b"", Limits::default()).contains("not a FITS file"));
        assert!(says(&whole[..2880], Limits::default()).contains("no two-dimensional image"));
        assert!(says(&whole, Limits { max_pixels: 1000, ..Limits::default() }).contains("70x64"));
        // Every byte of the header and the heap in turn: refused, or read as something of the declared size.
        for at in (2880..whole.len()).step_by(7) {
            let mut broken = whole.clone();
            broken[at] ^= 0x55;
            let _ = read_segmentation(&broken, &Limits::default());
        }
    }
}
