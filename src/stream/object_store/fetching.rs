//! Files on their way.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::ObjectStoreError;
use super::backends::Backends;
use crate::message::Uri;

/// Files that are being fetched, side by side. Dropping it cancels what is not done.
#[must_use = "dropping it cancels"]
pub struct Fetching {
    runtime: Handle,
    files: Vec<(Uri, Task)>,
}

type Task = JoinHandle<Result<Vec<u8>, ObjectStoreError>>;

impl Fetching {
    pub(super) fn start(runtime: &Handle, reach: &Arc<Backends>, uris: Vec<Uri>) -> Self {
        let start = |uri: Uri| {
            let (reach, wanted) = (reach.clone(), uri.clone());
            let task = runtime.spawn(async move { reach.read_frame(&wanted).await });
            (uri, task)
        };
        Self { runtime: runtime.clone(), files: uris.into_iter().map(start).collect() }
    }

    /// Waits for all, in the order in which they were asked for; not in a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// The first fault in that order, with the file's index; the others are cancelled.
    pub fn wait(mut self) -> Result<Vec<Vec<u8>>, (usize, ObjectStoreError)> {
        let mut all = Vec::with_capacity(self.files.len());
        for (index, (uri, task)) in self.files.iter_mut().enumerate() {
            let done = self.runtime.block_on(task);
            all.push(
                done.unwrap_or_else(|_| Err(ObjectStoreError::Stopped { uri: uri.clone() })).map_err(|e| (index, e))?,
            );
        }
        Ok(all)
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.files.iter().for_each(|(_, task)| task.abort());
    }
}
