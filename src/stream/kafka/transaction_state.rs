//! What the session keeps account of: which partitions are ours, how far each has come, and what the open
//! transaction holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::topic_partition_list::TopicPartitionList;

use super::Settings;
use super::delivery::{AssignmentEpoch, Delivery, Origin};
use super::progress::Progress;

/// A partition of ours.
pub(super) struct AssignedPartition {
    pub epoch: AssignmentEpoch,
    pub progress: Progress,
    /// Its end was seen after the last message.
    ended: bool,
    /// The client takes nothing from it for now.
    paused: bool,
}

impl AssignedPartition {
    fn new(paused: bool) -> Self {
        Self { epoch: AssignmentEpoch::begin(), progress: Progress::default(), ended: false, paused }
    }
}

/// Where the session stands with its transaction.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// Outcomes are gathered, in a transaction once there is an output.
    #[default]
    Gathering,
    /// These offsets are to go into the transaction.
    SendingOffsets(BTreeMap<i32, i64>),
    /// These offsets are in it; it is being committed.
    Committing(BTreeMap<i32, i64>),
    /// It is being aborted.
    Aborting,
    /// It is aborted; the partitions go back to what is committed.
    Seeking,
}

/// An image whose records are in the transaction.
pub(super) struct Written {
    pub origin: Arc<Origin>,
    pub timestamp_ms: Option<i64>,
    pub objects: Vec<String>,
}

/// Assigned partitions, and what the open transaction holds.
#[derive(Default)]
pub(super) struct TransactionState {
    pub assigned: BTreeMap<i32, AssignedPartition>,
    pub phase: Phase,
    /// A transaction is open at the broker.
    pub open: bool,
    /// Since the first outcome that is not committed.
    since: Option<Instant>,
    pub written: Vec<Written>,
    pub bytes: u64,
    /// Done without a record: acknowledged.
    pub acknowledged: Vec<Origin>,
}

fn list<'a>(topic: &str, partitions: impl Iterator<Item = &'a i32>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    partitions.for_each(|partition| _ = list.add_partition(topic, *partition));
    list
}

impl TransactionState {
    /// Partitions that came: each begins an epoch.
    pub fn assigned(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            if let Some(old) = self.assigned.insert(partition, AssignedPartition::new(false)) {
                old.epoch.end();
            }
        }
    }

    /// Partitions that went: what was begun in them is stale, and what was acknowledged is for others to commit.
    pub fn revoked(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            if let Some(old) = self.assigned.remove(&partition) {
                old.epoch.end();
            }
            self.acknowledged.retain(|origin| origin.partition != partition);
        }
        if self.done_count() == 0 {
            self.since = None;
        }
    }

    /// Messages done since the last commit, with records or without.
    fn done_count(&self) -> usize {
        self.written.len() + self.acknowledged.len()
    }

    /// Ends all epochs and begins new ones: every message is consumed again.
    pub fn begin_again(&mut self) {
        for assigned in self.assigned.values_mut() {
            assigned.epoch.end();
            *assigned = AssignedPartition::new(assigned.paused);
        }
        self.forget();
    }

    /// All partitions of ours, as the client wants them.
    pub fn partitions(&self, topic: &str) -> TopicPartitionList {
        list(topic, self.assigned.keys())
    }

    /// Partitions to be paused, or else resumed: those that are not as it is `wanted`.
    pub fn pausable(&self, topic: &str, pause: bool, wanted: impl Fn(i32) -> bool) -> TopicPartitionList {
        let pausable = self.assigned.iter().filter(|(p, h)| h.paused != pause && wanted(**p) == pause);
        list(topic, pausable.map(|(partition, _)| partition))
    }

    /// Partitions were paused, or else resumed.
    pub fn paused(&mut self, list: &TopicPartitionList, paused: bool) {
        for element in list.elements() {
            if let Some(assigned) = self.assigned.get_mut(&element.partition()) {
                assigned.paused = paused;
            }
        }
    }

    /// A message was taken from the broker. `None` where its partition is no longer ours.
    pub fn taken(&mut self, origin: &Origin) -> Option<AssignmentEpoch> {
        let assigned = self.assigned.get_mut(&origin.partition)?;
        assigned.progress.taken(origin.offset);
        assigned.ended = false;
        Some(assigned.epoch.clone())
    }

    /// All that a message asked for is in the transaction, `written` being what that was.
    pub fn done(&mut self, delivery: &Delivery, written: Option<(Written, u64)>, now: Instant) {
        let origin = &delivery.incoming.origin;
        if let Some(assigned) = self.assigned.get_mut(&origin.partition) {
            assigned.progress.done(origin.offset);
        }
        self.since.get_or_insert(now);
        match written {
            Some((written, bytes)) => {
                self.bytes += bytes;
                self.written.push(written);
            }
            None => self.acknowledged.push(origin.clone()),
        }
    }

    /// A partition has no further messages now.
    pub fn ended(&mut self, partition: i32) {
        if let Some(assigned) = self.assigned.get_mut(&partition) {
            assigned.ended = true;
        }
    }

    /// Whether everything that is there is done and committed.
    pub fn is_idle(&self) -> bool {
        !self.assigned.is_empty() && self.assigned.values().all(|h| h.ended) && self.in_work() == 0 && self.is_clean()
    }

    /// Messages taken and not done.
    pub fn in_work(&self) -> usize {
        self.assigned.values().map(|h| h.progress.open()).sum()
    }

    /// Whether nothing waits for a commit.
    pub fn is_clean(&self) -> bool {
        self.done_count() == 0 && !self.open && matches!(self.phase, Phase::Gathering)
    }

    /// Whether it is time to commit: the transaction is large or old enough, or nothing else is in work.
    pub fn due(&self, settings: &Settings, others_in_work: usize, now: Instant) -> bool {
        let age = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.done_count() > 0
            && (others_in_work == 0
                || self.done_count() >= settings.transaction_images.get()
                || self.bytes >= settings.transaction_bytes.get() as u64
                || age >= settings.transaction_s.duration())
    }

    /// For each partition where there is something new, the offset before which everything is done.
    pub fn offsets(&self) -> BTreeMap<i32, i64> {
        let new = self.assigned.iter().filter_map(|(p, h)| Some((*p, h.progress.committable()?)));
        new.collect()
    }

    /// The transaction is committed. Gives what it held.
    pub fn committed(&mut self, offsets: &BTreeMap<i32, i64>) -> (Vec<Written>, Vec<Origin>, u64) {
        for (partition, offset) in offsets {
            if let Some(assigned) = self.assigned.get_mut(partition) {
                assigned.progress.committed(*offset);
            }
        }
        let held = (std::mem::take(&mut self.written), std::mem::take(&mut self.acknowledged), self.bytes);
        self.forget();
        held
    }

    fn forget(&mut self) {
        self.phase = Phase::Gathering;
        self.open = false;
        self.since = None;
        self.written.clear();
        self.acknowledged.clear();
        self.bytes = 0;
    }

    /// The transaction cannot be committed: everything of ours is stale from here.
    pub fn abort(&mut self) {
        self.assigned.values().for_each(|h| h.epoch.end());
        self.phase = if self.open { Phase::Aborting } else { Phase::Seeking };
    }
}

#[cfg(test)]
mod tests {
    use super::super::delivery::Incoming;
    use super::*;

    fn take(state: &mut TransactionState, partition: i32, offset: i64) -> Delivery {
        let origin = Origin { topic: "t".into(), partition, offset };
        let epoch = state.taken(&origin).unwrap();
        let (timestamp_ms, key, payload, headers) = (None, None, None, Vec::new());
        let incoming = Arc::new(Incoming { origin, timestamp_ms, key, payload, headers });
        Delivery { incoming, epoch, died: 0, refused: None }
    }

    /// An acknowledgement opens no transaction, so nothing else remembers it when its partition is lost: it must not
    /// be waited for.
    #[test]
    fn what_was_acknowledged_on_a_lost_partition_is_forgotten() {
        let (mut state, settings) = (TransactionState::default(), Settings::default());
        let then = Instant::now();
        let later = then + Duration::from_secs(60);
        state.assigned([0, 1]);
        let lost = take(&mut state, 0, 7);
        state.done(&lost, None, then);
        assert!(state.due(&settings, 5, later));
        state.revoked([0]);
        assert!(!state.due(&settings, 0, later) && state.is_clean());
        // Of two, the other one stays due.
        state.assigned([0]);
        let (lost, kept) = (take(&mut state, 0, 7), take(&mut state, 1, 3));
        state.done(&lost, None, then);
        state.done(&kept, None, then);
        state.revoked([0]);
        assert!(state.due(&settings, 0, later));
        assert_eq!(state.offsets(), BTreeMap::from([(1, 4)]));
    }
}
