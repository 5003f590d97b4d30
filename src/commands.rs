//! One file a subcommand: each wires the parts and runs. Errors are `anyhow` here and nowhere below; one that
//! has an exit code of its own carries a [`Fault`](twinpeak_config::exit::Fault) as context.

pub mod check;
pub mod evaluate;
pub mod health;
pub mod model;
mod page;
pub mod process;
mod reload;
pub mod replay;
pub mod run;
mod serve;
mod shadow;
pub mod simulate;
pub mod stream;
pub mod submit;
pub mod summary;
pub mod train;
