//! Sub-pixel cuts by cubic B-splines. The coefficients of a whole band are computed once; a cut at any position is
//! then one 4-tap filter along each axis, because the same fraction of a pixel holds for all of its pixels. The
//! coefficients are those of `scipy.ndimage.spline_filter(order=3)` with its default mirror boundary (Unser 1999).

use rayon::prelude::*;

use crate::frame::{Frame, PerBand, Plane};

/// The recursive filter's pole, sqrt(3) - 2.
const POLE: f32 = -0.267_949_2;
/// (1 - POLE) (1 - 1 / POLE), for each axis.
const GAIN: f32 = 6.0;
/// Terms of the sum that starts the recursion: POLE^24 is 2e-14.
const START: usize = 24;
/// Columns that go down the image together: a strip of a whole frame stays in the cache both ways.
const STRIP: usize = 256;
/// Longest side of a cut, px.
const LONGEST: usize = 64;

/// B-spline coefficients of the five bands.
#[derive(Clone, Debug, PartialEq)]
pub struct Splines {
    /// One plane a band, on that band's own grid.
    pub planes: PerBand<Plane<f32>>,
}

impl Splines {
    /// Filters the bands of a frame, in parallel. Pixels that are not finite count as 0.
    pub fn new(frame: &Frame) -> Self {
        let mut planes: Vec<Plane<f32>> = frame.bands.par_iter().map(|band| coefficients(&band.pixels)).collect();
        Self { planes: std::array::from_fn(|b| std::mem::take(&mut planes[b])) }
    }

    /// A square of pixels of `band` about its sub-pixel position `at`, which lands exactly on index `before` of both
    /// axes; zero beyond the frame. `out` has side^2 values, row by row, with a side of at most 64.
    ///
    /// # Panics
    /// For another length of `out`: a programmer's error.
    pub fn cut(&self, band: usize, at: (f64, f64), before: usize, out: &mut [f32]) {
        cut(&self.planes[band], at, before, out);
    }
}

/// B-spline coefficients of an image.
pub(super) fn coefficients(image: &Plane<f32>) -> Plane<f32> {
    let mut plane = image.map(|v| if v.is_finite() { v } else { 0.0 });
    let width = plane.width();
    if width < 2 || plane.height() < 2 {
        return plane;
    }
    plane.pixels_mut().par_chunks_mut(width).for_each(filter_row);
    filter_columns(&mut plane);
    plane
}

/// Index of the `k`-th sample to the left of a line's start, mirrored about its first and last sample.
fn mirrored(k: usize, length: usize) -> usize {
    let period = 2 * (length - 1);
    let k = k % period;
    k.min(period - k)
}

/// Factor of the last two causal values that starts the way back.
fn last(before: f32, end: f32) -> f32 {
    POLE / (POLE * POLE - 1.0) * (end + POLE * before)
}

fn filter_row(row: &mut [f32]) {
    let n = row.len();
    let mut power = 1.0;
    let mut c = 0.0;
    for k in 0..START {
        c += power * row[mirrored(k, n)];
        power *= POLE;
    }
    c *= GAIN;
    row[0] = c;
    for v in &mut row[1..] {
        c = GAIN * *v + POLE * c;
        *v = c;
    }
    c = last(row[n - 2], row[n - 1]);
    row[n - 1] = c;
    for v in row[..n - 1].iter_mut().rev() {
        c = POLE * (c - *v);
        *v = c;
    }
}

/// The same down the columns, a row at a time, so that neighbouring columns share a vector register.
fn filter_columns(plane: &mut Plane<f32>) {
    let (width, height) = (plane.width(), plane.height());
    let pixels = plane.pixels_mut();
    for left in (0..width).step_by(STRIP) {
        let n = STRIP.min(width - left);
        let mut carry = [0f32; STRIP];
        let carry = &mut carry[..n];
        let mut power = GAIN;
        for k in 0..START {
            let from = mirrored(k, height) * width + left;
            for (c, &v) in carry.iter_mut().zip(&pixels[from..from + n]) {
                *c += power * v;
            }
            power *= POLE;
        }
        pixels[left..left + n].copy_from_slice(carry);
        for y in 1..height {
            let from = y * width + left;
            for (c, v) in carry.iter_mut().zip(&mut pixels[from..from + n]) {
                *c = GAIN * *v + POLE * *c;
                *v = *c;
            }
        }
        let end = (height - 1) * width + left;
        for (i, c) in carry.iter_mut().enumerate() {
            *c = last(pixels[end - width + i], pixels[end + i]);
        }
        pixels[end..end + n].copy_from_slice(carry);
        for y in (0..height - 1).rev() {
            let from = y * width + left;
            for (c, v) in carry.iter_mut().zip(&mut pixels[from..from + n]) {
                *c = POLE * (*c - *v);
                *v = *c;
            }
        }
    }
}

/// The four weights of a cubic B-spline at a fraction `t` of a pixel.
fn weights(t: f64) -> [f32; 4] {
    let u = 1.0 - t;
    [u * u * u, (3.0 * t - 6.0) * t * t + 4.0, ((-3.0 * t + 3.0) * t + 3.0) * t + 1.0, t * t * t]
        .map(|w| (w / 6.0) as f32)
}

/// See [`Splines::cut`].
pub(super) fn cut(coefficients: &Plane<f32>, at: (f64, f64), before: usize, out: &mut [f32]) {
    let side = out.len().isqrt();
    assert!(side <= LONGEST && side * side == out.len(), "a cut is a square of at most {LONGEST} px a side");
    let (x0, y0) = (at.0.floor(), at.1.floor());
    let (wx, wy) = (weights(at.0 - x0), weights(at.1 - y0));
    // First row and column of the coefficients that are needed; so far outside that nothing is, for a wild position.
    let first = |v: f64| if v.abs() < 1e9 { v as isize - before as isize - 1 } else { isize::MIN / 2 };
    let (left, top) = (first(x0), first(y0));
    let (width, height) = (coefficients.width() as isize, coefficients.height() as isize);
    let span = side as isize + 3;
    let from = left.clamp(0, width);
    let to = (left + span).clamp(from, width);
    for (j, out_row) in out.chunks_exact_mut(side).enumerate() {
        let mut line = [0f32; LONGEST + 3];
        for (i, &w) in wy.iter().enumerate() {
            let y = top + (j + i) as isize;
            if to > from && (0..height).contains(&y) {
                let row = &coefficients.row(y as usize)[from as usize..to as usize];
                for (l, &c) in line[(from - left) as usize..].iter_mut().zip(row) {
                    *l += w * c;
                }
            }
        }
        for (i, o) in out_row.iter_mut().enumerate() {
            *o = wx[0] * line[i] + wx[1] * line[i + 1] + wx[2] * line[i + 2] + wx[3] * line[i + 3];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wavy(width: usize, height: usize) -> Plane<f32> {
        let value = |x: f32, y: f32| (x * 0.7).sin() * 3.0 + (y * 0.4 + x * 0.1).cos() + 0.01 * x * y;
        let pixels = (0..width * height).map(|i| value((i % width) as f32, (i / width) as f32));
        Plane::from_pixels(width, height, pixels.collect())
    }

    proptest! {
        #[test]
        fn a_cut_at_whole_pixels_gives_the_image_back(width in 2usize..90, height in 2usize..90, x in -40isize..130, y in -40isize..130) {
            let image = wavy(width, height);
            let mut out = vec![0.0; 31 * 31];
            cut(&coefficients(&image), (x as f64, y as f64), 15, &mut out);
            for (i, &v) in out.iter().enumerate() {
                let (px, py) = (x - 15 + (i % 31) as isize, y - 15 + (i / 31) as isize);
                // At the very edge of the frame a tap lies beyond it, and is left out.
                if px >= 1 && py >= 1 && px + 1 < width as isize && py + 1 < height as isize {
                    let truth = image.get(px, py).unwrap();
                    prop_assert!((v - truth).abs() < 1e-4 * (1.0 + truth.abs()), "{px} {py}: {v} {truth}");
                }
            }
        }
    }

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17.1: c = spline_filter(image, 3, np.float32), image[y, x] = (x * x * 7 + y * y * 3 + x * y) % 11,
        // float32, 40x33 (rows x columns); c[0, 0], c[0, 32], c[39, 0], c[39, 32], c[17, 21]; then
        // map_coordinates(c, [[20.3], [11.8]], prefilter=False).
        let pixels = (0..40 * 33).map(|i| (i % 33, i / 33)).map(|(x, y)| ((x * x * 7 + y * y * 3 + x * y) % 11) as f32);
        let c = coefficients(&Plane::from_pixels(33, 40, pixels.collect()));
        let seen = [c.at(0, 0), c.at(32, 0), c.at(0, 39), c.at(32, 39), c.at(21, 17)];
        let mut out = [0.0; 9];
        cut(&c, (11.8, 20.3), 1, &mut out);
        for (v, truth) in seen.into_iter().chain([out[4]]).zip(SCIPY) {
            assert!((v - truth).abs() < 1e-5 * truth.abs().max(1.0), "{v} {truth}");
        }
    }

    const SCIPY: [f32; 6] = [-16.672_867, 5.888_384_3, 23.449_59, 34.179_4, 23.302_532, 5.486_123];

    #[test]
    fn wild_positions_give_zeros() {
        let c = coefficients(&wavy(64, 64));
        for at in [(f64::NAN, 3.0), (1e300, 3.0), (-1e18, f64::INFINITY), (500.0, 500.0)] {
            let mut out = [1.0; 25];
            cut(&c, at, 2, &mut out);
            assert!(out.iter().all(|&v| v == 0.0 || v.is_nan()), "{at:?}");
        }
    }
}
