//! Rejected messages sent again, each once, whatever is killed meanwhile.
//!
//! The message, back to the topic from which it came, and a note that it was sent, to the compacted topic `replayed`,
//! are written in one transaction. Whoever replays takes the one transactional id that all replays share before it
//! reads those notes: what an earlier one left open is then ended, and what it committed is there to be read.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use serde::{Deserialize, Serialize};

use super::delivery::Incoming;
use super::history::History;
use super::reports::{Watch, code_of};
use super::retrieve::{Kept, NotReplayable, Rejected};
use super::transaction::{Outbound, Refused, TransactionError, Transactional};
use super::{KafkaError, Settings, Topics, rejected};
use twinpeak_core::causes::causes;
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::Reason;
use twinpeak_engine::flow::Stop;

/// Most messages of one transaction; `kafka.transaction_bytes` bounds it too.
const BATCH: usize = 100;
/// A transaction that must be aborted is begun again so often.
const TRIES: usize = 5;
/// A broker that does not finish a transaction is waited for so long.
const RETRIES_TIMEOUT: Duration = Duration::from_secs(60);

/// Which rejected messages are replayed: all, where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayFilter {
    /// Those rejected for one of these reasons.
    pub reasons: Vec<Reason>,
    /// Those of one of these images.
    pub images: Vec<ImageId>,
}

impl ReplayFilter {
    fn covers(&self, rejected: &Rejected) -> bool {
        let reason = self.reasons.is_empty() || self.reasons.iter().any(|r| r.name() == rejected.reason());
        let image = self.images.is_empty() || self.images.iter().any(|i| i.as_str() == rejected.image());
        reason && image
    }
}

/// Rejected messages that the filter selects and were not sent again yet, in the order of their partitions.
pub struct Rejections {
    history: History,
    filter: ReplayFilter,
    /// By name, when the record was written: one of the same name in a topic that was made anew is another.
    replayed: BTreeMap<String, Option<i64>>,
    before: usize,
}

impl Rejections {
    /// Reads which were sent again, and is ready to read which were rejected.
    ///
    /// # Errors
    /// [`KafkaError`] where the broker refuses or does not answer, or topics are missing.
    pub fn open(settings: &Settings, survey: &str, filter: ReplayFilter) -> Result<Self, KafkaError> {
        let topics = Topics::of(settings, survey);
        let watch = Watch::of_none();
        let mut replayed = BTreeMap::new();
        for note in History::open(settings, &topics.replayed, &watch)? {
            let note = note?;
            let name = String::from_utf8_lossy(note.key.as_deref().unwrap_or_default()).into_owned();
            // A note without a value takes the earlier one back.
            match serde_json::from_slice::<Note>(note.bytes()) {
                Ok(note) => replayed.insert(name, note.rejected_at_unix_ms),
                Err(_) => replayed.remove(&name),
            };
        }
        let history = History::open(settings, &topics.rejected, &watch)?;
        Ok(Self { history, filter, replayed, before: 0 })
    }

    /// Those passed so far that the filter selects but were sent again before.
    pub fn before(&self) -> usize {
        self.before
    }
}

impl Iterator for Rejections {
    type Item = Result<Rejected, KafkaError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rejected = match self.history.next()? {
                Ok(record) => Rejected::new(record),
                Err(error) => return Some(Err(error)),
            };
            if !self.filter.covers(&rejected) {
                continue;
            }
            if self.replayed.get(&rejected.name()) == Some(&rejected.as_message().timestamp_ms) {
                self.before += 1;
                continue;
            }
            return Some(Ok(rejected));
        }
    }
}

/// Gets the bytes behind a URI of the object store.
pub type Fetch<'a> = dyn Fn(&str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> + 'a;

/// Receives what became of a message: sent again, or why not.
pub type OnReplayed<'a> = dyn FnMut(&Rejected, Option<&NotReplayable>) + 'a;

/// The one that replays. Of two at once, the one that began first is cast out.
pub struct Replay<'a> {
    settings: &'a Settings,
    topics: Topics,
    survey: &'a str,
    fetch: &'a Fetch<'a>,
    watch: Watch,
    producer: Transactional,
    refused: Refused,
}

/// A message to be sent: whole.
struct Whole {
    rejected: Rejected,
    found: Found,
}

/// What was found of a message beside its record.
enum Found {
    /// There was nothing to look for.
    Nothing,
    /// Its bytes, in the object store.
    Bytes(Vec<u8>),
    /// The message itself, where it came from.
    Message(Incoming),
}

impl Whole {
    fn payload(&self) -> Option<&[u8]> {
        match &self.found {
            Found::Nothing => self.rejected.as_message().payload.as_deref(),
            Found::Bytes(bytes) => Some(bytes),
            Found::Message(message) => message.payload.as_deref(),
        }
    }

    /// What has the message's key and headers.
    fn addressed(&self) -> &Incoming {
        match &self.found {
            Found::Message(message) => message,
            Found::Nothing | Found::Bytes(_) => self.rejected.as_message(),
        }
    }
}

/// The value of a note in the topic of replayed messages.
#[derive(Serialize, Deserialize)]
struct Note {
    reason: String,
    image_id: String,
    /// When the rejected message's record was written.
    rejected_at_unix_ms: Option<i64>,
    replayed_at_unix_ms: u64,
}

impl<'a> Replay<'a> {
    /// Takes over: an earlier replay that still runs is cast out, one that died is ended.
    ///
    /// # Errors
    /// [`KafkaError`] where the broker refuses or does not answer, or topics are missing.
    pub fn begin(settings: &'a Settings, survey: &'a str, fetch: &'a Fetch<'a>) -> Result<Self, KafkaError> {
        let topics = Topics::of(settings, survey);
        let (watch, refused) = (Watch::of_none(), Refused::default());
        let producer = Transactional::new(settings, &settings.replays_id(survey), refused.clone(), watch.clone())?;
        let there = producer.topics()?;
        topics.ensure(&there, settings)?;
        retry_while_asked(|| producer.init()).map_err(|error| broken("take over the replay", error))?;
        Ok(Self { settings, topics, survey, fetch, watch, producer, refused })
    }

    /// Sends what the filter selects, at most `limit` messages, and reports each once that is decided. Stops between
    /// transactions when asked to. Returns how many of those selected were sent before.
    ///
    /// # Errors
    /// [`KafkaError`]: what was reported as sent is sent, and a next replay goes on after it.
    pub fn run(
        &self,
        filter: ReplayFilter,
        limit: usize,
        stop: &Stop,
        report: &mut OnReplayed,
    ) -> Result<usize, KafkaError> {
        let mut rejections = Rejections::open(self.settings, self.survey, filter)?;
        let mut left = limit;
        while left > 0 && !stop.requested() {
            let batch = self.gather(&mut rejections, left.min(BATCH), report)?;
            if batch.is_empty() {
                break;
            }
            left -= self.send(batch, report)?;
        }
        Ok(rejections.before())
    }

    /// The next messages, whole; those that cannot be had are reported.
    fn gather(&self, from: &mut Rejections, count: usize, report: &mut OnReplayed) -> Result<Vec<Whole>, KafkaError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < count && bytes < self.settings.transaction_bytes.get() {
            let Some(rejected) = from.next().transpose()? else { break };
            match self.original(&rejected)? {
                Ok(found) => {
                    let whole = Whole { rejected, found };
                    bytes += whole.payload().map_or(0, <[u8]>::len);
                    batch.push(whole);
                }
                Err(why) => report(&rejected, Some(&why)),
            }
        }
        Ok(batch)
    }

    /// What a record does not hold of its message.
    fn original(&self, rejected: &Rejected) -> Result<Result<Found, NotReplayable>, KafkaError> {
        let origin = match rejected.origin(&self.topics.new_images) {
            Ok(origin) => origin,
            Err(why) => return Ok(Err(why)),
        };
        Ok(match rejected.kept() {
            Kept::Here => Ok(Found::Nothing),
            Kept::Object { uri } => match (self.fetch)(uri) {
                Ok(bytes) => rejected.check(&bytes, uri).map(|()| Found::Bytes(bytes)),
                Err(source) => Err(NotReplayable::NotFetched { source }),
            },
            Kept::AtOrigin => match History::one(self.settings, &origin, &self.watch)? {
                Some(message) => rejected.check(message.bytes(), &origin.to_string()).map(|()| Found::Message(message)),
                None => Err(NotReplayable::Gone { origin }),
            },
        })
    }

    /// Sends messages in one transaction; those that the topic does not take are reported. Returns how many were sent.
    fn send(&self, mut batch: Vec<Whole>, report: &mut OnReplayed) -> Result<usize, KafkaError> {
        let mut tries = 0;
        while !batch.is_empty() {
            let error = match self.try_send(&batch) {
                Ok(()) => break,
                Err(TransactionError::Fatal(error)) => return Err(broken("replay messages", error)),
                Err(TransactionError::Abort(error) | TransactionError::Retry(error)) => error,
            };
            retry_while_asked(|| self.producer.abort()).map_err(|error| broken("abort a replay", error))?;
            let refused = std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner));
            let before = batch.len();
            batch.retain(|whole| match refused.get(whole.rejected.record()) {
                None => true,
                Some(reported) => {
                    report(&whole.rejected, Some(&NotReplayable::TooLarge { reported: reported.clone() }));
                    false
                }
            });
            tries += usize::from(batch.len() == before);
            if tries == TRIES {
                return Err(broken("replay messages", error));
            }
            tracing::warn!(error = %causes(&error), "transaction aborted, retrying");
        }
        batch.iter().for_each(|whole| report(&whole.rejected, None));
        Ok(batch.len())
    }

    fn try_send(&self, batch: &[Whole]) -> Result<(), TransactionError> {
        self.producer.begin()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for whole in batch {
            let (rejected, addressed) = (&whole.rejected, whole.addressed());
            let origin = Arc::new(rejected.record().clone());
            let message = Outbound {
                topic: &self.topics.new_images,
                key: addressed.key.as_deref().unwrap_or(rejected.image().as_bytes()),
                payload: whole.payload(),
                headers: Some(rejected::theirs(addressed)),
            };
            self.producer.send(&message, &origin)?;
            let note = Note {
                reason: rejected.reason().into(),
                image_id: rejected.image().into(),
                rejected_at_unix_ms: rejected.as_message().timestamp_ms,
                replayed_at_unix_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            };
            let note = serde_json::to_vec(&note).expect("texts and a number can be written as JSON");
            let name = rejected.name();
            let note =
                Outbound { topic: &self.topics.replayed, key: name.as_bytes(), payload: Some(&note), headers: None };
            self.producer.send(&note, &origin)?;
            self.producer.poll();
        }
        match retry_while_asked(|| self.producer.commit()) {
            Ok(()) => Ok(()),
            Err(TransactionError::Abort(error)) => Err(TransactionError::Abort(error)),
            // Whether it was committed is not known: the next replay will see.
            Err(TransactionError::Fatal(error) | TransactionError::Retry(error)) => Err(TransactionError::Fatal(error)),
        }
    }
}

/// Does a step again for as long as that is all it asks for.
fn retry_while_asked(step: impl Fn() -> Result<(), TransactionError>) -> Result<(), TransactionError> {
    let since = Instant::now();
    loop {
        match step() {
            Err(TransactionError::Retry(error)) if since.elapsed() < RETRIES_TIMEOUT => {
                tracing::warn!(error = %causes(&error), "transaction step not finished, retrying");
                std::thread::sleep(Duration::from_millis(200));
            }
            done => return done,
        }
    }
}

fn broken(action: &'static str, error: impl Into<ClientError>) -> KafkaError {
    let source = error.into();
    match code_of(&source) {
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => KafkaError::OtherReplay { source },
        _ => KafkaError::Broker { action, source },
    }
}

impl From<TransactionError> for ClientError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Retry(error) | TransactionError::Abort(error) | TransactionError::Fatal(error) => error,
        }
    }
}
