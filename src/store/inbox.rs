//! A watched folder: fields are taken when complete and quiet, each once, and their files stay where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::StoreError;
use super::field::Field;
use super::watch::{FileStat, Watch};
use super::{Lease, Ledger, Loader, MAX_ATTEMPTS, WatchTimeouts};
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::survey::Survey;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{Arrival, FrameSource, PortError};

/// How often a request to stop is looked for.
const NAP: Duration = Duration::from_millis(50);

/// The source of a daemon without a message broker. Ready fields come by image id. A field on which the process
/// died before comes first and alone, so that it takes no other with it if it kills the process again. An image
/// that comes back unfinished, because its outcome could not be stored, waits anew like one just arrived.
pub struct Inbox {
    folder: PathBuf,
    survey: Arc<Survey>,
    loader: Loader,
    ledger: Ledger,
    patience: WatchTimeouts,
    until_idle: bool,
    watch: Watch,
    started: Instant,
    next_look: Duration,
    /// A field that killed the process is in work: nothing else begins.
    alone: bool,
    /// Names that were complained about once.
    strange: BTreeSet<PathBuf>,
    reach: Reach,
}

/// Whether the folder can be read, for whoever asks; a mutex, for the source writes it and checks read it.
#[derive(Clone, Default)]
pub struct Reach(Arc<Mutex<Option<String>>>);

impl Reach {
    /// Why not.
    ///
    /// # Errors
    /// The last look's failure, in a line.
    pub fn check(&self) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }

    /// What a scan found; reported once each time it changes.
    fn looked(&self, failure: Option<String>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &failure) {
            (None, Some(why)) => tracing::error!(error = why, "inbox not readable"),
            (Some(_), None) => tracing::info!("inbox readable again"),
            _ => {}
        }
        *known = failure;
    }
}

impl Inbox {
    /// Watches `folder`; the ledger says what is finished and takes the claims.
    pub fn new(folder: PathBuf, survey: Arc<Survey>, loader: Loader, ledger: Ledger, patience: WatchTimeouts) -> Self {
        Self {
            watch: Watch::new(survey.clone()),
            folder,
            survey,
            loader,
            ledger,
            patience,
            until_idle: false,
            started: Instant::now(),
            next_look: Duration::ZERO,
            alone: false,
            strange: BTreeSet::new(),
            reach: Reach::default(),
        }
    }

    /// Whether its folder can be read. While it cannot (a network disk that is away), the inbox waits for it.
    pub fn reach(&self) -> Reach {
        self.reach.clone()
    }

    /// Ends, instead of waiting for more, once every field in the folder is finished or in work.
    pub fn until_idle(mut self) -> Self {
        self.until_idle = true;
        self
    }

    /// Looks at the folder.
    fn look(&mut self, now: Duration) -> Result<(), StoreError> {
        let names = match self.names() {
            Ok(names) => names,
            Err(error) if self.until_idle => return Err(error),
            Err(error) => {
                self.reach.looked(Some(error.to_string()));
                return Ok(());
            }
        };
        self.reach.looked(None);
        // In this order: an image that ends between the two is in the second.
        let waiting: Vec<_> = names.into_iter().filter(|(image, _)| !self.ledger.works_on(image)).collect();
        let finished = self.ledger.finished()?;
        let mut seen = BTreeMap::new();
        for (image, files) in waiting.into_iter().filter(|(image, _)| !finished.contains(image.as_str())) {
            // A file that vanishes while it is looked at is not there.
            let sightings: Vec<_> = files.into_iter().filter_map(sight).collect();
            if !sightings.is_empty() {
                seen.insert(image, sightings);
            }
        }
        self.watch.look(now, seen);
        Ok(())
    }

    /// The folder's files by image, with their bands.
    fn names(&mut self) -> Result<BTreeMap<ImageId, Vec<(usize, PathBuf)>>, StoreError> {
        let failed = |e| StoreError::of("read the folder", &self.folder, &self.folder, e);
        let mut images: BTreeMap<ImageId, Vec<(usize, PathBuf)>> = BTreeMap::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            match path.file_name().and_then(|n| n.to_str()).and_then(|n| self.survey.file_name(n)) {
                Some(name) => images.entry(name.image).or_default().push((name.band, path)),
                None if self.strange.insert(path.clone()) => {
                    tracing::warn!(file = ?path, "file name does not match the survey, ignored");
                }
                None => {}
            }
        }
        Ok(images)
    }

    /// Takes the next field that may begin now.
    fn take(&mut self, now: Duration) -> Result<Option<Arrival<Option<Lease>>>, StoreError> {
        if self.alone && self.ledger.in_work() > 0 {
            return Ok(None);
        }
        self.alone = false;
        let ready: Vec<&ImageId> = self.watch.ready(now, &self.patience).collect();
        let deadly = ready.iter().find(|image| (1..MAX_ATTEMPTS).contains(&self.ledger.died(image)));
        let alone = deadly.is_some();
        let Some(image) = deadly.or(ready.first()).map(|image| (*image).clone()) else { return Ok(None) };
        if alone && self.ledger.in_work() > 0 {
            return Ok(None);
        }
        let Some(claim) = self.ledger.claim(&image)? else {
            self.watch.take(&image);
            return Ok(None);
        };
        let Some(field) = self.watch.take(&image) else { return Ok(None) };
        self.alone = alone;
        Ok(Some(self.arrival(image, field, claim)))
    }

    fn arrival(&self, image_id: ImageId, field: Field, claim: Lease) -> Arrival<Option<Lease>> {
        let (survey, loader, image) = (Arc::clone(&self.survey), Arc::clone(&self.loader), image_id.clone());
        let died = claim.died();
        let load = move || {
            let files = field.bands(&survey, &image).map_err(|r| *r)?;
            if died >= MAX_ATTEMPTS { Err(crashed(&image, died)) } else { loader(&image, &files) }
        };
        Arrival::new(image_id, load, Some(claim))
    }
}

impl FrameSource for Inbox {
    type Receipt = Option<Lease>;

    fn next(&mut self, stop: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError> {
        loop {
            if stop.requested() {
                return Ok(None);
            }
            let now = self.started.elapsed();
            if now >= self.next_look {
                self.look(now)?;
                self.next_look = now + Duration::from_secs_f64(self.patience.poll_s.max(0.0));
            }
            if let Some(arrival) = self.take(now)? {
                return Ok(Some(arrival));
            }
            if self.until_idle && self.watch.is_empty() {
                return Ok(None);
            }
            std::thread::sleep(NAP);
        }
    }
}

fn sight((band, path): (usize, PathBuf)) -> Option<FileStat> {
    let data = fs::metadata(&path).ok()?;
    Some(FileStat { band, path, bytes: data.len(), modified: data.modified().ok() })
}

fn crashed(image: &ImageId, died: u32) -> Rejection {
    Rejection {
        reason: Reason::Crashed,
        stage: Stage::Ingest,
        file: None,
        message: format!("the process died {died} times while it worked on image {image}"),
        advice: format!("look in the log for why (memory, a crash); to try again remove rejected/{image}.json"),
    }
}

#[cfg(test)]
mod tests;
