//! A watched folder: fields are taken when complete and quiet, each once, and their files stay where they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::StoreError;
use super::field::Field;
use super::groups::{Groups, Look, PassedOver, group, is_table};
use super::quiet::Quiet;
use super::table::{self, TableRow};
use super::watch::{Seen, Watch};
use super::{HeaderReader, Lease, Ledger, Loader, MAX_ATTEMPTS, WatchTimeouts};
use twinpeak_core::files::Sighting;
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
    /// Files that are of no field, and bands that are not chosen, of which was told once.
    told: BTreeSet<PathBuf>,
    told_bands: BTreeSet<String>,
    reading: Reading,
    /// Files of which it is too early to tell of what field they are.
    pending: usize,
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
    /// Watches `folder`; the ledger says what is finished and takes the claims. `headers` are asked where names do not
    /// say of which field a file is.
    pub fn new(
        folder: PathBuf,
        survey: Arc<Survey>,
        (loader, headers): (Loader, HeaderReader),
        ledger: Ledger,
        patience: WatchTimeouts,
    ) -> Self {
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
            told: BTreeSet::new(),
            told_bands: BTreeSet::new(),
            reading: Reading { headers, said: Quiet::default(), tables: Quiet::default() },
            pending: 0,
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
        let files = match self.files() {
            Ok(files) => files,
            Err(error) if self.until_idle => return Err(error),
            Err(error) => {
                self.reach.looked(Some(error.to_string()));
                return Ok(());
            }
        };
        self.reach.looked(None);
        let Groups { mut fields, faults, passed_over, pending } = self.groups(now, files);
        self.tell(&passed_over);
        self.pending = pending;
        for (table, fault) in faults {
            let name = table.file_name().unwrap_or_default().to_string_lossy();
            let image = ImageId::safe(&format!("unrecognised.{name}")).expect("it is not empty");
            fields.entry(image).or_default().refuse(fault);
        }
        // In this order: an image that ends between the two is in the second.
        let waiting: Vec<_> = fields.into_iter().filter(|(image, _)| !self.ledger.works_on(image)).collect();
        let finished = self.ledger.finished()?;
        let waiting = waiting.into_iter().filter(|(image, _)| !finished.contains(image.as_str()));
        let seen = waiting.map(|(image, field)| (image, Seen::of(field))).collect();
        self.watch.look(now, seen);
        Ok(())
    }

    /// The files in the folder.
    fn files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let failed = |e| StoreError::of("read the folder", &self.folder, &self.folder, e);
        let entries = fs::read_dir(&self.folder).map_err(failed)?;
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            // A link that leads nowhere is no file, or not yet.
            if !entry.file_type().is_ok_and(|kind| kind.is_symlink()) || path.exists() {
                files.push(path);
            }
        }
        Ok(files)
    }

    fn groups(&mut self, now: Duration, mut files: Vec<PathBuf>) -> Groups {
        let tables: Vec<PathBuf> = files.extract_if(.., |path| is_table(path)).collect();
        let listed = files.iter().cloned().collect();
        let mut look = LookWhenQuiet {
            now,
            settle_s: self.patience.settle_s,
            folder: &self.folder,
            listed,
            reading: &mut self.reading,
        };
        let groups = group(&self.survey, &files, &tables, &mut look);
        self.reading.said.keep_those_of(now);
        self.reading.tables.keep_those_of(now);
        groups
    }

    /// Tells once of what is passed over: of each file, or of each band that is not chosen.
    fn tell(&mut self, passed_over: &PassedOver) {
        for path in &passed_over.foreign {
            if self.told.insert(path.clone()) {
                tracing::warn!(file = ?path, "file name does not match the survey, ignored");
            }
        }
        for path in &passed_over.unnamed {
            if self.told.insert(path.clone()) {
                tracing::info!(file = ?path, "file is named by no table of fields yet");
            }
        }
        for band in passed_over.of_bands.keys() {
            if self.told_bands.insert(band.clone()) {
                tracing::info!(band, "band is not one of the survey's bands, its files ignored");
            }
        }
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
            if self.until_idle && self.watch.is_empty() && self.pending == 0 {
                return Ok(None);
            }
            std::thread::sleep(NAP);
        }
    }
}

/// What was read of files to group them.
struct Reading {
    headers: HeaderReader,
    said: Quiet<Result<Vec<Sighting>, Rejection>>,
    tables: Quiet<Result<Vec<TableRow>, Rejection>>,
}

/// Files that may still be growing: they are looked into once they are quiet.
struct LookWhenQuiet<'a> {
    now: Duration,
    settle_s: f64,
    folder: &'a Path,
    listed: BTreeSet<PathBuf>,
    reading: &'a mut Reading,
}

impl Look for LookWhenQuiet<'_> {
    fn headers(&mut self, file: &Path) -> Option<Result<Vec<Sighting>, Rejection>> {
        let Reading { headers, said, .. } = &mut *self.reading;
        said.of(file, self.now, self.settle_s, || headers(file))
    }

    fn table(&mut self, file: &Path) -> Option<Result<Vec<TableRow>, Rejection>> {
        self.reading.tables.of(file, self.now, self.settle_s, || table::read(file))
    }

    fn exists(&self, file: &Path) -> bool {
        if file.parent() == Some(self.folder) { self.listed.contains(file) } else { file.exists() }
    }
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
