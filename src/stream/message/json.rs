//! Reading JSON from strangers: bounded in depth and memory, no key twice, no list where an object belongs, and no
//! value repeated in what is said about it (it may be a URI with a password).

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{MessageError, excerpt};
use twinpeak_core::frame::BANDS;

/// Deepest nesting of lists and objects; our own messages have 2, notifications 4.
const MAX_DEPTH: usize = 64;

/// The text of a message, if it is one that may be parsed.
pub(super) fn text(bytes: &[u8]) -> Result<&str, MessageError> {
    let text = std::str::from_utf8(bytes).map_err(|e| MessageError::NotText { at_byte: e.valid_up_to() })?;
    if is_deep(bytes) { Err(MessageError::TooDeep { limit: MAX_DEPTH }) } else { Ok(text) }
}

/// Counted before anything is parsed: serde_json passes over unknown values without a limit.
fn is_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// Reads a text that must be one object.
pub(super) fn object<T: DeserializeOwned>(text: &str) -> Result<T, MessageError> {
    match serde_json::from_str(text) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(MessageError::Json { problem: without_values(&error.to_string()) }),
    }
}

/// What serde says, without the text that it quotes.
fn without_values(problem: &str) -> String {
    match (problem.find('"'), problem.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}\"...{}", &problem[..first], &problem[last..]),
        _ => problem.to_owned(),
    }
}

/// A `T` that is written as an object; serde's own structs would also be read from a list of their fields.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        from.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// An object of texts in the order in which they stand, no more than say whether they are one a band.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<(String, String)>);

impl Texts {
    /// Sorted by band: none where a band is not named.
    ///
    /// # Errors
    /// Where a name is not one of `bands`, or stands twice.
    pub(super) fn by_band(self, field: &'static str, bands: &[String; BANDS]) -> Result<ByBand, MessageError> {
        let mut sorted = ByBand::default();
        for (name, text) in self.0 {
            let unknown = || MessageError::UnknownBand { field, name: excerpt(&name), bands: bands.join(" ") };
            let band = bands.iter().position(|b| *b == name).ok_or_else(unknown)?;
            if sorted[band].replace(text).is_some() {
                return Err(MessageError::BandTwice { field, band: name });
            }
        }
        Ok(sorted)
    }
}

/// A text a band, where one is given.
pub(super) type ByBand = [Option<String>; BANDS];

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a URI for each band")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                // Of one more than there are bands, one is surely wrong; there is no need to keep the others.
                while texts.len() <= BANDS {
                    match map.next_entry()? {
                        Some(pair) => texts.push(pair),
                        None => return Ok(Texts(texts)),
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Texts(texts))
            }
        }
        from.deserialize_map(Pairs)
    }
}
