//! Why latents give no scalar or no class.

use twinpeak_learn::classify::AmbiguousOrientation;

/// Why latents give no scalar or no class.
#[derive(Debug, thiserror::Error)]
pub enum ManifoldError {
    /// Too little to fit.
    #[error("{method}: {found} objects, at least {needed} are needed; give more objects or smaller settings")]
    TooFew {
        /// What was to be fitted.
        method: &'static str,
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// The same point over and over.
    #[error("all {objects} objects have the same latents: the net behind them has collapsed, train it anew")]
    NoSpread {
        /// How many.
        objects: usize,
    },
    /// A latent that is no number.
    #[error("latent {column} of object {row} is not finite: the net behind it has diverged or its input is damaged")]
    NotFinite {
        /// Which object, from 0.
        row: usize,
        /// Which latent, from 0.
        column: usize,
    },
    /// Values that are no table.
    #[error("{values} values are no table of {width} latents an object")]
    Ragged {
        /// Latents an object.
        width: usize,
        /// Values given.
        values: usize,
    },
    /// Objects of another net.
    #[error("objects of {found} latents, but the fit was made on {expected}: use the net that it was made with")]
    OtherWidth {
        /// Latents given.
        found: usize,
        /// Latents fitted.
        expected: usize,
    },
    /// Columns that are not of the same objects.
    #[error("{found} values of {what} for {expected} objects")]
    OtherLength {
        /// Of what.
        what: &'static str,
        /// Values given.
        found: usize,
        /// Objects.
        expected: usize,
    },
    /// A fit that went on and on.
    #[error("{method} did not converge in {steps} steps; try another seed or standardise the latents")]
    NotConverged {
        /// What was fitted.
        method: &'static str,
        /// Steps made.
        steps: usize,
    },
    /// Every start ended with a component of next to no objects.
    #[error("the mixture put all but {objects:.1} objects into one component (at least {needed} are needed in each)")]
    Collapsed {
        /// In the smaller component.
        objects: f64,
        /// Fewest that have a covariance.
        needed: usize,
    },
    /// A share outside 0..1, or not one for each bin.
    #[error(
        "star fractions {fraction:?} between magnitudes {edges:?}: one within 0..1 is needed between each two edges, which rise"
    )]
    Fraction {
        /// Magnitudes.
        edges: Vec<f32>,
        /// Shares.
        fraction: Vec<f64>,
    },
    /// Concentration does not tell the ends apart.
    #[error(
        "cannot name the stars' end: rank correlation with concentration is {correlation:.2} over {objects} objects, \
         {significance:.1} sigma (asked for are .3 and 5); more objects or another seed may do"
    )]
    Unnamed {
        /// Spearman's.
        correlation: f64,
        /// Over so many.
        objects: usize,
        /// In standard deviations of no correlation.
        significance: f64,
    },
    /// No thread for a fit.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] rayon::ThreadPoolBuildError),
    /// libtorch failed.
    #[error("linear algebra: {0}")]
    Torch(#[from] tch::TchError),
}

impl From<AmbiguousOrientation> for ManifoldError {
    fn from(AmbiguousOrientation { correlation, objects, significance }: AmbiguousOrientation) -> Self {
        Self::Unnamed { correlation, objects, significance }
    }
}
