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
    /// Write all that is told by kind of object, by half magnitude too, to this file (JSON, as `evaluate` on folders has it)
    #[arg(long, value_name = "FILE", requires = "truth")]
    pub report: Option<PathBuf>,
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
    /// A catalogue that this program wrote (IMAGE.catalog.parquet, or .fits); or a folder of them, which are judged together,
    /// by kind of object
    pub catalog: PathBuf,
    /// The truth: for a folder of catalogues the folder that `simulate` wrote; else a table of `simulate` (truth-IMAGE.csv), a FITS table with such columns (.fits), or STEM of STEM_stars.csv and STEM_gals.csv with lines
    /// `x,y` (0-based pixels of the reference band)
    pub truth: PathBuf,
    /// Folder of the field's frames: true objects without a magnitude get one, measured at their position
    #[arg(long, value_name = "DIR")]
    pub frames: Option<PathBuf>,
    /// A second folder of results of the same frames: how many more true objects the first has found, by half magnitude,
    /// paired object by object
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,
    /// Of a folder: for completeness by half magnitude, leave out the faintest rows until no more than so many in a field are
    /// false
    #[arg(long, value_name = "COUNT")]
    pub false_per_field: Option<f64>,
    /// Where IMAGE.evaluation.json, IMAGE.roc.png and IMAGE.reliability.png go, for a folder night.evaluation.json [default:
    /// beside the catalogue]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Shared.
    #[command(flatten)]
    pub config: ConfigArgs,
}
