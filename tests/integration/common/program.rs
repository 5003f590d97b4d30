//! The program, with the shipped configuration.

use std::path::Path;
use std::process::Command;

use super::process;
pub use super::process::{Ended, Running, start};

/// The program at the workspace's root, where configuration and model are named from.
pub fn command(arguments: &[&str]) -> Command {
    process::command(env!("CARGO_BIN_EXE_twinpeak"), Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Ended {
    start(command(arguments)).wait()
}
