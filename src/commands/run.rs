//! `twinpeak run`: the daemon. Frames as they come, until a signal.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use anyhow::Context;

use super::assemble::{Assembly, assemble, ended, ledger, limits, loader, sink, start_log};
use super::{Fault, page, stream};
use crate::cli::{Exit, RunArgs};
use crate::config::{Config, Source};
use crate::pipeline;
use crate::pipeline::flow::Stop;
use crate::store::{Inbox, Patience};
use crate::telemetry::health::{Check, Heart};
use crate::telemetry::http::Server;
use crate::telemetry::metrics::{Facts, Metrics};
use crate::telemetry::page::Page;
use crate::telemetry::{Probes, log, signals};
use crate::torch::process;

/// Runs it.
///
/// # Errors
/// What made the daemon impossible or ended it.
pub fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let config = args.load()?;
    start_log(&config, None);
    match config.input.source {
        Source::Inbox => inbox(&config, args.until_idle),
        Source::Kafka => stream::run(&config, args.until_idle),
    }
}

fn inbox(config: &Config, until_idle: bool) -> anyhow::Result<Exit> {
    let inbox = &config.input.dir;
    std::fs::read_dir(inbox).with_context(|| format!("input.dir {}", inbox.display())).context(Fault::Config)?;
    let ledger = ledger(config)?;
    let ending = Ending::watch(config)?;
    // An image in work when we are told to end at once did not kill us: that attempt must not count.
    let in_work = ledger.clone();
    ending.first(move || in_work.forgive());
    let assembly = assemble(config)?;
    let models = &assembly.models;
    let watching = Watching::new(&assembly, config);
    let writable = ledger.clone();
    let output = Check::new("output", move || writable.probe().map_err(|e| e.to_string()));
    let server = watching.serve(config, output)?;

    let patience = Patience {
        poll_s: config.input.poll_interval_s.into(),
        settle_s: config.input.settle_s.into(),
        incomplete_after_s: config.input.incomplete_after_s.into(),
    };
    let survey = models.survey.clone();
    let mut source =
        Inbox::new(config.input.dir.clone(), survey.clone(), loader(config, &survey), ledger.clone(), patience);
    if until_idle {
        source = source.until_idle();
    }
    let sink = sink(config, ledger, models)?;
    tracing::info!(
        inbox = %config.input.dir.display(), out = %config.output.dir.display(), http = %server.address(),
        model = models.identity.version, "ready"
    );
    let (limits, stop) = (limits(config), &ending.stop);
    let result = pipeline::run(&mut source, models, assembly.devices, &sink, &limits, stop, &*watching.probes);
    let summary = ended(result, &config.output.dir)?;
    tracing::info!(processed = summary.processed, rejected = summary.rejected, "done");
    Ok(Exit::Done)
}

/// How a daemon is asked to end.
pub(super) struct Ending {
    /// Set by a first signal.
    pub stop: Stop,
    first: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl Ending {
    /// Watches for signals from now on.
    pub fn watch(config: &Config) -> anyhow::Result<Self> {
        let ending = Self { stop: Stop::default(), first: Arc::default() };
        let first = ending.first.clone();
        let at_once = move || -> Infallible {
            if let Some(first) = first.get() {
                first();
            }
            process::leave(Exit::Interrupted.code())
        };
        signals::watch(ending.stop.clone(), config.pipeline.drain_timeout_s.duration(), at_once)?;
        Ok(ending)
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
    heart: Heart,
    page: Arc<Page>,
}

impl Watching {
    /// Metrics, log, the page, and the heart that each inference makes beat.
    pub fn new(assembly: &Assembly, config: &Config) -> Self {
        let identity = &assembly.models.identity;
        let metrics = Arc::new(Metrics::new(&Facts {
            model_version: identity.version.clone(),
            model_hash: identity.hash.clone(),
            devices: vec![assembly.chosen.name.clone()],
        }));
        let heart = Heart::default();
        heart.beat(); // making the nets ran each of them once
        let (page, watchers) = page::assemble(assembly, config);
        let mut probes = Probes(vec![metrics.clone(), Arc::new(log::Events), Arc::new(heart.clone())]);
        probes.0.extend(watchers);
        Self { probes: Arc::new(probes), metrics, heart, page: Arc::new(page) }
    }

    /// Serves metrics, health and the page, with one more condition for readiness.
    pub fn serve(&self, config: &Config, check: Check) -> anyhow::Result<Server> {
        let inference = Check::beating("inference", self.heart.clone(), config.http.inference_within_s.duration());
        let checks = vec![inference, check];
        Server::start(config.http.bind, self.metrics.clone(), checks, self.page.clone()).context(Fault::Config)
    }
}
