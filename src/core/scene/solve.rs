//! Sweeps until what they move has settled.

use super::{Scene, SweepKind};
use crate::frame::BANDS;

/// An object whose neighbour within this changed is fitted again, px.
pub const TOUCHES_PX: f64 = 12.0;
/// A first flux is not taken from light that another may share within this, px.
const SHARED_PX: f64 = 20.0;

/// Whether profiles are chosen, or all stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profiles {
    /// Chosen: where stars do not rule.
    Chosen,
    /// Kept, which for new objects means point sources.
    Kept,
}

impl Scene<'_> {
    /// First fluxes, as point sources, from what is left of the data under each object's peak.
    pub fn start_fluxes(&mut self, which: &[usize]) {
        let frame = &self.prepared.frame;
        let peak = |b: usize, i: usize| {
            let at = self.objects[i].at();
            let (x, y) = super::render::nearest(self.in_band(b, at));
            let psf = self.psf.at(b, at.0, at.1);
            let (mut seen, mut light) = (0.0, 0.0);
            for (dx, dy) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))) {
                if let (Some(data), Some(total)) = (self.data[b].get(x + dx, y + dy), self.total[b].get(x + dx, y + dy))
                {
                    let middle = crate::psf::RADIUS as isize;
                    seen += f64::from(data - total);
                    light += f64::from(psf[((middle + dy) * crate::psf::SIDE as isize + middle + dx) as usize]);
                }
            }
            if light > 0.0 { (seen / light).max(0.0) } else { 0.0 }
        };
        let of = |i: usize| std::array::from_fn(|b| if frame.present[b] { peak(b, i) } else { 0.0 });
        let starts: Vec<(usize, [f64; BANDS])> = which.iter().map(|&i| (i, of(i))).collect();
        for (i, flux) in starts {
            self.change(i, |object| object.flux_nmgy = flux);
        }
    }

    /// First fits of the objects `which`: fluxes where they share light, then positions.
    pub fn settle_positions(&mut self, which: &[usize]) -> Vec<usize> {
        let shared: Vec<usize> = which.iter().copied().filter(|&i| !self.neighbours(i, SHARED_PX).is_empty()).collect();
        self.sweep(&shared, SweepKind::FLUX);
        self.sweep(which, SweepKind::POSITION)
    }

    /// Fits the objects `which`, whose positions are settled a first time: profiles, and again what has not settled, with
    /// what it touches. At most five sweeps.
    pub fn settle(&mut self, which: &[usize], profiles: Profiles) {
        let (profile, again) = match profiles {
            Profiles::Chosen => (SweepKind::PROFILE, SweepKind::REFINE),
            Profiles::Kept => (SweepKind::POSITION, SweepKind::POSITION),
        };
        let mut active = self.sweep(which, profile);
        for kind in [SweepKind::POSITION, again, SweepKind::POSITION, SweepKind::FLUX] {
            if active.is_empty() || self.work.is_spent() {
                return;
            }
            let touched = self.touching(&active);
            active = self.sweep(&touched, kind);
        }
    }

    /// Both, one after the other.
    pub fn solve(&mut self, which: &[usize], profiles: Profiles) {
        self.settle_positions(which);
        self.settle(which, profiles);
    }

    /// Objects and all that they touch, by index.
    pub fn touching(&self, which: &[usize]) -> Vec<usize> {
        let mut all: Vec<usize> = which.iter().flat_map(|&i| self.near(self.objects[i].at(), TOUCHES_PX)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
