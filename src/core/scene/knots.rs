//! Large galaxies stay one object: their knots and arms, which detection splits off, become their children.
//!
//! A part of a galaxy rises little above the saddle by which it hangs on it. A star before the galaxy, or another galaxy
//! behind, rises to several times that.

use std::collections::BTreeMap;

use super::Scene;
use crate::catalog::flag;
use crate::extract::Footprints;
use crate::frame::Plane;

/// A part's peak is below this many times its saddle...
const RISES: f32 = 2.0;
/// ...and its light below this share of the galaxy's.
const FAINTER: f64 = 0.5;

impl Scene<'_> {
    /// Makes children of large galaxies' parts: each is flagged and names the galaxy as its parent. `detection` is the
    /// image, in sigma on the reference grid, on which `footprints` were told apart.
    pub fn name_knots(&mut self, footprints: &Footprints, detection: &Plane<f32>) {
        let mut object_of = vec![None; footprints.objects.len() + 1];
        for (i, object) in self.objects.iter().enumerate().filter(|(_, object)| object.alive) {
            if let Some(number) = object.footprint {
                object_of[number as usize] = Some(i);
            }
        }
        let light = |scene: &Self, i: usize| scene.objects[i].flux_nmgy[scene.survey.reference()];
        let mut large: Vec<(u32, usize)> = footprints
            .objects
            .iter()
            .filter_map(|footprint| object_of[footprint.number as usize].map(|i| (footprint, i)))
            .filter(|(footprint, i)| self.is_large_galaxy(*i, footprint.area_px))
            .map(|(footprint, i)| (footprint.number, i))
            .collect();
        if large.is_empty() {
            return;
        }
        large.sort_by(|a, b| light(self, b.1).total_cmp(&light(self, a.1)));
        let saddles = saddles(&footprints.segmentation, detection);
        for (number, galaxy) in large {
            if self.objects[galaxy].flags & flag::PART != 0 {
                continue;
            }
            let mut reached = vec![number];
            while let Some(here) = reached.pop() {
                for &(next, saddle) in saddles.get(&here).into_iter().flatten() {
                    let Some(part) = object_of[next as usize].filter(|&part| part != galaxy) else { continue };
                    let is_taken = self.objects[part].flags & (flag::PART | flag::CORE_SATURATED) != 0;
                    let is_own = footprints.objects[next as usize - 1].peak > RISES * saddle;
                    if is_taken || is_own || light(self, part) > FAINTER * light(self, galaxy) {
                        continue;
                    }
                    self.objects[part].flags |= flag::PART;
                    self.objects[part].parent = Some(galaxy);
                    reached.push(next);
                }
            }
        }
    }
}

/// Of each footprint its neighbours, with the highest place at which they touch.
fn saddles(segmentation: &Plane<u32>, detection: &Plane<f32>) -> BTreeMap<u32, Vec<(u32, f32)>> {
    let mut pairs = BTreeMap::<(u32, u32), f32>::new();
    let (width, height) = (segmentation.width(), segmentation.height());
    for y in 0..height {
        for x in 0..width {
            let here = segmentation.at(x, y);
            for (i, j) in [(x + 1, y), (x, y + 1)] {
                if here == 0 || i >= width || j >= height {
                    continue;
                }
                let there = segmentation.at(i, j);
                if there > 0 && there != here {
                    let low = detection.at(x, y).min(detection.at(i, j));
                    for pair in [(here, there), (there, here)] {
                        let saddle = pairs.entry(pair).or_insert(low);
                        *saddle = saddle.max(low);
                    }
                }
            }
        }
    }
    let mut of_each = BTreeMap::<u32, Vec<(u32, f32)>>::new();
    for ((from, to), saddle) in pairs {
        of_each.entry(from).or_default().push((to, saddle));
    }
    of_each
}
