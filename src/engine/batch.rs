//! Fills batches across frames. The device's unit of work is a batch of one fixed shape, not a frame: a queue
//! hands out the next `size` items of whatever frames wait, in order, and pads only when nothing more is there.

use std::collections::VecDeque;
use std::sync::Arc;

use twinpeak_core::cutout::ClassifierInput;
use twinpeak_core::model::{OBJECT_LEN, TILE_LEN};
use twinpeak_core::outcome::Stage;
use twinpeak_core::preprocess::Prepared;
use twinpeak_core::sky_tiles::SkyTiles;
use twinpeak_core::tile::Tiling;

/// Work for a device, in the one padded shape of its net.
pub(super) struct Batch {
    /// Which net: `Segment` or `Classify`.
    pub stage: Stage,
    /// `size` items; those beyond `slots` are zeros.
    pub input: Vec<f32>,
    /// Whose item is in each slot.
    pub slots: Vec<Slot>,
    /// Slots of the shape.
    pub size: usize,
}

/// One item's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Sequence number of the frame.
    pub sequence: u64,
    /// Index of the item within the frame.
    pub index: usize,
}

/// A frame's items, to be copied into batches.
pub(super) trait Items {
    /// Values of one item.
    const LEN: usize;
    /// The net that takes them.
    const STAGE: Stage;
    /// Number of items.
    fn count(&self) -> usize;
    /// Copies item `index`.
    fn copy(&self, index: usize, out: &mut [f32]);
}

/// The tiles of a frame, then those of its sky.
pub(super) struct Tiles {
    pub prepared: Arc<Prepared>,
    pub tiling: Arc<Tiling>,
    pub sky: Arc<SkyTiles>,
}

impl Items for Tiles {
    const LEN: usize = TILE_LEN;
    const STAGE: Stage = Stage::Segment;

    fn count(&self) -> usize {
        self.tiling.len() + self.sky.len()
    }

    fn copy(&self, index: usize, out: &mut [f32]) {
        match index.checked_sub(self.tiling.len()) {
            None => self.tiling.cut(&self.prepared.registered, index, out),
            Some(index) => self.sky.cut(&self.prepared.registered, &self.prepared.occupied, index, out),
        }
    }
}

/// A frame's objects, those that can be classified.
pub(super) struct ObjectItems(pub Vec<ClassifierInput>);

impl Items for ObjectItems {
    const LEN: usize = OBJECT_LEN;
    const STAGE: Stage = Stage::Classify;

    fn count(&self) -> usize {
        self.0.len()
    }

    fn copy(&self, index: usize, out: &mut [f32]) {
        self.0[index].write(out);
    }
}

/// Frames waiting for one net, oldest first.
pub(super) struct Queue<I> {
    size: usize,
    waiting: VecDeque<(u64, I, usize)>,
}

impl<I: Items> Queue<I> {
    /// For batches of `size`.
    pub fn new(size: usize) -> Self {
        Self { size, waiting: VecDeque::new() }
    }

    /// Adds a frame's items; a frame without any is not kept.
    pub fn push(&mut self, sequence: u64, items: I) {
        if items.count() > 0 {
            self.waiting.push_back((sequence, items, 0));
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next batch, padded if fewer items wait. A frame's items are let go with its last one, before the
    /// batch is handed over, so that whoever gets the frame's last answer is its only owner.
    pub fn take(&mut self) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        let mut input = vec![0.0; self.size * I::LEN];
        let mut slots = Vec::with_capacity(self.size);
        for out in input.chunks_exact_mut(I::LEN) {
            let Some((sequence, items, next)) = self.waiting.front_mut() else { break };
            items.copy(*next, out);
            slots.push(Slot { sequence: *sequence, index: *next });
            *next += 1;
            if *next == items.count() {
                self.waiting.pop_front();
            }
        }
        Some(Batch { stage: I::STAGE, input, slots, size: self.size })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use twinpeak_core::cutout::{MODELS, Measurements};
    use twinpeak_core::frame::BANDS;
    use twinpeak_core::model::STAMP_LEN;

    fn objects(frame: u64, n: usize) -> ObjectItems {
        let measured = Measurements { mag: 20.0, sn: 10.0, chi2: [900.0; MODELS], colours: [0.5; BANDS - 1] };
        let object = |i| ClassifierInput { stamp: Box::new([(frame * 1000) as f32 + i as f32; STAMP_LEN]), measured };
        ObjectItems((0..n).map(object).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_item_is_in_one_slot_in_order_and_only_the_last_batch_is_padded(
            counts in proptest::collection::vec(0usize..20, 0..12), size in 1usize..9,
        ) {
            let mut queue = Queue::new(size);
            for (frame, n) in counts.iter().enumerate() {
                queue.push(frame as u64, objects(frame as u64, *n));
            }
            let wanted: Vec<Slot> = counts.iter().enumerate()
                .flat_map(|(f, n)| (0..*n).map(move |index| Slot { sequence: f as u64, index })).collect();
            let mut got = Vec::new();
            while let Some(batch) = queue.take() {
                prop_assert_eq!(batch.input.len(), size * OBJECT_LEN);
                prop_assert!(batch.slots.len() == size || queue.is_empty());
                for (slot, values) in batch.slots.iter().zip(batch.input.chunks_exact(OBJECT_LEN)) {
                    prop_assert_eq!(values[0], (slot.sequence * 1000) as f32 + slot.index as f32);
                }
                prop_assert!(batch.input[batch.slots.len() * OBJECT_LEN..].iter().all(|v| *v == 0.0));
                got.extend(batch.slots);
            }
            prop_assert_eq!(got, wanted);
        }
    }
}
