//! The classifier's input: what is left after the fitted point source is taken away, in units of its noise, and
//! what would be left of a real point source.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Cutout, in_aperture};
use crate::model::{STAMP, STAMP_LEN};
use crate::psf::{AREA, RADIUS, SIDE, Stamp};

/// Beyond this S/N the PSF model's error, not noise, rules the residual.
pub const SN_FLOOR: f64 = 30.0;
const MARGIN: usize = RADIUS - STAMP / 2;

impl Cutout {
    /// The 21x21 classifier input: the S/N-weighted mean of the shape bands' residuals, zero on neighbours. A pixel that some
    /// shape band does not show, beyond the frame's edge or on a defect, has the value of the one opposite: the nets see all
    /// symmetries of the square at once, and with zeros there 6.2 % of the objects beside an edge got a wrong class (r 16 to
    /// 22, simulated), so 5.0 %.
    ///
    /// Unit-norm weights keep a faint star's stamp at unit noise; the floor 1/sqrt(1 + (SN/30)^2) stops the PSF
    /// model's error from swamping bright stars. This transform is what makes the method work.
    pub fn stamp(&self) -> Box<[f32; STAMP_LEN]> {
        self.combine(|b| {
            let flux = self.point_source[b].flux;
            std::array::from_fn(|i| {
                let source = flux * f64::from(self.psf[b][i]);
                (f64::from(self.pixels[b][i]) - source) / self.noise_at(b, i).variance(source).sqrt()
            })
        })
    }

    /// The simulated point-source control: the stamp of a point source of this flux, PSF and neighbours, which is noise
    /// alone. Fitting a flux and a position takes three directions out of the noise, so they are taken out here too.
    /// The same `seed` gives the same stamp.
    pub fn control_stamp(&self, seed: u64) -> Box<[f32; STAMP_LEN]> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        self.combine(|b| {
            let flux = self.point_source[b].flux;
            let sigma: [f64; AREA] =
                std::array::from_fn(|i| self.noise_at(b, i).variance(flux * f64::from(self.psf[b][i])).sqrt());
            let mut noise: [f64; AREA] = std::array::from_fn(|i| {
                let unit: f64 = StandardNormal.sample(&mut random);
                unit * sigma[i]
            });
            let weight: [f64; AREA] = std::array::from_fn(|i| {
                let counts = in_aperture(i) && self.is_own(i);
                if counts { (sigma[i] * sigma[i]).recip() } else { 0.0 }
            });
            let psf = &self.psf[b];
            for direction in [psf.map(f64::from), slope(psf, 1), slope(psf, SIDE)] {
                remove(&mut noise, &direction, &weight);
            }
            std::array::from_fn(|i| noise[i] / sigma[i])
        })
    }

    /// S/N over the shape bands.
    pub fn sn(&self) -> f64 {
        self.shape_bands.iter().map(|&b| self.point_source[b].sn().powi(2)).sum::<f64>().sqrt()
    }

    fn combine(&self, mut residual_in_sigma: impl FnMut(usize) -> [f64; AREA]) -> Box<[f32; STAMP_LEN]> {
        let sn = self.sn().max(0.1);
        let floor = (1.0 + (sn / SN_FLOOR).powi(2)).sqrt();
        let mut sum = [0.0; AREA];
        for &b in &self.shape_bands {
            let weight = self.point_source[b].sn() / sn / floor;
            for (s, r) in sum.iter_mut().zip(residual_in_sigma(b)) {
                *s += weight * r;
            }
        }
        Box::new(std::array::from_fn(|i| {
            let i = (i / STAMP + MARGIN) * SIDE + i % STAMP + MARGIN;
            let opposite = AREA - 1 - i;
            let is_missing = self.shape_bands.iter().any(|&b| !self.is_usable(b, i));
            match (self.is_own(i), is_missing && self.is_own(opposite)) {
                (true, _) => sum[i] as f32,
                (false, true) => sum[opposite] as f32,
                (false, false) => 0.0,
            }
        }))
    }
}

/// Slope of a stamp per pixel along x (`by` 1) or y (`by` SIDE): central differences, one-sided at the rim.
fn slope(stamp: &Stamp, by: usize) -> [f64; AREA] {
    std::array::from_fn(|i| {
        let along = if by == 1 { i % SIDE } else { i / SIDE };
        let (low, high) = (if along > 0 { i - by } else { i }, if along + 1 < SIDE { i + by } else { i });
        let width = if low == i || high == i { 1.0 } else { 2.0 };
        (f64::from(stamp[high]) - f64::from(stamp[low])) / width
    })
}

/// Takes the weighted projection on `direction` out of `noise`.
fn remove(noise: &mut [f64; AREA], direction: &[f64; AREA], weight: &[f64; AREA]) {
    let (mut along, mut length) = (0.0, 0.0);
    for ((&n, &d), &w) in noise.iter().zip(direction).zip(weight) {
        along += w * n * d;
        length += w * d * d;
    }
    let share = along / length.max(1e-9);
    for (n, &d) in noise.iter_mut().zip(direction) {
        *n -= share * d;
    }
}
