//! A header unit: 80-character cards in blocks of 2880 bytes, up to `END`.

use std::collections::HashMap;

use super::file_error::FileError;
use twinpeak_core::wcs::CardValue;

/// Bytes of a block; headers and data both fill whole ones.
pub(super) const BLOCK: usize = 2880;
const CARD: usize = 80;

/// The cards of one HDU that have values, in file order.
#[derive(Debug, Default)]
pub(super) struct Header {
    cards: Vec<(String, Value)>,
    /// Where the first card of each name stands: a header may have as many cards as it likes.
    first: HashMap<String, usize>,
}

/// A card's value as it stands; what it means depends on who asks.
#[derive(Debug)]
enum Value {
    Quoted(String),
    Bare(String),
}

impl Header {
    /// Reads a header that begins at `bytes[0]`; returns it with its length in bytes, blocks filled.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, usize), FileError> {
        let mut header = Self::default();
        for (i, card) in bytes.chunks_exact(CARD).enumerate() {
            let key = String::from_utf8_lossy(&card[..8]).trim_end().to_owned();
            if key == "END" {
                return Ok((header, ((i + 1) * CARD).next_multiple_of(BLOCK)));
            }
            if &card[8..10] == b"= " {
                header.add(key, Value::parse(&String::from_utf8_lossy(&card[10..])));
            } else if key == "HIERARCH" {
                // The convention for names of more than eight characters: all up to the first `=`.
                let text = String::from_utf8_lossy(&card[8..]);
                if let Some((key, value)) = text.split_once('=') {
                    header.add(key.trim().to_owned(), Value::parse(value));
                }
            }
        }
        Err(FileError::NoEnd)
    }

    fn add(&mut self, key: String, value: Value) {
        self.first.entry(key.clone()).or_insert(self.cards.len());
        self.cards.push((key, value));
    }

    /// The text of a card, as FITS writes it between quotes.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.find(key)? {
            Value::Quoted(text) => Some(text),
            Value::Bare(_) => None,
        }
    }

    /// The number of a card; some archives write numbers between quotes.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        number(self.find(key)?)
    }

    /// The finite number of a card that may be absent or without a value; a fault where it has another one.
    pub(super) fn finite(&self, key: &str) -> Result<Option<f64>, FileError> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let (Value::Quoted(text) | Value::Bare(text)) = value;
        match number(value) {
            Some(number) if number.is_finite() => Ok(Some(number)),
            _ if text.trim().is_empty() => Ok(None),
            _ => Err(FileError::NoNumber { card: key.to_owned(), value: text.clone() }),
        }
    }

    /// A card that must be a whole number.
    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        match self.find(key)? {
            Value::Bare(text) => text.parse().ok(),
            Value::Quoted(_) => None,
        }
    }

    /// [`Self::integer`], not negative, or the fault of not having it.
    pub(super) fn count(&self, key: &str) -> Result<u64, FileError> {
        self.integer(key).and_then(|n| u64::try_from(n).ok()).ok_or_else(|| FileError::BadCard { card: key.to_owned() })
    }

    /// Whether a card says T.
    pub(super) fn is_true(&self, key: &str) -> bool {
        matches!(self.find(key), Some(Value::Bare(text)) if text == "T")
    }

    /// What a card says, be it text or not, without the quotes.
    pub(super) fn literal(&self, key: &str) -> Option<&str> {
        let (Value::Quoted(text) | Value::Bare(text)) = self.find(key)?;
        Some(text)
    }

    /// Whether a card is there with any value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// All cards in file order. What is neither between quotes nor a number is text as it stands.
    pub(super) fn cards(&self) -> impl Iterator<Item = (&str, CardValue)> {
        self.cards.iter().map(|(key, value)| {
            let value = match value {
                Value::Quoted(text) => CardValue::Text(text.clone()),
                Value::Bare(text) => match (text.parse(), number(value)) {
                    (Ok(n), _) => CardValue::Integer(n),
                    (_, Some(v)) => CardValue::Real(v),
                    _ => CardValue::Text(text.clone()),
                },
            };
            (key.as_str(), value)
        })
    }

    fn find(&self, key: &str) -> Option<&Value> {
        self.first.get(key).map(|at| &self.cards[*at].1)
    }
}

impl Value {
    fn parse(field: &str) -> Self {
        let field = field.trim_start();
        let Some(quoted) = field.strip_prefix('\'') else {
            let bare = field.split('/').next().unwrap_or_default();
            return Self::Bare(bare.trim().to_owned());
        };
        // A quote inside text is written twice; a single one ends it.
        let mut text = String::new();
        let mut rest = quoted.chars().peekable();
        while let Some(c) = rest.next() {
            if c == '\'' && rest.next_if_eq(&'\'').is_none() {
                break;
            }
            text.push(c);
        }
        Self::Quoted(text.trim_end().to_owned())
    }
}

fn number(value: &Value) -> Option<f64> {
    let (Value::Quoted(text) | Value::Bare(text)) = value;
    // Fortran's double precision exponent is D.
    text.trim().replace(['D', 'd'], "E").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_archives_write_them() {
        let text: String = [
            "SIMPLE  =                    T / comment",
            "EXPTIME = '53.907456'          / a number between quotes",
            "OBJECT  = 'O''Neill / x  '     / quote and slash",
            "CD1_1   =  6.1D-05",
            "NAXIS1  =                 2048",
            "EMPTY   =                      / nothing",
            "HIERARCH MP_NO_DATA = 8 / a long name",
            "COMMENT = 'not a value",
            "END",
        ]
        .iter()
        .map(|card| format!("{card:80}"))
        .collect();
        let (header, length) = Header::parse(format!("{text:2880}").as_bytes()).unwrap();
        assert_eq!(length, BLOCK);
        assert!(header.is_true("SIMPLE") && !header.is_true("NAXIS1") && header.has("EMPTY"));
        assert_eq!(header.number("EXPTIME"), Some(53.907456));
        assert_eq!(header.text("OBJECT"), Some("O'Neill / x"));
        assert_eq!(header.number("CD1_1"), Some(6.1e-5));
        assert_eq!(header.integer("MP_NO_DATA"), Some(8));
        assert_eq!(
            (header.integer("NAXIS1"), header.integer("CD1_1"), header.number("EMPTY")),
            (Some(2048), None, None)
        );
    }

    #[test]
    fn a_header_without_end_is_refused() {
        assert!(matches!(Header::parse(&[b' '; BLOCK]), Err(FileError::NoEnd)));
    }
}
