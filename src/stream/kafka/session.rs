//! The thread that owns the consumer and the producer, and builds both anew when the broker has cast them out.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TrySendError};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError as ClientError;

use super::context::{Context, KafkaConsumer, is_fenced};
use super::delivery::{Delivery, Incoming, Origin};
use super::delivery_attempts::{DeliveryAttempts, MAX_ATTEMPTS};
use super::output::{Output, PendingOutput};
use super::ports::Outflow;
use super::reports::{Watch, kind_of};
use super::topics::MaxRecordBytes;
use super::transaction::{Outbound, Refused, TransactionError, Transactional};
use super::transaction_state::{Phase, Written};
use super::{KafkaError, Settings, Topics, rejected};
use twinpeak_core::causes::causes;
use twinpeak_engine::ports::{Event, StreamEvent};

/// How long the thread waits for news when there is nothing to do.
const NAP: Duration = Duration::from_millis(5);
/// So many losses of the session within [`BUDGET_S`] are borne.
const BUDGET: usize = 5;
const BUDGET_S: u64 = 300;
/// Topics just made may be missing from a busy broker's answers for so long.
const TOPICS_SETTLE: Duration = Duration::from_secs(5);

/// What the session and the adapters ask of each other.
#[derive(Clone, Default)]
pub(super) struct SessionControl(Arc<SessionControlInner>);

#[derive(Default)]
struct SessionControlInner {
    asked: AtomicBool,
    /// Written once a session begins, read by the workers that encode.
    longest: Mutex<Option<MaxRecordBytes>>,
    /// Partitions from which messages wait for their time. Written by the source, read by the session.
    waiting: Mutex<BTreeSet<i32>>,
}

impl SessionControl {
    /// Asks the session to commit and to end.
    pub fn request_end(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
    }

    fn end_requested(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// The largest record that each topic takes, bytes; nothing is encoded before the first session has asked.
    pub fn max_record_bytes(&self) -> MaxRecordBytes {
        let known = *self.0.longest.lock().unwrap_or_else(PoisonError::into_inner);
        known.unwrap_or(MaxRecordBytes { sources: 0, masks: 0, images: 0, rejected: 0 })
    }

    /// Messages of these partitions wait, of others not: no more of them is fetched.
    pub fn set_waiting(&self, partitions: BTreeSet<i32>) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = partitions;
    }

    fn is_waiting(&self, partition: i32) -> bool {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).contains(&partition)
    }

    fn set_max_record_bytes(&self, longest: MaxRecordBytes) {
        *self.0.longest.lock().unwrap_or_else(PoisonError::into_inner) = Some(longest);
    }
}

/// Keeps a session with the broker for as long as the daemon runs.
pub(super) struct SessionSupervisor {
    pub settings: Settings,
    pub survey: String,
    pub topics: Topics,
    pub attempts: Arc<DeliveryAttempts>,
    pub outflow: Arc<dyn Outflow>,
    pub watch: Watch,
    pub to_engine: Sender<Arc<Delivery>>,
    pub from_engine: Receiver<PendingOutput>,
    pub control: SessionControl,
    pub refused: Refused,
}

impl SessionSupervisor {
    /// Until asked to end, or the session is lost too often.
    pub fn run(self) -> Result<(), KafkaError> {
        let mut losses: VecDeque<Instant> = VecDeque::new();
        while let Some(consumer) = self.join()? {
            let mut session =
                Session { supervisor: &self, consumer, backlog: VecDeque::new(), alone: false, full_since: None };
            let Err(error) = session.run() else { return Ok(()) };
            let context = session.consumer.context();
            let open = {
                let state = context.state();
                state.assigned.values().for_each(|h| h.epoch.end());
                state.open
            };
            // The broker ends the transaction of a session that is gone.
            let events = [(open, StreamEvent::Aborted), (is_fenced(&error), StreamEvent::Fenced)];
            events
                .into_iter()
                .filter(|event| event.0)
                .for_each(|(_, event)| self.watch.probe.on(&Event::Stream(&event)));
            self.attempts.reset_attempts();
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
    fn join(&self) -> Result<Option<KafkaConsumer>, KafkaError> {
        let mut wait = Duration::from_millis(200);
        let mut missing_since: Option<Instant> = None;
        while !self.control.end_requested() {
            drop(self.watch.why()); // of earlier times
            let error = match self.try_join() {
                Ok(consumer) => return Ok(Some(consumer)),
                Err(
                    error @ (KafkaError::Settings(_) | KafkaError::Password { .. } | KafkaError::ShortRecords { .. }),
                ) => {
                    return Err(error);
                }
                Err(error @ KafkaError::MissingTopics { .. })
                    if missing_since.get_or_insert_with(Instant::now).elapsed() > TOPICS_SETTLE =>
                {
                    return Err(error);
                }
                Err(KafkaError::Broker { action, source }) => {
                    let kind = kind_of(&source);
                    let error = self.watch.reported(action, source);
                    if let KafkaError::Broker { .. } = &error {
                        self.watch.probe.on(&Event::Stream(&StreamEvent::Failed { kind })); // else it is reported
                    }
                    error
                }
                Err(error) => error,
            };
            self.watch.status.unreachable(&error.to_string());
            tracing::warn!(error = %causes(&error), wait_ms = wait.as_millis() as u64, "broker connection failed, retrying");
            thread::sleep(wait);
            wait = (wait * 2).min(Duration::from_secs(5));
        }
        Ok(None)
    }

    fn try_join(&self) -> Result<KafkaConsumer, KafkaError> {
        let id = self.settings.daemons_id(&self.survey);
        let producer = Transactional::new(&self.settings, &id, self.refused.clone(), self.watch.clone())?;
        let there = producer.topics()?;
        self.control.set_max_record_bytes(self.topics.ensure(&there, &self.settings)?);
        if let Err(
            TransactionError::Retry(source) | TransactionError::Abort(source) | TransactionError::Fatal(source),
        ) = producer.init()
        {
            return Err(KafkaError::Broker { action: "begin transactions", source });
        }
        let context = Context {
            topic: self.topics.new_images.as_str().into(),
            producer: Arc::new(producer),
            attempts: self.attempts.clone(),
            outflow: self.outflow.clone(),
            watch: self.watch.clone(),
            call: self.settings.call(),
            state: Mutex::default(),
        };
        let consumer: KafkaConsumer =
            self.settings.consumer()?.create_with_context(context).map_err(KafkaError::Settings)?;
        let joined = consumer.subscribe(&[&self.topics.new_images]);
        joined.map_err(|source| KafkaError::Broker { action: "subscribe", source })?;
        Ok(consumer)
    }
}

/// One session: from joining the group to leaving it.
struct Session<'a> {
    supervisor: &'a SessionSupervisor,
    consumer: KafkaConsumer,
    /// Request from the broker, not by the engine.
    backlog: VecDeque<Arc<Delivery>>,
    /// A message that may kill the process is in work: nothing else begins.
    alone: bool,
    /// There is no room for messages.
    full_since: Option<Instant>,
}

impl Session<'_> {
    fn run(&mut self) -> Result<(), ClientError> {
        loop {
            let ending = self.supervisor.control.end_requested() && self.supervisor.from_engine.is_empty();
            self.take_outcomes()?;
            let done = self.maybe_commit(ending)?;
            self.poll()?;
            self.dispatch();
            self.apply_backpressure();
            self.supervisor.watch.status.set_idle(self.context().state().is_idle());
            if !done {
                thread::sleep(NAP); // the broker is away: nothing is gained by asking at once
            }
            if ending && done && self.context().state().is_clean() {
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
                let state = self.context().state();
                let full = state.due(&self.supervisor.settings, 1, Instant::now());
                if full || !matches!(state.phase, Phase::Gathering) {
                    return Ok(());
                }
            }
            if !self.backlog.is_empty() && !self.supervisor.to_engine.is_full() {
                wait = Duration::ZERO;
            }
            let Ok(ready) = self.supervisor.from_engine.recv_timeout(wait) else { return Ok(()) };
            self.write(&ready)?;
            wait = Duration::ZERO;
        }
    }

    fn write(&self, ready: &PendingOutput) -> Result<(), ClientError> {
        let (context, delivery) = (self.context(), &*ready.delivery);
        if !delivery.epoch.is_current() {
            return Ok(());
        }
        let mut state = context.state();
        if !matches!(*ready.content, Output::Nothing) {
            context.open(&mut state)?;
            if !state.open {
                return Ok(()); // given up: its epoch has ended with that
            }
        }
        let origin = Arc::new(delivery.incoming.origin.clone());
        match self.send(ready, &origin) {
            Ok(written) => state.done(delivery, written, Instant::now()),
            Err(TransactionError::Fatal(error)) => return Err(error),
            Err(TransactionError::Retry(error) | TransactionError::Abort(error)) => context.abort(&mut state, &error),
        }
        context.producer.poll();
        Ok(())
    }

    /// Adds an outcome's records to the open transaction.
    fn send(&self, ready: &PendingOutput, origin: &Arc<Origin>) -> Result<Option<(Written, u64)>, TransactionError> {
        let (topics, incoming) = (&self.supervisor.topics, &ready.delivery.incoming);
        let producer = &self.context().producer;
        let key = ready.image.as_str().as_bytes();
        let written = |objects: &[String]| Written {
            origin: origin.clone(),
            timestamp_ms: incoming.timestamp_ms,
            objects: objects.to_vec(),
        };
        match &*ready.content {
            Output::Nothing => Ok(None),
            Output::Image(outgoing) => {
                let sources = outgoing.sources.iter().map(|payload| (&topics.sources, payload));
                let masks = outgoing.masks.iter().map(|payload| (&topics.masks, payload.as_slice()));
                let image = std::iter::once((&topics.images, outgoing.image.as_slice()));
                for (topic, payload) in sources.chain(masks).chain(image) {
                    producer.send(&Outbound { topic, key, payload: Some(payload), headers: None }, origin)?;
                }
                Ok(Some((written(&outgoing.objects), outgoing.bytes() as u64)))
            }
            Output::Rejected { headers, addressed, original } => {
                let payload = rejected::payload(incoming, original);
                let key = incoming.key.as_deref().filter(|_| *addressed).unwrap_or(key);
                let record = Outbound { topic: &topics.rejected, key, payload, headers: Some(headers.clone()) };
                producer.send(&record, origin)?;
                Ok(Some((written(&[]), payload.map_or(0, <[u8]>::len) as u64)))
            }
        }
    }

    /// Commits when it is time, and brings what was begun one step further. Whether nothing is left half done.
    fn maybe_commit(&mut self, ending: bool) -> Result<bool, ClientError> {
        let context = self.context();
        let due = {
            let state = context.state();
            let in_engine = state.in_work().saturating_sub(self.backlog.len());
            state.due(&self.supervisor.settings, if ending { 0 } else { in_engine }, Instant::now())
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
                    self.context().state().ended(partition);
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
        4 * self.supervisor.to_engine.capacity().unwrap_or(1)
    }

    fn accept(&mut self, incoming: Incoming) {
        let context = self.context();
        context.emit(StreamEvent::Received { bytes: incoming.bytes().len() as u64 });
        let epoch = {
            let mut state = context.state();
            if matches!(state.phase, Phase::Aborting | Phase::Seeking) {
                return; // it comes again
            }
            let first = state.assigned.get(&incoming.origin.partition).is_some_and(|h| h.progress.known().is_none());
            if first {
                let Origin { topic, partition, offset } = &incoming.origin;
                context.attempts.sweep(topic, *partition, *offset);
            }
            state.taken(&incoming.origin)
        };
        let Some(epoch) = epoch else { return };
        let died = context.attempts.died(&incoming.origin);
        let refused = self.supervisor.refused.lock().unwrap_or_else(PoisonError::into_inner).remove(&incoming.origin);
        self.backlog.push_back(Arc::new(Delivery { incoming: Arc::new(incoming), epoch, died, refused }));
    }

    /// Gives the engine what it has room for; a message on which a process died goes alone.
    fn dispatch(&mut self) {
        self.backlog.retain(|delivery| delivery.epoch.is_current());
        while let Some(next) = self.backlog.front() {
            let deadly = (1..MAX_ATTEMPTS).contains(&next.died);
            let nothing_else = {
                let state = self.context().state();
                state.in_work() <= self.backlog.len() && state.is_clean()
            };
            if (deadly || self.alone) && !nothing_else {
                return;
            }
            match self.supervisor.to_engine.try_send(next.clone()) {
                Ok(()) => self.alone = deadly,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return,
            }
            self.backlog.pop_front();
        }
    }

    /// Pauses all partitions while there is no room, until half of it is free; and each from which messages wait.
    fn apply_backpressure(&mut self) {
        let (have, room) = (self.backlog.len(), self.room());
        // Reported as it goes, so that a long standstill can be seen while it lasts.
        if let Some(since) = self.full_since {
            self.context().emit(StreamEvent::Paused { seconds: since.elapsed().as_secs_f64() });
        }
        self.full_since = match self.full_since {
            None if have >= room => Some(Instant::now()),
            Some(_) if have > room / 2 => Some(Instant::now()),
            _ => None,
        };
        let context = self.context();
        let wanted = |partition| self.full_since.is_some() || self.supervisor.control.is_waiting(partition);
        for pause in [true, false] {
            let list = context.state().pausable(&context.topic, pause, wanted);
            if list.count() == 0 {
                continue;
            }
            match if pause { self.consumer.pause(&list) } else { self.consumer.resume(&list) } {
                Ok(()) => context.state().paused(&list, pause),
                Err(error) => tracing::debug!(error = %causes(&error), "partitions could not be paused or resumed"),
            }
        }
    }
}
