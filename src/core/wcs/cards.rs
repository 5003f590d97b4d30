//! A header's coordinate cards, each at most once.

use std::collections::BTreeMap;
use std::fmt;

use super::error::{WcsError, missing, not_read, unusable};

/// The value of a header card.
#[derive(Clone, Debug, PartialEq)]
pub enum CardValue {
    /// A string, without its quotes; also whatever else is no number.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A real number.
    Real(f64),
}

impl fmt::Display for CardValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Real(v) => write!(f, "{v:?}"),
        }
    }
}

impl From<f64> for CardValue {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for CardValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&Self> for CardValue {
    fn from(value: &Self) -> Self {
        value.clone()
    }
}

/// Cards of the frame of reference, which hold for every image of a file.
const OF_THE_FRAME: [&str; 4] = ["RADESYS", "RADECSYS", "EQUINOX", "EPOCH"];
/// Cards without numbers in their names.
const PLAIN: [&str; 10] =
    ["CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "LONPOLE", "LATPOLE", "A_ORDER", "B_ORDER", "AP_ORDER", "BP_ORDER"];
/// Names that go on with the number of an axis: those of the first two count.
const BY_AXIS: [&str; 4] = ["CRPIX", "CRVAL", "CDELT", "CROTA"];
/// Names that go on with two numbers with `_` between them; of all but SIP's the first is an axis.
const BY_TWO: [&str; 7] = ["CD", "PC", "PV", "A_", "B_", "AP_", "BP_"];
/// Distortions by tables and functions (paper IV's draft) begin so.
const TABLES: [&str; 6] = ["CPDIS", "CQDIS", "DP", "DQ", "D2IMDIS", "D2IMARR"];

/// What a card is to the coordinates of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardRole {
    /// Says which frame of reference the sky's coordinates are in; an extension may inherit it alone.
    Frame,
    /// A part of the map from pixels to that frame.
    Map,
}

/// What a card says of an image's coordinates; `None` where it says nothing, as those of other axes and of
/// alternate systems (`CTYPE1A`).
pub fn role(key: &str) -> Option<CardRole> {
    if OF_THE_FRAME.contains(&key) {
        return Some(CardRole::Frame);
    }
    let by_axis = |stem: &&str| key.strip_prefix(*stem).is_some_and(|axis| axis == "1" || axis == "2");
    let map = PLAIN.contains(&key) || BY_AXIS.iter().any(by_axis) || by_two(key).is_some() || table(key);
    map.then_some(CardRole::Map)
}

/// Whether the card is a distortion's that is not read.
fn table(key: &str) -> bool {
    TABLES.iter().any(|stem| {
        let rest = key.strip_prefix(stem).map(|rest| rest.split('.').next().unwrap_or_default());
        rest.is_some_and(|axis| matches!(axis, "1" | "2") || (axis.is_empty() && stem.starts_with("D2IM")))
    })
}

/// The stem of a name with two numbers, as `PV2_5`, `A_1_0` or the old `PC001002`, and what follows it.
fn by_two(key: &str) -> Option<(&'static str, &str)> {
    let (stem, rest) = BY_TWO.iter().find_map(|stem| Some((*stem, key.strip_prefix(stem)?)))?;
    let numeric = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let first = rest.trim_start_matches('0').bytes().next();
    let ours = stem.ends_with('_') || (matches!(first, Some(b'1' | b'2')) && (rest.contains('_') || rest.len() == 6));
    let other_axis = !stem.ends_with('_') && rest.split('_').next().is_some_and(|axis| axis.len() == 2);
    (numeric && ours && !other_axis).then_some((stem, rest))
}

/// The cards of one image that have a [`role`].
pub(super) struct Cards<'a>(BTreeMap<&'a str, &'a CardValue>);

impl<'a> Cards<'a> {
    /// Sorts them out of a header.
    pub(super) fn of(header: &'a [(String, CardValue)]) -> Result<Self, WcsError> {
        let mut cards = BTreeMap::new();
        for (key, value) in header.iter().filter(|(key, _)| role(key).is_some()) {
            if table(key) {
                return Err(not_read(key, value, "distortion by a table or a function; SIP and TPV are read"));
            }
            if by_two(key).is_some_and(|(stem, rest)| !well_formed(stem, rest)) {
                return Err(unusable(key, value, "is a name that the standard does not have"));
            }
            match cards.insert(key.as_str(), value) {
                Some(first) if !same(first, value) => {
                    let (first, second) = (first.to_string(), value.to_string());
                    return Err(WcsError::Twice { card: key.clone(), first, second });
                }
                _ => {}
            }
        }
        Ok(Self(cards))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// A card's text; an empty one counts as absent.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, WcsError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(CardValue::Text(text)) => Ok(Some(text.trim()).filter(|t| !t.is_empty())),
            Some(other) => Err(unusable(key, *other, "is no text")),
        }
    }

    /// A card's number. One between quotes is none: readers differ on what it means.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, WcsError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(CardValue::Integer(n)) => Ok(Some(*n as f64)),
            Some(CardValue::Real(v)) if v.is_finite() => Ok(Some(*v)),
            Some(other) => Err(unusable(key, *other, "is no finite number")),
        }
    }

    /// [`Self::number`], or the fault of not having it.
    pub(super) fn needed(&self, key: &str) -> Result<f64, WcsError> {
        self.number(key)?.ok_or_else(|| missing(key))
    }

    /// All cards whose name is `stem`, a number, `_` and a number: `A_1_0` of `A_`, `PV1_5` of `PV`.
    pub(super) fn by_numbers(&self, stem: &str) -> Result<Vec<(usize, usize, f64)>, WcsError> {
        let mut found = Vec::new();
        for key in self.0.keys() {
            let Some((_, rest)) = by_two(key).filter(|(of, _)| *of == stem) else { continue };
            if let Some((first, second)) = rest.split_once('_')
                && let (Ok(i), Ok(j)) = (first.parse(), second.parse())
            {
                found.push((i, j, self.needed(key)?));
            }
        }
        Ok(found)
    }
}

/// Two numbers of one or two digits without zeros before them, or of the matrix three each.
fn well_formed(stem: &str, rest: &str) -> bool {
    let plain = |n: &str| matches!(n.len(), 1 | 2) && (n == "0" || !n.starts_with('0'));
    match rest.split_once('_') {
        Some((first, second)) => plain(first) && plain(second),
        None => stem == "PC" && rest.len() == 6,
    }
}

fn same(a: &CardValue, b: &CardValue) -> bool {
    match (a, b) {
        (CardValue::Text(a), CardValue::Text(b)) => a.trim() == b.trim(),
        (CardValue::Integer(a), CardValue::Real(b)) | (CardValue::Real(b), CardValue::Integer(a)) => *a as f64 == *b,
        _ => a == b,
    }
}
