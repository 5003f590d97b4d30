//! Commands that speak to a broker: `submit` and `replay`.

use std::path::PathBuf;

use clap::Args;

use twinpeak_config::args::ConfigArgs;
use twinpeak_config::{Config, ConfigError, Layers};
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::Reason;

pub(super) const SUBMIT: &str = "\
Tells the daemons of frames on disk or in a store: a message a field, on the broker's topic of new images.

Files are grouped into fields as `process` does it. Each message names the files of a field, and masks and weights \
that lie beside them, by absolute file:// URIs (or, with --s3-prefix, as they lie in a store); the daemons read them from there, so \
their remote.file_roots or remote.s3_buckets must allow it. A folder of a store, s3://BUCKET/FOLDER, is listed as \
remote.s3_* says, its bucket being one of remote.s3_buckets. Fields that are incomplete and files of other names are \
reported, and not sent. Each message is sent until the broker has it; one that it does not take within 120 s is reported. \
Sent twice, a field is processed twice, with the same sourceIds.

Exit code 3 where some fields could not be sent, 4 where none could, 9 where the broker does not answer.";

pub(super) const REPLAY: &str = "\
Sends rejected messages to the daemons again, each once.

Reads the topic of rejected messages from its beginning to its present end, and sends those that the options select as they \
once came (key, bytes, headers; the time is now) to the topic from which they came. What was sent is noted in the topic \
of replayed messages, in the same transaction: however often this is run, and whatever is killed, no rejection is \
replayed twice. (To replay one again on purpose, write a record without a value to that topic, under its key \
PARTITION-OFFSET.) A message that is rejected again is a new rejection. Only one replay runs at a time: one that is \
begun while another runs goes on in its place, and the other ends with exit code 9.

A message that was too large for the topic of rejected ones comes from the object store (remote.objects), or from where \
it still lies. One that cannot be had is reported.

Exit code 3 where some could not be sent, 4 where none could, 9 where the broker does not answer.";

/// `twinpeak submit`
#[derive(Args, Debug)]
pub struct SubmitArgs {
    /// Files of frames, or folders of them, or one folder of a store (s3://BUCKET/FOLDER); bands are grouped as
    /// `process` does it
    #[arg(required_unless_present = "table")]
    pub frames: Vec<PathBuf>,
    /// A table of fields, as of `process`
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// Most messages a second [default: as fast as the broker takes them]
    #[arg(long, value_name = "MESSAGES/S", value_parser = rate)]
    pub rate: Option<f64>,
    /// Name the files as they lie in a store, s3://BUCKET/FOLDER, under the names that they have here
    #[arg(long, value_name = "URI")]
    pub s3_prefix: Option<String>,
    /// Onto the topic of nights long past (kafka.input = "backfill"), whose daemons take what the live ones leave
    #[arg(long)]
    pub backfill: bool,
    /// The broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
}

impl SubmitArgs {
    /// The effective configuration: `--backfill` is `kafka.input`.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.broker.layers().flag("--backfill", "kafka.input", self.backfill.then(|| "backfill".into())).load()
    }
}

/// `twinpeak replay`
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Only what was rejected for this reason, e.g. too_old; may be given more than once
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Vec<Reason>,
    /// Only what was rejected of this image; may be given more than once
    #[arg(long, value_name = "ID", value_parser = ImageId::new)]
    pub image: Vec<ImageId>,
    /// Send at most so many messages
    #[arg(long, value_name = "MESSAGES")]
    pub limit: Option<usize>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// The broker of a command that speaks to one.
#[derive(Args, Debug)]
pub struct BrokerArgs {
    /// Brokers to begin with [default: kafka.bootstrap_servers of the configuration]
    #[arg(long, value_name = "HOST:PORT,...")]
    pub kafka: Option<String>,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl BrokerArgs {
    /// The effective configuration: `--kafka` is `kafka.bootstrap_servers`.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.layers().load()
    }

    fn layers(&self) -> Layers {
        self.config.layers().flag("--kafka", "kafka.bootstrap_servers", self.kafka.clone())
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| format!("{text:?} is not a number above 0"))
}

fn reason(text: &str) -> Result<Reason, String> {
    let all = Reason::ALL.map(Reason::name).join(", ");
    Reason::ALL.into_iter().find(|r| r.name() == text).ok_or_else(|| format!("{text:?} is none of {all}"))
}
