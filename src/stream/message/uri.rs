//! Where a file lies: `file:///absolute/path` or `s3://bucket/key`, and nothing else.
//!
//! Stricter than the crate `url`, which repairs what it is given (`file:///a/../b` becomes `/b`): what is odd here
//! is refused, after percent-decoding, so that `%2e%2e` is no way out either.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{excerpt, percent};

/// A place that can be read from. [`FromStr`] and the constructors give only sound ones, and
/// `text.parse()` of what [`fmt::Display`] writes is the same place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uri {
    /// A file of this machine, or of a disk mounted on it: an absolute path without `.`, `..` or empty parts.
    File(PathBuf),
    /// An object of a store that speaks S3.
    S3 {
        /// By S3's rules for names of buckets.
        bucket: String,
        /// Decoded; its parts are as those of a path, 1 to 1024 bytes in all.
        key: String,
    },
}

/// Why a text is no place to read from. What was refused is not repeated where it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Nothing before `://`.
    #[error("is no URI: write file:///absolute/path or s3://bucket/key")]
    NoScheme,
    /// Neither `file` nor `s3`.
    #[error("scheme {scheme} is not allowed: use file:// or s3://")]
    Scheme {
        /// Scheme that was given.
        scheme: String,
    },
    /// A host before the path of a file.
    #[error("host {host} in a file:// URI is not allowed: write file:///absolute/path")]
    Host {
        /// Host that was given.
        host: String,
    },
    /// `user:password@` before the host or bucket.
    #[error("credentials in a URI are not allowed: give them to the daemon by its environment")]
    Credentials,
    /// `?` after the path.
    #[error("a query in a URI is not allowed: leave it out, or write %3F for a question mark in a name")]
    Query,
    /// `#` after the path.
    #[error("a fragment in a URI is not allowed: leave it out, or write %23 for a # in a name")]
    Fragment,
    /// `%` without two hexadecimal digits.
    #[error("% without two hexadecimal digits: write %25 for a percent sign in a name")]
    Escape,
    /// A path that does not begin at the root.
    #[error("path {path} is relative: write it from the root, file:///absolute/path")]
    Relative {
        /// Path that was given.
        path: String,
    },
    /// A part of the path by which it could leave its folder, or be written in two ways.
    #[error("part {part} of the path is not allowed: write the path without empty parts, . and ..")]
    Part {
        /// Part of the path that is refused.
        part: String,
    },
    /// A NUL or another control character, written plainly or percent-encoded.
    #[error("a control character in a path is not allowed: rename the file")]
    Control,
    /// Not a name that S3 would give a bucket.
    #[error("{bucket} is no bucket's name: use 3 to 63 of a-z 0-9 . - with a letter or digit at both ends")]
    Bucket {
        /// Name that was given.
        bucket: String,
    },
    /// An object's key that is not text.
    #[error("the object's key is not UTF-8: rename the object")]
    KeyNotText,
    /// An object's key longer than S3 allows.
    #[error("the object's key has {bytes} bytes: S3 allows 1024")]
    KeyTooLong {
        /// Length that was given, bytes.
        bytes: usize,
    },
}

impl UriError {
    /// Whether the place is understood but may not be read from; else the text is damaged.
    pub fn forbidden(&self) -> bool {
        match self {
            Self::Scheme { .. } | Self::Host { .. } | Self::Credentials | Self::Query | Self::Fragment => true,
            Self::Relative { .. } | Self::Part { .. } | Self::Control => true,
            Self::NoScheme | Self::Escape => false,
            Self::Bucket { .. } | Self::KeyNotText | Self::KeyTooLong { .. } => false,
        }
    }
}

impl Uri {
    /// The place of a file by its absolute path.
    ///
    /// # Errors
    /// [`UriError`] where the path is relative or has odd parts.
    pub fn file(path: &Path) -> Result<Self, UriError> {
        let shown = path.to_string_lossy();
        let below_root = shown.strip_prefix('/').ok_or_else(|| UriError::Relative { path: excerpt(&shown) })?;
        check_parts(below_root)?;
        Ok(Self::File(path.to_owned()))
    }

    /// The place of an object by its key, which is not percent-encoded here.
    ///
    /// # Errors
    /// [`UriError`] where the bucket's name or the key is not S3's or has odd parts.
    pub fn s3(bucket: &str, key: &str) -> Result<Self, UriError> {
        if !is_bucket(bucket) {
            return Err(UriError::Bucket { bucket: excerpt(bucket) });
        }
        if key.len() > 1024 {
            return Err(UriError::KeyTooLong { bytes: key.len() });
        }
        check_parts(key)?;
        Ok(Self::S3 { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// The last part of the path or key, where it is text: the file's name.
    pub fn file_name(&self) -> Option<&str> {
        match self {
            Self::File(path) => path.file_name()?.to_str(),
            Self::S3 { key, .. } => key.rsplit('/').next(),
        }
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once("://").ok_or(UriError::NoScheme)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        match scheme {
            "file" | "s3" if authority.contains('@') => return Err(UriError::Credentials),
            "file" if !authority.is_empty() => return Err(UriError::Host { host: excerpt(authority) }),
            "file" | "s3" => {}
            other => return Err(UriError::Scheme { scheme: excerpt(other) }),
        }
        match path.find(['?', '#']).map(|at| path.as_bytes()[at]) {
            Some(b'?') => return Err(UriError::Query),
            Some(_) => return Err(UriError::Fragment),
            None => {}
        }
        let path = percent::decode(path).ok_or(UriError::Escape)?;
        if scheme == "file" {
            return Self::file(Path::new(&OsString::from_vec(path)));
        }
        let path = String::from_utf8(path).map_err(|_| UriError::KeyNotText)?;
        Self::s3(authority, path.strip_prefix('/').unwrap_or_default())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file://{}", percent::encode(path.as_os_str().as_bytes())),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{}", percent::encode(key.as_bytes())),
        }
    }
}

/// Each part between slashes must name something; that keeps a path below whatever folder it begins with.
fn check_parts(path: &str) -> Result<(), UriError> {
    if path.chars().any(char::is_control) {
        return Err(UriError::Control);
    }
    match path.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some(part) => Err(UriError::Part { part: excerpt(part) }),
        None => Ok(()),
    }
}

fn is_bucket(name: &str) -> bool {
    let end = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(b))
        && end(bytes.first())
        && end(bytes.last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> UriError {
        text.parse::<Uri>().expect_err(text)
    }

    #[test]
    fn the_two_schemes_are_read() {
        assert_eq!("file:///night/a%20b.fits".parse(), Ok(Uri::File("/night/a b.fits".into())));
        let key = "2026/day=1/frame+1.fits".to_owned();
        assert_eq!("s3://night-1/2026/day=1/frame+1.fits".parse(), Ok(Uri::S3 { bucket: "night-1".into(), key }));
        let name = |uri: &str| uri.parse::<Uri>().unwrap().file_name().map(str::to_owned);
        assert_eq!(name("s3://abc/d/e.fits").as_deref(), Some("e.fits"));
        assert_eq!(name("file:///d/e.fits").as_deref(), Some("e.fits"));
        assert_eq!(name("file:///d/%FF.fits"), None);
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        for scheme in ["http", "https", "ftp", "gs", "FILE", "S3", "s3a", "javascript", ""] {
            let refused = refusal(&format!("{scheme}://host/path?password=hush"));
            assert_eq!(refused, UriError::Scheme { scheme: excerpt(scheme) });
            assert!(refused.forbidden());
        }
        for text in ["", "/night/a.fits", "file:/night/a.fits", "file", "a b"] {
            assert_eq!(refusal(text), UriError::NoScheme, "{text}");
        }
    }

    #[test]
    fn hosts_and_credentials_are_refused_and_no_secret_is_repeated() {
        for (text, host) in [("file://host/a", "host"), ("file://localhost/a", "localhost"), ("file://../a", "..")] {
            assert_eq!(refusal(text), UriError::Host { host: excerpt(host) });
        }
        for text in ["file://me:hush@host/a", "s3://me:hush@bucket/key", "s3://hush@bucket"] {
            assert_eq!(refusal(text), UriError::Credentials, "{text}");
        }
        for text in ["s3://abc/key?X-Amz-Signature=hush", "file:///a?hush", "s3://abc?hush/k", "file:///a?hush#b"] {
            assert_eq!(refusal(text), UriError::Query, "{text}");
            assert!(!refusal(text).to_string().contains("hush"));
        }
        assert_eq!(refusal("file:///a#b?c"), UriError::Fragment);
    }

    #[test]
    fn there_is_no_way_out_of_a_folder() {
        for (path, part) in [
            ("a/../b", ".."),
            ("..", ".."),
            ("a/..", ".."),
            ("%2e%2e/b", ".."),
            ("a/.%2E/b", ".."),
            ("a%2f..%2fb", ".."),
            ("a/./b", "."),
            ("a//b", ""),
            ("", ""),
            ("a/", ""),
        ] {
            for place in ["file:///", "s3://abc/"] {
                let refused = refusal(&format!("{place}{path}"));
                assert_eq!(refused, UriError::Part { part: excerpt(part) }, "{place}{path}");
                assert!(refused.forbidden());
            }
        }
        assert_eq!(refusal("s3://abc"), UriError::Part { part: excerpt("") });
        assert_eq!(refusal("file://"), UriError::Relative { path: excerpt("") });
        assert_eq!(Uri::file(Path::new("a/b")), Err(UriError::Relative { path: excerpt("a/b") }));
        assert_eq!("file:///a/..b/...".parse(), Ok(Uri::File("/a/..b/...".into())), "odd, but names");
    }

    #[test]
    fn control_characters_and_broken_escapes_are_refused() {
        for path in ["%00", "a%00b", "a\0b", "a%0ab", "a\nb", "a%7fb", "%C2%85"] {
            for place in ["file:///", "s3://abc/"] {
                assert_eq!(refusal(&format!("{place}{path}")), UriError::Control, "{path:?}");
            }
        }
        for path in ["%", "a%", "%4", "%zz", "%+1", "%é0"] {
            assert_eq!(refusal(&format!("file:///{path}")), UriError::Escape, "{path}");
        }
    }

    #[test]
    fn buckets_and_keys_are_as_s3_has_them() {
        let long = "b".repeat(64);
        for bucket in ["ab", "Night", "-abc", "abc-", ".abc", "a..b", "192.168.0.1", "a_b", "%61bc", "a:1", "", &long] {
            let bad = UriError::Bucket { bucket: excerpt(bucket) };
            assert_eq!(refusal(&format!("s3://{bucket}/key")), bad);
        }
        assert_eq!(refusal("s3://abc/%FF"), UriError::KeyNotText);
        assert_eq!(refusal(&format!("s3://abc/{}", "k".repeat(1025))), UriError::KeyTooLong { bytes: 1025 });
        assert!(format!("s3://abc/{}", "k".repeat(1024)).parse::<Uri>().is_ok());
    }

    #[test]
    fn a_refusal_is_one_short_line() {
        for text in [format!("{}://", "x\n".repeat(9999)), format!("file://{}/", "x\n".repeat(9999))] {
            let said = refusal(&text).to_string();
            assert!(said.len() < 300 && !said.contains('\n'), "{said}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parts in proptest::collection::vec("[^/\\p{Cc}]{1,20}", 1..6)) {
            prop_assume!(parts.iter().all(|p| p != "." && p != ".."));
            let path = parts.join("/");
            for uri in [Uri::file(Path::new(&format!("/{path}"))).unwrap(), Uri::s3("abc", &path).unwrap()] {
                prop_assert!(uri.to_string().is_ascii());
                prop_assert_eq!(uri.to_string().parse(), Ok(uri));
            }
        }

        #[test]
        fn names_need_not_be_text(name in proptest::collection::vec(0x80u8.., 1..20)) {
            // What is not UTF-8 is still a path; what happens to be a C1 control character is refused.
            if let Ok(uri) = Uri::file(Path::new(&OsString::from_vec([b"/", &name[..]].concat()))) {
                prop_assert_eq!(uri.to_string().parse(), Ok(uri));
            }
        }

        #[test]
        fn whatever_is_read_is_sound(text in "(file|s3)://[a-c./%20e]{0,40}") {
            if let Ok(uri) = text.parse::<Uri>() {
                prop_assert!(!uri.to_string().contains("/../") && !uri.to_string().ends_with('/'));
                prop_assert_eq!(uri.to_string().parse(), Ok(uri));
            }
        }
    }
}
