//! Files that are still to come.

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
    first: Option<Uri>,
    task: JoinHandle<Result<Vec<bool>, ObjectStoreError>>,
}

impl ExistencePoll {
    pub(super) fn start(
        runtime: &Handle,
        reach: &Arc<Backends>,
        uris: Vec<Uri>,
        enough: impl Fn(&[bool]) -> bool + Send + 'static,
        deadline: Instant,
    ) -> Self {
        let (reach, first) = (reach.clone(), uris.first().cloned());
        let task = runtime.spawn(async move {
            let (mut there, mut pause) = (vec![false; uris.len()], FIRST_PAUSE);
            loop {
                reach.look(&uris, &mut there).await?;
                let left = deadline.saturating_duration_since(Instant::now());
                if enough(&there) || left.is_zero() {
                    return Ok(there);
                }
                tokio::time::sleep(pause.min(left)).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        });
        Self { runtime: runtime.clone(), first, task }
    }

    /// A question that can be asked from any thread at any time: whether [`ExistencePoll::wait`] has nothing to wait
    /// for any more.
    pub fn over(&self) -> impl Fn() -> bool + Send + 'static {
        let task = self.task.abort_handle();
        move || task.is_finished()
    }

    /// Which are there, in the order in which they were asked for, once that is enough or the deadline has passed; not in a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// [`ObjectStoreError`] where that is unknown of one, e.g. because its store does not answer.
    pub fn wait(mut self) -> Result<Vec<bool>, ObjectStoreError> {
        let done = self.runtime.block_on(&mut self.task);
        match (done, self.first.take()) {
            (Ok(there), _) => there,
            (Err(_), Some(uri)) => Err(ObjectStoreError::Stopped { uri }),
            (Err(_), None) => Ok(Vec::new()),
        }
    }
}

impl Drop for ExistencePoll {
    fn drop(&mut self) {
        self.task.abort();
    }
}
