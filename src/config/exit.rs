//! What a program's exit code says, and whose fault an error is.

use crate::ConfigError;
use twinpeak_core::causes::causes;

/// Exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All frames were processed, or the command did what it should.
    Done,
    /// A fault of ours or of the system's that has no code of its own.
    Failed,
    /// The command line was not understood; clap's own code.
    Usage,
    /// Some frames were rejected, or some messages could not be sent.
    SomeRejected,
    /// Every frame was rejected, or no message could be sent.
    AllRejected,
    /// The configuration or the survey's description cannot be used.
    BadConfig,
    /// The model bundle is missing, damaged or for another survey.
    BadModel,
    /// The device is absent, or failed for good.
    BadDevice,
    /// The output cannot be written.
    BadOutput,
    /// The broker refused, or the session with it was lost too often.
    BadBroker,
    /// A signal ended it before all was done.
    Interrupted,
}

impl Exit {
    /// All exit codes, in rising order.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::SomeRejected,
        Self::AllRejected,
        Self::BadConfig,
        Self::BadModel,
        Self::BadDevice,
        Self::BadOutput,
        Self::BadBroker,
        Self::Interrupted,
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SomeRejected => 3,
            Self::AllRejected => 4,
            Self::BadConfig => 5,
            Self::BadModel => 6,
            Self::BadDevice => 7,
            Self::BadOutput => 8,
            Self::BadBroker => 9,
            Self::Interrupted => 130, // 128 + SIGINT, as shells do
        }
    }

    /// What it means, in a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "all done: every frame was processed",
            Self::Failed => "an unexpected failure",
            Self::Usage => "the command line was not understood",
            Self::SomeRejected => {
                "some frames were rejected (see rejected/ in the output), or some messages could not be sent"
            }
            Self::AllRejected => "every frame was rejected (see rejected/ in the output), or no message could be sent",
            Self::BadConfig => "the configuration or survey description cannot be used",
            Self::BadModel => "the model bundle is missing, damaged or for another survey",
            Self::BadDevice => "the device is absent or failed",
            Self::BadOutput => "the output cannot be written",
            Self::BadBroker => "the broker refused, or the session with it was lost too often",
            Self::Interrupted => "a signal ended it before all was done",
        }
    }

    /// How a run over frames ended.
    pub fn of_counts(processed: u64, rejected: u64) -> Self {
        match (processed, rejected) {
            (_, 0) => Self::Done,
            (0, _) => Self::AllRejected,
            _ => Self::SomeRejected,
        }
    }

    /// All codes with their meanings, one a line, for `--help`.
    pub fn table() -> String {
        let lines = Self::ALL.map(|e| format!("{:5}  {}", e.code(), e.meaning()));
        format!("Exit codes:\n{}", lines.join("\n"))
    }
}

/// Whose fault an error is: the context that gives it its exit code.
///
/// ```
/// use anyhow::Context;
/// use twinpeak_config::exit::{Exit, Fault, exit_of};
/// let error = std::fs::read("/no/such").context(Fault::Model).unwrap_err();
/// assert_eq!(exit_of(&error), Exit::BadModel);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The configuration or the survey's description.
    #[error("the configuration cannot be used")]
    Config,
    /// The model bundle is missing, damaged or another survey's.
    #[error("the model cannot be used")]
    Model,
    /// The device is absent or failed.
    #[error("the device cannot be used")]
    Device,
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Output,
    /// The broker refused or was lost.
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

/// An error and its causes, in one line; a cause that was reported already is not repeated.
pub fn in_a_line(error: &anyhow::Error) -> String {
    causes(error.as_ref()).to_string()
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn codes_are_distinct_and_only_done_is_zero() {
        let mut codes: Vec<_> = Exit::ALL.iter().map(|e| e.code()).collect();
        assert_eq!(codes.iter().filter(|c| **c == 0).count(), 1);
        codes.dedup();
        assert!(codes.len() == Exit::ALL.len() && codes.is_sorted());
    }

    #[test]
    fn counts_decide() {
        assert_eq!(Exit::of_counts(3, 0), Exit::Done);
        assert_eq!(Exit::of_counts(2, 1), Exit::SomeRejected);
        assert_eq!(Exit::of_counts(0, 1), Exit::AllRejected);
        assert_eq!(Exit::of_counts(0, 0), Exit::Done);
    }

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
