//! Separable Gaussian filters of planes, and the two images made with them: the matched filter's score and the
//! image on which blended objects are told apart.
//!
//! A filter of white unit noise leaves noise of [`Gaussian::noise`]; dividing by it brings the result back to
//! units of sigma, so that thresholds mean the same whatever the filter.

use rayon::prelude::*;

use crate::frame::{PerBand, Plane};

/// Full width at half maximum of a Gaussian of unit sigma.
pub const FWHM_PER_SIGMA: f64 = 2.354_820_045;

/// Rows that one task filters.
const ROWS_PER_TASK: usize = 64;

/// What lies beyond a plane's edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Nothing.
    Zero,
    /// The plane's mirror image, the edge pixel repeated.
    Reflect,
}

/// A Gaussian kernel, cut at four sigma.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    /// Weight at distance 0, 1, ... px along one axis; the whole kernel sums to 1.
    taps: Vec<f32>,
}

impl Gaussian {
    /// A kernel of `sigma_px`; a width that is no positive number gives the filter that changes nothing.
    pub fn new(sigma_px: f64) -> Self {
        let sigma = if sigma_px.is_finite() { sigma_px.max(1e-3) } else { 1e-3 };
        let radius = (4.0 * sigma + 0.5) as usize;
        let weight: Vec<f64> = (0..=radius).map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp()).collect();
        let sum = 2.0 * weight.iter().sum::<f64>() - weight[0];
        Self { taps: weight.iter().map(|w| (w / sum) as f32).collect() }
    }

    /// A kernel of this full width at half maximum, px.
    pub fn of_fwhm(fwhm_px: f64) -> Self {
        Self::new(fwhm_px / FWHM_PER_SIGMA)
    }

    /// SExtractor's default filter: 1 2 1 along each axis (Bertin & Arnouts 1996).
    pub fn pyramid() -> Self {
        Self { taps: vec![0.5, 0.25] }
    }

    /// Noise that is left of white unit noise.
    pub fn noise(&self) -> f32 {
        // The root of the sum of squares in two dimensions is the sum of squares in one.
        2.0 * self.taps.iter().map(|t| t * t).sum::<f32>() - self.taps[0] * self.taps[0]
    }

    /// The plane smoothed; rows run in parallel.
    pub fn blur(&self, plane: &Plane<f32>, edge: Edge) -> Plane<f32> {
        self.filter(plane, edge, 1.0)
    }

    /// The plane smoothed and scaled so that white unit noise keeps unit noise.
    pub fn blur_to_unit_noise(&self, plane: &Plane<f32>, edge: Edge) -> Plane<f32> {
        self.filter(plane, edge, 1.0 / self.noise())
    }

    fn filter(&self, plane: &Plane<f32>, edge: Edge, scale: f32) -> Plane<f32> {
        let (width, height) = (plane.width(), plane.height());
        let mut across = Plane::filled(width, height, 0.0);
        for_row_blocks(&mut across, |first, rows| {
            let mut padded = Vec::new();
            for (y, row) in rows.chunks_exact_mut(width).enumerate() {
                self.pad(plane.row(first + y), edge, &mut padded);
                self.along_row(&padded, row);
            }
        });
        let mut both = Plane::filled(width, height, 0.0);
        for_row_blocks(&mut both, |first, rows| {
            for (y, row) in rows.chunks_exact_mut(width).enumerate() {
                self.across_rows(&across, first + y, edge, scale, row);
            }
        });
        both
    }

    fn radius(&self) -> usize {
        self.taps.len() - 1
    }

    fn pad(&self, row: &[f32], edge: Edge, padded: &mut Vec<f32>) {
        let (radius, width) = (self.radius() as isize, row.len());
        let beyond = |x: isize| inside(x, width, edge).map_or(0.0, |x| row[x]);
        padded.clear();
        padded.extend((-radius..0).map(beyond));
        padded.extend_from_slice(row);
        padded.extend((width as isize..width as isize + radius).map(beyond));
    }

    fn along_row(&self, padded: &[f32], out: &mut [f32]) {
        let (radius, width) = (self.radius(), out.len());
        for (o, p) in out.iter_mut().zip(&padded[radius..radius + width]) {
            *o = self.taps[0] * p;
        }
        for (k, &tap) in self.taps.iter().enumerate().skip(1) {
            let (left, right) = (&padded[radius - k..][..width], &padded[radius + k..][..width]);
            for ((o, l), r) in out.iter_mut().zip(left).zip(right) {
                *o += tap * (l + r);
            }
        }
    }

    fn across_rows(&self, plane: &Plane<f32>, y: usize, edge: Edge, scale: f32, out: &mut [f32]) {
        let at = |k: isize| inside(y as isize + k, plane.height(), edge).map(|y| plane.row(y));
        for (o, p) in out.iter_mut().zip(plane.row(y)) {
            *o = self.taps[0] * scale * p;
        }
        for (k, &tap) in self.taps.iter().enumerate().skip(1) {
            let tap = tap * scale;
            match (at(-(k as isize)), at(k as isize)) {
                (Some(below), Some(above)) => {
                    for ((o, b), a) in out.iter_mut().zip(below).zip(above) {
                        *o += tap * (b + a);
                    }
                }
                (Some(one), None) | (None, Some(one)) => {
                    for (o, p) in out.iter_mut().zip(one) {
                        *o += tap * p;
                    }
                }
                (None, None) => {}
            }
        }
    }
}

/// The index that stands for `i` on an axis of `length`.
fn inside(i: isize, length: usize, edge: Edge) -> Option<usize> {
    if i >= 0 && (i as usize) < length {
        return Some(i as usize);
    }
    match edge {
        Edge::Zero => None,
        Edge::Reflect => {
            let i = i.rem_euclid(2 * length as isize) as usize;
            Some(if i < length { i } else { 2 * length - 1 - i })
        }
    }
}

/// Calls `f(first row, rows)` for blocks of rows, in parallel where there are several.
pub(crate) fn for_row_blocks<T: Copy + Send>(plane: &mut Plane<T>, f: impl Fn(usize, &mut [T]) + Sync) {
    let (width, height) = (plane.width(), plane.height());
    if width == 0 || height == 0 {
        return;
    }
    if height <= ROWS_PER_TASK {
        return f(0, plane.pixels_mut());
    }
    let blocks = plane.pixels_mut().par_chunks_mut(width * ROWS_PER_TASK).enumerate();
    blocks.for_each(|(i, rows)| f(i * ROWS_PER_TASK, rows));
}

/// The sum of five planes by weight: of unit noise where the planes have it and the weights have unit norm
/// ([`crate::survey::Survey::detection_weights`]).
pub fn weighted_sum(planes: &PerBand<Plane<f32>>, weights: &PerBand<f32>) -> Plane<f32> {
    let width = planes[0].width();
    let mut sum = Plane::filled(width, planes[0].height(), 0.0);
    for_row_blocks(&mut sum, |first, rows| {
        let from = first * width;
        for (plane, &weight) in planes.iter().zip(weights) {
            for (s, p) in rows.iter_mut().zip(&plane.pixels()[from..]) {
                *s += weight * p;
            }
        }
    });
    sum
}

/// What deblending and centring look at: the weighted sum of registered planes, smoothed by 1 px, with unit noise.
pub fn detection_image(registered: &PerBand<Plane<f32>>, weights: &PerBand<f32>) -> Plane<f32> {
    Gaussian::new(1.0).blur_to_unit_noise(&weighted_sum(registered, weights), Edge::Reflect)
}

/// The matched filter for a Gaussian source of `fwhm_px` on an image of unit noise: the score has unit noise again.
pub fn matched_filter(image: &Plane<f32>, fwhm_px: f64) -> Plane<f32> {
    Gaussian::of_fwhm(fwhm_px).blur_to_unit_noise(image, Edge::Zero)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ramp(width: usize, height: usize) -> Plane<f32> {
        Plane::from_pixels(width, height, (0..width * height).map(|i| (i * i % 7) as f32).collect())
    }

    #[test]
    fn agrees_with_a_direct_convolution() {
        // numpy 2.4.6: i = arange(30); a = (i * i % 7).reshape(5, 6); k = exp(-arange(-4, 5)**2 / 2); k /= k.sum()
        // a = np.pad(a, 4, mode="symmetric" or "constant"), np.convolve(., k, "valid") along both axes.
        for (edge, expected) in
            [(Edge::Reflect, [0.737123, 1.679134, 1.4655]), (Edge::Zero, [0.408042, 1.648781, 0.738969])]
        {
            let b = Gaussian::new(1.0).blur(&ramp(6, 5), edge);
            for ((x, y), want) in [(0, 0), (3, 2), (5, 4)].into_iter().zip(expected) {
                assert!((b.at(x, y) - want).abs() < 1e-5, "{edge:?} {x} {y}: {} for {want}", b.at(x, y));
            }
        }
    }

    #[test]
    fn a_point_keeps_its_flux_and_the_noise_is_the_kernels_norm() {
        let mut point = Plane::filled(41, 200, 0.0);
        point.set(20, 100, 1.0);
        let kernel = Gaussian::of_fwhm(3.3);
        let b = kernel.blur(&point, Edge::Zero);
        let sum: f32 = b.pixels().iter().sum();
        let norm = b.pixels().iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!((sum - 1.0).abs() < 1e-5 && (norm - kernel.noise()).abs() < 1e-6, "{sum} {norm} {}", kernel.noise());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_constant_stays_itself_under_reflection(w in 1usize..40, h in 1usize..200, sigma in 0.1f64..6.0) {
            let b = Gaussian::new(sigma).blur(&Plane::filled(w, h, 3.0), Edge::Reflect);
            prop_assert!(b.pixels().iter().all(|v| (v - 3.0).abs() < 1e-4));
        }
    }
}
