//! Trails of satellites: straight, as wide as the PSF or a little wider, and in one band alone.

use rand::Rng;

use super::conditions::BandConditions;
use super::spec::Spec;
use super::streams::{Purpose, stream};
use twinpeak_core::frame::Plane;
use twinpeak_core::survey::Survey;

/// Brightness along the middle, in units of the sky's noise in a pixel: its logarithm is even between these.
const PEAK_SIGMA: [f64; 2] = [2.0, 40.0];
/// Width in units of the PSF's: satellites are near, and out of focus.
const WIDENED: [f64; 2] = [1.0, 1.6];
/// Standard deviations from the middle beyond which nothing is drawn.
const REACH: f64 = 5.0;

/// Adds to the noiseless light of band `b` the trails that fall into it.
pub(super) fn add(light: &mut Plane<f32>, spec: &Spec, survey: &Survey, band: &BandConditions, b: usize) {
    let bands: Vec<usize> = survey.planes().collect();
    for k in 0..spec.artefacts.satellite_trails {
        let mut rng = stream(spec, Purpose::Trails, 0, k as u64);
        let own = bands[rng.random_range(0..bands.len())];
        let (x, y) = (rng.random_range(0.0..spec.width as f64), rng.random_range(0.0..spec.height as f64));
        let (s, c) = rng.random_range(0.0..std::f64::consts::PI).sin_cos();
        let peak = PEAK_SIGMA[0] * (PEAK_SIGMA[1] / PEAK_SIGMA[0]).powf(rng.random());
        let width = rng.random_range(WIDENED[0]..WIDENED[1]) * band.psf.fwhm_px / 2.3548;
        if own != b {
            continue;
        }
        let peak = peak * band.sky_sigma_nmgy();
        for row in 0..light.height() {
            for column in 0..light.width() {
                let across = ((column as f64 - x) * s - (row as f64 - y) * c) / width;
                if across.abs() < REACH {
                    let added = peak * (-0.5 * across * across).exp();
                    light.set(column, row, light.at(column, row) + added as f32);
                }
            }
        }
    }
}
