//! Writing headers: cards of 80 characters in blocks of 2880 bytes.

use super::FitsError;
use super::header::BLOCK;
use twinpeak_core::wcs::{CardValue, Wcs};

/// Longest text between the quotes of one card; longer text goes on in CONTINUE cards.
const TEXT: usize = 68;

/// What a card can hold.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Real(f64),
    Logical(bool),
}

/// How large a binary table is.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableSize {
    pub row_bytes: usize,
    pub rows: usize,
    pub columns: usize,
    pub heap_bytes: usize,
}

/// A header under construction.
#[derive(Debug, Default)]
pub(super) struct Cards {
    text: String,
    refused: Option<FitsError>,
}

impl Cards {
    /// The beginning of an empty primary HDU, which extensions need before them.
    pub(super) fn primary() -> Self {
        let mut cards = Self::default();
        cards.add("SIMPLE", true, "").add("BITPIX", 8usize, "").add("NAXIS", 0usize, "").add("EXTEND", true, "");
        cards
    }

    /// The beginning of a binary table.
    pub(super) fn table(size: TableSize) -> Self {
        let mut cards = Self::default();
        cards.add("XTENSION", "BINTABLE", "").add("BITPIX", 8usize, "").add("NAXIS", 2usize, "");
        cards.add("NAXIS1", size.row_bytes, "").add("NAXIS2", size.rows, "");
        cards.add("PCOUNT", size.heap_bytes, "").add("GCOUNT", 1usize, "").add("TFIELDS", size.columns, "");
        cards
    }

    /// Adds a card. A real number that is not finite becomes a card without value, FITS's way to say so.
    pub(super) fn add(&mut self, key: &str, value: impl Into<Value>, comment: &str) -> &mut Self {
        let value = value.into();
        match &value {
            Value::Text(text) if !printable(text) => self.refuse(key, text),
            Value::Text(text) if escaped(text).len() > TEXT => self.long(key, text, comment),
            _ => self.card(&format!("{} {}", name(key), value.print()), comment),
        }
        self
    }

    /// Adds the cards of a coordinate system.
    pub(super) fn add_wcs(&mut self, wcs: &Wcs) -> &mut Self {
        for (key, value) in wcs.cards() {
            let value = match value {
                CardValue::Text(text) => Value::Text(text.clone()),
                CardValue::Integer(n) => Value::Integer(*n),
                CardValue::Real(v) => Value::Real(*v),
            };
            self.add(key, value, "");
        }
        self
    }

    /// Adds all cards of another header.
    pub(super) fn append(&mut self, other: Self) -> &mut Self {
        self.text.push_str(&other.text);
        self.refused = self.refused.take().or(other.refused);
        self
    }

    /// The header's bytes, closed and filled.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, FitsError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        self.text.push_str(&format!("{:80}", "END"));
        let mut bytes = self.text.into_bytes();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        Ok(bytes)
    }

    fn card(&mut self, card: &str, comment: &str) {
        let mut line = format!("{card:30}");
        if !comment.is_empty() && line.len() + 4 < 80 {
            line.push_str(" / ");
            line.push_str(comment);
        }
        line.truncate(80);
        self.text.push_str(&format!("{line:80}"));
    }

    fn long(&mut self, key: &str, text: &str, comment: &str) {
        let mut head = name(key);
        let mut piece = String::new();
        for c in text.chars() {
            let next = escaped(&c.to_string());
            if piece.len() + next.len() >= TEXT {
                self.card(&format!("{head} '{piece}&'"), "");
                head = "CONTINUE ".into();
                piece.clear();
            }
            piece.push_str(&next);
        }
        self.card(&format!("{head} '{piece}'"), comment);
    }

    fn refuse(&mut self, key: &str, text: &str) {
        self.refused.get_or_insert_with(|| FitsError::NotAscii { what: key.to_owned(), text: text.to_owned() });
    }
}

/// A card's name with its `=`: eight characters, or the HIERARCH convention for what does not fit them.
fn name(key: &str) -> String {
    let standard =
        key.len() <= 8 && key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_".contains(&b));
    if standard { format!("{key:8}=") } else { format!("HIERARCH {key} =") }
}

/// Whether FITS can hold it.
pub(super) fn printable(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

fn escaped(text: &str) -> String {
    text.replace('\'', "''")
}

impl Value {
    fn print(&self) -> String {
        match self {
            Self::Text(text) => format!("'{:8}'", escaped(text)),
            Self::Integer(n) => format!("{n:>20}"),
            // Rust's shortest form reads back as the same number.
            Self::Real(v) if v.is_finite() => format!("{:>20}", format!("{v:?}").to_uppercase()),
            Self::Real(_) => String::new(),
            Self::Logical(yes) => format!("{:>20}", if *yes { "T" } else { "F" }),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Integer(n)
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Self {
        Self::Integer(n as i64)
    }
}

impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Real(v)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Logical(yes)
    }
}

/// Fills data up to whole blocks.
pub(super) fn fill_block(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
}

#[cfg(test)]
mod tests {
    use super::super::header::Header;
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut cards = Cards::default();
        cards.add("TEXT", "it's", "a comment that is far too long for what is left of a card, and is cut off there");
        cards.add("REAL", 6.12244995309e-5, "").add("WHOLE", 2048usize, "").add("YES", true, "");
        cards.add("NOTHING", f64::NAN, "").add("FWHM_LONG", 1.25, "");
        let bytes = cards.finish().unwrap();
        assert_eq!(bytes.len(), BLOCK);
        let (header, _) = Header::parse(&bytes).unwrap();
        assert_eq!(header.text("TEXT"), Some("it's"));
        assert_eq!(header.number("REAL"), Some(6.12244995309e-5));
        assert_eq!(header.integer("WHOLE"), Some(2048));
        assert!(header.is_true("YES") && header.has("NOTHING") && header.number("NOTHING").is_none());
    }

    #[test]
    fn text_that_fits_can_not_hold_is_refused() {
        for bad in ["é", "a\nb"] {
            let mut cards = Cards::default();
            cards.add("MODELVER", bad, "");
            assert!(matches!(cards.finish(), Err(FitsError::NotAscii { what, .. }) if what == "MODELVER"));
        }
    }
}
