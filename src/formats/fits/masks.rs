//! The masks as a FITS file: SEGMENTATION, CLASS and MASK as tile-compressed images with the reference band's
//! coordinates, behind an empty primary HDU that says what made them.

use super::FitsError;
use super::card::Cards;
use super::provenance::{add_provenance, add_quality};
use super::write_tiles::whole_numbers;
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
    bytes.extend(whole_numbers(segmentation, 8, classified, class_bytes)?);
    bytes.extend(whole_numbers(bits, 8, planes, <[u8]>::to_vec)?);
    Ok(bytes)
}

/// Which source each pixel belongs to, as the extension SEGMENTATION of 32-bit integers.
pub(super) fn numbers(plane: &Plane<u32>, wcs: &Wcs) -> Result<Vec<u8>, FitsError> {
    let mut cards = Cards::default();
    cards.add("EXTNAME", SEGMENTATION, "0 for sky, else a source's number").add_wcs(wcs);
    whole_numbers(plane, 32, cards, |part| part.iter().flat_map(|n| n.to_be_bytes()).collect())
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
