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
use twinpeak_core::atomic_write::Aside;
use twinpeak_core::causes::causes;

/// A message is not begun again after so many attempts in which the process died.
pub const MAX_ATTEMPTS: u32 = 2;

/// What a message's file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// Attempts begun and not ended.
    attempts: u32,
    /// Who has begun the last of them.
    #[serde(default)]
    holder: Option<Holder>,
    /// Objects that they put into the object store, of which an earlier one may be orphaned.
    #[serde(default)]
    objects: Vec<String>,
}

impl Claim {
    /// Attempts that ended with the death of the process: not the one of a process that lives.
    fn deaths(&self) -> u32 {
        let lives = self.holder.as_ref().is_some_and(Holder::lives);
        self.attempts - u32::from(lives && self.attempts > 0)
    }
}

/// A process: its host, its number there, and when it began, since numbers are used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    host: String,
    pid: u32,
    began: u64,
}

impl Holder {
    fn ourselves() -> Self {
        let pid = std::process::id();
        Self { host: host(), pid, began: began(pid).unwrap_or(0) }
    }

    /// Whether it surely lives: it may be stopped, or cut off from the broker.
    fn lives(&self) -> bool {
        self.host == host() && began(self.pid) == Some(self.began)
    }
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// When a process began, in the system's ticks; `None` where there is none of that number.
fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the twentieth word after it is the start.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The folder of claims, and which of them are ours.
pub(super) struct DeliveryAttempts {
    folder: PathBuf,
    /// Messages that we have begun, with what their files said before. Request by the engine's and the session's threads.
    ours: Mutex<BTreeMap<Origin, Claim>>,
}

impl DeliveryAttempts {
    /// Opens the group's folder below `folder`, made where it is missing: groups count apart.
    ///
    /// # Errors
    /// [`KafkaError::State`] where it cannot be made.
    pub fn open(folder: &Path, group: &str) -> Result<Self, KafkaError> {
        let folder = folder.join(format!("group-{}", group.replace('/', "_")));
        fs::create_dir_all(&folder).map_err(|source| state("make the folder", &folder, source))?;
        Ok(Self { folder, ours: Mutex::default() })
    }

    /// How often a process died on a message, by what is on disk now.
    pub fn died(&self, origin: &Origin) -> u32 {
        match self.ours().get(origin) {
            Some(before) => before.attempts,
            None => self.read(origin).map_or(0, |claim| claim.deaths()),
        }
    }

    /// Begins a message: noted on disk when this returns.
    ///
    /// # Errors
    /// [`KafkaError::State`] where that cannot be written.
    pub fn begin(&self, origin: &Origin) -> Result<(), KafkaError> {
        let ours = self.ours().get(origin).cloned(); // begun by us in an earlier epoch, and we live
        let before = ours.unwrap_or_else(|| {
            let claim = self.read(origin).unwrap_or_default();
            Claim { attempts: claim.deaths(), holder: None, objects: claim.objects }
        });
        let holder = Some(Holder::ourselves());
        self.write(origin, &Claim { attempts: before.attempts + 1, holder, objects: before.objects.clone() })?;
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
        // Gone: the message was taken from us, and somebody else has ended it.
        let Some(mut claim) = self.read(origin) else { return Ok(()) };
        claim.objects.extend(objects.iter().filter(|o| !claim.objects.contains(o)).cloned().collect::<Vec<_>>());
        self.write(origin, &claim)
    }

    /// The message's outcome is committed, with `kept` objects: its file goes. Returns the objects that an earlier
    /// attempt left and nobody names.
    pub fn committed(&self, origin: &Origin, kept: &[String]) -> Vec<String> {
        self.ours().remove(origin);
        let claim = self.read(origin).unwrap_or_default();
        self.remove(origin);
        claim.objects.into_iter().filter(|o| !kept.contains(o)).collect()
    }

    /// Everything of a partition before `offset` is committed: claims that a daemon cut off has left there go.
    pub fn sweep(&self, topic: &str, partition: i32, offset: i64) {
        let Ok(names) = fs::read_dir(&self.folder) else { return };
        let start = format!("{topic}-{partition}-");
        let old =
            |name: &str| name.strip_prefix(&start)?.strip_suffix(".json")?.parse::<i64>().ok().filter(|o| *o < offset);
        for name in names.flatten().map(|entry| entry.file_name()) {
            if name.to_str().and_then(old).is_some() {
                let _ = fs::remove_file(self.folder.join(name)); // another daemon may have been faster
            }
        }
    }

    /// A partition's messages go back unfinished and no process died: these attempts do not count.
    pub fn requeue(&self, partition: i32) {
        let gone: Vec<_> = {
            let mut ours = self.ours();
            let all = std::mem::take(&mut *ours);
            let (gone, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|(origin, _)| origin.partition == partition);
            *ours = kept.into_iter().collect();
            gone
        };
        gone.iter().for_each(|(origin, before)| self.restore(origin, before));
    }

    /// Takes back the attempts of all messages in work: for a process that stops because it was asked to.
    pub fn reset_attempts(&self) {
        let all = std::mem::take(&mut *self.ours());
        all.iter().for_each(|(origin, before)| self.restore(origin, before));
    }

    fn restore(&self, origin: &Origin, before: &Claim) {
        // Somebody else's by now, or ended: a daemon that was cut off has no say any more.
        let Some(claim) = self.read(origin).filter(|c| c.holder == Some(Holder::ourselves())) else { return };
        let claim = Claim { attempts: before.attempts, holder: None, objects: claim.objects };
        if claim == Claim::default() {
            self.remove(origin);
        } else if let Err(error) = self.write(origin, &claim) {
            let Origin { topic, partition, offset } = origin;
            tracing::warn!(%topic, partition, offset, error = %causes(&error), "delivery attempt could not be taken back");
        }
    }

    /// `None` where there is no claim; an unreadable one still says that its message was begun.
    fn read(&self, origin: &Origin) -> Option<Claim> {
        let text = fs::read(self.path(origin)).ok()?;
        Some(serde_json::from_slice(&text).unwrap_or(Claim { attempts: 1, ..Claim::default() }))
    }

    /// Aside and renamed: a process that dies here leaves the old file or the new one. Not synced, since only the
    /// death of the process counts, and what the system has been given outlives that.
    fn write(&self, origin: &Origin, claim: &Claim) -> Result<(), KafkaError> {
        let text = serde_json::to_vec(claim).expect("a number and texts can be written as JSON");
        let path = self.path(origin);
        let written = Aside::write_as(&format!("{}-", std::process::id()), &path, &text).and_then(Aside::show);
        written.map_err(|source| state("write", &path, source))
    }

    fn remove(&self, origin: &Origin) {
        let path = self.path(origin);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(file = ?path, %error, "delivery attempt could not be removed");
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

    /// As after kill -9: the claim is another process's, which is no more.
    fn die(attempts: DeliveryAttempts, origin: &Origin) {
        let mut claim = attempts.read(origin).unwrap();
        claim.holder.as_mut().unwrap().began += 1;
        attempts.write(origin, &claim).unwrap();
    }

    #[test]
    fn only_deaths_count() {
        let dir = tempfile::tempdir().unwrap();
        let attempts = || DeliveryAttempts::open(dir.path(), "g").unwrap();
        let first = attempts();
        first.begin(&origin(1)).unwrap();
        assert_eq!(first.died(&origin(1)), 0, "we live");
        first.requeue(3);
        first.begin(&origin(2)).unwrap();
        first.reset_attempts();
        assert_eq!(fs::read_dir(dir.path().join("group-g")).unwrap().count(), 0);
        for deaths in 0..3 {
            let next = attempts();
            assert_eq!(next.died(&origin(1)), deaths);
            next.begin(&origin(1)).unwrap();
            die(next, &origin(1));
        }
        let last = attempts();
        last.begin(&origin(1)).unwrap();
        last.requeue(3);
        assert_eq!(last.died(&origin(1)), 3, "giving back keeps earlier deaths");
        assert!(last.committed(&origin(1), &[]).is_empty());
        assert_eq!(attempts().died(&origin(1)), 0);
    }

    #[test]
    fn objects_of_an_attempt_that_failed_are_known_to_the_one_that_commits() {
        let dir = tempfile::tempdir().unwrap();
        let attempts = DeliveryAttempts::open(dir.path(), "g").unwrap();
        attempts.begin(&origin(1)).unwrap();
        attempts.note(&origin(1), &["a".into(), "b".into()]).unwrap();
        attempts.requeue(3);
        attempts.begin(&origin(1)).unwrap();
        attempts.note(&origin(1), &["b".into(), "c".into()]).unwrap();
        assert_eq!(attempts.committed(&origin(1), &["b".into(), "c".into()]), ["a"]);
        assert_eq!(fs::read_dir(dir.path().join("group-g")).unwrap().count(), 0);
    }

    #[test]
    fn a_daemon_that_is_cut_off_neither_counts_as_dead_nor_leaves_claims() {
        let dir = tempfile::tempdir().unwrap();
        let (cut_off, other) =
            (DeliveryAttempts::open(dir.path(), "g").unwrap(), DeliveryAttempts::open(dir.path(), "g").unwrap());
        cut_off.begin(&origin(1)).unwrap();
        assert_eq!(other.died(&origin(1)), 0, "its process lives");
        other.begin(&origin(1)).unwrap();
        assert!(other.committed(&origin(1), &[]).is_empty());
        cut_off.note(&origin(1), &["a".into()]).unwrap();
        cut_off.requeue(3);
        assert_eq!(fs::read_dir(dir.path().join("group-g")).unwrap().count(), 0);
        for offset in [1, 2, 10] {
            cut_off.begin(&origin(offset)).unwrap();
        }
        other.sweep("t", 3, 10);
        other.sweep("t", 4, 100);
        let left: Vec<_> = fs::read_dir(dir.path().join("group-g")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["t-3-10.json"]);
    }

    #[test]
    fn a_folder_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DeliveryAttempts::open(file.path(), "g").err().unwrap().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    }
}
