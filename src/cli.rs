//! The command line.

mod exit;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::simulate::SimulateArgs;
use crate::config::{Config, ConfigError, Layers};

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
    /// Write simulated fields and the truth about them
    Simulate(SimulateArgs),
    /// Train one of the two nets on frames without labels
    Train(TrainArgs),
    /// Tell what came of a night, in a table with a line a field
    Summary(SummaryArgs),
    /// Score a catalogue against the truth, by magnitude and with pictures
    Evaluate(EvaluateArgs),
    /// Say what a configuration would run, or what is wrong with it
    Check(CheckArgs),
}

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
