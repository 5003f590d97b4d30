//! The best flux of a point source of known PSF and position.

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

/// Weighted least squares over the `used` pixels; the weights are fixed by a first, unweighted flux.
pub fn fit_point_source(pixels: &Stamp, psf: &Stamp, used: &[bool; AREA], noise: &Noise) -> PointSource {
    let of_use = || (0..AREA).filter(|&i| used[i]).map(|i| (f64::from(pixels[i]), f64::from(psf[i])));
    let (mut yp, mut pp) = (0.0, 0.0);
    for (y, p) in of_use() {
        yp += y * p;
        pp += p * p;
    }
    let first = (yp / pp).max(0.0);
    let (mut yp, mut pp) = (0.0, 0.0);
    for (y, p) in of_use() {
        let weight = noise.weight(first * p);
        yp += y * p * weight;
        pp += p * p * weight;
    }
    let fit = PointSource { flux: yp / pp, error: pp.sqrt().recip() };
    if fit.flux.is_finite() && fit.error.is_finite() { fit } else { PointSource::NONE }
}
