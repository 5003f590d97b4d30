//! Permits and the request to stop: the only two things that regulate the flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crossbeam::channel::{Receiver, Sender, bounded};

/// A request to stop, shared by all who may ask and read by ingest alone. One that asks for a [reload](Stop::reload)
/// ends the engine between two frames so that it can be run again, with other models; a request to end outranks it.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

const GO_ON: u8 = 0;
const RELOAD: u8 = 1;
const END: u8 = 2;

impl Stop {
    /// Take no more frames; finish those in flight.
    pub fn drain(&self) {
        self.0.store(END, Ordering::SeqCst);
    }

    /// Take no more frames for now; finish those in flight and the one that has just come.
    pub fn reload(&self) {
        let _ = self.0.compare_exchange(GO_ON, RELOAD, Ordering::SeqCst, Ordering::SeqCst); // an end stays one
    }

    /// After a reload, go on. Whether there was one, and nobody asked for the end meanwhile.
    pub fn reloaded(&self) -> bool {
        self.0.compare_exchange(RELOAD, GO_ON, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether somebody asked for either.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst) != GO_ON
    }

    /// Whether somebody asked for the end.
    pub fn ending(&self) -> bool {
        self.0.load(Ordering::SeqCst) == END
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
    /// `total` permits, all free.
    pub fn new(total: usize) -> Self {
        let (back, free) = bounded(total);
        for _ in 0..total {
            back.send(()).expect("the channel has room for all");
        }
        Self { free, back, total }
    }

    /// Waits for one; `None` once the end is asked for.
    pub fn acquire(&self, stop: &Stop) -> Option<Permit> {
        loop {
            if stop.ending() {
                return None;
            }
            if self.free.recv_timeout(std::time::Duration::from_millis(50)).is_ok() {
                return Some(Permit(self.back.clone()));
            }
        }
    }

    /// Permits in use now.
    pub fn used(&self) -> usize {
        self.total - self.free.len()
    }

    /// Permits in all.
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
