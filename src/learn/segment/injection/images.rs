//! Images of sources: a frame's PSF, sharper and wider too, convolved with galaxies of several sizes and shapes.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use twinpeak_core::frame::{BANDS, PerBand};
use twinpeak_core::psf::{RADIUS, SIDE, Stamp};

/// An image reaches so far from its middle pixel.
pub(super) const REACH: usize = 25;
/// Side of an image, px.
pub(super) const WIDE: usize = 2 * REACH + 1;
/// Half-light radii of galaxies along their major axes, px; and 0, a point.
const RADII_PX: [f32; 9] = [0.0, 0.35, 0.6, 0.9, 1.3, 1.8, 2.5, 3.5, 5.0];
/// Axis ratios; the last is a de Vaucouleurs profile, the others exponential ones.
const SHAPES: [f32; 4] = [1.0, 0.7, 0.45, 0.3];
/// A frame's seeing, and others that the net shall know.
pub(super) const ZOOMS: [f32; 3] = [0.85, 1.0, 1.2];

/// An image in five bands, each of unit flux, row by row.
pub(super) type Image = PerBand<Vec<f32>>;

/// All images under one PSF.
pub(super) struct Images {
    /// A point, then shape by shape for each radius.
    all: Vec<Image>,
}

impl Images {
    /// Under these PSFs, magnified.
    pub(super) fn new(psf: &PerBand<Box<Stamp>>, zoom: f32, rng: &mut ChaCha8Rng) -> Self {
        let psf = psf.each_ref().map(|stamp| zoomed(stamp, zoom));
        let mut all = vec![psf.each_ref().map(|psf| widened(psf))];
        for radius in RADII_PX.into_iter().skip(1) {
            for (i, axis_ratio) in SHAPES.into_iter().enumerate() {
                let angle = rng.random_range(0.0..std::f32::consts::PI);
                let profile = Profile { radius, axis_ratio, angle, de_vaucouleurs: i + 1 == SHAPES.len() }.sampled();
                all.push(psf.each_ref().map(|psf| convolved(psf, &profile)));
            }
        }
        Self { all }
    }

    /// The image of the nearest radius, of a random shape.
    pub(super) fn of(&self, radius_px: f32, rng: &mut ChaCha8Rng) -> &Image {
        let nearest =
            |a: &usize, b: &usize| (RADII_PX[*a] - radius_px).abs().total_cmp(&(RADII_PX[*b] - radius_px).abs());
        let radius = (0..RADII_PX.len()).min_by(nearest).unwrap_or(0);
        let shape = rng.random_range(0..SHAPES.len());
        if radius == 0 { &self.all[0] } else { &self.all[1 + (radius - 1) * SHAPES.len() + shape] }
    }
}

/// The four weights of cubic interpolation (Catmull & Rom 1974) at a fraction from the second sample to the third.
pub(super) fn cubic(t: f32) -> [f32; 4] {
    [
        0.5 * t * (-1.0 + t * (2.0 - t)),
        1.0 + 0.5 * t * t * (3.0 * t - 5.0),
        0.5 * t * (1.0 + t * (4.0 - 3.0 * t)),
        0.5 * t * t * (t - 1.0),
    ]
}

/// A PSF of `zoom` times the width, of unit sum and nowhere negative.
fn zoomed(psf: &Stamp, zoom: f32) -> Vec<f32> {
    let at = |x: i32, y: i32| {
        let inside = (0..SIDE as i32).contains(&x) && (0..SIDE as i32).contains(&y);
        if inside { psf[y as usize * SIDE + x as usize] } else { 0.0 }
    };
    let sample = |i: usize| {
        let place = |i: usize| RADIUS as f32 + (i as f32 - RADIUS as f32) / zoom;
        let (x, y) = (place(i % SIDE), place(i / SIDE));
        let (wx, wy) = (cubic(x - x.floor()), cubic(y - y.floor()));
        let (x, y) = (x.floor() as i32 - 1, y.floor() as i32 - 1);
        let row = |j: usize| (0..4).map(|i| wx[i] * at(x + i as i32, y + j as i32)).sum::<f32>();
        (0..4).map(|j| wy[j] * row(j)).sum::<f32>().max(0.0)
    };
    unit((0..SIDE * SIDE).map(sample).collect())
}

/// The PSF on an image's grid.
fn widened(psf: &[f32]) -> Vec<f32> {
    let mut image = vec![0.0; WIDE * WIDE];
    for (y, row) in psf.chunks_exact(SIDE).enumerate() {
        image[(y + REACH - RADIUS) * WIDE + REACH - RADIUS..][..SIDE].copy_from_slice(row);
    }
    image
}

fn unit(mut image: Vec<f32>) -> Vec<f32> {
    let sum = image.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    image.iter_mut().for_each(|p| *p /= sum);
    image
}

/// A galaxy before the seeing.
struct Profile {
    radius: f32,
    axis_ratio: f32,
    angle: f32,
    de_vaucouleurs: bool,
}

/// Side of a sampled profile: an image's, and what the PSF carries in from beyond.
const GRID: usize = WIDE + 2 * RADIUS;

impl Profile {
    /// Its light in each pixel, of unit sum.
    fn sampled(&self) -> Vec<f32> {
        const SAMPLES: usize = 5;
        let (sin, cos) = self.angle.sin_cos();
        let offset = |i: usize| (i as f32 + 0.5) / SAMPLES as f32 - 0.5 - (GRID / 2) as f32;
        let light = |x: f32, y: f32| {
            let (u, v) = (x * cos + y * sin, (y * cos - x * sin) / self.axis_ratio);
            let r = (u * u + v * v + 1e-4).sqrt() / self.radius;
            match self.de_vaucouleurs {
                true if r < 6.0 => (-7.67 * (r.powf(0.25) - 1.0)).exp(),
                true => 0.0,
                false => (-1.678 * r).exp(),
            }
        };
        let pixel = |i: usize| {
            let (x, y) = ((i % GRID) as f32, (i / GRID) as f32);
            let samples = (0..SAMPLES * SAMPLES).map(|s| light(x + offset(s % SAMPLES), y + offset(s / SAMPLES)));
            samples.sum::<f32>()
        };
        unit((0..GRID * GRID).map(pixel).collect())
    }
}

/// A profile seen through a PSF: the image's part of their convolution.
fn convolved(psf: &[f32], profile: &[f32]) -> Vec<f32> {
    let mut image = vec![0.0; WIDE * WIDE];
    for (i, &weight) in psf.iter().enumerate().filter(|(_, w)| **w > 1e-7) {
        let (dx, dy) = (i % SIDE, i / SIDE);
        for (y, row) in image.chunks_exact_mut(WIDE).enumerate() {
            let from = &profile[(y + 2 * RADIUS - dy) * GRID + 2 * RADIUS - dx..][..WIDE];
            row.iter_mut().zip(from).for_each(|(p, f)| *p += weight * f);
        }
    }
    image
}

/// The image shifted by a part of a pixel, turned and flipped, into `out`.
pub(super) fn placed(image: &[f32], (dx, dy): (f32, f32), symmetry: usize, out: &mut Vec<f32>) {
    let turn = |x: usize, y: usize| {
        let x = if symmetry & 1 != 0 { WIDE - 1 - x } else { x };
        let y = if symmetry & 2 != 0 { WIDE - 1 - y } else { y };
        if symmetry & 4 != 0 { (y, x) } else { (x, y) }
    };
    // A shift by d looks back by d: between the pixels at floor(-d) and one further.
    let (fx, fy) = ((-dx).floor(), (-dy).floor());
    let (wx, wy) = (cubic(-dx - fx), cubic(-dy - fy));
    let (fx, fy) = (fx as isize - 1, fy as isize - 1);
    let mut across = vec![0.0; WIDE * WIDE];
    for y in 0..WIDE {
        for x in 0..WIDE {
            let taps = wx.iter().enumerate().map(|(i, w)| {
                let from = x as isize + fx + i as isize;
                let inside = (0..WIDE as isize).contains(&from);
                if inside {
                    let (u, v) = turn(from as usize, y);
                    w * image[v * WIDE + u]
                } else {
                    0.0
                }
            });
            across[y * WIDE + x] = taps.sum();
        }
    }
    out.clear();
    out.resize(WIDE * WIDE, 0.0);
    for (y, row) in out.chunks_exact_mut(WIDE).enumerate() {
        for (i, w) in wy.iter().enumerate() {
            let from = y as isize + fy + i as isize;
            if (0..WIDE as isize).contains(&from) {
                let from = &across[from as usize * WIDE..][..WIDE];
                row.iter_mut().zip(from).for_each(|(p, f)| *p += w * f);
            }
        }
    }
    out.iter_mut().for_each(|p| *p = p.max(0.0));
}

/// Bands that have light in an image's place: those of `flux` that are not 0.
pub(super) fn lit(flux: &PerBand<f32>) -> impl Iterator<Item = usize> + '_ {
    (0..BANDS).filter(|b| flux[*b] > 0.0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn gaussian(sigma: f32) -> Box<Stamp> {
        let at = |i: usize| ((i % SIDE) as f32 - RADIUS as f32, (i / SIDE) as f32 - RADIUS as f32);
        let values = (0..SIDE * SIDE).map(|i| (-0.5 * (at(i).0.powi(2) + at(i).1.powi(2)) / sigma.powi(2)).exp());
        let values = unit(values.collect());
        Box::new(std::array::from_fn(|i| values[i]))
    }

    /// Sum, centre and variances of an image about its middle pixel.
    fn moments(image: &[f32]) -> [f32; 5] {
        let mut m = [0.0; 5];
        for (i, &p) in image.iter().enumerate() {
            let (x, y) = ((i % WIDE) as f32 - REACH as f32, (i / WIDE) as f32 - REACH as f32);
            [1.0, x, y, x * x, y * y].iter().zip(&mut m).for_each(|(v, m)| *m += v * p);
        }
        [m[0], m[1] / m[0], m[2] / m[0], m[3] / m[0] - (m[1] / m[0]).powi(2), m[4] / m[0] - (m[2] / m[0]).powi(2)]
    }

    #[test]
    fn variances_add_under_convolution_and_grow_with_the_zoom() {
        let psf: PerBand<Box<Stamp>> = std::array::from_fn(|_| gaussian(1.5));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for zoom in ZOOMS {
            let images = Images::new(&psf, zoom, &mut rng);
            let [sum, x, y, xx, yy] = moments(&images.all[0][2]);
            let expected = (1.5 * zoom).powi(2);
            assert!((sum - 1.0).abs() < 1e-4 && x.abs() < 1e-3 && y.abs() < 1e-3, "{sum} {x} {y}");
            assert!(
                (xx / expected - 1.0).abs() < 0.06 && (yy / expected - 1.0).abs() < 0.06,
                "{zoom}: {xx} {expected}"
            );
            // A round exponential disc of half-light radius r has a variance of 3 (r / 1.678)^2 along each axis.
            let disc = &images.all[1 + 4 * SHAPES.len()][2];
            let [sum, .., xx, yy] = moments(disc);
            let of_disc = 3.0 * (1.8f32 / 1.678).powi(2);
            assert!(sum > 0.98 && ((xx + yy) / 2.0 / (expected + of_disc) - 1.0).abs() < 0.08, "{xx} {yy} {expected}");
        }
    }

    #[test]
    fn a_shift_moves_the_centre_and_a_turn_does_not() {
        let psf: PerBand<Box<Stamp>> = std::array::from_fn(|_| gaussian(1.5));
        let images = Images::new(&psf, 1.0, &mut ChaCha8Rng::seed_from_u64(1));
        let long = &images.all[1 + 5 * SHAPES.len() + 2][2];
        let mut out = Vec::new();
        for symmetry in 0..8 {
            placed(long, (0.3, -0.4), symmetry, &mut out);
            let [sum, x, y, ..] = moments(&out);
            assert!((sum - 1.0).abs() < 0.02 && (x - 0.3).abs() < 0.02 && (y + 0.4).abs() < 0.02, "{sum} {x} {y}");
        }
    }
}
