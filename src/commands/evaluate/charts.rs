//! An evaluation as pictures.

use twinpeak_formats::picture::{Axis, Chart, Corner, PictureError, Series, Style, chart};
use twinpeak_sim::evaluate::{Bin, Evaluation, Method, ReliabilityDiagram};

/// ROC curves of all methods on the same objects, as PNG.
///
/// # Errors
/// [`PictureError`]
pub(super) fn roc(evaluation: &Evaluation, image: &str, band: &str) -> Result<Vec<u8>, PictureError> {
    let curve = |(method, roc): &(Method, twinpeak_sim::evaluate::Roc)| Series {
        name: format!("{}, AUC {:.4}", name(*method), roc.auc),
        points: roc.points.iter().map(|p| (p.false_positive_rate, p.true_positive_rate)).collect(),
        style: Style::Line,
    };
    let mut series = vec![diagonal("chance, AUC 0.5")];
    series.extend(evaluation.roc.iter().map(curve));
    chart(&Chart {
        title: format!("{image}: stars against galaxies, {}", range(band)),
        x: Axis::named("galaxies taken for stars").within(0.0, 1.0),
        y: Axis::named("stars found").within(0.0, 1.0),
        series,
        legend: Corner::LowerRight,
    })
}

/// Whether starProb means what it says, as PNG.
///
/// # Errors
/// [`PictureError`]
pub(super) fn reliability(calibration: &ReliabilityDiagram, image: &str, band: &str) -> Result<Vec<u8>, PictureError> {
    let measured = Series {
        name: format!("ten bins of equal count, calibration error {:.4}", calibration.error),
        points: calibration.bins.iter().map(|b| (b.mean_prob, b.star_fraction)).collect(),
        style: Style::Dots,
    };
    chart(&Chart {
        title: format!("{image}: is starProb right? {}", range(band)),
        x: Axis::named("mean starProb").within(0.0, 1.0),
        y: Axis::named("share that are stars").within(0.0, 1.0),
        series: vec![diagonal("as it should be"), measured],
        legend: Corner::UpperLeft,
    })
}

fn diagonal(name: &str) -> Series {
    Series { name: name.to_owned(), points: vec![(0.0, 0.0), (1.0, 1.0)], style: Style::Guide }
}

fn range(band: &str) -> String {
    format!("{band} {}-{}", Bin::MAIN.low, Bin::MAIN.high)
}

fn name(method: Method) -> &'static str {
    match method {
        Method::StarProb => "starProb",
        Method::Concentration => "concentration relative to the PSF",
        Method::HalfLightRadius => "half-light radius",
    }
}
