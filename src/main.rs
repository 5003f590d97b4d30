//! Parse, dispatch, exit code.

mod cli;
mod commands;

use clap::Parser;
use cli::{Cli, Command};

use twinpeak_config::exit::{exit_of, in_a_line};
use twinpeak_nets::process;

fn main() {
    // Started by itself to decode one image apart: that, and nothing else.
    twinpeak_cfitsio::child::serve_if_asked();
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
        Command::Survey(args) => commands::survey::run(&args.command),
        Command::Train(args) => commands::train::run(&args),
    };
    let exit = done.unwrap_or_else(|error| {
        eprintln!("twinpeak: {}", in_a_line(&error));
        exit_of(&error)
    });
    process::leave(exit.code())
}
