//! What the stages share of a failure: who fails asks all to end, and the first reason is kept.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::EngineError;
use super::flow::Stop;

/// The first failure of any stage; the others are its echoes. One that is set asks the engine to stop.
pub(super) struct Failure<'a> {
    stop: &'a Stop,
    first: OnceLock<EngineError>,
    broken: AtomicBool,
}

impl<'a> Failure<'a> {
    /// No failure so far; the first one requests `stop`.
    pub fn new(stop: &'a Stop) -> Self {
        Self { stop, first: OnceLock::new(), broken: AtomicBool::new(false) }
    }

    /// Notes a stage's failure and requests a stop; the first one is kept.
    pub fn set(&self, error: EngineError) {
        self.broken();
        let _ = self.first.set(error);
    }

    /// Whether a stage has failed.
    pub fn is_set(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// The first failure, if any.
    pub fn into_error(self) -> Option<EngineError> {
        self.first.into_inner()
    }

    /// A guard that notes a failure when its stage ends by panic.
    pub fn guard(&self) -> Guard<'_> {
        Guard { failure: self, done: false }
    }

    fn broken(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.stop.drain();
    }
}

/// Marks the engine as broken and asks to stop when a stage ends by panic, so that a dying stage never leaves
/// the others waiting.
pub(super) struct Guard<'a> {
    failure: &'a Failure<'a>,
    done: bool,
}

impl Guard<'_> {
    /// The stage ended as it should.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.failure.broken();
        }
    }
}
