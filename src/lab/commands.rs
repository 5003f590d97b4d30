//! One file a subcommand.

pub mod dataset;
mod sextractor;
pub mod study;
