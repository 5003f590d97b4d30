//! Images as extensions, tile-compressed by gzip (FITS standard 4.0, section 10): whole numbers as they are, real ones
//! rounded to a step.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rayon::prelude::*;

use super::FitsError;
use super::card::{Cards, TableSize, fill_block};
use twinpeak_core::frame::Plane;

/// Rows of a tile: enough for gzip to find the shapes again, few enough to read a part of the image.
const TILE_ROWS: usize = 32;
/// What stands for NaN among rounded numbers.
const BLANK: i32 = i32::MIN;

/// An image of whole numbers, its rows of tiles squeezed side by side. `bytes_of` gives the big-endian bytes of some
/// pixels, `bitpix` bits each; `own` are the image's own cards.
pub(super) fn whole_numbers<T: Copy + Sync>(
    plane: &Plane<T>,
    bitpix: i64,
    own: Cards,
    bytes_of: impl Fn(&[T]) -> Vec<u8> + Sync,
) -> Result<Vec<u8>, FitsError> {
    extension(plane, &Coding { bitpix, name: "GZIP_1", step: None }, own, bytes_of)
}

/// An image of real numbers, each rounded to a multiple of `step` (above 0): at most half a step from what it was. Bytes of
/// equal significance stand together, so that gzip finds what noise leaves alike.
pub(super) fn reals(plane: &Plane<f32>, step: f64, own: Cards) -> Result<Vec<u8>, FitsError> {
    let rounded = |v: f32| match v.is_nan() {
        true => BLANK,
        // A cast keeps within its range; one more is left for NaN.
        false => ((f64::from(v) / step).round() as i32).max(BLANK + 1),
    };
    let shuffled = |part: &[f32]| {
        let numbers: Vec<[u8; 4]> = part.iter().map(|&v| rounded(v).to_be_bytes()).collect();
        (0..4).flat_map(|byte| numbers.iter().map(move |n| n[byte])).collect()
    };
    extension(plane, &Coding { bitpix: -32, name: "GZIP_2", step: Some(step) }, own, shuffled)
}

/// How pixels are coded.
struct Coding {
    bitpix: i64,
    name: &'static str,
    /// Of real numbers that are rounded.
    step: Option<f64>,
}

fn extension<T: Copy + Sync>(
    plane: &Plane<T>,
    coding: &Coding,
    own: Cards,
    bytes_of: impl Fn(&[T]) -> Vec<u8> + Sync,
) -> Result<Vec<u8>, FitsError> {
    let (width, height) = (plane.width(), plane.height());
    let tiles: Vec<Vec<u8>> = plane
        .pixels()
        .par_chunks((width * TILE_ROWS).max(1))
        .map(|part| gzip(&bytes_of(part)))
        .collect::<Result<_, _>>()
        .map_err(|source| FitsError::Pack { name: "a tile of an image".into(), source })?;
    let heap_bytes: usize = tiles.iter().map(Vec::len).sum();
    let longest = tiles.iter().map(Vec::len).max().unwrap_or(0);

    let (row_bytes, columns) = if coding.step.is_some() { (24, 3) } else { (8, 1) };
    let mut cards = Cards::table(TableSize { row_bytes, rows: tiles.len(), columns, heap_bytes });
    cards.add("TTYPE1", "COMPRESSED_DATA", "").add("TFORM1", format!("1PB({longest})").as_str(), "");
    if coding.step.is_some() {
        cards.add("TTYPE2", "ZSCALE", "").add("TFORM2", "1D", "").add("TTYPE3", "ZZERO", "").add("TFORM3", "1D", "");
    }
    cards.add("ZIMAGE", true, "this table is a compressed image").add("ZTENSION", "IMAGE", "");
    cards.add("ZBITPIX", coding.bitpix, "").add("ZNAXIS", 2usize, "");
    cards.add("ZNAXIS1", width, "").add("ZNAXIS2", height, "").add("ZPCOUNT", 0usize, "").add("ZGCOUNT", 1usize, "");
    cards.add("ZTILE1", width, "").add("ZTILE2", TILE_ROWS.min(height), "").add("ZCMPTYPE", coding.name, "");
    if coding.step.is_some() {
        cards.add("ZQUANTIZ", "NO_DITHER", "").add("ZBLANK", i64::from(BLANK), "NaN");
    }
    cards.append(own);

    let mut bytes = cards.finish()?;
    let mut offset = 0usize;
    for tile in &tiles {
        for word in [tile.len(), offset] {
            bytes.extend((word as u32).to_be_bytes());
        }
        if let Some(step) = coding.step {
            bytes.extend(step.to_be_bytes());
            bytes.extend(0f64.to_be_bytes());
        }
        offset += tile.len();
    }
    tiles.iter().for_each(|tile| bytes.extend_from_slice(tile));
    fill_block(&mut bytes);
    Ok(bytes)
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes)?;
    packer.finish()
}
