//! A candidate in the shadow of the model in service: it does a share of the same frames, after their own stages, and
//! what it finds is compared and never published.
//!
//! It has an engine of its own, one frame at a time, on the same kind of device. A frame that comes while it is still
//! busy with the last one is skipped and counted: the candidate never holds the daemon up. On a processor its nets take
//! time that the daemon's would have had; `shadow.share` bounds how much.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};

use twinpeak_config::Config;
use twinpeak_config::assemble::{Assembly, assemble, limits};
use twinpeak_config::exit::in_a_line;
use twinpeak_core::causes::causes;
use twinpeak_core::frame::{Frame, ImageId};
use twinpeak_core::outcome::{Finished, Outcome, Products, Stage};
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{
    Arrival, CatalogSink, Event, FrameSource, Loaded, NoProbe, PortError, Probe, PublishOutcome,
};
use twinpeak_engine::{Limits, Models};
use twinpeak_sim::evaluate::{Agreement, Object, Worked};
use twinpeak_telemetry::metrics::Metrics;
use twinpeak_telemetry::shadow::{Shadow, ShadowReport, Up};

/// Frames of one model that wait for the other's: as many as may be in flight, and some that were refused.
const WAITING_MAX: usize = 64;
/// Objects this near are one, arcsec.
const SAME_ARCSEC: f64 = 1.0;
/// How often the candidate's engine looks whether the daemon ends.
const NAP: Duration = Duration::from_millis(100);

/// A candidate at work.
pub(super) struct Candidate {
    share: f64,
    frames: SyncSender<Box<Frame>>,
    comparison: Arc<ShadowComparison>,
}

/// Where the two models' results of a frame meet.
struct ShadowComparison {
    found: Shadow,
    reference: usize,
    /// A mutex: the daemon's engine brings results to it, and the candidate's.
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Frames that the candidate was given and one of the two has done. The one in service with its hash.
    service: HashMap<ImageId, (String, Worked)>,
    candidate: HashMap<ImageId, Worked>,
    /// Frames that the candidate was given and neither has done.
    given: Vec<ImageId>,
    /// A frame waits for the candidate, or is being copied for it: there is no room for another.
    full: bool,
}

impl Candidate {
    /// Starts the candidate that the configuration names, if there is one. One that cannot be used is reported in the
    /// log and by `twinpeak_shadow_up`, and the daemon goes on without. Its end is the daemon's.
    pub fn start(config: &Config, service: &Models, metrics: &Metrics, stop: &Stop) -> Option<Self> {
        if config.shadow.bundle.as_os_str().is_empty() {
            return None;
        }
        let up = Up::new(metrics);
        let started = Self::load(config, service, metrics, stop, up);
        started.map_err(|error| tracing::error!(error = in_a_line(&error), "shadow model could not be started")).ok()
    }

    fn load(config: &Config, service: &Models, metrics: &Metrics, stop: &Stop, up: Up) -> anyhow::Result<Self> {
        let shadow = &config.shadow;
        let mut own = config.clone();
        own.model.bundle = shadow.bundle.clone();
        own.pipeline.device_threads = 1;
        (own.output.residual, own.output.psf) = (false, false); // it publishes nothing
        let assembly = assemble(&own).context("shadow.bundle")?;
        let begun = ShadowReport {
            service: service.identity.hash.clone(),
            candidate: assembly.models.identity.hash.clone(),
            bundle: shadow.bundle.clone(),
            agreement: Agreement::default(),
        };
        tracing::info!(
            candidate = assembly.models.identity.version,
            share = f64::from(shadow.share),
            "shadow model started"
        );
        let radius_px = SAME_ARCSEC / service.survey.profile().pixel_scale_arcsec;
        let comparison = Arc::new(ShadowComparison {
            found: Shadow::new(metrics, begun, shadow.report.clone(), radius_px),
            reference: service.survey.reference(),
            waiting: Mutex::default(),
        });
        let (frames, given) = sync_channel(1);
        let limits = Limits { frames_in_flight: 1, workers: 1, ..limits(&own) };
        let (met, stop) = (comparison.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("shadow".into());
        up.set(true);
        thread.spawn(move || {
            work(given, assembly, &met, &limits, &stop);
            up.set(false);
        })?;
        Ok(Self { share: shadow.share.into(), frames, comparison })
    }

    /// Another model is in service.
    pub fn serves(&self, hash: &str) {
        self.comparison.found.serves(hash);
    }

    /// Who brings the results of the model in service.
    pub fn probe(&self) -> Arc<dyn Probe> {
        self.comparison.clone()
    }

    /// The same arrivals; of a share of them the candidate gets the frame too.
    pub fn beside<'a, R: Send>(
        &'a self,
        source: &'a mut dyn FrameSource<Receipt = R>,
    ) -> impl FrameSource<Receipt = R> + 'a {
        ShadowSource { source, candidate: self }
    }

    /// Whether an image is of the share: always the same images, whatever daemon gets them.
    fn wants(&self, image: &ImageId) -> bool {
        let digest = Sha256::digest(image.as_str());
        let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        f64::from(number) < self.share * f64::from(u32::MAX)
    }
}

/// The candidate's engine, until the daemon's source is gone or it is to end.
fn work(
    given: Receiver<Box<Frame>>,
    assembly: Assembly,
    comparison: &Arc<ShadowComparison>,
    limits: &Limits,
    stop: &Stop,
) {
    // Its own stop: a failure of the candidate must not end the daemon, and a reload of the daemon not the candidate.
    let own = Stop::default();
    let mut source = Given { given, daemon: stop.clone(), comparison };
    let result = twinpeak_engine::run(
        &mut source,
        &assembly.models,
        assembly.devices,
        &Compared(comparison.clone()),
        limits,
        &own,
        &NoProbe,
    );
    if let Err(error) = result {
        tracing::error!(error = %causes(&error), "shadow model stopped, the daemon continues");
    }
}

struct ShadowSource<'a, R> {
    source: &'a mut dyn FrameSource<Receipt = R>,
    candidate: &'a Candidate,
}

impl<R: Send> FrameSource for ShadowSource<'_, R> {
    type Receipt = R;

    fn next(&mut self, stop: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError> {
        let arrival = self.source.next(stop)?;
        Ok(arrival.map(|arrival| {
            if !self.candidate.wants(&arrival.image_id) {
                return arrival;
            }
            let (frames, comparison, load) =
                (self.candidate.frames.clone(), self.candidate.comparison.clone(), arrival.load);
            let load = move || {
                let loaded = load()?;
                if let Loaded::Frame(frame) = &loaded {
                    comparison.give(frame, &frames);
                }
                Ok(loaded)
            };
            Arrival { load: Box::new(load), ..arrival }
        }))
    }
}

/// Frames for the candidate.
struct Given<'a> {
    given: Receiver<Box<Frame>>,
    daemon: Stop,
    comparison: &'a ShadowComparison,
}

impl FrameSource for Given<'_> {
    type Receipt = ();

    fn next(&mut self, _: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError> {
        loop {
            if self.daemon.ending() {
                return Ok(None);
            }
            match self.given.recv_timeout(NAP) {
                Ok(frame) => {
                    self.comparison.waiting().full = false;
                    return Ok(Some(Arrival::new(frame.id.clone(), move || Ok(*frame), ())));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

/// Where the candidate's results go.
struct Compared(Arc<ShadowComparison>);

impl CatalogSink for Compared {
    type Receipt = ();
    type Encoded = ();

    fn encode(&self, _: &Finished, (): &()) -> Result<(), PortError> {
        Ok(())
    }

    fn publish(&self, finished: &Finished, (): &(), (): &()) -> Result<PublishOutcome, PortError> {
        self.0.candidate_did(finished);
        Ok(PublishOutcome::Accepted)
    }
}

impl ShadowComparison {
    /// Gives the candidate a frame if it has time.
    fn give(&self, frame: &Frame, frames: &SyncSender<Box<Frame>>) {
        {
            let mut waiting = self.waiting();
            if waiting.full {
                return self.found.skipped();
            }
            waiting.full = true;
            waiting.given.push(frame.id.clone());
        }
        let sent = frames.try_send(Box::new(frame.clone())); // not under the lock: it is tens of megabytes
        if sent.is_err() {
            let mut waiting = self.waiting();
            waiting.full = false;
            waiting.given.retain(|given| *given != frame.id);
            self.found.skipped();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn candidate_did(&self, finished: &Finished) {
        let mut waiting = self.waiting();
        let Some(worked) = self.worked(finished) else { return waiting.forget(&finished.image_id) };
        match waiting.service.remove(&finished.image_id) {
            Some((hash, service)) => self.add(&hash, &service, &worked),
            None if waiting.candidate.len() < WAITING_MAX => {
                waiting.candidate.insert(finished.image_id.clone(), worked);
            }
            None => {}
        }
    }

    fn service_did(&self, finished: &Finished, products: &Products) {
        let mut waiting = self.waiting();
        let Some(k) = waiting.given.iter().position(|image| *image == finished.image_id) else { return };
        waiting.given.swap_remove(k);
        let Some(worked) = self.worked(finished) else { return };
        let hash = products.catalog.provenance.model_hash.clone();
        match waiting.candidate.remove(&finished.image_id) {
            Some(candidate) => self.add(&hash, &worked, &candidate),
            None if waiting.service.len() < WAITING_MAX => {
                waiting.service.insert(finished.image_id.clone(), (hash, worked));
            }
            None => {}
        }
    }

    fn worked(&self, finished: &Finished) -> Option<Worked> {
        let Outcome::Processed(products) = &finished.outcome else { return None };
        let object = |row: &twinpeak_core::catalog::Row| Object {
            x: row.x,
            y: row.y,
            mag: row.psf_mag[self.reference].into(),
            star_prob: row.star_prob.map(f64::from),
            ..Object::default()
        };
        // Waiting and publishing are no work of a model.
        let of_model = finished.timings_s.iter().filter(|(s, _)| !matches!(s, Stage::Ingest | Stage::Publish));
        let seconds = of_model.map(|(_, s)| s).sum();
        Some(Worked { objects: products.catalog.rows.iter().map(object).collect(), seconds })
    }

    fn add(&self, hash: &str, service: &Worked, candidate: &Worked) {
        if let Err(error) = self.found.add(hash, service, candidate) {
            tracing::error!(error = %causes(&error), "shadow report could not be written");
        }
    }
}

impl Waiting {
    /// The candidate refused it: there is nothing to compare.
    fn forget(&mut self, image: &ImageId) {
        self.service.remove(image);
        self.given.retain(|given| given != image);
    }
}

impl Probe for ShadowComparison {
    fn on(&self, event: &Event<'_>) {
        let Event::Finished(finished) = event else { return };
        match &finished.outcome {
            Outcome::Processed(products) => self.service_did(finished, products),
            _ => {
                let mut waiting = self.waiting();
                waiting.given.retain(|given| *given != finished.image_id);
                waiting.candidate.remove(&finished.image_id);
            }
        }
    }
}
