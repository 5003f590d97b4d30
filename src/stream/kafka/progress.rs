//! How far one partition has come: which messages are in work, and up to which offset all are done.

use std::collections::BTreeSet;

/// One partition during one epoch.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Request and not done.
    open: BTreeSet<i64>,
    /// After the last message taken.
    next: Option<i64>,
    /// Everything before it is done, and the broker knows it.
    known: Option<i64>,
}

impl Progress {
    /// A message was taken from the broker; offsets rise, with gaps.
    pub fn taken(&mut self, offset: i64) {
        self.open.insert(offset);
        self.next = Some(offset + 1);
        self.known.get_or_insert(offset);
    }

    /// All that the message asked for is in the transaction.
    pub fn done(&mut self, offset: i64) {
        self.open.remove(&offset);
    }

    /// Messages in work.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The offset to commit: everything before it is done. `None` where the broker knows that already.
    pub fn committable(&self) -> Option<i64> {
        let reached = self.open.first().copied().or(self.next)?;
        (self.known < Some(reached)).then_some(reached)
    }

    /// The broker has noted that everything before `offset` is done.
    pub fn committed(&mut self, offset: i64) {
        self.known = Some(offset);
    }

    /// Up to where the broker knows that all is done; `None` before a first message.
    pub fn known(&self) -> Option<i64> {
        self.known
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever order messages are done in: never past one in work, and to the end once none is.
        #[test]
        fn commits_are_contiguous(gaps in prop::collection::vec(1..4i64, 1..30), order in any::<u64>()) {
            let offsets: Vec<i64> = gaps.iter().scan(100, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut left = offsets.clone();
            let (mut progress, mut seed) = (Progress::default(), order);
            offsets.iter().for_each(|o| progress.taken(*o));
            prop_assert_eq!(progress.committable(), None);
            let mut last = offsets[0];
            while !left.is_empty() {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let done = left.remove((seed >> 33) as usize % left.len());
                progress.done(done);
                if let Some(offset) = progress.committable() {
                    prop_assert!(offset > last && left.first().is_none_or(|first| offset <= *first));
                    progress.committed(offset);
                    last = offset;
                }
            }
            prop_assert_eq!((last, progress.open(), progress.committable()), (offsets[offsets.len() - 1] + 1, 0, None));
        }
    }
}
