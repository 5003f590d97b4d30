//! One file for each subcommand: it wires the parts and runs them.

pub mod simulate;
