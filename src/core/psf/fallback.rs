//! A round Moffat profile for frames with too few stars (Moffat 1969), beta 3: between a Gaussian and the wings of
//! real seeing.

use super::{AREA, RADIUS, SIDE, TERMS};

const BETA: f64 = 3.0;
/// Samples a pixel side.
const SAMPLES: usize = 5;

/// Position terms of a constant, unit-sum profile of this full width at half maximum, px.
pub(super) fn moffat(fwhm_px: f64) -> [Vec<f64>; TERMS] {
    // Below a pixel or so the width is the pixel's own; a nonsense width must not make a nonsense PSF.
    let fwhm_px = if fwhm_px.is_finite() { fwhm_px.clamp(0.5, SIDE as f64) } else { 3.0 };
    let alpha = fwhm_px / (2.0 * (2f64.powf(1.0 / BETA) - 1.0).sqrt());
    let offset = |i: usize| (i as f64 + 0.5) / SAMPLES as f64 - 0.5;
    let mut profile: Vec<f64> = (0..AREA)
        .map(|i| {
            let (x, y) = ((i % SIDE) as f64 - RADIUS as f64, (i / SIDE) as f64 - RADIUS as f64);
            let samples = (0..SAMPLES * SAMPLES).map(|s| {
                let r = (x + offset(s % SAMPLES)).hypot(y + offset(s / SAMPLES));
                (1.0 + (r / alpha).powi(2)).powf(-BETA)
            });
            samples.sum::<f64>()
        })
        .collect();
    let sum: f64 = profile.iter().sum();
    profile.iter_mut().for_each(|p| *p /= sum);
    [profile, vec![0.0; AREA], vec![0.0; AREA]]
}
