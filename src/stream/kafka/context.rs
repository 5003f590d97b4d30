//! The session's callbacks and the steps of its transaction. Everything here runs on the session's own thread: the
//! client calls back only from within `poll`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::delivery_attempts::DeliveryAttempts;
use super::ports::Outflow;
use super::reports::{Watch, code_of, kind_of};
use super::transaction::{TransactionError, Transactional};
use super::transaction_state::{Phase, TransactionState, Written};
use twinpeak_core::causes::causes;
use twinpeak_engine::ports::{Event, StreamEvent};

/// A consumer with our callbacks.
pub(super) type KafkaConsumer = BaseConsumer<Context>;

/// How long a revocation may wait for the last commit; the group waits with it.
const LAST_COMMIT: Duration = Duration::from_secs(8);

/// What the callbacks and the session's loop share.
pub(super) struct Context {
    pub topic: Arc<str>,
    pub producer: Arc<Transactional>,
    pub attempts: Arc<DeliveryAttempts>,
    pub outflow: Arc<dyn Outflow>,
    pub watch: Watch,
    pub call: Duration,
    // The client's callbacks get a shared reference; all run on the session's thread, so it is never waited for.
    pub state: Mutex<TransactionState>,
}

/// Whether the broker has given our transactional id to another, or ended our transaction for its age.
pub(super) fn is_fenced(error: &ClientError) -> bool {
    matches!(code_of(error), Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch))
}

impl Context {
    pub fn state(&self) -> MutexGuard<'_, TransactionState> {
        // A panic on the session's thread ends the session, state and all.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn emit(&self, event: StreamEvent) {
        self.watch.probe.on(&Event::Stream(&event));
    }

    /// Begins to commit what there is.
    ///
    /// # Errors
    /// What ends the session.
    pub fn begin_commit(&self) -> Result<(), ClientError> {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Gathering) {
            return Ok(());
        }
        let offsets = state.offsets();
        if offsets.is_empty() {
            if state.open {
                // Records without the offsets of their messages would come twice.
                self.abort(&mut state, &ClientError::Global(Code::NoOffset));
            } else {
                // Nothing of it is ours to commit.
                let (_, acknowledged, _) = state.committed(&offsets);
                acknowledged.iter().for_each(|origin| drop(self.attempts.committed(origin, &[])));
            }
            return Ok(());
        }
        self.open(&mut state)?;
        // Where none could be opened it is given up, and that phase stays.
        if state.open {
            state.phase = Phase::SendingOffsets(offsets);
        }
        Ok(())
    }

    /// Opens a transaction where none is.
    pub fn open(&self, state: &mut TransactionState) -> Result<(), ClientError> {
        if !state.open {
            match self.producer.begin() {
                Ok(()) => state.open = true,
                Err(TransactionError::Fatal(error)) => return Err(error),
                Err(TransactionError::Retry(error) | TransactionError::Abort(error)) => self.abort(state, &error),
            }
        }
        Ok(())
    }

    /// The images of this transaction are done again.
    pub fn abort(&self, state: &mut TransactionState, error: &ClientError) {
        tracing::warn!(error_type = kind_of(error), error = %causes(error), "transaction aborted, images reprocessed");
        self.failed(error);
        state.abort();
    }

    /// One step towards the end of a transaction that is being committed or aborted. Whether nothing is left to do.
    ///
    /// # Errors
    /// What ends the session.
    pub fn advance(&self, consumer: &KafkaConsumer) -> Result<bool, ClientError> {
        loop {
            let mut state = self.state();
            let step = match &state.phase {
                Phase::Gathering => return Ok(true),
                Phase::SendingOffsets(offsets) => self.send_offsets(consumer, offsets),
                Phase::Committing(offsets) => {
                    let since = Instant::now();
                    let offsets = offsets.clone();
                    self.producer.commit().map(|()| self.committed(&mut state, &offsets, since))
                }
                Phase::Aborting => self.producer.abort().map(|()| {
                    self.emit(StreamEvent::Aborted);
                    state.open = false;
                    state.phase = Phase::Seeking;
                }),
                Phase::Seeking => match self.seek(consumer, &mut state) {
                    Ok(()) => Ok(()),
                    Err(error) => Err(TransactionError::Retry(error)),
                },
            };
            match step {
                Ok(()) => {
                    if let Phase::SendingOffsets(offsets) = &mut state.phase {
                        state.phase = Phase::Committing(std::mem::take(offsets));
                    }
                }
                Err(TransactionError::Retry(error)) => {
                    tracing::warn!(error_type = kind_of(&error), error = %causes(&error), "transaction step not finished, retrying");
                    self.failed(&error);
                    return Ok(false);
                }
                Err(TransactionError::Abort(error)) => self.abort(&mut state, &error),
                Err(TransactionError::Fatal(error)) => return Err(error),
            }
        }
    }

    fn send_offsets(&self, consumer: &KafkaConsumer, offsets: &BTreeMap<i32, i64>) -> Result<(), TransactionError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
                .map_err(TransactionError::Abort)?;
        }
        // Fetched anew each time: it carries the group's generation, by which the broker recognises a zombie.
        let gone = || TransactionError::Abort(ClientError::Global(Code::UnknownMemberId));
        let group = consumer.group_metadata().ok_or_else(gone)?;
        self.producer.send_offsets(&list, &group)
    }

    fn committed(&self, state: &mut TransactionState, offsets: &BTreeMap<i32, i64>, since: Instant) {
        let (written, acknowledged, bytes) = state.committed(offsets);
        self.watch.status.answered();
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        for Written { origin, timestamp_ms, objects } in &written {
            for orphan in self.attempts.committed(origin, objects) {
                self.outflow.discard(&orphan);
            }
            if let Some(ms) = timestamp_ms {
                self.emit(StreamEvent::Latency { seconds: (now_ms - ms).max(0) as f64 / 1e3 });
            }
        }
        acknowledged.iter().for_each(|origin| drop(self.attempts.committed(origin, &[])));
        let seconds = since.elapsed().as_secs_f64();
        self.emit(StreamEvent::Committed { images: written.len() as u64, bytes, seconds });
    }

    /// Every partition goes back to what is committed, and begins a new epoch.
    fn seek(&self, consumer: &KafkaConsumer, state: &mut TransactionState) -> Result<(), ClientError> {
        let list = state.partitions(&self.topic);
        if list.count() > 0 {
            let committed = consumer.committed_offsets(list, self.call)?;
            let mut to = TopicPartitionList::new();
            for element in committed.elements() {
                element.error()?;
                let offset = match element.offset() {
                    Offset::Offset(offset) => Offset::Offset(offset),
                    _ => Offset::Beginning,
                };
                to.add_partition_offset(element.topic(), element.partition(), offset)?;
            }
            for element in consumer.seek_partitions(to, self.call)?.elements() {
                element.error()?;
            }
        }
        for partition in state.assigned.keys() {
            self.attempts.requeue(*partition);
        }
        state.begin_again();
        Ok(())
    }

    fn failed(&self, error: &ClientError) {
        self.emit(StreamEvent::Failed { kind: kind_of(error) });
    }

    /// Partitions are taken from us in good order: what is done is committed first.
    fn commit_before_revocation(&self, consumer: &KafkaConsumer) {
        let until = Instant::now() + LAST_COMMIT;
        let mut result = self.begin_commit().map(|()| false);
        while let Ok(false) = result {
            result = self.advance(consumer);
            if Instant::now() > until {
                break;
            }
        }
        if let Err(error) = result {
            tracing::warn!(error_type = kind_of(&error), error = %causes(&error), "commit before revocation failed");
        }
    }

    fn revoke(&self, consumer: &KafkaConsumer, partitions: &[i32]) {
        let lost = consumer.assignment_lost();
        tracing::info!(topic = %self.topic, ?partitions, lost, "partitions revoked");
        if !lost {
            self.commit_before_revocation(consumer);
        }
        let mut state = self.state();
        // With its offsets in it, a transaction may still be committed; without, its images may be somebody else's.
        let unsafe_now = match state.phase {
            Phase::Gathering => state.open,
            Phase::SendingOffsets(_) => true,
            Phase::Committing(_) | Phase::Aborting | Phase::Seeking => false,
        };
        if unsafe_now {
            self.abort(&mut state, &ClientError::Rebalance(Code::AssignmentLost));
        }
        // The client would remember a pause until the partition comes back.
        let paused = state.pausable(&self.topic, false, |partition| !partitions.contains(&partition));
        if paused.count() > 0
            && let Err(error) = consumer.resume(&paused)
        {
            tracing::warn!(error = %causes(&error), "revoked partitions could not be resumed");
        }
        state.revoked(partitions.iter().copied());
        partitions.iter().for_each(|p| self.attempts.requeue(*p));
        for partition in partitions {
            self.emit(StreamEvent::Lag { partition: *partition, messages: None });
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(|e| e.partition()).collect()
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &KafkaConsumer, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.state().assigned(partitions(list)),
            Rebalance::Revoke(list) => self.revoke(consumer, &partitions(list)),
            Rebalance::Error(error) => {
                tracing::warn!(error = %causes(error), "rebalance failed");
                self.failed(error);
                let all: Vec<i32> = self.state().assigned.keys().copied().collect();
                self.revoke(consumer, &all);
            }
        }
    }

    fn post_rebalance(&self, _: &KafkaConsumer, _: &Rebalance<'_>) {
        let partitions: Vec<i32> = self.state().assigned.keys().copied().collect();
        tracing::info!(topic = %self.topic, ?partitions, "partitions assigned");
        self.watch.status.answered();
        self.watch.status.assigned(partitions.len());
        self.emit(StreamEvent::Rebalanced { partitions: partitions.len() });
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.watch.log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.watch.error(&error, reason);
    }

    /// Whether a broker answers, and the lag: from what is committed to the end of what may be read.
    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&*self.topic) else { return };
        self.watch.status.connected(statistics.brokers.values().filter(|b| b.state == "UP").map(|b| b.nodeid));
        let state = self.state();
        for (partition, assigned) in &state.assigned {
            let Some(at) = topic.partitions.get(partition) else { continue };
            let known = assigned.progress.known().unwrap_or(at.committed_offset).max(at.committed_offset);
            let known = if known < 0 { at.lo_offset } else { known };
            if at.ls_offset >= 0 && known >= 0 {
                let messages = Some((at.ls_offset - known).max(0) as u64);
                self.emit(StreamEvent::Lag { partition: *partition, messages });
            }
        }
    }
}
