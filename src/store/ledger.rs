//! Who owns a folder of results, which images are finished, and which are being worked on.
//!
//! `.twinpeak/lock` is held by the one process that may write to the folder; `.twinpeak/claims/<id>.json` says
//! that an image was begun, and how often, and is on disk before the work begins. Finished is what
//! `<id>.done.json` or `rejected/<id>.json` says, and nothing else: remove that file to have an image done
//! again. So a process may die at any moment: the next one finds every image either finished, or claimed with
//! one more attempt, or not begun.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::file_set;
use twinpeak_core::causes::causes;
use twinpeak_core::frame::ImageId;

/// An image is not begun again after so many attempts in which the process died.
pub const MAX_ATTEMPTS: u32 = 2;

const STATE: &str = ".twinpeak";
const CLAIMS: &str = "claims";
pub(super) const REJECTED: &str = "rejected";

/// The right to write to a folder of results. Cheap to clone; the folder is free when the last clone is gone.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    claims: PathBuf,
    // Claims are taken by the source's thread and given back by the sink's.
    table: Mutex<Table>,
    _lock: File,
}

#[derive(Default)]
struct Table {
    in_work: BTreeSet<ImageId>,
    /// How often the process died on an image, for those on which it did.
    died: BTreeMap<ImageId, u32>,
}

/// What a claim's file says.
#[derive(Serialize, Deserialize)]
struct Attempts {
    attempts: u32,
}

/// An image in work. Released, it is over; dropped, it goes back untouched, as if it had never been begun.
pub struct Lease {
    ledger: Ledger,
    image: ImageId,
    died: u32,
}

impl Ledger {
    /// Takes the folder, made where it is missing, and tidies up after a process that died.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where another process has it, else what the system refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let (state, rejected) = (folder.join(STATE), folder.join(REJECTED));
        let claims = state.join(CLAIMS);
        for path in [folder, &claims, &rejected] {
            fs::create_dir_all(path).map_err(|source| StoreError::Io {
                action: "make the folder",
                path: path.to_owned(),
                source,
            })?;
        }
        let lock = lock(&state.join("lock"), folder)?;
        for path in [folder, &claims, &rejected] {
            file_set::sweep(path)?;
        }
        let mut table = Table::default();
        let finished = finished(folder)?;
        for name in names(&claims, ".json")? {
            // A process may die between an image's last file and its claim's removal.
            match ImageId::new(&name) {
                Ok(image) if !finished.contains(&name) => {
                    let died = attempts(&claims.join(file_of(&image)));
                    table.died.insert(image, died);
                }
                _ => file_set::remove_file(&claims, &format!("{name}.json"))?,
            }
        }
        Ok(Self(Arc::new(Inner { folder: folder.to_owned(), claims, table: Mutex::new(table), _lock: lock })))
    }

    /// The folder of results.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Names of all images that are finished, done or rejected.
    ///
    /// # Errors
    /// [`StoreError`] where the folder cannot be read.
    pub fn finished(&self) -> Result<BTreeSet<String>, StoreError> {
        finished(&self.0.folder)
    }

    /// Images being worked on.
    pub fn in_work(&self) -> usize {
        self.table().in_work.len()
    }

    /// Whether an image is being worked on.
    pub fn works_on(&self, image: &ImageId) -> bool {
        self.table().in_work.contains(image)
    }

    /// How often the process died while it worked on an image.
    pub fn died(&self, image: &ImageId) -> u32 {
        self.table().died.get(image).copied().unwrap_or(0)
    }

    /// Begins an image: on disk when this returns. `None` where it is finished or in work.
    ///
    /// # Errors
    /// [`StoreError`] where the claim cannot be written.
    pub fn claim(&self, image: &ImageId) -> Result<Option<Lease>, StoreError> {
        // Held while it is decided and written, so that an image is never begun twice.
        let mut table = self.table();
        let done = self.0.folder.join(format!("{image}.done.json")).exists()
            || self.0.folder.join(REJECTED).join(file_of(image)).exists();
        if done || table.in_work.contains(image) {
            return Ok(None);
        }
        let died = table.died.get(image).copied().unwrap_or(0);
        self.write(image, died + 1)?;
        table.in_work.insert(image.clone());
        Ok(Some(Lease { ledger: self.clone(), image: image.clone(), died }))
    }

    /// Takes back the attempts of all images in work: for a process that stops at once because it was asked to.
    pub fn reset_attempts(&self) {
        let in_work = std::mem::take(&mut self.table().in_work);
        for image in in_work {
            self.restore(&image);
        }
    }

    /// Writes and removes a small file in the folder: whether results could be written now.
    ///
    /// # Errors
    /// [`StoreError`] saying why not.
    pub fn probe(&self) -> Result<(), StoreError> {
        file_set::write_file(&self.0.folder, ".tmp-probe", b"twinpeak\n")?;
        file_set::remove_file(&self.0.folder, ".tmp-probe")
    }

    /// Frees the folder as the end of a process does.
    #[cfg(test)]
    pub(super) fn unlock(&self) {
        self.0._lock.unlock().expect("the lock is held");
    }

    fn write(&self, image: &ImageId, attempts: u32) -> Result<(), StoreError> {
        let text = serde_json::to_vec(&Attempts { attempts }).expect("a number can be written as JSON");
        file_set::write_file(&self.0.claims, &file_of(image), &text)
    }

    /// Puts an image's claim back to what it was; best effort, since at worst an attempt too many is counted.
    fn restore(&self, image: &ImageId) {
        let put_back = match self.died(image) {
            0 => file_set::remove_file(&self.0.claims, &file_of(image)),
            died => self.write(image, died),
        };
        if let Err(error) = put_back {
            tracing::warn!(image_id = %image, error = %causes(&error), "lease could not be released");
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No update can be left half-made by a panic.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// How often the process died on this image before.
    pub fn died(&self) -> u32 {
        self.died
    }

    /// The image is finished, and its outcome is on disk.
    ///
    /// # Errors
    /// [`StoreError`] where the claim's file cannot be removed; the next start does it.
    pub fn release(&self) -> Result<(), StoreError> {
        let removed = file_set::remove_file(&self.ledger.0.claims, &file_of(&self.image));
        let mut table = self.ledger.table();
        table.in_work.remove(&self.image);
        table.died.remove(&self.image);
        removed
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let held = self.ledger.table().in_work.remove(&self.image);
        // A panic while an image is in hand is that image's attempt.
        if held && !std::thread::panicking() {
            self.ledger.restore(&self.image);
        }
    }
}

fn file_of(image: &ImageId) -> String {
    format!("{image}.json")
}

/// Opens and locks a file; the system frees it when the process ends, however it ends.
fn lock(path: &Path, folder: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::Io { action: "lock", path: path.to_owned(), source };
    let file = File::create(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse { folder: folder.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// An unreadable claim still says that its image was begun.
fn attempts(path: &Path) -> u32 {
    let claim = fs::read(path).ok().and_then(|text| serde_json::from_slice::<Attempts>(&text).ok());
    claim.map_or(1, |c| c.attempts)
}

fn finished(folder: &Path) -> Result<BTreeSet<String>, StoreError> {
    let mut all = names(folder, ".done.json")?;
    all.extend(names(&folder.join(REJECTED), ".json")?);
    Ok(all)
}

/// What stands before `suffix` in the names of a folder's files.
pub(super) fn names(folder: &Path, suffix: &str) -> Result<BTreeSet<String>, StoreError> {
    let failed = |e| StoreError::of("read the folder", folder, folder, e);
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        found.extend(name.to_str().and_then(|n| n.strip_suffix(suffix)).map(str::to_owned));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::testing::id;

    /// As after kill -9: nothing of ours runs any more, and the system frees the lock.
    fn die(ledger: Ledger, claim: Lease) {
        ledger.unlock();
        std::mem::forget((ledger, claim));
    }

    #[test]
    fn a_folder_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let first = Ledger::open(dir.path()).unwrap();
        assert!(matches!(Ledger::open(dir.path()), Err(StoreError::InUse { .. })));
        drop(first);
        assert!(Ledger::open(dir.path()).is_ok());
    }

    #[test]
    fn an_image_is_begun_once_at_a_time_and_never_after_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let claim = ledger.claim(&id("a")).unwrap().unwrap();
        assert!(ledger.claim(&id("a")).unwrap().is_none() && ledger.in_work() == 1);
        fs::write(dir.path().join("a.done.json"), "{}").unwrap();
        claim.release().unwrap();
        assert!(ledger.claim(&id("a")).unwrap().is_none() && ledger.in_work() == 0 && ledger.died(&id("a")) == 0);
        fs::write(dir.path().join("rejected/b.json"), "{}").unwrap();
        assert!(ledger.claim(&id("b")).unwrap().is_none());
        assert_eq!(ledger.finished().unwrap().into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn only_deaths_count_as_attempts() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        drop(ledger.claim(&id("a")).unwrap().unwrap());
        assert_eq!(ledger.died(&id("a")), 0, "given back");
        for deaths in 0..3 {
            let claim = ledger.claim(&id("a")).unwrap().unwrap();
            assert_eq!(claim.died(), deaths);
            die(ledger, claim);
            ledger = Ledger::open(dir.path()).unwrap();
            assert_eq!(ledger.died(&id("a")), deaths + 1);
            drop(ledger.claim(&id("a")).unwrap().unwrap());
            assert_eq!(ledger.died(&id("a")), deaths + 1, "giving back keeps earlier deaths");
        }
        let claim = ledger.claim(&id("a")).unwrap().unwrap();
        ledger.reset_attempts();
        std::mem::forget(claim);
        assert_eq!(ledger.died(&id("a")), 3, "asked to stop at once");
    }

    #[test]
    fn claims_of_finished_images_and_half_written_files_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let claim = ledger.claim(&id("a")).unwrap().unwrap();
        fs::write(dir.path().join("a.done.json"), "{}").unwrap();
        for name in [".tmp-b.done.json", "rejected/.tmp-b.json", ".twinpeak/claims/.tmp-b.json"] {
            fs::write(dir.path().join(name), "half").unwrap();
        }
        die(ledger, claim);
        let ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(ledger.died(&id("a")), 0);
        for name in [".tmp-b.done.json", "rejected/.tmp-b.json", ".twinpeak/claims/.tmp-b.json"] {
            assert!(!dir.path().join(name).exists(), "{name}");
        }
    }
}
