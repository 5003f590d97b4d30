//! The files of one field, band by band, and what is wrong with them.

use std::path::{Path, PathBuf};

use twinpeak_core::files::{BandFiles, FieldFiles};
use twinpeak_core::frame::{ImageId, PerBand};
use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::survey::{Group, Survey};

/// Files by band: none where the band has not come, several where it came more than once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Field {
    files: PerBand<Vec<BandFiles>>,
    /// What it must have and has not: what each is, and where it should be.
    wanting: Vec<(String, PathBuf)>,
    /// Why it cannot be used, whatever else comes.
    fault: Option<Rejection>,
}

/// One band's files, and what must lie beside them and does not: what each is, and where it should be.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) files: BandFiles,
    pub(super) lacking: Vec<(String, PathBuf)>,
}

impl From<BandFiles> for Given {
    fn from(files: BandFiles) -> Self {
        Self { files, lacking: Vec::new() }
    }
}

impl Field {
    pub(super) fn add(&mut self, band: usize, given: impl Into<Given>) {
        let Given { files, lacking } = given.into();
        self.files[band].push(files);
        self.wanting.extend(lacking);
    }

    /// Notes a file without which it is incomplete: `what` it is, and where it should be.
    pub(super) fn lacks(&mut self, what: String, path: PathBuf) {
        self.wanting.push((what, path));
    }

    /// Makes it a rejection; the first reason stays.
    pub(super) fn refuse(&mut self, why: Rejection) {
        self.fault.get_or_insert(why);
    }

    /// Whether nothing is to be waited for: no band of the survey is missing and no file that belongs to one, or it
    /// cannot be used anyway.
    pub(super) fn is_whole(&self, survey: &Survey) -> bool {
        let all = self.wanting.is_empty() && survey.planes().all(|b| !self.files[b].is_empty());
        all || self.fault.is_some()
    }

    /// All its files, each once.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let mut all: Vec<&Path> =
            self.files.iter().flatten().flat_map(BandFiles::places).map(|place| place.file.as_path()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// One image a band, or why not: the reference band and as many as the survey requires must be there.
    pub(super) fn bands(mut self, survey: &Survey, image: &ImageId) -> Result<FieldFiles, Box<Rejection>> {
        if let Some(fault) = self.fault {
            return Err(Box::new(fault));
        }
        for (band, files) in self.files.iter_mut().enumerate() {
            files.sort_by(|a, b| a.image.cmp(&b.image));
            if let [first, second, ..] = files.as_slice() {
                return Err(Box::new(twice(survey.band(band), &first.image.file, &second.image.file)));
            }
        }
        let again = format!("then remove rejected/{image}.json");
        let missing: Vec<usize> = survey.planes().filter(|&b| self.files[b].is_empty()).collect();
        let given = self.files.iter().filter(|files| !files.is_empty()).count();
        if given >= survey.required() && !self.files[survey.reference()].is_empty() {
            let Some((what, path)) = self.wanting.first() else { return Ok(self.files.map(|mut files| files.pop())) };
            return Err(Box::new(Rejection {
                reason: Reason::MissingBand,
                stage: Stage::Ingest,
                file: Some(path.display().to_string()),
                message: format!("{what} of image {image} is missing"),
                advice: format!("put it there, {again}"),
            }));
        }
        let names: Vec<&str> = missing.iter().map(|&b| survey.band(b)).collect();
        // Where names share no id, no name can be told.
        let by_name = survey.group() == Group::Name && !survey.has_ccds();
        let expected = missing.first().filter(|_| by_name).map(|&b| survey.file_for(b, image));
        let files = &survey.profile().files;
        let looked_for = match survey.group() {
            Group::Name => "files whose names have its id".to_owned(),
            Group::Table => "lines of a table (*.fields.csv, --table) with its id".to_owned(),
            Group::Sky => format!(
                "exposures within {} arcsec and {} days of that of band {}",
                files.group_arcsec.unwrap_or_default(),
                files.group_days.unwrap_or_default(),
                survey.band(survey.reference())
            ),
        };
        let otherwise = if by_name { "" } else { "; bands that these do not find are brought together by a table" };
        let (noun, verb) = if names.len() == 1 { ("band", "is") } else { ("bands", "are") };
        let (required, all) = (survey.required(), survey.planes().count());
        let wanted = if required == all {
            format!("all {all} bands")
        } else {
            format!("at least {required} bands, {} among them,", survey.band(survey.reference()))
        };
        Err(Box::new(Rejection {
            reason: Reason::MissingBand,
            stage: Stage::Ingest,
            file: expected,
            message: format!(
                "{noun} {} of image {image} {verb} missing: {looked_for} were looked for",
                names.join(", ")
            ),
            advice: format!("give {wanted} together, {again}{otherwise}"),
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
