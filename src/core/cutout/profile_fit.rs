//! How well an object is a point source, and how well each of sixteen galaxies: chi^2 over the shape bands, the
//! best flux of each model given by weighted least squares,
//!
//! ```text
//! flux_k = sum w y m_k / sum w m_k^2      chi^2_k = sum w y^2 - flux_k^2 sum w m_k^2
//! ```
//!
//! with y the pixels and m_k the model. The weights w are fixed by a first, unweighted flux as a point source and
//! shared by all models, so that their chi^2 can be compared.

use super::Cutout;
use super::profiles::{GALAXIES, LANES, MODELS, Packed, Profiles, pack};
use crate::frame::{BANDS, PerBand};

/// The fits of all models to one object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProfileFit {
    /// Summed over the shape bands: of the point source, then of the galaxies (see [`Profiles`]).
    pub chi2: [f32; MODELS],
    /// Flux as the best galaxy of the shape bands, nMgy; NaN where a band has no pixels for it. The same model in all
    /// bands, so that colours are those of one aperture.
    pub best_flux: PerBand<f32>,
    /// Its standard error, nMgy.
    pub best_flux_error: PerBand<f32>,
}

impl ProfileFit {
    /// The colours of neighbouring bands from the best galaxy's fluxes, asinh mag (Lupton, Gunn & Szalay 1999), each
    /// band softened by 1.3 of its own error: a number at any flux. Neighbours are those of the survey's `planes`; the
    /// colour of a plane that it has not, or that has none behind it, is 0. NaN where a band has no flux.
    pub fn colours(&self, planes: &PerBand<bool>) -> [f32; BANDS - 1] {
        let magnitude: PerBand<f32> = std::array::from_fn(|b| {
            let softening = 1.3 * self.best_flux_error[b];
            -2.5 * std::f32::consts::LOG10_E * ((self.best_flux[b] / (2.0 * softening)).asinh() + softening.ln())
        });
        std::array::from_fn(|b| match (b + 1..BANDS).find(|&next| planes[next]) {
            Some(next) if planes[b] => magnitude[b] - magnitude[next],
            _ => 0.0,
        })
    }
}

/// One model's fit to one band.
#[derive(Clone, Copy)]
struct Fit {
    flux: f64,
    error: f64,
    chi2: f64,
}

impl Cutout {
    /// Fits all models to the object, which is at reference position `at`; `None` where a shape band has too few
    /// pixels, or the frame has none.
    pub fn fit_profiles(&self, profiles: &Profiles, at: (f64, f64)) -> Option<ProfileFit> {
        let bands: PerBand<Option<Weighted>> = std::array::from_fn(|b| Weighted::new(self, b));
        let mut chi2 = [0.0; MODELS];
        if self.shape_bands.is_empty() {
            return None;
        }
        for &b in &self.shape_bands {
            let band = bands[b].as_ref()?;
            chi2[0] += band.fit(&pack(|i| self.psf[b][i])).chi2;
            for k in 0..GALAXIES {
                chi2[1 + k] += band.fit(&profiles.galaxy(b, k, at)).chi2;
            }
        }
        if chi2.iter().any(|c| !c.is_finite()) {
            return None;
        }
        let best = (0..GALAXIES).min_by(|&a, &b| chi2[1 + a].total_cmp(&chi2[1 + b]))?;
        let fit = |b: usize| bands[b].as_ref().map(|band| band.fit(&profiles.galaxy(b, best, at)));
        let fits: PerBand<Option<Fit>> = std::array::from_fn(fit);
        Some(ProfileFit {
            chi2: chi2.map(|c| c as f32),
            best_flux: fits.map(|f| f.map_or(f32::NAN, |f| f.flux as f32)),
            best_flux_error: fits.map(|f| f.map_or(f32::NAN, |f| f.error as f32)),
        })
    }
}

/// A band's pixels with their weights.
struct Weighted {
    weight: Packed,
    weighted_pixels: Packed,
    /// Sum of weight x pixel^2.
    power: f64,
}

impl Weighted {
    fn new(cutout: &Cutout, band: usize) -> Option<Self> {
        let used = cutout.used(band)?;
        let pixels = pack(|i| if used[i] { cutout.pixels[band][i] } else { 0.0 });
        let psf = pack(|i| if used[i] { cutout.psf[band][i] } else { 0.0 });
        let first = (dot(&pixels, &psf) / dot(&psf, &psf)).max(0.0);
        let source = |i: usize| first * f64::from(cutout.psf[band][i]);
        let weight = pack(|i| if used[i] { cutout.noise_at(band, i).weight(source(i)) as f32 } else { 0.0 });
        let weighted_pixels = std::array::from_fn(|i| weight[i] * pixels[i]);
        Some(Self { weight, weighted_pixels, power: dot(&weighted_pixels, &pixels) })
    }

    fn fit(&self, model: &Packed) -> Fit {
        let (mut along, mut length) = ([0.0f32; LANES], [0.0f32; LANES]);
        let weighted = chunks(&self.weight).zip(chunks(&self.weighted_pixels));
        for (model, (weight, weighted_pixels)) in chunks(model).zip(weighted) {
            for lane in 0..LANES {
                along[lane] += model[lane] * weighted_pixels[lane];
                length[lane] += model[lane] * model[lane] * weight[lane];
            }
        }
        let sum = |lanes: [f32; LANES]| lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
        let (along, length) = (sum(along), sum(length));
        Fit { flux: along / length, error: length.sqrt().recip(), chi2: self.power - along * along / length }
    }
}

fn chunks(packed: &Packed) -> impl Iterator<Item = &[f32; LANES]> {
    packed.as_chunks().0.iter()
}

fn dot(a: &Packed, b: &Packed) -> f64 {
    let mut lanes = [0.0f64; LANES];
    for (a, b) in chunks(a).zip(chunks(b)) {
        for lane in 0..LANES {
            lanes[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    lanes.iter().sum()
}
