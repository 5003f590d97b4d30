//! A folder of frames through the library, without the program: what `twinpeak process FRAMES --out OUT` does.
//!
//! ```sh
//! cargo run --release --example process_folder -- FRAMES OUT
//! ```
//!
//! Survey, model and device are the configuration's: `config/twinpeak.toml`, or variables `TWINPEAK__SECTION__KEY`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use twinpeak_config::{Layers, assemble};
use twinpeak_core::outcome::Outcome;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{Event, Probe};

/// Prints a line for each image that ends.
struct Lines;

impl Probe for Lines {
    fn on(&self, event: &Event<'_>) {
        let Event::Finished(finished) = event else { return };
        let image = &finished.image_id;
        match &finished.outcome {
            Outcome::Processed(products) => {
                let of = products.catalog.counts();
                println!("{image}: {} stars, {} galaxies, {} unclassified", of.stars, of.galaxies, of.unclassified);
            }
            Outcome::Rejected(rejection) => println!("{image}: rejected, {rejection}"),
            Outcome::Nothing => {}
        }
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (frames, out) = arguments.next().zip(arguments.next()).context("usage: process_folder FRAMES OUT")?;
    let out = out.to_string_lossy().into_owned();
    let config = Layers::from_file(None).environment().flag("OUT", "output.dir", Some(out)).load()?;

    // From the configuration to the parts: frames in, the nets on their device, results out.
    let survey = Arc::new(assemble::survey(&config)?);
    let mut source = assemble::file_list(&config, &survey, &[frames]);
    let assembly = assemble::assemble(&config)?;
    let sink = assemble::sink(&config, assemble::ledger(&config)?, &assembly.models)?;

    // `Stop::drain` from another thread would end it early, after the frames in flight.
    let (limits, stop) = (assemble::limits(&config), Stop::default());
    let summary = twinpeak_engine::run(&mut source, &assembly.models, assembly.devices, &sink, &limits, &stop, &Lines)?;
    println!("{} processed, {} rejected", summary.processed, summary.rejected);
    Ok(())
}
