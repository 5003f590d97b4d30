//! Encodes outcomes as they come and stores them in the order in which their frames came.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender};

use super::Summary;
use super::context::{StageContext, with_retries};
use super::error::EngineError;
use super::flow::{Permit, Stop};
use super::ports::{CatalogSink, PortError, PublishOutcome};
use super::probe::Event;
use super::refusals;
use super::reorder::Reorder;
use super::stages::{self, Ended};
use twinpeak_core::outcome::{Finished, Outcome, Stage};

/// A frame encoded, waiting for those that came before it.
pub(super) struct ToPublish<K: CatalogSink> {
    span: tracing::Span,
    finished: Finished,
    encoded: K::Encoded,
    receipt: K::Receipt,
    permit: Permit,
    seconds: f64,
}

/// Turns outcomes into what will be stored, several at once.
pub(super) fn encode<K: CatalogSink>(
    ended: Receiver<Box<Ended<K::Receipt>>>,
    to_publish: &Sender<ToPublish<K>>,
    sink: &K,
    engine: &StageContext,
) {
    let never = Stop::default(); // what is finished is stored even while draining
    for ended in ended {
        let span = ended.frame.span.clone();
        let _in = span.enter();
        let since = Instant::now();
        let (finished, receipt, permit) = stages::finished(*ended);
        // What cannot be encoded is that image's fault alone: its refusal is published instead.
        let encode = |finished: &Finished| {
            let attempt = || catch_unwind(AssertUnwindSafe(|| sink.encode(finished, &receipt)));
            let panicked = |_| Err(PortError::Fatal("encoding it panicked".into()));
            with_retries(engine, Stage::Publish, &never, || attempt().unwrap_or_else(panicked))
        };
        let (finished, encoded) = match encode(&finished) {
            Err(error) if matches!(finished.outcome, Outcome::Processed(_)) && !error.is_passing() => {
                let refused = refusals::not_encodable(finished, error);
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
            Err(error) => return engine.failure.set(EngineError::Sink(error)),
        }
    }
}

/// Stores outcomes in the order in which their frames came.
pub(super) fn publish<K: CatalogSink>(
    encoded: &Receiver<ToPublish<K>>,
    sink: &K,
    engine: &StageContext,
    depths: &dyn Fn(),
) -> Summary {
    let (mut reorder, mut summary) = (Reorder::new(), Summary::default());
    let never = Stop::default(); // what is finished is stored even while draining
    for job in encoded {
        for mut job in reorder.push(job.finished.sequence, job) {
            let _in = job.span.clone().entered();
            let since = Instant::now();
            *job.finished.timings_s.entry(Stage::Publish).or_default() += job.seconds;
            let stored = with_retries(engine, Stage::Publish, &never, || {
                sink.publish(&job.finished, &job.encoded, &job.receipt)
            });
            match stored {
                Ok(PublishOutcome::Accepted) => {
                    let seconds = job.seconds + since.elapsed().as_secs_f64();
                    engine.probe.on(&Event::StageDone { stage: Stage::Publish, seconds });
                    match job.finished.outcome {
                        Outcome::Processed(_) => summary.processed += 1,
                        Outcome::Rejected(_) => summary.rejected += 1,
                        Outcome::Nothing => {}
                    }
                    engine.probe.on(&Event::Finished(&job.finished));
                }
                Ok(PublishOutcome::Dropped) => engine.probe.on(&Event::Dropped(&job.finished.image_id)),
                Err(error) => {
                    engine.failure.set(EngineError::Sink(error));
                    return summary;
                }
            }
            drop(job.permit);
            depths(); // ingest may be waiting for long
        }
    }
    summary
}
