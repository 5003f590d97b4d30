//! Errors of what is fitted together. A neighbour's flux is known no better than the data say, nor is its place, and what
//! is not known of it is not known of the object.
//!
//! In one band the fluxes f of an object and its neighbours have the information matrix A; places and sizes p are common
//! to the shape bands. With C what band b says of both together and P what it says of places alone, places are known by
//! the sum over bands of P - C A^-1 C', and the flux's variance is
//!
//! ```text
//! var f = (A^-1)_00 + v' S^-1 v        v = C A^-1 e_0        S = prior + sum over shape bands of (P - C A^-1 C')
//! ```

use super::bank::MODELS;
use super::matrix::Symmetric;
use super::render::Window;
use super::{Model, Scene};
use crate::cutout::HALF_LIGHT_RADII_PX;
use crate::frame::{BANDS, PerBand};

/// Pixels within this of the object say what its flux is, px.
const WITHIN_PX: f64 = 10.0;
const HALF: usize = 10;
/// Objects further away share no light that matters, px.
const SHARES_WITHIN_PX: f64 = 9.0;
/// Most neighbours whose fluxes count, and whose places do: those that overlap most.
const MOST_FLUXES: usize = 6;
const MOST_PLACES: usize = 3;
/// What is known of a place beforehand, px: the step's prior in fits.
const PRIOR_PX: f64 = 0.35;
/// What is known of a size beforehand, in ln(radius).
const PRIOR_LN_RADIUS: f64 = 0.7;

/// Standard errors of one object's model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelErrors {
    /// Of its total light, nMgy; NaN where a band has no pixels for it.
    pub flux_nmgy: PerBand<f64>,
    /// By how much the flux's variance grew for the neighbours and for what is not known of places: 1 alone.
    pub shared: PerBand<f64>,
    /// Of ln(half-light radius); NaN for a point source.
    pub ln_radius: f64,
}

impl Scene<'_> {
    /// Errors of object `i` as it is.
    pub fn model_errors(&self, i: usize) -> ModelErrors {
        self.errors_as(i, &self.objects[i].model)
    }

    /// Errors of object `i` as if it were a point source; `known` are those of its model.
    pub fn point_errors(&self, i: usize, known: &ModelErrors) -> ModelErrors {
        if self.objects[i].model == Model::Point { *known } else { self.errors_as(i, &Model::Point) }
    }

    fn errors_as(&self, i: usize, model: &Model) -> ModelErrors {
        let neighbours = self.sharers(i);
        // A place says nothing of the flux of an object that shares its light with none.
        let places = if neighbours.is_empty() { 0 } else { 1 + neighbours.len().min(MOST_PLACES) };
        let sizes = Self::resized(model).is_some();
        let unknowns = 2 * places + usize::from(sizes);
        let mut known =
            Symmetric::diagonal(unknowns, |p| if p < 2 * places { PRIOR_PX } else { PRIOR_LN_RADIUS }.powi(-2));
        let bands: PerBand<Option<BandInformation>> = std::array::from_fn(|b| {
            self.prepared.frame.present[b].then(|| self.information(i, model, &neighbours, places, b)).flatten()
        });
        for band in self.shape_bands.iter().filter_map(|&b| bands[b].as_ref()) {
            known.add(&band.places);
        }
        let covariance = known.inverse();
        let mut errors = ModelErrors { flux_nmgy: [f64::NAN; BANDS], shared: [1.0; BANDS], ln_radius: f64::NAN };
        let Some(covariance) = covariance else { return errors };
        for (b, band) in bands.iter().enumerate() {
            let Some(band) = band else { continue };
            let variance = band.flux_variance + covariance.quadratic(&band.flux_by_place);
            errors.flux_nmgy[b] = variance.sqrt();
            errors.shared[b] = (variance * band.own).max(1.0);
        }
        if sizes {
            errors.ln_radius = covariance.at(unknowns - 1, unknowns - 1).sqrt();
        }
        errors
    }

    /// Flux over its error in each shape band, places known: what the data say for the object being there at all. NaN where
    /// a band has no pixels for it.
    pub(super) fn significance(&self, i: usize) -> Vec<f64> {
        let (neighbours, object) = (self.sharers(i), &self.objects[i]);
        let sn = |&b: &usize| {
            let known = self.information(i, &object.model, &neighbours, 0, b);
            known.map_or(f64::NAN, |band| object.flux_nmgy[b] / band.flux_variance.sqrt())
        };
        self.shape_bands.iter().map(sn).collect()
    }

    /// The neighbours that share most light with an object, first of all.
    fn sharers(&self, i: usize) -> Vec<usize> {
        let at = self.objects[i].at();
        let weight = |j: usize| {
            let other = &self.objects[j];
            let light: f64 = self.shape_bands.iter().map(|&b| other.flux_nmgy[b].max(0.0)).sum();
            let d2 = (other.x - at.0).powi(2) + (other.y - at.1).powi(2);
            (-d2 / 9.0).exp() * light.max(1e-3).sqrt()
        };
        let mut near = self.neighbours(i, SHARES_WITHIN_PX);
        near.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)));
        near.truncate(MOST_FLUXES);
        near
    }

    /// A model's image a step smaller and larger, and the step between them in ln(radius).
    fn resized(model: &Model) -> Option<(Model, Model, f64)> {
        let galaxy = |k: usize| {
            let (small, large) = (k.saturating_sub(2), (k + 2).min(MODELS - 3 + k % 2));
            let radius = |k: usize| HALF_LIGHT_RADII_PX[k / 2];
            (Model::Galaxy(small as u8), Model::Galaxy(large as u8), (radius(large) / radius(small)).ln())
        };
        match model {
            Model::Point => None,
            Model::Galaxy(k) => Some(galaxy(usize::from(*k))),
            Model::Ellipse(ellipse) => {
                let r = ellipse.half_light_radius_px;
                let nearest = (0..HALF_LIGHT_RADII_PX.len())
                    .min_by(|&a, &b| (HALF_LIGHT_RADII_PX[a] - r).abs().total_cmp(&(HALF_LIGHT_RADII_PX[b] - r).abs()));
                Some(galaxy(2 * nearest? + usize::from(ellipse.de_vaucouleurs)))
            }
        }
    }

    /// What band `b` says of the fluxes of an object and its neighbours, and of the places of the first `places`.
    fn information(
        &self,
        i: usize,
        model: &Model,
        neighbours: &[usize],
        places: usize,
        b: usize,
    ) -> Option<BandInformation> {
        let region = self.region(i, &[], b, WITHIN_PX);
        let weight = &region.weight;
        let wide = Window::about(self.in_band(b, self.objects[i].at()), HALF + 1);
        let (side, wide_side) = (region.window.width, wide.width);
        let inner = |light: &[f32], dx: usize, dy: usize| -> Vec<f32> {
            let row = |y: usize| &light[(y + dy) * wide_side + dx..][..side];
            (0..side).flat_map(|y| row(y).iter().copied()).collect()
        };
        let drawn = |model: &Model, j: usize| {
            let mut light = vec![0.0; wide_side * wide_side];
            self.stamp(model, b, self.objects[j].at(), wide, &mut light);
            light
        };
        let (mut fluxes, mut slopes) = (Vec::new(), Vec::new());
        for (n, j) in std::iter::once(i).chain(neighbours.iter().copied()).enumerate() {
            let object = &self.objects[j];
            let flux = object.flux_nmgy[b].max(0.0) as f32;
            let light = drawn(if n == 0 { model } else { &object.model }, j);
            if n < places {
                for (ahead, behind) in [((0, 1), (2, 1)), ((1, 0), (1, 2))] {
                    let (ahead, behind) = (inner(&light, ahead.0, ahead.1), inner(&light, behind.0, behind.1));
                    slopes.push(ahead.iter().zip(&behind).map(|(a, b)| flux * (a - b) / 2.0).collect::<Vec<f32>>());
                }
            }
            fluxes.push(inner(&light, 1, 1));
        }
        if let Some((small, large, step)) = Self::resized(model) {
            let flux = self.objects[i].flux_nmgy[b].max(0.0) / step;
            let (small, large) = (inner(&drawn(&small, i), 1, 1), inner(&drawn(&large, i), 1, 1));
            slopes.push(large.iter().zip(&small).map(|(l, s)| flux as f32 * (l - s)).collect());
        }
        let dot = |a: &[f32], b: &[f32]| {
            let products = a.iter().zip(b).zip(weight);
            products.map(|((&a, &b), &w)| f64::from(a) * f64::from(b) * f64::from(w)).sum::<f64>()
        };
        // In units of each template's own length, so that the smallest share that is free has one meaning.
        let lengths: Vec<f64> = fluxes.iter().map(|f| dot(f, f).sqrt()).collect();
        let own = lengths[0];
        if !(own > 0.0 && own.is_finite()) {
            return None;
        }
        let scale = |n: usize| if lengths[n] > 0.0 { lengths[n].recip() } else { 0.0 };
        let between = Symmetric::from(fluxes.len(), |m, n| match m == n {
            true => 1.0 + LEAST_SHARE,
            false => dot(&fluxes[m], &fluxes[n]) * scale(m) * scale(n),
        });
        let inverse = between.inverse()?;
        let cross: Vec<Vec<f64>> =
            slopes.iter().map(|s| (0..fluxes.len()).map(|n| dot(s, &fluxes[n]) * scale(n)).collect()).collect();
        let places =
            Symmetric::from(slopes.len(), |p, q| dot(&slopes[p], &slopes[q]) - inverse.between(&cross[p], &cross[q]));
        let first: Vec<f64> = (0..fluxes.len()).map(|n| inverse.at(0, n)).collect();
        Some(BandInformation {
            own: own * own,
            flux_variance: inverse.at(0, 0) / (own * own),
            flux_by_place: cross.iter().map(|c| c.iter().zip(&first).map(|(c, f)| c * f).sum::<f64>() / own).collect(),
            places,
        })
    }
}

/// Two objects on one place are not told apart by their fluxes, and an error has a bound.
const LEAST_SHARE: f64 = 1e-3;

/// What one band says.
struct BandInformation {
    /// Inverse variance of the object's flux if nothing else were unknown.
    own: f64,
    /// Variance of the object's flux with places known.
    flux_variance: f64,
    /// Slope of the flux along each place.
    flux_by_place: Vec<f64>,
    /// Information on places with fluxes unknown.
    places: Symmetric,
}
