//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use twinpeak_config::args::ConfigArgs;
use twinpeak_config::exit::Exit;

/// `twinpeak-lab`
#[derive(Debug, Parser)]
#[command(name = "twinpeak-lab", version, about, after_help = Exit::table())]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One for each file in `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Cut and measure the objects of many frames once, for all trainings
    Dataset(DatasetArgs),
    /// Run every method of the paper, repeated, and write the tables and pictures
    Study(StudyArgs),
}

/// `twinpeak-lab dataset`
#[derive(Args, Debug)]
pub struct DatasetArgs {
    /// The data set's folder; an interrupted making goes on where it stopped. What is true of simulated objects lies in
    /// DIR.truth, which no training reads
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// From simulated fields; no seed and no PSF is in two parts
    #[arg(long, required_unless_present = "frames", conflicts_with = "frames")]
    pub simulate: bool,
    /// From these files of frames, or folders of them; no image is in two parts, and no labels are read
    #[arg(long, value_name = "FRAMES", num_args = 1..)]
    pub frames: Vec<PathBuf>,
    /// Objects to train on; of frames at most so many
    #[arg(long, value_name = "OBJECTS", default_value_t = 100_000)]
    pub train: usize,
    /// Objects to validate on; of frames at most so many
    #[arg(long, value_name = "OBJECTS", default_value_t = 20_000)]
    pub validate: usize,
    /// Objects to test on; of frames at most so many
    #[arg(long, value_name = "OBJECTS", default_value_t = 20_000)]
    pub test: usize,
    /// Of the simulated nights
    #[arg(long, default_value_t = 1, conflicts_with = "frames")]
    pub seed: u64,
    /// As many objects of each magnitude from 15 to 22.5, half of them stars, instead of the sky's own counts
    #[arg(long, conflicts_with = "frames")]
    pub flat: bool,
    /// Pixels in a row of a simulated field
    #[arg(long, value_name = "PX", default_value_t = 2048, conflicts_with = "frames")]
    pub width: usize,
    /// Rows of a simulated field
    #[arg(long, value_name = "PX", default_value_t = 1489, conflicts_with = "frames")]
    pub height: usize,
    /// Measure what the study's baselines need of the test objects, into DIR.baselines: SExtractor's CLASS_STAR (where
    /// source-extractor is installed) and psf - model. With the arguments of a set that is there, this alone
    #[arg(long)]
    pub baselines: bool,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// `twinpeak-lab study`
#[derive(Args, Debug)]
pub struct StudyArgs {
    /// What is to be run
    #[arg(long, value_name = "FILE", default_value = "config/study.toml")]
    pub config: PathBuf,
    /// Where runs, tables and pictures are kept; what was run already is not run again. benches/study unless said, and
    /// out/study/quick for a quick one
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// One seed, 1,000 objects, two passes of the nets over whole cutouts: some minutes instead of hours, to see that
    /// all works
    #[arg(long)]
    pub quick: bool,
    /// Only methods with this in their name
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// List the runs of star/galaxy methods that would be made (sky, method, seed, settings), and make none
    #[arg(long)]
    pub dry_run: bool,
}
