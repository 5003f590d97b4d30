//! Files of one folder that appear whole or not at all, together and for good: synced before and after.

use std::fs::{self, File};
use std::path::Path;

use super::error::StoreError;
use twinpeak_core::atomic_write::{ASIDE, Aside};

/// Files of one folder that will appear together, in the order given.
pub(super) struct Set<'a> {
    folder: &'a Path,
    files: Vec<Aside>,
}

impl<'a> Set<'a> {
    /// Writes and syncs all `files` (name, bytes) aside, in parallel: a sync mostly waits.
    ///
    /// # Errors
    /// [`StoreError`] naming the first file that failed; then none is kept.
    pub(super) fn write(folder: &'a Path, files: &[(&str, &[u8])]) -> Result<Self, StoreError> {
        let results: Vec<Result<Aside, StoreError>> = std::thread::scope(|scope| {
            let write = |name: &str, bytes: &[u8]| {
                let whole = folder.join(name);
                Aside::write_synced(&whole, bytes).map_err(|e| StoreError::of("write", &whole, folder, e))
            };
            let threads: Vec<_> = files.iter().map(|(name, bytes)| scope.spawn(move || write(name, bytes))).collect();
            threads.into_iter().map(|t| t.join().expect("writing a file does not panic")).collect()
        });
        Ok(Self { folder, files: results.into_iter().collect::<Result<_, _>>()? })
    }

    /// Lets the first `count` of the files that are still aside appear, and makes that last.
    ///
    /// # Errors
    /// [`StoreError`] naming the file.
    pub(super) fn show(&mut self, count: usize) -> Result<(), StoreError> {
        for file in self.files.drain(..count.min(self.files.len())) {
            let whole = file.whole().to_owned();
            file.show().map_err(|e| StoreError::of("rename into place", &whole, self.folder, e))?;
        }
        sync_folder(self.folder)
    }
}

/// Writes one file of a folder, so that it appears whole or not at all.
///
/// # Errors
/// [`StoreError`] naming it.
pub fn write_file(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    Set::write(folder, &[(name, bytes)])?.show(1)
}

/// Removes a file for good; it need not be there.
///
/// # Errors
/// [`StoreError`] naming it.
pub(super) fn remove_file(folder: &Path, name: &str) -> Result<(), StoreError> {
    let path = folder.join(name);
    match fs::remove_file(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(StoreError::of("remove", &path, folder, e)),
        Ok(()) => sync_folder(folder),
    }
}

/// Removes what an earlier process left half-written in a folder that is ours alone.
///
/// # Errors
/// [`StoreError`] where the folder cannot be read.
pub(super) fn sweep(folder: &Path) -> Result<usize, StoreError> {
    let failed = |e| StoreError::of("read the folder", folder, folder, e);
    let mut swept = 0;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(ASIDE) && !path.is_dir() {
            fs::remove_file(&path).map_err(|e| StoreError::of("remove", &path, folder, e))?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(|e| StoreError::of("sync", folder, folder, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_seen_before_it_is_shown_and_order_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut set = Set::write(dir.path(), &[("a", b"1"), ("b", b"2"), ("c", b"3")]).unwrap();
        assert_eq!(names(dir.path()), [".tmp-a", ".tmp-b", ".tmp-c"]);
        set.show(2).unwrap();
        assert_eq!(names(dir.path()), [".tmp-c", "a", "b"]);
        drop(set);
        assert_eq!(names(dir.path()), ["a", "b"]);
        assert_eq!(fs::read(dir.path().join("b")).unwrap(), b"2");
    }

    #[test]
    fn one_failure_keeps_none() {
        let dir = tempfile::tempdir().unwrap();
        // A device without room, where the file would be written aside.
        std::os::unix::fs::symlink("/dev/full", dir.path().join(".tmp-b")).unwrap();
        let error = Set::write(dir.path(), &[("a", b"1"), ("b", b"2")]).err().unwrap();
        assert!(matches!(&error, StoreError::Full { path, .. } if path.ends_with("b")), "{error}");
        assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
    }

    #[test]
    fn a_vanished_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        assert!(matches!(write_file(&gone, "a", b"1"), Err(StoreError::Vanished { folder }) if folder == gone));
        fs::write(&gone, "a file in the folder's place").unwrap();
        assert!(matches!(write_file(&gone, "a", b"1"), Err(StoreError::Vanished { folder }) if folder == gone));
    }

    #[test]
    fn leftovers_are_swept_and_results_stay() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".tmp-a.done.json", "a.done.json", ".hidden"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(sweep(dir.path()).unwrap(), 1);
        assert_eq!(names(dir.path()), [".hidden", "a.done.json"]);
    }
}
