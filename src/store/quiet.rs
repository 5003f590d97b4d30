//! What is read of a file once it is quiet: not while it still grows, and once for each state that it is in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::watch::FileStat;

/// What was read of each file.
pub(super) struct Quiet<T> {
    files: BTreeMap<PathBuf, Known<T>>,
}

struct Known<T> {
    stat: FileStat,
    unchanged_since: Duration,
    read: Option<T>,
    looked: Duration,
}

impl<T> Default for Quiet<T> {
    fn default() -> Self {
        Self { files: BTreeMap::new() }
    }
}

impl<T: Clone> Quiet<T> {
    /// What is read of a file that has not changed for `settle_s` at time `now` (from any fixed start); `None` while
    /// it has.
    pub(super) fn of(&mut self, path: &Path, now: Duration, settle_s: f64, read: impl FnOnce() -> T) -> Option<T> {
        let stat = FileStat::of(path);
        let known = self.files.remove(path).filter(|known| known.stat == stat);
        let mut known = known.unwrap_or(Known { stat, unchanged_since: now, read: None, looked: now });
        known.looked = now;
        if now.saturating_sub(known.unchanged_since).as_secs_f64() >= settle_s && known.read.is_none() {
            known.read = Some(read());
        }
        let said = known.read.clone();
        self.files.insert(path.to_owned(), known);
        said
    }

    /// Forgets the files that were not asked for at time `now`.
    pub(super) fn keep_those_of(&mut self, now: Duration) {
        self.files.retain(|_, known| known.looked == now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_it_is_quiet_and_again_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "1").unwrap();
        let (mut quiet, s) = (Quiet::default(), Duration::from_secs);
        let read = || std::fs::read_to_string(&path).unwrap();
        assert_eq!(quiet.of(&path, s(0), 2.0, read), None);
        assert_eq!(quiet.of(&path, s(1), 2.0, read), None);
        assert_eq!(quiet.of(&path, s(2), 2.0, read), Some("1".into()));
        assert_eq!(quiet.of(&path, s(3), 2.0, || unreachable!("it is known")), Some("1".into()));
        std::fs::write(&path, "22").unwrap();
        assert_eq!(quiet.of(&path, s(4), 2.0, read), None);
        assert_eq!(quiet.of(&path, s(6), 2.0, read), Some("22".into()));
        quiet.keep_those_of(s(7));
        assert_eq!(quiet.of(&path, s(8), 2.0, read), None, "it was forgotten");
    }
}
