//! The coordinate system of an image among a file's HDUs, with what it inherits from the first.

use super::file_error::FileError;
use super::hdu::Hdu;
use super::header::Header;
use super::shape::Shape;
use twinpeak_core::wcs::{CardRole, CardValue, Wcs, role};

/// Reads it; `image` is the HDU with the pixels, of `shape`.
///
/// With INHERIT = T (appendix K of the standard) cards of the first HDU hold for an extension that lacks them. The map is
/// taken as a whole or not at all, since half of one and half of another is neither.
pub(super) fn read(hdus: &[Hdu], image: usize, shape: Shape) -> Result<Wcs, FileError> {
    let own = &hdus[image].header;
    let mut cards = coordinate_cards(own);
    if image > 0 && own.is_true("INHERIT") {
        let has_map = cards.iter().any(|(key, _)| role(key) == Some(CardRole::Map));
        let mut inherited = coordinate_cards(&hdus[0].header);
        inherited.retain(|(key, _)| !(own.has(key) || has_map && role(key) == Some(CardRole::Map)));
        cards.extend(inherited);
    }
    let size = (shape.width, shape.height);
    Wcs::from_cards(&cards, size).map_err(|source| FileError::Wcs { hdu: image, source })
}

fn coordinate_cards(header: &Header) -> Vec<(String, CardValue)> {
    header.cards().filter(|(key, _)| role(key).is_some()).map(|(key, value)| (key.to_owned(), value)).collect()
}
