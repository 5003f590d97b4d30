//! A frame's models and what they leave, as images.

use super::Scene;
use crate::frame::{PerBand, Plane, mask};
use crate::preprocess::shifted;
use crate::wcs::Wcs;

/// What is published of a scene on request: frame = model + residual, on each band's own grid.
pub struct SceneImages {
    /// Bands that the frame has; the planes of others are empty.
    pub present: PerBand<bool>,
    /// What no model explains, nMgy: the frame without its sky, its objects and the halos of its bright stars. NaN in bad
    /// pixels and where the frame has no data.
    pub residual: PerBand<Plane<f32>>,
    /// What was taken from the frame, nMgy: the sum of all objects, the halos, and what was left of the sky.
    pub model: PerBand<Plane<f32>>,
    /// Coordinates of each band's pixels.
    pub wcs: PerBand<Wcs>,
    /// Noise of a sky pixel, nMgy.
    pub sigma_nmgy: PerBand<f32>,
    pub(crate) shift_px: PerBand<(isize, isize)>,
    pub(crate) shape_bands: [usize; 3],
}

impl Scene<'_> {
    /// The images of this scene.
    pub fn images(&self) -> SceneImages {
        let frame = &self.prepared.frame;
        let (width, height) = (frame.width(), frame.height());
        let plane = |b: usize, value: &dyn Fn(usize) -> f32| {
            let pixels = if frame.present[b] { width * height } else { 0 };
            let size = if frame.present[b] { (width, height) } else { (0, 0) };
            Plane::from_pixels(size.0, size.1, (0..pixels).map(value).collect())
        };
        let left = |b: usize, i: usize| self.data[b].pixels()[i] - self.total[b].pixels()[i];
        SceneImages {
            present: frame.present,
            residual: std::array::from_fn(|b| {
                let bits = frame.bands[b].mask.pixels();
                plane(b, &|i| if bits[i] & (mask::BAD | mask::NO_DATA) != 0 { f32::NAN } else { left(b, i) })
            }),
            model: std::array::from_fn(|b| {
                let pixels = frame.bands[b].pixels.pixels();
                plane(b, &|i| if pixels[i].is_finite() { pixels[i] - left(b, i) } else { self.total[b].pixels()[i] })
            }),
            wcs: std::array::from_fn(|b| frame.bands[b].wcs.clone()),
            sigma_nmgy: std::array::from_fn(|b| self.prepared.sky[b].sigma_nmgy),
            shift_px: self.prepared.shift_px,
            shape_bands: self.survey.shape_bands(),
        }
    }
}

impl SceneImages {
    /// Models in the three shape bands, bluest first, on the reference grid in units of sky noise, as a picture has them.
    pub fn model_picture(&self) -> [Plane<f32>; 3] {
        self.picture(&self.model)
    }

    /// The same of what they leave.
    pub fn residual_picture(&self) -> [Plane<f32>; 3] {
        self.picture(&self.residual)
    }

    fn picture(&self, planes: &PerBand<Plane<f32>>) -> [Plane<f32>; 3] {
        let size = planes.iter().map(|p| (p.width(), p.height())).max().unwrap_or_default();
        self.shape_bands.map(|b| match self.present[b] {
            true => shifted(&planes[b], self.shift_px[b], 1.0 / self.sigma_nmgy[b]),
            false => Plane::filled(size.0, size.1, 0.0),
        })
    }
}
