//! The best flux of a point source of known PSF and position.

use crate::frame::Plane;
use crate::psf::{AREA, Stamp};

/// Error of the PSF model, as a share of its own value.
const PSF_MODEL_ERROR: f64 = 0.03;

/// Where a band's variance comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Sky noise of a pixel, nMgy.
    pub sigma: f64,
    /// Photon variance per unit of flux, nMgy.
    pub nmgy_per_electron: f64,
}

impl Noise {
    /// Variance of a pixel with `source` nMgy of an object's light, nMgy^2.
    pub fn variance(&self, source: f64) -> f64 {
        self.sigma * self.sigma + self.nmgy_per_electron * source.max(0.0)
    }

    /// The noise of one pixel of a band, by the survey's variances of its sky where there are any.
    pub(crate) fn at(self, variance: Option<&Plane<f32>>, x: isize, y: isize) -> Self {
        let here = variance.and_then(|variance| variance.get(x, y)).filter(|v| v.is_finite());
        here.map_or(self, |v| Self { sigma: f64::from(v).sqrt(), ..self })
    }

    /// A pixel's weight in fits, nMgy^-2: the inverse of its variance and of the PSF model's own error there.
    pub(super) fn weight(&self, source: f64) -> f64 {
        1.0 / (self.variance(source) + (PSF_MODEL_ERROR * source).powi(2))
    }
}

/// A flux and its standard error, nMgy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointSource {
    /// Best flux, nMgy.
    pub flux: f64,
    /// nMgy, with the PSF model's own error.
    pub error: f64,
}

impl PointSource {
    /// Where there is nothing to measure.
    pub const NONE: Self = Self { flux: f64::NAN, error: f64::NAN };

    /// Signal to noise: flux over its standard error.
    pub fn sn(&self) -> f64 {
        self.flux / self.error
    }
}

/// Weighted least squares over the `used` pixels, of the `noise` of each; the weights are fixed by a first, unweighted
/// flux.
pub fn fit_point_source(
    pixels: &Stamp,
    psf: &Stamp,
    used: &[bool; AREA],
    noise: impl Fn(usize) -> Noise,
) -> PointSource {
    let of_use = || (0..AREA).filter(|&i| used[i]).map(|i| (i, f64::from(pixels[i]), f64::from(psf[i])));
    let (mut yp, mut pp) = (0.0, 0.0);
    for (_, y, p) in of_use() {
        yp += y * p;
        pp += p * p;
    }
    let first = (yp / pp).max(0.0);
    let (mut yp, mut pp) = (0.0, 0.0);
    for (i, y, p) in of_use() {
        let weight = noise(i).weight(first * p);
        yp += y * p * weight;
        pp += p * p * weight;
    }
    let fit = PointSource { flux: yp / pp, error: pp.sqrt().recip() };
    if fit.flux.is_finite() && fit.error.is_finite() { fit } else { PointSource::NONE }
}
