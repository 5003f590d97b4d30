//! `twinpeak run`: the daemon. Frames as they come, until a signal.

use anyhow::Context;

use super::serve::{ShutdownHooks, Watching, serve};
use super::stream;
use crate::cli::RunArgs;
use twinpeak_config::assemble::{assemble, ended, headers, ledger, limits, loader, sink, start_log};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_config::{Config, Source};
use twinpeak_store::{Inbox, WatchTimeouts};
use twinpeak_telemetry::health::Check;

/// Runs it.
///
/// # Errors
/// What made the daemon impossible or ended it.
pub fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let mut config = args.load()?;
    start_log(&config, None);
    match config.input.source {
        Source::Inbox => inbox(&config, args.until_idle),
        Source::Kafka => {
            // No record carries them, so none are made.
            (config.output.residual, config.output.psf) = (false, false);
            stream::run(&config, args.until_idle)
        }
    }
}

fn inbox(config: &Config, until_idle: bool) -> anyhow::Result<Exit> {
    if until_idle {
        let inbox = &config.input.dir;
        std::fs::read_dir(inbox).with_context(|| format!("input.dir {}", inbox.display())).context(Fault::Config)?;
    }
    let ledger = ledger(config)?;
    let hooks = ShutdownHooks::watch(config)?;
    // An image in work when we are asked to end at once did not kill us: that attempt must not count.
    let in_work = ledger.clone();
    hooks.first(move || in_work.reset_attempts());
    let assembly = assemble(config)?;
    let models = &assembly.models;
    let watching = Watching::new(&assembly, config);
    let patience = WatchTimeouts {
        poll_s: config.input.poll_interval_s.into(),
        settle_s: config.input.settle_s.into(),
        incomplete_after_s: config.input.incomplete_after_s.into(),
    };
    let survey = models.survey.clone();
    let readers = (loader(config, &survey), headers(config, &survey));
    let mut source = Inbox::new(config.input.dir.clone(), survey, readers, ledger.clone(), patience);
    if until_idle {
        source = source.until_idle();
    }
    let (writable, reach) = (ledger.clone(), source.reach());
    let checks = vec![
        Check::new("output", move || writable.probe().map_err(|e| e.to_string())),
        Check::new("inbox", move || reach.check()),
    ];
    let server = watching.serve(config, checks, &config.output.dir)?;
    let mut sink = sink(config, ledger, models)?;
    tracing::info!(
        inbox = %config.input.dir.display(), out = %config.output.dir.display(), http = %server.address(),
        model = models.identity.version, "ready"
    );
    let result = serve(config, assembly, &mut source, &mut sink, &limits(config), &hooks, &watching)?;
    let summary = ended(result, &config.output.dir)?;
    tracing::info!(processed = summary.processed, rejected = summary.rejected, "done");
    Ok(Exit::Done)
}
