//! The thread that owns the consumer and the producer, and builds both anew when the broker has cast them out.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TrySendError};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError as ClientError;

use super::attempts::{Attempts, MAX_ATTEMPTS};
use super::books::{Phase, Written};
use super::context::{Context, Taker, is_fenced};
use super::delivery::{Delivery, Incoming, Origin};
use super::ends::{Content, Outflow, Ready};
use super::reports::{Watch, kind_of};
use super::topics::Longest;
use super::transaction::{Outbound, Refused, Transactional, Trouble};
use super::{KafkaError, Settings, Topics, rejected};
use twinpeak_core::causes::causes;
use twinpeak_engine::ports::{Event, StreamEvent};

/// How long the thread waits for news when there is nothing to do.
const NAP: Duration = Duration::from_millis(5);
/// So many losses of the session within [`BUDGET_S`] are borne.
const BUDGET: usize = 5;
const BUDGET_S: u64 = 300;
/// Topics just made may be missing from a busy broker's answers for so long.
const SETTLE: Duration = Duration::from_secs(5);

/// What the session tells the other ends, and they it.
#[derive(Clone, Default)]
pub(super) struct Ends(Arc<EndsInner>);

#[derive(Default)]
struct EndsInner {
    asked: AtomicBool,
    /// Written once a session begins, read by the workers that encode.
    longest: Mutex<Option<Longest>>,
    /// Partitions from which messages wait for their time. Written by the source, read by the session.
    waiting: Mutex<BTreeSet<i32>>,
}

impl Ends {
    /// Asks the session to commit and to end.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
    }

    fn asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Longest record each topic takes; nothing is encoded before the first session has asked.
    pub fn longest(&self) -> Longest {
        let known = *self.0.longest.lock().unwrap_or_else(PoisonError::into_inner);
        known.unwrap_or(Longest { sources: 0, masks: 0, images: 0, rejected: 0 })
    }

    /// Messages of these partitions wait, of others not: nothing more of them is wished for.
    pub fn wait(&self, partitions: BTreeSet<i32>) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = partitions;
    }

    fn waits(&self, partition: i32) -> bool {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).contains(&partition)
    }

    fn know(&self, longest: Longest) {
        *self.0.longest.lock().unwrap_or_else(PoisonError::into_inner) = Some(longest);
    }
}

/// Keeps a session with the broker for as long as the daemon runs.
pub(super) struct Keeper {
    pub settings: Settings,
    pub survey: String,
    pub topics: Topics,
    pub attempts: Arc<Attempts>,
    pub outflow: Arc<dyn Outflow>,
    pub watch: Watch,
    pub to_engine: Sender<Arc<Delivery>>,
    pub from_engine: Receiver<Ready>,
    pub ends: Ends,
    pub refused: Refused,
}

impl Keeper {
    /// Until asked to end, or the session is lost too often.
    pub fn run(self) -> Result<(), KafkaError> {
        let mut losses: VecDeque<Instant> = VecDeque::new();
        while let Some(consumer) = self.join()? {
            let mut session =
                Session { keeper: &self, consumer, backlog: VecDeque::new(), alone: false, full_since: None };
            let Err(error) = session.run() else { return Ok(()) };
            let context = session.consumer.context();
            let open = {
                let books = context.books();
                books.holdings.values().for_each(|h| h.tenure.end());
                books.open
            };
            // The broker ends the transaction of a session that is gone.
            let ends = [(open, StreamEvent::Aborted), (is_fenced(&error), StreamEvent::Fenced)];
            ends.into_iter().filter(|end| end.0).for_each(|(_, event)| self.watch.probe.on(&Event::Stream(&event)));
            self.attempts.forgive();
            self.watch.status.lost();
            if !matches!(error, ClientError::MessageConsumptionFatal(_)) {
                self.watch.probe.on(&Event::Stream(&StreamEvent::Failed { kind: kind_of(&error) })); // else it is reported
            }
            tracing::error!(error_type = kind_of(&error), error = %causes(&error), "session lost, rebuilding");
            let now = Instant::now();
            losses.push_back(now);
            losses.retain(|at| now.duration_since(*at).as_secs() < BUDGET_S);
            if losses.len() > BUDGET {
                return Err(KafkaError::LostTooOften { times: losses.len(), within_s: BUDGET_S, source: error });
            }
        }
        Ok(())
    }

    /// Joins the group, however long the broker is away. `None` when asked to end before.
    fn join(&self) -> Result<Option<Taker>, KafkaError> {
        let mut wait = Duration::from_millis(200);
        let mut missing_since: Option<Instant> = None;
        while !self.ends.asked() {
            drop(self.watch.why()); // of earlier times
            let told = match self.try_join() {
                Ok(consumer) => return Ok(Some(consumer)),
                Err(
                    error @ (KafkaError::Settings(_) | KafkaError::Password { .. } | KafkaError::ShortRecords { .. }),
                ) => {
                    return Err(error);
                }
                Err(error @ KafkaError::MissingTopics { .. })
                    if missing_since.get_or_insert_with(Instant::now).elapsed() > SETTLE =>
                {
                    return Err(error);
                }
                Err(KafkaError::Broker { action, source }) => {
                    let kind = kind_of(&source);
                    let told = self.watch.told(action, source);
                    if let KafkaError::Broker { .. } = &told {
                        self.watch.probe.on(&Event::Stream(&StreamEvent::Failed { kind })); // else it is reported
                    }
                    told
                }
                Err(error) => error,
            };
            self.watch.status.unreachable(&told.to_string());
            tracing::warn!(error = %causes(&told), wait_ms = wait.as_millis() as u64, "no session, retrying");
            thread::sleep(wait);
            wait = (wait * 2).min(Duration::from_secs(5));
        }
        Ok(None)
    }

    fn try_join(&self) -> Result<Taker, KafkaError> {
        let id = self.settings.daemons_id(&self.survey);
        let producer = Transactional::new(&self.settings, &id, self.refused.clone(), self.watch.clone())?;
        let there = producer.topics()?;
        self.ends.know(self.topics.ensure(&there, &self.settings)?);
        if let Err(Trouble::Retry(source) | Trouble::Abort(source) | Trouble::Fatal(source)) = producer.init() {
            return Err(KafkaError::Broker { action: "begin transactions", source });
        }
        let context = Context {
            topic: self.topics.new_images.as_str().into(),
            producer: Arc::new(producer),
            attempts: self.attempts.clone(),
            outflow: self.outflow.clone(),
            watch: self.watch.clone(),
            call: self.settings.call(),
            books: Mutex::default(),
        };
        let consumer: Taker = self.settings.consumer()?.create_with_context(context).map_err(KafkaError::Settings)?;
        let joined = consumer.subscribe(&[&self.topics.new_images]);
        joined.map_err(|source| KafkaError::Broker { action: "subscribe", source })?;
        Ok(consumer)
    }
}

/// One session: from joining the group to leaving it.
struct Session<'a> {
    keeper: &'a Keeper,
    consumer: Taker,
    /// Taken from the broker, not by the engine.
    backlog: VecDeque<Arc<Delivery>>,
    /// A message that may kill the process is in work: nothing else begins.
    alone: bool,
    /// There is no room for messages.
    full_since: Option<Instant>,
}

impl Session<'_> {
    fn run(&mut self) -> Result<(), ClientError> {
        loop {
            let ending = self.keeper.ends.asked() && self.keeper.from_engine.is_empty();
            self.take_outcomes()?;
            let settled = self.settle(ending)?;
            self.poll()?;
            self.hand_on();
            self.hold_back();
            self.keeper.watch.status.set_idle(self.context().books().is_idle());
            if !settled {
                thread::sleep(NAP); // the broker is away: nothing is gained by asking at once
            }
            if ending && settled && self.context().books().is_clean() {
                return Ok(());
            }
        }
    }

    fn context(&self) -> &Context {
        self.consumer.context()
    }

    /// Puts what the engine has finished into the transaction, as long as one can be added to.
    fn take_outcomes(&mut self) -> Result<(), ClientError> {
        let mut wait = NAP;
        loop {
            {
                let books = self.context().books();
                let full = books.due(&self.keeper.settings, 1, Instant::now());
                if full || !matches!(books.phase, Phase::Gathering) {
                    return Ok(());
                }
            }
            if !self.backlog.is_empty() && !self.keeper.to_engine.is_full() {
                wait = Duration::ZERO;
            }
            let Ok(ready) = self.keeper.from_engine.recv_timeout(wait) else { return Ok(()) };
            self.write(&ready)?;
            wait = Duration::ZERO;
        }
    }

    fn write(&self, ready: &Ready) -> Result<(), ClientError> {
        let (context, delivery) = (self.context(), &*ready.delivery);
        if !delivery.tenure.holds() {
            return Ok(());
        }
        let mut books = context.books();
        if !matches!(*ready.content, Content::Nothing) {
            context.open(&mut books)?;
            if !books.open {
                return Ok(()); // given up: its tenure has ended with that
            }
        }
        let origin = Arc::new(delivery.incoming.origin.clone());
        match self.send(ready, &origin) {
            Ok(written) => books.done(delivery, written, Instant::now()),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::Retry(error) | Trouble::Abort(error)) => context.give_up(&mut books, &error),
        }
        context.producer.poll();
        Ok(())
    }

    /// Adds an outcome's records to the open transaction.
    fn send(&self, ready: &Ready, origin: &Arc<Origin>) -> Result<Option<(Written, u64)>, Trouble> {
        let (topics, incoming) = (&self.keeper.topics, &ready.delivery.incoming);
        let producer = &self.context().producer;
        let key = ready.image.as_str().as_bytes();
        let written = |objects: &[String]| Written {
            origin: origin.clone(),
            timestamp_ms: incoming.timestamp_ms,
            objects: objects.to_vec(),
        };
        match &*ready.content {
            Content::Nothing => Ok(None),
            Content::Image(outgoing) => {
                let sources = outgoing.sources.iter().map(|payload| (&topics.sources, payload));
                let masks = outgoing.masks.iter().map(|payload| (&topics.masks, payload.as_slice()));
                let image = std::iter::once((&topics.images, outgoing.image.as_slice()));
                for (topic, payload) in sources.chain(masks).chain(image) {
                    producer.send(&Outbound { topic, key, payload: Some(payload), headers: None }, origin)?;
                }
                Ok(Some((written(&outgoing.objects), outgoing.bytes() as u64)))
            }
            Content::Rejected { headers, addressed, original } => {
                let payload = rejected::payload(incoming, original);
                let key = incoming.key.as_deref().filter(|_| *addressed).unwrap_or(key);
                let record = Outbound { topic: &topics.rejected, key, payload, headers: Some(headers.clone()) };
                producer.send(&record, origin)?;
                Ok(Some((written(&[]), payload.map_or(0, <[u8]>::len) as u64)))
            }
        }
    }

    /// Commits when it is time, and brings what was begun one step further. Whether nothing is left half done.
    fn settle(&mut self, ending: bool) -> Result<bool, ClientError> {
        let context = self.context();
        let due = {
            let books = context.books();
            let in_engine = books.in_work().saturating_sub(self.backlog.len());
            books.due(&self.keeper.settings, if ending { 0 } else { in_engine }, Instant::now())
        };
        if due {
            context.begin_commit()?;
        }
        context.advance(&self.consumer)
    }

    /// Takes messages as long as there is room. Polls in any case: the client's callbacks run in here.
    fn poll(&mut self) -> Result<(), ClientError> {
        self.context().producer.poll(); // also while nothing is written: its errors pile up
        loop {
            let message = match self.consumer.poll(Duration::ZERO) {
                None => return Ok(()),
                Some(Ok(message)) => message,
                Some(Err(ClientError::PartitionEOF(partition))) => {
                    self.context().books().ended(partition);
                    continue;
                }
                Some(Err(error @ ClientError::MessageConsumptionFatal(_))) => return Err(error),
                Some(Err(_)) => return Ok(()), // the client has reported it
            };
            let incoming = Incoming::read(&message, &self.context().topic);
            drop(message);
            self.accept(incoming);
            if self.backlog.len() >= self.room() {
                return Ok(());
            }
        }
    }

    /// Messages to have at hand beside those in the engine.
    fn room(&self) -> usize {
        4 * self.keeper.to_engine.capacity().unwrap_or(1)
    }

    fn accept(&mut self, incoming: Incoming) {
        let context = self.context();
        context.tell(StreamEvent::Received { bytes: incoming.bytes().len() as u64 });
        let tenure = {
            let mut books = context.books();
            if matches!(books.phase, Phase::Aborting | Phase::Seeking) {
                return; // it comes again
            }
            let first = books.holdings.get(&incoming.origin.partition).is_some_and(|h| h.progress.known().is_none());
            if first {
                let Origin { topic, partition, offset } = &incoming.origin;
                context.attempts.sweep(topic, *partition, *offset);
            }
            books.taken(&incoming.origin)
        };
        let Some(tenure) = tenure else { return };
        let died = context.attempts.died(&incoming.origin);
        let refused = self.keeper.refused.lock().unwrap_or_else(PoisonError::into_inner).remove(&incoming.origin);
        self.backlog.push_back(Arc::new(Delivery { incoming: Arc::new(incoming), tenure, died, refused }));
    }

    /// Gives the engine what it has room for; a message on which a process died goes alone.
    fn hand_on(&mut self) {
        self.backlog.retain(|delivery| delivery.tenure.holds());
        while let Some(next) = self.backlog.front() {
            let deadly = (1..MAX_ATTEMPTS).contains(&next.died);
            let nothing_else = {
                let books = self.context().books();
                books.in_work() <= self.backlog.len() && books.is_clean()
            };
            if (deadly || self.alone) && !nothing_else {
                return;
            }
            match self.keeper.to_engine.try_send(next.clone()) {
                Ok(()) => self.alone = deadly,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return,
            }
            self.backlog.pop_front();
        }
    }

    /// Pauses all partitions while there is no room, until half of it is free; and each from which messages wait.
    fn hold_back(&mut self) {
        let (have, room) = (self.backlog.len(), self.room());
        // Told as it goes, so that a long standstill can be seen while it lasts.
        if let Some(since) = self.full_since {
            self.context().tell(StreamEvent::Paused { seconds: since.elapsed().as_secs_f64() });
        }
        self.full_since = match self.full_since {
            None if have >= room => Some(Instant::now()),
            Some(_) if have > room / 2 => Some(Instant::now()),
            _ => None,
        };
        let context = self.context();
        let wanted = |partition| self.full_since.is_some() || self.keeper.ends.waits(partition);
        for pause in [true, false] {
            let list = context.books().pausable(&context.topic, pause, wanted);
            if list.count() == 0 {
                continue;
            }
            match if pause { self.consumer.pause(&list) } else { self.consumer.resume(&list) } {
                Ok(()) => context.books().paused(&list, pause),
                Err(error) => tracing::debug!(error = %causes(&error), "partitions could not be paused or resumed"),
            }
        }
    }
}
