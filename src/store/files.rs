//! The frames that somebody names on a command line.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::field::Field;
use super::groups::{Groups, Look, PassedOver, group, is_table};
use super::table::{self, TableRow};
use super::{HeaderReader, Lease, Loader};
use twinpeak_core::files::{FieldFiles, Sighting};
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::survey::Survey;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{Arrival, FrameSource, PortError};

/// Files and folders, grouped into images as the survey says and given in order of image id: an image's file
/// in each band, or why it cannot be used. In a folder, files of other names are passed over; a file named by itself
/// whose name is none of the survey's is an image of its own, rejected. A file whose name ends in `.fields.csv` is a
/// table of fields.
pub struct Fields {
    images: VecDeque<(ImageId, Item)>,
    survey: Arc<Survey>,
    passed_over: PassedOver,
}

enum Item {
    Field(Field),
    Unusable(Rejection),
}

impl Fields {
    /// Looks at the paths, and into files where their names alone do not say of which field they are. Nothing is an
    /// error: what cannot be used is a rejected image. `tables` are tables of fields of any name.
    pub fn new(paths: &[PathBuf], tables: &[PathBuf], survey: Arc<Survey>, headers: &HeaderReader) -> Self {
        let mut listing = Listing::default();
        for path in paths {
            listing.add(path, &survey);
        }
        tables.iter().for_each(|table| listing.add_table(table));
        let groups = group(&survey, &listing.files, &listing.tables, &mut OnDisk { headers });
        Self::of(listing, groups, survey)
    }

    /// Of files that lie elsewhere, by their names alone.
    pub fn named(names: &[String], survey: Arc<Survey>) -> Self {
        let files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        let listing = Listing { files: files.clone(), ..Listing::default() };
        let groups = group(&survey, &files, &[], &mut Elsewhere { names: files.iter().cloned().collect() });
        Self::of(listing, groups, survey)
    }

    fn of(listing: Listing, groups: Groups, survey: Arc<Survey>) -> Self {
        let Groups { fields, faults, mut passed_over, .. } = groups;
        let unusable = listing.unusable(&mut passed_over, &survey).into_iter().chain(faults);
        let mut images: BTreeMap<ImageId, Item> =
            fields.into_iter().map(|(image, field)| (image, Item::Field(field))).collect();
        for (path, rejection) in unusable {
            images.insert(name_for(&path, |id| images.contains_key(id)), Item::Unusable(rejection));
        }
        Self { images: images.into_iter().collect(), survey, passed_over }
    }

    /// How many files lie in the folders and belong to no field.
    pub fn passed_over(&self) -> usize {
        self.passed_over.len()
    }

    /// What to say of them, a line for each kind and band.
    pub fn notes(&self) -> Vec<String> {
        self.passed_over.lines(&self.survey)
    }
}

impl Iterator for Fields {
    type Item = (ImageId, Result<FieldFiles, Box<Rejection>>);

    fn next(&mut self) -> Option<Self::Item> {
        let (image, item) = self.images.pop_front()?;
        let files = match item {
            Item::Field(field) => field.bands(&self.survey, &image),
            Item::Unusable(rejection) => Err(Box::new(rejection)),
        };
        Some((image, files))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.images.len(), Some(self.images.len()))
    }
}

impl ExactSizeIterator for Fields {}

/// The same as a source of frames.
pub struct FileList {
    fields: Fields,
    loader: Loader,
}

impl FileList {
    /// What [`Fields`] found, read by `loader`.
    pub fn new(fields: Fields, loader: Loader) -> Self {
        Self { fields, loader }
    }

    /// Images still to come.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether none is to come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FrameSource for FileList {
    type Receipt = Option<Lease>;

    fn next(&mut self, stop: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError> {
        if stop.requested() {
            return Ok(None);
        }
        let Some((image_id, files)) = self.fields.next() else { return Ok(None) };
        let (loader, image) = (Arc::clone(&self.loader), image_id.clone());
        let load = move || loader(&image, &files.map_err(|r| *r)?);
        Ok(Some(Arrival::new(image_id, load, None)))
    }
}

/// Files that lie here and do not change any more.
struct OnDisk<'a> {
    headers: &'a HeaderReader,
}

impl Look for OnDisk<'_> {
    fn headers(&mut self, file: &Path) -> Option<Result<Vec<Sighting>, Rejection>> {
        Some((self.headers)(file))
    }

    fn table(&mut self, file: &Path) -> Option<Result<Vec<TableRow>, Rejection>> {
        Some(table::read(file))
    }

    fn exists(&self, file: &Path) -> bool {
        file.exists()
    }
}

/// Files of which nothing but their names is known.
struct Elsewhere {
    names: BTreeSet<PathBuf>,
}

impl Elsewhere {
    fn unread<T>(file: &Path) -> Option<Result<T, Rejection>> {
        Some(Err(Rejection {
            reason: Reason::BandMismatch,
            stage: Stage::Ingest,
            file: Some(file.display().to_string()),
            message: "its name does not say of which field it is, and it is not read here".into(),
            advice: "name the files on a disk, or send messages that name each band's file and HDU".into(),
        }))
    }
}

impl Look for Elsewhere {
    fn headers(&mut self, file: &Path) -> Option<Result<Vec<Sighting>, Rejection>> {
        Self::unread(file)
    }

    fn table(&mut self, file: &Path) -> Option<Result<Vec<TableRow>, Rejection>> {
        Self::unread(file)
    }

    fn exists(&self, file: &Path) -> bool {
        self.names.contains(file)
    }
}

/// What the paths hold, as far as they have been looked at.
#[derive(Default)]
struct Listing {
    files: Vec<PathBuf>,
    tables: Vec<PathBuf>,
    /// Files that were named by themselves.
    by_itself: BTreeSet<(OsString, PathBuf)>,
    /// Folders, and what lies in each.
    folders: Vec<(PathBuf, Vec<PathBuf>)>,
    unusable: Vec<(PathBuf, Rejection)>,
    /// Name and place of each file: one that is named twice is still one, but a link of another name is another field.
    seen: BTreeSet<(OsString, PathBuf)>,
}

impl Listing {
    fn add(&mut self, path: &Path, survey: &Survey) {
        let name = path.file_name().and_then(|name| name.to_str());
        // By its name first: a folder that stands in a file's place is that file's fault, reported when it is read.
        if path.is_dir() && name.is_none_or(|name| survey.file_name(name).is_none()) {
            return self.add_folder(path);
        }
        if is_table(path) {
            return self.add_table(path);
        }
        self.by_itself.insert(identity(path));
        self.add_file(path);
    }

    fn add_folder(&mut self, folder: &Path) {
        let entries = fs::read_dir(folder).and_then(|d| d.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>());
        match entries {
            Err(error) => {
                let rejection = refusal(folder, Reason::Unreadable, error.to_string(), "check its permissions".into());
                self.unusable.push((folder.to_owned(), rejection));
            }
            Ok(mut paths) => {
                paths.sort();
                for path in &paths {
                    if is_table(path) { self.add_table(path) } else { self.add_file(path) }
                }
                self.folders.push((folder.to_owned(), paths));
            }
        }
    }

    fn add_file(&mut self, path: &Path) {
        if self.is_new(path) {
            self.files.push(path.to_owned());
        }
    }

    fn add_table(&mut self, path: &Path) {
        if self.is_new(path) {
            self.tables.push(path.to_owned());
        }
    }

    fn is_new(&mut self, path: &Path) -> bool {
        self.seen.insert(identity(path))
    }

    /// What was named and cannot be used: it is no longer merely passed over.
    fn unusable(self, passed_over: &mut PassedOver, survey: &Survey) -> Vec<(PathBuf, Rejection)> {
        let pattern = &survey.profile().file_pattern;
        let mut unusable = self.unusable;
        let strange: BTreeSet<PathBuf> = passed_over.foreign.iter().cloned().collect();
        for (folder, paths) in self.folders {
            if paths.iter().all(|path| strange.contains(path)) {
                let advice = format!("files must be named like {pattern}");
                let message = "no file of the survey is in this folder".to_owned();
                unusable.push((folder.clone(), refusal(&folder, Reason::Unreadable, message, advice)));
            }
        }
        let (named, passed): (Vec<_>, Vec<_>) = std::mem::take(&mut passed_over.foreign)
            .into_iter()
            .partition(|path| self.by_itself.contains(&identity(path)));
        passed_over.foreign = passed;
        for path in &named {
            let (reason, message) = if path.exists() {
                (Reason::NotFits, "the file's name is none of the survey's".to_owned())
            } else {
                (Reason::Unreadable, "there is no such file or folder".to_owned())
            };
            let advice = format!("give files named like {pattern}, or a folder of them");
            unusable.push((path.clone(), refusal(path, reason, message, advice)));
        }
        unusable
    }
}

/// Name and place of a file.
fn identity(path: &Path) -> (OsString, PathBuf) {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
    (name, fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
}

fn refusal(path: &Path, reason: Reason, message: String, advice: String) -> Rejection {
    Rejection { reason, stage: Stage::Ingest, file: Some(path.display().to_string()), message, advice }
}

/// An image id for something that has none: `unrecognised.` and its name made safe, numbered where taken.
fn name_for(path: &Path, taken: impl Fn(&ImageId) -> bool) -> ImageId {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    (1u64..)
        .map(|n| if n == 1 { format!("unrecognised.{name}") } else { format!("unrecognised.{name}-{n}") })
        .map(|name| ImageId::safe(&name).expect("it is not empty"))
        .find(|id| !taken(id))
        .expect("there are fewer paths than numbers")
}

#[cfg(test)]
mod tests;
