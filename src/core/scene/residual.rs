//! What is left when all models are taken away, looked through for objects that were hidden: the matched filter of the
//! residual over its own noise, the shape bands weighted for an ordinary object.
//!
//! ```text
//! S/N = sum_b SED_b G(R_b / V_b) / sqrt(sum_b SED_b^2 G^2(1 / V_b))
//! ```
//!
//! with R = data - total, V its variance, the total's own error in it, and G a Gaussian as wide as the PSF. On the
//! reference grid, by whole pixels.
//!
//! Models are wrong by a few per cent, so a peak must be a share of the light it stands in, and more where more is wrong:
//! about bright and saturated stars.

use rayon::prelude::*;

use super::fragments::NEW_RISES;
use super::{Model, Scene};
use crate::catalog::flag;
use crate::filter::{Edge, Gaussian};
use crate::frame::Plane;

/// Nearer than this to an object the peak is the object's, px.
const APART_PX: f64 = 1.5;
/// A peak is at least this share of the filtered light of all models.
const LEAST_SHARE: f64 = 0.06;
/// In zones of bright stars a peak is at least this share of the light in its 3 x 3 pixels...
const LOUD: f64 = 0.5;
/// ...and no nearer than this to the star, px.
const NEAREST_PX: f64 = 6.0;
/// Within this of an ellipse a peak is at least [`LEAST_SHARE`] of the light in its own pixels, px.
const ELLIPSE_PX: f64 = 8.0;
/// Peaks keep this far from the frame's edge, px.
const EDGE_PX: usize = 8;

/// A place where something was hidden.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Reference px.
    pub at: (f64, f64),
    /// Of the peak.
    pub sn: f32,
}

/// Signal and variance of the filtered residual, on the reference grid.
struct Filtered {
    signal: Plane<f32>,
    variance: Plane<f32>,
    /// Standard deviation of the filter, px.
    sigma_px: f64,
}

impl Scene<'_> {
    /// Peaks of the residual above `least_sn`, none within `blocked` pixels of the reference grid; the loudest first.
    pub(super) fn candidates(&self, least_sn: f32, blocked: &Plane<bool>) -> Vec<Candidate> {
        let filtered = self.filtered_residual();
        let (width, height) = (blocked.width(), blocked.height());
        let mut sn = filtered.signal.clone();
        for (sn, variance) in sn.pixels_mut().iter_mut().zip(filtered.variance.pixels()) {
            *sn = if *variance > 0.0 { *sn / variance.sqrt() } else { 0.0 };
        }
        let is_peak = |x: usize, y: usize| {
            let here = sn.at(x, y);
            let around = (y - 1..=y + 1).flat_map(|j| (x - 1..=x + 1).map(move |i| (i, j)));
            // Of equals the first is the peak.
            let higher = |(i, j): (usize, usize)| sn.at(i, j) > here || (sn.at(i, j) == here && (j, i) < (y, x));
            here > least_sn && !around.into_iter().any(higher)
        };
        let zones = self.zones();
        let rows = EDGE_PX..height.saturating_sub(EDGE_PX);
        let found: Vec<Candidate> = rows
            .into_par_iter()
            .flat_map_iter(|y| {
                let columns = EDGE_PX..width.saturating_sub(EDGE_PX);
                columns.filter(move |&x| is_peak(x, y)).map(move |x| (x, y)).collect::<Vec<_>>()
            })
            .filter(|&(x, y)| !blocked.at(x, y))
            .filter(|&at| {
                f64::from(filtered.signal.at(at.0, at.1)) > LEAST_SHARE * self.filtered_models(at, filtered.sigma_px)
            })
            .map(|(x, y)| Candidate { at: vertex(&sn, (x, y)), sn: sn.at(x, y) })
            .filter(|candidate| self.is_sound(candidate, &zones))
            .collect();
        let mut found = found;
        found.sort_by(|a, b| b.sn.total_cmp(&a.sn).then(a.at.1.total_cmp(&b.at.1)).then(a.at.0.total_cmp(&b.at.0)));
        found
    }

    /// Whether a peak is neither an object's own nor what models leave of bright ones.
    fn is_sound(&self, candidate: &Candidate, zones: &[(usize, f64)]) -> bool {
        if !self.near(candidate.at, APART_PX).is_empty() || !self.is_seen(candidate.at) {
            return false;
        }
        let share = || self.share_left(candidate.at);
        let is_ellipse = |&i: &usize| matches!(self.objects[i].model, Model::Ellipse(_));
        if self.near(candidate.at, ELLIPSE_PX).iter().any(is_ellipse) && share() < LEAST_SHARE {
            return false;
        }
        zones.iter().all(|&(i, zone)| {
            let centre = self.objects[i].at();
            let distance = (candidate.at.0 - centre.0).hypot(candidate.at.1 - centre.1);
            let is_saturated = self.objects[i].flags & flag::CORE_SATURATED != 0;
            let loud = || distance > NEAREST_PX && share() > LOUD;
            distance > zone || (loud() && (!is_saturated || self.stands_out(candidate.at, centre, NEW_RISES)))
        })
    }

    /// Whether the 3 x 3 pixels about a reference position are usable in all shape bands that there are: the filter
    /// reaches across a border into what was masked, and finds light there in which nothing can be measured.
    fn is_seen(&self, at: (f64, f64)) -> bool {
        let around = || (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)));
        self.shape_bands.iter().all(|&b| {
            let (x, y) = super::render::nearest(self.in_band(b, at));
            around().all(|(dx, dy)| self.unusable[b].get(x + dx, y + dy).is_some_and(|unusable| !unusable))
        })
    }

    /// The residual over the models' light in the 3 x 3 pixels about a reference position, shape bands together.
    fn share_left(&self, at: (f64, f64)) -> f64 {
        let (mut left, mut light) = (0.0, 0.0);
        for &b in &self.shape_bands {
            let (x, y) = super::render::nearest(self.in_band(b, at));
            for (dx, dy) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))) {
                let Some(total) = self.total[b].get(x + dx, y + dy) else { continue };
                let (column, row) = ((x + dx) as usize, (y + dy) as usize);
                light += f64::from(total.max(0.0));
                if !self.unusable[b].at(column, row) {
                    left += f64::from(self.data[b].at(column, row) - total);
                }
            }
        }
        if light > 0.0 { left / light } else { f64::INFINITY }
    }

    /// One filter for all bands, of their mean width: they differ by a few per cent, and the noise is that of the filter
    /// whatever it is.
    fn filtered_residual(&self) -> Filtered {
        let (width, height) = (self.prepared.frame.width(), self.prepared.frame.height());
        let widths = self.shape_bands.iter().map(|&b| self.psf_sigma_px(b));
        let sigma_px = widths.sum::<f64>() / self.shape_bands.len().max(1) as f64;
        // The square of a Gaussian is a narrower one.
        let (filter, squared) = (Gaussian::new(sigma_px), Gaussian::new(sigma_px / std::f64::consts::SQRT_2));
        let square = (4.0 * std::f64::consts::PI * sigma_px * sigma_px).recip() as f32;
        let mut signal = Plane::filled(width, height, 0.0f32);
        let mut weight = Plane::filled(width, height, 0.0f32);
        let rows =
            signal.pixels_mut().par_chunks_mut(width.max(1)).zip(weight.pixels_mut().par_chunks_mut(width.max(1)));
        rows.enumerate().with_min_len(32).for_each(|(y, (signal, weight))| {
            for &b in &self.shape_bands {
                self.add_row(b, y, signal, weight);
            }
        });
        let mut variance = squared.blur(&weight, Edge::Zero);
        variance.pixels_mut().iter_mut().for_each(|v| *v *= square);
        Filtered { signal: filter.blur(&signal, Edge::Zero), variance, sigma_px }
    }

    /// Adds SED x residual / variance and SED^2 / variance of a band to row `y` of the reference grid.
    fn add_row(&self, b: usize, y: usize, signal: &mut [f32], weight: &mut [f32]) {
        let shift = self.prepared.shift_px[b];
        let sed = self.survey.profile().typical.object_sed[b] as f32;
        let (width, height) = (self.data[b].width() as isize, self.data[b].height());
        let Some(row) = usize::try_from(y as isize + shift.1).ok().filter(|&row| row < height) else { return };
        let from = (-shift.0).clamp(0, width);
        let until = (width - shift.0).clamp(from, width);
        let band = (from + shift.0) as usize..(until + shift.0) as usize;
        let (data, total) = (&self.data[b].row(row)[band.clone()], &self.total[b].row(row)[band.clone()]);
        let unusable = &self.unusable[b].row(row)[band.clone()];
        let noise = self.noise[b];
        let (sky, photons) = ((noise.sigma * noise.sigma) as f32, noise.nmgy_per_electron as f32);
        let error = (super::MODEL_ERROR * super::MODEL_ERROR) as f32;
        let own = from as usize..until as usize;
        let out = signal[own.clone()].iter_mut().zip(&mut weight[own]);
        let by_pixel = self.prepared.frame.bands[b].variance.as_ref().map(|v| &v.row(row)[band]);
        for (i, (signal, weight)) in out.enumerate() {
            let light = total[i].max(0.0);
            let sky = by_pixel.map(|v| v[i]).filter(|v| v.is_finite()).unwrap_or(sky);
            let inverse = if unusable[i] { 0.0 } else { (sky + photons * light + error * light * light).recip() };
            *signal += sed * (data[i] - total[i]) * inverse;
            *weight += sed * sed * inverse;
        }
    }

    /// The filtered light of all models over their variance at a reference pixel, as the residual's is.
    fn filtered_models(&self, (x, y): (usize, usize), sigma_px: f64) -> f64 {
        let reach = (3.0 * sigma_px).ceil() as isize;
        let weight = |d: isize| (-0.5 * (d as f64 / sigma_px).powi(2)).exp();
        let norm = (-reach..=reach).map(weight).sum::<f64>().powi(2);
        let mut sum = 0.0;
        for &b in &self.shape_bands {
            let shift = self.prepared.shift_px[b];
            let sed = self.survey.profile().typical.object_sed[b];
            for (dx, dy) in (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy))) {
                let (column, row) = (x as isize + dx + shift.0, y as isize + dy + shift.1);
                if self.unusable[b].get(column, row).is_some_and(|unusable| !unusable) {
                    let (column, row) = (column as usize, row as usize);
                    let light = f64::from(self.total[b].at(column, row).max(0.0));
                    sum += sed * weight(dx) * weight(dy) * light / self.variance(b, column, row);
                }
            }
        }
        sum / norm
    }

    /// Width of the Gaussian with the noise-equivalent area of a band's PSF, px.
    pub(super) fn psf_sigma_px(&self, band: usize) -> f64 {
        let power: f64 = self.psf.at_centre(band).iter().map(|&p| f64::from(p).powi(2)).sum();
        (4.0 * std::f64::consts::PI * power).sqrt().recip()
    }
}

/// The top of parabolas through a peak and its neighbours along both axes.
fn vertex(plane: &Plane<f32>, (x, y): (usize, usize)) -> (f64, f64) {
    let offset = |before: f32, here: f32, after: f32| {
        let bend = before - 2.0 * here + after;
        if bend < 0.0 { f64::from(0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { 0.0 }
    };
    let here = plane.at(x, y);
    let (dx, dy) =
        (offset(plane.at(x - 1, y), here, plane.at(x + 1, y)), offset(plane.at(x, y - 1), here, plane.at(x, y + 1)));
    (x as f64 + dx, y as f64 + dy)
}
