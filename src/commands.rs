//! One file a subcommand: each wires the parts and runs. Errors are `anyhow` here and nowhere below; one that
//! has an exit code of its own carries a [`Fault`] as context.

pub mod assemble;
pub mod check;
pub mod dataset;
pub mod evaluate;
pub mod health;
pub mod model;
mod page;
pub mod process;
mod reload;
pub mod replay;
pub mod run;
mod serve;
mod sextractor;
mod shadow;
pub mod simulate;
pub mod stream;
pub mod study;
pub mod submit;
pub mod summary;
pub mod train;

use std::path::Path;

use anyhow::Context;

use crate::cli::Exit;
use crate::config::{Config, ConfigError};
use crate::survey::Survey;

/// Whose fault an error is: the context that gives it its exit code.
///
/// ```
/// use anyhow::Context;
/// use twinpeak::{cli::Exit, commands::{Fault, exit_of}};
/// let error = std::fs::read("/no/such").context(Fault::Model).unwrap_err();
/// assert_eq!(exit_of(&error), Exit::BadModel);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The configuration or the survey's description.
    #[error("the configuration cannot be used")]
    Config,
    /// The model bundle.
    #[error("the model cannot be used")]
    Model,
    /// The device.
    #[error("the device cannot be used")]
    Device,
    /// The output.
    #[error("the output cannot be written")]
    Output,
    /// The broker.
    #[error("the broker cannot be used")]
    Broker,
}

/// The exit code for an error that reached `main`.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    if error.chain().any(|e| e.is::<ConfigError>()) {
        return Exit::BadConfig;
    }
    match error.downcast_ref::<Fault>() {
        Some(Fault::Config) => Exit::BadConfig,
        Some(Fault::Model) => Exit::BadModel,
        Some(Fault::Device) => Exit::BadDevice,
        Some(Fault::Output) => Exit::BadOutput,
        Some(Fault::Broker) => Exit::BadBroker,
        None => Exit::Failed,
    }
}

/// An error and its causes, in one line; a cause that was told already is not told again.
pub fn in_a_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let cause = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if !line.contains(&cause) {
            let joint = if line.is_empty() { "" } else { ": " };
            line = line + joint + &cause;
        }
    }
    line
}

/// The survey that the configuration names.
///
/// # Errors
/// With [`Fault::Config`], naming the file.
pub fn survey(config: &Config) -> anyhow::Result<Survey> {
    survey_of(&config.survey.file)
}

/// Reads a survey's file.
///
/// # Errors
/// The file cannot be read, or something in it is wrong.
pub fn survey_of(file: &Path) -> anyhow::Result<Survey> {
    let named = || format!("survey.file {}", file.display());
    let text = std::fs::read_to_string(file).with_context(named).context(Fault::Config)?;
    Survey::parse(&text).with_context(named).context(Fault::Config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_find_their_exit_code_under_further_context() {
        let io = || std::io::Error::other("disk");
        let output = Err::<(), _>(io()).context(Fault::Output).context("while publishing").unwrap_err();
        assert_eq!(exit_of(&output), Exit::BadOutput);
        let config = ConfigError::Syntax { file: "f".into(), problem: "p".into() };
        assert_eq!(exit_of(&anyhow::Error::new(config).context("at start")), Exit::BadConfig);
        assert_eq!(exit_of(&io().into()), Exit::Failed);
    }

    #[test]
    fn an_error_is_told_in_one_line_and_each_cause_once() {
        let error = anyhow::anyhow!("no\n  room").context("\"f\" was not written (no room)").context(Fault::Output);
        assert_eq!(in_a_line(&error), "the output cannot be written: \"f\" was not written (no room)");
    }
}
