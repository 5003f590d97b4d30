//! The command line: one file a group of subcommands.

mod frames;
mod learning;
mod scoring;
mod stream;

use clap::{Parser, Subcommand};

use crate::commands::simulate::SimulateArgs;
use crate::commands::survey::SurveyArgs;
use twinpeak_config::exit::Exit;

pub use frames::{CheckArgs, HealthArgs, ModelArgs, ModelCommand, ProcessArgs, RunArgs};
pub use learning::{SegmenterTraining, TrainArgs, TrainNetArgs, TrainSegmenterArgs, TrainedNet};
pub use scoring::{EvaluateArgs, SummaryArgs};
pub use stream::{ReplayArgs, SubmitArgs};

/// `twinpeak`
#[derive(Debug, Parser)]
#[command(name = "twinpeak", version, about, after_help = after_help())]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `--help` ends with.
fn after_help() -> String {
    format!(
        "{}\n\nData sets for trainings and the study of the paper's methods: twinpeak-lab, a program of its own",
        Exit::table()
    )
}

/// One for each file in `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Process frames from disk, then end
    Process(ProcessArgs),
    /// Process frames as they come, in a folder or named by messages, until a signal
    Run(RunArgs),
    /// Tell the daemons of frames on disk: a message a field, on the broker's topic of new images
    #[command(long_about = stream::SUBMIT)]
    Submit(SubmitArgs),
    /// Send rejected messages to the daemons again, each once
    #[command(long_about = stream::REPLAY)]
    Replay(ReplayArgs),
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
    /// Say what a survey's description makes of frames
    Survey(SurveyArgs),
    /// Put another model bundle in service, or the last one back
    Model(ModelArgs),
    /// Say whether the daemon on this machine is ready, or why it is not
    Health(HealthArgs),
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::CommandFactory;

    use super::*;
    use twinpeak_config::{DeviceChoice, SegmenterKind};

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
