//! Names of images: what may stand in a file's name, a message's key and a URL alike.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::hex::hex;

/// Longest name, bytes.
const LONGEST: usize = 128;
/// What is kept of a longer one before its hash.
const KEPT: usize = LONGEST - HASHED.len() - 32;
/// Stands before the hash of a name that was too long.
const HASHED: &str = "_xh";

/// Name of an image: the key under which it is processed and published; 1 to 128 of `A-Z a-z 0-9 . _ -`, no leading
/// dot.
///
/// What files and CCDs are called in the world becomes such a name by [`ImageId::safe`], and no two become the same:
///
/// - a byte (of UTF-8) that may not stand becomes `_xHH`, its two hexadecimal digits in upper case; a leading dot too;
/// - an `_` that would begin such an escape by itself, because `x` and two such digits or `xh` follow, becomes `_x5F`;
/// - what is then longer than 128 bytes is its first 93, `_xh`, and 32 hexadecimal digits of the SHA-256 of that.
///
/// So a name that is already safe stays as it is, unless `_xHH` or `_xh` stands in it.
///
/// ```
/// use twinpeak_core::frame::ImageId;
///
/// let safe = |name| ImageId::safe(name).unwrap().to_string();
/// assert_eq!(safe("003918-3-0213"), "003918-3-0213");
/// assert_eq!(safe("M 31/a"), "M_x2031_x2Fa");
/// assert_eq!(safe("M_x2031"), "M_x5Fx2031");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(String);

/// A name that cannot be an image's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no image id: use 1 to 128 of A-Z a-z 0-9 . _ - and no leading dot")]
pub struct InvalidImageId {
    /// The text that is no image id.
    pub name: String,
}

impl ImageId {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`InvalidImageId`] where it is none; nothing is changed here.
    pub fn new(name: &str) -> Result<Self, InvalidImageId> {
        let fits = (1..=LONGEST).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(may_stand);
        if fits { Ok(Self(name.to_owned())) } else { Err(InvalidImageId { name: name.to_owned() }) }
    }

    /// Makes any name an image's, by the rule above; `None` of an empty one.
    pub fn safe(name: &str) -> Option<Self> {
        (!name.is_empty()).then(|| Self(shortened(escaped(name, true))))
    }

    /// The field that one CCD of this image is: `<image>.<ccd>`, the CCD's name by the same rule.
    pub fn of_ccd(&self, ccd: &str) -> Self {
        Self(shortened(format!("{self}.{}", escaped(ccd, false))))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

fn escaped(name: &str, begins: bool) -> String {
    let bytes = name.as_bytes();
    let digit = |b: Option<&u8>| b.is_some_and(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let mut safe = String::with_capacity(bytes.len());
    for (i, &byte) in bytes.iter().enumerate() {
        let after = bytes.get(i + 2);
        let escapes = byte == b'_'
            && bytes.get(i + 1) == Some(&b'x')
            && (after == Some(&b'h') || (digit(after) && digit(bytes.get(i + 3))));
        if !may_stand(byte) || escapes || (begins && i == 0 && byte == b'.') {
            safe += &format!("_x{byte:02X}");
        } else {
            safe.push(char::from(byte));
        }
    }
    safe
}

fn shortened(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    format!("{}{HASHED}{}", &name[..KEPT], hex(&Sha256::digest(&name)[..16]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn image_ids_are_file_names() {
        for good in ["003918-3-0213", "a", "A.b_c-9", &"x".repeat(128)] {
            assert!(ImageId::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".hidden", "a/b", "a b", "ü", "a\n", &"x".repeat(129)] {
            assert!(ImageId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_world_calls_its_images_is_made_safe() {
        let safe = |name: &str| ImageId::safe(name).unwrap().to_string();
        assert_eq!(safe("2026-01-30T12:00:00+01 ü"), "2026-01-30T12_x3A00_x3A00_x2B01_x20_xC3_xBC");
        assert_eq!((safe(".a"), safe("a_xh"), safe("_")), ("_x2Ea".into(), "a_x5Fxh".into(), "_".into()));
        let (long, longer) = (safe(&"a".repeat(129)), safe(&"a".repeat(130)));
        assert!(long != longer && long.len() == 128 && long.starts_with(&"a".repeat(93)), "{long}");
        assert_ne!(safe(&long), long, "the short form of a long name is no name's own");
        assert_eq!(ImageId::safe(""), None);
        let image = ImageId::safe("a b").unwrap();
        assert_eq!(image.of_ccd("S 4").as_str(), "a_x20b.S_x204");
        assert_eq!(ImageId::new(&"x".repeat(128)).unwrap().of_ccd("S21").as_str().len(), 128);
    }

    /// Short names of few letters, so that collisions would be found.
    fn names() -> impl Strategy<Value = String> {
        prop_oneof!["[_xh2F0 .a/]{1,7}", "[_xh5F20 ]{90,140}", "\\PC{1,40}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_two_names_become_one(names in prop::collection::vec(names(), 1..200)) {
            let mut known: BTreeMap<ImageId, String> = BTreeMap::new();
            for name in names {
                let safe = ImageId::safe(&name).unwrap();
                prop_assert_eq!(ImageId::new(safe.as_str()), Ok(safe.clone()));
                let before = known.insert(safe, name.clone());
                prop_assert!(before.as_ref().is_none_or(|before| *before == name), "{:?} {:?}", before, name);
            }
        }

        #[test]
        fn a_safe_name_stays_as_it_is(name in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}") {
            prop_assume!(!name.contains("_x"));
            prop_assert_eq!(ImageId::safe(&name).map(|id| id.to_string()), Some(name));
        }
    }
}
