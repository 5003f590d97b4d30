//! How much of a star's light lies within a circle: what makes an aperture's flux of a star total.

use super::spline::{coefficients, cut};
use super::{Psf, RADIUS, SIDE};
use crate::aperture::Ellipse;
use crate::frame::Plane;

/// Positions within a pixel, a side, over which the share is averaged: a star's centre may lie anywhere in its pixel.
const PHASES: usize = 4;

impl Psf {
    /// Share of a star's light, of all that the PSF's stamp holds, within a circle of `radius_px` about a star of `band`
    /// at the frame's centre. Pixels count by their overlap, as in the catalogue's apertures.
    pub fn enclosed(&self, band: usize, radius_px: f64) -> f64 {
        let spline = coefficients(&Plane::from_pixels(SIDE, SIDE, self.at_centre(band).to_vec()));
        let circle = Ellipse::circle(radius_px);
        let phase = |i: usize| (i as f64 + 0.5) / PHASES as f64 - 0.5;
        let middle = RADIUS as f64;
        let mut pixels = [0.0; SIDE * SIDE];
        let mut share = 0.0;
        for i in 0..PHASES * PHASES {
            let (fx, fy) = (phase(i % PHASES), phase(i / PHASES));
            cut(&spline, (middle + fx, middle + fy), RADIUS, &mut pixels);
            let from_star = |k: usize| ((k % SIDE) as f64 - middle + fx, (k / SIDE) as f64 - middle + fy);
            let held = |(k, &light): (usize, &f32)| {
                let (dx, dy) = from_star(k);
                circle.overlap(dx, dy) * f64::from(light)
            };
            share += pixels.iter().enumerate().map(held).sum::<f64>();
        }
        share / (PHASES * PHASES) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::BANDS;
    use crate::psf::{AREA, Stamp};

    /// A Gaussian, integrated over pixels finely enough.
    fn gaussian(sigma: f64) -> Stamp {
        const FINE: usize = 11;
        let at = |i: usize| (i as f64 + 0.5) / FINE as f64 - 0.5;
        let light = |k: usize| -> f64 {
            let (x, y) = ((k % SIDE) as f64 - RADIUS as f64, (k / SIDE) as f64 - RADIUS as f64);
            let r2 = |i: usize| (x + at(i % FINE)).powi(2) + (y + at(i / FINE)).powi(2);
            let mean: f64 = (0..FINE * FINE).map(|i| (-r2(i) / (2.0 * sigma * sigma)).exp()).sum();
            mean / ((FINE * FINE) as f64 * std::f64::consts::TAU * sigma * sigma)
        };
        let stamp: [f64; AREA] = std::array::from_fn(light);
        stamp.map(|v| v as f32)
    }

    #[test]
    fn a_gaussian_s_share_is_the_formula_s() {
        for (sigma, radius) in [(1.4, 3.788), (1.8, 3.788), (1.5, 6.0), (2.5, 3.0)] {
            let psf = Psf::constant(&[gaussian(sigma); BANDS]);
            // A pixel's light is an average over it, and counts as if it were spread over it: twice a variance of 1/12 px^2.
            let expected = 1.0 - (-radius * radius / (2.0 * (sigma * sigma + 1.0 / 6.0))).exp();
            let found = psf.enclosed(2, radius);
            assert!((found - expected).abs() < 1e-3, "sigma {sigma}, radius {radius}: {found} {expected}");
        }
    }

    #[test]
    fn all_of_the_stamp_is_all_of_the_light() {
        let psf = Psf::moffat(&[3.5; BANDS], (2048, 1489), 2);
        let shares: Vec<f64> = (1..=24).map(|r| psf.enclosed(2, f64::from(r))).collect();
        assert!(shares.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6), "{shares:?}");
        assert!((shares[23] - 1.0).abs() < 5e-3, "{}", shares[23]);
    }
}
