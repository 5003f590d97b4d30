//! A field to learn from, for the tests of this crate and of those who train the net otherwise.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{TrainingFrame, injection, teacher};
use twinpeak_core::frame::{BANDS, PerBand, Plane};
use twinpeak_core::psf::{AREA, DISTANCE_SQUARED, Stamp};

/// Gaussian blobs of S/N 3 to 30 a pixel at their peaks on white noise, five bands alike.
pub fn field(seed: u64) -> TrainingFrame {
    const SIDE: usize = 192;
    const BLOB_PX: f64 = 1.6;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut flux = Plane::filled(SIDE, SIDE, 0.0f32);
    for _ in 0..60 {
        let (x, y) = (rng.random_range(8.0..184.0), rng.random_range(8.0..184.0));
        let peak = 3.0 * 10f64.powf(rng.random_range(0.0..1.0));
        for row in 0..SIDE {
            for column in 0..SIDE {
                let r2 = (column as f64 - x).powi(2) + (row as f64 - y).powi(2);
                let value = flux.at(column, row) + (peak * (-0.5 * r2 / BLOB_PX.powi(2)).exp()) as f32;
                flux.set(column, row, value);
            }
        }
    }
    let planes: PerBand<_> = std::array::from_fn(|_| flux.map(|f| f + rng.sample::<f32, _>(StandardNormal)));
    let noise_only: PerBand<_> = std::array::from_fn(|_| flux.map(|_| rng.sample::<f32, _>(StandardNormal)));
    let weights = teacher::Weights::new(&[1.0; BANDS], &[1.0; BANDS], &[1, 2, 3]);
    let pseudo_labels = teacher::teach(&planes, &weights, 2.355 * BLOB_PX);
    let occupied = Plane::filled(SIDE, SIDE, false);
    TrainingFrame { planes, noise_only, occupied, pseudo_labels, sources: sources(BLOB_PX) }
}

/// Round sources of all five bands alike, in noise of 1 nMgy a pixel, as large as the PSF and larger.
fn sources(psf_px: f64) -> injection::Library {
    let squared = |i: usize| f64::from(DISTANCE_SQUARED[i]);
    let values: Vec<f64> = (0..AREA).map(|i| (-0.5 * squared(i) / psf_px.powi(2)).exp()).collect();
    let sum: f64 = values.iter().sum();
    let psf: Box<Stamp> = Box::new(std::array::from_fn(|i| (values[i] / sum) as f32));
    let limit_nmgy = 5.0 * (4.0 * std::f64::consts::PI).sqrt() * psf_px;
    injection::Library {
        psf: std::array::from_fn(|_| psf.clone()),
        sigma_nmgy: [1.0; BANDS],
        nmgy_per_electron: [1e-3; BANDS],
        weights: [(1.0 / BANDS as f32).sqrt(); BANDS],
        depth_mag: (22.5 - 2.5 * limit_nmgy.log10()) as f32,
        fwhm_px: 2.355 * psf_px,
        kinds: (0..40).map(|i| injection::Kind { colour: [1.0; BANDS], radius_px: 0.03 * i as f32 }).collect(),
    }
}

/// Intersection over union of the pixels above a threshold with the teacher's.
pub fn overlap(scores: &Plane<f32>, threshold: f32, taught: &Plane<bool>) -> f64 {
    let (mut both, mut either) = (0.0, 0.0);
    for (&score, &object) in scores.pixels().iter().zip(taught.pixels()) {
        both += f64::from(u8::from(score > threshold && object));
        either += f64::from(u8::from(score > threshold || object));
    }
    both / either
}
