//! What a run leaves behind: one line of JSON. A file of them is the study's memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use twinpeak_sim::evaluate::Metrics;

/// One run of one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Where it was trained and scored.
    pub sky: String,
    /// Name of the method in the plan.
    pub method: String,
    /// Seed of this run.
    pub seed: u64,
    /// Tells the settings of the method and of all that it builds on from others (SHA-256, shortened).
    pub settings: String,
    /// Number of objects that the method learned from.
    pub objects: usize,
    /// Seconds of training, with what it builds on.
    pub training_s: f64,
    /// Metrics, or why there are none.
    pub ending: Ending,
    /// Loss of the last net trained, at up to 100 even steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loss: Vec<f32>,
    /// Shares of objects by latent, in 60 bins from -2 m to 2 m; where the method has one with a prior.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latent: Vec<f32>,
    /// Figures that need no label: held-out loss, agreement, bimodality, the correlation that named the peaks.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub criteria: std::collections::BTreeMap<String, f64>,
    /// Ranks, from 0, of up to [`RANKED`] test objects by score, the same objects in all runs of a sky: how well seeds
    /// agree needs no label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<u16>,
    /// AUC at r 14-22 of the test objects that are alone in their cutout.
    #[serde(rename = "alone", default, skip_serializing_if = "Option::is_none")]
    pub isolated: Option<f64>,
}

/// Most test objects whose ranks are kept.
pub const RANKED: usize = 300;

/// Ranks of up to [`RANKED`] of the scores, evenly chosen; equal scores have one rank.
pub fn ranks(scores: &[f64]) -> Vec<u16> {
    let chosen: Vec<f64> = scores.iter().copied().step_by(scores.len().div_ceil(RANKED).max(1)).collect();
    let mut levels = chosen.clone();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    chosen.iter().map(|score| levels.partition_point(|l| l.total_cmp(score).is_lt()) as u16).collect()
}

/// How a run ended. Failures keep their place in the tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With these metrics on objects it had not seen.
    #[serde(rename = "marks")]
    Measured(Metrics),
    /// The method gave no answer.
    Failed {
        /// The error, in words.
        reason: String,
    },
}

impl Record {
    /// Its metrics, unless it failed.
    pub fn metrics(&self) -> Option<&Metrics> {
        match &self.ending {
            Ending::Measured(metrics) => Some(metrics),
            Ending::Failed { .. } => None,
        }
    }
}

/// Why records cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The file of records cannot be read or written.
    #[error("{path:?}: {source}")]
    File {
        /// File that could not be read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no record.
    #[error("{path:?} line {line}: {source}; mend it or delete the line, and its run is made again")]
    Line {
        /// File that the line stands in.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// All records of a study, and the file that keeps them.
#[derive(Debug)]
pub struct Records<R = Record> {
    path: PathBuf,
    all: Vec<R>,
}

impl<R: Serialize + DeserializeOwned> Records<R> {
    /// Reads `path`; a file that is not there is an empty study. A last line without its end, which an interrupted run
    /// leaves, is cut off.
    ///
    /// # Errors
    /// [`RecordsError`]
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        let file = |source| RecordsError::File { path: path.to_owned(), source };
        let text = match fs::read_to_string(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(file)?,
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            OpenOptions::new().write(true).open(path).and_then(|f| f.set_len(whole as u64)).map_err(file)?;
        }
        let line = |(i, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|source| RecordsError::Line {
                path: path.to_owned(),
                line: i + 1,
                source,
            })
        };
        let all = text[..whole].lines().enumerate().map(line).collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), all })
    }

    /// All of them, oldest first.
    pub fn all(&self) -> &[R] {
        &self.all
    }

    /// Adds a run, on disk first.
    ///
    /// # Errors
    /// [`RecordsError::File`]
    pub fn add(&mut self, record: R) -> Result<(), RecordsError> {
        let file = |source| RecordsError::File { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(&record).map_err(|e| file(e.into()))?;
        line.push(b'\n');
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(file)?;
        }
        let mut out = File::options().append(true).create(true).open(&self.path).map_err(file)?;
        out.write_all(&line).and_then(|()| out.sync_data()).map_err(file)?;
        self.all.push(record);
        Ok(())
    }
}

impl Records<Record> {
    /// The run of these settings with this seed, if it was made.
    pub fn find(&self, sky: &str, method: &str, settings: &str, seed: u64) -> Option<&Record> {
        let is = |r: &&Record| r.sky == sky && r.method == method && r.settings == settings && r.seed == seed;
        self.all.iter().find(is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seed: u64) -> Record {
        let ending = Ending::Failed { reason: "the loss is not finite".to_owned() };
        let (sky, method, settings) = ("simulated".to_owned(), "A+Vr".to_owned(), "ab".to_owned());
        let (loss, latent, criteria) = (vec![1.5, 0.25], Vec::new(), Default::default());
        let (ranks, isolated) = (ranks(&[0.5, 0.1, 0.9]), Some(0.75));
        Record {
            sky,
            method,
            seed,
            settings,
            objects: 10,
            training_s: 1.5,
            ending,
            loss,
            latent,
            criteria,
            ranks,
            isolated,
        }
    }

    #[test]
    fn ranks_are_those_of_evenly_chosen_objects() {
        assert_eq!(ranks(&[0.5, 0.1, 0.9, 0.5]), [1, 0, 2, 1]);
        let many: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(ranks(&many), (0..250).collect::<Vec<u16>>());
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn what_was_added_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/runs.jsonl");
        let mut records = Records::<Record>::open(&path).unwrap();
        records.add(record(1)).unwrap();
        records.add(record(2)).unwrap();
        let again = Records::<Record>::open(&path).unwrap();
        assert_eq!(again.all(), [record(1), record(2)]);
        assert_eq!(again.find("simulated", "A+Vr", "ab", 2), Some(&record(2)));
        assert_eq!(again.find("simulated", "A+Vr", "other settings", 2), None);
    }

    #[test]
    fn an_interrupted_line_is_cut_off_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.jsonl");
        let mut records = Records::<Record>::open(&path).unwrap();
        records.add(record(1)).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        let mut cut = Records::<Record>::open(&path).unwrap();
        cut.add(record(2)).unwrap();
        assert_eq!(Records::<Record>::open(&path).unwrap().all().len(), 2);
        fs::write(&path, [&whole[..], b"{}\n"].concat()).unwrap();
        let error = Records::<Record>::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("missing field"), "{error}");
    }
}
