//! What a message asks for: files to fetch and decode, a notification to wait on, or a refusal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::kafka::{self, Incoming, Intake, Request};
use crate::message::{self, Message, ObjectCreated, Uri};
use crate::object_store::{ExistencePoll, ObjectStore, ObjectStoreError};
use twinpeak_core::files::{BandFiles, FieldFiles, Place};
use twinpeak_core::frame::{Frame, ImageId};
use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::survey::{PlaneKind, Survey};
use twinpeak_engine::ports::Loaded;
use twinpeak_formats::fits::{self, NamedBytes};

/// Understands the messages of `new-images`.
pub struct MessageReader {
    survey: Arc<Survey>,
    files: Files,
    max_age: Duration,
    max_bytes: usize,
    bands_wait: Duration,
}

/// Where files come from, and how they are read.
#[derive(Clone)]
struct Files {
    survey: Arc<Survey>,
    store: Arc<ObjectStore>,
    reader: fits::Reader,
}

impl MessageReader {
    /// Within the age, size and patience of `settings`; files come from `store` and are read by
    /// `reader`.
    pub fn new(settings: &kafka::Settings, survey: Arc<Survey>, store: Arc<ObjectStore>, reader: fits::Reader) -> Self {
        Self {
            files: Files { survey: survey.clone(), store, reader },
            survey,
            max_age: settings.max_message_age_s.duration(),
            max_bytes: settings.max_message_bytes.get(),
            bands_wait: settings.bands_wait_s.duration(),
        }
    }

    /// What must not be looked into, or no longer be done.
    fn refusal(&self, incoming: &Incoming, age: Duration) -> Option<Rejection> {
        let bytes = incoming.bytes().len();
        if bytes > self.max_bytes {
            let message =
                format!("the message has {bytes} bytes, more than kafka.max_message_bytes, {}", self.max_bytes);
            return Some(refuse(Reason::TooLarge, message, "a message names files and does not hold them"));
        }
        if age > self.max_age {
            let (age, limit) = (age.as_secs(), self.max_age.as_secs());
            let message = format!("the message is {age} s old, more than kafka.max_message_age_s, {limit}");
            return Some(refuse(Reason::TooOld, message, "raise the limit and replay it, if it is still wanted"));
        }
        None
    }
}

impl Intake for MessageReader {
    fn take(&self, incoming: &Arc<Incoming>) -> Request {
        let age = age_of(incoming.timestamp_ms);
        let unknown = || {
            ImageId::new(&format!("unrecognised.{}", incoming.origin)).unwrap_or_else(|_| {
                // Topics may have longer names than images.
                let at = &incoming.origin;
                ImageId::new(&format!("unrecognised.{}-{}", at.partition, at.offset)).expect("numbers make an id")
            })
        };
        if let Some(rejection) = self.refusal(incoming, age) {
            let named = (incoming.bytes().len() <= self.max_bytes).then(|| message::named_image(incoming.bytes()));
            return refused(named.flatten().unwrap_or_else(unknown), rejection);
        }
        match message::parse(incoming.bytes(), &self.survey) {
            Ok(Message::NewImage(image)) => {
                let (files, id) = (self.files.clone(), image.image_id.clone());
                Request::new(id, move || files.frame(&image.image_id, image.bands).map(Loaded::from))
            }
            Ok(Message::ObjectCreated(created)) => {
                let since = created.event_time_unix_ms.or(incoming.timestamp_ms);
                let deadline = Instant::now() + self.bands_wait.saturating_sub(age_of(since));
                let (files, id) = (self.files.clone(), created.image_id.clone());
                let poll = files.look(&created, deadline);
                let come = poll.over();
                Request::new(id, move || files.lead(*created, poll)).once(come)
            }
            Ok(Message::Nothing) => Request::new(unknown(), || Ok(Loaded::Nothing)),
            Err(error) => {
                let named = message::named_image(incoming.bytes()).unwrap_or_else(unknown);
                refused(named, error.rejection())
            }
        }
    }
}

fn age_of(unix_ms: Option<i64>) -> Duration {
    let then = unix_ms.and_then(|ms| u64::try_from(ms).ok()).map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
    then.and_then(|then| SystemTime::now().duration_since(then).ok()).unwrap_or_default()
}

fn refused(image_id: ImageId, rejection: Rejection) -> Request {
    Request::new(image_id, move || Err(rejection))
}

fn refuse(reason: Reason, message: String, advice: &str) -> Rejection {
    Rejection { reason, stage: Stage::Ingest, file: None, message, advice: advice.into() }
}

impl Files {
    /// Fetches and decodes an image's files; one that stands for several bands is fetched once.
    fn frame(&self, image: &ImageId, files: FieldFiles<Uri>) -> Result<Frame, Rejection> {
        let wanted = distinct(&files);
        let fetched = self.store.fetch(wanted.clone()).wait();
        let fetched = fetched.map_err(|(index, error)| self.unreachable(Some(wanted[index].to_string()), &error))?;
        let mut bytes: BTreeMap<String, Vec<u8>> = wanted.iter().map(Uri::to_string).zip(fetched).collect();
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        for place in files.iter().flatten().flat_map(BandFiles::places) {
            *uses.entry(place.file.to_string()).or_default() += 1;
        }
        let mut read = |place: Place<Uri>| {
            place.map(|uri| {
                let name = uri.to_string();
                let left = uses.entry(name.clone()).or_insert(1);
                *left -= 1;
                let last = *left == 0;
                let bytes = if last { bytes.remove(&name) } else { bytes.get(&name).cloned() };
                NamedBytes { name, bytes: bytes.unwrap_or_default() }
            })
        };
        let files = files.map(|band| {
            let BandFiles { image, mask, weight } = band?;
            Some(BandFiles { image: read(image), mask: mask.map(&mut read), weight: weight.map(&mut read) })
        });
        fits::decode(&self.survey, image, files, &self.reader)
    }

    fn unreachable(&self, file: Option<String>, error: &ObjectStoreError) -> Rejection {
        let (reason, advice) = match error {
            ObjectStoreError::Forbidden { .. } => (Reason::Forbidden, "see remote.file_roots and remote.s3_buckets"),
            ObjectStoreError::NotFound { .. } => (Reason::MissingBand, "put the file there, then replay the message"),
            ObjectStoreError::TooLarge { .. } => (Reason::TooLarge, "see input.max_file_bytes"),
            ObjectStoreError::NotAFile { .. } => (Reason::Unreadable, "put the file there, then replay the message"),
            _ => (Reason::Unreachable, "see that the store answers, then replay the message"),
        };
        Rejection { file, ..refuse(reason, error.to_string(), advice) }
    }

    /// What a notification waits for: the reference band's for all bands and what must lie beside them, another's for
    /// the reference alone.
    fn look(&self, created: &ObjectCreated, deadline: Instant) -> ExistencePoll {
        let reference = self.survey.reference();
        let uris = distinct(&created.siblings);
        let leads = created.band == reference;
        let needed: Vec<usize> = (created.siblings.iter().enumerate())
            .filter(|(b, _)| leads || *b == reference)
            .flat_map(|(_, band)| band)
            .flat_map(|band| {
                let beside =
                    |kind, place: &'_ Option<Place<Uri>>| place.clone().filter(|_| leads && self.requires(kind));
                let (mask, weight) = (beside(PlaneKind::Mask, &band.mask), beside(PlaneKind::Weight, &band.weight));
                [Some(band.image.clone()), mask, weight].into_iter().flatten()
            })
            .filter_map(|place| uris.iter().position(|uri| *uri == place.file))
            .collect();
        self.store.look(uris, move |there| needed.iter().all(|&index| there[index]), deadline)
    }

    fn requires(&self, kind: PlaneKind) -> bool {
        self.survey.place_of(kind).is_some_and(|place| place.required)
    }

    /// Follows a notification, once it has waited. The reference band's leads and becomes a frame, of the bands that
    /// have come if they are enough. Another band's does nothing; but if the reference has not come, the first band that
    /// did reports it. No memory of other messages is needed, so neither a restart nor a rebalance can break it.
    fn lead(&self, created: ObjectCreated, poll: ExistencePoll) -> Result<Loaded, Rejection> {
        let ObjectCreated { image_id, band, mut siblings, .. } = created;
        let (survey, reference) = (&self.survey, self.survey.reference());
        let uris = distinct(&siblings);
        let found = poll.wait().map_err(|error| self.unreachable(None, &error))?;
        let is_there = |uri: &Uri| uris.iter().zip(&found).any(|(other, there)| other == uri && *there);
        let there = siblings.each_ref().map(|band| band.as_ref().is_some_and(|band| is_there(&band.image.file)));
        let given = there.iter().filter(|there| **there).count();
        let speaks = if there[reference] { band == reference } else { there.iter().position(|t| *t) == Some(band) };
        if !speaks {
            return Ok(Loaded::Nothing);
        }
        let away = |file: Option<&Uri>, message| Rejection {
            file: file.map(Uri::to_string),
            ..refuse(Reason::MissingBand, message, "put them there, then replay the message")
        };
        if !there[reference] || given < survey.required() {
            let missing: Vec<&str> = survey.planes().filter(|b| !there[*b]).map(|b| survey.band(b)).collect();
            let message = format!("the files of bands {} have not come in time", missing.join(", "));
            return Err(away(siblings[band].as_ref().map(|band| &band.image.file), message));
        }
        for (b, files) in siblings.iter_mut().enumerate() {
            if !there[b] {
                *files = None;
            }
            let Some(files) = files else { continue };
            for (kind, place) in [(PlaneKind::Mask, &mut files.mask), (PlaneKind::Weight, &mut files.weight)] {
                let Some(file) = place.as_ref().map(|place| place.file.clone()).filter(|file| !is_there(file)) else {
                    continue;
                };
                if self.requires(kind) {
                    let message = format!("the {} of band {} has not come in time", kind.name(), survey.band(b));
                    return Err(away(Some(&file), message));
                }
                *place = None;
            }
        }
        self.frame(&image_id, siblings).map(Loaded::from)
    }
}

/// All files of a field, each once, the first band's first.
fn distinct(files: &FieldFiles<Uri>) -> Vec<Uri> {
    let mut all: Vec<Uri> = Vec::new();
    for place in files.iter().flatten().flat_map(BandFiles::places) {
        if !all.contains(&place.file) {
            all.push(place.file.clone());
        }
    }
    all
}
