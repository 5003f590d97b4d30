//! The sections of the configuration and their defaults. Whatever can be wrong by itself is a type that cannot
//! hold it, so a loaded configuration needs no further checks.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use twinpeak_core::extract;
use twinpeak_core::recipe::Recipe;
use twinpeak_core::units::{Seconds, Share};
use twinpeak_engine::Limits;
use twinpeak_formats::fits;
use twinpeak_store::WatchTimeouts;

fn nonzero(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("a default is not zero")
}

/// Section `[survey]`: which survey the frames are of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurveyFile {
    /// Path of the survey's description.
    pub file: PathBuf,
}

impl Default for SurveyFile {
    fn default() -> Self {
        Self { file: "surveys/sdss.toml".into() }
    }
}

/// What scores pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmenterKind {
    /// The segmentation net of the bundle.
    #[default]
    Net,
    /// A matched filter: the classical baseline.
    Threshold,
}

/// Section `[model]`: which nets are loaded, and what scores pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Folder of the model bundle.
    pub bundle: PathBuf,
    /// What scores pixels: the bundle's net or a matched filter.
    pub segmenter: SegmenterKind,
}

impl Default for Model {
    fn default() -> Self {
        Self { bundle: "model".into(), segmenter: SegmenterKind::Net }
    }
}

/// Section `[detection]`: how deep objects are looked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detection {
    /// How many false objects a frame may have.
    pub false_per_field: FalsePerField,
}

/// A number of false objects a frame: from .5, which takes a field's own noise to be told, to 300, beyond which objects
/// merge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct FalsePerField(f64);

impl FalsePerField {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Default for FalsePerField {
    fn default() -> Self {
        Self(Recipe::FALSE_PER_FIELD)
    }
}

impl TryFrom<f64> for FalsePerField {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        let fits = (0.5..=300.0).contains(&value);
        if fits { Ok(Self(value)) } else { Err(format!("{value} is not from 0.5 to 300 false objects a field")) }
    }
}

impl From<FalsePerField> for f64 {
    fn from(value: FalsePerField) -> f64 {
        value.0
    }
}

/// What the nets run on, as it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// A GPU where there is one, else the processor; the log says which and why.
    #[default]
    Auto,
    /// The processor, even where there is a GPU.
    Cpu,
    /// This GPU and no other; its absence is an error.
    Cuda(usize),
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("{text:?} is not one of auto, cpu, cuda:0, cuda:1, ...")),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> String {
        choice.to_string()
    }
}

/// Section `[device]`: what the nets run on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The device asked for: `auto`, `cpu` or `cuda:N`.
    pub choice: DeviceChoice,
}

/// Where `run` gets its frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Files in a watched folder.
    #[default]
    Inbox,
    /// Messages of a Kafka broker.
    Kafka,
}

/// Section `[input]`: where frames come from, how long is waited for them, and how large they may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Where `run` gets its frames.
    pub source: Source,
    /// The inbox that `run` watches.
    pub dir: PathBuf,
    /// Time between two scans of the folder, s.
    pub poll_interval_s: Seconds,
    /// A file that has not changed for so long is complete.
    pub settle_s: Seconds,
    /// A field with a band missing for so long is rejected.
    pub incomplete_after_s: Seconds,
    /// Largest input file, bytes; larger ones are rejected.
    pub max_file_bytes: NonZeroUsize,
    /// Largest file after unpacking, bytes.
    pub max_unpacked_bytes: NonZeroUsize,
    /// Largest image, width times height.
    pub max_pixels: NonZeroUsize,
}

impl Default for Input {
    fn default() -> Self {
        let (timeouts, limits) = (WatchTimeouts::default(), fits::Limits::default());
        let nonzero_u64 = |value: u64| nonzero(usize::try_from(value).expect("a default fits into memory"));
        Self {
            source: Source::Inbox,
            dir: "../night/inbox".into(),
            poll_interval_s: Seconds::of(timeouts.poll_s),
            settle_s: Seconds::of(timeouts.settle_s),
            incomplete_after_s: Seconds::of(timeouts.incomplete_after_s),
            max_file_bytes: nonzero_u64(limits.max_file_bytes),
            max_unpacked_bytes: nonzero_u64(limits.max_unpacked_bytes),
            max_pixels: nonzero_u64(limits.max_pixels),
        }
    }
}

/// Section `[output]`: where results are written, and in which formats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Folder that `run` writes into.
    pub dir: PathBuf,
    /// Whether catalogues are written as Avro too.
    pub avro: bool,
    /// Whether models and residuals are written.
    pub residual: bool,
    /// Whether each band's PSF is written.
    pub psf: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self { dir: "../night/out".into(), avro: false, residual: false, psf: false }
    }
}

/// Section `[pipeline]`: how many frames and threads work at once, and how far blends are split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Most frames between ingest and publish; bounds memory.
    pub frames_in_flight: NonZeroUsize,
    /// Threads that read and prepare frames.
    pub prepare_workers: NonZeroUsize,
    /// Threads that own nets; 0: one a core on a processor, one on a GPU.
    pub device_threads: usize,
    /// After a first signal, the time given to frames in flight.
    pub drain_timeout_s: Seconds,
    /// Most objects that one connected component is split into.
    pub deblend_max_children: NonZeroUsize,
    /// Largest connected component that is split.
    pub deblend_max_component_px: NonZeroUsize,
}

impl Default for Pipeline {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            frames_in_flight: nonzero(limits.frames_in_flight),
            prepare_workers: nonzero(limits.workers),
            device_threads: 0,
            drain_timeout_s: Seconds::of(30.0),
            deblend_max_children: nonzero(extract::Settings::MAX_CHILDREN),
            deblend_max_component_px: nonzero(extract::Settings::MAX_COMPONENT_PX),
        }
    }
}

/// Section `[http]`: where health and metrics are served, and when `run` counts as ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where `run` serves /metrics, /healthz and /readyz.
    pub bind: SocketAddr,
    /// `/readyz` asks for a real inference on the device no longer ago than this.
    pub inference_within_s: Seconds,
    /// It asks too that no frame be in one stage between reading and publishing for longer than this; nor is the
    /// service manager's watchdog fed then.
    pub progress_within_s: Seconds,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 9311).into(),
            inference_within_s: Seconds::of(60.0),
            progress_within_s: Seconds::of(600.0),
        }
    }
}

/// Section `[shadow]`: which candidate model works on a share of the frames beside the one in service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Folder of a candidate's bundle, which does a share of the frames too and publishes nothing. Empty: none.
    pub bundle: PathBuf,
    /// Share of frames that the candidate sees, 0..1.
    pub share: Share,
    /// The file that says how the candidate and the model in service agree.
    pub report: PathBuf,
}

impl Default for Shadow {
    fn default() -> Self {
        Self { bundle: PathBuf::new(), share: Share::of(0.1), report: "../night/shadow.json".into() }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For a person where standard error is a terminal, else for a machine.
    #[default]
    Auto,
    /// Lines for a person.
    Human,
    /// For a machine: one object a line, the frame's span within.
    Json,
}

/// The least severe level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Failures that stop something.
    Error,
    /// What somebody should look at.
    Warn,
    /// Each image's end, and changes of state.
    #[default]
    Info,
    /// Each step, with its reason.
    Debug,
    /// Everything else.
    Trace,
}

/// Section `[log]`: how much is logged, and in which format.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How each line looks.
    pub format: LogFormat,
    /// The least severe level that is logged.
    pub level: LogLevel,
}
