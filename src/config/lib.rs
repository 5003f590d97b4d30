//! What both programs are set by: the configuration, exit codes, and from a configuration to its parts.
//!
//! Configuration is laid in layers, each over the one before: built-in defaults, the file, environment variables
//! `TWINPEAK__SECTION__KEY`, command-line flags. A key that does not exist, or a value that makes no sense, is
//! refused with where it was said, its key and the nearest key that exists. This crate is the only one that reads
//! the program's own variables; `twinpeak_stream::object_store` reads the object store's usual ones.
//!
//! # What it may know
//!
//! All that a daemon is made of: `twinpeak-core`, `-formats`, `-engine`, `-nets`, `-stream`, `-store`, `-telemetry`. It
//! is above them and none of them knows it: each takes its settings as values. It never knows what learns (`-learn`),
//! what is true (`-sim`) or a subcommand. It is a crate because two programs, `twinpeak` and `twinpeak-lab`, are set by
//! the same file and put nets on a device in the same way.
//!
//! # The modules
//!
//! In the order in which a command meets them:
//!
//! | module | what |
//! | --- | --- |
//! | [`args`] | flags that many commands share |
//! | `layers` | [`Layers`]: what was said, and by whom |
//! | `sections` | the keys and their defaults, as types that hold only what makes sense |
//! | [`assemble`] | survey, bundle, device, engine limits, sink: the parts that a configuration comes to |
//! | [`exit`] | exit codes, and whose fault an error is |
//!
//! # A file, a variable and a flag
//!
//! ```
//! use twinpeak_config::Layers;
//!
//! let file = "[pipeline]\nframes_in_flight = 7\n";
//! let config = Layers::from_text("night.toml".into(), file.into())
//!     .variables([("TWINPEAK__PIPELINE__FRAMES_IN_FLIGHT", "8")])
//!     .flag("--device", "device.choice", Some("cpu".into()))
//!     .load()?;
//! assert_eq!(config.pipeline.frames_in_flight.get(), 8);
//!
//! let typo = Layers::from_text("night.toml".into(), "[htp]\n".into()).load().unwrap_err();
//! assert_eq!(typo.to_string(), "night.toml: unknown key htp; the nearest that exists is http");
//! # Ok::<(), twinpeak_config::ConfigError>(())
//! ```

pub mod args;
pub mod assemble;
pub mod exit;
mod layers;
mod reference;
mod sections;
mod survey_file;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use twinpeak_stream::{kafka, object_store};

pub use layers::{Layers, USUAL_FILE};
pub use reference::{BandColumn, Reference, ReferenceError};
pub use sections::{
    Detection, Device, DeviceChoice, FalsePerField, Http, Input, Log, LogFormat, LogLevel, Model, Output, Pipeline,
    SegmenterKind, Shadow, Source, SurveyFile,
};

/// Everything that can be configured; `config/twinpeak.toml` documents each key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file that said it, if one did; no key.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// `[survey]`: the survey whose frames these are.
    pub survey: SurveyFile,
    /// `[model]`: the nets to use.
    pub model: Model,
    /// `[detection]`: how many false objects are bought for how many faint ones.
    pub detection: Detection,
    /// `[device]`: what the nets run on.
    pub device: Device,
    /// Where frames come from, and how large they may be.
    pub input: Input,
    /// `[output]`: where results go.
    pub output: Output,
    /// The broker, where frames are named by messages.
    pub kafka: kafka::Settings,
    /// Where messages may point, and where large results go.
    pub remote: object_store::Settings,
    /// How much is done at once.
    pub pipeline: Pipeline,
    /// A candidate for the model's place.
    pub shadow: Shadow,
    /// Known stars that frames are compared with.
    pub reference: Reference,
    /// Where metrics and health are served.
    pub http: Http,
    /// `[log]`: what is logged, and how.
    pub log: Log,
}

impl Config {
    /// The effective configuration in the file's own language.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("sections of scalars are always TOML")
    }
}

/// Why a configuration cannot be used: one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {problem}", file.display())]
    Unreadable {
        /// Path of the file.
        file: PathBuf,
        /// The system's error.
        problem: String,
    },
    /// Nothing says which daemon's file is meant.
    #[error("{} has several configurations: name one with --config ({})", folder.display(), names.join(", "))]
    Several {
        /// Folder that was searched.
        folder: PathBuf,
        /// Names of the files found there.
        names: Vec<String>,
    },
    /// The file is not TOML.
    #[error("{}: is not TOML: {}", file.display(), one_line(problem))]
    Syntax {
        /// Path of the file.
        file: PathBuf,
        /// The parser's message, with line and column.
        problem: String,
    },
    /// A key that the configuration does not have.
    #[error("{origin}: unknown key {}; the nearest that exists is {nearest}", one_line(key))]
    UnknownKey {
        /// The file, variable or flag that said it.
        origin: String,
        /// Key as it was given.
        key: String,
        /// Known key of the nearest spelling.
        nearest: String,
    },
    /// A value that makes no sense.
    #[error("{origin}: {}: {}", one_line(key), one_line(problem))]
    BadValue {
        /// The file, variable or flag that said it.
        origin: String,
        /// Key with its section.
        key: String,
        /// What is wrong, and what would do.
        problem: String,
    },
}

/// Keys and values are quoted as they were given, and they may hold line breaks.
fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/twinpeak.toml")
    }

    fn load(text: &str) -> Result<Config, ConfigError> {
        Layers::from_text("t.toml".into(), text.into()).load()
    }

    fn refusal(text: &str) -> String {
        let message = load(text).unwrap_err().to_string();
        assert!(!message.contains(char::is_control), "more than a line: {message}");
        assert!(message.contains("t.toml"), "does not name the file: {message}");
        message
    }

    #[test]
    fn the_shipped_file_is_the_defaults_and_names_every_key() {
        let text = std::fs::read_to_string(shipped()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
        let keys = |table: toml::Table| -> Vec<String> {
            table
                .iter()
                .flat_map(|(section, keys)| keys.as_table().unwrap().keys().map(move |k| format!("{section}.{k}")))
                .collect()
        };
        let all = keys(toml::from_str(&Config::default().to_toml()).unwrap());
        assert_eq!(keys(toml::from_str(&text).unwrap()), all);
    }

    #[test]
    fn paths_in_a_file_are_relative_to_its_folder_and_flags_to_where_one_is() {
        let config = Layers::from_file(Some(shipped())).load().unwrap();
        assert_eq!(config.survey.file, shipped().parent().unwrap().join("surveys/sdss.toml"));
        let flagged = Layers::from_file(Some(shipped())).flag("--out", "output.dir", Some("here".into())).load();
        assert_eq!(flagged.unwrap().output.dir, PathBuf::from("here"));
    }

    #[test]
    fn later_layers_win() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.toml");
        std::fs::write(&file, "[pipeline]\nframes_in_flight = 7\ndevice_threads = 3\n[device]\nchoice = \"cpu\"\n")
            .unwrap();
        let config = Layers::from_file(Some(file))
            .variables([
                ("TWINPEAK__PIPELINE__FRAMES_IN_FLIGHT", "8"),
                ("TWINPEAK__DEVICE__CHOICE", "auto"),
                ("TWINPEAK__OUTPUT__AVRO", "true"),
                ("OTHER", "1"),
            ])
            .flag("--device", "device.choice", Some("cuda:1".into()))
            .flag("--model", "model.bundle", None)
            .load()
            .unwrap();
        assert_eq!(config.pipeline.device_threads, 3); // the file's
        assert_eq!(config.pipeline.frames_in_flight.get(), 8); // the variable's
        assert!(config.output.avro); // the variable's
        assert_eq!(config.device.choice, DeviceChoice::Cuda(1)); // the flag's
        assert_eq!(config.log, Log::default());
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        for (text, key, nearest) in [
            ("[pipeline]\nframes_in_fligth = 3", "pipeline.frames_in_fligth", "pipeline.frames_in_flight"),
            ("[pipline]\nprepare_workers = 3", "pipline.prepare_workers", "pipeline.prepare_workers"),
            ("[input]\nframes_in_flight = 3", "input.frames_in_flight", "pipeline.frames_in_flight"),
            ("[htp]", "htp", "http"),
            ("bind = \"127.0.0.1:1\"", "bind", "http.bind"),
            ("[http]\n\"bi\\nd\" = 1", "http.bi d", "http.bind"),
        ] {
            let message = refusal(text);
            assert!(message.contains(&format!("key {key};")) && message.ends_with(nearest), "{message}");
        }
    }

    #[test]
    fn bad_values_are_refused_with_their_key() {
        for (text, key) in [
            ("[pipeline]\nframes_in_flight = 0", "pipeline.frames_in_flight"),
            ("[pipeline]\nframes_in_flight = 2.5", "pipeline.frames_in_flight"),
            ("[pipeline]\ndevice_threads = -1", "pipeline.device_threads"),
            ("[pipeline]\ndrain_timeout_s = \"long\"", "pipeline.drain_timeout_s"),
            ("[input]\npoll_interval_s = 0", "input.poll_interval_s"),
            ("[input]\nsettle_s = nan", "input.settle_s"),
            ("[device]\nchoice = \"gpu\"", "device.choice"),
            ("[log]\nformat = \"loud\"", "log.format"),
            ("[http]\nbind = \"localhost\"", "http.bind"),
            ("output = 3", "output"),
            ("[log]\nlevel = \"de\\nbug\"", "log.level"),
            ("[pipeline]\ndevice_threads = [\"1\\n\"]", "pipeline.device_threads"),
            ("[output]\ndir = [1]", "output.dir"),
            ("[output]\navro = \"yes\"", "output.avro"),
            ("[output]\navro = 1", "output.avro"),
        ] {
            let message = refusal(text);
            assert!(message.contains(&format!(" {key}: ")), "{message}");
        }
    }

    #[test]
    fn a_refusal_says_what_would_do() {
        let refused = refusal("[log]\nformat = \"loud\"");
        assert!(refused.contains("`auto`, `human`") && refused.ends_with("(the default is auto)"), "{refused}");
        assert!(refusal("[device]\nchoice = \"gpu\"").contains("auto, cpu, cuda:0"));
    }

    #[test]
    fn broken_and_absent_files_are_named() {
        assert!(refusal("[pipeline\n").contains("is not TOML"));
        let absent = Layers::from_file(Some("/no/such.toml".into())).load().unwrap_err().to_string();
        assert!(absent.starts_with("/no/such.toml: cannot be read: "), "{absent}");
    }

    #[test]
    fn variables_and_flags_are_named_too() {
        let variable = Layers::from_file(Some(shipped())).variables([("TWINPEAK__LOG__LEVL", "debug")]).load();
        assert_eq!(
            variable.unwrap_err().to_string(),
            "environment variable TWINPEAK__LOG__LEVL: unknown key log.levl; the nearest that exists is log.level"
        );
        let flag = Layers::from_file(Some(shipped())).flag("--device", "device.choice", Some("tpu".into())).load();
        assert!(flag.unwrap_err().to_string().starts_with("flag --device: device.choice: "));
    }
}
