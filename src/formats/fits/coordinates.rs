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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::shape::PixelKind;

    /// A primary HDU and an extension with the image, of these cards.
    fn position(primary: &[&str], extension: &[&str]) -> Result<(f64, f64), FileError> {
        let header = |cards: &[&str]| {
            let text: String = cards.iter().chain(&["END"]).map(|card| format!("{card:80}")).collect();
            Header::parse(text.as_bytes()).unwrap().0
        };
        let hdus = [primary, extension].map(|cards| Hdu { header: header(cards), data: &[] });
        let wcs = read(&hdus, 1, Shape { width: 100, height: 80, kind: PixelKind::Float })?;
        Ok(wcs.pixel_to_sky(0.0, 0.0).unwrap())
    }

    const MAP: [&str; 8] = [
        "CTYPE1  = 'RA---TAN'",
        "CTYPE2  = 'DEC--TAN'",
        "CRVAL1  =                150.0",
        "CRVAL2  =                  2.0",
        "CRPIX1  =                    1",
        "CRPIX2  =                    1 / 'a comment'",
        "CD1_1   =             -1.1D-04",
        "CD2_2   = +1.1d-4",
    ];
    const INHERIT: &str = "INHERIT =                    T";
    const FK4: &str = "EQUINOX =               1950.0";

    #[track_caller]
    fn at(found: Result<(f64, f64), FileError>, ra: f64, dec: f64) {
        let (a, d) = found.unwrap();
        assert!((a - ra).abs() < 2e-7 && (d - dec).abs() < 2e-7, "{a} {d}");
    }

    #[test]
    fn what_the_first_header_says_holds_where_it_is_inherited() {
        at(position(&MAP, &[INHERIT]), 150.0, 2.0);
        let refused = position(&MAP, &["INHERIT =                    F"]).unwrap_err().to_string();
        assert_eq!(refused, "world coordinates of HDU 1: CTYPE1 is missing");
        // A map is inherited whole or not at all.
        let half = [INHERIT, "CTYPE1  = 'RA---TAN'", "CTYPE2  = 'DEC--TAN'"];
        assert!(position(&MAP, &half).unwrap_err().to_string().contains("CRPIX1 is missing"));
        let moved = [&[INHERIT, "CRVAL1  = 10.0"][..], &MAP[..2], &MAP[3..]].concat();
        at(position(&MAP, &moved), 10.0, 2.0);
    }

    #[test]
    fn the_frame_of_reference_is_inherited_card_by_card() {
        // astropy 8.0.2: SkyCoord(150 deg, 2 deg, frame=FK4, equinox=B1950, obstime=B1950).icrs
        let (ra, dec) = (150.64512255933778, 1.7581287786479294);
        let own = [&MAP[..], &[INHERIT]].concat();
        at(position(&[FK4], &own), ra, dec);
        at(position(&[], &[&MAP[..], &[FK4]].concat()), ra, dec);
        at(position(&[FK4], &[&own[..], &["RADESYS = 'ICRS'"]].concat()), 150.0, 2.0);
        at(position(&[FK4], &MAP), 150.0, 2.0);
    }

    #[test]
    fn a_number_between_quotes_is_none() {
        let quoted = [&["CRVAL1  = '150.0   '"], &MAP[..2], &MAP[3..]].concat();
        let refused = position(&[], &quoted).unwrap_err().to_string();
        assert_eq!(refused, "world coordinates of HDU 1: CRVAL1 = \"150.0\" is no finite number");
    }
}
