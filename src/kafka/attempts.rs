//! How often a process died on a message: a small file for each message in work, on disk before the work begins.
//!
//! The files lie in a folder of their own, by topic, partition and offset. Daemons of one group that share a file
//! system should share the folder: else each counts for itself, and a deadly message may kill each of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::KafkaError;
use super::delivery::Origin;

/// A message is not begun again after so many attempts in which the process died.
pub const MAX_ATTEMPTS: u32 = 2;

/// What a message's file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// Attempts begun and not ended.
    attempts: u32,
    /// Objects that they put into the object store, of which an earlier one may be orphaned.
    #[serde(default)]
    objects: Vec<String>,
}

/// The folder of claims, and which of them are ours.
pub(super) struct Attempts {
    folder: PathBuf,
    /// Messages that we have begun, with what their files said before. Taken by the engine's and the session's threads.
    ours: Mutex<BTreeMap<Origin, Claim>>,
}

impl Attempts {
    /// Opens the folder, made where it is missing.
    ///
    /// # Errors
    /// [`KafkaError::State`] where it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, KafkaError> {
        fs::create_dir_all(folder).map_err(|source| state("make the folder", folder, source))?;
        Ok(Self { folder: folder.to_owned(), ours: Mutex::default() })
    }

    /// How often a process died on a message, by what is on disk now.
    pub fn died(&self, origin: &Origin) -> u32 {
        match self.ours().get(origin) {
            Some(before) => before.attempts,
            None => self.read(origin).attempts,
        }
    }

    /// Begins a message: noted on disk when this returns.
    ///
    /// # Errors
    /// [`KafkaError::State`] where that cannot be written.
    pub fn begin(&self, origin: &Origin) -> Result<(), KafkaError> {
        let ours = self.ours().get(origin).cloned(); // begun by us in an earlier tenure, and we live
        let before = ours.unwrap_or_else(|| self.read(origin));
        self.write(origin, &Claim { attempts: before.attempts + 1, objects: before.objects.clone() })?;
        self.ours().insert(origin.clone(), before);
        Ok(())
    }

    /// Notes objects that this attempt has put into the object store.
    ///
    /// # Errors
    /// [`KafkaError::State`] where that cannot be written.
    pub fn note(&self, origin: &Origin, objects: &[String]) -> Result<(), KafkaError> {
        if objects.is_empty() {
            return Ok(());
        }
        let mut claim = self.read(origin);
        claim.objects.extend(objects.iter().filter(|o| !claim.objects.contains(o)).cloned().collect::<Vec<_>>());
        self.write(origin, &claim)
    }

    /// The message's outcome is committed, with `kept` objects: its file goes. Returns the objects that an earlier
    /// attempt left and nobody names.
    pub fn committed(&self, origin: &Origin, kept: &[String]) -> Vec<String> {
        self.ours().remove(origin);
        let claim = self.read(origin);
        self.remove(origin);
        claim.objects.into_iter().filter(|o| !kept.contains(o)).collect()
    }

    /// A partition's messages go back unfinished and no process died: these attempts do not count.
    pub fn give_back(&self, partition: i32) {
        let gone: Vec<_> = self.ours().extract_if(.., |origin, _| origin.partition == partition).collect();
        gone.iter().for_each(|(origin, before)| self.restore(origin, before));
    }

    /// Gives back all messages in work: for a process that stops because it was asked to.
    pub fn forgive(&self) {
        let all = std::mem::take(&mut *self.ours());
        all.iter().for_each(|(origin, before)| self.restore(origin, before));
    }

    fn restore(&self, origin: &Origin, before: &Claim) {
        let claim = Claim { attempts: before.attempts, objects: self.read(origin).objects };
        if claim == Claim::default() {
            self.remove(origin);
        } else if let Err(error) = self.write(origin, &claim) {
            tracing::warn!(%origin, %error, "a message given back keeps its attempt");
        }
    }

    /// An unreadable claim still says that its message was begun.
    fn read(&self, origin: &Origin) -> Claim {
        let text = fs::read(self.path(origin));
        text.map_or_else(
            |_| Claim::default(),
            |text| serde_json::from_slice(&text).unwrap_or(Claim { attempts: 1, objects: Vec::new() }),
        )
    }

    /// Aside and renamed: a process that dies here leaves the old file or the new one. Not synced, since only the
    /// death of the process counts, and what the system has been given outlives that.
    fn write(&self, origin: &Origin, claim: &Claim) -> Result<(), KafkaError> {
        let text = serde_json::to_vec(claim).expect("a number and texts can be written as JSON");
        let (path, aside) = (self.path(origin), self.folder.join(format!(".tmp-{origin}")));
        let written = fs::write(&aside, text).and_then(|()| fs::rename(&aside, &path));
        written.map_err(|source| {
            let _ = fs::remove_file(&aside);
            state("write", &path, source)
        })
    }

    fn remove(&self, origin: &Origin) {
        let path = self.path(origin);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(file = ?path, %error, "a claim could not be removed");
            }
            _ => {}
        }
    }

    fn path(&self, origin: &Origin) -> PathBuf {
        self.folder.join(format!("{origin}.json"))
    }

    fn ours(&self) -> MutexGuard<'_, BTreeMap<Origin, Claim>> {
        // No update can be left half-made by a panic.
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn state(action: &'static str, path: &Path, source: std::io::Error) -> KafkaError {
    KafkaError::State { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(offset: i64) -> Origin {
        Origin { topic: "t".into(), partition: 3, offset }
    }

    #[test]
    fn only_deaths_count() {
        let dir = tempfile::tempdir().unwrap();
        let attempts = || Attempts::open(dir.path()).unwrap();
        let first = attempts();
        first.begin(&origin(1)).unwrap();
        assert_eq!(first.died(&origin(1)), 0, "we live");
        first.give_back(3);
        first.begin(&origin(2)).unwrap();
        first.forgive();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        for deaths in 0..3 {
            let next = attempts();
            assert_eq!(next.died(&origin(1)), deaths);
            next.begin(&origin(1)).unwrap(); // and dies
        }
        let last = attempts();
        last.begin(&origin(1)).unwrap();
        last.give_back(3);
        assert_eq!(last.died(&origin(1)), 3, "giving back keeps earlier deaths");
        assert!(last.committed(&origin(1), &[]).is_empty());
        assert_eq!(attempts().died(&origin(1)), 0);
    }

    #[test]
    fn objects_of_an_attempt_that_failed_are_known_to_the_one_that_commits() {
        let dir = tempfile::tempdir().unwrap();
        let attempts = Attempts::open(dir.path()).unwrap();
        attempts.begin(&origin(1)).unwrap();
        attempts.note(&origin(1), &["a".into(), "b".into()]).unwrap();
        attempts.give_back(3);
        attempts.begin(&origin(1)).unwrap();
        attempts.note(&origin(1), &["b".into(), "c".into()]).unwrap();
        assert_eq!(attempts.committed(&origin(1), &["b".into(), "c".into()]), ["a"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Attempts::open(file.path()).err().unwrap().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    }
}
