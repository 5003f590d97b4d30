//! What a run of the study stands on: the data, and where what is learned of it is kept.

use std::path::PathBuf;

use super::Plan;
use crate::dataset::{DataSet, Features};
use twinpeak_core::survey::Survey;

/// What was measured on the test objects' frames, one an object; NaN where it could not be.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    /// SExtractor's CLASS_STAR in the reference band, 0..1; none where the program was not there.
    pub class_star: Option<Vec<f64>>,
    /// Magnitude as a point source minus that of the best galaxy of the profile fits, reference band.
    pub psf_minus_model: Vec<f64>,
}

/// A sky's objects, without truth.
pub struct StudyContext<'a> {
    /// The plan of the study that it belongs to.
    pub plan: &'a Plan,
    /// The data set that is learned from.
    pub set: &'a DataSet,
    /// The one whose test part is scored.
    pub scored: &'a DataSet,
    /// Tells the bits of both sets from any others: what is kept of nets is kept for these.
    pub sha256: String,
    /// Tells what both sets were asked to be: runs are kept for that.
    pub origin: String,
    /// The survey of the frames.
    pub survey: &'a Survey,
    /// Features of the training objects.
    pub training: Features,
    /// Features of the test objects, which are scored.
    pub test: Features,
    /// What was measured of it on its frames besides.
    pub beside: Option<Beside>,
    /// Where latents and checkpoints are kept.
    pub work: PathBuf,
}

impl StudyContext<'_> {
    /// The same with these training objects alone.
    pub(super) fn on(&self, objects: &[usize]) -> Self {
        Self {
            training: self.training.select(objects),
            test: self.test.clone(),
            beside: self.beside.clone(),
            sha256: self.sha256.clone(),
            origin: self.origin.clone(),
            work: self.work.clone(),
            ..*self
        }
    }
}
