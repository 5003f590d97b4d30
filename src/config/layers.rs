//! Laying layers over each other with the crate `config`. Every key is set by itself and the whole is parsed
//! again after it, so that a refusal always knows who said which key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::config::builder::DefaultState;
use ::config::{ConfigBuilder, FileFormat, Source, Value, ValueKind};
use serde::Deserialize;

use super::{Config, ConfigError};

/// Read where no file is named: here, or else in the nearest folder above the program that has it. Paths among
/// the defaults are relative to its folder.
pub const USUAL_FILE: &str = "config/twinpeak.toml";

/// Keys whose values are paths: relative to the file's folder when a file (or a default) says them.
const PATHS: [&str; 11] = [
    "survey.file",
    "model.bundle",
    "input.dir",
    "output.dir",
    "kafka.password_file",
    "kafka.ca_file",
    "kafka.state_dir",
    "remote.s3_credentials_file",
    "shadow.bundle",
    "shadow.report",
    "reference.catalog",
];

/// Keys whose values are never repeated.
const SECRETS: [&str; 1] = ["kafka.password"];

/// Where an installed machine keeps a file for each daemon. Where there is but one, that is read.
const SYSTEM_FOLDER: &str = "/etc/twinpeak";

const PREFIX: &str = "TWINPEAK__";

/// The layers above the built-in defaults, not yet read.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    file: Option<PathBuf>,
    /// What the file says, where it is not to be opened for that.
    text: Option<String>,
    variables: Vec<(String, String)>,
    flags: Vec<(&'static str, String, String)>,
}

/// What one layer says about one key.
struct Saying {
    origin: String,
    key: String,
    value: ValueKind,
}

impl Layers {
    /// Defaults and `file`; without one, [`USUAL_FILE`] where it is found, or else the one file in `/etc/twinpeak`.
    pub fn from_file(file: Option<PathBuf>) -> Self {
        Self { file, ..Self::default() }
    }

    /// As [`Self::from_file`], for a file that is not opened: this is what it says.
    pub fn from_text(file: PathBuf, text: String) -> Self {
        Self { file: Some(file), text: Some(text), ..Self::default() }
    }

    /// Adds the process's own environment.
    pub fn environment(self) -> Self {
        let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
        self.variables(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// Adds these environment variables; those without the prefix `TWINPEAK__` are nobody's business.
    pub fn variables<N: Into<String>, V: Into<String>>(mut self, all: impl IntoIterator<Item = (N, V)>) -> Self {
        let ours = all.into_iter().map(|(n, v)| (n.into(), v.into())).filter(|(n, _)| n.starts_with(PREFIX));
        self.variables.extend(ours);
        // The environment has no order of its own; which of two faults is reported should not be chance.
        self.variables.sort();
        self
    }

    /// Adds a command-line flag's value for a key, where the flag was given.
    pub fn flag(mut self, flag: &'static str, key: impl Into<String>, value: Option<String>) -> Self {
        self.flags.extend(value.map(|value| (flag, key.into(), value)));
        self
    }

    /// Reads, lays over each other and checks.
    ///
    /// # Errors
    /// [`ConfigError`]: the first fault, in the order of the layers.
    pub fn load(self) -> Result<Config, ConfigError> {
        // By way of text: the crate's own serializer forgets empty lists.
        let defaults = ::config::File::from_str(&Config::default().to_toml(), FileFormat::Toml);
        let known: BTreeMap<String, ValueKind> =
            flatten(defaults.collect().expect("the defaults are there")).into_iter().collect();
        let file = match &self.file {
            Some(file) => Some(file.clone()),
            None => usual_file(Path::new(SYSTEM_FOLDER))?,
        };
        let folder = file.as_deref().unwrap_or(Path::new(USUAL_FILE)).parent().unwrap_or(Path::new("")).to_owned();

        let mut builder = ::config::Config::builder().add_source(defaults);
        for key in PATHS {
            builder = set(builder, key, beside(&folder, known[key].clone()));
        }
        let said = match (&file, &self.text) {
            (Some(file), Some(text)) => understand(text, file, &folder)?,
            (Some(file), None) => understand(&read(file)?, file, &folder)?,
            (None, _) => Vec::new(),
        };
        let mut config = parse(&builder).expect("the defaults are a configuration");
        for saying in said.into_iter().chain(self.by_variables()).chain(self.by_flags()) {
            let Saying { origin, key, value } = saying;
            let refuse = |problem| ConfigError::BadValue { origin: origin.clone(), key: key.clone(), problem };
            match known.get(&key) {
                Some(_) if SECRETS.contains(&key.as_str()) && !matches!(value, ValueKind::String(_)) => {
                    return Err(refuse("is not text: write it in quotes".into()));
                }
                Some(like) => {
                    let refuse = |problem: String| refuse(format!("{problem} (the default is {like})"));
                    builder = set(builder, &key, fit(value, like).map_err(refuse)?);
                    config = parse(&builder).map_err(refuse)?;
                }
                None if !is_section(&key, &known) => {
                    return Err(ConfigError::UnknownKey { nearest: nearest(&key, &known), origin, key });
                }
                None if matches!(value, ValueKind::Table(_)) => {} // an empty section
                None => return Err(refuse(format!("is a section: write [{key}]"))),
            }
        }
        config.file = file;
        Ok(config)
    }

    fn by_variables(&self) -> impl Iterator<Item = Saying> {
        self.variables.iter().map(|(name, value)| Saying {
            origin: format!("environment variable {name}"),
            key: name[PREFIX.len()..].to_lowercase().replace("__", "."),
            value: ValueKind::String(value.clone()),
        })
    }

    fn by_flags(&self) -> impl Iterator<Item = Saying> {
        self.flags.iter().map(|(flag, key, value)| Saying {
            origin: format!("flag {flag}"),
            key: key.clone(),
            value: ValueKind::String(value.clone()),
        })
    }
}

/// [`USUAL_FILE`], if there is one. Above the program, so that one in its repository's `target/release` runs from
/// any folder.
fn usual_file(system: &Path) -> Result<Option<PathBuf>, ConfigError> {
    let here = Some(PathBuf::from(USUAL_FILE)).filter(|file| file.exists());
    let found = here.or_else(|| std::env::current_exe().ok().and_then(|program| usual_file_above(&program)));
    if found.is_some() { Ok(found) } else { only_file(system) }
}

/// The configuration in `folder`, where there is but one; none in a folder that is not there or cannot be read.
fn only_file(folder: &Path) -> Result<Option<PathBuf>, ConfigError> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    if files.len() > 1 {
        let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(ConfigError::Several { folder: folder.to_owned(), names: files.iter().map(name).collect() });
    }
    Ok(files.pop())
}

fn usual_file_above(program: &Path) -> Option<PathBuf> {
    program.ancestors().skip(1).map(|folder| folder.join(USUAL_FILE)).find(|file| file.exists())
}

/// By way of TOML's own values, whose refusals say which values would do.
fn parse(builder: &ConfigBuilder<DefaultState>) -> Result<Config, String> {
    let built = builder.build_cloned().and_then(|c| c.try_deserialize::<toml::Value>()).map_err(|e| cause(&e))?;
    Config::deserialize(built).map_err(|e| e.message().to_owned())
}

fn set(builder: ConfigBuilder<DefaultState>, key: &str, value: ValueKind) -> ConfigBuilder<DefaultState> {
    builder.set_override(key, value).expect("a known key is a valid path")
}

fn read(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|e| ConfigError::Unreadable { file: file.to_owned(), problem: e.to_string() })
}

/// What a file says, its paths made relative to where we are.
fn understand(text: &str, file: &Path, folder: &Path) -> Result<Vec<Saying>, ConfigError> {
    let table = ::config::File::from_str(text, FileFormat::Toml)
        .collect()
        .map_err(|e| ConfigError::Syntax { file: file.to_owned(), problem: cause(&e) })?;
    let origin = file.display().to_string();
    let saying = |(key, value): (String, ValueKind)| {
        let value = if PATHS.contains(&key.as_str()) { beside(folder, value) } else { value };
        Saying { origin: origin.clone(), key, value }
    };
    Ok(flatten(table).into_iter().map(saying).collect())
}

/// A relative path as seen from where we are.
fn beside(folder: &Path, value: ValueKind) -> ValueKind {
    match value {
        ValueKind::String(path) if path.is_empty() => ValueKind::String(path), // none
        ValueKind::String(path) => ValueKind::String(folder.join(path).to_string_lossy().into_owned()),
        other => other,
    }
}

/// Dotted keys and their values, sorted; an empty table stays as it is.
fn flatten(table: impl IntoIterator<Item = (String, Value)>) -> Vec<(String, ValueKind)> {
    let mut all = Vec::new();
    for (key, value) in table {
        match value.kind {
            ValueKind::Table(inner) if !inner.is_empty() => {
                all.extend(flatten(inner).into_iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            leaf => all.push((key, leaf)),
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// A value in the type of the key's default. Text stands for anything (variables and flags have no types);
/// otherwise nothing is converted: the crate would round 2.5 frames to 3.
fn fit(value: ValueKind, like: &ValueKind) -> Result<ValueKind, String> {
    use ValueKind::{Array, Boolean, Float, I64, I128, String as Text, U64, U128};
    match (value, like) {
        (v @ Text(_), Text(_)) | (v @ (I64(_) | U64(_)), I64(_) | U64(_) | Float(_)) | (v @ Float(_), Float(_)) => {
            Ok(v)
        }
        (Text(v), I64(_) | U64(_)) => v.parse().map(I64).map_err(|_| format!("{v:?} is not a whole number")),
        (v @ Boolean(_), Boolean(_)) | (v @ Array(_), Array(_)) => Ok(v),
        // A list is written with commas where there are no brackets.
        (Text(v), Array(_)) => {
            Ok(Array(v.split(',').map(str::trim).filter(|v| !v.is_empty()).map(Value::from).collect()))
        }
        (Text(v), Boolean(_)) => v.parse().map(Boolean).map_err(|_| format!("{v:?} is neither true nor false")),
        (Text(v), Float(_)) => v.parse().map(Float).map_err(|_| format!("{v:?} is not a number")),
        (I128(_) | U128(_), _) => Err("is too large".into()),
        (v, _) => Err(format!("{v} is not of its type")),
    }
}

fn is_section(key: &str, known: &BTreeMap<String, ValueKind>) -> bool {
    known.keys().any(|k| k.split_once('.').is_some_and(|(section, _)| section == key))
}

/// The key (or, for a lone word, the key or section) that was probably meant.
fn nearest(key: &str, known: &BTreeMap<String, ValueKind>) -> String {
    let last = |k: &str| k.rsplit('.').next().unwrap_or_default().to_owned();
    let likeness = |candidate: &str| {
        let whole = strsim::normalized_damerau_levenshtein(key, candidate);
        // The right key in the wrong section.
        let name = if last(key) == last(candidate) { 0.95 } else { 0.0 };
        whole.max(name)
    };
    let sections = known.keys().filter_map(|k| k.split_once('.')).map(|(section, _)| section);
    let candidates = known.keys().map(String::as_str).chain(sections.filter(|_| !key.contains('.')));
    let best = candidates.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.unwrap_or_default().to_owned()
}

/// The innermost reason, in one line.
fn cause(error: &::config::ConfigError) -> String {
    use ::config::ConfigError::{At, FileParse, Message, Type};
    match error {
        At { error, .. } => cause(error),
        Message(text) => text.clone(),
        Type { unexpected, expected, .. } => format!("{unexpected} is not {expected}"),
        FileParse { cause, .. } => {
            // TOML's own report draws the line with a gutter; its first and last lines say all.
            let text = cause.to_string();
            let lines = text.lines().filter(|l| !l.contains('|') && !l.trim().is_empty());
            lines.collect::<Vec<_>>().join(": ")
        }
        other => other.to_string().replace('\n', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installed_machines_only_file_is_read() {
        let etc = tempfile::tempdir().unwrap();
        assert_eq!(only_file(&etc.path().join("none")).unwrap(), None);
        std::fs::write(etc.path().join("sdss.env"), "").unwrap();
        assert_eq!(only_file(etc.path()).unwrap(), None);
        std::fs::write(etc.path().join("sdss.toml"), "").unwrap();
        assert_eq!(only_file(etc.path()).unwrap(), Some(etc.path().join("sdss.toml")));
        std::fs::write(etc.path().join("lsst.toml"), "").unwrap();
        let reported = only_file(etc.path()).unwrap_err().to_string();
        assert!(reported.contains("--config (lsst.toml, sdss.toml)"), "{reported}");
    }

    #[test]
    fn the_usual_file_is_the_nearest_above_the_program() {
        let root = tempfile::tempdir().unwrap();
        let file = |folder: &str| root.path().join(folder).join(USUAL_FILE);
        let program = root.path().join("repository/target/release/twinpeak");
        let elsewhere = |found: Option<PathBuf>| found.is_none_or(|f| !f.starts_with(root.path()));
        assert!(elsewhere(usual_file_above(&program)));
        for (folder, expected) in [("", ""), ("repository", "repository"), ("repository/docs", "repository")] {
            std::fs::create_dir_all(file(folder).parent().unwrap()).unwrap();
            std::fs::write(file(folder), "").unwrap();
            assert_eq!(usual_file_above(&program), Some(file(expected)));
        }
    }
}
