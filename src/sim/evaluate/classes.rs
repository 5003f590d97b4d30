//! How right the classes of some objects are.

use serde::Serialize;

use super::kinds::Judged;
use super::statistics::Share;
use super::sure::Sure;
use super::{ReliabilityDiagram, roc};

/// Resamplings for the calibration error's interval.
const RESAMPLINGS: usize = 300;

/// Classes of objects that a row measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Classes {
    /// Stars at p < .5, of those with a class.
    pub stars_called_galaxy: Share,
    /// Stars at p < .01.
    pub stars_below_01: Share,
    /// Galaxies at p > .5.
    pub galaxies_called_star: Share,
    /// Galaxies at p > .99.
    pub galaxies_above_99: Share,
    /// Objects with a row but no class.
    pub without_class: Share,
    /// Area under the ROC curve of p; null without both classes.
    pub auc: Option<f64>,
    /// Calibration error of p; null of fewer than ten objects.
    pub calibration: Option<Calibration>,
    /// Those of which p is sure.
    pub sure: Sure,
}

/// A calibration error and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Mean over ten bins of equal counts of |mean p - share of stars|.
    pub error: f64,
    /// Low end of the interval.
    pub low: f64,
    /// High end of the interval.
    pub high: f64,
    /// What the error would be were p right, from the objects' number alone.
    pub of_chance: f64,
}

impl Classes {
    /// Of these objects.
    pub fn of(objects: &[&Judged]) -> Self {
        let measured = objects.iter().filter_map(|o| Some((o.row?.star_prob, o.known.object.star)));
        let classed: Vec<(f64, bool)> = measured.clone().filter_map(|(p, star)| Some((p?, star))).collect();
        let share = |is_star: bool, called: fn(f64) -> bool| {
            Share::of(classed.iter().filter(|(_, star)| *star == is_star).map(|(p, _)| called(*p)))
        };
        let (prob, star): (Vec<f64>, Vec<bool>) = classed.iter().copied().unzip();
        Self {
            stars_called_galaxy: share(true, |p| p < 0.5),
            stars_below_01: share(true, |p| p < 0.01),
            galaxies_called_star: share(false, |p| p > 0.5),
            galaxies_above_99: share(false, |p| p > 0.99),
            without_class: Share::of(measured.map(|(p, _)| p.is_none())),
            auc: roc(&prob, &star).map(|curve| curve.auc),
            calibration: ReliabilityDiagram::measure(&prob, &star, RESAMPLINGS, 0).map(Calibration::of),
            sure: Sure::measure(classed),
        }
    }
}

impl Calibration {
    fn of(diagram: ReliabilityDiagram) -> Self {
        // Mean |deviation| of a binomial share is sqrt(2 / pi) of its standard deviation.
        let deviation = |p: f64, n: usize| (2.0 / std::f64::consts::PI * p * (1.0 - p) / n as f64).sqrt();
        let bins = diagram.bins.iter().map(|b| deviation(b.mean_prob, b.objects) * b.objects as f64);
        let of_chance = bins.sum::<f64>() / diagram.objects as f64;
        Self { error: diagram.error, low: diagram.interval[0], high: diagram.interval[1], of_chance }
    }
}
