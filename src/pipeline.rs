//! The engine: ingest -> prepare -> segment -> extract -> classify -> publish.
//!
//! ```text
//!            permits: so many frames may be between ingest and publish
//!  source -> ingest -> prepare workers -> batcher -> device threads -> collector
//!                          |                ^  (segment)                  | score of every pixel
//!                          |                |                             v
//!                          |            objects <---------------- extract workers
//!                          |                |  (classify)
//!                          |                +-> device threads -> collector -> finish workers
//!                          | rejected                                             |
//!                          +------------------------------------------------------+-> publish, in order -> sink
//! ```
//!
//! Every channel has room for one message a permit, so no send between two stages ever blocks; the only
//! backpressure is the permit that a frame needs to come in. Only ingest reads `stop`: it drops its sender
//! and the closing of channels ripples down the road. A frame goes through with the one set of nets that the
//! engine was started with, so no batch can mix two: for other nets the engine is turned, that is run to its end
//! between two frames ([`Stop::turn`]) and run again from the same source into the same sink.

mod batch;
mod cycle;
pub mod flow;
pub mod ports;
mod probe;
mod reorder;
mod road;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::model::{Classifier, ModelError, Segmenter};
use crate::recipe::Recipe;
use crate::survey::Survey;
use flow::{Guard, Permits, Stop};
use ports::{CatalogSink, Encoded, Fate, Finished, FrameSource, Outcome, PortError, Probe, Receipt, Stage};
use reorder::Reorder;
use road::{Admitted, Ended, Ticket};

/// One device's nets; a thread of the engine owns them.
pub struct Device {
    /// Its name, e.g. `cpu` or `cuda:0`.
    pub name: String,
    /// Segmentation.
    pub segmenter: Box<dyn Segmenter>,
    /// Classification.
    pub classifier: Box<dyn Classifier>,
}

/// Which bundle made a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelIdentity {
    /// The bundle's version.
    pub version: String,
    /// SHA-256 of the bundle, hex.
    pub hash: String,
}

/// All that decides what comes out of a frame.
pub struct Models {
    /// The survey.
    pub survey: Arc<Survey>,
    /// How frames are treated.
    pub recipe: Recipe,
    /// Whose nets.
    pub identity: ModelIdentity,
    /// What they run on, as published.
    pub device: String,
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
            frames_in_flight: 4,
            workers: 2,
            port_retries: 5,
            port_backoff: Duration::from_millis(200),
            idle_probe: Duration::from_secs(20),
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames published with products.
    pub processed: u64,
    /// Frames published as rejected.
    pub rejected: u64,
}

/// Why the engine ended before its source did.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The source failed.
    #[error("the source of frames failed: {0}")]
    Source(#[source] PortError),
    /// The sink failed.
    #[error("results cannot be stored: {0}")]
    Sink(#[source] PortError),
    /// A device failed twice on the same batch.
    #[error("{0}; frames in flight were not published and will be taken again")]
    Device(#[source] ModelError),
    /// A stage died.
    #[error("the stage {0} died; frames in flight were not published and will be taken again")]
    Died(&'static str),
}

/// Runs frames from `source` to `sink` until the source ends or `stop` is requested, then finishes what is in
/// flight. `devices` must not be empty and must agree on batch shapes and seeds. After a turn nothing that the source
/// gave is left undone, and the engine may be run again.
///
/// # Errors
/// [`EngineError`], after everything published so far is safe.
pub fn run(
    source: &mut dyn FrameSource,
    models: &Models,
    devices: Vec<Device>,
    sink: &dyn CatalogSink,
    limits: &Limits,
    stop: &Stop,
    probe: &dyn Probe,
) -> Result<Summary, EngineError> {
    let Some(first) = devices.first() else { return Err(EngineError::Died("device")) };
    let sizes = (first.segmenter.batch(), first.classifier.batch());
    let answer_len = first.classifier.answer_len();
    let room = limits.frames_in_flight;
    let permits = Permits::new(room);
    let (to_prepare, from_ingest) = bounded::<Admitted>(room);
    let (to_segment, prepared) = bounded(room);
    let (to_classify, extracted) = bounded(room);
    let (to_device, work) = bounded(1);
    let (to_collector, events) = bounded(2 * devices.len() + 2);
    let (to_extract, scored) = bounded(room);
    let (to_finish, classified) = bounded(room);
    let (to_encode, ended) = bounded::<Box<Ended>>(room);
    let (to_publish, encoded) = bounded(room);
    // The first failure wins; the others are its echoes.
    let failure = OnceLock::new();
    let broken = AtomicBool::new(false);
    let fail = |error: EngineError| {
        broken.store(true, Ordering::SeqCst);
        stop.drain();
        let _ = failure.set(error);
    };
    let depths = || {
        probe.queue(Stage::Prepare, from_ingest.len());
        probe.queue(Stage::Segment, prepared.len());
        probe.queue(Stage::Extract, scored.len());
        probe.queue(Stage::Classify, extracted.len());
        probe.queue(Stage::Publish, ended.len() + encoded.len());
        probe.permits(permits.used(), permits.total());
    };
    let summary = thread::scope(|scope| {
        let mut threads = Vec::new();
        let (broken, fail) = (&broken, &fail);
        // Each stage owns its ends of the channels, so that its end closes them.
        macro_rules! stage {
            ($name:literal, $body:expr) => {{
                let body = $body;
                let handle = thread::Builder::new().name($name.into()).spawn_scoped(scope, move || {
                    let guard = Guard::new(stop, broken);
                    body();
                    guard.done();
                });
                match handle {
                    Ok(handle) => threads.push(($name, handle)),
                    Err(_) => fail(EngineError::Died($name)),
                }
            }};
        }
        for _ in 0..limits.workers.max(1) {
            let (from, to, rejects) = (from_ingest.clone(), to_segment.clone(), to_encode.clone());
            stage!("prepare", move || for admitted in from {
                let sent = match road::prepare(admitted, models, probe) {
                    Ok(job) => to.send(job).is_ok(),
                    Err(ended) => rejects.send(ended).is_ok(),
                };
                if !sent {
                    return;
                }
            });
            let (from, to, rejects) = (scored.clone(), to_classify.clone(), to_encode.clone());
            stage!("extract", move || for frame in from {
                let sent = match road::extract(frame, models, probe) {
                    Ok(job) => to.send(job).is_ok(),
                    Err(ended) => rejects.send(ended).is_ok(),
                };
                if !sent {
                    return;
                }
            });
        }
        drop((to_segment, to_classify));
        {
            let (prepared, extracted, to_collector) = (prepared.clone(), extracted.clone(), to_collector.clone());
            stage!("batcher", move || cycle::batcher(prepared, extracted, to_device, to_collector, sizes));
        }
        for device in devices {
            let (work, to_collector) = (work.clone(), to_collector.clone());
            stage!("device", move || if let Err(error) =
                cycle::serve(device, &work, &to_collector, limits.idle_probe, probe)
            {
                fail(error);
            });
        }
        drop((work, to_collector));
        stage!("collector", move || cycle::collector(&events, &to_extract, &to_finish, answer_len, broken, probe));
        stage!("finish", move || for frame in classified {
            if to_encode.send(road::finish(frame, models)).is_err() {
                return;
            }
        });
        for _ in 0..limits.workers.max(1) {
            let (ended, to_publish) = (ended.clone(), to_publish.clone());
            stage!("encode", move || encode(ended, &to_publish, sink, limits, fail, probe));
        }
        drop(to_publish);
        let publisher = {
            let (encoded, depths) = (encoded.clone(), &depths);
            thread::Builder::new().name("publish".into()).spawn_scoped(scope, move || {
                let guard = Guard::new(stop, broken);
                let summary = publish(&encoded, sink, limits, fail, probe, depths);
                guard.done();
                summary
            })
        };
        ingest(source, to_prepare, &permits, limits, stop, fail, probe, &depths);
        for (name, thread) in threads {
            if thread.join().is_err() {
                fail(EngineError::Died(name));
            }
        }
        publisher.ok().and_then(|p| p.join().ok()).unwrap_or_else(|| {
            fail(EngineError::Died("publish"));
            Summary::default()
        })
    });
    depths();
    failure.into_inner().map_or(Ok(summary), Err)
}

/// Takes frames while there are permits. Runs on the caller's thread and ends the flow by dropping its sender.
#[allow(clippy::too_many_arguments)] // the one place where the outside meets the flow
fn ingest(
    source: &mut dyn FrameSource,
    to_prepare: Sender<Admitted>,
    permits: &Permits,
    limits: &Limits,
    stop: &Stop,
    fail: &dyn Fn(EngineError),
    probe: &dyn Probe,
    depths: &dyn Fn(),
) {
    for sequence in 0.. {
        depths();
        let arrival = match with_retries(limits, Stage::Ingest, stop, probe, || source.next(stop)) {
            Ok(Some(arrival)) => arrival,
            Ok(None) => return,
            Err(error) => return fail(EngineError::Source(error)),
        };
        probe.arrived(&arrival.image_id);
        let arrived = Instant::now();
        // Dropped unpublished, its receipt gives it back to the source.
        let Some(permit) = permits.acquire(stop) else { return };
        let ticket = Ticket {
            sequence,
            image_id: arrival.image_id,
            receipt: arrival.receipt,
            permit,
            arrived,
            timings_s: Default::default(),
            span: arrival.span,
        };
        if to_prepare.send(Admitted { ticket, load: arrival.load }).is_err() {
            return;
        }
    }
}

/// A frame encoded, waiting for its turn.
struct ToPublish {
    span: tracing::Span,
    finished: Finished,
    encoded: Encoded,
    receipt: Receipt,
    permit: flow::Permit,
    seconds: f64,
}

fn encode(
    ended: Receiver<Box<Ended>>,
    to_publish: &Sender<ToPublish>,
    sink: &dyn CatalogSink,
    limits: &Limits,
    fail: &dyn Fn(EngineError),
    probe: &dyn Probe,
) {
    let never = Stop::default(); // what is finished is stored even while draining
    for ended in ended {
        let span = ended.ticket.span.clone();
        let _in = span.enter();
        let since = Instant::now();
        let (finished, receipt, permit) = road::finished(*ended);
        // What cannot be encoded is that image's fault alone: its refusal is published instead.
        let encode = |finished: &Finished| {
            let attempt = || catch_unwind(AssertUnwindSafe(|| sink.encode(finished, &receipt)));
            let panicked = |_| Err(PortError::Fatal("encoding it panicked".into()));
            with_retries(limits, Stage::Publish, &never, probe, || attempt().unwrap_or_else(panicked))
        };
        let (finished, encoded) = match encode(&finished) {
            Err(error) if matches!(finished.outcome, Outcome::Processed(_)) && !error.is_passing() => {
                let refused = road::not_encodable(finished, error);
                let encoded = encode(&refused);
                (refused, encoded)
            }
            encoded => (finished, encoded),
        };
        match encoded {
            Ok(encoded) => {
                let seconds = since.elapsed().as_secs_f64();
                if to_publish
                    .send(ToPublish { span: span.clone(), finished, encoded, receipt, permit, seconds })
                    .is_err()
                {
                    return;
                }
            }
            Err(error) => return fail(EngineError::Sink(error)),
        }
    }
}

/// Stores outcomes in the order in which their frames came.
fn publish(
    encoded: &Receiver<ToPublish>,
    sink: &dyn CatalogSink,
    limits: &Limits,
    fail: &dyn Fn(EngineError),
    probe: &dyn Probe,
    depths: &dyn Fn(),
) -> Summary {
    let (mut reorder, mut summary) = (Reorder::new(), Summary::default());
    let never = Stop::default(); // what is finished is stored even while draining
    for job in encoded {
        for mut job in reorder.push(job.finished.sequence, job) {
            let _in = job.span.clone().entered();
            let since = Instant::now();
            *job.finished.timings_s.entry(Stage::Publish).or_default() += job.seconds;
            let stored = with_retries(limits, Stage::Publish, &never, probe, || {
                sink.publish(&job.finished, &job.encoded, &job.receipt)
            });
            match stored {
                Ok(Fate::Stored) => {
                    probe.stage(Stage::Publish, job.seconds + since.elapsed().as_secs_f64());
                    match job.finished.outcome {
                        Outcome::Processed(_) => summary.processed += 1,
                        Outcome::Rejected(_) => summary.rejected += 1,
                        Outcome::Nothing => {}
                    }
                    probe.finished(&job.finished);
                }
                Ok(Fate::Dropped) => probe.dropped(&job.finished.image_id),
                Err(error) => {
                    fail(EngineError::Sink(error));
                    return summary;
                }
            }
            drop(job.permit);
            depths(); // ingest may be waiting for long
        }
    }
    summary
}

/// A port that is away for long is tried this often.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Tries again what a port asks to be tried again, waiting longer each time.
fn with_retries<T>(
    limits: &Limits,
    stage: Stage,
    stop: &Stop,
    probe: &dyn Probe,
    mut attempt: impl FnMut() -> Result<T, PortError>,
) -> Result<T, PortError> {
    let mut wait = limits.port_backoff;
    for _ in 0..limits.port_retries {
        match attempt() {
            Err(error @ PortError::Retry(_)) if !stop.ending() => {
                probe.retrying(stage, &error);
                tracing::warn!(stage = stage.name(), "{error}; trying again in {} ms", wait.as_millis());
                thread::sleep(wait);
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            done => return done,
        }
    }
    attempt()
}
