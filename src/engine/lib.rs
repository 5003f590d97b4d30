//! The engine: ingest -> prepare -> segment -> extract -> classify -> publish.
//!
//! ```text
//!            permits: so many frames may be between ingest and publish
//!  source -> ingest -> prepare workers -> batcher -> device threads -> collector
//!                          |                ^  (segment)                  | score of every pixel
//!                          |                |                             v
//!                          |            objects <---------------- extract workers
//!                          |                |  (classify)
//!                          |                +-> device threads -> collector -> finish
//!                          | rejected                                             |
//!                          +------------------------------> encode workers <------+
//!                                                                v
//!                                                  publish, in arrival order -> sink
//! ```
//!
//! Every channel between stages has room for one message a permit, so no send of a frame ever blocks; the two about the
//! devices are smaller, and may, since the collector always takes. The only backpressure is the permit that a frame needs to
//! come in. Only ingest reads `stop`: it drops its sender
//! and the closing of channels ripples down the line. A frame goes through with the one set of nets that the
//! engine was started with, so no batch can mix two: for other nets the engine is reloaded, that is run to its
//! end between two frames ([`Stop::reload`](flow::Stop::reload)) and run again from the same source into the same sink.
//!
//! # What it may know
//!
//! `twinpeak-core` alone, whose functions are the stages' work. It must never know where frames come from, what nets
//! run on, where results go or who watches: these are ports, and the source's note on a frame (its receipt) is a type
//! of the source's own that comes back to the sink untouched.
//!
//! # The modules
//!
//! In the order in which a frame meets them:
//!
//! | module | what |
//! | --- | --- |
//! | [`ports`] | frames in, outcomes out, events ([`ports::Event`], in `probe.rs`): what the engine asks of the world |
//! | `run` | [`run()`]: the channels between the stages, and the threads that run them |
//! | `ingest` | takes a frame from the source, once there is a permit |
//! | [`flow`] | permits, the request to stop, the first failure |
//! | `stages` | prepare, extract and finish: plain functions of one frame |
//! | `batching`, `batch` | batches filled across frames, devices, and the collector of their answers |
//! | `publish`, `reorder` | outcomes encoded side by side, stored in arrival order |
//!
//! # What regulates the flow
//!
//! ```
//! use twinpeak_engine::flow::{Permits, Stop};
//!
//! let (stop, permits) = (Stop::default(), Permits::new(2));
//! let first = permits.acquire(&stop).expect("two are free");
//! let _second = permits.acquire(&stop);
//! assert_eq!((permits.used(), permits.total()), (2, 2));
//! drop(first); // its frame is published: another may come
//! assert_eq!(permits.used(), 1);
//!
//! stop.reload(); // run to the end between two frames...
//! assert!(stop.requested() && !stop.ending());
//! assert!(stop.reloaded()); // ...and go on
//! stop.drain();
//! assert!(permits.acquire(&stop).is_none(), "nothing comes in any more");
//! ```
//!
//! [`run()`] with stub nets and a `Vec` of frames: `tests/integration/pipeline.rs` of this crate.

mod batch;
mod batching;
mod context;
mod error;
mod failure;
pub mod flow;
mod ingest;
pub mod ports;
mod probe;
mod publish;
mod refusals;
mod reorder;
mod run;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use twinpeak_core::model::{Classifier, Segmenter};
use twinpeak_core::outcome::{ModelIdentity, Requests};
use twinpeak_core::recipe::Recipe;
use twinpeak_core::reference::ReferenceCatalog;
use twinpeak_core::survey::Survey;

pub use error::EngineError;
pub use refusals::refused;
pub use run::run;

/// One device's nets; a thread of the engine owns them.
pub struct Device {
    /// Its name, e.g. `cpu` or `cuda:0`.
    pub name: String,
    /// Net that scores pixels.
    pub segmenter: Box<dyn Segmenter>,
    /// Net that classifies stamps.
    pub classifier: Box<dyn Classifier>,
}

/// All that decides what comes out of a frame.
pub struct Models {
    /// Description of the survey whose frames come.
    pub survey: Arc<Survey>,
    /// Parameters of every step, from the bundle.
    pub recipe: Recipe,
    /// Version and hash of the bundle.
    pub identity: ModelIdentity,
    /// What they run on, as published.
    pub device: String,
    /// Known stars that frames are compared with.
    pub reference: Option<ReferenceCatalog>,
    /// Products that are made on request alone.
    pub requests: Requests,
}

/// Bounds on the engine's own work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Frames between ingest and publish.
    pub frames_in_flight: usize,
    /// Threads that prepare, and as many that extract; each also uses all cores within a frame.
    pub workers: usize,
    /// How often a port that asks for another try gets it.
    pub port_retries: u32,
    /// First wait before such a try; doubled each time.
    pub port_backoff: Duration,
    /// A device without work for so long makes an inference all the same, to show that it can.
    pub idle_probe: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frames_in_flight: 3,
            workers: 2,
            port_retries: 5,
            port_backoff: Duration::from_millis(200),
            idle_probe: Duration::from_secs(20),
        }
    }
}

/// Images that a run has finished, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames published with products.
    pub processed: u64,
    /// Frames published as rejected.
    pub rejected: u64,
}
