//! When a field that arrives file by file is ready: a pure account of what was seen and when.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::field::Field;
use twinpeak_core::frame::ImageId;
use twinpeak_core::survey::Survey;

/// How long a watched folder is waited for, s.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchTimeouts {
    /// Between two looks at the folder.
    pub poll_s: f64,
    /// A field is taken when its files have not changed for so long.
    pub settle_s: f64,
    /// A field that lacks a band, a mask or weights is taken or rejected, as the survey says, when nothing of it has
    /// changed for so long.
    pub incomplete_after_s: f64,
}

impl Default for WatchTimeouts {
    fn default() -> Self {
        Self { poll_s: 1.0, settle_s: 2.0, incomplete_after_s: 600.0 }
    }
}

/// One file as a look at the folder finds it. How its times stand to the clock does not matter: a change is told by
/// their being others than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileStat {
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl FileStat {
    /// Of a file that is there; of one that is not, or cannot be looked at, nothing is known but its path.
    pub(super) fn of(path: &Path) -> Self {
        let data = fs::metadata(path).ok();
        let (bytes, modified) = data.map_or((0, None), |data| (data.len(), data.modified().ok()));
        Self { path: path.to_owned(), bytes, modified }
    }
}

/// A field as a look at the folder finds it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    field: Field,
    files: Vec<FileStat>,
}

impl Seen {
    pub(super) fn of(field: Field) -> Self {
        let files = field.paths().into_iter().map(FileStat::of).collect();
        Self { field, files }
    }
}

/// All fields that wait.
pub(super) struct Watch {
    survey: Arc<Survey>,
    fields: BTreeMap<ImageId, Waiting>,
}

struct Waiting {
    seen: Seen,
    unchanged_since: Duration,
}

impl Watch {
    /// Nothing has been seen yet.
    pub(super) fn new(survey: Arc<Survey>) -> Self {
        Self { survey, fields: BTreeMap::new() }
    }

    /// Takes the result of a look at time `now` (from any fixed start): fields that are gone are forgotten, and
    /// one with any file added, removed or changed waits anew.
    pub(super) fn look(&mut self, now: Duration, seen: BTreeMap<ImageId, Seen>) {
        let before = std::mem::take(&mut self.fields);
        for (image, seen) in seen {
            let same = before.get(&image).filter(|w| w.seen == seen);
            let unchanged_since = same.map_or(now, |w| w.unchanged_since);
            self.fields.insert(image, Waiting { seen, unchanged_since });
        }
    }

    /// Whether no field waits.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Names of the fields that need not wait any longer at time `now`, complete or given up, by name.
    pub(super) fn ready<'a>(&'a self, now: Duration, patience: &WatchTimeouts) -> impl Iterator<Item = &'a ImageId> {
        let (settle_s, incomplete_after_s) = (patience.settle_s, patience.incomplete_after_s);
        self.fields.iter().filter_map(move |(image, waiting)| {
            let quiet_s = now.saturating_sub(waiting.unchanged_since).as_secs_f64();
            let enough_s = if waiting.seen.field.is_whole(&self.survey) { settle_s } else { incomplete_after_s };
            (quiet_s >= enough_s).then_some(image)
        })
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, image: &ImageId) -> Option<Field> {
        self.fields.remove(image).map(|waiting| waiting.seen.field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::files::BandFiles;
    use twinpeak_core::testing::{id, sdss};

    fn seen(image: &str, bands: &[usize], bytes: u64) -> BTreeMap<ImageId, Seen> {
        let (mut field, mut files) = (Field::default(), Vec::new());
        for &band in bands {
            let path = PathBuf::from(format!("{image}{band}"));
            field.add(band, BandFiles::from(path.clone()));
            files.push(FileStat { path, bytes, modified: None });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        BTreeMap::from([(id(image), Seen { field, files })])
    }

    fn ready(watch: &Watch, now_s: u64) -> Vec<String> {
        let patience = WatchTimeouts { poll_s: 0.5, settle_s: 2.0, incomplete_after_s: 10.0 };
        watch.ready(Duration::from_secs(now_s), &patience).map(ImageId::to_string).collect()
    }

    #[test]
    fn a_complete_field_waits_until_it_is_quiet() {
        let mut watch = Watch::new(Arc::new(sdss()));
        let s = Duration::from_secs;
        watch.look(s(0), seen("a", &[0, 1, 2, 3], 1));
        watch.look(s(3), seen("a", &[0, 1, 2, 3, 4], 1));
        assert!(ready(&watch, 4).is_empty(), "the last band has just come");
        watch.look(s(4), seen("a", &[0, 1, 2, 3, 4], 2));
        assert!(ready(&watch, 5).is_empty(), "a file has grown");
        watch.look(s(6), seen("a", &[4, 3, 2, 1, 0], 2));
        assert_eq!(ready(&watch, 6), ["a"], "whatever the order of a look");
    }

    #[test]
    fn an_incomplete_field_is_given_up_late_and_a_band_starts_its_time_anew() {
        let mut watch = Watch::new(Arc::new(sdss()));
        let s = Duration::from_secs;
        watch.look(s(0), seen("a", &[0, 1, 2], 1));
        assert!(ready(&watch, 9).is_empty());
        watch.look(s(9), seen("a", &[0, 1, 2, 3], 1));
        assert!(ready(&watch, 18).is_empty());
        assert_eq!(ready(&watch, 19), ["a"]);
        let mut needing = seen("a", &[0, 1, 2, 3, 4], 1);
        needing.get_mut(&id("a")).unwrap().field.lacks("the mask of band g".into(), "m".into());
        watch.look(s(20), needing);
        assert!(ready(&watch, 29).is_empty(), "a mask that must be there is waited for like a band");
        assert_eq!(ready(&watch, 30), ["a"]);
        watch.look(s(31), BTreeMap::new());
        assert!(watch.is_empty(), "somebody took the files away");
    }
}
