//! What the scene says of a row.

use super::{LONGEST, Model, Scene};
use crate::aperture::Ellipse as Aperture;
use crate::extract::Footprint;
use crate::frame::{PerBand, Plane};

/// A drawn model holds all of its light where it has this share.
const ALL_LIGHT: f64 = 0.995;

/// One object as the scene has it.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneFacts {
    /// Number of the object of which it is a part, or in whose light it was hidden.
    pub parent: Option<u32>,
    /// Rows whose parent it is.
    pub children: u32,
    /// Total light of its best model, nMgy; NaN where a band has no pixels for it.
    pub model_flux: PerBand<f64>,
    /// Its standard error, nMgy, with the share of neighbours.
    pub model_flux_err: PerBand<f64>,
    /// Kind of its best model.
    pub model: ModelKind,
    /// Half-light radius of the model before the PSF, px: the geometric mean of an ellipse's; 0 of a point source.
    pub half_light_radius_px: f64,
    /// Its standard error, px; NaN of a point source.
    pub half_light_radius_err_px: f64,
    /// (a - b) / (a + b) times the cosine and sine of twice the major axis's angle from +x to +y; 0 of round models.
    pub ellipticity: (f64, f64),
    /// Standard errors of both; NaN of round models.
    pub ellipticity_err: (f64, f64),
    /// By how much the variance of its flux as a point source grew for neighbours.
    pub point_shared: PerBand<f64>,
    /// Share of others' light within the object's footprint before subtraction, 0..1.
    pub blendedness: f64,
    /// Of a saturated star, how much more slowly than a PSF's its wings fall; `None` where that is not known.
    pub wings_excess: Option<f64>,
    /// [`crate::catalog::flag`] bits that the scene has to say.
    pub flags: u32,
}

/// Kind of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// A point source.
    Point,
    /// A round exponential.
    Exponential,
    /// A round de Vaucouleurs profile.
    DeVaucouleurs,
    /// An elliptical exponential.
    EllipticalExponential,
    /// An elliptical de Vaucouleurs profile.
    EllipticalDeVaucouleurs,
}

impl Scene<'_> {
    /// Index of the object of row `number`.
    pub fn index_of(&self, number: u32) -> usize {
        self.rows.get(number as usize - 1).copied().unwrap_or(usize::MAX)
    }

    /// Whether the model of row `number` can be taken from others' pixels: that of a large galaxy leaves too much.
    pub fn is_modelled(&self, number: u32) -> bool {
        self.unmodelled.binary_search(&number).is_err()
    }

    /// What is known of the row of a footprint.
    pub fn facts(&self, footprint: &Footprint, segmentation: &Plane<u32>) -> SceneFacts {
        let i = self.index_of(footprint.number);
        let object = &self.objects[i];
        let errors = self.model_errors(i);
        let radius = object.model.half_light_radius_px();
        let (mut ellipticity, mut ellipticity_err) = ((0.0, 0.0), (f64::NAN, f64::NAN));
        let mut ln_radius_err = errors.ln_radius;
        let model = match &object.model {
            Model::Point => ModelKind::Point,
            Model::Galaxy(k) if k % 2 == 0 => ModelKind::Exponential,
            Model::Galaxy(_) => ModelKind::DeVaucouleurs,
            Model::Ellipse(ellipse) => {
                ellipticity = (ellipse.e1, ellipse.e2);
                ellipticity_err = (ellipse.errors[1], ellipse.errors[2]);
                ln_radius_err = ellipse.errors[0];
                if ellipse.de_vaucouleurs {
                    ModelKind::EllipticalDeVaucouleurs
                } else {
                    ModelKind::EllipticalExponential
                }
            }
        };
        let known =
            std::array::from_fn(|b| if errors.flux_nmgy[b].is_finite() { object.flux_nmgy[b] } else { f64::NAN });
        SceneFacts {
            parent: object.parent.and_then(|parent| self.number_of(parent)),
            children: self.children.get(i).copied().unwrap_or(0),
            model_flux: known,
            model_flux_err: errors.flux_nmgy,
            model,
            half_light_radius_px: radius,
            half_light_radius_err_px: radius * ln_radius_err,
            ellipticity,
            ellipticity_err,
            point_shared: self.point_errors(i, &errors).shared,
            blendedness: self.blendedness(i, footprint, segmentation),
            wings_excess: object.wings_excess,
            flags: object.flags,
        }
    }

    /// Number of the row of object `i`, if it lives.
    pub fn number_of(&self, i: usize) -> Option<u32> {
        self.numbers.get(i).copied().filter(|&n| n > 0)
    }

    /// Share of the light of row `number`'s model that an aperture about position `at` of `band` holds; `None` where it
    /// reaches out of the drawn model and light lies there.
    pub fn share_within(&self, number: u32, band: usize, aperture: &Aperture, at: (f64, f64)) -> Option<f64> {
        let object = self.objects.get(self.index_of(number))?;
        let window = self.drawn(&object.model, band, object.at());
        let mut light = [0.0; LONGEST * LONGEST];
        let light = &mut light[..window.width * window.height];
        self.stamp(&object.model, band, object.at(), window, light);
        let (left, top) = (window.left as f64, window.top as f64);
        let (mut held, mut drawn) = (0.0, 0.0);
        for (i, &light) in light.iter().enumerate() {
            let (x, y) = (left + (i % window.width) as f64, top + (i / window.width) as f64);
            drawn += f64::from(light);
            held += aperture.overlap(x - at.0, y - at.1) * f64::from(light);
        }
        let (rx, ry) = aperture.reach();
        let is_within = at.0 - rx >= left
            && at.1 - ry >= top
            && at.0 + rx < left + window.width as f64
            && at.1 + ry < top + window.height as f64;
        (is_within || drawn > ALL_LIGHT).then_some(held)
    }

    /// Share of others' light in the reference band within the footprint.
    fn blendedness(&self, i: usize, footprint: &Footprint, segmentation: &Plane<u32>) -> f64 {
        let reference = self.survey.reference();
        let object = &self.objects[i];
        let drawn = self.drawn(&object.model, reference, object.at());
        let mut light = vec![0.0f32; drawn.width * drawn.height];
        self.stamp(&object.model, reference, object.at(), drawn, &mut light);
        let flux = object.flux_nmgy[reference];
        let [left, top, right, bottom] = footprint.bounds;
        let (mut own, mut all) = (0.0, 0.0);
        for y in top..=bottom.min(segmentation.height() - 1) {
            for x in left..=right.min(segmentation.width() - 1) {
                if segmentation.at(x, y) != footprint.number {
                    continue;
                }
                let (dx, dy) = (x as isize - drawn.left, y as isize - drawn.top);
                let inside = (0..drawn.width as isize).contains(&dx) && (0..drawn.height as isize).contains(&dy);
                let here = if inside { light[dy as usize * drawn.width + dx as usize] } else { 0.0 };
                own += (flux * f64::from(here)).max(0.0);
                all += f64::from(self.total[reference].at(x, y)).max(0.0);
            }
        }
        if all > 0.0 { (1.0 - own / all).clamp(0.0, 1.0) } else { 0.0 }
    }
}
