//! Restores arrival order: results come back as they are done and leave as they came.

use std::collections::BTreeMap;

/// Holds what came early. Bounded by the permits: no more frames than those can be in flight.
pub(super) struct Reorder<T> {
    next: u64,
    early: BTreeMap<u64, T>,
}

impl<T> Reorder<T> {
    /// Starting with sequence number 0.
    pub fn new() -> Self {
        Self { next: 0, early: BTreeMap::new() }
    }

    /// Takes one result and gives all that may leave now, in order.
    pub fn push(&mut self, sequence: u64, value: T) -> Vec<T> {
        self.early.insert(sequence, value);
        let mut ready = Vec::new();
        while let Some(value) = self.early.remove(&self.next) {
            ready.push(value);
            self.next += 1;
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_comes_leaves_in_order(order in Just((0..40u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut reorder = Reorder::new();
            let left: Vec<u64> = order.iter().flat_map(|s| reorder.push(*s, *s)).collect();
            prop_assert_eq!(left, (0..40).collect::<Vec<_>>());
        }
    }
}
