//! Takes frames from the source while there are permits.

use std::time::Instant;

use crossbeam::channel::Sender;

use super::context::{StageContext, with_retries};
use super::error::EngineError;
use super::flow::Permits;
use super::ports::FrameSource;
use super::probe::Event;
use super::stages::{Admitted, InFlightFrame};
use twinpeak_core::outcome::Stage;

/// Runs on the caller's thread and ends the flow by dropping its sender.
pub(super) fn ingest<S: FrameSource + ?Sized>(
    source: &mut S,
    to_prepare: Sender<Admitted<S::Receipt>>,
    permits: &Permits,
    engine: &StageContext,
    depths: &dyn Fn(),
) {
    for sequence in 0.. {
        depths();
        let arrival = match with_retries(engine, Stage::Ingest, engine.stop, || source.next(engine.stop)) {
            Ok(Some(arrival)) => arrival,
            Ok(None) => return,
            Err(error) => return engine.failure.set(EngineError::Source(error)),
        };
        engine.probe.on(&Event::Arrived(&arrival.image_id));
        let arrived = Instant::now();
        // Dropped unpublished, its receipt gives it back to the source.
        let Some(permit) = permits.acquire(engine.stop) else { return };
        let frame = InFlightFrame {
            sequence,
            image_id: arrival.image_id,
            receipt: arrival.receipt,
            permit,
            arrived,
            timings_s: Default::default(),
            span: arrival.span,
        };
        if to_prepare.send(Admitted { frame, load: arrival.load }).is_err() {
            return;
        }
    }
}
