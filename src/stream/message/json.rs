//! Reading JSON from strangers: bounded in depth and memory, no key twice, no list where an object belongs, and no
//! value repeated in what is said about it (it may be a URI with a password).

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{MessageError, excerpt};
use twinpeak_core::frame::{BANDS, PerBand};
use twinpeak_core::survey::Survey;

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

/// A place as it is written: a URI, or an object with a URI and an HDU.
#[derive(Debug)]
pub(super) struct WrittenPlace {
    pub(super) uri: String,
    pub(super) hdu: Option<String>,
}

#[derive(Deserialize)]
struct PlaceFields {
    uri: String,
    hdu: Option<WrittenHdu>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an HDU's name or number")]
enum WrittenHdu {
    Number(u32),
    Name(String),
}

impl<'de> Deserialize<'de> for WrittenPlace {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = WrittenPlace;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or an object with uri and hdu")
            }

            fn visit_str<E: serde::de::Error>(self, uri: &str) -> Result<WrittenPlace, E> {
                Ok(WrittenPlace { uri: uri.to_owned(), hdu: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenPlace, A::Error> {
                let PlaceFields { uri, hdu } = PlaceFields::deserialize(MapAccessDeserializer::new(map))?;
                let hdu = hdu.map(|hdu| match hdu {
                    WrittenHdu::Number(number) => number.to_string(),
                    WrittenHdu::Name(name) => name,
                });
                Ok(WrittenPlace { uri, hdu })
            }
        }
        from.deserialize_any(Either)
    }
}

/// An object of places in the order in which they stand, no more than say whether they are one a band.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<(String, WrittenPlace)>);

impl Places {
    /// Sorted by band: none where a band is not named.
    ///
    /// # Errors
    /// Where a name is not one of the survey's bands, nor an alias of one, or a band stands twice.
    pub(super) fn by_band(self, field: &'static str, survey: &Survey) -> Result<ByBand, MessageError> {
        let mut sorted = ByBand::default();
        for (name, place) in self.0 {
            let bands = || survey.planes().map(|b| survey.band(b)).collect::<Vec<_>>().join(" ");
            let unknown = || MessageError::UnknownBand { field, name: excerpt(&name), bands: bands() };
            let band = survey.plane_of(&name).ok_or_else(unknown)?;
            if sorted[band].replace(place).is_some() {
                return Err(MessageError::BandTwice { field, band: survey.band(band).to_owned() });
            }
        }
        Ok(sorted)
    }
}

/// A place a band, where one is given.
pub(super) type ByBand = PerBand<Option<WrittenPlace>>;

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Places;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a URI for each band")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Places, A::Error> {
                let mut places = Vec::new();
                // Of one more than there are bands, one is surely wrong; there is no need to keep the others.
                while places.len() <= BANDS {
                    match map.next_entry()? {
                        Some(pair) => places.push(pair),
                        None => return Ok(Places(places)),
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Places(places))
            }
        }
        from.deserialize_map(Pairs)
    }
}
