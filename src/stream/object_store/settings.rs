//! `[remote]` of the configuration.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::ObjectStoreError;
use super::objects::Objects;

/// Which places may be read from, where large objects are kept, and how long that may take. Nothing is allowed
/// that is not named here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `file://` is read below these folders alone, after resolving links. Absolute.
    pub file_roots: Vec<PathBuf>,
    /// `s3://` is read from these buckets alone.
    pub s3_buckets: Vec<String>,
    /// A store that speaks S3, e.g. MinIO, by its URL without a bucket; empty: AWS's own.
    pub s3_endpoint: String,
    /// Region of the buckets; stores other than AWS mostly take any.
    pub s3_region: String,
    /// Whether an endpoint without TLS is allowed.
    pub s3_allow_http: bool,
    /// A file with `aws_access_key_id = ...` and `aws_secret_access_key = ...`, as `~/.aws/credentials` (section
    /// `[default]`); empty: the usual `AWS_*` variables, on AWS's own machines also their role. Read at start.
    pub s3_credentials_file: PathBuf,
    /// Most seconds of one request to the store.
    pub request_timeout_s: NonZeroU32,
    /// Most seconds of one file, tries included.
    pub fetch_timeout_s: NonZeroU32,
    /// How often a request is tried again after a fault that may pass.
    pub retries: u32,
    /// Where large masks and messages are kept: `file:///folder` or `s3://bucket/prefix`; empty: nowhere.
    pub objects: String,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = |s| NonZeroU32::new(s).expect("a default is not zero");
        Self {
            file_roots: Vec::new(),
            s3_buckets: Vec::new(),
            s3_endpoint: String::new(),
            s3_region: "us-east-1".into(),
            s3_allow_http: false,
            s3_credentials_file: PathBuf::new(),
            request_timeout_s: seconds(30),
            fetch_timeout_s: seconds(120),
            retries: 3,
            objects: String::new(),
        }
    }
}

impl Settings {
    /// Finds what is wrong in the settings themselves; looks at no disk and asks no store.
    ///
    /// # Errors
    /// [`ObjectStoreError::Setting`]: the first fault.
    pub fn check(&self) -> Result<(), ObjectStoreError> {
        let refuse = |key, problem: String| Err(ObjectStoreError::Setting { key, problem });
        if let Some(root) = self.file_roots.iter().find(|root| !root.is_absolute()) {
            return refuse("file_roots", format!("{root:?} is relative: write it from the root"));
        }
        if let Some(bucket) = self.s3_buckets.iter().find(|bucket| !is_bucket(bucket)) {
            return refuse("s3_buckets", format!("{bucket:?} is no bucket's name: only a-z 0-9 . - stand in one"));
        }
        Objects::parse(&self.objects)?;
        self.check_endpoint().or_else(|problem| refuse("s3_endpoint", problem.into()))
    }

    /// The URL is not repeated: it may hold a password.
    fn check_endpoint(&self) -> Result<(), &'static str> {
        if self.s3_endpoint.is_empty() {
            return Ok(());
        }
        let url =
            Url::parse(&self.s3_endpoint).map_err(|_| "is no URL: write https://host:port, or nothing for AWS")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds credentials: give them in a file or by AWS_* variables");
        }
        match url.scheme() {
            _ if !url.has_host() => Err("names no host: write https://host:port"),
            _ if url.query().is_some() || url.fragment().is_some() => Err("has ? or #: write https://host:port"),
            "https" => Ok(()),
            "http" if self.s3_allow_http => Ok(()),
            "http" => Err("is without TLS: use https://, or set remote.s3_allow_http = true"),
            _ => Err("is neither https:// nor http://"),
        }
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s.get().into())
    }

    pub(super) fn fetch_timeout(&self) -> Duration {
        Duration::from_secs(self.fetch_timeout_s.get().into())
    }
}

/// What may stand in a URL's path as it is; S3 itself knows the rest of its rules.
fn is_bucket(name: &str) -> bool {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'.' || c == b'-';
    (3..=63).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let settings: Settings = toml::from_str(text).unwrap();
        let message = settings.check().unwrap_err().to_string();
        assert!(!message.contains('\n') && !message.contains("s3cr3t"), "{message}");
        message
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        let settings: Settings = toml::from_str("").unwrap();
        assert_eq!(settings, Settings::default());
        assert!(settings.file_roots.is_empty() && settings.s3_buckets.is_empty() && settings.objects.is_empty());
        settings.check().unwrap();
    }

    #[test]
    fn faults_are_refused_by_their_key() {
        for (text, key) in [
            ("file_roots = [\"data\"]", "file_roots"),
            ("s3_buckets = [\"a/b\"]", "s3_buckets"),
            ("s3_buckets = [\"..\"]", "s3_buckets"),
            ("s3_endpoint = \"minio:9000\"", "s3_endpoint"),
            ("s3_endpoint = \"http://minio:9000\"", "s3_endpoint"),
            ("s3_endpoint = \"https://me:s3cr3t@minio\"", "s3_endpoint"),
            ("s3_endpoint = \"https://minio/?token=s3cr3t\"", "s3_endpoint"),
            ("objects = \"/var/objects\"", "objects"),
            ("objects = \"s3://bucket/\"", "objects"),
        ] {
            assert!(refusal(text).starts_with(&format!("remote.{key}: ")), "{text}: {}", refusal(text));
        }
        for text in ["request_timeout_s = 0", "retries = -1", "s3_secret = \"s3cr3t\""] {
            assert!(toml::from_str::<Settings>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_plain_endpoint_is_taken_where_it_is_allowed() {
        let text = "s3_endpoint = \"http://127.0.0.1:9000\"\ns3_allow_http = true\nobjects = \"s3://masks/v1\"";
        toml::from_str::<Settings>(text).unwrap().check().unwrap();
    }
}
