//! What the PSF's stamp does not hold of bright stars, and what is left of the sky: taken from the data once the models
//! stand, so that neither is taken for objects.

use rayon::prelude::*;

use super::{Model, Scene};
use crate::frame::{BANDS, Plane, mask};
use crate::median::median;
use crate::preprocess;

/// A star's light of so many sigma of sky noise shows a halo: magnitude 17.5 in an image of 54 s by SDSS's telescope.
const BRIGHT_SIGMA: f64 = 4000.0;
/// Most stars whose halos are measured, the brightest, and fewest that say anything.
const MOST_STARS: usize = 60;
const FEWEST_STARS: usize = 3;
/// The PSF is tapered from 11 px; what is missing begins a little before, px...
const FROM_PX: usize = 9;
/// ...and is lost in the sky here.
const TO_PX: usize = 60;
/// Over so many px at its end a halo goes to nothing.
const TAPER_PX: f64 = 10.0;
/// The level at these radii and beyond is the sky's.
const SKY_FROM_PX: usize = TO_PX - 8;
/// Rings with fewer usable pixels say nothing.
const FEWEST_PIXELS: usize = 9;
/// A star counts by its light up to this many times the least.
const LARGEST_WEIGHT: f64 = 3.0;

/// Pixels that models cover beyond this share of the frame hide the sky from its first measurement.
const CROWDED: f64 = 0.12;
/// A pixel is covered where models give it this much, sigma of its noise.
const COVERED_SIGMA: f32 = 0.5;
/// Models' own errors are not the sky's, sigma.
const TOO_BRIGHT_SIGMA: f32 = 20.0;

impl Scene<'_> {
    /// Measures one mean halo a band on the residual about bright stars, as a share of their light, and takes it from
    /// the data about each of them.
    pub fn subtract_halos(&mut self) {
        let stars = self.bright_stars();
        if stars.len() < FEWEST_STARS {
            return;
        }
        let present = self.prepared.frame.present;
        let halos: Vec<Option<Vec<f64>>> =
            (0..BANDS).into_par_iter().map(|b| if present[b] { self.halo(b, &stars) } else { None }).collect();
        for (b, halo) in halos.iter().enumerate() {
            let Some(halo) = halo else { continue };
            for &i in &stars {
                self.subtract_halo(b, i, halo);
            }
        }
    }

    fn bright_stars(&self) -> Vec<usize> {
        let reference = self.survey.reference();
        let least = BRIGHT_SIGMA * self.noise[reference].sigma;
        let mut stars: Vec<usize> = (0..self.objects.len())
            .filter(|&i| {
                let object = &self.objects[i];
                object.alive && object.flux_nmgy[reference] > least && object.model == Model::Point
            })
            .collect();
        let light = |i: usize| self.objects[i].flux_nmgy[reference];
        stars.sort_by(|&a, &b| light(b).total_cmp(&light(a)));
        stars.truncate(MOST_STARS);
        stars
    }

    /// Light a pixel at each whole radius, as a share of a star's; `None` where too few stars show it.
    fn halo(&self, b: usize, stars: &[usize]) -> Option<Vec<f64>> {
        let least = stars.iter().map(|&i| self.objects[i].flux_nmgy[b]).fold(f64::INFINITY, f64::min).max(1e-9);
        let profiles: Vec<(Vec<f64>, f64)> = stars
            .par_iter()
            .filter(|&&i| self.objects[i].flux_nmgy[b] > 0.0)
            .map(|&i| {
                let flux = self.objects[i].flux_nmgy[b];
                let rings = self.rings(b, i);
                let sky =
                    median(&mut rings[SKY_FROM_PX..].iter().copied().filter(|v| v.is_finite()).collect::<Vec<_>>());
                let sky = sky.unwrap_or(0.0);
                (rings.into_iter().map(|v| (v - sky) / flux).collect(), (flux / least).min(LARGEST_WEIGHT))
            })
            .collect();
        let at = |r: usize| {
            let mut seen: Vec<(f64, f64)> =
                profiles.iter().map(|(p, w)| (p[r], *w)).filter(|(v, _)| v.is_finite()).collect();
            if r < FROM_PX || seen.len() < FEWEST_STARS { 0.0 } else { weighted_median(&mut seen) }
        };
        let raw: Vec<f64> = (0..=TO_PX).map(at).collect();
        let smooth = |r: usize| {
            let weight = |q: usize| (-(q.abs_diff(r) as f64 / 1.5).powi(2) / 2.0).exp();
            let near = r.saturating_sub(5).max(FROM_PX)..(r + 6).min(TO_PX + 1);
            let (sum, total) = near.fold((0.0, 0.0), |(s, t), q| (s + weight(q) * raw[q], t + weight(q)));
            let taper = ((TO_PX - r) as f64 / TAPER_PX).clamp(0.0, 1.0);
            if r < FROM_PX { 0.0 } else { taper * sum / total }
        };
        (profiles.len() >= FEWEST_STARS).then(|| (0..=TO_PX).map(smooth).collect())
    }

    /// Medians of the residual in rings about a star; NaN where too little of one is seen.
    fn rings(&self, b: usize, i: usize) -> Vec<f64> {
        let mut rings: Vec<Vec<f32>> = vec![Vec::new(); TO_PX + 1];
        self.about(b, i, |x, y, r| {
            let r = r.round() as usize;
            if (FROM_PX..=TO_PX).contains(&r) && !self.unusable[b].at(x, y) {
                rings[r].push(self.data[b].at(x, y) - self.total[b].at(x, y));
            }
        });
        rings
            .into_iter()
            .map(|ring| {
                let mut ring: Vec<f64> = ring.into_iter().map(f64::from).collect();
                if ring.len() < FEWEST_PIXELS { f64::NAN } else { median(&mut ring).unwrap_or(f64::NAN) }
            })
            .collect()
    }

    fn subtract_halo(&mut self, b: usize, i: usize, halo: &[f64]) {
        let flux = self.objects[i].flux_nmgy[b];
        let mut data = std::mem::take(&mut self.data[b]);
        self.about(b, i, |x, y, r| {
            let (whole, part) = (r as usize, r.fract());
            if let (Some(a), Some(b)) = (halo.get(whole), halo.get(whole + 1)) {
                data.set(x, y, data.at(x, y) - (flux * (a + part * (b - a))) as f32);
            }
        });
        self.data[b] = data;
        self.corrected.mark(self.in_band(b, self.objects[i].at()), TO_PX as f64);
    }

    /// Every pixel of the frame within the halo's reach of object `i`, with its distance.
    fn about(&self, b: usize, i: usize, mut each: impl FnMut(usize, usize, f64)) {
        let (x0, y0) = self.in_band(b, self.objects[i].at());
        let reach = TO_PX as f64;
        let (width, height) = (self.prepared.frame.width(), self.prepared.frame.height());
        for y in crate::aperture::extent(y0, reach, height) {
            for x in crate::aperture::extent(x0, reach, width) {
                let r = (x as f64 - x0).hypot(y as f64 - y0);
                if r <= reach {
                    each(x, y, r);
                }
            }
        }
    }

    /// Measures the sky again on what the models leave, where they cover so much that the first measurement saw little
    /// of it; whether it did.
    pub fn subtract_sky_again(&mut self) -> bool {
        let reference = self.survey.reference();
        let limit = COVERED_SIGMA * self.noise[reference].sigma as f32;
        let covered = self.total[reference].pixels().iter().filter(|t| **t > limit).count();
        if (covered as f64) < CROWDED * self.total[reference].pixels().len() as f64 {
            return false;
        }
        let present = self.prepared.frame.present;
        let skies: Vec<Option<Plane<f32>>> = (0..BANDS)
            .into_par_iter()
            .map(|b| {
                let (data, total, unusable) = (&self.data[b], &self.total[b], &self.unusable[b]);
                let limit = TOO_BRIGHT_SIGMA * self.noise[b].sigma as f32;
                let (width, height) = (data.width(), data.height());
                let left = data.pixels().iter().zip(total.pixels()).map(|(d, t)| d - t).collect();
                let bits = unusable.pixels().iter().zip(total.pixels());
                let bits = bits.map(|(u, t)| if *u || *t > limit { mask::BAD } else { 0 }).collect();
                let band = &self.prepared.frame.bands[b];
                let left = Plane::from_pixels(width, height, left);
                present[b]
                    .then(|| preprocess::sky_of(&left, &Plane::from_pixels(width, height, bits), b, band))
                    .flatten()
            })
            .collect();
        for (data, sky) in self.data.iter_mut().zip(&skies) {
            if let Some(sky) = sky {
                self.corrected.mark_all();
                data.pixels_mut().iter_mut().zip(sky.pixels()).for_each(|(d, s)| *d -= s);
            }
        }
        true
    }
}

/// The value, of pairs with their weights, below which half of all weight lies; 0 of nothing.
pub(super) fn weighted_median(values: &mut [(f64, f64)]) -> f64 {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|v| v.1).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    let past = values.iter().find(|v| {
        sum += v.1;
        sum >= half
    });
    past.map_or(0.0, |v| v.0)
}
