//! What the head is taught: a classical rule's opinion on pixels of training frames. No label, no catalogue,
//! no simulation: a pixel belongs to an object where the smoothed weighted sum of the bands is high enough and a
//! matched filter is sure that there is one.

use twinpeak_core::filter::{Edge, Gaussian, matched_filter, weighted_sum};
use twinpeak_core::frame::{PerBand, Plane};

/// Smoothing of the extent image in units of the PSF's width.
const EXTENT_SMOOTHING: f64 = 0.5;
/// S/N of the matched filter above which there is an object.
const SURE_SIGMA: f32 = 4.8;
/// S/N in the plain sum of the shape bands down to which an object's pixels are its own.
const EXTENT_SIGMA: f64 = 1.5;

/// The teacher's opinion of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct PseudoLabels {
    /// Smoothed weighted sum in units of its threshold.
    pub extent: Plane<f32>,
    /// Whether a pixel belongs to an object.
    pub object: Plane<bool>,
}

/// How bands are weighted in the sum that the teacher looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Of unit norm, for bands in units of their noise: their sum has unit noise again.
    pub weights: PerBand<f32>,
    /// Value of the weighted sum at which an object of mean colour has S/N 1.5 in the sum of the shape bands.
    pub extent_threshold: f32,
}

impl Weights {
    /// For objects whose mean flux is as `sed` and bands with these noises (nMgy, any common unit), infinite for one that
    /// was not taken. `shape_bands` are those that were; without any nothing is taught to have an extent.
    pub fn new(sed: &PerBand<f64>, sigma: &PerBand<f64>, shape_bands: &[usize]) -> Self {
        let signal: PerBand<f64> = std::array::from_fn(|b| sed[b] / sigma[b]);
        let norm = signal.iter().map(|s| s * s).sum::<f64>().sqrt();
        let shape_noise = shape_bands.iter().map(|&b| sigma[b].powi(2)).sum::<f64>().sqrt();
        let shape_flux = shape_bands.iter().map(|&b| sed[b]).sum::<f64>();
        // An object with flux f sed has f norm in the weighted sum and f shape_flux / shape_noise in the other.
        let extent_threshold = (EXTENT_SIGMA * norm * shape_noise / shape_flux) as f32;
        Self { weights: signal.map(|s| (s / norm) as f32), extent_threshold }
    }
}

/// The rule. `fwhm_px` is that of the Gaussian with the reference band's PSF's noise-equivalent area.
pub fn teach(planes: &PerBand<Plane<f32>>, weights: &Weights, fwhm_px: f64) -> PseudoLabels {
    let sum = weighted_sum(planes, &weights.weights);
    let smooth = Gaussian::of_fwhm(EXTENT_SMOOTHING * fwhm_px).blur(&sum, Edge::Reflect);
    let extent = smooth.map(|v| v / weights.extent_threshold);
    let matched = matched_filter(&sum, fwhm_px);
    let object = extent.pixels().iter().zip(matched.pixels()).map(|(&e, &m)| e > 1.0 && m > SURE_SIGMA);
    let object = Plane::from_pixels(sum.width(), sum.height(), object.collect());
    PseudoLabels { extent, object }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// frames.sed_weights and segment.extent_threshold of the reference, for field 1043-5-25's noise.
    #[test]
    fn weights_have_unit_norm() {
        let weights = Weights::new(&[0.12, 0.45, 1.0, 1.38, 1.7], &[0.040, 0.017, 0.030, 0.052, 0.181], &[1, 2, 3]);
        let expected = [0.058_684_85, 0.517_807_5, 0.652_053_8, 0.519_135_2, 0.183_727_88];
        for (w, e) in weights.weights.iter().zip(expected) {
            assert!((w - e).abs() < 1e-5, "{weights:?}");
        }
        assert!((weights.extent_threshold - 1.690_605_6).abs() < 1e-5, "{weights:?}");
    }
}
