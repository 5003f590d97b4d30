//! What the head is taught: a classical rule's opinion on pixels of training frames. No label, no catalogue,
//! no simulation: a pixel belongs to an object where the smoothed weighted sum of the bands is high enough and a
//! matched filter is sure that there is one.

use rayon::prelude::*;

use crate::frame::{PerBand, Plane};

/// Smoothing of the extent image in units of the PSF's width.
const EXTENT_SMOOTHING: f64 = 0.5;
/// S/N of the matched filter above which there is an object.
const SURE_SIGMA: f32 = 4.8;
/// S/N in the plain sum of the shape bands down to which an object's pixels are its own.
const EXTENT_SIGMA: f64 = 1.5;
/// A Gaussian of this many sigma has the given width at half maximum 1.
const FWHM_PER_SIGMA: f64 = 2.355;
/// Where a Gaussian kernel ends, sigma.
const TRUNCATE_SIGMA: f64 = 4.0;

/// The teacher's opinion of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// Smoothed weighted sum in units of its threshold.
    pub extent: Plane<f32>,
    /// Whether a pixel belongs to an object.
    pub object: Plane<bool>,
}

/// How bands are weighted.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Of unit norm, for bands in units of their noise: their sum has unit noise again.
    pub weights: PerBand<f32>,
    /// Value of the weighted sum at which an object of mean colour has S/N 1.5 in the sum of the shape bands.
    pub extent_threshold: f32,
}

impl Weights {
    /// For objects whose mean flux is as `sed` and bands with these noises (nMgy, any common unit).
    pub fn new(sed: &PerBand<f64>, sigma: &PerBand<f64>, shape_bands: [usize; 3]) -> Self {
        let signal: PerBand<f64> = std::array::from_fn(|b| sed[b] / sigma[b]);
        let norm = signal.iter().map(|s| s * s).sum::<f64>().sqrt();
        let shape_noise = shape_bands.iter().map(|&b| sigma[b].powi(2)).sum::<f64>().sqrt();
        let shape_flux = shape_bands.iter().map(|&b| sed[b]).sum::<f64>();
        // An object with flux f sed has f norm in the weighted sum and f shape_flux / shape_noise in the other.
        let extent_threshold = (EXTENT_SIGMA * norm * shape_noise / shape_flux) as f32;
        Self { weights: signal.map(|s| (s / norm) as f32), extent_threshold }
    }

    /// The weighted sum, of unit noise.
    pub fn sum(&self, planes: &PerBand<Plane<f32>>) -> Plane<f32> {
        let (width, height) = (planes[0].width(), planes[0].height());
        let mut sum = Plane::filled(width, height, 0.0f32);
        for (plane, weight) in planes.iter().zip(self.weights) {
            sum.pixels_mut().iter_mut().zip(plane.pixels()).for_each(|(s, v)| *s += weight * v);
        }
        sum
    }
}

/// The rule. `fwhm_px` is that of the Gaussian with the reference band's PSF's noise-equivalent area.
pub fn teach(planes: &PerBand<Plane<f32>>, weights: &Weights, fwhm_px: f64) -> Lesson {
    let sum = weights.sum(planes);
    let extent = gaussian(&sum, EXTENT_SMOOTHING * fwhm_px / FWHM_PER_SIGMA).map(|v| v / weights.extent_threshold);
    let sigma = fwhm_px / FWHM_PER_SIGMA;
    let norm = kernel(sigma).iter().map(|k| f64::from(k * k)).sum::<f64>() as f32;
    let matched = gaussian(&sum, sigma);
    let object = extent.pixels().iter().zip(matched.pixels()).map(|(&e, &m)| e > 1.0 && m / norm > SURE_SIGMA);
    let object = Plane::from_pixels(sum.width(), sum.height(), object.collect());
    Lesson { extent, object }
}

/// A Gaussian of `sigma_px`, cut at 4 sigma, of unit sum.
fn kernel(sigma_px: f64) -> Vec<f32> {
    let radius = (TRUNCATE_SIGMA * sigma_px + 0.5) as isize;
    let values: Vec<f64> = (-radius..=radius).map(|i| (-0.5 * (i as f64 / sigma_px).powi(2)).exp()).collect();
    let sum: f64 = values.iter().sum();
    values.iter().map(|v| (v / sum) as f32).collect()
}

/// Convolves with a Gaussian; beyond the edge the plane is mirrored.
pub(super) fn gaussian(plane: &Plane<f32>, sigma_px: f64) -> Plane<f32> {
    let (width, height) = (plane.width(), plane.height());
    let kernel = kernel(sigma_px);
    let radius = kernel.len() / 2;
    let mirror = |i: isize, n: usize| {
        let period = 2 * n as isize;
        let i = i.rem_euclid(period);
        (if i < n as isize { i } else { period - 1 - i }) as usize
    };
    let mut across = Plane::filled(width, height, 0.0f32);
    across.pixels_mut().par_chunks_mut(width).enumerate().for_each(|(y, out)| {
        let row = plane.row(y);
        let reach = radius as isize;
        let padded: Vec<f32> = (-reach..width as isize + reach).map(|x| row[mirror(x, width)]).collect();
        for (k, weight) in kernel.iter().enumerate() {
            out.iter_mut().zip(&padded[k..]).for_each(|(o, v)| *o += weight * v);
        }
    });
    let mut smooth = Plane::filled(width, height, 0.0f32);
    smooth.pixels_mut().par_chunks_mut(width).enumerate().for_each(|(y, out)| {
        for (k, weight) in kernel.iter().enumerate() {
            let row = across.row(mirror(y as isize + k as isize - radius as isize, height));
            out.iter_mut().zip(row).for_each(|(o, v)| *o += weight * v);
        }
    });
    smooth
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.ndimage.gaussian_filter of zeros((9, 12)) with [4, 5] = 1 and [0, 0] = 2, sigma 1.2, in float64.
    #[test]
    fn gaussian_is_scipys() {
        let mut plane = Plane::filled(12, 9, 0.0f32);
        plane.set(5, 4, 1.0);
        plane.set(0, 0, 2.0);
        let smooth = gaussian(&plane, 1.2);
        for (x, y, value) in EXPECTED {
            assert!((smooth.at(x, y) - value).abs() < 1e-6, "({x}, {y}): {}", smooth.at(x, y));
        }
    }
    const EXPECTED: [(usize, usize, f32); 4] =
        [(5, 4, 0.110_524_97), (0, 0, 0.643_839_94), (4, 6, 0.019_474_95), (2, 1, 0.062_192_27)];

    /// frames.sed_weights and segment.extent_threshold of the reference, for field 1043-5-25's noise.
    #[test]
    fn weights_have_unit_norm() {
        let weights = Weights::new(&[0.12, 0.45, 1.0, 1.38, 1.7], &[0.040, 0.017, 0.030, 0.052, 0.181], [1, 2, 3]);
        let expected = [0.058_684_85, 0.517_807_5, 0.652_053_8, 0.519_135_2, 0.183_727_88];
        for (w, e) in weights.weights.iter().zip(expected) {
            assert!((w - e).abs() < 1e-5, "{weights:?}");
        }
        assert!((weights.extent_threshold - 1.690_605_6).abs() < 1e-5, "{weights:?}");
    }
}
