//! What every stage may look at, and how a stage asks a port again.

use std::thread;
use std::time::Duration;

use twinpeak_core::causes::causes;
use twinpeak_core::outcome::Stage;

use super::Limits;
use super::failure::Failure;
use super::flow::Stop;
use super::ports::PortError;
use super::probe::{Event, Probe};

/// What every stage may look at.
pub(super) struct StageContext<'a> {
    pub limits: &'a Limits,
    pub stop: &'a Stop,
    pub probe: &'a dyn Probe,
    pub failure: &'a Failure<'a>,
}

/// A port that is away for long is tried this often.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Tries again what a port asks to be tried again, waiting longer each time.
pub(super) fn with_retries<T>(
    engine: &StageContext,
    stage: Stage,
    stop: &Stop,
    mut attempt: impl FnMut() -> Result<T, PortError>,
) -> Result<T, PortError> {
    let mut wait = engine.limits.port_backoff;
    for _ in 0..engine.limits.port_retries {
        match attempt() {
            Err(error @ PortError::Retry(_)) if !stop.ending() => {
                engine.probe.on(&Event::Retrying { stage, error: &error });
                tracing::warn!(stage = stage.name(), error = %causes(&error), wait_ms = wait.as_millis() as u64, "source or sink failed, retrying");
                thread::sleep(wait);
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            done => return done,
        }
    }
    attempt()
}
