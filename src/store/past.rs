//! The last images of a folder of results, for whoever starts anew and wants to know what was.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::ledger::{REJECTED, names};
use super::{DoneRecord, RejectedRecord};

/// How an image ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Past {
    /// Processed; the record names its files.
    Done(Box<DoneRecord>),
    /// Rejected; the record says why.
    Rejected(RejectedRecord),
}

/// The last `most` images of a folder and when they ended, the last one last. A record has no time in it: it is its
/// file's. One that has gone since, or that another version wrote, is left out, and the log says so.
///
/// # Errors
/// [`StoreError`] where the folder cannot be read.
pub fn past(folder: &Path, most: usize) -> Result<Vec<(SystemTime, Past)>, StoreError> {
    let rejected = folder.join(REJECTED);
    let mut found = times(folder, ".done.json")?;
    if rejected.is_dir() {
        found.extend(times(&rejected, ".json")?);
    }
    found.sort();
    let last = found.split_off(found.len().saturating_sub(most));
    Ok(last.into_iter().filter_map(|(at, path)| Some((at, record(&path, path.parent() == Some(folder))?))).collect())
}

fn times(folder: &Path, suffix: &str) -> Result<Vec<(SystemTime, std::path::PathBuf)>, StoreError> {
    // A name that begins with a dot is still being written.
    let names = names(folder, suffix)?.into_iter().filter(|name| !name.starts_with('.'));
    let paths = names.map(|name| folder.join(format!("{name}{suffix}")));
    Ok(paths.filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path))).collect())
}

fn record(path: &Path, done: bool) -> Option<Past> {
    let read = if done { parse(path).map(|r| Past::Done(Box::new(r))) } else { parse(path).map(Past::Rejected) };
    read.map_err(|error| tracing::warn!(file = ?path, %error, "record not readable, skipped")).ok()
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, Box<dyn std::error::Error>> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{encoders, model};
    use crate::{DirectorySink, Ledger};
    use twinpeak_core::outcome::{Outcome, Reason, Rejection, Stage};
    use twinpeak_core::testing::{finished, products, sdss};
    use twinpeak_engine::ports::CatalogSink;

    #[test]
    fn the_last_images_come_in_the_order_of_their_ends() {
        let dir = tempfile::tempdir().unwrap();
        assert!(past(dir.path(), 10).unwrap().is_empty());
        let sink = DirectorySink::new(Ledger::open(dir.path()).unwrap(), sdss(), model(), encoders());
        let rejection = Rejection {
            reason: Reason::NotFits,
            stage: Stage::Prepare,
            file: None,
            message: "m".into(),
            advice: "a".into(),
        };
        let ends = [
            ("003918-3-0213", Outcome::Processed(Box::new(products(10))), "003918-3-0213.done.json"),
            ("b", Outcome::Rejected(rejection), "rejected/b.json"),
        ];
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (k, (image, outcome, file)) in ends.into_iter().enumerate() {
            let outcome = finished(image, outcome);
            sink.publish(&outcome, &sink.encode(&outcome, &None).unwrap(), &None).unwrap();
            let file = fs::File::options().append(true).open(dir.path().join(file)).unwrap();
            file.set_modified(start - Duration::from_secs(k as u64)).unwrap(); // the second ended first
        }
        for (file, text) in [("old.done.json", "{}"), (".tmp-c.done.json", "half")] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        let all = past(dir.path(), 10).unwrap();
        let [(first, Past::Rejected(refused)), (second, Past::Done(done))] = &all[..] else { panic!("{all:?}") };
        assert_eq!((refused.image_id.as_str(), done.image_id.as_str(), done.rows), ("b", "003918-3-0213", 10));
        assert_eq!((*first, *second), (start - Duration::from_secs(1), start));
        fs::remove_file(dir.path().join("old.done.json")).unwrap();
        assert_eq!(past(dir.path(), 1).unwrap(), all[1..]);
        assert!(past(&dir.path().join("gone"), 1).is_err());
    }
}
