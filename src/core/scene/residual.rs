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

/// Signal, noise and models' light of the filtered residual, on the reference grid.
struct Filtered {
    signal: Plane<f32>,
    variance: Plane<f32>,
    models: Plane<f32>,
}

impl Scene<'_> {
    /// Peaks of the residual above `least_sn`, none within `blocked` pixels of the reference grid; the loudest first.
    pub(super) fn candidates(&self, least_sn: f32, blocked: &Plane<bool>) -> Vec<Candidate> {
        let filtered = self.filtered_residual();
        let (width, height) = (blocked.width(), blocked.height());
        let sn = |x: usize, y: usize| {
            let variance = filtered.variance.at(x, y);
            if variance > 0.0 { filtered.signal.at(x, y) / variance.sqrt() } else { 0.0 }
        };
        let sn = {
            let rows = (0..height).into_par_iter().flat_map_iter(|y| (0..width).map(move |x| sn(x, y)));
            Plane::from_pixels(width, height, rows.collect())
        };
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
            .filter(|&(x, y)| f64::from(filtered.signal.at(x, y)) > LEAST_SHARE * f64::from(filtered.models.at(x, y)))
            .map(|(x, y)| Candidate { at: vertex(&sn, (x, y)), sn: sn.at(x, y) })
            .filter(|candidate| self.is_sound(candidate, &zones))
            .collect();
        let mut found = found;
        found.sort_by(|a, b| b.sn.total_cmp(&a.sn).then(a.at.1.total_cmp(&b.at.1)).then(a.at.0.total_cmp(&b.at.0)));
        found
    }

    /// Whether a peak is neither an object's own nor what models leave of bright ones.
    fn is_sound(&self, candidate: &Candidate, zones: &[(usize, f64)]) -> bool {
        if !self.near(candidate.at, APART_PX).is_empty() {
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
            distance > zone || (loud() && (!is_saturated || self.stands_out(candidate.at, centre)))
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

    fn filtered_residual(&self) -> Filtered {
        let (width, height) = (self.prepared.frame.width(), self.prepared.frame.height());
        let zeros = || Plane::filled(width, height, 0.0f32);
        let mut filtered = Filtered { signal: zeros(), variance: zeros(), models: zeros() };
        for &b in &self.shape_bands {
            let sed = self.survey.profile().typical.object_sed[b] as f32;
            let sigma_px = self.psf_sigma_px(b);
            // The square of a Gaussian is a narrower one.
            let (filter, squared) = (Gaussian::new(sigma_px), Gaussian::new(sigma_px / std::f64::consts::SQRT_2));
            let square = (4.0 * std::f64::consts::PI * sigma_px * sigma_px).recip() as f32;
            let plane = |value: &(dyn Fn(usize, usize, f32) -> f32 + Sync)| {
                let row = |y: usize| {
                    (0..width).map(move |x| {
                        let usable = !self.unusable[b].at(x, y);
                        if usable { value(x, y, (self.variance(b, x, y) as f32).recip()) } else { 0.0 }
                    })
                };
                Plane::from_pixels(width, height, (0..height).into_par_iter().flat_map_iter(row).collect())
            };
            let residual = plane(&|x, y, weight| (self.data[b].at(x, y) - self.total[b].at(x, y)) * weight);
            let models = plane(&|x, y, weight| self.total[b].at(x, y).max(0.0) * weight);
            let weight = plane(&|_, _, weight| weight);
            let shift = self.prepared.shift_px[b];
            add_shifted(&mut filtered.signal, &filter.blur(&residual, Edge::Zero), shift, sed);
            add_shifted(&mut filtered.models, &filter.blur(&models, Edge::Zero), shift, sed);
            add_shifted(&mut filtered.variance, &squared.blur(&weight, Edge::Zero), shift, sed * sed * square);
        }
        filtered
    }

    /// Width of the Gaussian with the noise-equivalent area of a band's PSF, px.
    pub(super) fn psf_sigma_px(&self, band: usize) -> f64 {
        let power: f64 = self.psf.at_centre(band).iter().map(|&p| f64::from(p).powi(2)).sum();
        (4.0 * std::f64::consts::PI * power).sqrt().recip()
    }
}

/// Adds a band's plane on the reference grid: reference pixel plus `shift` is the band's.
fn add_shifted(to: &mut Plane<f32>, plane: &Plane<f32>, shift: (isize, isize), scale: f32) {
    let (width, height) = (to.width(), to.height());
    let from = (-shift.0).clamp(0, width as isize) as usize;
    let until = (width as isize - shift.0).clamp(from as isize, width as isize) as usize;
    for y in 0..height {
        let Some(row) = usize::try_from(y as isize + shift.1).ok().filter(|&row| row < plane.height()) else {
            continue;
        };
        let source = &plane.row(row)[(from as isize + shift.0) as usize..(until as isize + shift.0) as usize];
        to.row_mut(y)[from..until].iter_mut().zip(source).for_each(|(t, s)| *t += scale * s);
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
