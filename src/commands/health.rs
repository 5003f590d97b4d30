//! `twinpeak health`: is the daemon on this machine ready? For the health checks of containers.

use crate::cli::HealthArgs;
use twinpeak_config::exit::Exit;
use twinpeak_telemetry::ask::ask;

/// Runs it.
///
/// # Errors
/// The daemon is not well, or does not answer, and why.
pub fn run(args: &HealthArgs) -> anyhow::Result<Exit> {
    let address = args.load()?.http.bind;
    let path = if args.live { "/healthz" } else { "/readyz" };
    let answer =
        ask(address, path).map_err(|error| anyhow::anyhow!("no answer from http://{address}{path}: {error}"))?;
    if answer.status != 200 {
        anyhow::bail!("http://{address}{path} answers {}: {}", answer.status, answer.body);
    }
    println!("{}", answer.body);
    Ok(Exit::Done)
}
