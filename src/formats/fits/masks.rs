//! The masks as a FITS file: SEGMENTATION, CLASS and MASK as tile-compressed images with the reference band's
//! coordinates, behind an empty primary HDU that says what made them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rayon::prelude::*;

use super::FitsError;
use super::card::{Cards, TableSize, fill_block};
use super::provenance::{add_provenance, add_quality};
use twinpeak_core::catalog::{Row, class};
use twinpeak_core::frame::{Plane, mask};
use twinpeak_core::outcome::Products;
use twinpeak_core::wcs::Wcs;

/// Name of the extension that says which source each pixel belongs to.
pub(super) const SEGMENTATION: &str = "SEGMENTATION";
/// Name of the extension with each pixel's class.
pub(super) const CLASS: &str = "CLASS";
/// Name of the extension of bit planes.
pub(super) const MASK: &str = "MASK";
/// Rows of a tile: enough for gzip to find the shapes again, few enough to read a part of the image.
const TILE_ROWS: usize = 32;
/// In CLASS: an object without a class.
const UNCLASSIFIED: u8 = 1;

/// The masks of an image. Same products, same bytes.
///
/// # Errors
/// [`FitsError`] where a name or version cannot stand in a header.
pub fn masks(products: &Products) -> Result<Vec<u8>, FitsError> {
    let mut cards = Cards::primary();
    add_provenance(&mut cards, &products.catalog.provenance);
    add_quality(&mut cards, &products.quality);
    let mut bytes = cards.finish()?;

    let (segmentation, bits) = (&products.segmentation, &products.bits);
    let classes = classes(&products.catalog.rows);
    let mut classified = Cards::default();
    classified.add("EXTNAME", CLASS, "0 sky, 3 galaxy, 6 star or quasar, 1 no class").add_wcs(&products.wcs);
    let mut planes = Cards::default();
    planes.add("EXTNAME", MASK, "").add_wcs(&products.wcs);
    for (name, bit) in mask::NAMES {
        planes.add(&format!("MP_{name}"), bit.trailing_zeros() as usize, "number of the bit");
    }

    let class_bytes =
        |part: &[u32]| part.iter().map(|&n| classes.get(n as usize).copied().unwrap_or(UNCLASSIFIED)).collect();
    bytes.extend(numbers(segmentation, &products.wcs)?);
    bytes.extend(compressed(segmentation, 8, classified, class_bytes)?);
    bytes.extend(compressed(bits, 8, planes, <[u8]>::to_vec)?);
    Ok(bytes)
}

/// Which source each pixel belongs to, as the extension SEGMENTATION of 32-bit integers.
pub(super) fn numbers(plane: &Plane<u32>, wcs: &Wcs) -> Result<Vec<u8>, FitsError> {
    let mut cards = Cards::default();
    cards.add("EXTNAME", SEGMENTATION, "0 for sky, else a source's number").add_wcs(wcs);
    compressed(plane, 32, cards, |part| part.iter().flat_map(|n| n.to_be_bytes()).collect())
}

/// What CLASS holds for each number.
fn classes(rows: &[Row]) -> Vec<u8> {
    let largest = rows.iter().map(|r| r.number as usize).max().unwrap_or(0);
    let mut classes = vec![UNCLASSIFIED; largest + 1];
    classes[0] = 0;
    for row in rows {
        classes[row.number as usize] = match row.classification {
            Some(class::STAR) => class::STAR as u8,
            Some(class::GALAXY) => class::GALAXY as u8,
            _ => UNCLASSIFIED,
        };
    }
    classes
}

/// One image as an extension, its rows of tiles squeezed by gzip side by side. `bytes_of` gives the big-endian
/// bytes of some pixels, `bitpix` bits each; `own` are the image's own cards.
fn compressed<T: Copy + Sync>(
    plane: &Plane<T>,
    bitpix: usize,
    own: Cards,
    bytes_of: impl Fn(&[T]) -> Vec<u8> + Sync,
) -> Result<Vec<u8>, FitsError> {
    let (width, height) = (plane.width(), plane.height());
    let tiles: Vec<Vec<u8>> = plane
        .pixels()
        .par_chunks((width * TILE_ROWS).max(1))
        .map(|part| gzip(&bytes_of(part)))
        .collect::<Result<_, _>>()
        .map_err(|source| FitsError::Pack { name: "a tile of the masks".into(), source })?;
    let heap_bytes: usize = tiles.iter().map(Vec::len).sum();
    let longest = tiles.iter().map(Vec::len).max().unwrap_or(0);

    let mut cards = Cards::table(TableSize { row_bytes: 8, rows: tiles.len(), columns: 1, heap_bytes });
    cards.add("TTYPE1", "COMPRESSED_DATA", "").add("TFORM1", format!("1PB({longest})").as_str(), "");
    cards.add("ZIMAGE", true, "this table is a compressed image").add("ZTENSION", "IMAGE", "");
    cards.add("ZBITPIX", bitpix, "").add("ZNAXIS", 2usize, "");
    cards.add("ZNAXIS1", width, "").add("ZNAXIS2", height, "").add("ZPCOUNT", 0usize, "").add("ZGCOUNT", 1usize, "");
    cards.add("ZTILE1", width, "").add("ZTILE2", TILE_ROWS.min(height), "").add("ZCMPTYPE", "GZIP_1", "");
    cards.append(own);

    let mut bytes = cards.finish()?;
    let mut offset = 0usize;
    for tile in &tiles {
        for word in [tile.len(), offset] {
            bytes.extend((word as u32).to_be_bytes());
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
