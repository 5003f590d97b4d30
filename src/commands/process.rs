//! `twinpeak process`: frames from disk, then the end.

use std::convert::Infallible;
use std::sync::Arc;

use crate::cli::ProcessArgs;
use twinpeak_config::assemble::{assemble, ended, fields, ledger, limits, loader, sink, start_log, survey};
use twinpeak_config::exit::Exit;
use twinpeak_engine::flow::Stop;
use twinpeak_nets::process;
use twinpeak_store::FileList;
use twinpeak_telemetry::progress::FrameProgress;
use twinpeak_telemetry::signals;

/// Runs it.
///
/// # Errors
/// What made the run impossible or ended it early; a bad frame is no error but a count in the exit code.
pub fn run(args: &ProcessArgs) -> anyhow::Result<Exit> {
    let config = args.load()?;
    let survey = Arc::new(survey(&config)?);
    let fields = fields(&config, &survey, &args.frames, args.table.as_slice());
    let passed_over = fields.notes();
    let mut source = FileList::new(fields, loader(&config, &survey));
    let images = source.len() as u64;
    let progress = FrameProgress::new(images);
    start_log(&config, progress.bar());
    passed_over.iter().for_each(|note| tracing::warn!(note, "files passed over"));
    let stop = Stop::default();
    let ledger = ledger(&config)?;
    let at_once = || -> Infallible { process::leave(Exit::Interrupted.code()) };
    signals::watch(stop.clone(), config.pipeline.drain_timeout_s.duration(), at_once)?;
    let assembly = assemble(&config)?;
    let sink = sink(&config, ledger, &assembly.models)?;
    let result = twinpeak_engine::run(
        &mut source,
        &assembly.models,
        assembly.devices,
        &sink,
        &limits(&config),
        &stop,
        &progress,
    );
    progress.end();
    let summary = ended(result, &config.output.dir)?;
    if summary.processed + summary.rejected < images {
        return Ok(Exit::Interrupted);
    }
    Ok(Exit::of_counts(summary.processed, summary.rejected))
}
