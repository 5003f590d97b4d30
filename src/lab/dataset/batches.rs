//! Cutouts in mini-batches, in an order that is a function of (seed, epoch) alone, with a few shards in memory.
//!
//! An epoch visits the shards in a shuffled order, some [`WINDOW_OBJECTS`] objects' worth at a time, and within such
//! a window the objects in a shuffled order: nearly as good as shuffling all, at a bounded memory (packed, a window
//! takes some 140 MB).

use std::collections::VecDeque;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::cutouts::Cutouts;
use super::manifest::{Entry, Part};
use super::shard::shard_files;
use super::{DataSet, DataSetError};
use twinpeak_core::model::TILE_LEN;

/// A window holds shards until it has so many objects.
const WINDOW_OBJECTS: usize = 8192;

/// In which order objects come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The order of `DataSet::features`.
    AsStored,
    /// Another order in each epoch, drawn from the seed.
    Shuffled {
        /// Seed of the training that reads them.
        seed: u64,
        /// Each has an order of its own.
        epoch: u64,
    },
}

/// Cutouts of some objects, and which objects these are.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Their indices in the columns of `DataSet::features`.
    pub objects: Vec<usize>,
    /// [`TILE_LEN`] values each, NHWC, in units of each band's sky noise.
    pub cutouts: Vec<f32>,
}

/// A shard to visit, the index of its first object, and how many of them count.
type Visit<'a> = (&'a Entry, usize, usize);

/// Batches of one epoch; the last may be smaller. Ends after an error.
pub struct Batches<'a> {
    set: &'a DataSet,
    part: Part,
    size: usize,
    window_objects: usize,
    random: Option<ChaCha8Rng>,
    ahead: VecDeque<Visit<'a>>,
    window: Vec<(&'a Entry, Cutouts)>,
    /// Objects of the window still to come: place in the window, index in its shard, index in the part.
    queue: VecDeque<(usize, usize, usize)>,
}

impl<'a> Batches<'a> {
    /// Batches of `size` among the part's first `limit` objects.
    pub(super) fn new(set: &'a DataSet, part: Part, order: Order, size: usize, limit: usize) -> Self {
        Self::with_window(set, part, order, (size, limit), WINDOW_OBJECTS)
    }

    pub(super) fn with_window(
        set: &'a DataSet,
        part: Part,
        order: Order,
        (size, limit): (usize, usize),
        window_objects: usize,
    ) -> Self {
        let mut random = match order {
            Order::AsStored => None,
            Order::Shuffled { seed, epoch } => {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(epoch);
                Some(random)
            }
        };
        let mut first = 0;
        let mut visits: Vec<Visit> = Vec::new();
        for entry in set.manifest().shards.get(part) {
            let counting = entry.objects.min(limit.saturating_sub(first));
            if counting > 0 {
                visits.push((entry, first, counting));
            }
            first += entry.objects;
        }
        if let Some(random) = &mut random {
            visits.shuffle(random);
        }
        let ahead = visits.into();
        let (window, queue) = (Vec::new(), VecDeque::new());
        Self { set, part, size: size.max(1), window_objects, random, ahead, window, queue }
    }

    /// Reads the next shards; nothing where there are none.
    fn open_window(&mut self) -> Result<(), DataSetError> {
        self.window.clear();
        let folder = self.set.folder_of(self.part);
        let mut objects = Vec::new();
        while objects.len() < self.window_objects {
            let Some((entry, first, counting)) = self.ahead.pop_front() else { break };
            let place = self.window.len();
            self.window.push((entry, entry.read_cutouts(&folder)?));
            objects.extend((0..counting).map(|i| (place, i, first + i)));
        }
        if let Some(random) = &mut self.random {
            objects.shuffle(random);
        }
        self.queue = objects.into();
        Ok(())
    }

    /// Objects whose cutouts are in memory, packed.
    #[cfg(test)]
    pub(super) fn open_objects(&self) -> usize {
        self.window.iter().map(|(_, cutouts)| cutouts.len()).sum()
    }

    fn fill(&mut self) -> Result<Option<Batch>, DataSetError> {
        let mut batch = Batch { objects: Vec::new(), cutouts: Vec::with_capacity(self.size * TILE_LEN) };
        while batch.objects.len() < self.size {
            if self.queue.is_empty() {
                self.open_window()?;
            }
            let Some((place, index, object)) = self.queue.pop_front() else { break };
            let (entry, cutouts) = &self.window[place];
            cutouts.unpack(index, &mut batch.cutouts).map_err(|damage| {
                let (_, path) = shard_files(&self.set.folder_of(self.part), &entry.shard);
                DataSetError::Damaged { path, damage }
            })?;
            batch.objects.push(object);
        }
        Ok((!batch.objects.is_empty()).then_some(batch))
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, DataSetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let filled = self.fill();
        if filled.is_err() {
            self.queue.clear();
            self.ahead.clear();
        }
        filled.transpose()
    }
}
