//! The command line.

mod exit;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::simulate::SimulateArgs;
use crate::config::{Config, ConfigError, Layers};
use crate::frame::ImageId;
use crate::pipeline::ports::Reason;

pub use exit::Exit;

/// `twinpeak`
#[derive(Debug, Parser)]
#[command(name = "twinpeak", version, about, after_help = Exit::table())]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One for each file in `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Process frames from disk, then end
    Process(ProcessArgs),
    /// Process frames as they come, in a folder or named by messages, until a signal
    Run(RunArgs),
    /// Tell the daemons of frames on disk: a message a field, on the broker's topic of new images
    #[command(long_about = SUBMIT)]
    Submit(SubmitArgs),
    /// Send rejected messages to the daemons again, each once
    #[command(long_about = REPLAY)]
    Replay(ReplayArgs),
    /// Write simulated fields and the truth about them
    Simulate(SimulateArgs),
    /// Cut and measure the objects of many frames once, for all trainings
    Dataset(DatasetArgs),
    /// Run every method of the paper, repeated, and write the tables and pictures
    Study(StudyArgs),
    /// Train one of the two nets on frames without labels
    Train(TrainArgs),
    /// Tell what came of a night, in a table with a line a field
    Summary(SummaryArgs),
    /// Score a catalogue against the truth, by magnitude and with pictures
    Evaluate(EvaluateArgs),
    /// Say what a configuration would run, or what is wrong with it
    Check(CheckArgs),
}

const SUBMIT: &str = "\
Tells the daemons of frames on disk: a message a field, on the broker's topic of new images.

Files are grouped into fields by the survey's file names, as `process` does it. Each message names the five files of a \
field by absolute file:// URIs (or, with --s3-prefix, as they lie in a store); the daemons read them from there, so \
their remote.file_roots or remote.s3_buckets must allow it. Fields that are incomplete and files of other names are \
told, and not sent. Each message is sent until the broker has it; one that it does not take within 120 s is told. \
Sent twice, a field is processed twice, with the same sourceIds.

Exit code 3 where some fields could not be sent, 4 where none could, 9 where the broker does not answer.";

const REPLAY: &str = "\
Sends rejected messages to the daemons again, each once.

Reads the topic of rejected messages from its beginning to its present end, and sends those that are wished for as they \
once came (key, bytes, headers; the time is now) to the topic from which they came. What was sent is noted in the topic \
of replayed messages, in the same transaction: however often this is run, and whatever is killed, no rejection is \
replayed twice. (To replay one again on purpose, write a record without a value to that topic, under its key \
PARTITION-OFFSET.) A message that is rejected again is a new rejection. Only one replay runs at a time: one that is \
begun while another runs goes on in its place, and the other ends with exit code 9.

A message that was too large for the topic of rejected ones comes from the object store (remote.objects), or from where \
it still lies. One that cannot be had is told.

Exit code 3 where some could not be sent, 4 where none could, 9 where the broker does not answer.";

/// Where the configuration comes from; these flags win over variables, which win over the file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Configuration file [default: config/twinpeak.toml, here or in a folder above the program]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Survey description [default: survey.file of the configuration]
    #[arg(long, value_name = "FILE")]
    pub survey: Option<PathBuf>,
    /// Folder of the model bundle [default: model.bundle of the configuration]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// What the nets run on: auto, cpu, cuda:0, ... [default: device.choice of the configuration]
    #[arg(long)]
    pub device: Option<String>,
    /// What finds objects: net or threshold [default: model.segmenter of the configuration]
    #[arg(long)]
    pub segmenter: Option<String>,
    /// Any other key, e.g. --set pipeline.frames_in_flight=2
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

impl ConfigArgs {
    /// The layers that these arguments name; a command adds its own flags before it loads them.
    pub fn layers(&self) -> Layers {
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.to_string_lossy().into_owned());
        let mut layers = Layers::from_file(self.config.clone()).environment();
        for (key, value) in &self.set {
            layers = layers.flag("--set", key, Some(value.clone()));
        }
        layers
            .flag("--survey", "survey.file", path(&self.survey))
            .flag("--model", "model.bundle", path(&self.model))
            .flag("--device", "device.choice", self.device.clone())
            .flag("--segmenter", "model.segmenter", self.segmenter.clone())
    }

    /// The effective configuration, for a command without flags of its own.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.layers().load()
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// `twinpeak process`
#[derive(Args, Debug)]
pub struct ProcessArgs {
    /// Files of frames, or folders of them; bands are grouped by file name
    #[arg(required = true)]
    pub frames: Vec<PathBuf>,
    /// Where catalogues, masks, pictures and records go
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Write each catalogue as Avro too (IMAGE.catalog.avro)
    #[arg(long)]
    pub avro: bool,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl ProcessArgs {
    /// The effective configuration: `--out` is `output.dir`, `--avro` is `output.avro`.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(&self) -> Result<Config, ConfigError> {
        let layers = self.config.layers().flag("--avro", "output.avro", self.avro.then(|| "true".to_owned()));
        layers.flag("--out", "output.dir", Some(self.out.to_string_lossy().into_owned())).load()
    }
}

/// `twinpeak run`
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The folder to watch for frames [default: input.dir of the configuration]
    #[arg(long, value_name = "DIR")]
    pub inbox: Option<PathBuf>,
    /// Brokers to take messages from, instead of watching a folder [default: as input.source says]
    #[arg(long, value_name = "HOST:PORT,...", conflicts_with = "inbox")]
    pub kafka: Option<String>,
    /// Where catalogues, masks, pictures and records of an inbox go [default: output.dir of the configuration]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where metrics and health are served [default: http.bind of the configuration]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<String>,
    /// End when nothing is left to do, instead of waiting for more
    #[arg(long)]
    pub until_idle: bool,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl RunArgs {
    /// The effective configuration: `--inbox` is `input.dir`, `--kafka` is `kafka.bootstrap_servers`, either is
    /// `input.source`, `--out` is `output.dir`.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(&self) -> Result<Config, ConfigError> {
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.to_string_lossy().into_owned());
        self.config
            .layers()
            .flag("--inbox", "input.dir", path(&self.inbox))
            .flag("--inbox", "input.source", self.inbox.as_ref().map(|_| "inbox".into()))
            .flag("--kafka", "kafka.bootstrap_servers", self.kafka.clone())
            .flag("--kafka", "input.source", self.kafka.as_ref().map(|_| "kafka".into()))
            .flag("--out", "output.dir", path(&self.out))
            .flag("--http", "http.bind", self.http.clone())
            .load()
    }
}

/// `twinpeak submit`
#[derive(Args, Debug)]
pub struct SubmitArgs {
    /// Files of frames, or folders of them; bands are grouped by file name
    #[arg(required = true)]
    pub frames: Vec<PathBuf>,
    /// Most messages a second [default: as fast as the broker takes them]
    #[arg(long, value_name = "MESSAGES/S", value_parser = rate)]
    pub rate: Option<f64>,
    /// Name the files as they lie in a store, s3://BUCKET/FOLDER, under the names that they have here
    #[arg(long, value_name = "URI")]
    pub s3_prefix: Option<String>,
    /// The broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
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
        self.config.layers().flag("--kafka", "kafka.bootstrap_servers", self.kafka.clone()).load()
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

/// `twinpeak dataset`
#[derive(Args, Debug)]
pub struct DatasetArgs {
    /// The data set's folder; an interrupted making goes on where it stopped. What is true of simulated objects lies in
    /// DIR.truth, which no training reads
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// From simulated fields; no seed and no PSF is in two parts
    #[arg(long, required_unless_present = "frames", conflicts_with = "frames")]
    pub simulate: bool,
    /// From these files of frames, or folders of them; no image is in two parts, and no labels are read
    #[arg(long, value_name = "FRAMES", num_args = 1..)]
    pub frames: Vec<PathBuf>,
    /// Objects to train on; of frames at most so many
    #[arg(long, value_name = "OBJECTS", default_value_t = 100_000)]
    pub train: usize,
    /// Objects to validate on; of frames at most so many
    #[arg(long, value_name = "OBJECTS", default_value_t = 20_000)]
    pub validate: usize,
    /// Objects to test on; of frames at most so many
    #[arg(long, value_name = "OBJECTS", default_value_t = 20_000)]
    pub test: usize,
    /// Of the simulated nights
    #[arg(long, default_value_t = 1, conflicts_with = "frames")]
    pub seed: u64,
    /// As many objects of each magnitude from 15 to 22.5, half of them stars, instead of the sky's own counts
    #[arg(long, conflicts_with = "frames")]
    pub flat: bool,
    /// Pixels in a row of a simulated field
    #[arg(long, value_name = "PX", default_value_t = 2048, conflicts_with = "frames")]
    pub width: usize,
    /// Rows of a simulated field
    #[arg(long, value_name = "PX", default_value_t = 1489, conflicts_with = "frames")]
    pub height: usize,
    /// Measure what the study's baselines need of the test objects, into DIR.baselines: SExtractor's CLASS_STAR (where
    /// source-extractor is installed) and psf - model. With the arguments of a set that is there, this alone
    #[arg(long)]
    pub baselines: bool,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// `twinpeak study`
#[derive(Args, Debug)]
pub struct StudyArgs {
    /// What is to be run
    #[arg(long, value_name = "FILE", default_value = "config/study.toml")]
    pub config: PathBuf,
    /// Where runs, tables and pictures are kept; what was run already is not run again. benches/study unless said, and
    /// out/study/quick for a quick one
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// One seed, 1,000 objects, two passes of the nets over whole cutouts: some minutes instead of hours, to see that
    /// all works
    #[arg(long)]
    pub quick: bool,
    /// Only methods with this in their name
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
}

/// `twinpeak train`
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// Which net.
    #[command(subcommand)]
    pub net: TrainedNet,
}

/// Which net to train.
#[derive(Debug, Subcommand)]
pub enum TrainedNet {
    /// Train the net that finds objects
    Segmenter(TrainNetArgs),
    /// Train the nets that tell stars from galaxies
    Classifier(TrainNetArgs),
}

/// `twinpeak train segmenter`, `twinpeak train classifier`
#[derive(Args, Debug)]
pub struct TrainNetArgs {
    /// Files of frames, or folders of them; no labels are read
    #[arg(long, value_name = "FRAMES", required = true, num_args = 1..)]
    pub frames: Vec<PathBuf>,
    /// The bundle to write; checkpoints lie in BUNDLE.work, and an interrupted training goes on where it stopped
    #[arg(long, value_name = "BUNDLE")]
    pub out: PathBuf,
    /// First seed of the ensemble
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// `twinpeak summary`
#[derive(Args, Debug)]
pub struct SummaryArgs {
    /// A folder of results, of `process` or `run`
    pub out: PathBuf,
    /// Folder of the truth that `simulate` wrote (truth-IMAGE.csv): adds how complete and how right the catalogues are
    #[arg(long, value_name = "DIR")]
    pub truth: Option<PathBuf>,
    /// Write the scores of all fields into this model bundle's manifest, as what it was measured to do
    #[arg(long, value_name = "BUNDLE", requires = "truth")]
    pub record: Option<PathBuf>,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// `twinpeak evaluate`
#[derive(Args, Debug)]
pub struct EvaluateArgs {
    /// A catalogue that this program wrote (IMAGE.catalog.parquet)
    pub catalog: PathBuf,
    /// The truth: a table of `simulate` (truth-IMAGE.csv), or STEM of STEM_stars.csv and STEM_gals.csv with lines
    /// `x,y` (0-based pixels of the reference band)
    pub truth: PathBuf,
    /// Folder of the field's frames: true objects without a magnitude get one, measured at their position
    #[arg(long, value_name = "DIR")]
    pub frames: Option<PathBuf>,
    /// Where IMAGE.evaluation.json, IMAGE.roc.png and IMAGE.reliability.png go [default: beside the catalogue]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// `twinpeak check`
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The configuration file
    pub config: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::{DeviceChoice, SegmenterKind};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_reach_the_configuration() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/twinpeak.toml");
        let line = format!(
            "twinpeak process a.fits b.fits --out here --config {file} --device cuda:2 --segmenter threshold \
             --model m --set pipeline.frames_in_flight=9"
        );
        let Command::Process(args) = Cli::try_parse_from(line.split(' ').filter(|w| !w.is_empty())).unwrap().command
        else {
            panic!("not process")
        };
        let config = args.load().unwrap();
        assert_eq!(args.frames.len(), 2);
        assert_eq!(config.output.dir, PathBuf::from("here"));
        assert_eq!(config.model.bundle, PathBuf::from("m"));
        assert_eq!(config.device.choice, DeviceChoice::Cuda(2));
        assert_eq!(config.model.segmenter, SegmenterKind::Threshold);
        assert_eq!(config.pipeline.frames_in_flight.get(), 9);
    }

    #[test]
    fn help_documents_every_exit_code() {
        let help = Cli::command().render_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(exit.meaning()), "{exit:?}");
        }
    }
}
