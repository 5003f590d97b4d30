//! What a folder of results says of its images, read back.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::ledger::{REJECTED, names};
use super::{DoneRecord, RejectedRecord};

/// The records of a folder of results, each by image id. The folder may be one that a daemon is filling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Night {
    /// Records of the images that were processed.
    pub done: Vec<DoneRecord>,
    /// Records of the images that were rejected.
    pub rejected: Vec<RejectedRecord>,
}

impl Night {
    /// Reads all `<id>.done.json` and `rejected/<id>.json` of a folder.
    ///
    /// # Errors
    /// [`StoreError`] naming the folder or file.
    pub fn read(folder: &Path) -> Result<Self, StoreError> {
        let known = fs::metadata(folder);
        known.map_err(|source| StoreError::Io { action: "read", path: folder.to_owned(), source })?;
        let rejected = folder.join(REJECTED);
        Ok(Self {
            done: records(folder, ".done.json")?,
            rejected: if rejected.is_dir() { records(&rejected, ".json")? } else { Vec::new() },
        })
    }
}

fn records<T: DeserializeOwned>(folder: &Path, suffix: &str) -> Result<Vec<T>, StoreError> {
    let record = |name: &String| {
        let path = folder.join(format!("{name}{suffix}"));
        let text = fs::read(&path).map_err(|e| StoreError::of("read", &path, folder, e))?;
        serde_json::from_slice(&text).map_err(|source| StoreError::NotRecord { path, source })
    };
    // A name that begins with a dot is still being written.
    names(folder, suffix)?.iter().filter(|name| !name.starts_with('.')).map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{encoders, model};
    use crate::{DirectorySink, Ledger};
    use twinpeak_core::outcome::{Outcome, Reason, Rejection, Stage};
    use twinpeak_core::testing::{finished, products, sdss};
    use twinpeak_engine::ports::CatalogSink;

    #[test]
    fn what_the_sink_wrote_is_read_even_where_a_figure_could_not_be_measured() {
        let dir = tempfile::tempdir().unwrap();
        let sink = DirectorySink::new(Ledger::open(dir.path()).unwrap(), sdss(), model(), encoders());
        let mut unmeasured = products(10);
        unmeasured.quality[2].depth_5sigma_mag = f64::NAN;
        let rejection = Rejection {
            reason: Reason::NotFits,
            stage: Stage::Prepare,
            file: None,
            message: "m".into(),
            advice: "a".into(),
        };
        let outcomes = [
            finished("003918-3-0213", Outcome::Processed(Box::new(unmeasured))),
            finished("b", Outcome::Rejected(rejection.clone())),
        ];
        for outcome in outcomes {
            sink.publish(&outcome, &sink.encode(&outcome, &None).unwrap(), &None).unwrap();
        }
        fs::write(dir.path().join(".tmp-c.done.json"), "half").unwrap();
        let night = Night::read(dir.path()).unwrap();
        let [done] = &night.done[..] else { panic!("{night:?}") };
        assert_eq!((done.image_id.as_str(), done.rows, done.stars), ("003918-3-0213", 10, 2));
        assert!(done.quality[2].depth_5sigma_mag.is_nan() && done.quality[1].depth_5sigma_mag == 22.9);
        assert_eq!((night.rejected.len(), &night.rejected[0].rejection), (1, &rejection));
    }

    #[test]
    fn a_broken_record_and_a_missing_folder_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Night::read(dir.path()).unwrap(), Night::default());
        fs::write(dir.path().join("a.done.json"), "{}").unwrap();
        assert!(Night::read(dir.path()).unwrap_err().to_string().contains("a.done.json"));
        assert!(Night::read(&dir.path().join("gone")).unwrap_err().to_string().contains("gone"));
    }
}
