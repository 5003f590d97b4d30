//! The width of one source: what is known of the seeing where no PSF can be made.

use crate::filter::FWHM_PER_SIGMA;
use crate::frame::{Plane, mask};

/// Pixels within this many standard deviations of the first guess are fitted.
const WITHIN_SIGMA: f64 = 3.0;
/// Standard deviations that are searched, px.
const SIGMA_PX: (f64, f64) = (0.4, 12.0);

/// Full width at half maximum of the round Gaussian, on a constant, that fits the pixels about (x, y) best by least
/// squares, px; `sigma_px` is where the search begins. `None` where the pixels are too few or show no peak.
pub fn gaussian_fwhm_px(pixels: &Plane<f32>, bits: &Plane<u8>, (x, y): (f64, f64), sigma_px: f64) -> Option<f64> {
    let mut sigma = sigma_px.clamp(SIGMA_PX.0, SIGMA_PX.1);
    for _ in 0..4 {
        let reach = (WITHIN_SIGMA * sigma).max(2.5);
        let near = samples(pixels, bits, (x, y), reach);
        sigma = best_sigma(&near)?;
    }
    Some(FWHM_PER_SIGMA * sigma)
}

/// (squared distance, value) of usable pixels.
fn samples(pixels: &Plane<f32>, bits: &Plane<u8>, (x, y): (f64, f64), reach: f64) -> Vec<(f64, f64)> {
    let mut near = Vec::new();
    for iy in super::extent(y, reach, pixels.height()) {
        for ix in super::extent(x, reach, pixels.width()) {
            let r2 = (ix as f64 - x).powi(2) + (iy as f64 - y).powi(2);
            if r2 <= reach * reach && bits.at(ix, iy) & mask::UNUSABLE == 0 {
                near.push((r2, f64::from(pixels.at(ix, iy))));
            }
        }
    }
    near
}

/// Golden section over ln sigma: for each, height and constant follow by linear least squares.
fn best_sigma(near: &[(f64, f64)]) -> Option<f64> {
    const FEWEST: usize = 12;
    if near.len() < FEWEST {
        return None;
    }
    let misfit = |ln_sigma: f64| {
        let two_s2 = 2.0 * (2.0 * ln_sigma).exp();
        let n = near.len() as f64;
        let (mut g, mut gg, mut v, mut gv, mut vv) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for &(r2, value) in near {
            let shape = (-r2 / two_s2).exp();
            (g, gg, v, gv, vv) = (g + shape, gg + shape * shape, v + value, gv + shape * value, vv + value * value);
        }
        let spread = gg - g * g / n;
        let along = gv - g * v / n;
        if along <= 0.0 { f64::INFINITY } else { vv - v * v / n - along * along / spread }
    };
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let (mut low, mut high) = (SIGMA_PX.0.ln(), SIGMA_PX.1.ln());
    while high - low > 1e-4 {
        let (a, b) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
        if misfit(a) <= misfit(b) { high = b } else { low = a }
    }
    let found = 0.5 * (low + high);
    let inside = found > SIGMA_PX.0.ln() + 1e-3 && found < SIGMA_PX.1.ln() - 1e-3;
    (inside && misfit(found).is_finite()).then(|| found.exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gaussian_has_its_own_width_wherever_it_lies_and_whatever_it_lies_on() {
        for (fwhm, x, y, sky) in [(2.2, 20.0, 20.0, 0.0), (3.7, 20.3, 19.6, 5.0), (6.0, 20.5, 20.5, -3.0)] {
            let sigma: f64 = fwhm / FWHM_PER_SIGMA;
            let value =
                |ix: f64, iy: f64| sky + 100.0 * (-((ix - x).powi(2) + (iy - y).powi(2)) / (2.0 * sigma * sigma)).exp();
            let pixels = Plane::from_pixels(
                41,
                41,
                (0..41 * 41).map(|i| value((i % 41) as f64, (i / 41) as f64) as f32).collect(),
            );
            let bits = Plane::filled(41, 41, 0);
            for first in [0.7, 2.0, 5.0] {
                let found = gaussian_fwhm_px(&pixels, &bits, (x, y), first).unwrap();
                assert!((found / fwhm - 1.0).abs() < 1e-3, "{fwhm} from {first}: {found}");
            }
        }
    }

    #[test]
    fn what_is_no_peak_has_no_width() {
        let bits = Plane::filled(41, 41, 0);
        assert_eq!(gaussian_fwhm_px(&Plane::filled(41, 41, 1.0), &bits, (20.0, 20.0), 1.5), None);
        let hole =
            Plane::from_pixels(41, 41, (0..41 * 41).map(|i| if i == 20 * 41 + 20 { -9.0 } else { 0.0 }).collect());
        assert_eq!(gaussian_fwhm_px(&hole, &bits, (20.0, 20.0), 1.5), None);
        let unusable = Plane::filled(41, 41, mask::BAD);
        assert_eq!(gaussian_fwhm_px(&Plane::filled(41, 41, 1.0), &unusable, (20.0, 20.0), 1.5), None);
    }
}
