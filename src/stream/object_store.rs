//! Bytes behind URIs: fetches the files of a frame for the daemon, waits for those that are still to come, and
//! keeps large masks as claim checks. From where bytes may come is configured; all else is refused unasked.
//!
//! ```no_run
//! use twinpeak_stream::message::Uri;
//! use twinpeak_stream::object_store::{ObjectStore, Settings};
//!
//! let settings = Settings { file_roots: vec!["/data/frames".into()], ..Settings::default() };
//! let remote = ObjectStore::new(&settings, 256 << 20)?;
//! let band = |b: &str| Uri::File(format!("/data/frames/frame-{b}-1-2-3.fits").into());
//! let fetching = remote.fetch(["u", "g", "r", "i", "z"].map(band)); // goes on while we do something else
//! let files: Vec<Vec<u8>> = fetching.wait().map_err(|(_index, error)| error)?;
//! # Ok::<(), twinpeak_stream::object_store::ObjectStoreError>(())
//! ```
//!
//! The one place beside the metrics' server where something is asynchronous; nobody outside notices.

mod answer;
mod backends;
mod bucket;
mod credentials;
mod error;
mod existence_poll;
mod fetching;
mod folder;
mod objects;
mod roots;
mod settings;

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use crate::message::Uri;

pub use error::{DenyReason, ObjectStoreError};
pub use existence_poll::ExistencePoll;
pub use fetching::Fetching;
pub use settings::Settings;

use backends::Backends;

/// Threads that talk to the store.
const WORKERS: usize = 2;
/// Threads that read and write files: as many can hang on a dead disk before others have to wait.
const DISK_THREADS: usize = 64;

/// A claim check that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// URI of the object.
    pub uri: String,
    /// Of its bytes, 64 lower-case hexadecimal digits: also its name.
    pub sha256: String,
    /// Whether this call made it; in doubt (an answer that was lost) `false`.
    pub created: bool,
}

/// All places that may be read from and written to. Give it to threads by `Arc`.
pub struct ObjectStore {
    reach: Arc<Backends>,
    runtime: Option<Runtime>,
}

impl ObjectStore {
    /// Resolves the roots, finds the credentials, makes the folder for claim checks. Asks no store yet.
    /// Files over `max_file_bytes` are refused; claim checks too.
    ///
    /// # Errors
    /// [`ObjectStoreError`] naming the setting that cannot be used.
    pub fn new(settings: &Settings, max_file_bytes: u64) -> Result<Self, ObjectStoreError> {
        settings.check()?;
        let reach = Arc::new(Backends::new(settings, max_file_bytes)?);
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(DISK_THREADS)
            .thread_name("remote")
            .enable_all()
            .build()
            .map_err(ObjectStoreError::Start)?;
        Ok(Self { reach, runtime: Some(runtime) })
    }

    /// Starts to fetch files side by side and returns at once.
    pub fn fetch(&self, uris: impl IntoIterator<Item = Uri>) -> Fetching {
        Fetching::start(self.runtime().handle(), &self.reach, uris.into_iter().collect())
    }

    /// Starts to look which files are there and returns at once. Looks at least once, until there are `enough`
    /// or the deadline has passed, and at most `fetch_timeout_s` beyond that.
    pub fn look(
        &self,
        uris: impl IntoIterator<Item = Uri>,
        enough: impl Fn(&[bool]) -> bool + Send + 'static,
        deadline: Instant,
    ) -> ExistencePoll {
        ExistencePoll::start(self.runtime().handle(), &self.reach, uris.into_iter().collect(), enough, deadline)
    }

    /// Keeps bytes below `remote.objects` under a name made of their SHA-256,
    /// `<first two digits>/<all digits>.<ending>`, unless they are there already. They outlast a power cut when
    /// this returns. `ending` is letters, digits and single dots.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; then nothing half-written is seen.
    ///
    /// # Panics
    /// On another `ending`.
    pub fn put(&self, bytes: &[u8], ending: &str) -> Result<Stored, ObjectStoreError> {
        assert!(objects::is_ending(ending), "{ending:?} is no ending of a file's name");
        let sha256 = objects::sha256(bytes);
        let uri = self.reach.place(&sha256, ending)?;
        let created = self.runtime().block_on(self.reach.put(&uri, bytes))?;
        Ok(Stored { uri: uri.to_string(), sha256, created })
    }

    /// Reads a claim check, or a file from where frames may come.
    ///
    /// # Errors
    /// [`ObjectStoreError`]
    pub fn get(&self, uri: &Uri) -> Result<Vec<u8>, ObjectStoreError> {
        self.runtime().block_on(self.reach.get(uri))
    }

    /// Keys of the files right in a folder of a bucket from where frames may come; the bucket itself where `folder` is
    /// empty, else a key's beginning that ends with a slash.
    ///
    /// # Errors
    /// [`ObjectStoreError`]
    pub fn list(&self, bucket: &str, folder: &str) -> Result<Vec<String>, ObjectStoreError> {
        let folder_uri = Uri::S3 { bucket: bucket.to_owned(), key: folder.to_owned() };
        self.runtime().block_on(self.reach.list(&folder_uri, bucket, folder))
    }

    /// Removes a claim check, and nothing but a claim check, for good; it need not be there.
    ///
    /// # Errors
    /// [`ObjectStoreError`]
    pub fn remove(&self, uri: &Uri) -> Result<(), ObjectStoreError> {
        self.runtime().block_on(self.reach.remove(uri))
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until the drop")
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        // Without waiting for threads that hang on a dead disk.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
