//! A piece of sky on which models are compared: the data minus all but some objects.

use super::render::{LONGEST, Window};
use super::{Scene, SceneObject};

/// A square of pixels of one band about an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Where it lies in the band.
    pub window: Window,
    /// The object's position in the band, px from the window's first pixel.
    pub centre: (f64, f64),
    /// Data minus the other objects, nMgy, row by row; 0 where it has no weight.
    pub pixels: Vec<f32>,
    /// Inverse variance, nMgy^-2; 0 outside of the radius, off the frame and where pixels are unusable.
    pub weight: Vec<f32>,
}

impl Scene<'_> {
    /// The pixels of `band` within `radius` px of object `i`, less than 32, minus all objects but those in `own`.
    pub fn region(&self, i: usize, own: &[usize], band: usize, radius: f64) -> Region {
        let at = self.objects[i].at();
        let (x, y) = self.in_band(band, at);
        let half = (radius.ceil() as usize).min((LONGEST - 1) / 2);
        let window = Window::about((x, y), half);
        let area = window.width * window.height;
        let mut region = Region {
            window,
            centre: (x - window.left as f64, y - window.top as f64),
            pixels: vec![0.0; area],
            weight: vec![0.0; area],
        };
        if !self.prepared.frame.present[band] {
            return region;
        }
        for p in 0..area {
            let (column, row) = (window.left + (p % window.width) as isize, window.top + (p / window.width) as isize);
            let inside = (column as f64 - x).powi(2) + (row as f64 - y).powi(2) < radius * radius;
            if !inside || self.unusable[band].get(column, row).is_none_or(|unusable| unusable) {
                continue;
            }
            let (column, row) = (column as usize, row as usize);
            region.pixels[p] = self.data[band].at(column, row) - self.total[band].at(column, row);
            region.weight[p] = self.variance(band, column, row).recip() as f32;
        }
        let mut light = vec![0.0; area];
        let alive = |&j: &usize| Some(&self.objects[j]).filter(|object| object.alive);
        for SceneObject { model, x, y, flux_nmgy, .. } in own.iter().filter_map(alive) {
            self.stamp(model, band, (*x, *y), window, &mut light);
            let flux = flux_nmgy[band] as f32;
            for ((pixel, light), weight) in region.pixels.iter_mut().zip(&light).zip(&region.weight) {
                *pixel += if *weight > 0.0 { flux * light } else { 0.0 };
            }
        }
        region
    }
}
