//! Claim checks in a folder: written aside, synced, then linked into place, so that an object is there whole or
//! not at all, is made by exactly one of several that try, and is still there after the power was cut.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::ObjectStoreError;
use crate::message::Uri;

/// Below the folder of objects: what is being written. No object's shelf has such a name.
const ASIDE: &str = ".aside";
/// Nobody still writes to a file that was not touched for so long: its process has died.
const DEAD_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Makes the folder of objects where it is not, and removes what processes that died left half-written.
///
/// # Errors
/// [`ObjectStoreError`] where it cannot be written.
pub(super) fn prepare(folder: &Path) -> Result<(), ObjectStoreError> {
    let aside = folder.join(ASIDE);
    let failed = |e| ObjectStoreError::of("prepare", &Uri::File(aside.clone()), e);
    fs::create_dir_all(&aside).map_err(failed)?;
    let sync = |folder: &Path| File::open(folder)?.sync_all();
    folder.parent().map_or(Ok(()), sync).map_err(failed)?;
    for entry in fs::read_dir(&aside).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let age = entry.metadata().and_then(|m| m.modified()).map(|at| at.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > DEAD_AFTER) {
            // Another instance may have been quicker.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Stores `bytes` at `path`, two levels below `folder`, if they are not there already; whether this call made it.
///
/// # Errors
/// [`ObjectStoreError`] naming the object; then nothing half-written is seen.
pub(super) fn put(folder: &Path, path: &Path, bytes: &[u8]) -> Result<bool, ObjectStoreError> {
    put_synced(folder, path, bytes).map_err(|source| {
        let uri = Uri::File(path.to_owned());
        match source.kind() {
            // The folder has gone, e.g. its disk was unmounted. It is not made anew on the disk beneath.
            io::ErrorKind::NotFound => ObjectStoreError::Io { action: "store", uri, source },
            _ => ObjectStoreError::of("store", &uri, source),
        }
    })
}

fn put_synced(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let shelf = path.parent().unwrap_or(folder);
    let whole = |there: fs::Metadata| there.is_file() && there.len() == bytes.len() as u64;
    let created = if fs::symlink_metadata(path).is_ok_and(whole) {
        false
    } else {
        match fs::create_dir(shelf) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let aside = Aside::write(&folder.join(ASIDE), bytes)?;
        match fs::hard_link(&aside.0, path) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                // Another was quicker; or it is damaged, and was another's all the same.
                if !fs::symlink_metadata(path).is_ok_and(whole) {
                    fs::rename(&aside.0, path)?;
                }
                false
            }
            Err(e) => return Err(e),
        }
    };
    // Also where another made it: it may not have come so far yet.
    File::open(shelf)?.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(created)
}

/// Removes an object for good; it need not be there. Whoever changed its shelf into a link gains nothing.
///
/// # Errors
/// [`ObjectStoreError`] naming it.
pub(super) fn remove(folder: &Path, path: &Path) -> Result<(), ObjectStoreError> {
    let uri = Uri::File(path.to_owned());
    let failed = |e| ObjectStoreError::of("remove", &uri, e);
    let gone = || -> io::Result<()> {
        let shelf = path.parent().unwrap_or(folder).canonicalize()?;
        if shelf.parent() != Some(&folder.canonicalize()?) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        fs::remove_file(shelf.join(path.file_name().unwrap_or(OsStr::new(""))))?;
        File::open(shelf)?.sync_all()
    };
    match gone() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(failed),
    }
}

/// A file that is being written; removed when it is dropped.
struct Aside(PathBuf);

impl Aside {
    /// Writes and syncs under a name that no other instance, thread or dead process has.
    fn write(folder: &Path, bytes: &[u8]) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (path, mut file) = loop {
            let path = folder.join(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                opened => break (path, opened?),
            }
        };
        let aside = Self(path);
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What cannot be removed now is removed at a later start.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let all = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        all.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn of_many_that_store_the_same_exactly_one_creates_it() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path()).unwrap();
        let bytes = vec![7; 100_000];
        for round in 0..20 {
            let path = dir.path().join("ab").join(round.to_string());
            let created = std::thread::scope(|scope| {
                let put = || put(dir.path(), &path, &bytes).unwrap();
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(put)).collect();
                threads.into_iter().map(|t| t.join().unwrap()).filter(|created| *created).count()
            });
            assert_eq!(created, 1);
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(files(dir.path()).len(), 20);
    }

    #[test]
    fn a_damaged_object_is_made_whole() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path()).unwrap();
        let path = dir.path().join("ab/object");
        assert!(put(dir.path(), &path, b"whole").unwrap());
        fs::write(&path, b"who").unwrap();
        assert!(!put(dir.path(), &path, b"whole").unwrap(), "others may refer to it");
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(files(dir.path()), [path]);
    }

    #[test]
    fn what_dead_processes_left_is_removed_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path()).unwrap();
        let (old, new) = (dir.path().join(ASIDE).join("1-0"), dir.path().join(ASIDE).join("2-0"));
        let long_ago = SystemTime::now() - 2 * DEAD_AFTER;
        File::create(&old).unwrap().set_modified(long_ago).unwrap();
        File::create(&new).unwrap();
        prepare(dir.path()).unwrap();
        assert_eq!(files(dir.path()), [new]);
    }

    #[test]
    fn nothing_outside_is_removed_by_way_of_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, outside) = (dir.path().join("objects"), dir.path().join("outside"));
        prepare(&folder).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("f"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("ab")).unwrap();
        assert!(matches!(remove(&folder, &folder.join("ab/f")), Err(ObjectStoreError::Io { .. })));
        assert!(outside.join("f").exists());
        assert!(put(&folder, &folder.join("cd/f"), b"x").unwrap());
        remove(&folder, &folder.join("cd/f")).unwrap();
        remove(&folder, &folder.join("cd/f")).unwrap();
        remove(&folder, &folder.join("ef/f")).unwrap();
        assert!(files(&folder).iter().all(|f| f == &folder.join("ab/f")), "{:?}", files(&folder));
    }

    #[test]
    fn a_folder_that_has_gone_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("objects");
        prepare(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let error = put(&folder, &folder.join("ab/f"), b"x").unwrap_err();
        assert!(error.retryable() && !folder.exists(), "{error}");
    }

    #[test]
    fn a_disk_without_room_is_told() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        let error = ObjectStoreError::of("store", &Uri::File("/o/f".into()), full);
        assert!(matches!(error, ObjectStoreError::Full { .. }) && error.retryable(), "{error}");
    }
}
