//! One method's metrics on labelled objects: what the study writes down of every run.

use serde::{Deserialize, Serialize};

use super::{Bin, ReliabilityDiagram, roc};

/// What a method says of one labelled object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Magnitude in the reference band: the true one where it is known.
    pub mag: f64,
    /// Whether it truly is a star or quasar.
    pub star: bool,
    /// The method's score: higher for a star.
    pub score: f64,
    /// Whether the method calls it a star.
    pub called_star: bool,
    /// The probability, where the method gives one.
    pub probability: Option<f64>,
}

/// AUC in a range of magnitudes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BinAuc {
    /// Brightest magnitude of the range.
    pub low: f64,
    /// Faintest magnitude of the range, not included.
    pub high: f64,
    /// Number of labelled objects in it.
    pub objects: usize,
    /// Number of stars among them.
    pub stars: usize,
    /// Area under the ROC curve.
    pub auc: f64,
}

/// How well a method tells stars from galaxies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// In the wide ranges and each half magnitude that holds both classes.
    pub auc: Vec<BinAuc>,
    /// Share of right calls in [`Bin::MAIN`].
    pub accuracy: f64,
    /// Harmonic mean of purity and completeness of the stars there, 0 where none is called one.
    pub f1_star: f64,
    /// The same of the galaxies.
    pub f1_galaxy: f64,
    /// Calibration error of the probability there.
    pub calibration: Option<f64>,
    /// (mean probability, share of stars) of ten equal-count bins there.
    pub reliability: Vec<(f64, f64)>,
    /// True positive rates there at [`ROC_NODES`] even false positive rates from 0 to 1.
    pub roc: Vec<f64>,
}

/// Nodes of a kept curve.
pub const ROC_NODES: usize = 101;

impl Metrics {
    /// Measures them; a NaN score counts as the lowest. Empty where a class is missing.
    pub fn measure(scored: &[Scored]) -> Self {
        let main: Vec<&Scored> = scored.iter().filter(|o| Bin::MAIN.holds(o.mag)).collect();
        let count =
            |called: bool, star: bool| main.iter().filter(|o| o.called_star == called && o.star == star).count() as f64;
        let (star_right, galaxy_right) = (count(true, true), count(false, false));
        let (star_wrong, galaxy_wrong) = (count(true, false), count(false, true));
        let f1 = |right: f64| if right > 0.0 { 2.0 * right / (2.0 * right + star_wrong + galaxy_wrong) } else { 0.0 };
        let star: Vec<bool> = main.iter().map(|o| o.star).collect();
        let probability: Option<Vec<f64>> = main.iter().map(|o| o.probability.filter(|p| !p.is_nan())).collect();
        // The interval is not kept: the seeds' spread says more.
        let calibration = probability.and_then(|p| ReliabilityDiagram::measure(&p, &star, 0, 0));
        Self {
            auc: Bin::all().filter_map(|bin| bin_auc(bin, scored)).collect(),
            accuracy: (star_right + galaxy_right) / (main.len() as f64).max(1.0),
            f1_star: f1(star_right),
            f1_galaxy: f1(galaxy_right),
            reliability: calibration
                .iter()
                .flat_map(|c| c.bins.iter().map(|b| (b.mean_prob, b.star_fraction)))
                .collect(),
            calibration: calibration.map(|c| c.error),
            roc: roc(&main.iter().map(|o| low_if_nan(o.score)).collect::<Vec<_>>(), &star)
                .map_or_else(Vec::new, |curve| resampled(&curve)),
        }
    }

    /// AUC between two magnitudes, one of the ranges that are measured.
    pub fn auc_between(&self, low: f64, high: f64) -> Option<f64> {
        self.auc.iter().find(|b| b.low == low && b.high == high).map(|b| b.auc)
    }
}

fn low_if_nan(score: f64) -> f64 {
    if score.is_nan() { f64::NEG_INFINITY } else { score }
}

fn bin_auc(bin: Bin, scored: &[Scored]) -> Option<BinAuc> {
    let inside = || scored.iter().filter(|o| bin.holds(o.mag));
    let scores: Vec<f64> = inside().map(|o| low_if_nan(o.score)).collect();
    let star: Vec<bool> = inside().map(|o| o.star).collect();
    let auc = roc(&scores, &star)?.auc;
    let stars = star.iter().filter(|s| **s).count();
    Some(BinAuc { low: bin.low, high: bin.high, objects: star.len(), stars, auc })
}

/// The curve at even false positive rates: the highest true positive rate reached at or below each.
fn resampled(curve: &super::Roc) -> Vec<f64> {
    (0..ROC_NODES)
        .map(|i| {
            let rate = i as f64 / (ROC_NODES - 1) as f64;
            let until = curve.points.iter().take_while(|p| p.false_positive_rate <= rate + 1e-12);
            until.last().map_or(0.0, |p| p.true_positive_rate)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(mag: f64, star: bool, probability: f64) -> Scored {
        Scored { mag, star, score: probability, called_star: probability > 0.5, probability: Some(probability) }
    }

    #[test]
    fn a_perfect_method_gets_full_marks() {
        let all: Vec<_> = (0..40).map(|i| object(20.2, i % 2 == 0, f64::from(1 - i % 2))).collect();
        let metrics = Metrics::measure(&all);
        assert_eq!(
            (metrics.accuracy, metrics.f1_star, metrics.f1_galaxy, metrics.calibration),
            (1.0, 1.0, 1.0, Some(0.0))
        );
        assert_eq!((metrics.auc_between(14.0, 22.0), metrics.auc_between(20.0, 20.5)), (Some(1.0), Some(1.0)));
        assert_eq!(metrics.auc_between(21.0, 22.0), None);
        assert_eq!((metrics.roc[0], metrics.roc.len()), (1.0, ROC_NODES));
    }

    /// Two of four stars found, one galaxy taken for a star: sklearn's accuracy_score .625, f1_score .571 and .667.
    #[test]
    fn calls_are_counted() {
        let star = [true, true, true, true, false, false, false, false];
        let called = [true, true, false, false, true, false, false, false];
        let all: Vec<_> = star.iter().zip(called).map(|(&s, c)| object(19.0, s, f64::from(u8::from(c)))).collect();
        let metrics = Metrics::measure(&all);
        assert!((metrics.accuracy - 0.625).abs() < 1e-12);
        assert!((metrics.f1_star - 4.0 / 7.0).abs() < 1e-12 && (metrics.f1_galaxy - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(metrics.calibration, None); // fewer objects than bins
    }

    #[test]
    fn a_score_that_is_no_number_ranks_last() {
        let mut all: Vec<_> = (0..20).map(|i| object(20.0, i < 10, f64::from(20 - i))).collect();
        all[0].score = f64::NAN;
        assert!((Metrics::measure(&all).auc_between(14.0, 22.0).unwrap() - 0.9).abs() < 1e-12);
        assert_eq!(Metrics::measure(&[]).roc, Vec::<f64>::new());
    }
}
