//! From a segmenter's scores to its metrics: thresholds without truth first, then the comparison.

use super::answer::{Field, Scores, SegmentError, SegmentationContext};
use super::metrics::{DetectionMetrics, Findings, Known, pixels};
use super::record::SegmentMetrics;
use twinpeak_core::extract::calibrate::NoiseScore;
use twinpeak_core::extract::{self, Parting, extract};
use twinpeak_core::frame::Plane;
use twinpeak_core::scores;
use twinpeak_sim::evaluate::Rules;

/// Numbers of false components a field at which segmenters are compared.
pub const ASKED: [f64; 4] = [3.0, 10.0, 30.0, 100.0];
/// The one to which the product is calibrated.
pub const USUAL: f64 = 10.0;

/// One field's scores as they are judged.
struct Judged<'a> {
    field: &'a Field,
    scores: &'a scores::Scores,
    noise: NoiseScore<'a>,
    parting: Parting,
}

impl Judged<'_> {
    fn findings(&self, usual: &extract::Settings, detect: f32, extent: f32) -> Findings {
        let extent = if self.parting == Parting::CENTRES { extent } else { extent.max(detect) };
        let settings = extract::Settings {
            detect_threshold: detect,
            extent_threshold: extent,
            parting: self.parting,
            ..usual.clone()
        };
        let footprints = extract(self.scores, &self.field.detection, &self.field.prepared.bits, &settings);
        Findings::of(footprints, self.noise.per_mpx(detect) * self.mpx())
    }

    /// Pixels of the field, millions.
    fn mpx(&self) -> f64 {
        self.scores.centre.pixels().len() as f64 / 1e6
    }

    fn threshold(&self, false_components: f64) -> Result<f32, SegmentError> {
        self.noise.threshold(false_components / self.mpx()).ok_or(SegmentError::NoSpread)
    }
}

/// The masks of the context's first field at the usual number of false components.
///
/// # Errors
/// [`SegmentError::NoSpread`]
pub fn masks(context: &SegmentationContext, scores: &Scores) -> Result<Option<Plane<u32>>, SegmentError> {
    let usual = &context.bundle.manifest().recipe.extract;
    let Some(first) = judged(context, scores).next() else { return Ok(None) };
    let detect = first.threshold(USUAL)?;
    Ok(first.findings(usual, detect, scores.extent.unwrap_or(detect)).pixels)
}

fn judged<'a>(context: &'a SegmentationContext, scores: &'a Scores) -> impl Iterator<Item = Judged<'a>> {
    let min_area_px = context.bundle.manifest().recipe.extract.min_area_px;
    context.fields.iter().zip(&scores.fields).map(move |(field, own)| {
        let noise = NoiseScore::of_frame(&own.noise, &field.prepared.occupied, min_area_px);
        Judged { field, scores: &own.field, noise, parting: scores.parting }
    })
}

/// Measures a segmenter's scores; `known` is what is true of each of the context's fields.
///
/// # Errors
/// [`SegmentError::NoSpread`]
pub fn judge(context: &SegmentationContext, scores: &Scores, known: &[Known]) -> Result<SegmentMetrics, SegmentError> {
    let usual = &context.bundle.manifest().recipe.extract;
    let rules = Rules::for_scale(context.survey.profile().pixel_scale_arcsec);
    let fields: Vec<Judged> = judged(context, scores).collect();
    let mut metrics = SegmentMetrics::default();
    let mut working = Vec::new();
    for asked in ASKED {
        let thresholds = fields.iter().map(|f| f.threshold(asked)).collect::<Result<Vec<_>, _>>()?;
        let extent = |t: f32| scores.extent.unwrap_or(t);
        let found: Vec<Findings> =
            fields.iter().zip(&thresholds).map(|(f, &t)| f.findings(usual, t, extent(t))).collect();
        metrics.at.push(DetectionMetrics::measure(Some(asked), &found, known, &rules));
        if asked == USUAL {
            working = thresholds.into_iter().map(extent).collect();
        }
    }
    metrics.own = scores.own.map(|(detect, extent)| {
        let found: Vec<Findings> = fields.iter().map(|f| f.findings(usual, detect, extent)).collect();
        DetectionMetrics::measure(None, &found, known, &rules)
    });
    metrics.pixels = pixels(fields.iter().zip(working).zip(known).map(|((f, t), known)| (&f.scores.extent, t, known)));
    Ok(metrics)
}
