//! Objects that were hidden in others' light: the residual is looked through, what is found is fitted with all that it
//! touches, doubted, and looked for again.

use super::{Profiles, Scene, SceneObject};
use crate::catalog::flag;
use crate::extract::Footprints;
use crate::frame::Plane;
use crate::sky_mask::distance_px;

/// A peak of the residual has at least this S/N...
const LEAST_SN: f32 = 5.0;
/// Rounds of looking.
const ROUNDS: usize = 3;
/// Of what lies within this of one parent, the loudest alone is taken in one round, px.
const LOBES_PX: f64 = 4.5;
/// Most new objects of a frame, above as many as it has.
const MOST_NEW: usize = 500;

/// A footprint of so many pixels...
const LARGE_AREA_PX: usize = 800;
/// ...of an object of this half-light radius or more, px, is a large galaxy's, whose arms and knots no model holds...
const LARGE_RADIUS_PX: f64 = 1.9;
/// ...to this beyond its rim, px.
const GROWN_PX: u16 = 8;

impl Scene<'_> {
    /// Pixels of large galaxies, in which nothing new is looked for.
    pub(super) fn large_galaxies(&self, footprints: &Footprints) -> Plane<bool> {
        let mut is_large = vec![false; footprints.objects.len() + 1];
        for (i, object) in self.objects.iter().enumerate().filter(|(_, object)| object.alive) {
            let Some(number) = object.footprint else { continue };
            is_large[number as usize] = self.is_large_galaxy(i, footprints.objects[number as usize - 1].area_px);
        }
        distance_px(footprints.segmentation.map(|number| is_large[number as usize])).map(|steps| steps <= GROWN_PX)
    }

    /// Whether an object with a footprint of `area_px` is a large galaxy.
    pub(super) fn is_large_galaxy(&self, i: usize, area_px: usize) -> bool {
        let object = &self.objects[i];
        let is_star = object.flags & flag::CORE_SATURATED != 0;
        !is_star && area_px > LARGE_AREA_PX && object.model.half_light_radius_px() >= LARGE_RADIUS_PX
    }

    /// Adds what is hidden, outside of `blocked` pixels of the reference grid. With [`Profiles::Kept`], where stars rule,
    /// all is taken for point sources until nothing more is found.
    pub(super) fn find_hidden(&mut self, blocked: &Plane<bool>, profiles: Profiles) {
        let first = self.objects.len();
        for _ in 0..ROUNDS {
            let new = self.take_in(first, blocked);
            if new.is_empty() {
                break;
            }
            self.work.found += new.len();
            self.start_fluxes(&new);
            let touched = self.touching(&new);
            self.solve(&touched, profiles);
            if profiles == Profiles::Chosen {
                self.hold_contest(first, &new);
            }
            self.work.pruned += self.prune(first);
        }
        if profiles == Profiles::Kept && self.objects.len() > first {
            let new: Vec<usize> = (first..self.objects.len()).collect();
            let touched = self.touching(&new);
            self.solve(&touched, Profiles::Chosen);
            self.hold_contest(first, &new);
            self.work.pruned += self.prune(first);
        }
    }

    /// Holds the families of new objects against ellipses, and fits again what the winners touch.
    fn hold_contest(&mut self, first: usize, new: &[usize]) {
        let winners = self.contest(first, new);
        let touched = self.touching(&winners);
        self.solve(&touched, Profiles::Chosen);
    }

    /// Candidates as new point sources, each with its parent; the loudest, where there are more than a frame may have.
    fn take_in(&mut self, first: usize, blocked: &Plane<bool>) -> Vec<usize> {
        if self.work.is_spent() {
            return Vec::new();
        }
        let room = (2 * first + MOST_NEW).saturating_sub(self.objects.len());
        let mut new = Vec::new();
        for candidate in self.candidates(LEAST_SN, blocked) {
            let parent = self.parent_at(candidate.at);
            let is_refused = new.len() >= room;
            if let Some(parent) = parent {
                if is_refused {
                    self.objects[parent].flags |= flag::SCENE_BOUND;
                }
                if is_refused || !self.has_room(parent, first) {
                    continue;
                }
            } else if is_refused {
                continue;
            }
            if parent.is_some_and(|parent| self.has_lobe(parent, candidate.at, &new)) {
                continue;
            }
            new.push(self.insert(SceneObject { parent, ..SceneObject::new(candidate.at, None) }));
        }
        new
    }
}

impl Scene<'_> {
    /// Whether one of the `new` objects lies in the core of the same parent as a candidate would. Two stars that were
    /// taken for one leave a lobe on either side of it: of these one is the second star, and the other goes with it.
    fn has_lobe(&self, parent: usize, at: (f64, f64), new: &[usize]) -> bool {
        let centre = self.objects[parent].at();
        let in_core = |at: (f64, f64)| (at.0 - centre.0).hypot(at.1 - centre.1) < LOBES_PX;
        let is_sibling = |&i: &usize| self.objects[i].parent == Some(parent) && in_core(self.objects[i].start);
        in_core(at) && new.iter().any(is_sibling)
    }
}

#[cfg(test)]
mod tests;
