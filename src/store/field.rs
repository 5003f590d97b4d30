//! The files of one field, band by band, and what is wrong with them.

use std::path::{Path, PathBuf};

use twinpeak_core::files::{BandFiles, FieldFiles};
use twinpeak_core::frame::{ImageId, PerBand};
use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::survey::Survey;

/// Files by band: none where the band has not come, several where it came more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    files: PerBand<Vec<PathBuf>>,
}

impl Field {
    pub(super) fn add(&mut self, band: usize, path: PathBuf) {
        self.files[band].push(path);
    }

    /// Whether no band of the survey is missing.
    pub(super) fn has_all_bands(&self, survey: &Survey) -> bool {
        survey.planes().all(|b| !self.files[b].is_empty())
    }

    /// One file a band, or why not: the reference band and as many as the survey requires must be there.
    pub(super) fn bands(mut self, survey: &Survey, image: &ImageId) -> Result<FieldFiles, Box<Rejection>> {
        for (band, files) in self.files.iter_mut().enumerate() {
            files.sort();
            if let [first, second, ..] = files.as_slice() {
                return Err(Box::new(twice(survey.band(band), first, second)));
            }
        }
        let missing: Vec<usize> = survey.planes().filter(|&b| self.files[b].is_empty()).collect();
        let given = self.files.iter().filter(|files| !files.is_empty()).count();
        if given >= survey.required() && !self.files[survey.reference()].is_empty() {
            return Ok(self.files.map(|mut files| files.pop().map(BandFiles::from)));
        }
        let names: Vec<&str> = missing.iter().map(|&b| survey.band(b)).collect();
        let expected = missing.first().map(|&b| survey.file_for(b, image));
        let (noun, verb) = if names.len() == 1 { ("band", "is") } else { ("bands", "are") };
        Err(Box::new(Rejection {
            reason: Reason::MissingBand,
            stage: Stage::Ingest,
            file: expected,
            message: format!("{noun} {} of image {image} {verb} missing", names.join(", ")),
            advice: format!("give all five bands together, then remove rejected/{image}.json"),
        }))
    }
}

fn twice(band: &str, first: &Path, second: &Path) -> Rejection {
    Rejection {
        reason: Reason::BandMismatch,
        stage: Stage::Ingest,
        file: Some(second.display().to_string()),
        message: format!("band {band} came twice, also as {first:?}"),
        advice: "keep one file a band".into(),
    }
}
