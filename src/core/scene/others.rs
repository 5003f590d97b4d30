//! What a measurement of one object takes from the frame's pixels: the light of all others, and what was taken from the
//! data beforehand, halos and the rest of the sky. Where there is none of these, nothing is touched: an object alone is
//! measured as if there were no scene.

use super::render::{Window, draw};
use super::{MODEL_ERROR, Scene};
use crate::frame::Plane;

/// The objects, other than one, whose models reach a place.
pub struct Others<'s> {
    scene: &'s Scene<'s>,
    /// Whose light is meant.
    own: usize,
    objects: Vec<usize>,
}

/// Light on some pixels of a band, row by row.
pub struct Light {
    /// To be taken from the pixels, nMgy.
    pub value: Vec<f32>,
    /// Variance that others' photons and the PSF's error add, nMgy^2; `None` where no model reaches.
    pub variance: Option<Vec<f32>>,
}

impl<'s> Scene<'s> {
    /// The others of row `number` whose models may have light within `reach` px of it along an axis.
    pub fn others(&'s self, number: u32, at: (f64, f64), reach: f64) -> Others<'s> {
        let own = self.index_of(number);
        let farthest = reach + super::bank::HALF_LARGE as f64 + 3.0;
        let reaches = |&j: &usize| {
            let other = &self.objects[j];
            let within = reach + other.model.half() as f64 + 2.0;
            other.alive && (other.x - at.0).abs() <= within && (other.y - at.1).abs() <= within
        };
        let mut objects: Vec<usize> = self.cells.near(at, farthest).filter(|&j| j != own).filter(reaches).collect();
        objects.sort_unstable();
        Others { scene: self, own, objects }
    }

    /// What was taken from a pixel of the frame before anything was modelled.
    fn taken(&self, band: usize, x: isize, y: isize) -> f32 {
        let frame = self.prepared.frame.bands[band].pixels.get(x, y).filter(|v| v.is_finite());
        frame.map_or(0.0, |frame| frame - self.data[band].at(x as usize, y as usize))
    }
}

impl Others<'_> {
    /// Index of the object itself.
    pub fn own(&self) -> usize {
        self.own
    }

    /// Whether there is anything to take.
    pub fn is_nothing(&self) -> bool {
        self.objects.is_empty() && self.scene.corrected.is_nowhere()
    }

    /// Light of others on a grid of at most 64 px a side whose first pixel is at position `first` of the band, between
    /// pixels as it may be; `None` where there is nothing.
    pub fn on_grid(&self, band: usize, first: (f64, f64), size: (usize, usize)) -> Option<Light> {
        if self.is_nothing() || !self.scene.prepared.frame.present[band] {
            return None;
        }
        let mut value = vec![0.0f32; size.0 * size.1];
        let mut light = value.clone();
        for &j in &self.objects {
            let other = &self.scene.objects[j];
            let flux = other.flux_nmgy[band] as f32;
            let (x, y) = self.scene.in_band(band, other.at());
            let from = (first.0 - x, first.1 - y);
            draw(&self.scene.bank, &self.scene.psf, &other.model, band, other.at(), from, size, &mut light);
            value.iter_mut().zip(&light).for_each(|(v, l)| *v += flux * l);
        }
        let variance = self.variance(band, &value);
        let mut any = variance.is_some();
        if self.scene.corrected.touches(first, size) {
            let (x0, y0) = (first.0.floor(), first.1.floor());
            let (tx, ty) = ((first.0 - x0) as f32, (first.1 - y0) as f32);
            for (i, v) in value.iter_mut().enumerate() {
                let (x, y) = (x0 as isize + (i % size.0) as isize, y0 as isize + (i / size.0) as isize);
                let [a, b, c, d] = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|d| self.scene.taken(band, x + d.0, y + d.1));
                let taken = (1.0 - ty) * ((1.0 - tx) * a + tx * b) + ty * ((1.0 - tx) * c + tx * d);
                any |= taken != 0.0;
                *v += taken;
            }
        }
        any.then_some(Light { value, variance })
    }

    /// The same on whole pixels of the band, as many as one likes.
    pub fn on_pixels(&self, band: usize, window: Window) -> Option<Light> {
        if self.is_nothing() || !self.scene.prepared.frame.present[band] {
            return None;
        }
        let mut value = vec![0.0f32; window.width * window.height];
        let mut light = Vec::new();
        for &j in &self.objects {
            let other = &self.scene.objects[j];
            let drawn = self.scene.drawn(&other.model, band, other.at());
            let flux = other.flux_nmgy[band] as f32;
            let columns = overlap(drawn.left, drawn.width, window.left, window.width);
            let rows = overlap(drawn.top, drawn.height, window.top, window.height);
            if columns.is_empty() || rows.is_empty() {
                continue;
            }
            let part = Window {
                left: columns.start,
                top: rows.start,
                width: (columns.end - columns.start) as usize,
                height: (rows.end - rows.start) as usize,
            };
            light.resize(part.width * part.height, 0.0);
            self.scene.stamp(&other.model, band, other.at(), part, &mut light);
            for (y, light) in rows.zip(light.chunks_exact(part.width)) {
                let from = (y - window.top) as usize * window.width + (part.left - window.left) as usize;
                value[from..from + part.width].iter_mut().zip(light).for_each(|(v, l)| *v += flux * l);
            }
        }
        let variance = self.variance(band, &value);
        let mut any = variance.is_some();
        let first = (window.left as f64, window.top as f64);
        if self.scene.corrected.touches(first, (window.width, window.height)) {
            for (i, v) in value.iter_mut().enumerate() {
                let (x, y) = (window.left + (i % window.width) as isize, window.top + (i / window.width) as isize);
                let taken = self.scene.taken(band, x, y);
                any |= taken != 0.0;
                *v += taken;
            }
        }
        any.then_some(Light { value, variance })
    }

    /// The pixels of `band` about a reference position, without the others: a piece of the frame, and the position of
    /// its first pixel; `None` where the frame itself shows the object alone.
    pub fn patch(&self, band: usize, at: (f64, f64), half: usize) -> Option<(Plane<f32>, (f64, f64))> {
        let pixels = &self.scene.prepared.frame.bands[band].pixels;
        let about = Window::about(self.scene.in_band(band, at), half);
        let columns = overlap(about.left, about.width, 0, pixels.width());
        let rows = overlap(about.top, about.height, 0, pixels.height());
        if columns.is_empty() || rows.is_empty() {
            return None;
        }
        let (width, height) = ((columns.end - columns.start) as usize, (rows.end - rows.start) as usize);
        let window = Window { left: columns.start, top: rows.start, width, height };
        let light = self.on_pixels(band, window)?;
        let row = |y: isize| &pixels.row(y as usize)[columns.start as usize..columns.end as usize];
        let seen = rows.flat_map(|y| row(y).iter().copied()).zip(&light.value).map(|(p, l)| p - l).collect();
        Some((Plane::from_pixels(width, height, seen), (window.left as f64, window.top as f64)))
    }

    /// Variance that others' light adds at a reference position, nMgy^2.
    pub fn variance_at(&self, band: usize, at: (f64, f64)) -> f64 {
        let light = self.on_grid(band, self.scene.in_band(band, at), (1, 1));
        light.and_then(|light| light.variance).map_or(0.0, |variance| f64::from(variance[0]))
    }

    fn variance(&self, band: usize, light: &[f32]) -> Option<Vec<f32>> {
        let photons = self.scene.noise[band].nmgy_per_electron as f32;
        let of = |l: &f32| photons * l.max(0.0) + (MODEL_ERROR as f32 * l).powi(2);
        light.iter().any(|l| *l != 0.0).then(|| light.iter().map(of).collect())
    }
}

/// What two stretches of an axis have in common.
fn overlap(a: isize, a_length: usize, b: isize, b_length: usize) -> std::ops::Range<isize> {
    a.max(b)..(a + a_length as isize).min(b + b_length as isize)
}
