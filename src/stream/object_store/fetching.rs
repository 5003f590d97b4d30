//! Five files on their way.

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
    bands: [(Uri, Task); 5],
}

type Task = JoinHandle<Result<Vec<u8>, ObjectStoreError>>;

impl Fetching {
    pub(super) fn start(runtime: &Handle, reach: &Arc<Backends>, uris: [Uri; 5]) -> Self {
        let start = |uri: Uri| {
            let (reach, wanted) = (reach.clone(), uri.clone());
            let task = runtime.spawn(async move { reach.read_frame(&wanted).await });
            (uri, task)
        };
        Self { runtime: runtime.clone(), bands: uris.map(start) }
    }

    /// Waits for all five, in band order; not in a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// The first fault in band order, with the band's index; the others are cancelled.
    pub fn wait(mut self) -> Result<[Vec<u8>; 5], (usize, ObjectStoreError)> {
        let mut files: [Vec<u8>; 5] = Default::default();
        for (band, (uri, task)) in self.bands.iter_mut().enumerate() {
            let done = self.runtime.block_on(task);
            files[band] =
                done.unwrap_or_else(|_| Err(ObjectStoreError::Stopped { uri: uri.clone() })).map_err(|e| (band, e))?;
        }
        Ok(files)
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.bands.iter().for_each(|(_, task)| task.abort());
    }
}
