//! Messages on their way into the engine. One whose time has not come waits, and with it those behind it on its
//! partition, so that these stay in order; other partitions go on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::delivery::Delivery;
use super::ports::Request;

/// A message, and what it asks for.
pub(super) struct Pending {
    pub delivery: Arc<Delivery>,
    pub taken: Request,
}

/// A line for each partition from which messages wait.
#[derive(Default)]
pub(super) struct PartitionQueues(BTreeMap<i32, VecDeque<Pending>>);

impl PartitionQueues {
    /// At the end of its line.
    pub fn join(&mut self, pending: Pending) {
        self.0.entry(pending.delivery.incoming.origin.partition).or_default().push_back(pending);
    }

    /// At the head of its line, from where it came.
    pub fn requeue(&mut self, pending: Pending) {
        self.0.entry(pending.delivery.incoming.origin.partition).or_default().push_front(pending);
    }

    /// The first of a line, whose time has come. What is no longer ours goes.
    pub fn next(&mut self) -> Option<Pending> {
        self.0.values_mut().for_each(|line| line.retain(|pending| pending.delivery.epoch.is_current()));
        let ready = self.0.values_mut().find(|line| line.front().is_some_and(|first| first.taken.is_ready()));
        let next = ready.and_then(VecDeque::pop_front);
        self.0.retain(|_, line| !line.is_empty());
        next
    }

    /// Partitions from which messages wait.
    pub fn partitions(&self) -> BTreeSet<i32> {
        self.0.keys().copied().collect()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::kafka::delivery::AssignmentEpoch;
    use crate::kafka::{Incoming, Origin};
    use twinpeak_core::frame::ImageId;
    use twinpeak_engine::ports::Loaded;

    fn pending(partition: i32, offset: i64, epoch: &AssignmentEpoch, ready: &Arc<AtomicBool>) -> Pending {
        let origin = Origin { topic: "in".into(), partition, offset };
        let incoming = Incoming { origin, timestamp_ms: None, key: None, payload: None, headers: vec![] };
        let delivery = Delivery { incoming: Arc::new(incoming), epoch: epoch.clone(), died: 0, refused: None };
        let ready = ready.clone();
        let taken = Request::new(ImageId::new("a").unwrap(), || Ok(Loaded::Nothing));
        Pending { delivery: Arc::new(delivery), taken: taken.once(move || ready.load(Ordering::SeqCst)) }
    }

    fn all(lines: &mut PartitionQueues) -> Vec<(i32, i64)> {
        let origin = |p: Pending| (p.delivery.incoming.origin.partition, p.delivery.incoming.origin.offset);
        std::iter::from_fn(|| lines.next().map(origin)).collect()
    }

    proptest! {
        /// Whichever messages wait: each partition gives all before its first that waits, in order, and in the end all.
        #[test]
        fn partitions_keep_their_order_and_wait_alone(waits in prop::collection::vec((0..3, any::<bool>()), 1..40)) {
            let (mut lines, epoch) = (PartitionQueues::default(), AssignmentEpoch::begin());
            let (come, later) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
            for (offset, (partition, waits)) in waits.iter().enumerate() {
                lines.join(pending(*partition, offset as i64, &epoch, if *waits { &later } else { &come }));
            }
            let of = |partition: i32| waits.iter().enumerate().filter(move |(_, (p, _))| *p == partition);
            let before: Vec<(i32, i64)> = (0..3)
                .flat_map(|p| of(p).take_while(|(_, (_, waits))| !waits).map(move |(offset, _)| (p, offset as i64)))
                .collect();
            let mut got = all(&mut lines);
            prop_assert_eq!(&got, &before);
            let waiting: BTreeSet<i32> = waits.iter().filter(|(_, waits)| *waits).map(|(p, _)| *p).collect();
            prop_assert_eq!(lines.partitions(), waiting);
            later.store(true, Ordering::SeqCst);
            got.extend(all(&mut lines));
            for partition in 0..3 {
                let got: Vec<i64> = got.iter().filter(|(p, _)| *p == partition).map(|(_, offset)| *offset).collect();
                prop_assert_eq!(got, of(partition).map(|(offset, _)| offset as i64).collect::<Vec<_>>());
            }
            prop_assert!(lines.is_empty());
        }
    }

    #[test]
    fn who_is_no_longer_ours_waits_no_longer_and_who_comes_back_is_first() {
        let (mut lines, ours, lost) = (PartitionQueues::default(), AssignmentEpoch::begin(), AssignmentEpoch::begin());
        let (come, later) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        lines.join(pending(0, 1, &lost, &later));
        lines.join(pending(0, 1, &ours, &come));
        lines.join(pending(0, 2, &ours, &come));
        lost.end();
        let first = lines.next().unwrap();
        assert_eq!(first.delivery.incoming.origin.offset, 1);
        lines.requeue(first);
        assert_eq!(all(&mut lines), [(0, 1), (0, 2)]);
    }
}
