//! The frames that somebody names on a command line.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::field::Field;
use super::{Lease, Loader};
use twinpeak_core::files::FieldFiles;
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::survey::Survey;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{Arrival, FrameSource, PortError};

/// Files and folders, grouped into images by the survey's file names and given in order of image id: an image's file
/// in each band, or why it cannot be used. In a folder, files of other names are passed over; a file named by itself
/// whose name is none of the survey's is an image of its own, rejected.
pub struct Fields {
    images: VecDeque<(ImageId, Item)>,
    survey: Arc<Survey>,
    passed_over: usize,
}

enum Item {
    Field(Field),
    Unusable(Rejection),
}

impl Fields {
    /// Looks at the paths; nothing is read yet, and nothing is an error: what cannot be used is a rejected image.
    pub fn new(paths: &[PathBuf], survey: Arc<Survey>) -> Self {
        Self::of(survey, |list| paths.iter().for_each(|path| list.add(path)))
    }

    /// Of files that lie elsewhere, by their names alone; those of other names are passed over.
    pub fn named(names: &[String], survey: Arc<Survey>) -> Self {
        Self::of(survey, |list| {
            let strange = names.iter().filter(|name| !list.add_file(Path::new(name))).count();
            list.passed_over += strange;
        })
    }

    fn of(survey: Arc<Survey>, look: impl FnOnce(&mut Listing)) -> Self {
        let mut list = Listing {
            survey: &survey,
            fields: BTreeMap::new(),
            unusable: Vec::new(),
            seen: BTreeSet::new(),
            passed_over: 0,
        };
        look(&mut list);
        let passed_over = list.passed_over;
        let mut images: BTreeMap<ImageId, Item> =
            list.fields.into_iter().map(|(image, field)| (image, Item::Field(field))).collect();
        for (path, rejection) in list.unusable {
            images.insert(name_for(&path, |id| images.contains_key(id)), Item::Unusable(rejection));
        }
        Self { images: images.into_iter().collect(), survey, passed_over }
    }

    /// What lies in the folders and is no file of the survey.
    pub fn passed_over(&self) -> usize {
        self.passed_over
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
    /// As [`Fields::new`].
    pub fn new(paths: &[PathBuf], survey: Arc<Survey>, loader: Loader) -> Self {
        Self { fields: Fields::new(paths, survey), loader }
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

/// What the paths hold, as far as they have been looked at.
struct Listing<'a> {
    survey: &'a Survey,
    fields: BTreeMap<ImageId, Field>,
    unusable: Vec<(PathBuf, Rejection)>,
    /// Name and place of each file: one that is named twice is still one, but a link of another name is another field.
    seen: BTreeSet<(OsString, PathBuf)>,
    passed_over: usize,
}

impl Listing<'_> {
    fn add(&mut self, path: &Path) {
        // By its name first: a folder that stands in a file's place is that file's fault, reported when it is read.
        let named = self.add_file(path);
        if !named && path.is_dir() {
            return self.add_folder(path);
        }
        if !named {
            let known = path.exists();
            let (reason, message) = if known {
                (Reason::NotFits, "the file's name is none of the survey's".to_owned())
            } else {
                (Reason::Unreadable, "there is no such file or folder".to_owned())
            };
            let pattern = &self.survey.profile().file_pattern;
            let advice = format!("give files named like {pattern}, or a folder of them");
            self.refuse(path, reason, message, advice);
        }
    }

    fn add_folder(&mut self, folder: &Path) {
        let entries = fs::read_dir(folder).and_then(|d| d.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>());
        match entries {
            Err(error) => self.refuse(folder, Reason::Unreadable, error.to_string(), "check its permissions".into()),
            Ok(mut paths) => {
                paths.sort();
                let found = paths.iter().filter(|p| p.exists() && self.add_file(p)).count();
                self.passed_over += paths.len() - found;
                if found == 0 {
                    let pattern = &self.survey.profile().file_pattern;
                    let advice = format!("files must be named like {pattern}");
                    self.refuse(folder, Reason::Unreadable, "no file of the survey is in this folder".into(), advice);
                }
            }
        }
    }

    /// Whether the file's name is one of the survey's.
    fn add_file(&mut self, path: &Path) -> bool {
        let Some(base) = path.file_name() else { return false };
        let Some(name) = base.to_str().and_then(|n| self.survey.file_name(n)) else { return false };
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.seen.insert((base.to_owned(), place)) {
            self.fields.entry(name.image).or_default().add(name.band, path.to_owned());
        }
        true
    }

    fn refuse(&mut self, path: &Path, reason: Reason, message: String, advice: String) {
        let file = Some(path.display().to_string());
        self.unusable.push((path.to_owned(), Rejection { reason, stage: Stage::Ingest, file, message, advice }));
    }
}

/// An image id for something that has none: `unrecognised.` and what is left of its name, numbered where taken.
fn name_for(path: &Path, taken: impl Fn(&ImageId) -> bool) -> ImageId {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let stem: String = name.chars().map(safe).take(100).collect();
    (1u64..)
        .map(|n| if n == 1 { format!("unrecognised.{stem}") } else { format!("unrecognised.{stem}-{n}") })
        .map(|name| ImageId::new(&name).expect("safe characters, at most 13 + 100 + 1 + 14 of them"))
        .find(|id| !taken(id))
        .expect("there are fewer paths than numbers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::testing::sdss;

    /// A loader that reads nothing and says which files it was given.
    fn list(paths: &[PathBuf]) -> Vec<(String, Rejection)> {
        let loader: Loader = Arc::new(|_, files| {
            let message = files
                .iter()
                .flatten()
                .map(|f| f.image.file.file_name().unwrap().to_str().unwrap())
                .collect::<Vec<_>>()
                .join(" ");
            Err(Rejection {
                reason: Reason::Internal,
                stage: Stage::Prepare,
                file: None,
                message,
                advice: String::new(),
            })
        });
        let mut source = FileList::new(paths, Arc::new(sdss()), loader);
        let mut all = Vec::new();
        while let Some(arrival) = source.next(&Stop::default()).unwrap() {
            all.push((arrival.image_id.to_string(), (arrival.load)().err().unwrap()));
        }
        all
    }

    fn touch(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|n| folder.join(n)).inspect(|p| fs::write(p, "").unwrap()).collect()
    }

    #[test]
    fn files_of_a_folder_become_images_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for image in ["000002-1-0001", "000001-1-0001"] {
            for band in ["z", "i", "r", "g", "u"] {
                touch(dir.path(), &[&format!("frame-{band}-{image}.fits")]);
            }
        }
        let files = touch(dir.path(), &["README", "frame-q-000001-1-0001.fits"]);
        assert_eq!(Fields::new(&[dir.path().to_owned()], Arc::new(sdss())).passed_over(), 2);
        let all = list(&[dir.path().to_owned(), dir.path().join("frame-u-000001-1-0001.fits")]);
        let names: Vec<_> = all.iter().map(|(id, r)| (id.as_str(), r.message.as_str())).collect();
        let bands = |image| ["u", "g", "r", "i", "z"].map(|b| format!("frame-{b}-{image}.fits")).join(" ");
        let (first, second) = (bands("000001-1-0001"), bands("000002-1-0001"));
        assert_eq!(names, [("000001-1-0001", first.as_str()), ("000002-1-0001", second.as_str())]);
        assert_eq!(list(&files).len(), 2, "named by themselves they are rejected");
    }

    #[test]
    fn a_file_named_twice_is_one_and_links_of_other_names_are_other_images() {
        let dir = tempfile::tempdir().unwrap();
        let name = |band: &str, image: &str| dir.path().join(format!("frame-{band}-00000{image}-1-0001.fits"));
        for band in ["u", "g", "r", "i", "z"] {
            fs::write(name(band, "1"), "").unwrap();
            std::os::unix::fs::symlink(name(band, "1"), name(band, "2")).unwrap();
        }
        let again = dir.path().join("./frame-u-000001-1-0001.fits");
        let all = list(&[dir.path().to_owned(), again]);
        let read: Vec<_> = all.iter().map(|(id, r)| (id.as_str(), r.reason)).collect();
        assert_eq!(read, [("000001-1-0001", Reason::Internal), ("000002-1-0001", Reason::Internal)]);
    }

    #[test]
    fn what_cannot_be_used_is_rejected_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let one = |name: &str| touch(dir.path(), &[name]);
        let (missing, folder) = (dir.path().join("nowhere"), dir.path().join("empty"));
        fs::create_dir(&folder).unwrap();
        for (paths, id, reason, says) in [
            (one("a [1]\n.fits"), "unrecognised.a__1__.fits", Reason::NotFits, "name"),
            (vec![missing], "unrecognised.nowhere", Reason::Unreadable, "no such file"),
            (vec![folder], "unrecognised.empty", Reason::Unreadable, "no file of the survey"),
            (one("frame-u-000001-1-0001.fits"), "000001-1-0001", Reason::MissingBand, "bands g, r, i, z"),
            (
                [one("frame-u-000001-1-0001.fits"), one("frame-u-000001-1-0001.fits.gz")].concat(),
                "000001-1-0001",
                Reason::BandMismatch,
                "band u came twice",
            ),
        ] {
            let all = list(&paths);
            assert_eq!((all.len(), all[0].0.as_str(), all[0].1.reason), (1, id, reason));
            assert!(all[0].1.message.contains(says) && all[0].1.file.is_some(), "{}", all[0].1);
        }
    }

    #[test]
    fn rejected_names_are_distinct() {
        let dir = tempfile::tempdir().unwrap();
        let all = list(&touch(dir.path(), &["a b", "a_b", &"ä".repeat(120)]));
        let names: BTreeSet<_> = all.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(names.len(), 3);
        assert!(names.contains("unrecognised.a_b") && names.contains("unrecognised.a_b-2"));
    }
}
