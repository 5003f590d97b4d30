//! What saw labels: measures of how much there is to learn, beside which the label-free methods stand in every table under
//! a name that says *supervised*. Nothing learned here may enter a model. The labels come as an argument; these modules
//! open none themselves.

mod net;
mod probe;

use crate::student::StudentError;
use twinpeak_learn::LearnError;

pub use net::{SupervisedNet, SupervisedNetSettings};
pub use probe::SupervisedProbe;

/// Fewest objects of each class.
const OBJECTS_MIN: usize = 20;

/// Why nothing was learned from labels.
#[derive(Debug, thiserror::Error)]
pub enum SupervisedError {
    /// No training object has a label.
    #[error("supervised, and no training object has a label: this sky's labels are for scoring alone")]
    NoLabels,
    /// The training of a probe failed.
    #[error(transparent)]
    Student(#[from] StudentError),
    /// A net's training, or too few of a class.
    #[error(transparent)]
    Training(#[from] LearnError),
}

impl SupervisedError {
    /// Whether a file or a disk is at fault, as [`LearnError::is_external`] says.
    pub fn is_external(&self) -> bool {
        match self {
            Self::NoLabels => false,
            Self::Student(error) => error.is_external(),
            Self::Training(error) => error.is_external(),
        }
    }
}

/// Labels as probabilities.
///
/// # Errors
/// For no labels, and for fewer than 20 objects of a class.
fn probabilities(net: &'static str, is_star: &[bool]) -> Result<Vec<f32>, SupervisedError> {
    if is_star.is_empty() {
        return Err(SupervisedError::NoLabels);
    }
    let stars = is_star.iter().filter(|&&s| s).count();
    for (what, found) in [("stars", stars), ("galaxies", is_star.len() - stars)] {
        LearnError::unless_enough(net, what, found, OBJECTS_MIN)?;
    }
    Ok(is_star.iter().map(|&s| f32::from(u8::from(s))).collect())
}
