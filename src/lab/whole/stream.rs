//! A data set's cutouts as a net's mini-batches.

use tch::Tensor;

use super::CutoutBatches;
use crate::LabError;
use crate::dataset::{self, DataSet, Order, Part, View};
use twinpeak_core::frame::PerBand;
use twinpeak_learn::LearnError;

/// The first objects of a data set's training part, over and over, each pass in an order of its own.
pub struct Streamed<'a> {
    cutouts: CutoutView<'a>,
    sky_sigma: &'a [PerBand<f32>],
    seed: u64,
    batch: usize,
    objects: usize,
    /// The pass that is open, and the step it comes to next.
    open: Option<(usize, usize, dataset::Batches<'a>)>,
}

/// A data set as a net sees it.
#[derive(Clone, Copy)]
pub struct CutoutView<'a> {
    /// Data set that the cutouts are read from.
    pub set: &'a DataSet,
    /// What the net sees of them.
    pub view: View,
}

impl<'a> CutoutView<'a> {
    /// Batches (up to `batch`, 5, 64, 64) of a part's first `limit` objects, in their order. `sky_sigma` are all of
    /// the part's.
    pub fn in_order(
        self,
        part: Part,
        sky_sigma: &'a [PerBand<f32>],
        batch: usize,
        limit: usize,
    ) -> impl Iterator<Item = Result<Tensor, LabError>> + use<'a> {
        let batches = self.set.batches(part, Order::AsStored, batch, limit);
        batches.map(move |batch| self.tensor(batch?, sky_sigma))
    }

    fn tensor(self, batch: dataset::Batch, sky_sigma: &[PerBand<f32>]) -> Result<Tensor, LabError> {
        let skies: Vec<_> = batch.objects.iter().map(|&object| sky_sigma[object]).collect();
        let transformed = self.view.tensor(&batch.cutouts, &skies);
        Ok(transformed.map_err(|source| LearnError::Torch { net: "cutouts".to_owned(), source })?)
    }
}

impl<'a> Streamed<'a> {
    /// Batches of `batch` of the first `limit` objects, in orders of this seed.
    pub fn new(cutouts: CutoutView<'a>, sky_sigma: &'a [PerBand<f32>], seed: u64, batch: usize, limit: usize) -> Self {
        let objects = cutouts.set.len(Part::Train).min(limit);
        Self { cutouts, sky_sigma, seed, batch: batch.min(objects).max(1), objects, open: None }
    }

    /// The pass, from this step of it on.
    fn open(&self, pass: usize, from: usize) -> Result<dataset::Batches<'a>, LabError> {
        let order = Order::Shuffled { seed: self.seed, epoch: pass as u64 };
        let mut batches = self.cutouts.set.batches(Part::Train, order, self.batch, self.objects);
        for batch in batches.by_ref().take(from) {
            batch?;
        }
        Ok(batches)
    }
}

impl CutoutBatches for Streamed<'_> {
    fn steps_an_epoch(&self) -> usize {
        self.objects / self.batch
    }

    fn at(&mut self, step: usize) -> Result<Tensor, LabError> {
        let a_pass = self.steps_an_epoch().max(1);
        let (pass, within) = (step / a_pass, step % a_pass);
        let mut batches = match self.open.take() {
            Some((open, next, batches)) if (open, next) == (pass, within) => batches,
            _ => self.open(pass, within)?,
        };
        let missing = LearnError::TooFew { net: "cutouts", what: "cutouts", found: self.objects, needed: self.batch };
        let batch = batches.next().ok_or(missing)??;
        self.open = Some((pass, within + 1, batches));
        self.cutouts.tensor(batch, self.sky_sigma)
    }

    fn fingerprint(&self) -> String {
        format!("{} {} {}", self.cutouts.set.manifest().fingerprint(), self.objects, self.seed)
    }
}
