//! From a frame to what nets learn from, by the daemon's own stages: `preprocess`, detection, `psf`, `cutout`. No
//! label is read anywhere here.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::segment::teacher::{Weights, teach};
use super::segment::{TrainingFrame, injection, score_frame, score_sky};
use super::{MissingBands, classify};
use twinpeak_core::catalog::Row;
use twinpeak_core::cutout::{ClassifierInput, Cutout, Measurements};
use twinpeak_core::detections::Detections;
use twinpeak_core::extract::calibrate::noise_only;
use twinpeak_core::model::{ModelError, Segmenter};
use twinpeak_core::preprocess::Prepared;
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;
use twinpeak_core::threshold::ThresholdSegmenter;

/// What scores pixels while there is no net: the matched filter for the usual seeing.
pub fn matched_filter(survey: &Survey) -> ThresholdSegmenter {
    ThresholdSegmenter::new(survey, survey.profile().typical.fwhm_arcsec / survey.profile().pixel_scale_arcsec)
}

/// How objects are found on the frames to learn from.
pub struct ObjectFinder<'a> {
    /// What scores the frames' pixels.
    pub segmenter: &'a mut dyn Segmenter,
    /// Overlap of its tiles, thresholds in its unit, and the seeing where a frame has too few stars.
    pub recipe: &'a Recipe,
}

/// Finds a frame's objects and measures its PSF.
///
/// # Errors
/// The segmenter's.
pub fn find<'a>(
    prepared: &'a Prepared,
    survey: &'a Survey,
    by: &mut ObjectFinder,
) -> Result<Detections<'a>, ModelError> {
    let scores = score_frame(by.segmenter, &prepared.registered, by.recipe.tile_overlap_px)?;
    let (sky, centres) = score_sky(by.segmenter, prepared)?;
    let noise = sky.noise(&centres, by.recipe.extract.min_area_px);
    let extraction = by.recipe.extraction(scores.centre.pixels().len(), &noise);
    Ok(Detections::find(prepared, survey, &scores, &extraction, &by.recipe.fallback_fwhm_arcsec))
}

/// What the segmenter learns from a frame on which `sources` were seen; `seed` is that of the noise in place of objects.
pub fn training_frame(prepared: Prepared, survey: &Survey, sources: injection::Library, seed: u64) -> TrainingFrame {
    let noise_only = noise_only(&prepared.registered, &prepared.occupied, seed);
    let sigma = prepared.sky.map(|s| f64::from(s.sigma_nmgy));
    let taught = Weights::new(&survey.profile().typical.object_sed, &sigma, &prepared.shape_bands(survey));
    let pseudo_labels = teach(&prepared.registered, &taught, sources.fwhm_px);
    TrainingFrame { planes: prepared.registered, noise_only, occupied: prepared.occupied, pseudo_labels, sources }
}

/// Adds what the classifier learns from a frame: every object that would be classified, within the survey's
/// `magnitudes.teaching`. `seed` is that of the simulated point-source controls, and of the bands that objects lack by
/// `missing`. What was measured of each goes to `known`.
pub fn add_objects(
    found: &Detections,
    seed: u64,
    missing: &MissingBands,
    to: &mut classify::TrainingSet,
    known: &mut Vec<Measurements>,
) {
    let view = found.view();
    let taught: Vec<_> = found
        .measure()
        .par_iter()
        .filter_map(|m| {
            let input = m.input.as_ref().filter(|e| teaches(view.survey, e, &m.row))?;
            let mut cutout = Cutout::take(&view, m.row.number, m.centre);
            let seed = seed ^ u64::from(m.row.number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let input = match missing.draw(&mut ChaCha8Rng::seed_from_u64(!seed)) {
                None => input.clone(),
                Some(band) => {
                    cutout.leave_out(band);
                    cutout.has_basis().then(|| cutout.classifier_input(view.profiles, m.centre, input.measured.mag))?
                }
            };
            Some((input, *cutout.control_stamp(seed), m.row.concentration))
        })
        .collect();
    for (input, control, concentration) in taught {
        to.stamps.push(*input.stamp);
        to.control_stamps.push(control);
        to.mag.push(input.measured.mag);
        to.concentration.push(concentration);
        known.push(input.measured);
    }
}

/// Whether an object teaches the classifier.
pub fn teaches(survey: &Survey, input: &ClassifierInput, row: &Row) -> bool {
    let [brightest, faintest] = survey.magnitudes().teaching.map(|mag| mag as f32);
    (brightest..faintest).contains(&input.measured.mag) && row.concentration.is_finite()
}
