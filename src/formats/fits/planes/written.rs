//! Writing a band's mask and weights as the survey's own planes are, so that they are read back.

use super::super::FitsError;
use super::super::card::{Cards, TableSize, fill_block};
use twinpeak_core::frame::{Band, Plane, mask};
use twinpeak_core::survey::{HduName, MaskCode, PlaneKind, Survey, WeightKind};

/// Where an image is written.
pub(in super::super) enum Place<'a> {
    /// In the first HDU.
    Primary,
    /// In an extension of this EXTNAME.
    Extension(&'a str),
}

/// The first cards of an image.
pub(in super::super) fn image_cards<T: Copy>(place: &Place, bitpix: i64, pixels: &Plane<T>) -> Cards {
    let mut cards = Cards::default();
    match place {
        Place::Primary => cards.add("SIMPLE", true, ""),
        Place::Extension(_) => cards.add("XTENSION", "IMAGE", ""),
    };
    cards.add("BITPIX", bitpix, "").add("NAXIS", 2usize, "");
    cards.add("NAXIS1", pixels.width(), "").add("NAXIS2", pixels.height(), "");
    match place {
        Place::Primary => cards.add("EXTEND", true, ""),
        Place::Extension(name) => cards.add("PCOUNT", 0usize, "").add("GCOUNT", 1usize, "").add("EXTNAME", *name, ""),
    };
    cards
}

/// The HDU with a band's mask or weights, in the survey's code; empty where the survey has none. Tables of spans are a
/// whole file. `nmgy_per_unit` is the flux of one unit of the image's pixels.
pub(in super::super) fn plane(
    survey: &Survey,
    band: &Band,
    kind: PlaneKind,
    place: &Place,
    nmgy_per_unit: f32,
) -> Result<Vec<u8>, FitsError> {
    let profile = survey.profile();
    match (kind, &profile.mask, &profile.weight, &band.variance) {
        (PlaneKind::Mask, Some(mask), ..) => match &mask.code {
            MaskCode::Tables(tables) => spans(&band.mask, tables),
            code => bits(band, code, place),
        },
        (PlaneKind::Weight, _, Some(weight), Some(variance)) => {
            let mut cards = image_cards(place, -32, variance);
            let of = |v: &f32| {
                let variance = v / (nmgy_per_unit * nmgy_per_unit);
                match weight.kind {
                    WeightKind::Variance => variance,
                    WeightKind::Sigma => variance.sqrt(),
                    WeightKind::InverseVariance | WeightKind::Weight => variance.recip(),
                }
            };
            cards.add_wcs(&band.wcs);
            let mut bytes = cards.finish()?;
            bytes.extend(variance.pixels().iter().flat_map(|v| of(v).to_be_bytes()));
            fill_block(&mut bytes);
            Ok(bytes)
        }
        _ => Ok(Vec::new()),
    }
}

/// A mask of 32-bit numbers.
fn bits(band: &Band, code: &MaskCode, place: &Place) -> Result<Vec<u8>, FitsError> {
    let mut cards = image_cards(place, 32, &band.mask);
    if let MaskCode::Names(names) = code {
        for (number, (name, _)) in names.iter().enumerate() {
            cards.add(&format!("MP_{name}"), number, "number of the bit");
        }
    }
    cards.add_wcs(&band.wcs);
    let table: Vec<[u8; 4]> = (0..=u8::MAX).map(|bits| value(code, bits).to_be_bytes()).collect();
    let mut bytes = cards.finish()?;
    bytes.extend(band.mask.pixels().iter().flat_map(|m| table[usize::from(*m)]));
    fill_block(&mut bytes);
    Ok(bytes)
}

/// What stands in the survey's mask for bits of ours: for each the first bit of that meaning, or, where values have
/// meanings, the one value of the gravest.
fn value(code: &MaskCode, bits: u8) -> i32 {
    let gravest_first = [mask::SAT, mask::NO_DATA, mask::BAD, mask::EDGE].into_iter().filter(|bit| bits & bit != 0);
    match code {
        MaskCode::Bits(meaning) => {
            let number = |bit: u8| meaning.iter().take(31).position(|m| m & bit != 0);
            gravest_first.filter_map(number).fold(0, |value, number| value | 1 << number)
        }
        MaskCode::Names(names) => {
            let number = |bit: u8| names.iter().take(31).position(|(_, m)| m & bit != 0);
            gravest_first.filter_map(number).fold(0, |value, number| value | 1 << number)
        }
        MaskCode::Values(values) => {
            let value = |bit: u8| values.iter().find(|(_, m)| **m & bit != 0).and_then(|(v, _)| i32::try_from(*v).ok());
            gravest_first.filter_map(value).next().unwrap_or(0)
        }
        MaskCode::Tables(_) => 0,
    }
}

/// A file of tables of spans as SDSS's fpM: one object a table holds all spans of its bit. Tables of other numbers are
/// empty.
fn spans(plane: &Plane<u8>, tables: &[(HduName, u8)]) -> Result<Vec<u8>, FitsError> {
    let mut cards = Cards::primary();
    cards.add("MASKROWS", plane.height(), "").add("MASKCOLS", plane.width(), "");
    let mut bytes = cards.finish()?;
    let number = |name: &HduName| name.0.parse::<usize>().unwrap_or(0);
    let last = tables.iter().map(|(name, _)| number(name)).max().unwrap_or(0);
    for hdu in 1..=last {
        let bit = tables.iter().filter(|(name, _)| number(name) == hdu).fold(0, |bits, (_, bit)| bits | bit);
        bytes.extend(table(&spans_of(plane, bit))?);
    }
    Ok(bytes)
}

/// Row, first and last column of each run of pixels with one of the bits, as the format's 16-bit numbers.
fn spans_of(plane: &Plane<u8>, bits: u8) -> Vec<u8> {
    let mut spans = Vec::new();
    for y in 0..plane.height() {
        let row = plane.row(y);
        let mut x = 0;
        while let Some(from) = (x..row.len()).find(|&x| row[x] & bits != 0) {
            let to = (from..row.len()).find(|&x| row[x] & bits == 0).unwrap_or(row.len()) - 1;
            spans.extend([y, from, to].into_iter().flat_map(|v| (v as i16).to_be_bytes()));
            x = to + 1;
        }
    }
    spans
}

/// A table of one object.
fn table(spans: &[u8]) -> Result<Vec<u8>, FitsError> {
    let numbers = ["nspan", "row0", "col0"];
    let row_bytes = 4 * numbers.len() + 8;
    let mut cards = Cards::table(TableSize { row_bytes, rows: 1, columns: numbers.len() + 1, heap_bytes: spans.len() });
    for (name, i) in numbers.iter().zip(1..) {
        cards.add(&format!("TTYPE{i}"), *name, "").add(&format!("TFORM{i}"), "1J", "");
    }
    cards.add("TTYPE4", "s", "").add("TFORM4", format!("1PB({})", spans.len()).as_str(), "");
    let mut bytes = cards.finish()?;
    for number in [spans.len() / 6, 0, 0, spans.len(), 0] {
        bytes.extend((number as u32).to_be_bytes());
    }
    bytes.extend(spans);
    fill_block(&mut bytes);
    Ok(bytes)
}
