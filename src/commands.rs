//! One file a subcommand: each wires the parts and runs.

pub mod check;
pub mod evaluate;
pub mod simulate;
