//! Permits and the wish to stop: the only two things that regulate the flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::channel::{Receiver, Sender, bounded};

/// A request to stop, shared by all who may ask and read by ingest alone.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Take no more frames; finish those in flight.
    pub fn drain(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A bounded number of frames in flight: whoever holds a [`Permit`] may have one.
#[derive(Clone)]
pub struct Permits {
    free: Receiver<()>,
    back: Sender<()>,
    total: usize,
}

/// The right to have one frame in flight; dropped, it returns.
pub struct Permit(Sender<()>);

impl Permits {
    /// So many.
    pub fn new(total: usize) -> Self {
        let (back, free) = bounded(total);
        for _ in 0..total {
            back.send(()).expect("the channel has room for all");
        }
        Self { free, back, total }
    }

    /// Waits for one; `None` once `stop` is requested.
    pub fn acquire(&self, stop: &Stop) -> Option<Permit> {
        loop {
            if stop.requested() {
                return None;
            }
            if self.free.recv_timeout(std::time::Duration::from_millis(50)).is_ok() {
                return Some(Permit(self.back.clone()));
            }
        }
    }

    /// In use now.
    pub fn used(&self) -> usize {
        self.total - self.free.len()
    }

    /// All.
    pub fn total(&self) -> usize {
        self.total
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // The channel has room for every permit there is; it is closed only when the engine is gone.
        let _ = self.0.try_send(());
    }
}

/// Marks the engine as broken and asks to stop when a stage ends by panic, so that a dying stage never leaves
/// the others waiting.
pub(super) struct Guard<'a> {
    stop: &'a Stop,
    broken: &'a AtomicBool,
    done: bool,
}

impl<'a> Guard<'a> {
    /// Watches a stage.
    pub fn new(stop: &'a Stop, broken: &'a AtomicBool) -> Self {
        Self { stop, broken, done: false }
    }

    /// The stage ended as it should.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.broken.store(true, Ordering::SeqCst);
            self.stop.drain();
        }
    }
}
