//! Images of models at sub-pixel positions.

use super::bank::{Coefficients, HALF_LARGE, HALF_SMALL, ModelBank, half_drawn};
use super::{Model, Scene};
use crate::psf::Psf;

/// Longest side of a window, px: what cuts of a frame need, and large models.
pub const LONGEST: usize = 64;

/// A rectangle of whole pixels of a band; it may lie outside of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First column.
    pub left: isize,
    /// First row.
    pub top: isize,
    /// Columns, at most [`LONGEST`].
    pub width: usize,
    /// Rows, at most [`LONGEST`].
    pub height: usize,
}

impl Window {
    /// The square of side `2 half + 1` about the pixel nearest to a position in the band.
    pub fn about(in_band: (f64, f64), half: usize) -> Self {
        let (x, y) = nearest(in_band);
        let side = 2 * half + 1;
        Self { left: x - half as isize, top: y - half as isize, width: side, height: side }
    }
}

/// The whole pixel nearest to a position; far outside for a wild one.
pub(super) fn nearest(at: (f64, f64)) -> (isize, isize) {
    let whole = |v: f64| if v.is_finite() { v.round().clamp(-1e9, 1e9) as isize } else { -1_000_000_000 };
    (whole(at.0), whole(at.1))
}

impl Model {
    /// Half the side of the square, about the pixel nearest to the object, in which it has light, px.
    pub fn half(&self) -> usize {
        match self {
            Self::Point => HALF_SMALL,
            Self::Galaxy(k) => half_drawn(1 + usize::from(*k)),
            Self::Ellipse(_) => HALF_LARGE,
        }
    }
}

impl Scene<'_> {
    /// Where a reference position lies in a band, px.
    pub fn in_band(&self, band: usize, at: (f64, f64)) -> (f64, f64) {
        self.prepared.to_band[band].apply(at.0, at.1)
    }

    /// The window in which a model at reference position `at` has light in `band`.
    pub fn drawn(&self, model: &Model, band: usize, at: (f64, f64)) -> Window {
        Window::about(self.in_band(band, at), model.half())
    }

    /// Draws `model` of unit flux, at reference position `at`, into the pixels of a window of `band`: `out` is replaced,
    /// row by row.
    ///
    /// # Panics
    /// For another length of `out` than the window's, or a larger window than [`LONGEST`] a side.
    pub fn stamp(&self, model: &Model, band: usize, at: (f64, f64), window: Window, out: &mut [f32]) {
        let (x, y) = self.in_band(band, at);
        let first = (window.left as f64 - x, window.top as f64 - y);
        draw(&self.bank, &self.psf, model, band, at, first, (window.width, window.height), out);
    }

    /// Adds object `i`, `scale` times as bright as it is, to the total in `band`.
    pub fn add(&mut self, i: usize, band: usize, scale: f64) {
        let object = &self.objects[i];
        let amount = (scale * object.flux_nmgy[band]) as f32;
        if amount == 0.0 || !self.prepared.frame.present[band] {
            return;
        }
        let window = self.drawn(&object.model, band, object.at());
        let mut light = [0.0; LONGEST * LONGEST];
        let light = &mut light[..window.width * window.height];
        self.stamp(&object.model, band, object.at(), window, light);
        let total = &mut self.total[band];
        let (width, height) = (total.width() as isize, total.height() as isize);
        let from = window.left.clamp(0, width);
        let to = (window.left + window.width as isize).clamp(from, width);
        for (y, light) in (window.top..).zip(light.chunks_exact(window.width)) {
            if to > from && (0..height).contains(&y) {
                let row = &mut total.row_mut(y as usize)[from as usize..to as usize];
                for (t, l) in row.iter_mut().zip(&light[(from - window.left) as usize..]) {
                    *t += amount * l;
                }
            }
        }
    }
}

/// Draws a model of unit flux on a grid whose first pixel lies `first` from the object, in px of the band: `out` is
/// replaced. `at` says which PSF is meant.
#[allow(clippy::too_many_arguments)]
pub(super) fn draw(
    bank: &ModelBank,
    psf: &Psf,
    model: &Model,
    band: usize,
    at: (f64, f64),
    first: (f64, f64),
    size: (usize, usize),
    out: &mut [f32],
) {
    assert!(size.0 <= LONGEST && size.1 <= LONGEST && out.len() == size.0 * size.1, "a window as large as its pixels");
    let half = model.half();
    match model {
        Model::Ellipse(ellipse) => Grid::new(first, size, half).fill([&ellipse.coefficients[band]], [1.0], out),
        Model::Point | Model::Galaxy(_) => {
            let k = if let Model::Galaxy(k) = model { 1 + usize::from(*k) } else { 0 };
            let [a, b, c] = bank.terms(band, k);
            Grid::new(first, size, half).fill([a, b, c], psf.weights(band, at.0, at.1), out);
        }
    }
}

/// Pixels at which a spline is evaluated: the same fraction of a pixel for all.
struct Grid {
    size: (usize, usize),
    /// Whole part and weights of the first column, and of the first row.
    x: Axis,
    y: Axis,
}

struct Axis {
    whole: isize,
    weights: [f32; 4],
    /// Pixels of the axis that the model is drawn in.
    drawn: std::ops::Range<usize>,
}

impl Axis {
    fn new(first: f64, size: usize, half: usize) -> Self {
        let whole = if first.abs() < 1e6 { first.floor() } else { 1e6 };
        // The pixel nearest to the object is number -round(first).
        let middle = -(if first.abs() < 1e6 { first } else { 1e6 }).round() as isize;
        let bound = |v: isize| v.clamp(0, size as isize) as usize;
        let from = bound(middle - half as isize);
        let to = bound(middle + half as isize + 1).max(from);
        Self { whole: whole as isize, weights: weights(first - whole), drawn: from..to }
    }
}

/// The four weights of a cubic B-spline at a fraction `t` of a pixel.
fn weights(t: f64) -> [f32; 4] {
    let u = 1.0 - t;
    [u * u * u, (3.0 * t - 6.0) * t * t + 4.0, ((-3.0 * t + 3.0) * t + 3.0) * t + 1.0, t * t * t]
        .map(|w| (w / 6.0) as f32)
}

impl Grid {
    fn new(first: (f64, f64), size: (usize, usize), half: usize) -> Self {
        Self { size, x: Axis::new(first.0, size.0, half), y: Axis::new(first.1, size.1, half) }
    }

    /// The weighted sum of splines; 0 where the model is not drawn.
    fn fill<const N: usize>(&self, splines: [&Coefficients; N], by: [f32; N], out: &mut [f32]) {
        out.fill(0.0);
        let (columns, rows) = (self.x.drawn.clone(), self.y.drawn.clone());
        if columns.is_empty() || rows.is_empty() {
            return;
        }
        let reach = splines[0].reach as isize;
        let side = 2 * splines[0].reach + 1;
        // First coefficient that the first drawn pixel needs; the rim of the coefficients holds all that follow.
        let left = reach + self.x.whole + columns.start as isize - 1;
        let top = reach + self.y.whole + rows.start as isize - 1;
        let (wide, high) = (columns.len() + 3, rows.len() + 3);
        let mut lines = [[0.0f32; LONGEST + 3]; 4];
        let line = |j: usize, to: &mut [f32; LONGEST + 3]| {
            let y = top + j as isize;
            let to = &mut to[..wide];
            if y < 0 || y >= side as isize {
                to.fill(0.0);
                return;
            }
            let from = left.clamp(0, side as isize);
            let until = (left + wide as isize).clamp(from, side as isize);
            let skipped = (from - left) as usize;
            to.fill(0.0);
            let to = &mut to[skipped..][..(until - from) as usize];
            let start = y as usize * side + from as usize;
            for (spline, &by) in splines.iter().zip(&by) {
                let row = &spline.values[start..][..to.len()];
                to.iter_mut().zip(row).for_each(|(t, &c)| *t += by * c);
            }
        };
        for (j, to) in lines.iter_mut().enumerate().take(3) {
            line(j, to);
        }
        let (wx, wy) = (self.x.weights, self.y.weights);
        for (j, y) in rows.enumerate() {
            debug_assert!(j + 3 < high);
            line(j + 3, &mut lines[(j + 3) % 4]);
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| &lines[(j + i) % 4]);
            let mut down = [0.0f32; LONGEST + 3];
            for (i, to) in down[..wide].iter_mut().enumerate() {
                *to = wy[0] * a[i] + wy[1] * b[i] + wy[2] * c[i] + wy[3] * d[i];
            }
            let to = &mut out[y * self.size.0 + columns.start..][..columns.len()];
            for (i, to) in to.iter_mut().enumerate() {
                *to = wx[0] * down[i] + wx[1] * down[i + 1] + wx[2] * down[i + 2] + wx[3] * down[i + 3];
            }
        }
    }
}
