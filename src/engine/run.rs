//! The stages, the channels between them, and the threads that run them.

use std::thread::{self, Scope, ScopedJoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::context::StageContext;
use super::error::EngineError;
use super::failure::Failure;
use super::flow::{Permits, Stop};
use super::ports::{CatalogSink, FrameSource};
use super::probe::{Event, Probe};
use super::stages::{self, Ended};
use super::{Device, Limits, Models, Summary, batching, ingest, publish};
use twinpeak_core::outcome::Stage;

/// Runs frames from `source` to `sink` until the source ends or `stop` is requested, then finishes what is in
/// flight. `devices` must not be empty and must agree on batch shapes and seeds. After a reload nothing that the source
/// gave is left undone, and the engine may be run again.
///
/// # Errors
/// [`EngineError`], after everything published so far is safe.
// Long because it is the wiring: each channel and each thread once, where the graph can be read from top to bottom.
pub fn run<S: FrameSource + ?Sized, K: CatalogSink<Receipt = S::Receipt>>(
    source: &mut S,
    models: &Models,
    devices: Vec<Device>,
    sink: &K,
    limits: &Limits,
    stop: &Stop,
    probe: &dyn Probe,
) -> Result<Summary, EngineError> {
    let Some(first) = devices.first() else { return Err(EngineError::Died("device")) };
    let sizes = (first.segmenter.batch(), first.classifier.batch());
    let answer_len = first.classifier.answer_len();
    let room = limits.frames_in_flight;
    let (permits, failure) = (Permits::new(room), Failure::new(stop));
    let engine = &StageContext { limits, stop, probe, failure: &failure };
    let (to_prepare, from_ingest) = bounded(room);
    let (to_segment, prepared) = bounded(room);
    let (to_classify, extracted) = bounded(room);
    let (to_device, work) = bounded(1);
    let (to_collector, events) = bounded(2 * devices.len() + 2);
    let (to_extract, scored) = bounded(room);
    let (to_finish, classified) = bounded(room);
    let (to_encode, ended) = bounded(room);
    let (to_publish, encoded) = bounded(room);
    let depths = || {
        let queue = |stage, depth| probe.on(&Event::Queue { stage, depth });
        queue(Stage::Prepare, from_ingest.len());
        queue(Stage::Segment, prepared.len());
        queue(Stage::Extract, scored.len());
        queue(Stage::Classify, extracted.len());
        queue(Stage::Publish, ended.len() + encoded.len());
        probe.on(&Event::Permits { used: permits.used(), of: permits.total() });
    };
    let summary = thread::scope(|scope| {
        // Each stage owns its ends of the channels, so that its end closes them.
        let mut threads = Threads { scope, failure: &failure, running: Vec::new() };
        for _ in 0..limits.workers.max(1) {
            let (from, to, refused) = (from_ingest.clone(), to_segment.clone(), to_encode.clone());
            threads.spawn("prepare", move || each(from, &to, &refused, |a| stages::prepare(a, models, probe)));
            let (from, to, refused) = (scored.clone(), to_classify.clone(), to_encode.clone());
            threads.spawn("extract", move || {
                each(from, &to, &refused, |scored| {
                    // The batcher counts whom it waits for: who is refused here does not come back to it.
                    stages::extract(scored, models, probe).map(Some).inspect_err(|_| drop(to.send(None)))
                });
            });
        }
        drop((to_segment, to_classify));
        let (from, back, to) = (prepared.clone(), extracted.clone(), to_collector.clone());
        threads.spawn("batcher", move || batching::batcher(from, back, to_device, to, sizes));
        for device in devices {
            let (work, to) = (work.clone(), to_collector.clone());
            threads.spawn("device", move || {
                batching::serve(device, &work, &to, limits.idle_probe, probe)
                    .unwrap_or_else(|error| engine.failure.set(error));
            });
        }
        drop((work, to_collector));
        threads.spawn("collector", move || {
            batching::collector(&events, &to_extract, &to_finish, answer_len, engine.failure, probe);
        });
        threads.spawn("finish", move || {
            each(classified, &to_encode, &to_encode, |frame| Ok(stages::finish(frame, models)));
        });
        for _ in 0..limits.workers.max(1) {
            let (from, to) = (ended.clone(), to_publish.clone());
            threads.spawn("encode", move || publish::encode(from, &to, sink, engine));
        }
        drop(to_publish);
        let (encoded, depths) = (encoded.clone(), &depths);
        let publisher = threads.start("publish", move || publish::publish(&encoded, sink, engine, depths));
        ingest::ingest(source, to_prepare, &permits, engine, depths);
        threads.join();
        publisher.and_then(|p| p.join().ok()).unwrap_or_else(|| {
            failure.set(EngineError::Died("publish"));
            Summary::default()
        })
    });
    depths();
    failure.into_error().map_or(Ok(summary), Err)
}

/// Sends each frame on, or its refusal, until nothing comes any more.
fn each<T, O, R>(
    from: Receiver<T>,
    to: &Sender<O>,
    refused: &Sender<Box<Ended<R>>>,
    step: impl Fn(T) -> Result<O, Box<Ended<R>>>,
) {
    for frame in from {
        let sent = match step(frame) {
            Ok(done) => to.send(done).is_ok(),
            Err(ended) => refused.send(ended).is_ok(),
        };
        if !sent {
            return;
        }
    }
}

/// The threads of the stages.
struct Threads<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    failure: &'scope Failure<'env>,
    running: Vec<(&'static str, ScopedJoinHandle<'scope, ()>)>,
}

impl<'scope> Threads<'scope, '_> {
    /// Runs a stage on a thread of its own, and is waited for by [`Threads::join`].
    fn spawn(&mut self, name: &'static str, body: impl FnOnce() + Send + 'scope) {
        if let Some(thread) = self.start(name, body) {
            self.running.push((name, thread));
        }
    }

    /// Runs a stage on a thread of its own; none where the system has no more threads, which ends the engine.
    fn start<T: Send + 'scope>(
        &self,
        name: &'static str,
        body: impl FnOnce() -> T + Send + 'scope,
    ) -> Option<ScopedJoinHandle<'scope, T>> {
        let failure = self.failure;
        let guarded = move || {
            let guard = failure.guard();
            let made = body();
            guard.done();
            made
        };
        let started = thread::Builder::new().name(name.into()).spawn_scoped(self.scope, guarded);
        started.map_err(|_| failure.set(EngineError::Died(name))).ok()
    }

    /// Waits for all.
    fn join(self) {
        for (name, thread) in self.running {
            if thread.join().is_err() {
                self.failure.set(EngineError::Died(name));
            }
        }
    }
}
