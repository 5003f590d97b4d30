//! What readiness asks of the stream; set by the session's threads, read by anybody.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the session stands. Cheap to clone.
#[derive(Clone, Default)]
pub struct Status(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The broker answered last.
    reachable: AtomicBool,
    /// The group has assigned partitions, be it none.
    joined: AtomicBool,
    partitions: AtomicUsize,
    /// Everything on our partitions is done and committed.
    idle: AtomicBool,
    /// The last problem. Written by the client's callbacks, read by whoever asks for readiness.
    problem: Mutex<String>,
}

impl Status {
    /// Whether work can be had: the broker answers and the group has given us our partitions, be it none.
    ///
    /// # Errors
    /// What is wrong.
    pub fn ready(&self) -> Result<(), String> {
        if !self.0.reachable.load(Ordering::Relaxed) {
            let problem = self.problem().clone();
            return Err(if problem.is_empty() { "the broker has not answered yet".into() } else { problem });
        }
        if !self.0.joined.load(Ordering::Relaxed) {
            return Err("the consumer group has not assigned partitions yet".into());
        }
        Ok(())
    }

    fn problem(&self) -> MutexGuard<'_, String> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Partitions that are ours.
    pub fn partitions(&self) -> usize {
        self.0.partitions.load(Ordering::Relaxed)
    }

    /// Whether all messages on our partitions are done and committed.
    pub fn idle(&self) -> bool {
        self.0.idle.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) {
        self.problem().clear();
        self.0.reachable.store(true, Ordering::Relaxed);
    }

    /// The brokers to which there is a connection now, by their ids; the bootstrap addresses and the group's coordinator
    /// have negative ones. Said every few seconds, so that readiness does not rest on a report that comes once: that
    /// one may be overtaken by statistics that were taken before it.
    pub(super) fn connected(&self, ids: impl Iterator<Item = i32>) {
        match ids.max() {
            Some(id) if id >= 0 => self.answered(),
            Some(_) => {} // the coordinator alone: nothing new
            None => self.down(),
        }
    }

    /// Something went wrong that may pass unnoticed.
    pub(super) fn note(&self, problem: &str) {
        problem.clone_into(&mut self.problem());
    }

    /// No broker answers, for a reason that was reported before, if any.
    pub(super) fn down(&self) {
        let mut problem = self.problem();
        if problem.is_empty() {
            "no broker answers".clone_into(&mut problem);
        }
        self.0.reachable.store(false, Ordering::Relaxed);
    }

    pub(super) fn unreachable(&self, problem: &str) {
        self.note(problem);
        self.0.reachable.store(false, Ordering::Relaxed);
    }

    pub(super) fn assigned(&self, partitions: usize) {
        self.0.partitions.store(partitions, Ordering::Relaxed);
        self.0.joined.store(true, Ordering::Relaxed);
    }

    pub(super) fn lost(&self) {
        self.0.partitions.store(0, Ordering::Relaxed);
        self.0.joined.store(false, Ordering::Relaxed);
        self.set_idle(false);
    }

    pub(super) fn set_idle(&self, idle: bool) {
        self.0.idle.store(idle, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_old_statistics_overtook_is_made_good_by_the_next() {
        let status = Status::default();
        status.assigned(1);
        status.connected([1, -1].into_iter());
        assert_eq!(status.ready(), Ok(()));
        status.down();
        status.connected([1].into_iter()); // taken before
        status.connected([].into_iter());
        assert_eq!(status.ready(), Err("no broker answers".into()));
        status.connected([-1].into_iter());
        assert!(status.ready().is_err());
        status.connected([0].into_iter());
        assert_eq!(status.ready(), Ok(()));
    }
}
