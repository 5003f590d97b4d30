//! Objects as rows: their numbers and their pixels.
//!
//! What was detected keeps its number. Objects from the residual follow, by row and column of where they are. A new
//! object takes the pixels where its model is the largest: of the footprint that it was hidden in, and of the sky as far
//! as it rises above the noise.

use super::{Scene, SceneObject};
use rayon::prelude::*;

use crate::aperture::{self, Shape};
use crate::catalog::flag;
use crate::extract::{Footprint, Footprints};
use crate::frame::Plane;

/// Of the sky an object takes pixels to which it gives so many sigma of the reference band's noise.
const RISES_SIGMA: f64 = 1.0;
/// Shapes are measured within this, px: the widest window and how far it moves.
const SHAPE_WITHIN_PX: usize = 24;
/// A centroid further than this from the model is one of several objects, px.
const NEAR_PX: f64 = 1.0;
/// A new object's pixels lie within this of it, px.
const WITHIN_PX: usize = 12;

impl Scene<'_> {
    /// Numbers all living objects, paints the new ones into the segmentation and adds their footprints. `detection` is
    /// the image on which peaks are told, sigma.
    pub fn name_rows(&mut self, footprints: &mut Footprints, detection: &Plane<f32>) {
        let place = |i: usize| {
            let object = &self.objects[i];
            (object.y.round() as i64, object.x.round() as i64, i)
        };
        let mut new: Vec<usize> =
            (0..self.objects.len()).filter(|&i| self.objects[i].alive && self.objects[i].footprint.is_none()).collect();
        new.sort_unstable_by_key(|&i| place(i));
        let mut rows: Vec<usize> = (0..footprints.objects.len()).collect();
        for (i, object) in self.objects.iter().enumerate() {
            if let Some(number) = object.footprint {
                rows[number as usize - 1] = i;
            }
        }
        let mut touched = Vec::new();
        for &i in &new {
            rows.push(i);
            let number = rows.len() as u32;
            let object = &self.objects[i];
            let from = self.paint(i, number, &rows, &mut footprints.segmentation);
            let mut footprint = Footprint {
                number,
                x: object.x,
                y: object.y,
                bounds: [0; 4],
                area_px: 0,
                peak: 0.0,
                flags: object.flags | flag::FROM_RESIDUAL,
            };
            if !from.is_empty() {
                footprint.flags |= flag::BLENDED | flag::NEIGHBOURS;
            }
            for &owner in &from {
                footprints.objects[owner as usize - 1].flags |= flag::BLENDED | flag::NEIGHBOURS;
            }
            touched.extend(from);
            touched.push(number);
            footprints.objects.push(footprint);
        }
        touched.sort_unstable();
        touched.dedup();
        measure_areas(footprints, detection, &touched);
        self.numbers = vec![0; self.objects.len()];
        self.children = vec![0; self.objects.len()];
        for (number, &i) in (1u32..).zip(&rows) {
            self.numbers[i] = number;
            if let Some(parent) = self.objects[i].parent {
                self.children[parent] += 1;
            }
        }
        let large =
            |footprint: &&Footprint| self.is_large_galaxy(rows[footprint.number as usize - 1], footprint.area_px);
        self.unmodelled = footprints.objects.iter().filter(large).map(|footprint| footprint.number).collect();
        self.rows = rows;
    }

    /// Positions and sizes of all rows in the reference band, each without the others: new ones are added, and those
    /// whose pixels hold others' light are measured again.
    pub fn measure_shapes(&self, shapes: &mut Vec<Shape>) {
        let reference = self.survey.reference();
        let measured: Vec<Option<Shape>> = (0..self.rows.len())
            .into_par_iter()
            .map(|row| {
                let object = &self.objects[self.rows[row]];
                if object.flags & flag::CORE_SATURATED != 0 && row < shapes.len() {
                    return None;
                }
                let from = shapes.get(row).map_or(object.at(), |shape| match shape.windowed {
                    true => (shape.x, shape.y),
                    false => object.at(),
                });
                // A centroid among others starts where the models put the object.
                let from = if (from.0 - object.x).hypot(from.1 - object.y) < NEAR_PX { from } else { object.at() };
                let others = self.others(row as u32 + 1, from, SHAPE_WITHIN_PX as f64);
                match others.patch(reference, from, SHAPE_WITHIN_PX) {
                    Some((patch, (left, top))) => {
                        let shape = aperture::shape(&patch, from.0 - left, from.1 - top);
                        Some(Shape { x: shape.x + left, y: shape.y + top, ..shape })
                    }
                    None if row >= shapes.len() => {
                        Some(aperture::shape(&self.prepared.frame.bands[reference].pixels, from.0, from.1))
                    }
                    None => None,
                }
            })
            .collect();
        for (row, shape) in measured.into_iter().enumerate() {
            match shape {
                Some(shape) if row < shapes.len() => shapes[row] = shape,
                Some(shape) => shapes.push(shape),
                None => {}
            }
        }
    }

    /// Gives object `i` the pixels that it shines on most; the numbers of those that it took them from.
    fn paint(&self, i: usize, number: u32, rows: &[usize], segmentation: &mut Plane<u32>) -> Vec<u32> {
        let reference = self.survey.reference();
        let object = &self.objects[i];
        let window = super::Window::about(object.at(), WITHIN_PX);
        let light = |object: &SceneObject| {
            let mut light = vec![0.0f32; window.width * window.height];
            self.stamp(&object.model, reference, object.at(), window, &mut light);
            let flux = object.flux_nmgy[reference] as f32;
            light.iter_mut().for_each(|l| *l *= flux);
            light
        };
        let own = light(object);
        let rises = (RISES_SIGMA * self.noise[reference].sigma) as f32;
        let mut owners: Vec<(u32, Vec<f32>)> = Vec::new();
        let mut from = Vec::new();
        let middle = own.len() / 2;
        for (p, &own) in own.iter().enumerate() {
            let (x, y) = (window.left + (p % window.width) as isize, window.top + (p / window.width) as isize);
            let Some(owner) = segmentation.get(x, y) else { continue };
            let takes = if owner == 0 {
                own > rises
            } else {
                let known = owners.iter().position(|(n, _)| *n == owner).unwrap_or_else(|| {
                    owners.push((owner, light(&self.objects[rows[owner as usize - 1]])));
                    owners.len() - 1
                });
                own > owners[known].1[p]
            };
            if takes || p == middle {
                segmentation.set(x as usize, y as usize, number);
                if owner > 0 && !from.contains(&owner) {
                    from.push(owner);
                }
            }
        }
        from
    }
}

/// Area, bounds and peak of footprints whose pixels changed.
fn measure_areas(footprints: &mut Footprints, detection: &Plane<f32>, touched: &[u32]) {
    let segmentation = &footprints.segmentation;
    let mut is_touched = vec![false; footprints.objects.len() + 1];
    for &number in touched {
        is_touched[number as usize] = true;
        let object = &mut footprints.objects[number as usize - 1];
        object.area_px = 0;
        object.peak = f32::NEG_INFINITY;
        object.bounds = [usize::MAX, usize::MAX, 0, 0];
    }
    for y in 0..segmentation.height() {
        for (x, &number) in segmentation.row(y).iter().enumerate().filter(|(_, n)| is_touched[**n as usize]) {
            let object = &mut footprints.objects[number as usize - 1];
            let [left, top, right, bottom] = object.bounds;
            object.bounds = [left.min(x), top.min(y), right.max(x), bottom.max(y)];
            object.area_px += 1;
            object.peak = object.peak.max(detection.at(x, y));
        }
    }
    // One that lost its last pixel to brighter ones is still a row, at its place.
    for &number in touched {
        let object = &mut footprints.objects[number as usize - 1];
        if object.area_px == 0 {
            let near = |v: f64, length: usize| (v.round().max(0.0) as usize).min(length - 1);
            let (x, y) = (near(object.x, segmentation.width()), near(object.y, segmentation.height()));
            object.bounds = [x, y, x, y];
            object.peak = detection.at(x, y);
        }
    }
}
