//! An elliptical galaxy through the PSF, by its Fourier transform: an exponential disc (Freeman 1970) or a spheroid (de
//! Vaucouleurs 1948), stretched along one axis.
//!
//! A round profile's transform is a function F of (k r_e)^2, and stretching the galaxy stretches its transform the other
//! way:
//!
//! ```text
//! F_disc(Q) = (1 + Q / 1.678^2)^(-3/2)          F_spheroid(Q) from a table (Hankel transform, cut at 8 r_e)
//! Q = k' M k          M = r_e^2 / (1 - e^2) | 1 + e^2 + 2 e1   2 e2            |
//!                                           | 2 e2             1 + e^2 - 2 e1  |
//! ```
//!
//! with e = (a - b) / (a + b), (e1, e2) = e (cos 2 theta, sin 2 theta), and r_e the geometric mean of both half-light axes.
//! Times the PSF's transform that is the image's: no pixel is sampled, so nothing depends on where in a pixel a cusp
//! lies, and slopes along all parameters are as exact as the image.

use std::cmp::Ordering;
use std::f64::consts::TAU;
use std::sync::LazyLock;

mod fit;

pub use fit::{EllipseFit, FARTHEST_PX, Patch, fit};

use super::Ellipse;
use super::bank::{Coefficients, HALF_LARGE, RIM, spline_response, transformed};
use super::fourier::{Fourier, SIDE_64, SIDE_128, Spectrum};
use crate::frame::PerBand;
use crate::psf::{Psf, TERMS};

/// How light falls off with radius.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Exponential.
    Disc,
    /// De Vaucouleurs, cut at 8 half-light radii.
    Spheroid,
}

/// Size and shape of an elliptical galaxy before the PSF.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// How its light falls off.
    pub profile: Profile,
    /// Geometric mean of the half-light semi-axes, px.
    pub radius_px: f64,
    /// (a - b) / (a + b) times the cosine of twice the angle of the major axis, from +x to +y.
    pub e1: f64,
    /// The same with the sine.
    pub e2: f64,
}

impl Shape {
    /// Smallest and largest radius, px.
    pub const RADII_PX: (f64, f64) = (0.25, 9.0);
    /// Largest ellipticity: axes as 1 to .18.
    pub const MOST_ELLIPTICAL: f64 = 0.7;

    /// Half-light semi-axes, px.
    pub fn axes_px(&self) -> (f64, f64) {
        let e = self.e1.hypot(self.e2);
        let stretch = ((1.0 + e) / (1.0 - e)).sqrt();
        (self.radius_px * stretch, self.radius_px / stretch)
    }

    /// Angle of the major axis, from +x to +y, radians in -pi/2..=pi/2.
    pub fn theta(&self) -> f64 {
        0.5 * self.e2.atan2(self.e1)
    }

    /// M of the module's comment as (xx, xy, yy), and its slopes along ln r_e, e1, e2.
    fn stretch(&self) -> [[f64; 3]; 4] {
        let (e1, e2) = (self.e1, self.e2);
        let e_squared = e1 * e1 + e2 * e2;
        let scale = self.radius_px * self.radius_px / (1.0 - e_squared);
        let m = [1.0 + e_squared + 2.0 * e1, 2.0 * e2, 1.0 + e_squared - 2.0 * e1].map(|v| v * scale);
        // The scale's own slope along an ellipticity is 2 e / (1 - e^2) of it.
        let along = |e: f64, inner: [f64; 3]| -> [f64; 3] {
            std::array::from_fn(|i| scale * inner[i] + m[i] * 2.0 * e / (1.0 - e_squared))
        };
        let along_e1 = along(e1, [2.0 * e1 + 2.0, 0.0, 2.0 * e1 - 2.0]);
        let along_e2 = along(e2, [2.0 * e2, 2.0, 2.0 * e2]);
        [m, m.map(|v| 2.0 * v), along_e1, along_e2]
    }
}

impl Profile {
    /// F and its slope at Q.
    fn transform(self, q: f64) -> (f64, f64) {
        const SCALE: f64 = 1.678 * 1.678;
        match self {
            Self::Disc => {
                let u = 1.0 + q / SCALE;
                let f = 1.0 / (u * u.sqrt());
                (f, -1.5 * f / u / SCALE)
            }
            Self::Spheroid => SPHEROID.at(q),
        }
    }
}

/// F of the spheroid, at even steps of ln(1 + Q).
struct Table(Vec<f64>);

static SPHEROID: LazyLock<Table> = LazyLock::new(Table::spheroid);

impl Table {
    const STEP: f64 = 1.0 / 64.0;
    /// ln(1 + Q) of the last entry: no galaxy of ours and no frequency of an image lead further.
    const LAST: f64 = 10.0;

    fn spheroid() -> Self {
        // Rings of light, close together at the cusp.
        const RINGS: usize = 2500;
        let ring = |i: usize| {
            let edge = |i: usize| 8.0 * (i as f64 / RINGS as f64).powi(2);
            let (inner, outer) = (edge(i), edge(i + 1));
            let middle = 0.5 * (inner + outer);
            (middle, (outer - inner) * middle * (-7.669 * ((middle + 1e-4).powf(0.25) - 1.0)).exp())
        };
        let rings: Vec<(f64, f64)> = (0..RINGS).map(ring).collect();
        let light: f64 = rings.iter().map(|r| r.1).sum();
        let at = |i: usize| {
            let k = (i as f64 * Self::STEP).exp_m1().sqrt();
            rings.iter().map(|(r, w)| w * bessel_j0(k * r)).sum::<f64>() / light
        };
        Self((0..=(Self::LAST / Self::STEP) as usize + 1).map(at).collect())
    }

    fn at(&self, q: f64) -> (f64, f64) {
        let t = (q.ln_1p() / Self::STEP).min(Self::LAST / Self::STEP);
        let i = t as usize;
        let (low, high) = (self.0[i], self.0[i + 1]);
        (low + (t - i as f64) * (high - low), (high - low) / Self::STEP / (1.0 + q))
    }
}

/// The Bessel function J0 of x >= 0, to 1e-7 (Abramowitz & Stegun 1964, 9.4.1 and 9.4.3).
fn bessel_j0(x: f64) -> f64 {
    let sum = |t: f64, terms: [f64; 7]| terms.iter().rev().fold(0.0, |sum, c| sum * t + c);
    if x < 3.0 {
        let t = (x / 3.0).powi(2);
        return sum(t, [1.0, -2.249_999_7, 1.265_620_8, -0.316_386_6, 0.044_447_9, -0.003_944_4, 0.000_210_0]);
    }
    let t = 3.0 / x;
    let f = [0.797_884_56, -0.000_000_77, -0.005_527_40, -0.000_095_12, 0.001_372_37, -0.000_728_05, 0.000_144_76];
    let p = [
        -std::f64::consts::FRAC_PI_4,
        -0.041_663_97,
        -0.000_039_54,
        0.002_625_73,
        -0.000_541_25,
        -0.000_293_33,
        0.000_135_58,
    ];
    sum(t, f) * (x + sum(t, p)).cos() / x.sqrt()
}

/// A frame's PSF as its Fourier transform, on a grid of one side.
pub struct PsfTransform {
    fourier: &'static Fourier,
    psf: Psf,
    /// By band, of the three position terms.
    terms: PerBand<[Spectrum; TERMS]>,
}

impl PsfTransform {
    /// On 64 x 64 px: for fits to what lies near the middle.
    pub fn for_fits(psf: &Psf) -> Self {
        Self::new(psf, &SIDE_64)
    }

    /// On 128 x 128 px: for images as large as they are drawn.
    pub fn for_images(psf: &Psf) -> Self {
        Self::new(psf, &SIDE_128)
    }

    fn new(psf: &Psf, fourier: &'static Fourier) -> Self {
        let terms =
            std::array::from_fn(|b| psf.terms(b).each_ref().map(|term| transformed(&[term.as_slice()], fourier)));
        Self { fourier, psf: psf.clone(), terms }
    }

    /// Side of the grid, px.
    fn side(&self) -> usize {
        self.fourier.side()
    }

    /// Radians a pixel of each index of an axis; 0 for Nyquist's, which has no sign.
    fn frequencies(&self) -> Vec<f64> {
        let n = self.side();
        let signed = |j: usize| match j.cmp(&(n / 2)) {
            Ordering::Less => j as f64,
            Ordering::Equal => 0.0,
            Ordering::Greater => j as f64 - n as f64,
        };
        (0..n).map(|j| TAU * signed(j) / n as f64).collect()
    }

    /// exp(-i k shift) of each index of an axis, as cosine and sine.
    fn phases(&self, shift: f64) -> Vec<(f64, f64)> {
        self.frequencies().into_iter().map(|k| ((k * shift).cos(), -(k * shift).sin())).collect()
    }

    /// Transform of the PSF of `band` at reference position `at`, of unit sum, moved by `shift` px. Nyquist's frequency
    /// is left out: a moved image has no one value there.
    fn at(&self, band: usize, at: (f64, f64), shift: (f64, f64)) -> Spectrum {
        let n = self.side();
        let weights = self.psf.weights(band, at.0, at.1);
        let mut spectrum = Spectrum::zeros(n);
        for (term, &w) in self.terms[band].iter().zip(&weights).filter(|(_, w)| **w != 0.0) {
            let w = f64::from(w);
            spectrum.re.iter_mut().zip(&term.re).for_each(|(to, from)| *to += w * from);
            spectrum.im.iter_mut().zip(&term.im).for_each(|(to, from)| *to += w * from);
        }
        let (along_x, along_y) = (self.phases(shift.0), self.phases(shift.1));
        for (y, &(cos_y, sin_y)) in along_y.iter().enumerate() {
            for (x, &(cos_x, sin_x)) in along_x.iter().enumerate() {
                let (cos, sin) = (cos_x * cos_y - sin_x * sin_y, cos_x * sin_y + sin_x * cos_y);
                let i = y * n + x;
                let (re, im) = (spectrum.re[i], spectrum.im[i]);
                let nyquist = x == n / 2 || y == n / 2;
                (spectrum.re[i], spectrum.im[i]) =
                    if nyquist { (0.0, 0.0) } else { (re * cos - im * sin, re * sin + im * cos) };
            }
        }
        spectrum
    }

    /// F of a galaxy and its slopes along ln r_e, e1 and e2, on the grid.
    fn of(&self, shape: &Shape) -> Transform {
        let n = self.side();
        let [m, along @ ..] = shape.stretch();
        let frequencies = self.frequencies();
        let mut transform = Transform { value: vec![0.0; n * n], slopes: std::array::from_fn(|_| vec![0.0; n * n]) };
        // F is even: half of it is the other half.
        for y in 0..=n / 2 {
            let ky = frequencies[y];
            for (x, kx) in frequencies.iter().enumerate() {
                let q = |m: &[f64; 3]| m[0] * kx * kx + 2.0 * m[1] * kx * ky + m[2] * ky * ky;
                let (value, slope) = shape.profile.transform(q(&m));
                let (here, there) = (y * n + x, (n - y) % n * n + (n - x) % n);
                (transform.value[here], transform.value[there]) = (value, value);
                for (to, along) in transform.slopes.iter_mut().zip(&along) {
                    let slope = slope * q(along);
                    (to[here], to[there]) = (slope, slope);
                }
            }
        }
        transform
    }

    /// The image of a galaxy of unit total light through the PSF of `band` at reference position `at`.
    fn coefficients(&self, shape: &Shape, band: usize, at: (f64, f64)) -> Coefficients {
        let n = self.side();
        let mut spectrum = self.at(band, at, (0.0, 0.0));
        let blur: Vec<f64> = (0..n).map(|i| spline_response(i, n)).collect();
        for (i, f) in self.of(shape).value.into_iter().enumerate() {
            let gain = f / (blur[i / n] * blur[i % n]);
            spectrum.re[i] *= gain;
            spectrum.im[i] *= gain;
        }
        self.fourier.inverse(&mut spectrum);
        Coefficients::cut(&spectrum.re, n, HALF_LARGE + RIM)
    }
}

impl Ellipse {
    /// A galaxy's image through the PSFs of a frame, made by [`PsfTransform::for_images`], at reference position `at`.
    pub fn new(shape: &Shape, errors: [f64; 3], psf: &PsfTransform, at: (f64, f64)) -> Self {
        Self {
            half_light_radius_px: shape.radius_px,
            e1: shape.e1,
            e2: shape.e2,
            de_vaucouleurs: shape.profile == Profile::Spheroid,
            errors,
            coefficients: std::array::from_fn(|b| psf.coefficients(shape, b, at)),
        }
    }
}

/// A galaxy's transform, real since it is even.
struct Transform {
    value: Vec<f64>,
    /// Along ln r_e, e1, e2.
    slopes: [Vec<f64>; 3],
}

#[cfg(test)]
pub(super) mod tests;
