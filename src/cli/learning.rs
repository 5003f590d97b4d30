//! The command that learns: `train`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use twinpeak_config::args::ConfigArgs;

/// `twinpeak train`
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// Which net.
    #[command(subcommand)]
    pub net: TrainedNet,
}

/// Which net to train.
#[derive(Debug, Subcommand)]
pub enum TrainedNet {
    /// Train the net that finds objects
    Segmenter(TrainSegmenterArgs),
    /// Train the nets that tell stars from galaxies
    Classifier(TrainNetArgs),
}

/// `twinpeak train segmenter`
#[derive(Args, Debug)]
pub struct TrainSegmenterArgs {
    /// How it learns
    #[arg(long, value_enum, default_value_t)]
    pub by: SegmenterTraining,
    /// Steps of the training by injection: fewer are sooner done and find a little less [default: 4000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: Option<u32>,
    /// What both nets are trained with.
    #[command(flatten)]
    pub net: TrainNetArgs,
}

/// How the net that finds objects learns; neither way sees a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SegmenterTraining {
    /// On sources injected into the frames' own noise: finds most, and outlines best
    #[default]
    Injection,
    /// The paper's way: an auto-encoder's hypercolumns, and a head that a matched filter teaches
    Hypercolumns,
}

/// `twinpeak train classifier`, and what `twinpeak train segmenter` has in common with it
#[derive(Args, Debug)]
pub struct TrainNetArgs {
    /// Files of frames, or folders of them; no labels are read
    #[arg(long, value_name = "FRAMES", required = true, num_args = 1..)]
    pub frames: Vec<PathBuf>,
    /// The bundle to write; checkpoints lie in BUNDLE.work, and an interrupted training goes on where it stopped
    #[arg(long, value_name = "BUNDLE")]
    pub out: PathBuf,
    /// First seed of the ensemble
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Share of tiles and objects that are shown without one of their bands, 0 to 1 [default: .2 where the survey allows
    /// an image to lack a band, else 0]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub missing_bands: Option<f64>,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|e| format!("{e}"))?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("give a number from 0 to 1".into()) }
}
