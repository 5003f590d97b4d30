//! Watching the program: logs, metrics, health, a page, progress, and the signals that ask it to stop.

pub mod ask;
pub mod drift;
pub mod health;
pub mod history;
pub mod http;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod page;
pub mod progress;
mod quality;
pub mod shadow;
pub mod signals;
mod stream;
pub mod thumbnails;

use std::sync::Arc;

use twinpeak_engine::ports::{Event, Probe};

/// Several watchers as one.
pub struct Probes(pub Vec<Arc<dyn Probe>>);

impl Probe for Probes {
    fn on(&self, event: &Event<'_>) {
        self.0.iter().for_each(|probe| probe.on(event));
    }
}
