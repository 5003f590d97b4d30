use super::*;
use crate::psf::{AREA, RADIUS, SIDE, Stamp};

/// A Gaussian PSF of this width, the same in all bands.
pub(in crate::scene) const SIGMA_PX: f64 = 1.4;

pub(in crate::scene) fn gaussian_psf() -> Psf {
    let stamp: Stamp = std::array::from_fn(|i| {
        let (x, y) = ((i % SIDE) as f64 - RADIUS as f64, (i / SIDE) as f64 - RADIUS as f64);
        (gaussian(x, y)) as f32
    });
    assert_eq!(stamp.len(), AREA);
    Psf::constant(&[stamp; 5])
}

fn gaussian(x: f64, y: f64) -> f64 {
    (-(x * x + y * y) / (2.0 * SIGMA_PX * SIGMA_PX)).exp() / (std::f64::consts::TAU * SIGMA_PX * SIGMA_PX)
}

/// Unit light of an ellipse through the Gaussian, at pixels at these distances from its middle: rings of light of the
/// round profile, each stretched, and each of its points blurred.
pub(in crate::scene) fn direct(ellipse: &Shape, pixels: &[(f64, f64)]) -> Vec<f64> {
    let (a, b) = ellipse.axes_px();
    let (sin, cos) = ellipse.theta().sin_cos();
    let light = |q: f64| match ellipse.profile {
        Profile::Disc => (-1.678 * q).exp(),
        Profile::Spheroid => (-7.669 * ((q + 1e-4).powf(0.25) - 1.0)).exp(),
    };
    let (farthest, rings) = (if ellipse.profile == Profile::Disc { 14.0 } else { 8.0f64 }, 160);
    let mut points = Vec::new();
    for ring in 0..rings {
        let edge = |i: usize| farthest * (i as f64 / rings as f64).powi(3);
        let (inner, outer) = (edge(ring), edge(ring + 1));
        // A ring's light from finer ones.
        let fine = |k: usize| inner + (outer - inner) * (k as f64 + 0.5) / 40.0;
        let weight: f64 = (0..40).map(|k| fine(k) * light(fine(k)) * (outer - inner) / 40.0).sum();
        let radius = (0..40).map(|k| fine(k) * fine(k) * light(fine(k)) * (outer - inner) / 40.0).sum::<f64>() / weight;
        let n = (8.0 + 14.0 * radius * a).min(160.0) as usize;
        for k in 0..n {
            let (s, c) = (std::f64::consts::TAU * (k as f64 + 0.37 * ring as f64) / n as f64).sin_cos();
            let (u, v) = (a * radius * c, b * radius * s);
            points.push((u * cos - v * sin, u * sin + v * cos, weight / n as f64));
        }
    }
    let total: f64 = points.iter().map(|p| p.2).sum();
    let at = |&(x, y): &(f64, f64)| points.iter().map(|p| p.2 * gaussian(x - p.0, y - p.1)).sum::<f64>() / total;
    pixels.iter().map(at).collect()
}

pub(in crate::scene) fn shapes() -> [Shape; 5] {
    let of = |profile, radius_px, e1, e2| Shape { profile, radius_px, e1, e2 };
    [
        of(Profile::Disc, 0.6, 0.0, 0.0),
        of(Profile::Disc, 2.0, 0.3, -0.2),
        of(Profile::Disc, 4.0, -0.5, 0.1),
        of(Profile::Spheroid, 0.9, -0.2, 0.3),
        of(Profile::Spheroid, 2.2, 0.1, -0.4),
    ]
}

/// Coefficients drawn at a shifted place are the convolution done point by point.
#[test]
fn the_image_is_the_convolution() {
    let transform = PsfTransform::for_images(&gaussian_psf());
    let radius = HALF_LARGE + RIM;
    let side = 2 * radius + 1;
    let shift = (0.3, -0.45);
    for ellipse in shapes() {
        let spline = transform.coefficients(&ellipse, 2, (500.0, 500.0)).values;
        let weights = |t: f64| {
            let u = 1.0 - t;
            [u * u * u, (3.0 * t - 6.0) * t * t + 4.0, ((-3.0 * t + 3.0) * t + 3.0) * t + 1.0, t * t * t]
                .map(|w| w / 6.0)
        };
        let drawn = |x: isize, y: isize| {
            let (px, py) = (x as f64 - shift.0 + radius as f64, y as f64 - shift.1 + radius as f64);
            let (x0, y0) = (px.floor(), py.floor());
            let (wx, wy) = (weights(px - x0), weights(py - y0));
            let mut sum = 0.0;
            for (j, wy) in wy.iter().enumerate() {
                for (i, wx) in wx.iter().enumerate() {
                    let at = (y0 as usize + j - 1) * side + x0 as usize + i - 1;
                    sum += wx * wy * f64::from(spline[at]);
                }
            }
            sum
        };
        let places: Vec<(isize, isize)> = (0..81).map(|i| ((i % 9 - 4) * 2, (i / 9 - 4) * 2)).collect();
        let pixels: Vec<(f64, f64)> = places.iter().map(|p| (p.0 as f64 - shift.0, p.1 as f64 - shift.1)).collect();
        let truth = direct(&ellipse, &pixels);
        let peak = truth.iter().copied().fold(0.0, f64::max);
        for (&(x, y), truth) in places.iter().zip(&truth) {
            assert!((drawn(x, y) - truth).abs() < 3e-3 * peak, "{ellipse:?} at {x} {y}: {} for {truth}", drawn(x, y));
        }
        let light: f64 = spline.iter().map(|&c| f64::from(c)).sum();
        let within = if ellipse.profile == Profile::Disc { 5e-3 } else { 0.06 };
        assert!((light - 1.0).abs() < within, "{ellipse:?}: {light}");
    }
}

/// Slopes of the transform against differences, and F against numpy 2: trapezoids of r I(r) J0(k r) with the same cusp
/// over 20,001 radii, J0 by its integral.
#[test]
fn slopes_are_those_of_differences() {
    let transform = PsfTransform::for_fits(&gaussian_psf());
    for ellipse in shapes() {
        let slopes = transform.of(&ellipse).slopes;
        let h = 1e-3;
        let moved = |p: usize, by: f64| {
            let mut e = ellipse;
            match p {
                0 => e.radius_px *= by.exp(),
                1 => e.e1 += by,
                _ => e.e2 += by,
            }
            transform.of(&e).value
        };
        for (p, slope) in slopes.iter().enumerate() {
            let (up, down) = (moved(p, h), moved(p, -h));
            let worst = slope.iter().zip(up.iter().zip(&down)).map(|(s, (u, d))| (s - (u - d) / (2.0 * h)).abs());
            let worst = worst.fold(0.0, f64::max);
            assert!(worst < 1.5e-2, "{ellipse:?} {p}: {worst}");
        }
    }
    for (k, value) in [(0.5f64, 0.776_509), (2.0, 0.377_375), (10.0, 0.082_140), (40.0, 0.013_136)] {
        let found = Profile::Spheroid.transform(k * k).0;
        assert!((found - value).abs() < 2e-4, "{k}: {found} is not {value}");
    }
}
