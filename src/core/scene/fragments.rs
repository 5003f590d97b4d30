//! What a bright star throws about itself: halves of a saturated core, diffraction spikes, bleeding, knots of its halo.
//! Detection makes rows of them; here they are told from objects and given to the star.
//!
//! Such light is smooth along the line from the star, or lies in the core. An object stands above what is before and
//! behind it on that line, and above the ring about the star in which it lies.

use super::Scene;
use crate::aperture::Shape;
use crate::catalog::flag;
use crate::extract::Footprints;
use crate::frame::Plane;
use crate::median::median;

/// A star of so many sigma of sky noise is bright: magnitude 15.7 in an image of 54 s by SDSS's telescope.
const BRIGHT_SIGMA: f64 = 21_000.0;
/// About a star that is just bright, detections within this are asked whether they are objects, px...
const ASKED_PX: f64 = 30.0;
/// ...and no further than this about any star.
const FARTHEST_PX: f64 = 200.0;
/// About a star that is just bright new objects must be louder within this, px...
const ZONE_PX: f64 = 12.0;
/// ...this much further about a saturated one...
const SATURATED_ZONE: f64 = 1.2;
/// ...and no further than this about any star.
const FARTHEST_ZONE_PX: f64 = 48.0;
/// What is before and behind an object on the line from the star is so far from it, px.
const STEP_PX: f64 = 5.0;
/// An object rises by this share above them...
const RISES: f64 = 0.3;
/// ...and what is new by this.
pub(super) const NEW_RISES: f64 = 0.5;
/// A detection as bright as this share of the star is no part of it, unless it lies in its core.
const AS_BRIGHT: f64 = 0.3;

impl Scene<'_> {
    /// How many times as bright as a star that is just bright object `i` is, in the reference band.
    fn brightness(&self, i: usize) -> f64 {
        let reference = self.survey.reference();
        self.objects[i].flux_nmgy[reference] / (BRIGHT_SIGMA * self.noise[reference].sigma)
    }

    /// Bright objects, the brightest first.
    fn bright(&self) -> Vec<usize> {
        let mut bright: Vec<usize> =
            (0..self.objects.len()).filter(|&i| self.objects[i].alive && self.brightness(i) > 1.0).collect();
        bright.sort_by(|&a, &b| self.brightness(b).total_cmp(&self.brightness(a)));
        bright
    }

    /// Bright objects and the radius about each within which new objects are asked more, px.
    pub(super) fn zones(&self) -> Vec<(usize, f64)> {
        let is_saturated = |i: usize| self.objects[i].flags & flag::CORE_SATURATED != 0;
        let zone = |i: usize| {
            let zone = ZONE_PX * self.brightness(i).powf(0.25);
            (if is_saturated(i) { SATURATED_ZONE * zone } else { zone }).min(FARTHEST_ZONE_PX)
        };
        self.bright().into_iter().map(|i| (i, zone(i))).collect()
    }

    /// Takes the parts of saturated stars out of the scene and gives their footprints to the stars. The stars have been
    /// found, and fluxes are those of the start.
    pub(super) fn gather_fragments(&mut self, footprints: &mut Footprints, shapes: &mut Vec<Shape>) {
        self.find_fragments();
        let number = |i: usize| self.objects[i].footprint;
        let part = |i: usize| self.objects[i].parent.filter(|_| !self.objects[i].alive).and_then(number);
        let parts: Vec<(u32, u32)> = (0..self.objects.len()).filter_map(|i| number(i).zip(part(i))).collect();
        let renumbered = footprints.absorb(&parts);
        let is_part: std::collections::BTreeSet<u32> = parts.iter().map(|p| p.0).collect();
        let mut old = 0;
        shapes.retain(|_| {
            old += 1;
            !is_part.contains(&old)
        });
        for object in &mut self.objects {
            object.footprint = object.footprint.filter(|n| !is_part.contains(n)).map(|n| renumbered[n as usize - 1]);
            // A saturated core has no centroid: the star is where its wings have their middle.
            if let Some(n) = object.footprint.filter(|_| object.flags & flag::CORE_SATURATED != 0) {
                let shape = &mut shapes[n as usize - 1];
                (shape.x, shape.y, shape.windowed) = (object.x, object.y, false);
            }
        }
    }

    /// Ends the lives of the parts; each names its star as its parent.
    fn find_fragments(&mut self) {
        for star in self.bright() {
            if !self.objects[star].alive || self.objects[star].flags & flag::CORE_SATURATED == 0 {
                continue;
            }
            let reach = (ASKED_PX * self.brightness(star).powf(0.25)).min(FARTHEST_PX);
            for part in self.neighbours(star, reach) {
                if self.is_part(part, star) {
                    self.change(part, |object| {
                        object.alive = false;
                        object.parent = Some(star);
                    });
                }
            }
        }
    }

    /// Whether a detection is a part of a star.
    fn is_part(&self, part: usize, star: usize) -> bool {
        let reference = self.survey.reference();
        let (here, centre) = (self.objects[part].at(), self.objects[star].at());
        let distance = (here.0 - centre.0).hypot(here.1 - centre.1);
        if distance <= self.core_radius_px(star) + 1.5 {
            return true;
        }
        let flux = |i: usize| self.objects[i].flux_nmgy[reference];
        let own_core = self.objects[part].flags & flag::CORE_SATURATED != 0;
        if own_core || flux(part) > AS_BRIGHT * flux(star) {
            return false;
        }
        !self.stands_out(here, centre, RISES)
    }

    /// Radius of a star's saturated core, the largest of all bands, px.
    fn core_radius_px(&self, star: usize) -> f64 {
        let at = self.objects[star].at();
        let own = self.cores.iter().filter(|core| {
            let (x, y) = self.in_band(core.band, at);
            (core.centre.0 - x).hypot(core.centre.1 - y) < 1.0
        });
        own.map(|core| core.radius_px).fold(0.0, f64::max)
    }

    /// Whether a place rises by this share above what a bright star at `centre` has there.
    pub(super) fn stands_out(&self, here: (f64, f64), centre: (f64, f64), rises: f64) -> bool {
        let band = self.survey.reference();
        // Halos are in the frame's own pixels still.
        let data = &self.prepared.frame.bands[band].pixels;
        let (here, centre) = (self.in_band(band, here), self.in_band(band, centre));
        let (dx, dy) = (here.0 - centre.0, here.1 - centre.1);
        let distance = dx.hypot(dy).max(1e-9);
        let along = |step: f64| mean3(data, (here.0 + step * dx / distance, here.1 + step * dy / distance));
        let Some(value) = along(0.0) else { return true };
        let line = along(STEP_PX).zip(along(-STEP_PX)).map_or(0.0, |(behind, before)| 0.5 * (behind + before));
        const RING: usize = 32;
        let ring = (0..RING).filter_map(|k| {
            let (sin, cos) = (std::f64::consts::TAU * k as f64 / RING as f64).sin_cos();
            mean3(data, (centre.0 + distance * cos, centre.1 + distance * sin))
        });
        let ring = median(&mut ring.collect::<Vec<f64>>()).unwrap_or(0.0);
        let below = line.max(ring).max(0.0);
        value > (1.0 + rises) * below
    }
}

/// The mean of the 3 x 3 pixels about a place; `None` beyond the frame.
fn mean3(data: &Plane<f32>, at: (f64, f64)) -> Option<f64> {
    let (x, y) = (at.0.round() as isize, at.1.round() as isize);
    let mut sum = 0.0;
    for (dx, dy) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))) {
        sum += f64::from(data.get(x + dx, y + dy)?);
    }
    Some(sum / 9.0)
}
