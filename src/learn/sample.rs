//! From a frame to what nets learn from, by the daemon's own road: `preprocess`, detection, `psf`, `cutout`. No
//! label is read anywhere here.

use rayon::prelude::*;

use super::classify::Objects;
use super::segment::TrainingFrame;
use super::segment::teacher::{Weights, teach};
use crate::cutout::{Cutout, Source};
use crate::extract::calibrate::noise_only;
use crate::extract::{self, Footprints};
use crate::filter::detection_image;
use crate::frame::{BANDS, PerBand, Plane};
use crate::measure;
use crate::model::{ModelError, Segmenter};
use crate::preprocess::Prepared;
use crate::psf::{self, Psf, PsfQuality, Splines};
use crate::survey::Survey;

/// Magnitudes of the objects that teach the classifier: brighter ones are saturated, fainter ones all noise.
pub const TEACHING_MAG: std::ops::Range<f32> = 13.5..22.9;

/// A frame with its objects found and its PSF measured.
pub struct Sampled {
    /// The frame.
    pub prepared: Prepared,
    /// Its objects.
    pub footprints: Footprints,
    /// Weighted sum of the bands, in sigma.
    pub detection: Plane<f32>,
    /// Spline coefficients of its bands.
    pub splines: Splines,
    /// Its PSF.
    pub psf: Psf,
    /// How good that is.
    pub quality: PerBand<PsfQuality>,
}

/// How objects are found on the frames to learn from.
pub struct Detector<'a> {
    /// What scores pixels.
    pub segmenter: &'a mut dyn Segmenter,
    /// Overlap of its tiles, px.
    pub overlap_px: usize,
    /// Its thresholds.
    pub settings: extract::Settings,
    /// Seeing where a frame has too few stars.
    pub fallback_fwhm_arcsec: PerBand<f64>,
}

/// Finds a frame's objects and measures its PSF.
///
/// # Errors
/// The segmenter's.
pub fn sample(prepared: Prepared, survey: &Survey, detector: &mut Detector) -> Result<Sampled, ModelError> {
    let score = super::segment::score_plane(detector.segmenter, &prepared.registered, detector.overlap_px)?;
    let detection = detection_image(&prepared.registered, &weights(&prepared, survey));
    let footprints = extract::extract(&score, &detection, &prepared.bits, &detector.settings);
    let shapes = measure::footprint_shapes(&prepared, survey, &footprints);
    let splines = Splines::new(&prepared.frame);
    let (psf, quality) = psf::measure(&prepared, survey, &splines, &shapes, &detector.fallback_fwhm_arcsec);
    Ok(Sampled { prepared, footprints, detection, splines, psf, quality })
}

fn sigma(prepared: &Prepared) -> PerBand<f64> {
    prepared.sky.map(|s| f64::from(s.sigma_nmgy))
}

fn weights(prepared: &Prepared, survey: &Survey) -> PerBand<f32> {
    survey.detection_weights(&sigma(prepared), &(0..BANDS).collect::<Vec<_>>())
}

impl Sampled {
    /// What the segmenter learns from this frame; `seed` is that of the noise in place of objects.
    pub fn training_frame(self, survey: &Survey, seed: u64) -> TrainingFrame {
        let fwhm_px = self.quality[survey.reference()].effective_fwhm_px;
        let noise = noise_only(&self.prepared.registered, &weights(&self.prepared, survey), fwhm_px, seed);
        let taught = Weights::new(&survey.profile().typical.object_sed, &sigma(&self.prepared), survey.shape_bands());
        let lesson = teach(&self.prepared.registered, &taught, fwhm_px);
        TrainingFrame { planes: self.prepared.registered, noise_only: noise.planes, sky_share: noise.share, lesson }
    }

    /// Adds what the classifier learns from this frame: every object that would be classified, within
    /// [`TEACHING_MAG`]. `seed` is that of the noise nulls.
    pub fn add_objects(&self, survey: &Survey, seed: u64, objects: &mut Objects) {
        let (prepared, splines, psf) = (&self.prepared, &self.splines, &self.psf);
        let segmentation = &self.footprints.segmentation;
        let source = Source { prepared, survey, splines, psf, segmentation };
        let shapes = measure::footprint_shapes(prepared, survey, &self.footprints);
        let measured = measure::measure(&source, &self.footprints, &self.detection, &shapes);
        let found: Vec<_> = measured
            .par_iter()
            .filter(|m| TEACHING_MAG.contains(&m.reference_mag) && m.row.concentration.is_finite())
            .filter_map(|m| {
                let stamp = m.stamp.as_deref()?;
                let cutout = Cutout::take(&source, m.row.number, m.centre);
                let null = *cutout.null_stamp(seed ^ u64::from(m.row.number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                Some((*stamp, null, m.reference_mag, m.row.concentration))
            })
            .collect();
        for (stamp, null, mag, concentration) in found {
            objects.stamps.push(stamp);
            objects.null_stamps.push(null);
            objects.mag.push(mag);
            objects.concentration.push(concentration);
        }
    }
}
