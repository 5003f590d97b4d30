//! What is within reach: which places may be read, and the one place where claim checks are kept. Every access
//! goes through here, and is bounded in time.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::bucket::Bucket;
use super::objects::Objects;
use super::roots::Roots;
use super::{DenyReason, ObjectStoreError, Settings, folder};
use crate::message::Uri;

/// Places, and the limits for all of them.
pub(super) struct Backends {
    frames: Allowed,
    claims: Allowed,
    objects: Objects,
    buckets: BTreeMap<String, Bucket>,
    fetch_timeout_s: NonZeroU32,
    max_file_bytes: u64,
}

/// Places that may be read.
struct Allowed {
    roots: Arc<Roots>,
    buckets: Vec<String>,
}

impl Backends {
    pub fn new(settings: &Settings, max_file_bytes: u64) -> Result<Self, ObjectStoreError> {
        let objects = Objects::parse(&settings.objects)?;
        let (folders, buckets) = match &objects {
            Objects::None => (vec![], vec![]),
            Objects::Folder(folder) => {
                folder::prepare(folder)?;
                (vec![folder.clone()], vec![])
            }
            Objects::Bucket { bucket, .. } => (vec![], vec![bucket.clone()]),
        };
        let claims = Allowed { roots: Arc::new(Roots::new(&folders, "objects")?), buckets };
        let frames = Allowed {
            roots: Arc::new(Roots::new(&settings.file_roots, "file_roots")?),
            buckets: settings.s3_buckets.clone(),
        };
        let names: Vec<&str> = frames.buckets.iter().chain(&claims.buckets).map(String::as_str).collect();
        Ok(Self {
            buckets: Bucket::all(&names, settings)?,
            frames,
            claims,
            objects,
            fetch_timeout_s: settings.fetch_timeout_s,
            max_file_bytes,
        })
    }

    /// A file from where frames may come.
    pub async fn read_frame(&self, uri: &Uri) -> Result<Vec<u8>, ObjectStoreError> {
        self.read(uri, &self.frames).await
    }

    /// A claim check, or a file from where frames may come.
    pub async fn get(&self, uri: &Uri) -> Result<Vec<u8>, ObjectStoreError> {
        let allowed = if self.objects.holds(uri) { &self.claims } else { &self.frames };
        self.read(uri, allowed).await
    }

    async fn read(&self, uri: &Uri, allowed: &Allowed) -> Result<Vec<u8>, ObjectStoreError> {
        let limit = self.max_file_bytes;
        match uri {
            Uri::File(path) => {
                let (roots, path) = (allowed.roots.clone(), path.clone());
                self.on_disk(uri, move || roots.read(&path, limit)).await
            }
            Uri::S3 { bucket, key } => {
                let bucket = self.bucket(uri, bucket, allowed)?;
                self.in_time(uri, bucket.read(uri, key, limit)).await
            }
        }
    }

    /// Notes which frames' files are there; asks only for those that were not yet `there`, side by side.
    pub async fn look(self: &Arc<Self>, uris: &[Uri], there: &mut [bool]) -> Result<(), ObjectStoreError> {
        let mut asked = JoinSet::new();
        for (index, uri) in uris.iter().enumerate().filter(|(index, _)| !there[*index]) {
            let (reach, uri) = (self.clone(), uri.clone());
            asked.spawn(async move { (index, reach.is_there(&uri).await) });
        }
        let mut fault: Option<(usize, ObjectStoreError)> = None;
        while let Some(answer) = asked.join_next().await {
            // One that did not end has told its fault to nobody: as if it had not come.
            let Ok((index, found)) = answer else { continue };
            match found {
                Ok(found) => there[index] = found,
                Err(error) if fault.as_ref().is_none_or(|(first, _)| index < *first) => fault = Some((index, error)),
                Err(_) => {}
            }
        }
        fault.map_or(Ok(()), |(_, error)| Err(error))
    }

    async fn is_there(&self, uri: &Uri) -> Result<bool, ObjectStoreError> {
        match uri {
            Uri::File(path) => {
                let (roots, path) = (self.frames.roots.clone(), path.clone());
                match self.on_disk(uri, move || roots.open(&path)).await {
                    Err(ObjectStoreError::NotFound { .. }) => Ok(false),
                    opened => opened.map(|_| true),
                }
            }
            Uri::S3 { bucket, key } => {
                let bucket = self.bucket(uri, bucket, &self.frames)?;
                self.in_time(uri, async { Ok(bucket.size(uri, key).await?.is_some()) }).await
            }
        }
    }

    /// Keys of the frames' files right in a bucket's folder. `uri` names it in errors.
    pub async fn list(&self, uri: &Uri, bucket: &str, folder: &str) -> Result<Vec<String>, ObjectStoreError> {
        let bucket = self.bucket(uri, bucket, &self.frames)?;
        self.in_time(uri, bucket.list(uri, folder)).await
    }

    /// Where a claim check lies.
    pub fn place(&self, sha256: &str, ending: &str) -> Result<Uri, ObjectStoreError> {
        self.objects.place(sha256, ending).ok_or(ObjectStoreError::NoObjects)
    }

    /// Stores a claim check at its place; whether this call made it.
    pub async fn put(&self, uri: &Uri, bytes: &[u8]) -> Result<bool, ObjectStoreError> {
        let bytes = bytes.to_vec();
        match (&self.objects, uri) {
            (Objects::Folder(folder), Uri::File(path)) => {
                let (folder, path) = (folder.clone(), path.clone());
                self.on_disk(uri, move || folder::put(&folder, &path, &bytes)).await
            }
            (Objects::Bucket { .. }, Uri::S3 { bucket, key }) => {
                let bucket = self.bucket(uri, bucket, &self.claims)?;
                self.in_time(uri, bucket.put(uri, key, bytes)).await
            }
            _ => Err(ObjectStoreError::NoObjects),
        }
    }

    /// Removes a claim check.
    pub async fn remove(&self, uri: &Uri) -> Result<(), ObjectStoreError> {
        match (&self.objects, uri) {
            _ if !self.objects.holds(uri) => {
                Err(ObjectStoreError::Forbidden { uri: uri.clone(), ban: DenyReason::NotOurs })
            }
            (Objects::Folder(folder), Uri::File(path)) => {
                let (folder, path) = (folder.clone(), path.clone());
                self.on_disk(uri, move || folder::remove(&folder, &path)).await
            }
            (Objects::Bucket { .. }, Uri::S3 { bucket, key }) => {
                let bucket = self.bucket(uri, bucket, &self.claims)?;
                self.in_time(uri, bucket.remove(uri, key)).await
            }
            _ => Err(ObjectStoreError::NoObjects),
        }
    }

    fn bucket(&self, uri: &Uri, name: &str, allowed: &Allowed) -> Result<&Bucket, ObjectStoreError> {
        let known = allowed.buckets.iter().any(|bucket| bucket == name).then(|| self.buckets.get(name)).flatten();
        known.ok_or_else(|| ObjectStoreError::Forbidden { uri: uri.clone(), ban: DenyReason::ForeignBucket })
    }

    /// Work on a disk, by a thread that may hang there for as long as it likes: nobody waits longer than the limit.
    async fn on_disk<T: Send + 'static>(
        &self,
        uri: &Uri,
        work: impl FnOnce() -> Result<T, ObjectStoreError> + Send + 'static,
    ) -> Result<T, ObjectStoreError> {
        let (answer, answered) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            // Nobody waits any more: cancelled, or too late.
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
        });
        let stopped = || ObjectStoreError::Stopped { uri: uri.clone() };
        self.in_time(uri, async { answered.await.unwrap_or_else(|_| Err(stopped())) }).await
    }

    async fn in_time<T>(
        &self,
        uri: &Uri,
        work: impl Future<Output = Result<T, ObjectStoreError>>,
    ) -> Result<T, ObjectStoreError> {
        let after_s = self.fetch_timeout_s.get();
        let late = |_| Err(ObjectStoreError::Timeout { uri: uri.clone(), key: "fetch_timeout_s", after_s });
        timeout(Duration::from_secs(after_s.into()), work).await.unwrap_or_else(late)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn nobody_waits_for_a_dead_disk() {
        let fetch_timeout_s = NonZeroU32::MIN;
        let reach = Backends::new(&Settings { fetch_timeout_s, ..Settings::default() }, 1).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().max_blocking_threads(1).enable_all().build().unwrap();
        let (revive, dead) = mpsc::channel::<()>();
        let uri = Uri::File("/mnt/f".into());
        let hanging = runtime.block_on(reach.on_disk(&uri, move || Ok(dead.recv().is_ok())));
        assert!(matches!(hanging, Err(ObjectStoreError::Timeout { after_s: 1, .. })), "{hanging:?}");
        // With no thread left, the next waits its turn, in vain, and is not done afterwards.
        let (ran, reported) = mpsc::channel();
        let next = runtime.block_on(reach.on_disk(&uri, move || Ok(ran.send(()).is_ok())));
        assert!(matches!(next, Err(ObjectStoreError::Timeout { .. })), "{next:?}");
        revive.send(()).unwrap();
        assert!(reported.recv().is_err());
    }

    #[test]
    fn nothing_is_kept_without_a_place() {
        let reach = Backends::new(&Settings::default(), 1).unwrap();
        assert!(matches!(reach.place(&"0".repeat(64), "fits"), Err(ObjectStoreError::NoObjects)));
    }
}
