//! From files to fields: by their names, by tables that name them, or by what their headers say of sky and time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::field::{Field, Given};
use super::sky::{self, Exposure};
use super::table::{self, TableRow};
use twinpeak_core::files::{BandFiles, Place, Sighting};
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::survey::{FileName, Group, Named, PlaneKind, Survey};

/// What can be asked of files while they are grouped.
pub(super) trait Look {
    /// What a file's headers say; `None` where it is too early to tell.
    fn headers(&mut self, file: &Path) -> Option<Result<Vec<Sighting>, Rejection>>;
    /// What a table says; `None` where it is too early to tell.
    fn table(&mut self, file: &Path) -> Option<Result<Vec<TableRow>, Rejection>>;
    /// Whether there is such a file.
    fn exists(&self, file: &Path) -> bool;
}

/// Files as fields.
#[derive(Default)]
pub(super) struct Groups {
    /// By image id.
    pub fields: BTreeMap<ImageId, Field>,
    /// Tables that cannot be used, and why.
    pub faults: Vec<(PathBuf, Rejection)>,
    /// What belongs to no field.
    pub passed_over: PassedOver,
    /// Files of which it is too early to tell.
    pub pending: usize,
}

/// Files that belong to no field.
#[derive(Default)]
pub(super) struct PassedOver {
    /// Those whose names are none of the survey's.
    pub foreign: Vec<PathBuf>,
    /// Those of bands that the survey does not choose, by band.
    pub of_bands: BTreeMap<String, Vec<PathBuf>>,
    /// Those that no table names, where tables alone make fields.
    pub unnamed: Vec<PathBuf>,
}

impl PassedOver {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.foreign.len() + self.unnamed.len() + self.of_bands.values().map(Vec::len).sum::<usize>()
    }

    /// What to say of them: a line for each kind and band.
    pub(super) fn lines(&self, survey: &Survey) -> Vec<String> {
        let mut lines: Vec<String> =
            self.of_bands.iter().map(|(band, files)| other_band(band, files.len(), survey)).collect();
        let name = |path: &PathBuf| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        for (what, files) in
            [("whose names are none of the survey's", &self.foreign), ("that no table names", &self.unnamed)]
        {
            if let Some(first) = files.first() {
                lines.push(format!("passed over: files {what} ({}), e.g. {:?}", files.len(), name(first)));
            }
        }
        lines
    }
}

/// What to say of the files of a band that the survey does not choose.
pub(super) fn other_band(band: &str, files: usize, survey: &Survey) -> String {
    let chosen: Vec<&str> = survey.planes().map(|b| survey.band(b)).collect();
    let survey = &survey.profile().name;
    format!("passed over: files of band {band:?} ({files}), for survey {survey} chooses {}", chosen.join(" "))
}

/// Groups files, and those that tables name.
pub(super) fn group(survey: &Survey, files: &[PathBuf], tables: &[PathBuf], look: &mut impl Look) -> Groups {
    let mut groups = Grouping { survey, look, groups: Groups::default(), exposures: Vec::new() };
    let named = groups.tables(tables);
    let is_named = |file: &PathBuf| !named.is_empty() && named.contains(&place(file));
    let mut taken: BTreeSet<PathBuf> = files.iter().filter(|file| is_named(file)).cloned().collect();
    for kind in [PlaneKind::Mask, PlaneKind::Weight] {
        taken.extend(files.iter().filter_map(|file| Some(companion(survey, file, kind)?.0)));
    }
    for file in files.iter().filter(|file| !taken.contains(*file)) {
        groups.file(file);
    }
    let Grouping { mut groups, exposures, .. } = groups;
    sky::group(exposures, survey, &mut groups.fields);
    groups
}

/// Where the mask or weights of an image's file lie, and whether they must be there.
fn companion(survey: &Survey, image: &Path, kind: PlaneKind) -> Option<(PathBuf, bool)> {
    let name = survey.companion(image.file_name()?.to_str()?, kind)?;
    let required = survey.place_of(kind).is_some_and(|place| place.required);
    Some((image.with_file_name(name), required))
}

/// A file's folder by its real name, and the file in it: a link of another name is another file.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    folder.join(path.file_name().unwrap_or_default())
}

struct Grouping<'a, L> {
    survey: &'a Survey,
    look: &'a mut L,
    groups: Groups,
    exposures: Vec<Exposure>,
}

impl<L: Look> Grouping<'_, L> {
    /// Takes what tables name. Gives the places of the files that they name, which are not looked at again.
    fn tables(&mut self, tables: &[PathBuf]) -> BTreeSet<PathBuf> {
        let mut taken = BTreeSet::new();
        for path in tables {
            let rows = match self.look.table(path) {
                Some(Ok(rows)) => rows,
                Some(Err(fault)) => {
                    self.groups.faults.push((path.clone(), fault));
                    continue;
                }
                None => {
                    self.groups.pending += 1;
                    continue;
                }
            };
            for TableRow { image, band, files } in rows {
                taken.extend(files.places().map(|named| place(&named.file)));
                match self.survey.plane_of(&band) {
                    Some(b) => self.named_by_table(&image, b, files),
                    None => self.other_band(band, &files.image.file),
                }
            }
        }
        taken
    }

    fn named_by_table(&mut self, image: &ImageId, band: usize, files: BandFiles) {
        let field = self.groups.fields.entry(image.clone()).or_default();
        for (what, place) in
            [("file", Some(&files.image)), ("mask", files.mask.as_ref()), ("weight", files.weight.as_ref())]
        {
            if let Some(place) = place.filter(|place| !self.look.exists(&place.file)) {
                field.lacks(format!("the {what} of band {}", self.survey.band(band)), place.file.clone());
            }
        }
        let given = self.complete(band, files);
        self.groups.fields.entry(image.clone()).or_default().add(band, given);
    }

    fn file(&mut self, path: &Path) {
        let name = path.file_name().and_then(|name| name.to_str()).map_or(Named::Foreign, |n| self.survey.named(n));
        match name {
            Named::Foreign => self.groups.passed_over.foreign.push(path.to_owned()),
            Named::OtherBand(band) => self.other_band(band, path),
            Named::Ours(_) if self.survey.group() == Group::Table => {
                self.groups.passed_over.unnamed.push(path.to_owned());
            }
            Named::Ours(name) if self.survey.groups_by_headers() => self.by_headers(path, &name),
            Named::Ours(name) => {
                let bands: Vec<usize> = name.band.map_or_else(|| self.survey.planes().collect(), |band| vec![band]);
                for band in bands {
                    if !self.look.exists(path) {
                        let what = format!("the file of band {}", self.survey.band(band));
                        self.groups.fields.entry(name.image.clone()).or_default().lacks(what, path.to_owned());
                        continue;
                    }
                    let files = self.complete(band, BandFiles::from(path.to_owned()));
                    self.groups.fields.entry(name.image.clone()).or_default().add(band, files);
                }
            }
        }
    }

    fn other_band(&mut self, band: String, path: &Path) {
        self.groups.passed_over.of_bands.entry(band).or_default().push(path.to_owned());
    }

    fn by_headers(&mut self, path: &Path, name: &FileName) {
        let said = match self.look.headers(path) {
            Some(Ok(said)) => said,
            Some(Err(fault)) => return self.groups.fields.entry(name.image.clone()).or_default().refuse(fault),
            None => {
                self.groups.pending += 1;
                return;
            }
        };
        for sighting in said {
            let image = sighting.ccd.as_deref().map_or_else(|| name.image.clone(), |ccd| name.image.of_ccd(ccd));
            let card = sighting.band.as_deref().unwrap_or_default();
            let bands = match name.band {
                Some(band) => vec![band],
                None if self.survey.has_all_bands_in_one_file() => self.survey.planes().collect(),
                None => match self.survey.plane_of_card(card) {
                    Some(band) => vec![band],
                    None if !card.is_empty() => {
                        self.other_band(card.to_owned(), path);
                        continue;
                    }
                    None => {
                        let card = self.survey.profile().files.band_card.clone().unwrap_or_default();
                        let message = format!("neither its name nor a card {card} says of which band it is");
                        let field = self.groups.fields.entry(image).or_default();
                        field.refuse(refusal(path, message, "write the card, or name the file in a table of fields"));
                        continue;
                    }
                },
            };
            for band in bands {
                let place = Place { file: path.to_owned(), hdu: sighting.ccd.clone() };
                let given = self.complete(band, BandFiles { image: place, mask: None, weight: None });
                if self.survey.group() == Group::Sky {
                    let sighting = sighting.clone();
                    self.exposures.push(Exposure { image: image.clone(), band, given, sighting });
                } else {
                    self.groups.fields.entry(image.clone()).or_default().add(band, given);
                }
            }
        }
    }

    /// Adds the masks and weights that lie beside an image, where they are; notes those that must be and are not.
    fn complete(&self, band: usize, files: BandFiles) -> Given {
        let mut given = Given::from(files);
        for kind in [PlaneKind::Mask, PlaneKind::Weight] {
            let beside = companion(self.survey, &given.files.image.file, kind);
            let place = match kind {
                PlaneKind::Mask => &mut given.files.mask,
                PlaneKind::Weight => &mut given.files.weight,
            };
            let Some((path, required)) = beside.filter(|_| place.is_none()) else { continue };
            if self.look.exists(&path) {
                *place = Some(path.into());
            } else if required {
                given.lacking.push((format!("the {} of band {}", kind.name(), self.survey.band(band)), path));
            }
        }
        given
    }
}

/// A file that cannot be grouped.
pub(super) fn refusal(file: &Path, message: String, advice: &str) -> Rejection {
    Rejection {
        reason: Reason::BandMismatch,
        stage: Stage::Ingest,
        file: Some(file.display().to_string()),
        message,
        advice: advice.into(),
    }
}

/// Whether a file is a table of fields, by its name.
pub(super) fn is_table(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.to_ascii_lowercase().ends_with(table::ENDING)
}

#[cfg(test)]
mod tests;
