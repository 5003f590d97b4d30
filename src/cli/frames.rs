//! Commands that process frames: `process` and `run`; `check` and `health` look after them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use twinpeak_config::args::ConfigArgs;
use twinpeak_config::{Config, ConfigError};

/// `twinpeak process`
#[derive(Args, Debug)]
pub struct ProcessArgs {
    /// Files of frames, or folders of them; bands are grouped as the survey says: by file name, or by sky and time.
    /// A file named *.fields.csv is a table of fields
    #[arg(required_unless_present = "table")]
    pub frames: Vec<PathBuf>,
    /// A table of fields, of any name: id, band, path, and where wanted hdu, mask, mask_hdu, weight, weight_hdu
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// Where catalogues, masks, pictures and records go
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Write each catalogue as Avro too (IMAGE.catalog.avro)
    #[arg(long)]
    pub avro: bool,
    /// How many false objects a frame may have on average: more finds more faint ones [default:
    /// detection.false_per_field of the configuration]
    #[arg(long, value_name = "COUNT")]
    pub false_per_field: Option<String>,
    /// Write the models of all objects and what they leave (IMAGE.residual.fits, IMAGE.residual.png)
    #[arg(long)]
    pub residual: bool,
    /// Write each band's PSF in PSFEx's format (IMAGE.psf-BAND.fits)
    #[arg(long)]
    pub psf: bool,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl ProcessArgs {
    /// The effective configuration: `--out` is `output.dir`, `--avro` is `output.avro`, and so are `--residual` and `--psf`;
    /// `--false-per-field` is `detection.false_per_field`.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(&self) -> Result<Config, ConfigError> {
        let wanted = |asked: bool| asked.then(|| "true".to_owned());
        let layers = self.config.layers().flag("--avro", "output.avro", wanted(self.avro));
        let layers = layers.flag("--residual", "output.residual", wanted(self.residual));
        let layers = layers.flag("--psf", "output.psf", wanted(self.psf));
        layers
            .flag("--false-per-field", "detection.false_per_field", self.false_per_field.clone())
            .flag("--out", "output.dir", Some(self.out.to_string_lossy().into_owned()))
            .load()
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

/// `twinpeak check`
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The configuration file
    pub config: PathBuf,
}

/// `twinpeak model`
#[derive(Args, Debug)]
pub struct ModelArgs {
    /// What.
    #[command(subcommand)]
    pub command: ModelCommand,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What to do about the model in service.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Say which bundle is in service, which was before, and which is the candidate
    Show,
    /// Try a bundle and put it in service: model.bundle, a link, leads to it from then on
    Use {
        /// Its folder
        bundle: PathBuf,
    },
    /// Put the bundle that was in service before in service again
    Back,
    /// Show how the candidate in the shadow agrees with the model in service
    Report,
}

/// `twinpeak health`
#[derive(Args, Debug)]
pub struct HealthArgs {
    /// Where the daemon serves metrics and health [default: http.bind of the configuration]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<String>,
    /// Ask only whether the process lives, not whether it can work
    #[arg(long)]
    pub live: bool,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl HealthArgs {
    /// The effective configuration: `--http` is `http.bind`.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.config.layers().flag("--http", "http.bind", self.http.clone()).load()
    }
}
