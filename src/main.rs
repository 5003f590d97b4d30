//! Parse, dispatch, exit code.

use clap::Parser;
use twinpeak::cli::{Cli, Command};
use twinpeak::commands::{self, exit_of};
use twinpeak::torch;

fn main() {
    let done = match Cli::parse().command {
        Command::Process(args) => commands::process::run(&args),
        Command::Run(args) => commands::run::run(&args),
        Command::Submit(args) => commands::submit::run(&args),
        Command::Replay(args) => commands::replay::run(&args),
        Command::Summary(args) => commands::summary::run(&args),
        Command::Simulate(args) => commands::simulate::run(&args),
        Command::Evaluate(args) => commands::evaluate::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Health(args) => commands::health::run(&args),
        Command::Model(args) => commands::model::run(&args),
        Command::Study(args) => commands::study::run(&args),
        Command::Dataset(args) => commands::dataset::run(&args),
        Command::Train(args) => commands::train::run(&args),
    };
    let exit = done.unwrap_or_else(|error| {
        eprintln!("twinpeak: {}", commands::in_a_line(&error));
        exit_of(&error)
    });
    torch::process::leave(exit.code())
}
