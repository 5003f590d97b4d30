//! How good a catalogue is, against a truth that nothing else in the program ever sees: AUC of star against
//! galaxy, completeness, purity and calibration, by magnitude, with the two measures of size as baselines on the
//! same objects. [`KindReport`] says it by kind of object: isolated, blended, saturated, at an edge.

mod agreement;
mod by_kind;
mod calibration;
mod classes;
pub mod forced;
mod kinds;
mod matching;
mod measures;
mod metrics;
mod overlap;
mod paired;
mod pairs;
mod repeats;
mod roc;
mod rows;
mod statistics;
mod sure;
#[cfg(test)]
mod testing;
pub mod truth_files;

use serde::Serialize;

pub use agreement::{Agreement, AtMagnitude, AtProbability, Worked};
pub use by_kind::{GroupReport, KindBin, KindReport};
pub use calibration::{ReliabilityBin, ReliabilityDiagram};
pub use classes::{Calibration, Classes};
pub use kinds::{Group, Judged, Judgement, Kind, KindRules};
pub use matching::{brightest_first, nearest, one_to_one};
pub use measures::{ColourDeviation, Deviation, FluxDeviation, Light, Positions, Shapes};
pub use metrics::{BinAuc, Metrics, ROC_NODES, Scored};
pub use overlap::Overlap;
pub use paired::{DetectionReport, FoundBin, PairedBin, PairedReport};
pub use pairs::PairsAt;
pub use repeats::{FluxChange, RepeatBin, RepeatGroup, RepeatReport};
pub use roc::{Roc, RocPoint, roc};
pub use rows::{FluxKind, JudgedField, Known, Measured, Row};
pub use statistics::{Share, Spread};
pub use sure::Sure;

/// A catalogue's object, as far as it is scored. Positions in 0-based reference pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Object {
    /// Column of the centre, px.
    pub x: f64,
    /// Row of the centre, px.
    pub y: f64,
    /// PSF magnitude in the reference band.
    pub mag: f64,
    /// Probability of being a star.
    pub star_prob: Option<f64>,
    /// Size relative to the PSF: 1 for a star, less for a galaxy.
    pub concentration: Option<f64>,
    /// Radius that holds half of the light, px.
    pub half_light_radius_px: Option<f64>,
}

/// A star, quasar or galaxy that is truly there. Positions in 0-based reference pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrueObject {
    /// Column of the centre, px.
    pub x: f64,
    /// Row of the centre, px.
    pub y: f64,
    /// A star or quasar, else a galaxy.
    pub star: bool,
    /// Magnitude in the reference band, where the truth says it.
    pub mag: Option<f64>,
}

/// What tells stars from galaxies; higher means star.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The classifier's probability of being a star.
    StarProb,
    /// Size relative to the PSF.
    Concentration,
    /// Half-light radius, not relative to the PSF, negated.
    HalfLightRadius,
}

impl Method {
    /// All, the classifier first.
    pub const ALL: [Self; 3] = [Self::StarProb, Self::Concentration, Self::HalfLightRadius];

    /// An object's score, `None` without a basis.
    pub fn score(self, object: &Object) -> Option<f64> {
        match self {
            Self::StarProb => object.star_prob,
            Self::Concentration => object.concentration,
            Self::HalfLightRadius => object.half_light_radius_px.map(|r| -r),
        }
        .filter(|score| score.is_finite())
    }
}

/// Radii and resamplings of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// An object takes the label of the nearest true one within this, px.
    pub label_radius_px: f64,
    /// A true object is found if an object is its partner, one to one, within this, px.
    pub match_radius_px: f64,
    /// Resamplings for the calibration error's interval.
    pub resamplings: usize,
    /// Seed of the resamplings.
    pub seed: u64,
}

impl Rules {
    /// For pixels of this size: partners within 2 arcsec, labels within 1.
    pub fn for_scale(pixel_scale_arcsec: f64) -> Self {
        let px = |arcsec: f64| arcsec / pixel_scale_arcsec;
        Self { label_radius_px: px(0.99), match_radius_px: px(2.0), resamplings: 1000, seed: 0 }
    }
}

/// Magnitudes from `low` up to but not including `high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Brightest magnitude, included.
    pub low: f64,
    /// Faintest magnitude, not included.
    pub high: f64,
}

impl Bin {
    /// Where the calibration error and the ROC curve are taken.
    pub const MAIN: Self = Self { low: 14.0, high: 22.0 };
    /// The ranges that are compared with other work.
    pub const WIDE: [Self; 3] = [Self { low: 14.0, high: 21.0 }, Self::MAIN, Self { low: 21.0, high: 22.0 }];

    /// Each half magnitude from 14 to 24.
    pub fn halves() -> impl Iterator<Item = Self> {
        (28..48).map(|i| Self { low: f64::from(i) / 2.0, high: f64::from(i + 1) / 2.0 })
    }

    fn all() -> impl Iterator<Item = Self> {
        Self::WIDE.into_iter().chain(Self::halves())
    }

    fn holds(&self, mag: f64) -> bool {
        self.low <= mag && mag < self.high
    }
}

/// How well each method classifies the objects of a bin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BinClasses {
    /// By true magnitude, where it is known, else by our own.
    pub bin: Bin,
    /// Labelled objects that every method could score.
    pub objects: usize,
    /// Number of stars among them.
    pub stars: usize,
    /// AUC in the order of [`Method::ALL`]; `None` where a class is missing.
    pub auc: [Option<f64>; 3],
    /// Of the probability; `None` with too few objects.
    pub calibration: Option<ReliabilityDiagram>,
}

/// How many of a bin's objects were found, and how many found are real.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BinDetection {
    /// By true magnitude for completeness, by our own for purity; `None`: everything, whatever its magnitude.
    /// A true object without a magnitude is as bright as its partner; without a partner either, it is in no bin.
    pub bin: Option<Bin>,
    /// Number of true objects.
    pub truth: usize,
    /// Number of true objects that were found.
    pub found: usize,
    /// Number of objects in the catalogue.
    pub catalog: usize,
    /// Those with a true partner.
    pub real: usize,
}

impl BinDetection {
    /// Share of true objects that were found.
    pub fn completeness(&self) -> Option<f64> {
        ratio(self.found, self.truth)
    }

    /// Share of the catalogue that is real.
    pub fn purity(&self) -> Option<f64> {
        ratio(self.real, self.catalog)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// How well a catalogue finds and classifies objects.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Number of objects with a label.
    pub labelled: usize,
    /// Labelled objects left out of the classes because some method cannot score them.
    pub unscored: usize,
    /// Classification in each bin that holds anything.
    pub classes: Vec<BinClasses>,
    /// Everything, then bins that hold anything.
    pub detection: Vec<BinDetection>,
    /// Of the probability, in [`Bin::MAIN`].
    pub calibration: Option<ReliabilityDiagram>,
    /// ROC curve of each method, in [`Bin::MAIN`].
    pub roc: Vec<(Method, Roc)>,
}

impl Evaluation {
    /// Detection between two half magnitudes.
    pub fn detection_between(&self, low: f64, high: f64) -> BinDetection {
        let range = Bin { low, high };
        let mut sum = BinDetection { bin: Some(range), truth: 0, found: 0, catalog: 0, real: 0 };
        let halves = |d: &&BinDetection| d.bin.is_some_and(|b| b.high - b.low == 0.5 && low <= b.low && b.high <= high);
        for d in self.detection.iter().filter(halves) {
            sum.truth += d.truth;
            sum.found += d.found;
            sum.catalog += d.catalog;
            sum.real += d.real;
        }
        sum
    }

    /// AUC in [`Bin::MAIN`]; `None` where a class is missing.
    pub fn auc(&self, method: Method) -> Option<f64> {
        self.roc.iter().find(|(m, _)| *m == method).map(|(_, roc)| roc.auc)
    }
}

fn partners(objects: &[Object], truth: &[TrueObject], rules: &Rules) -> Vec<Option<usize>> {
    one_to_one(&positions_true(truth), &positions(objects), rules.match_radius_px)
}

fn positions(objects: &[Object]) -> Vec<(f64, f64)> {
    objects.iter().map(|o| (o.x, o.y)).collect()
}

fn positions_true(truth: &[TrueObject]) -> Vec<(f64, f64)> {
    truth.iter().map(|t| (t.x, t.y)).collect()
}

/// A labelled object with all its scores.
struct Labelled {
    mag: f64,
    star: bool,
    scores: [f64; 3],
}

/// Scores a catalogue against the truth; a function of its arguments alone.
pub fn evaluate(objects: &[Object], truth: &[TrueObject], rules: &Rules) -> Evaluation {
    let labels = nearest(&positions(objects), &positions_true(truth), rules.label_radius_px);
    let mut labelled = Vec::new();
    for (object, true_object) in objects.iter().zip(labels).filter_map(|(o, l)| Some((o, &truth[l?]))) {
        let scores = Method::ALL.map(|m| m.score(object));
        let mag = true_object.mag.unwrap_or(object.mag);
        labelled.push(match scores {
            [Some(a), Some(b), Some(c)] => Some(Labelled { mag, star: true_object.star, scores: [a, b, c] }),
            _ => None,
        });
    }
    let scored: Vec<_> = labelled.iter().flatten().collect();
    let main: Vec<_> = scored.iter().filter(|l| Bin::MAIN.holds(l.mag)).collect();
    let column = |m: usize| main.iter().map(|l| l.scores[m]).collect::<Vec<_>>();
    let stars: Vec<_> = main.iter().map(|l| l.star).collect();
    let curves = Method::ALL.into_iter().enumerate();
    Evaluation {
        labelled: labelled.len(),
        unscored: labelled.len() - scored.len(),
        classes: Bin::all().filter_map(|bin| classes(bin, &scored, rules)).collect(),
        detection: detection(objects, truth, rules),
        calibration: ReliabilityDiagram::measure(&column(0), &stars, rules.resamplings, rules.seed),
        roc: curves.filter_map(|(m, method)| Some((method, roc(&column(m), &stars)?))).collect(),
    }
}

fn classes(bin: Bin, scored: &[&Labelled], rules: &Rules) -> Option<BinClasses> {
    let inside: Vec<_> = scored.iter().filter(|l| bin.holds(l.mag)).collect();
    let star: Vec<_> = inside.iter().map(|l| l.star).collect();
    let auc = [0, 1, 2].map(|m| {
        let scores: Vec<_> = inside.iter().map(|l| l.scores[m]).collect();
        roc(&scores, &star).map(|curve| curve.auc)
    });
    let stars = star.iter().filter(|s| **s).count();
    let prob: Vec<_> = inside.iter().map(|l| l.scores[0]).collect();
    let calibration = ReliabilityDiagram::measure(&prob, &star, rules.resamplings, rules.seed);
    (!inside.is_empty()).then_some(BinClasses { bin, objects: inside.len(), stars, auc, calibration })
}

fn detection(objects: &[Object], truth: &[TrueObject], rules: &Rules) -> Vec<BinDetection> {
    let partners = partners(objects, truth, rules);
    let mut real = vec![false; objects.len()];
    partners.iter().flatten().for_each(|&o| real[o] = true);
    // A found object without a true magnitude is as bright as we measured it.
    let mag = |t: usize| truth[t].mag.or_else(|| partners[t].map(|o| objects[o].mag));
    let count = |bin: Option<Bin>| {
        let inside = |mag: Option<f64>| bin.is_none_or(|b| mag.is_some_and(|m| b.holds(m)));
        let there: Vec<_> = (0..truth.len()).filter(|&t| inside(mag(t))).collect();
        let listed: Vec<_> = (0..objects.len()).filter(|&o| inside(Some(objects[o].mag))).collect();
        BinDetection {
            bin,
            truth: there.len(),
            found: there.iter().filter(|&&t| partners[t].is_some()).count(),
            catalog: listed.len(),
            real: listed.iter().filter(|&&o| real[o]).count(),
        }
    };
    let bins = Bin::all().map(|b| count(Some(b))).filter(|d| d.truth + d.catalog > 0);
    std::iter::once(count(None)).chain(bins).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { label_radius_px: 2.5, match_radius_px: 5.05, resamplings: 50, seed: 0 };

    fn object(x: f64, mag: f64, star_prob: f64, size: f64) -> Object {
        Object {
            x,
            y: 0.0,
            mag,
            star_prob: Some(star_prob),
            concentration: Some(1.0 / size),
            half_light_radius_px: Some(size),
        }
    }

    fn is(x: f64, star: bool, mag: Option<f64>) -> TrueObject {
        TrueObject { x, y: 0.0, star, mag }
    }

    fn find(evaluation: &Evaluation, low: f64, high: f64) -> &BinDetection {
        evaluation.detection.iter().find(|d| d.bin == Some(Bin { low, high })).unwrap()
    }

    #[test]
    fn counts_by_magnitude() {
        let objects = [
            object(0.0, 20.1, 0.9, 1.0),
            object(100.0, 20.2, 0.2, 2.0),
            object(200.0, 21.4, 0.3, 1.5), // 4 px from its true one: found, but without a label
            object(300.0, 21.3, 0.8, 1.0), // nothing there
        ];
        let truth = [
            is(0.5, true, None),
            is(101.0, false, Some(19.9)),
            is(204.0, false, Some(21.2)),
            is(400.0, false, Some(21.1)), // missed
            is(500.0, true, None),        // missed, nobody knows how bright
        ];
        let e = evaluate(&objects, &truth, &RULES);
        assert_eq!((e.labelled, e.unscored), (2, 0));
        let all = &e.detection[0];
        assert_eq!((all.bin, all.truth, all.found, all.catalog, all.real), (None, 5, 3, 4, 3));
        let faint = find(&e, 21.0, 21.5);
        assert_eq!((faint.completeness(), faint.purity()), (Some(0.5), Some(0.5)));
        assert_eq!(find(&e, 20.0, 20.5).completeness(), Some(1.0)); // by our own magnitude
        assert_eq!(find(&e, 19.5, 20.0).purity(), None); // by our own magnitude there is nothing
        assert_eq!(e.classes[0].auc, [Some(1.0); 3]);
        assert_eq!(e.auc(Method::StarProb), Some(1.0));
        let wide = e.detection_between(19.5, 22.0);
        assert_eq!((wide.truth, wide.found, wide.catalog, wide.real), (4, 3, 4, 3));
    }

    #[test]
    fn baselines_are_scored_on_the_same_objects() {
        let mut objects: Vec<_> = (0..6).map(|i| object(f64::from(i) * 50.0, 20.0, 0.5, f64::from(i + 1))).collect();
        objects[0].star_prob = None;
        objects[1].half_light_radius_px = Some(f64::NAN);
        let truth: Vec<_> = (0..6).map(|i| is(f64::from(i) * 50.0, i < 4, None)).collect();
        let e = evaluate(&objects, &truth, &RULES);
        assert_eq!((e.labelled, e.unscored), (6, 2));
        let main = e.classes.iter().find(|c| c.bin == Bin::MAIN).unwrap();
        assert_eq!((main.objects, main.stars), (4, 2));
        assert_eq!(main.auc, [Some(0.5), Some(1.0), Some(1.0)]); // all ties; both sizes are perfect
    }

    #[test]
    fn nothing_gives_no_numbers() {
        let e = evaluate(&[], &[], &RULES);
        assert!(e.classes.is_empty() && e.roc.is_empty() && e.calibration.is_none());
        assert_eq!(e.detection[0].completeness(), None);
    }
}
