//! The study's pictures, from the records alone: ROC curves (figure 6), latents with the prior (figure 3), losses,
//! reliability, and how apart two peaks lie by three divergences (appendix B.1).

use std::path::PathBuf;

use super::divergences::{Divergence, divergences};
use super::table::slug;
use super::{Method, MethodKind, Plan, Record, StudyDataset, Supervision};
use twinpeak_formats::picture::{Axis, Chart, Corner, PictureError, Series, Style, chart};
use twinpeak_learn::loss::DoublePeak;
use twinpeak_sim::evaluate::ROC_NODES;

/// Bins of a kept latent histogram, from -[`LATENT_RANGE`] to it.
pub const LATENT_BINS: usize = 60;
/// Where latent histograms end, in units of m, the peaks' distance from 0.
pub const LATENT_RANGE: f64 = 2.0;
/// Most curves in one picture.
const CURVES: usize = 8;
/// Where pictures of losses and of latents end: a loss that rises, a needle of latents must not flatten the others.
const LOSS_TOP: f64 = 1.5;
const DENSITY_TOP: f64 = 4.0;

/// A picture of a study, ready to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its title in the report.
    pub title: String,
    /// Name of its file.
    pub file: PathBuf,
    /// The picture, encoded as PNG.
    pub png: Vec<u8>,
}

/// All pictures that the records have something for.
///
/// # Errors
/// [`PictureError`]
pub fn figures(plan: &Plan, records: &[Record]) -> Result<Vec<Figure>, PictureError> {
    let mut charts = Vec::from_iter(peaks_apart().map(|chart| ("parting".to_owned(), chart)));
    for sky in &plan.sky {
        let of = |kind: &str| format!("{}-{kind}", slug(&sky.name));
        for (n, methods) in plan.method.chunks(CURVES).enumerate() {
            charts.push((of(&format!("roc-{}", n + 1)), roc(sky, &median_runs(methods, sky, records))));
        }
        let runs = median_runs(&plan.method, sky, records);
        charts.push((of("reliability"), reliability(sky, &runs)));
        let nets: Vec<_> = runs
            .into_iter()
            .filter(|(m, _)| matches!(m.how, MethodKind::Hierarchy { .. } | MethodKind::Direct { .. }))
            .collect();
        for (n, runs) in nets.chunks(CURVES).enumerate() {
            charts.push((of(&format!("losses-{}", n + 1)), losses(sky, runs)));
            charts.push((of(&format!("latents-{}", n + 1)), latents(sky, runs)));
        }
    }
    charts.extend(plan.learning_curve.iter().map(|curve| ("learning-curve".to_owned(), curve.chart(records))));
    charts.retain(|(_, chart)| chart.series.iter().any(|s| s.style != Style::Guide && !s.points.is_empty()));
    charts
        .into_iter()
        .map(|(name, c)| {
            Ok(Figure { title: c.title.clone(), file: PathBuf::from(format!("{name}.png")), png: chart(&c)? })
        })
        .collect()
}

/// Of each method the run whose AUC is the median's: a curve that was really made.
fn median_runs<'a>(methods: &'a [Method], sky: &StudyDataset, records: &'a [Record]) -> Vec<(&'a Method, &'a Record)> {
    let median = |method: &'a Method| {
        let auc = |r: &Record| r.metrics().and_then(|m| m.auc_between(14.0, 22.0));
        let mut runs: Vec<_> = (records.iter())
            .filter(|r| r.sky == sky.name && r.method == method.name)
            .filter_map(|r| Some((auc(r)?, r)))
            .collect();
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some((method, runs.get(runs.len().checked_sub(1)? / 2)?.1))
    };
    methods.iter().filter_map(median).collect()
}

fn roc(sky: &StudyDataset, runs: &[(&Method, &Record)]) -> Chart {
    let node = |i: usize| i as f64 / (ROC_NODES - 1) as f64;
    let curve = |(method, record): &(&Method, &Record)| {
        let metrics = record.metrics()?;
        let points = metrics.roc.iter().enumerate().map(|(i, &rate)| (node(i), rate)).collect();
        let auc = metrics.auc_between(14.0, 22.0)?;
        Some(Series { name: format!("{} {auc:.3}", method.shown()), points, style: Style::Line })
    };
    let chance = Series { name: "chance".to_owned(), points: vec![(0.0, 0.0), (1.0, 1.0)], style: Style::Guide };
    Chart {
        title: format!("{}: ROC at r 14-22, the median seed", sky.name),
        x: Axis::named("galaxies called stars").within(0.0, 1.0),
        y: Axis::named("stars called stars").within(0.0, 1.0),
        series: runs.iter().filter_map(curve).chain([chance]).collect(),
        legend: Corner::LowerRight,
    }
}

fn reliability(sky: &StudyDataset, runs: &[(&Method, &Record)]) -> Chart {
    let mut best: Vec<_> = (runs.iter())
        .filter(|(method, _)| method.how.supervision() != Supervision::Supervised)
        .filter_map(|(method, record)| Some((record.metrics()?.calibration?, method, record.metrics()?)))
        .collect();
    best.sort_by(|a, b| a.0.total_cmp(&b.0));
    let curve = |(error, method, metrics): &(f64, &&Method, &twinpeak_sim::evaluate::Metrics)| Series {
        name: format!("{} {error:.3}", method.shown()),
        points: metrics.reliability.clone(),
        style: Style::Dots,
    };
    let ideal = Series { name: "ideal".to_owned(), points: vec![(0.0, 0.0), (1.0, 1.0)], style: Style::Guide };
    Chart {
        title: format!("{}: reliability at r 14-22, best calibrated without labels", sky.name),
        x: Axis::named("probability of a star").within(0.0, 1.0),
        y: Axis::named("share of stars").within(0.0, 1.0),
        series: best.iter().take(CURVES).map(curve).chain([ideal]).collect(),
        legend: Corner::UpperLeft,
    }
}

fn losses(sky: &StudyDataset, runs: &[(&Method, &Record)]) -> Chart {
    let curve = |(method, record): &(&Method, &Record)| {
        // From where it began (1) to its least (0), so that losses of different size and sign share an axis.
        let first = f64::from(*record.loss.first()?);
        let least = record.loss.iter().copied().fold(f32::INFINITY, f32::min);
        let height = (first - f64::from(least)).max(1e-9);
        let share = |i: usize| (i as f64 + 1.0) / record.loss.len() as f64;
        let left = |l: f32| ((f64::from(l) - f64::from(least)) / height).min(LOSS_TOP);
        let points = record.loss.iter().enumerate().map(|(i, &l)| (share(i), left(l))).collect();
        Some(Series { name: method.shown(), points, style: Style::Line })
    };
    Chart {
        title: format!("{}: loss of the last net, from its beginning to its least", sky.name),
        x: Axis::named("share of the training").within(0.0, 1.0),
        y: Axis::named("share of the way still to go").within(0.0, LOSS_TOP),
        series: runs.iter().filter_map(curve).collect(),
        legend: Corner::UpperRight,
    }
}

fn latents(sky: &StudyDataset, runs: &[(&Method, &Record)]) -> Chart {
    let bin = 2.0 * LATENT_RANGE / LATENT_BINS as f64;
    let at = |i: usize| -LATENT_RANGE + (i as f64 + 0.5) * bin;
    let curve = |(method, record): &(&Method, &Record)| {
        let points: Vec<_> =
            record.latent.iter().enumerate().map(|(i, &n)| (at(i), (f64::from(n) / bin).min(DENSITY_TOP))).collect();
        (!points.is_empty()).then(|| Series { name: method.shown(), points, style: Style::Line })
    };
    let width = 1.0 / DoublePeak::LEAST_RATIO;
    let peak =
        |z: f64, m: f64| (-0.5 * ((z - m) / width).powi(2)).exp() / (width * (2.0 * std::f64::consts::PI).sqrt());
    let prior = (0..LATENT_BINS).map(|i| (at(i), 0.5 * (peak(at(i), 1.0) + peak(at(i), -1.0)))).collect();
    let prior = Series { name: "prior".to_owned(), points: prior, style: Style::Guide };
    Chart {
        title: format!("{}: the first latent's mean and its prior", sky.name),
        x: Axis::named("mu of the first latent, in units of m").within(-LATENT_RANGE, LATENT_RANGE),
        y: Axis::named("density").within(0.0, DENSITY_TOP),
        series: runs.iter().filter_map(curve).chain([prior]).collect(),
        legend: Corner::UpperRight,
    }
}

/// Chart of the distances between two parting peaks, as in appendix B.1.
fn peaks_apart() -> Option<Chart> {
    let distance: Vec<f64> = (0..=120).map(|i| f64::from(i) / 20.0).collect();
    let parted = divergences(&distance).ok()?;
    let slope = |name: &str, of: &Divergence| Series {
        name: name.to_owned(),
        points: distance.iter().copied().zip(of.gradient.iter().copied()).collect(),
        style: Style::Line,
    };
    Some(Chart {
        title: "The pull on two peaks that part: slopes of KL, JS and W1".to_owned(),
        x: Axis::named("distance, in widths of a peak"),
        y: Axis::named("slope"),
        series: vec![slope("KL", &parted.kl), slope("JS", &parted.js), slope("W1", &parted.w1)],
        legend: Corner::UpperLeft,
    })
}
