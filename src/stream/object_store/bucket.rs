//! One bucket of a store that speaks S3. The client tries again by itself, with growing pauses, after 5xx, 429,
//! timeouts and broken connections; after a refusal never.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::client::{ClientConfigKey, HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig,
};

use super::answer::Answer;
use super::credentials::Credentials;
use super::{DenyReason, ObjectStoreError, Settings};
use crate::message::Uri;

/// Memory set aside on the word of a header; the rest comes as bytes do.
const TRUSTED_BYTES: u64 = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A bucket and its connections.
#[derive(Debug)]
pub(super) struct Bucket {
    store: AmazonS3,
    request_timeout_s: NonZeroU32,
}

impl Bucket {
    /// Each by its name; no request is made yet.
    ///
    /// # Errors
    /// [`ObjectStoreError::Setting`] where credentials are missing or TLS cannot be set up.
    pub fn all(names: &[&str], settings: &Settings) -> Result<BTreeMap<String, Self>, ObjectStoreError> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let credentials = Credentials::find(settings)?;
        let open = |name: &&str| Ok(((*name).to_owned(), Self::open(name, settings, &credentials)?));
        names.iter().map(open).collect()
    }

    fn open(name: &str, settings: &Settings, credentials: &Credentials) -> Result<Self, ObjectStoreError> {
        let builder = credentials
            .give(AmazonS3Builder::new())
            .with_bucket_name(name)
            .with_region(&settings.s3_region)
            .with_allow_http(settings.s3_allow_http)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_disable_bulk_delete(true)
            .with_http_connector(NoRedirects { request_timeout: settings.request_timeout() })
            .with_retry(RetryConfig {
                backoff: BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 },
                max_retries: settings.retries as usize,
                retry_timeout: settings.fetch_timeout(),
            });
        let builder = match settings.s3_endpoint.as_str() {
            "" => builder,
            endpoint => builder.with_endpoint(endpoint),
        };
        let problem = |e: object_store::Error| ObjectStoreError::Setting { key: "s3_buckets", problem: e.to_string() };
        Ok(Self { store: builder.build().map_err(problem)?, request_timeout_s: settings.request_timeout_s })
    }

    /// Reads an object of at most `limit` bytes whole.
    ///
    /// # Errors
    /// [`ObjectStoreError`]
    pub async fn read(&self, uri: &Uri, key: &str, limit: u64) -> Result<Vec<u8>, ObjectStoreError> {
        let too_large = |bytes| ObjectStoreError::TooLarge { uri: uri.clone(), bytes, limit };
        let object = self.store.get_opts(&path(uri, key)?, GetOptions::default()).await;
        let object = object.map_err(|e| self.failed(uri, &e))?;
        let size = object.meta.size;
        if size > limit {
            return Err(too_large(size));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(TRUSTED_BYTES)).unwrap_or_default());
        let mut body = object.into_stream();
        while let Some(chunk) = poll_fn(|context| body.as_mut().poll_next(context)).await {
            let chunk = chunk.map_err(|e| self.failed(uri, &e))?;
            let read = bytes.len() as u64 + chunk.len() as u64;
            if read > limit {
                return Err(too_large(read));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// An object's size in bytes; `None` where there is none.
    ///
    /// # Errors
    /// [`ObjectStoreError`]
    pub async fn size(&self, uri: &Uri, key: &str) -> Result<Option<u64>, ObjectStoreError> {
        match self.store.head(&path(uri, key)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(uri, &e)),
        }
    }

    /// Keys of the objects right in a folder: an empty one, or one that ends with a slash.
    ///
    /// # Errors
    /// [`ObjectStoreError`]
    pub async fn list(&self, uri: &Uri, folder: &str) -> Result<Vec<String>, ObjectStoreError> {
        let folder = folder.trim_end_matches('/');
        let prefix = if folder.is_empty() { None } else { Some(path(uri, folder)?) };
        let listed = self.store.list_with_delimiter(prefix.as_ref()).await.map_err(|e| self.failed(uri, &e))?;
        Ok(listed.objects.into_iter().map(|object| object.location.to_string()).collect())
    }

    /// Stores an object if it is not there already; whether this call surely made it. Of several that try at once
    /// only one did, where the store knows conditions (AWS, MinIO, Ceph).
    ///
    /// # Errors
    /// [`ObjectStoreError`]
    pub async fn put(&self, uri: &Uri, key: &str, bytes: Vec<u8>) -> Result<bool, ObjectStoreError> {
        let (path, size) = (path(uri, key)?, bytes.len() as u64);
        let payload = PutPayload::from(bytes);
        let Err(error) = self.store.put_opts(&path, payload.clone(), PutMode::Create.into()).await else {
            return Ok(true);
        };
        let failed = || Err(self.failed(uri, &error));
        let answer = Answer::of(&error);
        // There already, being made, perhaps stored, or a store that knows no conditions: look.
        if !matches!(answer, Answer::Status(304 | 409 | 412 | 501, _) | Answer::Timeout) {
            return failed();
        }
        let there = self.size(uri, key).await?;
        if there == Some(size) {
            return Ok(false);
        }
        if matches!(answer, Answer::Status(409, _)) {
            return failed();
        }
        self.store.put(&path, payload).await.map_err(|e| self.failed(uri, &e))?;
        // One that was there, if damaged, was another's.
        Ok(there.is_none() && answer != Answer::Timeout)
    }

    /// Removes an object; it need not be there.
    ///
    /// # Errors
    /// [`ObjectStoreError`]
    pub async fn remove(&self, uri: &Uri, key: &str) -> Result<(), ObjectStoreError> {
        match self.store.delete(&path(uri, key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed(uri, &e)),
        }
    }

    fn failed(&self, uri: &Uri, error: &object_store::Error) -> ObjectStoreError {
        let uri = uri.clone();
        let after_s = self.request_timeout_s.get();
        match Answer::of(error) {
            Answer::Timeout => ObjectStoreError::Timeout { uri, key: "request_timeout_s", after_s },
            Answer::Broken(problem) => ObjectStoreError::Unreachable { uri, problem },
            Answer::Status(404, _) => ObjectStoreError::NotFound { uri },
            Answer::Status(status @ (408 | 409 | 429 | 500..), code) => ObjectStoreError::Unreachable {
                uri,
                problem: format!("it answers {status} {code}").trim_end().to_owned(),
            },
            Answer::Status(status, code) => ObjectStoreError::Refused { uri, status, code },
        }
    }
}

/// The client's own form of a key; it would repair an odd one into another's.
fn path(uri: &Uri, key: &str) -> Result<Path, ObjectStoreError> {
    let path = Path::parse(key).ok().filter(|path| !key.is_empty() && path.as_ref() == key);
    path.ok_or_else(|| ObjectStoreError::Forbidden { uri: uri.clone(), ban: DenyReason::OddKey })
}

/// Connects to the endpoint and to nothing that the endpoint points to.
#[derive(Debug)]
struct NoRedirects {
    request_timeout: Duration,
}

impl HttpConnector for NoRedirects {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|value| value == "true");
        crate::tls::choose_provider();
        let client = reqwest::Client::builder()
            .user_agent(concat!("twinpeak/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(!allow_http)
            .connect_timeout(CONNECT_TIMEOUT.min(self.request_timeout))
            .timeout(self.request_timeout)
            // Unpacked bytes would not be as many as the header says.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .build();
        let failed = |e| object_store::Error::Generic { store: "S3", source: Box::new(e) };
        Ok(HttpClient::new(client.map_err(failed)?))
    }
}
