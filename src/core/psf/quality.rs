//! How good a band's PSF is: what goes into the frame's record and the metrics.

use super::spline::{coefficients, cut};
use super::stars::Registration;
use super::{Psf, RADIUS, SIDE};
use crate::aperture::APERTURE_DIAMETER_ARCSEC;
use crate::frame::Plane;

/// Samples a pixel side of the oversampled PSF.
const FINE: usize = 8;
/// Side of the oversampled part, px.
const PART: usize = 21;
/// Full width at half maximum of a Gaussian of unit standard deviation, as the reference rounds it.
const FWHM_PER_SIGMA: f64 = 2.355;

/// Facts about the PSF of one band at the frame's centre.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PsfQuality {
    /// Diameter of the circle with the area above half of the peak, arcsec.
    pub fwhm_arcsec: f64,
    /// 1 - b/a of that area.
    pub ellipticity: f64,
    /// Full width of the Gaussian with the same noise-equivalent area, px: the one to use for a matched filter.
    pub effective_fwhm_px: f64,
    /// What an aperture flux of a star is multiplied by to hold all light of the PSF's stamp.
    pub ap_corr: f64,
    /// Noise-equivalent area, px^2: the noise of a PSF flux is sigma times its root.
    pub noise_area_px: f64,
    /// Stars that made it.
    pub stars: usize,
    /// Whether there were too few and the fallback serves.
    pub fallback: bool,
    /// Robust root mean square of the stars' own centroids about the positions that the WCS predicts, px.
    pub registration_residual_px: f64,
    /// Median of the same along x and y, px; NaN without stars.
    pub registration_offset_px: [f64; 2],
    /// Standard error of that median in each direction, px.
    pub registration_offset_error_px: f64,
}

impl PsfQuality {
    /// Of a band that was not taken.
    pub const ABSENT: Self = Self {
        fwhm_arcsec: f64::NAN,
        ellipticity: f64::NAN,
        effective_fwhm_px: f64::NAN,
        ap_corr: f64::NAN,
        noise_area_px: f64::NAN,
        stars: 0,
        fallback: false,
        registration_residual_px: f64::NAN,
        registration_offset_px: [f64::NAN; 2],
        registration_offset_error_px: f64::NAN,
    };
}

/// What the stars say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stars {
    pub used: usize,
    pub registration: Registration,
}

pub(super) fn of(psf: &Psf, band: usize, stars: Stars, pixel_scale_arcsec: f64) -> PsfQuality {
    let stamp = psf.at_centre(band);
    let noise_area_px = 1.0 / stamp.iter().map(|&p| f64::from(p).powi(2)).sum::<f64>();
    let (fwhm_px, ellipticity) = half_maximum(Plane::from_pixels(SIDE, SIDE, stamp.to_vec()));
    PsfQuality {
        fwhm_arcsec: fwhm_px * pixel_scale_arcsec,
        ellipticity,
        effective_fwhm_px: FWHM_PER_SIGMA * (noise_area_px / (4.0 * std::f64::consts::PI)).sqrt(),
        ap_corr: 1.0 / psf.enclosed(band, APERTURE_DIAMETER_ARCSEC / 2.0 / pixel_scale_arcsec),
        noise_area_px,
        stars: stars.used,
        fallback: psf.is_fallback(band),
        registration_residual_px: stars.registration.residual_px,
        registration_offset_px: stars.registration.offset_px,
        registration_offset_error_px: stars.registration.offset_error_px,
    }
}

/// Diameter (px) and ellipticity of the area above half of the peak, on a grid 8 times finer.
fn half_maximum(stamp: Plane<f32>) -> (f64, f64) {
    let c = coefficients(&stamp);
    let phase = |i: usize| (i as f64 + 0.5) / FINE as f64 - 0.5;
    let mut fine = Vec::with_capacity(FINE * FINE * PART * PART);
    let mut part = [0.0; PART * PART];
    for i in 0..FINE * FINE {
        let (fx, fy) = (phase(i % FINE), phase(i / FINE));
        cut(&c, (RADIUS as f64 + fx, RADIUS as f64 + fy), PART / 2, &mut part);
        let at = |k: usize| ((k % PART) as f64 + fx, (k / PART) as f64 + fy);
        fine.extend(part.iter().enumerate().map(|(k, &v)| (v, at(k))));
    }
    let peak = fine.iter().map(|f| f.0).fold(0.0, f32::max);
    let above: Vec<(f64, f64)> = fine.iter().filter(|f| f.0 > peak / 2.0).map(|f| f.1).collect();
    let n = above.len() as f64;
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| above.iter().map(f).sum::<f64>() / n;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let xx = mean(&|p| (p.0 - x).powi(2));
    let yy = mean(&|p| (p.1 - y).powi(2));
    let xy = mean(&|p| (p.0 - x) * (p.1 - y));
    let spread = ((xx - yy) / 2.0).hypot(xy);
    let (major, minor) = ((xx + yy) / 2.0 + spread, (xx + yy) / 2.0 - spread);
    let diameter = 2.0 * (n / (FINE * FINE) as f64 / std::f64::consts::PI).sqrt();
    let ellipticity = 1.0 - (minor / major).max(0.0).sqrt();
    (diameter, if ellipticity.is_finite() { ellipticity } else { 0.0 })
}
