//! From a segmenter's scores to its marks: thresholds without truth first, then the comparison.

use super::answer::{Field, Ground, Scores, SegmentError};
use super::marks::{Findings, Known, Mark, pixels};
use super::record::SegmentMarks;
use twinpeak_core::extract::calibrate::NoiseScore;
use twinpeak_core::extract::{Settings as Extract, extract};
use twinpeak_core::frame::Plane;
use twinpeak_sim::evaluate::Rules;

/// Numbers of false components a field at which segmenters are compared.
pub const ASKED: [f64; 4] = [3.0, 10.0, 30.0, 100.0];
/// The one to which the product is calibrated.
pub const USUAL: f64 = 10.0;

/// One field's scores as they are judged.
struct Judged<'a> {
    field: &'a Field,
    score: &'a Plane<f32>,
    noise: NoiseScore<'a>,
}

impl Judged<'_> {
    fn findings(&self, usual: &Extract, detect: f32, extent: f32) -> Findings {
        let settings = Extract { detect_threshold: detect, extent_threshold: extent.max(detect), ..usual.clone() };
        let footprints = extract(self.score, &self.field.detection, &self.field.prepared.bits, &settings);
        Findings::of(footprints, self.noise.false_objects(detect))
    }

    fn threshold(&self, false_components: f64) -> Result<f32, SegmentError> {
        self.noise.detect_threshold(false_components).ok_or(SegmentError::NoSpread)
    }
}

/// The masks of a ground's first field at the usual number of false components.
///
/// # Errors
/// [`SegmentError::NoSpread`]
pub fn masks(ground: &Ground, scores: &Scores) -> Result<Option<Plane<u32>>, SegmentError> {
    let usual = &ground.bundle.manifest().recipe.extract;
    let Some(first) = judged(ground, scores).next() else { return Ok(None) };
    let detect = first.threshold(USUAL)?;
    Ok(first.findings(usual, detect, scores.extent.unwrap_or(detect)).pixels)
}

fn judged<'a>(ground: &'a Ground, scores: &'a Scores) -> impl Iterator<Item = Judged<'a>> {
    let min_area_px = ground.bundle.manifest().recipe.extract.min_area_px;
    ground.fields.iter().zip(&scores.fields).map(move |(field, scores)| {
        let noise = NoiseScore { score: &scores.noise, share: field.noise.share, min_area_px };
        Judged { field, score: &scores.field, noise }
    })
}

/// Marks a segmenter's scores; `known` is what is true of each of the ground's fields.
///
/// # Errors
/// [`SegmentError::NoSpread`]
pub fn judge(ground: &Ground, scores: &Scores, known: &[Known]) -> Result<SegmentMarks, SegmentError> {
    let usual = &ground.bundle.manifest().recipe.extract;
    let rules = Rules::for_scale(ground.survey.profile().pixel_scale_arcsec);
    let fields: Vec<Judged> = judged(ground, scores).collect();
    let mut marks = SegmentMarks::default();
    let mut working = Vec::new();
    for asked in ASKED {
        let thresholds = fields.iter().map(|f| f.threshold(asked)).collect::<Result<Vec<_>, _>>()?;
        let extent = |t: f32| scores.extent.unwrap_or(t);
        let found: Vec<Findings> =
            fields.iter().zip(&thresholds).map(|(f, &t)| f.findings(usual, t, extent(t))).collect();
        marks.at.push(Mark::measure(Some(asked), &found, known, &rules));
        if asked == USUAL {
            working = thresholds.into_iter().map(extent).collect();
        }
    }
    marks.own = scores.own.map(|(detect, extent)| {
        let found: Vec<Findings> = fields.iter().map(|f| f.findings(usual, detect, extent)).collect();
        Mark::measure(None, &found, known, &rules)
    });
    marks.pixels = pixels(fields.iter().zip(working).zip(known).map(|((f, t), known)| (f.score, t, known)));
    Ok(marks)
}
