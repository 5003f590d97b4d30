//! Why a method of the study gives no answer.

use crate::dataset::{DataSetError, Input};
use crate::manifold::ManifoldError;
use twinpeak_learn::LearnError;
use twinpeak_learn::classify::AmbiguousOrientation;

/// Why a method of the study gives no answer: what [`LearnError`] says, and what only the study can meet.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A training ended without a net.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// Clusters of pixels cannot be found.
    #[error(transparent)]
    Clusters(#[from] ManifoldError),
    /// A data set cannot be read.
    #[error(transparent)]
    Data(#[from] DataSetError),
    /// A net over cutouts is told to see something else.
    #[error(
        "{input:?} is no view of a cutout: a net over whole cutouts sees magnitude-sdss, magnitude-sigma or per-cutout"
    )]
    NoCutouts {
        /// What it is told to see.
        input: Input,
    },
    /// Concentration does not say which peak is the stars'.
    #[error(transparent)]
    Orientation(#[from] AmbiguousOrientation),
}

impl LabError {
    /// Whether a file, a disk or a device is at fault: it says nothing of the method, and may pass.
    pub fn is_external(&self) -> bool {
        match self {
            Self::Learn(error) => error.is_external(),
            Self::Data(_) => true,
            Self::Clusters(_) | Self::NoCutouts { .. } | Self::Orientation(_) => false,
        }
    }
}
