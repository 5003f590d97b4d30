//! What a segmenter found against what is there.
//!
//! Segmenters are compared at *equal false components*: on a frame whose sign is flipped and whose objects are masked
//! ([`twinpeak_core::extract::calibrate`]) there is nothing to find, so a threshold can be chosen without truth that
//! leaves, say, 10 components of 5 px a frame. Whatever then finds more true objects is the better detector. The same
//! frames give the number of false components at any other threshold.
//!
//! Pixels are another question: which of them belong to an object. On simulations that is known (science.md, section 5:
//! the noiseless sum of the shape bands exceeds 1.5 sigma; from .75 to 1.5 nothing is said), and
//!
//! > IoU = pixels that are an object's and are called so / pixels that are an object's or are called so.

use serde::{Deserialize, Serialize};

use twinpeak_core::extract::Footprints;
use twinpeak_core::frame::Plane;
use twinpeak_sim::evaluate::{Bin, Overlap, Rules, TrueObject, one_to_one};

/// What is truly in a field.
#[derive(Clone, Debug)]
pub struct Known {
    /// Objects with their magnitude in the reference band.
    pub objects: Vec<TrueObject>,
    /// Whether these are all, down to the faintest that anything finds.
    pub complete: bool,
    /// On the reference grid, of a simulation: 0 for sky, an object's number, or `ignored`.
    pub pixels: Option<Plane<u32>>,
    /// The number of pixels about which nothing is said.
    pub ignored: u32,
}

/// What was found in a field at one threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// Components on the field without objects, for the whole field.
    pub false_components: f64,
    /// Positions of objects, reference px.
    pub objects: Vec<(f64, f64)>,
    /// Which pixels are whose, where that is known.
    pub pixels: Option<Plane<u32>>,
}

impl Findings {
    /// Those of an extraction, with the components found without objects.
    pub fn of(footprints: Footprints, false_components: f64) -> Self {
        let objects = footprints.objects.iter().map(|o| (o.x, o.y)).collect();
        Self { false_components, objects, pixels: Some(footprints.segmentation) }
    }
}

/// Metrics at one threshold, over all fields of a sky.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DetectionMetrics {
    /// False components a field that were asked for; none where the threshold was not chosen by them.
    pub asked: Option<f64>,
    /// False components a field, as counted.
    pub false_components: f64,
    /// Objects found a field, true or not.
    pub objects: f64,
    /// Objects a field without a true one within 2 arcsec, where all true ones are known.
    pub unmatched: Option<f64>,
    /// True objects by half magnitude, in the order of [`bins`].
    pub there: Vec<usize>,
    /// Those of `there` that were found.
    pub found: Vec<usize>,
    /// IoU of the extracted masks.
    pub iou: Option<f64>,
}

/// Where the half magnitudes begin, and how many there are.
const FIRST: f64 = 18.0;
const HALVES: usize = 12;

/// The half magnitudes that are scored.
pub fn bins() -> impl Iterator<Item = Bin> {
    (0..HALVES).map(|i| FIRST + 0.5 * i as f64).map(|low| Bin { low, high: low + 0.5 })
}

impl DetectionMetrics {
    /// Compares each field's findings with what is known of it.
    pub fn measure(asked: Option<f64>, findings: &[Findings], known: &[Known], rules: &Rules) -> Self {
        let fields = findings.len().max(1) as f64;
        let mut metrics = Self { asked, there: vec![0; HALVES], found: vec![0; HALVES], ..Self::default() };
        let (mut overlap, mut alone) = (None, None);
        for (found, known) in findings.iter().zip(known) {
            metrics.false_components += found.false_components / fields;
            metrics.objects += found.objects.len() as f64 / fields;
            let at: Vec<_> = known.objects.iter().map(|t| (t.x, t.y)).collect();
            let partners = one_to_one(&at, &found.objects, rules.match_radius_px);
            for (object, partner) in known.objects.iter().zip(&partners) {
                let Some(bin) = object.mag.and_then(|mag| bins().position(|b| b.low <= mag && mag < b.high)) else {
                    continue;
                };
                metrics.there[bin] += 1;
                metrics.found[bin] += usize::from(partner.is_some());
            }
            if known.complete {
                let matched = partners.iter().flatten().count();
                *alone.get_or_insert(0.0) += (found.objects.len() - matched) as f64 / fields;
            }
            if let (Some(ours), Some(truth)) = (&found.pixels, &known.pixels)
                && let Some(here) = Overlap::measure(ours, truth, known.ignored)
            {
                *overlap.get_or_insert(Overlap::default()) += here;
            }
        }
        metrics.unmatched = alone;
        metrics.iou = overlap.and_then(|o: Overlap| o.iou());
        metrics
    }

    /// Share of the true objects between two of the half magnitudes that were found.
    pub fn completeness(&self, low: f64, high: f64) -> Option<f64> {
        let within = |counts: &[usize]| -> usize {
            bins().zip(counts).filter(|(b, _)| low <= b.low && b.high <= high).map(|(_, n)| n).sum()
        };
        let (there, found) = (within(&self.there), within(&self.found));
        (there > 0).then(|| found as f64 / there as f64)
    }
}

/// How well a score tells objects' pixels from the sky's, with nothing extracted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PixelMetrics {
    /// IoU of the pixels above the working threshold.
    pub working: f64,
    /// The best IoU of any one threshold.
    pub best: f64,
}

/// Each field's scores, its working threshold and truth; `None` where nothing is known of pixels.
pub fn pixels<'a>(fields: impl Iterator<Item = (&'a Plane<f32>, f32, &'a Known)>) -> Option<PixelMetrics> {
    let mut scored: Vec<(f32, bool)> = Vec::new();
    let mut working = Overlap::default();
    for (score, threshold, known) in fields {
        let truth = known.pixels.as_ref()?;
        let called = score.map(|s| u32::from(s > threshold));
        working += Overlap::measure(&called, truth, known.ignored)?;
        let pairs = score.pixels().iter().zip(truth.pixels()).filter(|(_, t)| **t != known.ignored);
        scored.extend(pairs.map(|(s, t)| (*s, *t != 0)));
    }
    Some(PixelMetrics { working: working.iou()?, best: best_iou(scored)? })
}

/// Down from the highest score, each pixel that is taken in is an object's or is not.
fn best_iou(mut scored: Vec<(f32, bool)>) -> Option<f64> {
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let objects = scored.iter().filter(|(_, object)| *object).count();
    let (mut both, mut best) = (0usize, 0.0f64);
    for (i, (score, object)) in scored.iter().enumerate() {
        both += usize::from(*object);
        // Pixels of one score are taken in together.
        if scored.get(i + 1).is_none_or(|next| next.0 != *score) {
            best = best.max(both as f64 / (objects + i + 1 - both) as f64);
        }
    }
    (objects > 0).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IGNORED: u32 = 99;

    fn known(pixels: Plane<u32>) -> Known {
        let object = |x: f64, mag| TrueObject { x, y: 1.0, star: true, mag: Some(mag) };
        let objects = vec![object(1.0, 22.1), object(8.0, 22.4), object(14.0, 22.6)];
        Known { objects, complete: true, pixels: Some(pixels), ignored: IGNORED }
    }

    fn truth() -> Plane<u32> {
        Plane::from_pixels(16, 3, (0..48).map(|i| [0, 0, 1, 2, IGNORED][i * 7 % 5]).collect())
    }

    #[test]
    fn what_is_there_and_was_found_is_counted() {
        let rules = Rules::for_scale(1.0);
        let objects = vec![(1.5, 1.0), (14.0, 2.0), (5.0, 1.0)];
        let found = Findings { false_components: 4.0, objects, pixels: Some(truth()) };
        let metrics =
            DetectionMetrics::measure(Some(4.0), &[found.clone(), found], &[known(truth()), known(truth())], &rules);
        assert_eq!((metrics.false_components, metrics.objects, metrics.unmatched), (4.0, 3.0, Some(1.0)));
        assert_eq!((metrics.completeness(22.0, 22.5), metrics.completeness(22.5, 23.0)), (Some(0.5), Some(1.0)));
        assert_eq!((metrics.completeness(22.0, 23.0), metrics.completeness(18.0, 20.0)), (Some(2.0 / 3.0), None));
    }

    #[test]
    fn a_mask_overlaps_itself_wholly_and_its_complement_not_at_all() {
        let truth = truth();
        let itself = truth.map(|t| if t == 0 { -1.0 } else { 1.0 });
        let metrics = |score: &Plane<f32>, threshold| pixels([(score, threshold, &known(truth.clone()))].into_iter());
        assert_eq!(metrics(&itself, 0.0), Some(PixelMetrics { working: 1.0, best: 1.0 }));
        let turned = metrics(&itself.map(|s| -s), 0.0).unwrap();
        assert_eq!(turned.working, 0.0);
        // Everything called an object's is the best that is left.
        let share = truth.pixels().iter().filter(|t| **t != 0 && **t != IGNORED).count() as f64
            / truth.pixels().iter().filter(|t| **t != IGNORED).count() as f64;
        assert!((turned.best - share).abs() < 1e-12);
    }

    /// Sorting finds what trying each threshold finds.
    #[test]
    fn the_best_threshold_is_the_best_of_all() {
        let truth = truth();
        let score = Plane::from_pixels(16, 3, (0..48).map(|i| ((i * 7) % 11) as f32).collect());
        let at = |threshold| pixels([(&score, threshold, &known(truth.clone()))].into_iter()).unwrap();
        let tried = (-1..11).map(|t| at(t as f32).working).fold(0.0, f64::max);
        assert!((at(0.0).best - tried).abs() < 1e-12, "{} {tried}", at(0.0).best);
    }
}
