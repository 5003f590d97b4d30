//! Five files that are still to come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::ObjectStoreError;
use super::backends::Backends;
use crate::message::Uri;

/// Pauses between two looks grow from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Files that are looked for, again and again. Dropping it ends that.
#[must_use = "dropping it ends the search"]
pub struct ExistencePoll {
    runtime: Handle,
    uris: [Uri; 5],
    task: JoinHandle<Result<[bool; 5], ObjectStoreError>>,
}

impl ExistencePoll {
    pub(super) fn start(
        runtime: &Handle,
        reach: &Arc<Backends>,
        uris: [Uri; 5],
        enough: impl Fn(&[bool; 5]) -> bool + Send + 'static,
        deadline: Instant,
    ) -> Self {
        let (reach, wanted) = (reach.clone(), uris.clone());
        let task = runtime.spawn(async move {
            let (mut there, mut pause) = ([false; 5], FIRST_PAUSE);
            loop {
                there = reach.look(&wanted, there).await?;
                let left = deadline.saturating_duration_since(Instant::now());
                if enough(&there) || left.is_zero() {
                    return Ok(there);
                }
                tokio::time::sleep(pause.min(left)).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        });
        Self { runtime: runtime.clone(), uris, task }
    }

    /// A question that can be asked from any thread at any time: whether [`ExistencePoll::wait`] has nothing to wait
    /// for any more.
    pub fn over(&self) -> impl Fn() -> bool + Send + 'static {
        let task = self.task.abort_handle();
        move || task.is_finished()
    }

    /// Which are there, once that is enough or the deadline has passed; not in a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// [`ObjectStoreError`] where that is unknown of one, e.g. because its store does not answer.
    pub fn wait(mut self) -> Result<[bool; 5], ObjectStoreError> {
        let done = self.runtime.block_on(&mut self.task);
        done.unwrap_or_else(|_| Err(ObjectStoreError::Stopped { uri: self.uris[0].clone() }))
    }
}

impl Drop for ExistencePoll {
    fn drop(&mut self) {
        self.task.abort();
    }
}
