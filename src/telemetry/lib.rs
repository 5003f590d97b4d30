//! Watching the program: what it does becomes metrics, log lines, readiness, a page and a progress bar, and the signals
//! that ask it to stop are heard here. Everything that is watched is one [`Event`] type, given to a [`Probe`]; whoever
//! watches implements that one method.
//!
//! # What it may know
//!
//! `twinpeak-core` and `twinpeak-engine` (events and outcomes), `twinpeak-formats` (pictures of the last fields) and
//! `twinpeak-sim` (`evaluate`, by which two models are compared). It never knows where frames come from or go to: the
//! broker, the folders and libtorch reach it as events and as closures. It changes nothing of what it watches, and
//! nothing here is waited for by the engine.
//!
//! # The modules
//!
//! In the order in which the events of a frame reach somebody:
//!
//! | module | what |
//! | --- | --- |
//! | [`metrics`], with `stream` and `quality` | counts events; what Prometheus reads |
//! | [`log`] | lines for a person, JSON for a machine |
//! | [`drift`] | processed frames against what the bundle was made for |
//! | [`shadow`] | the model in service against a candidate |
//! | [`health`] | whether devices infer, frames move, folders and broker answer |
//! | [`notify`], [`signals`] | the service manager; `SIGTERM`, `SIGINT`, `SIGHUP` |
//! | [`history`], [`thumbnails`], [`page`] | the last fields, their pictures, and the page that shows them |
//! | [`http`], [`ask`] | `/metrics`, `/healthz`, `/readyz` and the page served, and asked for |
//! | [`progress`] | a bar on a terminal |
//!
//! # An event, counted and exposed
//!
//! ```
//! use twinpeak_engine::ports::{Event, Probe, StreamEvent};
//! use twinpeak_telemetry::metrics::{Metrics, ServiceInfo};
//!
//! let metrics = Metrics::new(&ServiceInfo { model_version: "1".into(), ..ServiceInfo::default() });
//! metrics.on(&Event::Permits { used: 2, of: 4 });
//! metrics.on(&Event::Stream(&StreamEvent::Committed { images: 3, bytes: 1000, seconds: 0.03 }));
//!
//! let text = metrics.expose();
//! assert!(text.contains("twinpeak_permits_used_frames 2\n"));
//! assert!(text.contains("twinpeak_kafka_committed_images_total 3\n"));
//! ```

pub mod ask;
#[cfg(test)]
mod documented;
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
mod reference;
mod register;
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
