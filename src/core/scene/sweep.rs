//! One pass over the objects, brightest first: each is fitted to what the others leave, and the total follows at once.
//!
//! Threads share the frame by strips of rows. The strips of even number are swept side by side, then those of odd
//! number: an object's light stays within half a strip of its own, so that two strips of one parity never touch the same
//! pixel. Within a strip the order is fixed. So the result is the same on any number of threads.

use rayon::prelude::*;

use super::fit::{Fitter, Scratch};
use super::{Model, Scene, SceneObject};
use crate::frame::{BANDS, PerBand, Plane};

/// Rows of a strip: more than twice what the largest model reaches, and what bands are turned against each other.
const STRIP_PX: f64 = 128.0;

/// What a sweep may change besides fluxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepKind {
    /// Positions.
    pub position: bool,
    /// Profiles; an ellipse is kept.
    pub profile: bool,
    /// Of profiles, those of nearly the present size alone.
    pub refine: bool,
}

impl SweepKind {
    /// Fluxes alone.
    pub const FLUX: Self = Self { position: false, profile: false, refine: false };
    /// Fluxes and positions.
    pub const POSITION: Self = Self { position: true, profile: false, refine: false };
    /// All.
    pub const PROFILE: Self = Self { position: true, profile: true, refine: false };
    /// All, profiles near what they are.
    pub const REFINE: Self = Self { position: true, profile: true, refine: true };

    /// Whether model `k` of the bank is asked of an object that looks like `model`.
    pub(super) fn asks(self, model: &Model, k: usize) -> bool {
        let size = |k: usize| k.div_ceil(2);
        match model {
            Model::Galaxy(now) if self.refine => k == 0 || size(k).abs_diff(size(1 + usize::from(*now))) <= 1,
            Model::Point if self.refine => size(k) <= 2,
            _ => true,
        }
    }

    /// Stamps that one object costs: the unit in which work is counted.
    fn stamps(self) -> u64 {
        let (bands, shape_bands) = (BANDS as u64, 3);
        let moved = if self.position || self.profile { bands } else { 0 };
        let models = if self.refine { 7 } else { super::bank::MODELS as u64 };
        bands + moved + if self.profile { shape_bands * models } else { 0 }
    }
}

impl Scene<'_> {
    /// Fits the living ones of the objects `which`, brightest first; gives those that changed by more than a small
    /// part of their errors, by index. The result does not depend on the order of `which`, nor on the number of threads.
    pub fn sweep(&mut self, which: &[usize], kind: SweepKind) -> Vec<usize> {
        let height = self.prepared.frame.height();
        let strips = ((height as f64 / STRIP_PX).ceil() as usize).max(1);
        let mut members: Vec<Vec<(usize, SceneObject)>> = (0..strips).map(|_| Vec::new()).collect();
        let mut before = Vec::with_capacity(which.len());
        for i in self.brightest_first(which) {
            let object = &mut self.objects[i];
            let strip = ((object.y / STRIP_PX).max(0.0) as usize).min(strips - 1);
            before.push((i, object.at()));
            members[strip].push((i, std::mem::replace(object, SceneObject::new((0.0, 0.0), None))));
        }
        self.work.count(kind.stamps() * before.len() as u64);
        let mut changed = Vec::new();
        for parity in 0..2 {
            let mut rows = self.total.each_mut().map(Rows::all);
            let mut slabs: Vec<PerBand<Rows>> = Vec::new();
            for strip in (parity..strips).step_by(2) {
                let is_last = strip + 2 >= strips;
                let until = if is_last { f64::INFINITY } else { (strip as f64 + 1.5) * STRIP_PX };
                let end = |b: usize| self.prepared.to_band[b].apply(self.prepared.frame.width() as f64 / 2.0, until).1;
                slabs.push(std::array::from_fn(|b| rows[b].split(end(b))));
            }
            let fitter = Fitter {
                prepared: self.prepared,
                psf: &self.psf,
                bank: &self.bank,
                data: &self.data,
                unusable: &self.unusable,
                noise: &self.noise,
                shape_bands: &self.shape_bands,
            };
            let of_parity = members.iter_mut().skip(parity).step_by(2);
            let tasks: Vec<_> = slabs.into_iter().zip(of_parity).collect();
            let each = tasks.into_par_iter().map(|(mut slab, objects)| {
                let mut scratch = Scratch::default();
                let visit = |(i, object): &mut (usize, SceneObject)| {
                    fitter.visit(&mut slab, object, kind, &mut scratch).then_some(*i)
                };
                objects.iter_mut().filter_map(visit).collect::<Vec<usize>>()
            });
            changed.extend(each.collect::<Vec<_>>().into_iter().flatten());
        }
        for (i, object) in members.into_iter().flatten() {
            self.objects[i] = object;
        }
        for (i, before) in before {
            let after = self.objects[i].at();
            if before != after {
                self.cells.remove(i, before);
                self.cells.insert(i, after);
            }
        }
        changed.sort_unstable();
        changed
    }

    /// The living ones of `which`, each once, by falling light in the shape bands.
    pub(super) fn brightest_first(&self, which: &[usize]) -> Vec<usize> {
        let mut order: Vec<usize> = which.iter().copied().filter(|&i| self.objects[i].alive).collect();
        order.sort_unstable();
        order.dedup();
        let light = |i: usize| self.shape_bands.iter().map(|&b| self.objects[i].flux_nmgy[b]).sum::<f64>();
        order.sort_by(|&a, &b| light(b).total_cmp(&light(a)));
        order
    }
}

/// Rows of a band's plane that one thread may write.
pub(super) struct Rows<'t> {
    first: usize,
    width: usize,
    pixels: &'t mut [f32],
}

impl<'t> Rows<'t> {
    fn all(plane: &'t mut Plane<f32>) -> Self {
        Self { first: 0, width: plane.width(), pixels: plane.pixels_mut() }
    }

    /// Takes the rows before `end` away and gives them.
    fn split(&mut self, end: f64) -> Self {
        let here = self.pixels.len() / self.width.max(1);
        let count = ((end - self.first as f64).round().max(0.0) as usize).min(here);
        let (head, tail) = std::mem::take(&mut self.pixels).split_at_mut(count * self.width);
        let first = self.first;
        self.pixels = tail;
        self.first += count;
        Self { first, width: self.width, pixels: head }
    }

    /// Columns `from..to` of row `y`, where it is one of these.
    pub fn row(&mut self, y: isize, from: usize, to: usize) -> Option<&mut [f32]> {
        let row = usize::try_from(y - self.first as isize).ok()?;
        self.pixels.get_mut(row * self.width + from..row * self.width + to)
    }
}
