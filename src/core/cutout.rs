//! An object's stamp for the classifier: re-centred, neighbours masked, the fitted point source taken away. A
//! [`Cutout`] holds one object's pixels and lives no longer than its measurement.

mod classifier_input;
mod dataset;
mod point_source;
mod profile_fit;
mod profiles;
mod recentre;
mod residual;
mod usable;

pub use classifier_input::{ClassifierInput, Measurements};
pub use dataset::cutout64;
pub use point_source::{Noise, PointSource, fit_point_source};
pub use profile_fit::ProfileFit;
pub use profiles::{GALAXIES, HALF_LIGHT_RADII_PX, MODELS, Profiles};
pub use recentre::recentre;
pub use residual::SN_FLOOR;

use crate::frame::{PerBand, Plane};
use crate::preprocess::Prepared;
use crate::psf::{AREA, DISTANCE_SQUARED, Psf, RADIUS, SIDE, Splines, Stamp};
use crate::scene::{Light, Others, Scene};
use crate::survey::Survey;

/// Pixels within this of the object enter fluxes, px.
pub const FLUX_WITHIN_PX: u16 = 10;
/// With fewer usable pixels there is no basis for a classification.
pub const FEWEST_USABLE: usize = 20;
/// Nor is there nearer than this to the frame's edge, px.
pub const EDGE_PX: f64 = 20.0;

/// What cuts are made from: one frame's pixels and what is known of it.
#[derive(Clone, Copy)]
pub struct FrameView<'a> {
    /// The prepared frame: pixels, masks, sky and registration.
    pub prepared: &'a Prepared,
    /// Description of its survey.
    pub survey: &'a Survey,
    /// Spline coefficients of its bands, for cuts at sub-pixel positions.
    pub splines: &'a Splines,
    /// PSF of each band as a function of position, measured on its own stars.
    pub psf: &'a Psf,
    /// Model galaxies convolved with that PSF.
    pub profiles: &'a Profiles,
    /// 0 for sky, else an object's number; on the reference grid.
    pub segmentation: &'a Plane<u32>,
    /// The models of all objects, by which each is measured without the others; `None` before there are any.
    pub scene: Option<&'a Scene<'a>>,
}

impl<'a> FrameView<'a> {
    /// Whose light is taken from the pixels within `reach` px of object `number` at reference position `at`.
    pub(crate) fn others(&self, number: u32, at: (f64, f64), reach: f64) -> Option<Others<'a>> {
        let others = self.scene?.others(number, at, reach);
        (!others.is_nothing()).then_some(others)
    }

    /// Whether pixels of object `owner` are not those of object `number`, even with all models taken away.
    pub(crate) fn is_masked(&self, owner: u32, number: u32) -> bool {
        owner > 0 && owner != number && self.scene.is_none_or(|scene| !scene.is_modelled(owner))
    }

    /// [`crate::frame::mask`] bits of a band's pixels.
    pub(crate) fn bits(&self, band: usize) -> &'a Plane<u8> {
        self.scene.map_or(&self.prepared.frame.bands[band].mask, |scene| scene.bits(band))
    }

    /// Noise of a band.
    pub(crate) fn noise(&self, band: usize) -> Noise {
        Noise {
            sigma: f64::from(self.prepared.sky[band].sigma_nmgy),
            nmgy_per_electron: self.prepared.frame.bands[band].nmgy_per_electron(),
        }
    }

    /// Whether a reference position is far enough from every edge for a classification.
    pub(crate) fn is_inside(&self, x: f64, y: f64) -> bool {
        let (width, height) = (self.prepared.frame.width() as f64, self.prepared.frame.height() as f64);
        x > EDGE_PX && x < width - EDGE_PX && y > EDGE_PX && y < height - EDGE_PX
    }
}

/// 31x31 pixels of one object in every band, with its PSF and its flux as a point source.
#[derive(Clone, Debug)]
pub struct Cutout {
    /// Pixels about the object's position in each band, nMgy.
    pub pixels: PerBand<Stamp>,
    /// PSF of each band at that position, unit flux.
    pub psf: PerBand<Stamp>,
    /// True where another object (grown by 1 px) or no frame is; common to all bands.
    pub masked: [bool; AREA],
    /// True where a band has no usable pixel; `None` where all are.
    pub unusable: PerBand<Option<Box<[bool; AREA]>>>,
    /// Noise of each band's pixels, for variances.
    pub noise: PerBand<Noise>,
    /// Variance of the sky in each band's pixels, nMgy^2, where the survey gives it; not finite where it does not.
    pub sky_variance: PerBand<Option<Box<Stamp>>>,
    /// Flux as a point source; NaN where a band has no pixels for it.
    pub point_source: PerBand<PointSource>,
    /// The bands whose residuals the classifier sees: the survey's shape bands that the frame has.
    pub shape_bands: Vec<usize>,
    /// The planes that the survey has.
    pub planes: PerBand<bool>,
}

impl Cutout {
    /// Cuts the object `number` at reference position `at` (see [`recentre`]) and fits its fluxes.
    pub fn take(view: &FrameView, number: u32, at: (f64, f64)) -> Box<Self> {
        let others = view.others(number, at, RADIUS as f64);
        let mut cutout = Box::new(Self {
            pixels: [[0.0; AREA]; crate::frame::BANDS],
            psf: std::array::from_fn(|b| view.psf.at(b, at.0, at.1)),
            masked: usable::neighbours(view.segmentation, at, |owner| view.is_masked(owner, number), number),
            unusable: std::array::from_fn(|_| None),
            noise: std::array::from_fn(|b| view.noise(b)),
            sky_variance: std::array::from_fn(|_| None),
            point_source: [PointSource::NONE; crate::frame::BANDS],
            shape_bands: view.prepared.shape_bands(view.survey),
            planes: std::array::from_fn(|b| !view.survey.band(b).is_empty()),
        });
        for b in 0..crate::frame::BANDS {
            let in_band = view.prepared.to_band[b].apply(at.0, at.1);
            view.splines.cut(b, in_band, RADIUS, &mut cutout.pixels[b]);
            let band = &view.prepared.frame.bands[b];
            cutout.unusable[b] = usable::unusable(view.bits(b), in_band);
            cutout.sky_variance[b] = band.variance.as_ref().map(|variance| usable::nearest_pixels(variance, in_band));
            let first = (in_band.0 - RADIUS as f64, in_band.1 - RADIUS as f64);
            if let Some(light) = others.as_ref().and_then(|others| others.on_grid(b, first, (SIDE, SIDE))) {
                cutout.take_away(b, &light);
            }
        }
        cutout.fit();
        cutout
    }

    /// Takes others' light from a band's pixels and adds its variance to theirs.
    fn take_away(&mut self, band: usize, light: &Light) {
        self.pixels[band].iter_mut().zip(&light.value).for_each(|(p, l)| *p -= l);
        let Some(added) = &light.variance else { return };
        let sky = (self.noise[band].sigma * self.noise[band].sigma) as f32;
        let before = self.sky_variance[band].take();
        let here = |i: usize| before.as_ref().map(|v| v[i]).filter(|v| v.is_finite()).unwrap_or(sky);
        self.sky_variance[band] = Some(Box::new(std::array::from_fn(|i| here(i) + added[i])));
    }

    /// As if `band` had not been taken.
    pub fn leave_out(&mut self, band: usize) {
        self.shape_bands.retain(|&b| b != band);
        self.unusable[band] = Some(Box::new([true; AREA]));
        self.point_source[band] = PointSource::NONE;
    }

    /// Fits the flux in every band.
    fn fit(&mut self) {
        for b in 0..self.pixels.len() {
            if let Some(used) = self.used(b) {
                let noise = |i| self.noise_at(b, i);
                self.point_source[b] = fit_point_source(&self.pixels[b], &self.psf[b], &used, noise);
            }
        }
    }

    /// The pixels of `band` from which fluxes are fitted: the object's own, or its neighbours' too where it has too
    /// few; `None` where there are too few of any.
    fn used(&self, band: usize) -> Option<[bool; AREA]> {
        let usable = |i: usize| in_aperture(i) && self.is_usable(band, i);
        let own: [bool; AREA] = std::array::from_fn(|i| usable(i) && !self.masked[i]);
        let used = if count(&own) > FEWEST_USABLE { own } else { std::array::from_fn(usable) };
        (count(&used) > FEWEST_USABLE).then_some(used)
    }

    /// Noise of pixel `i` of a band.
    fn noise_at(&self, band: usize, i: usize) -> Noise {
        let noise = self.noise[band];
        let here = self.sky_variance[band].as_ref().map(|variance| variance[i]).filter(|v| v.is_finite());
        here.map_or(noise, |v| Noise { sigma: f64::from(v).sqrt(), ..noise })
    }

    fn is_usable(&self, band: usize, i: usize) -> bool {
        self.unusable[band].as_ref().is_none_or(|u| !u[i])
    }

    /// Whether pixel `i` shows this object alone in every shape band that there is.
    fn is_own(&self, i: usize) -> bool {
        !self.masked[i] && self.shape_bands.iter().all(|&b| self.is_usable(b, i))
    }

    /// Whether there is enough of the object to tell what it is: a shape band, pixels of its own, and flux.
    pub fn has_basis(&self) -> bool {
        let own = (0..AREA).filter(|&i| in_aperture(i) && self.is_own(i)).count();
        let fluxes = || self.shape_bands.iter().map(|&b| self.point_source[b]);
        own >= FEWEST_USABLE && fluxes().all(|p| p.flux.is_finite() && p.error > 0.0) && fluxes().any(|p| p.flux > 0.0)
    }
}

/// Whether pixel `i` of a stamp enters fluxes.
fn in_aperture(i: usize) -> bool {
    DISTANCE_SQUARED[i] < FLUX_WITHIN_PX * FLUX_WITHIN_PX
}

fn count(used: &[bool; AREA]) -> usize {
    used.iter().filter(|u| **u).count()
}

#[cfg(test)]
mod tests;
