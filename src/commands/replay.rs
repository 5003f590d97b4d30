//! `twinpeak replay`: rejected messages go to the daemons again.

use std::convert::Infallible;

use anyhow::Context;

use crate::cli::ReplayArgs;
use twinpeak_config::Config;
use twinpeak_config::assemble::{start_log, survey};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_engine::flow::Stop;
use twinpeak_nets::process;
use twinpeak_stream::kafka::{NotReplayable, Rejected, Rejections, Replay, ReplayFilter};
use twinpeak_stream::message::Uri;
use twinpeak_stream::object_store::ObjectStore;
use twinpeak_telemetry::signals;

/// Runs it. Standard output has a line a message.
///
/// # Errors
/// A configuration or a broker that cannot be used; what cannot be sent is no error but a count in the exit code.
pub fn run(args: &ReplayArgs) -> anyhow::Result<Exit> {
    let config = args.broker.load()?;
    start_log(&config, None);
    let survey = survey(&config)?.profile().name.clone();
    let filter = ReplayFilter { reasons: args.reason.clone(), images: args.image.clone() };
    let limit = args.limit.unwrap_or(usize::MAX);
    if args.dry_run { list(&config, &survey, filter, limit) } else { replay(&config, &survey, filter, limit) }
}

fn list(config: &Config, survey: &str, filter: ReplayFilter, limit: usize) -> anyhow::Result<Exit> {
    let mut rejections = Rejections::open(&config.kafka, survey, filter).context(Fault::Broker)?;
    let mut count = 0;
    for rejected in rejections.by_ref().take(limit) {
        println!("{}", line("would be sent", &rejected.context(Fault::Broker)?));
        count += 1;
    }
    println!("{count} messages would be sent, {} were sent before", rejections.before());
    Ok(Exit::Done)
}

fn replay(config: &Config, survey: &str, filter: ReplayFilter, limit: usize) -> anyhow::Result<Exit> {
    let stop = Stop::default();
    let at_once = || -> Infallible { process::leave(Exit::Interrupted.code()) };
    signals::watch(stop.clone(), config.pipeline.drain_timeout_s.duration(), at_once)?;
    let remote = ObjectStore::new(&config.remote, config.input.max_file_bytes.get() as u64).context(Fault::Config)?;
    let fetch = |uri: &str| Ok(remote.get(&uri.parse::<Uri>()?)?);
    let replay = Replay::begin(&config.kafka, survey, &fetch).context(Fault::Broker)?;
    let (mut sent, mut failed) = (0, 0);
    let mut report = |rejected: &Rejected, why: Option<&NotReplayable>| match why {
        None => {
            sent += 1;
            println!("{}", line("sent", rejected));
        }
        Some(why) => {
            failed += 1;
            println!("{}\n    {why}", line("NOT sent", rejected));
        }
    };
    let before = replay.run(filter, limit, &stop, &mut report).context(Fault::Broker)?;
    println!("{sent} messages sent, {failed} not sent, {before} were sent before");
    Ok(if stop.requested() { Exit::Interrupted } else { Exit::of_counts(sent, failed) })
}

/// What is done with a message, in a line: why it was rejected, its image, its record's partition and offset, and what
/// was wrong.
fn line(what: &str, rejected: &Rejected) -> String {
    let (reason, image, name) = (rejected.reason(), rejected.image(), rejected.name());
    let message: String = rejected.message().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{what}  {reason:13}  {image}  {name}  {message}")
}
