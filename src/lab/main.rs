//! Parse, dispatch, exit code.

use clap::Parser;

use twinpeak_config::exit::{exit_of, in_a_line};
use twinpeak_lab::cli::{Cli, Command};
use twinpeak_lab::commands;
use twinpeak_nets::process;

fn main() {
    // Started by itself to decode one image apart: that, and nothing else.
    twinpeak_cfitsio::child::serve_if_asked();
    let done = match Cli::parse().command {
        Command::Study(args) => commands::study::run(&args),
        Command::Dataset(args) => commands::dataset::run(&args),
    };
    let exit = done.unwrap_or_else(|error| {
        eprintln!("twinpeak-lab: {}", in_a_line(&error));
        exit_of(&error)
    });
    process::leave(exit.code())
}
