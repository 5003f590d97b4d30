//! A file that appears whole or not at all: written aside under a hidden name in the same folder, then renamed.
//! Whatever moment the process dies at, a reader sees the old file, the new one or none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Start of the name of a file that is still being written. Image ids never start with a dot, so it meets no result's
/// name.
pub const ASIDE: &str = ".tmp-";

/// A file that is written and not to be seen yet; removed again where it is dropped unseen.
#[derive(Debug)]
pub struct Aside {
    aside: PathBuf,
    whole: PathBuf,
    shown: bool,
}

impl Aside {
    /// Writes `bytes` aside of `whole`. The process's death harms nothing; the machine's may leave an empty file
    /// behind.
    ///
    /// # Errors
    /// As the system refuses; nothing is kept then.
    pub fn write(whole: &Path, bytes: &[u8]) -> io::Result<Self> {
        Self::write_as("", whole, bytes)
    }

    /// The same, where several processes may write the same file: `writer` tells their files aside apart.
    ///
    /// # Errors
    /// As the system refuses; nothing is kept then.
    pub fn write_as(writer: &str, whole: &Path, bytes: &[u8]) -> io::Result<Self> {
        let file = Self::of(writer, whole);
        fs::write(&file.aside, bytes).map(|()| file)
    }

    /// The same, and on the disk when this returns; the folder's entry is the caller's to sync.
    ///
    /// # Errors
    /// As the system refuses; nothing is kept then.
    pub fn write_synced(whole: &Path, bytes: &[u8]) -> io::Result<Self> {
        let file = Self::of("", whole);
        let mut open = File::create(&file.aside)?;
        open.write_all(bytes)?;
        open.sync_all()?;
        Ok(file)
    }

    fn of(writer: &str, whole: &Path) -> Self {
        let name = whole.file_name().unwrap_or_default().to_string_lossy();
        Self { aside: whole.with_file_name(format!("{ASIDE}{writer}{name}")), whole: whole.to_owned(), shown: false }
    }

    /// Lets it appear, in the place of one that was there.
    ///
    /// # Errors
    /// As the system refuses.
    pub fn show(mut self) -> io::Result<()> {
        fs::rename(&self.aside, &self.whole)?;
        self.shown = true;
        Ok(())
    }

    /// Where it will appear.
    pub fn whole(&self) -> &Path {
        &self.whole
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // The name of one that was shown may be another writer's by now.
        if !self.shown {
            let _ = fs::remove_file(&self.aside); // what cannot be removed now is overwritten or swept later
        }
    }
}

/// Writes a file whole or not at all; see [`Aside::write`].
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let file = folder.path().join("report.json");
/// twinpeak_core::atomic_write::atomic_write(&file, b"{}")?;
/// assert_eq!(std::fs::read(&file)?, b"{}");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// As the system refuses.
pub fn atomic_write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Aside::write(path, bytes)?.show()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_is_removed_and_what_is_shown_stays() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("f");
        let aside = folder.path().join(".tmp-f");
        drop(Aside::write(&whole, b"1").unwrap());
        assert!(!aside.exists() && !whole.exists());
        let first = Aside::write(&whole, b"1").unwrap();
        first.show().unwrap();
        let second = Aside::write(&whole, b"2").unwrap();
        assert_eq!((fs::read(&whole).unwrap(), fs::read(&aside).unwrap()), (b"1".to_vec(), b"2".to_vec()));
        second.show().unwrap();
        assert_eq!(fs::read(&whole).unwrap(), b"2");
    }
}
