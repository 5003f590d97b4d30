//! `twinpeak run`: the daemon. Frames as they appear in the inbox, until a signal.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context;

use super::Fault;
use super::assemble::{assemble, ended, ledger, limits, loader, sink, start_log};
use crate::cli::{Exit, RunArgs};
use crate::pipeline;
use crate::pipeline::flow::Stop;
use crate::store::{Inbox, Patience};
use crate::telemetry::health::{Check, Heart};
use crate::telemetry::http::Server;
use crate::telemetry::metrics::{Facts, Metrics};
use crate::telemetry::{Probes, log, signals};
use crate::torch::process;

/// Runs it.
///
/// # Errors
/// What made the daemon impossible or ended it.
pub fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let config = args.load()?;
    start_log(&config, None);
    let stop = Stop::default();
    let inbox = &config.input.dir;
    std::fs::read_dir(inbox).with_context(|| format!("input.dir {}", inbox.display())).context(Fault::Config)?;
    let ledger = ledger(&config)?;
    // An image in work when we are told to end at once did not kill us: that attempt must not count.
    let in_work = ledger.clone();
    let at_once = move || -> Infallible {
        in_work.forgive();
        process::leave(Exit::Interrupted.code())
    };
    signals::watch(stop.clone(), config.pipeline.drain_timeout_s.duration(), at_once)?;
    let assembly = assemble(&config)?;
    let models = &assembly.models;

    let metrics = Arc::new(Metrics::new(&Facts {
        model_version: models.identity.version.clone(),
        model_hash: models.identity.hash.clone(),
        devices: vec![assembly.chosen.name.clone()],
    }));
    let heart = Heart::default();
    heart.beat(); // making the nets ran each of them once
    let writable = ledger.clone();
    let checks = vec![
        Check::beating("inference", heart.clone(), config.http.inference_within_s.duration()),
        Check::new("output", move || writable.probe().map_err(|e| e.to_string())),
    ];
    let server = Server::start(config.http.bind, metrics.clone(), checks).context(Fault::Config)?;

    let patience = Patience {
        poll_s: config.input.poll_interval_s.into(),
        settle_s: config.input.settle_s.into(),
        incomplete_after_s: config.input.incomplete_after_s.into(),
    };
    let survey = models.survey.clone();
    let mut source =
        Inbox::new(config.input.dir.clone(), survey.clone(), loader(&config, &survey), ledger.clone(), patience);
    if args.until_idle {
        source = source.until_idle();
    }
    let sink = sink(&config, ledger, models)?;
    tracing::info!(
        inbox = %config.input.dir.display(), out = %config.output.dir.display(), http = %server.address(),
        model = models.identity.version, "ready"
    );
    let probes = Probes(vec![metrics, Arc::new(log::Events), Arc::new(heart)]);
    let result = pipeline::run(&mut source, models, assembly.devices, &sink, &limits(&config), &stop, &probes);
    let summary = ended(result, &config.output.dir)?;
    tracing::info!(processed = summary.processed, rejected = summary.rejected, "done");
    Ok(Exit::Done)
}
