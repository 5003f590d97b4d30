//! What the two daemons share, that of a folder and that of a stream: how they are watched, how they are asked to end
//! or to take another model, and the engine run with one model after another.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context;

use super::page::{self, InService};
use super::reload::{Reloaded, Reloader};
use super::shadow::Candidate;
use twinpeak_config::Config;
use twinpeak_config::assemble::Assembly;
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::outcome::ModelIdentity;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{CatalogSink, FrameSource, Probe};
use twinpeak_engine::{EngineError, Limits, Summary};
use twinpeak_nets::process;
use twinpeak_store::{DirectorySink, ModelName};
use twinpeak_stream::kafka::StreamSink;
use twinpeak_telemetry::drift::Drift;
use twinpeak_telemetry::health::{Check, LastInference, StuckFrameDetector};
use twinpeak_telemetry::http::Server;
use twinpeak_telemetry::metrics::{Metrics, ServiceInfo};
use twinpeak_telemetry::notify::Manager;
use twinpeak_telemetry::page::Page;
use twinpeak_telemetry::signals::{self, Hangup};
use twinpeak_telemetry::{Probes, log};

/// How a daemon is asked to end, or to look at its model.
pub(super) struct ShutdownHooks {
    /// Set by a first signal.
    pub stop: Stop,
    first: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
    hangup: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl ShutdownHooks {
    /// Watches for signals from now on.
    pub fn watch(config: &Config) -> anyhow::Result<Self> {
        let hooks = Self { stop: Stop::default(), first: Arc::default(), hangup: Arc::default() };
        let first = hooks.first.clone();
        let at_once = move || -> Infallible {
            if let Some(first) = first.get() {
                first();
            }
            process::leave(Exit::Interrupted.code())
        };
        let hangup = hooks.hangup.clone();
        // One that comes before there is a model to replace is not lost on anybody: the newest is being loaded.
        let hung_up: Hangup = Box::new(move || hangup.get().into_iter().for_each(|look| look()));
        let drain_timeout = config.pipeline.drain_timeout_s.duration();
        signals::watch_with(hooks.stop.clone(), drain_timeout, Some(hung_up), at_once)?;
        Ok(hooks)
    }

    /// What to do before the process ends at once.
    pub fn first(&self, what: impl Fn() + Send + Sync + 'static) {
        let _ = self.first.set(Box::new(what));
    }
}

/// Who watches a daemon.
pub(super) struct Watching {
    /// All of them.
    pub probes: Arc<Probes>,
    metrics: Arc<Metrics>,
    drift: Arc<Drift>,
    last_inference: LastInference,
    stuck_frames: StuckFrameDetector,
    in_service: InService,
    page: Arc<Page>,
}

impl Watching {
    /// Metrics, log, drift, the page, and when the device last inferred.
    pub fn new(assembly: &Assembly, config: &Config) -> Self {
        let identity = &assembly.models.identity;
        let metrics = Arc::new(Metrics::new(&ServiceInfo {
            model_version: identity.version.clone(),
            model_hash: identity.hash.clone(),
            devices: vec![assembly.chosen.name.clone()],
        }));
        let last_inference = LastInference::default();
        last_inference.beat(); // making the nets ran each of them once
        let survey = &assembly.models.survey;
        let drift = Arc::new(Drift::new(&metrics, survey.reference(), survey.magnitudes().drift));
        drift.expect(assembly.expected.clone());
        let in_service: InService = Arc::new(Mutex::new(identity.clone()));
        let (page, watchers) = page::assemble(assembly, config, &in_service, &drift);
        let stuck_frames = StuckFrameDetector::default();
        let mut probes = Probes(vec![metrics.clone(), Arc::new(log::Events), drift.clone()]);
        probes.0.extend([Arc::new(last_inference.clone()) as Arc<dyn Probe>, Arc::new(stuck_frames.clone())]);
        probes.0.extend(watchers);
        Self {
            probes: Arc::new(probes),
            metrics,
            drift,
            last_inference,
            stuck_frames,
            in_service,
            page: Arc::new(page),
        }
    }

    /// Another model is in service.
    fn serves(&self, assembly: &Assembly) {
        let identity = &assembly.models.identity;
        self.metrics.serves(&identity.version, &identity.hash);
        self.drift.expect(assembly.expected.clone());
        *self.in_service.lock().unwrap_or_else(PoisonError::into_inner) = identity.clone();
        tracing::info!(model = identity.version, hash = identity.hash, "model in service");
    }

    /// What shows that the engine itself is well, whatever is away outside.
    fn alive(&self, config: &Config) -> Vec<Check> {
        let inference =
            Check::beating("inference", self.last_inference.clone(), config.http.inference_within_s.duration());
        let (stuck_frames, within) = (self.stuck_frames.clone(), config.http.progress_within_s.duration());
        vec![inference, Check::new("progress", move || stuck_frames.check(within))]
    }

    /// Serves metrics, health and the page, with more conditions for readiness; `written` is the folder whose disk must
    /// not fill.
    pub fn serve(&self, config: &Config, more: Vec<Check>, written: &Path) -> anyhow::Result<Server> {
        let checks = self.alive(config).into_iter().chain(more).collect();
        Server::start(config.http.bind, self.metrics.clone(), checks, written, self.page.clone()).context(Fault::Config)
    }
}

/// A sink that says which model refused an image.
pub(super) trait Names: CatalogSink {
    /// From now on it is this one.
    fn names(&mut self, model: &ModelIdentity);
}

impl Names for DirectorySink {
    fn names(&mut self, model: &ModelIdentity) {
        self.set_model(ModelName { version: model.version.clone(), hash: model.hash.clone() });
    }
}

impl Names for StreamSink {
    fn names(&mut self, model: &ModelIdentity) {
        self.set_model(&model.version, &model.hash);
    }
}

/// Runs the engine until its source ends or a signal comes. Another model that was loaded meanwhile takes over between
/// two frames: the engine is run to its end and begun again, so that no frame is lost and none sees two models.
pub(super) fn serve<K: Names>(
    config: &Config,
    mut assembly: Assembly,
    source: &mut dyn FrameSource<Receipt = K::Receipt>,
    sink: &mut K,
    limits: &Limits,
    hooks: &ShutdownHooks,
    watching: &Watching,
) -> anyhow::Result<Result<Summary, EngineError>> {
    let candidate = Candidate::start(config, &assembly.models, &watching.metrics, &hooks.stop);
    let mut probes: Vec<Arc<dyn Probe>> = vec![watching.probes.clone()];
    let mut beside;
    let source: &mut dyn FrameSource<Receipt = K::Receipt> = match &candidate {
        Some(candidate) => {
            probes.push(candidate.probe());
            beside = candidate.beside(source);
            &mut beside
        }
        None => source,
    };
    let probes = Probes(probes);
    let metrics = watching.metrics.clone();
    let report = move |outcome| match outcome {
        Reloaded::Taken => metrics.reloaded(true),
        Reloaded::Refused => metrics.reloaded(false),
        Reloaded::Same => {}
    };
    let reloader = Reloader::start(config, &assembly.models.identity.hash, hooks.stop.clone(), report)?;
    let _ = hooks.hangup.set(Box::new(reloader.request()));
    let _manager = Manager::ready(watching.alive(config).into_iter().map(|check| check.question).collect());
    let mut all = Summary::default();
    loop {
        let (models, devices) = (&assembly.models, assembly.devices);
        let run = twinpeak_engine::run(source, models, devices, sink, limits, &hooks.stop, &probes);
        match run {
            Ok(summary) => {
                all.processed += summary.processed;
                all.rejected += summary.rejected;
            }
            Err(error) => return Ok(Err(error)),
        }
        if !hooks.stop.reloaded() {
            return Ok(Ok(all));
        }
        // The devices of the last model are gone with the engine.
        assembly = reloader.next().context("the thread that loads models died")?;
        sink.names(&assembly.models.identity);
        watching.serves(&assembly);
        candidate.iter().for_each(|candidate| candidate.serves(&assembly.models.identity.hash));
    }
}
