//! Why latents give no scalar or no class.

use twinpeak_learn::classify::AmbiguousOrientation;

/// Why latents give no scalar or no class.
#[derive(Debug, thiserror::Error)]
pub enum ManifoldError {
    /// Too few objects for a fit.
    #[error("{method}: {found} objects, at least {needed} are needed; give more objects or smaller settings")]
    TooFew {
        /// What was to be fitted.
        method: &'static str,
        /// Number of objects given.
        found: usize,
        /// Fewest objects that the fit takes.
        needed: usize,
    },
    /// The same point over and over.
    #[error("all {objects} objects have the same latents: the net behind them has collapsed, train it anew")]
    NoSpread {
        /// Number of objects, all of the same latents.
        objects: usize,
    },
    /// A latent that is no number.
    #[error("latent {column} of object {row} is not finite: the net behind it has diverged or its input is damaged")]
    NotFinite {
        /// Index of the object, from 0.
        row: usize,
        /// Index of the latent, from 0.
        column: usize,
    },
    /// Values that are no table.
    #[error("{values} values are no table of {width} latents an object")]
    Ragged {
        /// Latents that an object should have.
        width: usize,
        /// Number of values given, no multiple of `width`.
        values: usize,
    },
    /// Objects with another number of latents than the fit was made on.
    #[error("objects of {found} latents, but the fit was made on {expected}: use the net that it was made with")]
    OtherWidth {
        /// Latents of each object given.
        found: usize,
        /// Latents of each object fitted.
        expected: usize,
    },
    /// Columns that are not of the same objects.
    #[error("{found} values of {what} for {expected} objects")]
    OtherLength {
        /// What the column holds, such as magnitudes.
        what: &'static str,
        /// Number of values given.
        found: usize,
        /// Number of objects, one value each.
        expected: usize,
    },
    /// A fit that went on and on.
    #[error("{method} did not converge in {steps} steps; try another seed or standardise the latents")]
    NotConverged {
        /// The method that was being fitted.
        method: &'static str,
        /// Steps made before it was given up.
        steps: usize,
    },
    /// Every start ended with a component of next to no objects.
    #[error("the mixture put all but {objects:.1} objects into one component (at least {needed} are needed in each)")]
    Collapsed {
        /// Objects in the smaller component, as a sum of memberships.
        objects: f64,
        /// Fewest that have a covariance.
        needed: usize,
    },
    /// A share outside 0..1, or not one for each bin.
    #[error(
        "star fractions {fraction:?} between magnitudes {edges:?}: one within 0..1 is needed between each two edges, which rise"
    )]
    Fraction {
        /// Edges of the bins in magnitude, which should rise.
        edges: Vec<f32>,
        /// Share of stars between each two edges, each within 0..1.
        fraction: Vec<f64>,
    },
    /// Concentration does not tell the ends apart.
    #[error(
        "cannot name the stars' end: rank correlation with concentration is {correlation:.2} over {objects} objects, \
         {significance:.1} sigma (asked for are .3 and 5); more objects or another seed may do"
    )]
    Unnamed {
        /// Spearman's rank correlation with concentration.
        correlation: f64,
        /// Number of objects that it was taken over.
        objects: usize,
        /// In standard deviations of no correlation.
        significance: f64,
    },
    /// No thread for a fit.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] rayon::ThreadPoolBuildError),
    /// A call of libtorch failed.
    #[error("linear algebra: {0}")]
    Torch(#[from] tch::TchError),
}

impl From<AmbiguousOrientation> for ManifoldError {
    fn from(AmbiguousOrientation { correlation, objects, significance }: AmbiguousOrientation) -> Self {
        Self::Unnamed { correlation, objects, significance }
    }
}
