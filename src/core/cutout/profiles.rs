//! What a galaxy can look like through a frame's PSF: sixteen round profiles, exponential (Freeman 1970) and
//! de Vaucouleurs (1948), of eight sizes, each convolved with the PSF.
//!
//! ```text
//! exponential     I(r) = exp(-1.678 r / r_e)
//! de Vaucouleurs  I(r) = exp(-7.669 ((r / r_e)^(1/4) - 1)), cut at 8 r_e
//! ```
//!
//! The PSF is a sum of three stamps with weights linear in position, and convolution is linear: so it is done once a
//! frame, to the three stamps, and an object costs a weighted sum. Only pixels that enter fluxes are kept, packed in a
//! row; the rest of the row is 0.

use std::sync::LazyLock;

use rayon::prelude::*;

use super::FLUX_WITHIN_PX;
use crate::frame::{BANDS, PerBand};
use crate::psf::{AREA, DISTANCE_SQUARED, Psf, RADIUS, SIDE, TERMS};

/// Half-light radii of the galaxies, px: from a third of what a pixel shows to what the aperture holds.
pub const HALF_LIGHT_RADII_PX: [f64; 8] = [0.35, 0.6, 0.9, 1.3, 1.9, 2.8, 4.0, 6.0];
/// Profiles of galaxies: by rising radius, exponential before de Vaucouleurs.
pub const GALAXIES: usize = 2 * HALF_LIGHT_RADII_PX.len();
/// The point source, then the galaxies.
pub const MODELS: usize = 1 + GALAXIES;

/// Pixels within the aperture.
const APERTURE: usize = 305;
/// Where they lie in a stamp.
const APERTURE_AT: [u16; APERTURE] = {
    let mut at = [0; APERTURE];
    let (mut n, mut i) = (0, 0);
    while i < AREA {
        if DISTANCE_SQUARED[i] < FLUX_WITHIN_PX * FLUX_WITHIN_PX {
            at[n] = i as u16;
            n += 1;
        }
        i += 1;
    }
    assert!(n == APERTURE);
    at
};
/// Sums run over so many pixels side by side.
pub(super) const LANES: usize = 8;
const PACKED: usize = APERTURE.next_multiple_of(LANES);
/// Pixels within the aperture row by row, then zeros.
pub(super) type Packed = [f32; PACKED];

/// Rows and columns at each side of a stamp that are beyond the aperture.
const RIM: usize = RADIUS - FLUX_WITHIN_PX as usize;
/// Rows that the aperture has pixels in, and columns, made up to whole lanes.
const ROWS: usize = SIDE - 2 * RIM;
const COLUMNS: usize = ROWS.next_multiple_of(LANES);

/// A profile's pixels below this share of its light are left out of the convolution.
const NEGLIGIBLE: f32 = 1e-9;
/// Samples a pixel side.
const SAMPLES: usize = 5;

/// One frame's PSF convolved with every profile.
pub struct Profiles {
    psf: Psf,
    /// By band and profile, the three position terms.
    terms: PerBand<Vec<[Packed; TERMS]>>,
}

impl Profiles {
    /// Convolves: some 10 ms of one core.
    pub fn new(psf: &Psf) -> Self {
        let each: Vec<[Packed; TERMS]> = (0..BANDS * GALAXIES)
            .into_par_iter()
            .map(|i| {
                let terms = psf.terms(i / GALAXIES);
                std::array::from_fn(|t| KERNELS[i % GALAXIES].convolve(&terms[t]))
            })
            .collect();
        Self { psf: psf.clone(), terms: std::array::from_fn(|b| each[b * GALAXIES..(b + 1) * GALAXIES].to_vec()) }
    }

    /// Galaxy `k` of unit flux in `band` at reference position `at`.
    pub(super) fn galaxy(&self, band: usize, k: usize, at: (f64, f64)) -> Packed {
        let [a, b, c] = &self.terms[band][k];
        let [one, u, v] = self.psf.weights(band, at.0, at.1);
        std::array::from_fn(|i| one * a[i] + u * b[i] + v * c[i])
    }
}

/// The aperture's pixels of a stamp.
pub(super) fn pack(pixel: impl Fn(usize) -> f32) -> Packed {
    let mut packed = [0.0; PACKED];
    for (to, &i) in packed.iter_mut().zip(&APERTURE_AT) {
        *to = pixel(usize::from(i));
    }
    packed
}

/// The profiles are the same for every frame, and take longer than a frame's convolutions.
static KERNELS: LazyLock<Vec<Kernel>> = LazyLock::new(|| (0..GALAXIES).map(Kernel::new).collect());

/// A profile without its negligible rim.
struct Kernel {
    reach: usize,
    /// (2 reach + 1)^2 pixels.
    pixels: Vec<f32>,
}

impl Kernel {
    fn new(k: usize) -> Self {
        let profile = circular(HALF_LIGHT_RADII_PX[k / 2], k % 2 == 1);
        let across = &profile[RADIUS * SIDE + RADIUS..(RADIUS + 1) * SIDE];
        let reach = across.iter().rposition(|&p| p > NEGLIGIBLE).unwrap_or(0);
        let kept = RADIUS - reach..=RADIUS + reach;
        let row = |y: usize| profile[y * SIDE + kept.start()..=y * SIDE + kept.end()].to_vec();
        Self { reach, pixels: kept.clone().flat_map(row).collect() }
    }

    /// The aperture's pixels of a stamp convolved with this; the stamp is 0 beyond its rim.
    fn convolve(&self, stamp: &[f32]) -> Packed {
        // A PSF without position terms has zeros for them.
        if stamp.iter().all(|&p| p == 0.0) {
            return [0.0; PACKED];
        }
        let mut padded = [[0.0f32; SIDE + 2 * RADIUS + LANES]; SIDE];
        for (to, from) in padded.iter_mut().zip(stamp.chunks_exact(SIDE)) {
            to[RADIUS..RADIUS + SIDE].copy_from_slice(from);
        }
        let row = |y: usize| {
            let mut out = [0.0f32; COLUMNS];
            for (dy, weights) in self.pixels.chunks_exact(2 * self.reach + 1).enumerate() {
                let from = (y + RIM + self.reach).checked_sub(dy).and_then(|from| padded.get(from));
                let Some(from) = from else { continue };
                // Backwards: the last weight meets the first pixel.
                let from = from[RIM + RADIUS - self.reach..].windows(COLUMNS);
                for (&weight, from) in weights.iter().rev().zip(from.filter_map(<[f32]>::first_chunk)) {
                    accumulate(&mut out, weight, from);
                }
            }
            out
        };
        let out: [[f32; COLUMNS]; ROWS] = std::array::from_fn(row);
        pack(|i| out[i / SIDE - RIM][i % SIDE - RIM])
    }
}

/// A profile of unit sum, averaged over the samples of each pixel.
fn circular(half_light_radius_px: f64, de_vaucouleurs: bool) -> Vec<f32> {
    let offset = |s: usize| (s as f64 + 0.5) / SAMPLES as f64 - 0.5;
    let light = |q: f64| match de_vaucouleurs {
        false => (-1.678 * q).exp(),
        true if q < 8.0 => (-7.669 * ((q + 1e-4).powf(0.25) - 1.0)).exp(),
        true => 0.0,
    };
    let pixel = |x: usize, y: usize| {
        let samples = (0..SAMPLES * SAMPLES).map(|s| {
            let r = (x as f64 + offset(s % SAMPLES)).hypot(y as f64 + offset(s / SAMPLES));
            light(r / half_light_radius_px)
        });
        samples.sum::<f64>()
    };
    // An eighth of the stamp is all of it: every run of the program waits for these.
    let eighth: Vec<Vec<f64>> = (0..=RADIUS).map(|x| (0..=x).map(|y| pixel(x, y)).collect()).collect();
    let mirrored = |i: usize| {
        let (x, y) = ((i % SIDE).abs_diff(RADIUS), (i / SIDE).abs_diff(RADIUS));
        eighth[x.max(y)][x.min(y)]
    };
    let pixels: Vec<f64> = (0..AREA).map(mirrored).collect();
    let sum: f64 = pixels.iter().sum();
    pixels.into_iter().map(|p| (p / sum) as f32).collect()
}

fn accumulate(to: &mut [f32; COLUMNS], weight: f32, from: &[f32; COLUMNS]) {
    for (t, f) in to.iter_mut().zip(from) {
        *t += weight * f;
    }
}
