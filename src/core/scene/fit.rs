//! One object's fit to what all others leave of the data: a step of its position, its profile, its fluxes.

use super::bank::{MODELS, ModelBank};
use super::packed::{Drawn, GRID, HALF, Pixels, SIDE, STRIDE};
use super::render::{Window, draw, nearest};
use super::sweep::{Rows, SweepKind};
use super::{MODEL_ERROR, Model, SceneObject};
use crate::catalog::flag;
use crate::cutout::Noise;
use crate::frame::{BANDS, PerBand, Plane};
use crate::preprocess::Prepared;
use crate::psf::Psf;

/// Pixels within this of the object enter fluxes and profiles, px...
const WITHIN_PX: f64 = 10.0;
/// ...and within this its position.
const POSITION_WITHIN_PX: f64 = 4.5;
/// Standard deviation of a step beforehand: keeps faint objects where they were found, px.
const PRIOR_PX: f64 = 0.35;
/// Longest step along an axis, px.
const LONGEST_STEP_PX: f64 = 0.5;
/// An object that moves further is not the one that was found, px.
const FARTHEST_PX: f64 = 1.5;
/// With fewer pixels a band has no flux.
const FEWEST_PIXELS: usize = 20;
/// A change below this share of the error, or below this many px, has settled.
const SETTLED_SIGMA: f64 = 0.1;
const SETTLED_PX: f64 = 0.05;

/// What a fit reads.
pub(super) struct Fitter<'s> {
    pub prepared: &'s Prepared,
    pub psf: &'s Psf,
    pub bank: &'s ModelBank,
    pub data: &'s PerBand<Plane<f32>>,
    pub unusable: &'s PerBand<Plane<bool>>,
    pub noise: &'s PerBand<Noise>,
    pub shape_bands: &'s [usize],
}

/// An object's image in each band before its fit and after.
#[derive(Default)]
pub(super) struct Scratch {
    own: PerBand<Drawn>,
    new: PerBand<Drawn>,
}

impl Fitter<'_> {
    /// Fits an object and brings the total up to date; whether it changed by more than a small part of its errors.
    pub fn visit(
        &self,
        total: &mut PerBand<Rows>,
        object: &mut SceneObject,
        kind: SweepKind,
        scratch: &mut Scratch,
    ) -> bool {
        let present = self.prepared.frame.present;
        let before = (object.at(), object.flux_nmgy);
        let mut pixels: PerBand<Option<Box<Pixels>>> = Default::default();
        for b in (0..BANDS).filter(|&b| present[b]) {
            self.draw(&object.model, b, object.at(), &mut scratch.own[b]);
            pixels[b] = Some(self.gather(b, object, &scratch.own[b], &mut total[b]));
        }
        // Beyond a saturated core the wings alone would move it: it stays in their middle.
        if kind.position && object.flags & flag::CORE_SATURATED == 0 {
            self.recentre(object, &pixels, &scratch.own);
        }
        let mut is_new = object.at() != before.0;
        if kind.profile
            && !matches!(object.model, Model::Ellipse(_))
            // Wings alone would choose what holds a halo; what a saturated core is, they are asked in another way.
            && object.flags & flag::CORE_SATURATED == 0
            && let Some(best) = self.best_profile(object.at(), &pixels, |k| kind.asks(&object.model, k))
            && best != object.model
        {
            object.model = best;
            is_new = true;
        }
        let mut largest_change: f64 = 0.0;
        for b in (0..BANDS).filter(|&b| present[b]) {
            if is_new {
                self.draw(&object.model, b, object.at(), &mut scratch.new[b]);
            }
            let after = if is_new { &scratch.new[b] } else { &scratch.own[b] };
            if let Some(pixels) = pixels[b].as_ref().filter(|p| p.count >= FEWEST_PIXELS) {
                let (along, length) = pixels.sums(&after.packed(pixels));
                if length > 0.0 {
                    object.flux_nmgy[b] = along / length;
                    largest_change = largest_change.max((object.flux_nmgy[b] - before.1[b]).abs() * length.sqrt());
                }
            }
            let scale = |drawn: &Drawn, by: f64, total: &mut Rows| drawn.add_to(total, by as f32, self.data[b].width());
            if is_new {
                scale(&scratch.own[b], -before.1[b], &mut total[b]);
                scale(after, object.flux_nmgy[b], &mut total[b]);
            } else {
                scale(after, object.flux_nmgy[b] - before.1[b], &mut total[b]);
            }
        }
        let moved = (object.x - before.0.0).hypot(object.y - before.0.1);
        largest_change > SETTLED_SIGMA || moved > SETTLED_PX
    }

    fn draw(&self, model: &Model, band: usize, at: (f64, f64), to: &mut Drawn) {
        let in_band = self.prepared.to_band[band].apply(at.0, at.1);
        let window = Window::about(in_band, model.half());
        to.light.resize(window.width * window.height, 0.0);
        let first = (window.left as f64 - in_band.0, window.top as f64 - in_band.1);
        draw(self.bank, self.psf, model, band, at, first, (window.width, window.height), &mut to.light);
        to.window = Some(window);
    }

    fn gather(&self, band: usize, object: &SceneObject, own: &Drawn, total: &mut Rows) -> Box<Pixels> {
        let (x, y) = self.prepared.to_band[band].apply(object.x, object.y);
        let middle = nearest((x, y));
        let (left, top) = (middle.0 - HALF, middle.1 - HALF);
        let mut pixels = Box::new(Pixels { left, top, value: [0.0; GRID], weight: [0.0; GRID], count: 0 });
        let own = own.packed(&pixels);
        let flux = object.flux_nmgy[band] as f32;
        let (data, unusable) = (&self.data[band], &self.unusable[band]);
        let by_pixel = self.prepared.frame.bands[band].variance.as_ref();
        let noise = self.noise[band];
        let (sky, photons) = ((noise.sigma * noise.sigma) as f32, noise.nmgy_per_electron as f32);
        let (width, height) = (data.width() as isize, data.height() as isize);
        let (from, to) = (left.clamp(0, width), (left + SIDE as isize).clamp(0, width));
        let error = (MODEL_ERROR * MODEL_ERROR) as f32;
        for j in 0..SIDE {
            let row = top + j as isize;
            let chord2 = WITHIN_PX * WITHIN_PX - (row as f64 - y).powi(2);
            if !(0..height).contains(&row) || chord2 <= 0.0 {
                continue;
            }
            // Whole columns strictly within the circle.
            let first = ((x - chord2.sqrt()).floor() as isize + 1).clamp(from, to);
            let until = ((x + chord2.sqrt()).ceil() as isize).clamp(first, to);
            let columns = first as usize..until as usize;
            let Some(light) = total.row(row, columns.start, columns.end) else { continue };
            let data = &data.row(row as usize)[columns.clone()];
            let unusable = &unusable.row(row as usize)[columns.clone()];
            let at = j * STRIDE + (first - left) as usize;
            let own = &own[at..at + data.len()];
            let values = &mut pixels.value[at..at + data.len()];
            let weights = &mut pixels.weight[at..at + data.len()];
            for (((value, &data), &light), &own) in values.iter_mut().zip(data).zip(&*light).zip(own) {
                *value = data - light + flux * own;
            }
            let inverse = |sky: f32, light: f32, unusable: bool| {
                let seen = light.max(0.0);
                if unusable { 0.0 } else { (sky + photons * seen + error * seen * seen).recip() }
            };
            match by_pixel {
                None => {
                    for ((weight, &light), &unusable) in weights.iter_mut().zip(&*light).zip(unusable) {
                        *weight = inverse(sky, light, unusable);
                    }
                }
                Some(variance) => {
                    let variance = &variance.row(row as usize)[columns];
                    for (((weight, &light), &unusable), &v) in
                        weights.iter_mut().zip(&*light).zip(unusable).zip(variance)
                    {
                        *weight = inverse(if v.is_finite() { v } else { sky }, light, unusable);
                    }
                }
            }
            pixels.count += unusable.iter().filter(|unusable| !**unusable).count();
        }
        pixels
    }

    /// One step of Gauss and Newton: the residual against the slopes, all shape bands in one system.
    fn recentre(&self, object: &mut SceneObject, pixels: &PerBand<Option<Box<Pixels>>>, own: &PerBand<Drawn>) {
        let prior = PRIOR_PX.powi(-2);
        let (mut xx, mut yy, mut xy, mut gx, mut gy) = (prior, prior, 0.0, 0.0, 0.0);
        for &b in self.shape_bands {
            let (Some(pixels), Some(window)) = (&pixels[b], own[b].window) else { continue };
            let (x, y) = self.prepared.to_band[b].apply(object.x, object.y);
            let light = &own[b].light;
            let offset = ((pixels.left - window.left) as usize, (pixels.top - window.top) as usize);
            let near: Vec<(f64, f64, f64, f64, f64)> = (0..GRID)
                .filter(|i| pixels.weight[*i] > 0.0)
                .filter_map(|i| {
                    let (column, row) = (i % STRIDE, i / STRIDE);
                    let (dx, dy) = ((pixels.left + column as isize) as f64 - x, (pixels.top + row as isize) as f64 - y);
                    let at = (row + offset.1) * window.width + column + offset.0;
                    let slope = |by: usize| f64::from(light[at - by] - light[at + by]) / 2.0;
                    (dx * dx + dy * dy < POSITION_WITHIN_PX * POSITION_WITHIN_PX).then(|| {
                        let (value, weight) = (f64::from(pixels.value[i]), f64::from(pixels.weight[i]));
                        (weight, value, f64::from(light[at]), slope(1), slope(window.width))
                    })
                })
                .collect();
            let (mut along, mut length) = (0.0, 0.0);
            for &(w, value, model, ..) in &near {
                along += w * value * model;
                length += w * model * model;
            }
            let flux = along / length;
            if !(flux > 0.0 && flux.is_finite()) {
                continue;
            }
            for &(w, value, model, sx, sy) in &near {
                let (miss, sx, sy) = (w * (value - flux * model), flux * sx, flux * sy);
                gx += miss * sx;
                gy += miss * sy;
                xx += w * sx * sx;
                yy += w * sy * sy;
                xy += w * sx * sy;
            }
        }
        let determinant = xx * yy - xy * xy;
        let (dx, dy) = ((yy * gx - xy * gy) / determinant, (xx * gy - xy * gx) / determinant);
        if !(dx.is_finite() && dy.is_finite()) {
            return;
        }
        let step = |d: f64| d.clamp(-LONGEST_STEP_PX, LONGEST_STEP_PX);
        let (x, y) = (object.x + step(dx), object.y + step(dy));
        if (x - object.start.0).hypot(y - object.start.1) < FARTHEST_PX {
            (object.x, object.y) = (x, y);
        }
    }

    /// The bank's model of least chi^2 over the shape bands, of those that are asked; `None` where one of them has too few pixels.
    fn best_profile(
        &self,
        at: (f64, f64),
        pixels: &PerBand<Option<Box<Pixels>>>,
        asked: impl Fn(usize) -> bool,
    ) -> Option<Model> {
        let mut gain: [f64; MODELS] = std::array::from_fn(|k| if asked(k) { 0.0 } else { f64::NEG_INFINITY });
        for &b in self.shape_bands {
            let pixels = pixels[b].as_ref().filter(|p| p.count >= FEWEST_PIXELS)?;
            let (x, y) = self.prepared.to_band[b].apply(at.0, at.1);
            let first = (pixels.left as f64 - x, pixels.top as f64 - y);
            for (k, gain) in gain.iter_mut().enumerate().filter(|(_, gain)| **gain > f64::NEG_INFINITY) {
                let mut model = [0.0; GRID];
                draw(self.bank, self.psf, &Model::of_bank(k), b, at, first, (STRIDE, SIDE), &mut model);
                let (along, length) = pixels.sums(&model);
                *gain += along * along / length;
            }
        }
        if self.shape_bands.is_empty() || gain.iter().any(|g| g.is_nan()) {
            return None;
        }
        // Of equals the first.
        let best = (1..MODELS).fold(0, |best, k| if gain[k] > gain[best] { k } else { best });
        Some(Model::of_bank(best))
    }
}
