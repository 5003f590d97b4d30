//! Commands that look at results: `summary` and `evaluate`.

use std::path::PathBuf;

use clap::Args;

use twinpeak_config::args::ConfigArgs;

/// `twinpeak summary`
#[derive(Args, Debug)]
pub struct SummaryArgs {
    /// A folder of results, of `process` or `run`
    pub out: PathBuf,
    /// Folder of the truth that `simulate` wrote (truth-IMAGE.csv): adds how complete and how right the catalogues are
    #[arg(long, value_name = "DIR")]
    pub truth: Option<PathBuf>,
    /// Write the scores of all fields into this model bundle's manifest, as what it was measured to do
    #[arg(long, value_name = "BUNDLE", requires = "truth")]
    pub record: Option<PathBuf>,
    /// Write what these fields were like into this model bundle's manifest, as what later ones are held against (drift):
    /// give the results of the frames that the bundle was trained on
    #[arg(long, value_name = "BUNDLE")]
    pub expect: Option<PathBuf>,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// `twinpeak evaluate`
#[derive(Args, Debug)]
pub struct EvaluateArgs {
    /// A catalogue that this program wrote (IMAGE.catalog.parquet, or .fits)
    pub catalog: PathBuf,
    /// The truth: a table of `simulate` (truth-IMAGE.csv), a FITS table with such columns (.fits), or STEM of STEM_stars.csv and STEM_gals.csv with lines
    /// `x,y` (0-based pixels of the reference band)
    pub truth: PathBuf,
    /// Folder of the field's frames: true objects without a magnitude get one, measured at their position
    #[arg(long, value_name = "DIR")]
    pub frames: Option<PathBuf>,
    /// Where IMAGE.evaluation.json, IMAGE.roc.png and IMAGE.reliability.png go [default: beside the catalogue]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}
