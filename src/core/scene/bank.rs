//! What an object can look like in this frame: the point source and sixteen round galaxies of
//! [`crate::cutout::GALAXIES`], each convolved with the three position terms of each band's PSF and kept as
//! cubic B-spline coefficients, so that an image at any position is a short sum.
//!
//! Convolution and the spline's own filter are one division in Fourier space, on squares so large that nothing that is
//! drawn has wrapped around; only then are the coefficients cut. (Cut before the spline's filter, they would ring.) A
//! model's unit is its total light, and a galaxy's wings beyond what is drawn belong to that.

use std::sync::LazyLock;

use rayon::prelude::*;

use super::fourier::{Fourier, SIDE_64, SIDE_128, Spectrum};
use crate::cutout::{GALAXIES, HALF_LIGHT_RADII_PX};
use crate::frame::BANDS;
use crate::psf::{Psf, RADIUS, SIDE, TERMS};

/// Models of the bank: the point source, then the galaxies.
pub const MODELS: usize = 1 + GALAXIES;
/// Half the side of what is drawn of the point source and of small galaxies, px...
pub const HALF_SMALL: usize = RADIUS;
/// ...and of large ones: from [`LARGE_FROM_PX`] on, and of all ellipses.
pub const HALF_LARGE: usize = 24;
/// Half-light radius from which a galaxy is large, px.
pub const LARGE_FROM_PX: f64 = 2.8;
/// A spline takes from two coefficients beyond what is drawn; one more for positions between pixels.
pub(super) const RIM: usize = 3;

/// B-spline coefficients about an object's middle: a square of side `2 reach + 1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    /// Half the side, px.
    pub reach: usize,
    /// Row by row.
    pub values: Vec<f32>,
}

/// One frame's models.
pub struct ModelBank {
    /// By band and model, the three position terms.
    terms: Vec<[Coefficients; TERMS]>,
}

/// Half the side of what is drawn of model `k` of the bank, px.
pub fn half_drawn(k: usize) -> usize {
    let large = k > 0 && HALF_LIGHT_RADII_PX[(k - 1) / 2] >= LARGE_FROM_PX;
    if large { HALF_LARGE } else { HALF_SMALL }
}

impl ModelBank {
    /// Convolves: some 25 ms of one core.
    pub fn new(psf: &Psf) -> Self {
        // Two stamps are transformed as one complex image; the kernel is real, so that they stay apart.
        let stamps: Vec<&[f32]> = (0..BANDS).flat_map(|b| psf.terms(b).iter().map(Vec::as_slice)).collect();
        let pairs: Vec<(Spectrum, Spectrum)> =
            stamps.par_chunks(2).map(|pair| (transformed(pair, &SIDE_64), transformed(pair, &SIDE_128))).collect();
        let made: Vec<Vec<Coefficients>> = (0..MODELS * pairs.len())
            .into_par_iter()
            .map(|i| {
                let (k, pair) = (i % MODELS, &pairs[i / MODELS]);
                let large = half_drawn(k) == HALF_LARGE;
                let (mut spectrum, fourier) =
                    if large { (pair.1.clone(), &SIDE_128) } else { (pair.0.clone(), &SIDE_64) };
                let kernel = &KERNELS[k];
                spectrum.re.iter_mut().zip(kernel).for_each(|(v, k)| *v *= k);
                spectrum.im.iter_mut().zip(kernel).for_each(|(v, k)| *v *= k);
                fourier.inverse(&mut spectrum);
                let reach = half_drawn(k) + RIM;
                [&spectrum.re, &spectrum.im].map(|image| Coefficients::cut(image, spectrum.side, reach)).into()
            })
            .collect();
        let stamp = |k: usize, s: usize| made[s / 2 * MODELS + k][s % 2].clone();
        let terms =
            (0..BANDS * MODELS).map(|i| std::array::from_fn(|t| stamp(i % MODELS, i / MODELS * TERMS + t))).collect();
        Self { terms }
    }

    /// The position terms of model `k` in `band`.
    pub(super) fn terms(&self, band: usize, k: usize) -> &[Coefficients; TERMS] {
        &self.terms[band * MODELS + k]
    }
}

impl Coefficients {
    /// The middle of a periodic image whose object is on its first pixel.
    pub fn cut(image: &[f64], side: usize, reach: usize) -> Self {
        let wrapped = |i: usize| (i + side - reach) % side;
        let row = |y: usize| (0..=2 * reach).map(move |x| image[wrapped(y) * side + wrapped(x)] as f32);
        Self { reach, values: (0..=2 * reach).flat_map(row).collect() }
    }
}

/// The transform of one or two stamps, the middle pixel of each on the square's first, as real and imaginary part.
pub(super) fn transformed(stamps: &[&[f32]], fourier: &Fourier) -> Spectrum {
    let mut s = Spectrum::zeros(fourier.side());
    let n = s.side;
    for i in 0..SIDE * SIDE {
        let wrapped = |v: usize| (v + n - RADIUS) % n;
        let to = wrapped(i / SIDE) * n + wrapped(i % SIDE);
        s.re[to] = f64::from(stamps[0][i]);
        s.im[to] = stamps.get(1).map_or(0.0, |stamp| f64::from(stamp[i]));
    }
    fourier.forward(&mut s);
    s
}

/// The transform of each model's profile over that of the cubic B-spline, which makes coefficients of pixels.
static KERNELS: LazyLock<Vec<Vec<f64>>> = LazyLock::new(|| (0..MODELS).map(kernel).collect());

fn kernel(k: usize) -> Vec<f64> {
    let fourier: &Fourier = if half_drawn(k) == HALF_LARGE { &SIDE_128 } else { &SIDE_64 };
    let side = fourier.side();
    let mut s = Spectrum::zeros(side);
    match k.checked_sub(1) {
        None => s.re[0] = 1.0,
        Some(galaxy) => draw(&mut s, HALF_LIGHT_RADII_PX[galaxy / 2], galaxy % 2 == 1),
    }
    fourier.forward(&mut s);
    let spline: Vec<f64> = (0..side).map(|i| spline_response(i, side)).collect();
    (0..side * side).map(|i| s.re[i] / (spline[i % side] * spline[i / side])).collect()
}

/// What a cubic B-spline's samples (1/6, 4/6, 1/6) do to frequency `i / side`.
pub(super) fn spline_response(i: usize, side: usize) -> f64 {
    (4.0 + 2.0 * (std::f64::consts::TAU * i as f64 / side as f64).cos()) / 6.0
}

/// A round profile of unit sum about the first pixel, averaged over the samples of each pixel.
fn draw(s: &mut Spectrum, half_light_radius_px: f64, de_vaucouleurs: bool) {
    let light = |q: f64| match de_vaucouleurs {
        false => (-1.678 * q).exp(),
        true if q < 8.0 => (-7.669 * ((q + 1e-4).powf(0.25) - 1.0)).exp(),
        true => 0.0,
    };
    // An exponential has 1e-7 of its light beyond.
    let reach = ((12.0 * half_light_radius_px).ceil() as usize).min(s.side / 2 - 1);
    let samples = if half_light_radius_px < 1.0 { 9 } else { 5 };
    let offset = |i: usize| (i as f64 + 0.5) / samples as f64 - 0.5;
    let pixel = |x: usize, y: usize| {
        let each = (0..samples * samples).map(|i| {
            light((x as f64 + offset(i % samples)).hypot(y as f64 + offset(i / samples)) / half_light_radius_px)
        });
        each.sum::<f64>()
    };
    let n = s.side;
    for y in 0..=reach {
        for x in 0..=y {
            let value = pixel(x, y);
            let mirrored = |v: usize| [v, (n - v) % n];
            for (x, y) in [(x, y), (y, x)] {
                for (x, y) in mirrored(x).into_iter().flat_map(|x| mirrored(y).map(|y| (x, y))) {
                    s.re[y * n + x] = value;
                }
            }
        }
    }
    let sum: f64 = s.re.iter().sum();
    s.re.iter_mut().for_each(|v| *v /= sum);
}
