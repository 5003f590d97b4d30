//! One file a subcommand: each wires the parts and runs. Errors are `anyhow` here and nowhere below; one that
//! has an exit code of its own carries a [`Fault`] as context.

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
pub mod survey;
pub mod train;

use std::io::{ErrorKind, Write};

use anyhow::Context;

use twinpeak_config::exit::Fault;

/// Prints what a command answers. That nobody reads it any more is no fault; a full disk is.
///
/// # Errors
/// With [`Fault::Output`].
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output").context(Fault::Output)
        }
        _ => Ok(()),
    }
}

/// Lines of columns as wide as they need, the first flush left, the others right.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(i, cell)| match i {
            0 => format!("{cell:<0$}", width(0)),
            _ => format!("  {cell:>0$}", width(i)),
        });
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
