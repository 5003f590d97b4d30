//! The charts of segmentation, from the records alone: completeness by magnitude, and the paper's trade-off.

use std::path::PathBuf;

use super::judge::{ASKED, USUAL};
use super::metrics::{DetectionMetrics, bins};
use super::plan::{Finder, Grouping, SegmenterRow};
use super::record::SegmentRecord;
use super::table::runs;
use crate::hypercolumn::Variant;
use crate::study::table::spread;
use crate::study::{Figure, Plan, StudyDataset};
use twinpeak_formats::picture::{Axis, Chart, Corner, PictureError, Series, Style, chart};
use twinpeak_nets::segmentation::Skips;

/// The half magnitude in which the trade-off is told.
const FAINT: (f64, f64) = (22.5, 23.0);

/// Where completeness begins to fall.
const BRIGHTEST: f64 = 20.0;

/// A chart of each kind for each sky that has records.
///
/// # Errors
/// [`PictureError`]
pub fn figures(plan: &Plan, records: &[SegmentRecord]) -> Result<Vec<Figure>, PictureError> {
    let mut charts = Vec::new();
    for sky in plan.sky.iter().filter(|s| records.iter().any(|r| r.sky == s.name)) {
        let of = |kind: &str| format!("{}-{kind}", super::figure_prefix(sky));
        let all = Rows { plan, sky, records };
        charts.extend([
            (of("completeness"), all.completeness()),
            (of("trade-off"), all.trade_off()),
            (of("detection"), all.detection()),
        ]);
    }
    charts.retain(|(_, chart)| chart.series.iter().any(|s| !s.points.is_empty()));
    let drawn = |(name, c): (String, Chart)| {
        Ok(Figure { title: c.title.clone(), file: PathBuf::from(format!("{name}.png")), png: chart(&c)? })
    };
    charts.into_iter().map(drawn).collect()
}

struct Rows<'a> {
    plan: &'a Plan,
    sky: &'a StudyDataset,
    records: &'a [SegmentRecord],
}

impl Rows<'_> {
    /// Median over seeds of what `pick` gives.
    fn median(&self, segmenter: &SegmenterRow, pick: impl Fn(&SegmentRecord) -> Option<f64>) -> Option<f64> {
        spread(runs(self.records, self.sky, segmenter).into_iter().filter_map(pick).collect()).map(|s| s.0)
    }

    /// The rules, the shipped net and the heads that the panels show: as many as a chart has colours.
    fn series(&self, points: impl Fn(&SegmenterRow) -> Vec<(f64, f64)>) -> Vec<Series> {
        let wanted = |s: &&SegmenterRow| match &s.how {
            Finder::Hypercolumns { step, .. } => s.shown && *step == Grouping::Head,
            Finder::Sextractor => false,
            _ => true,
        };
        let one = |s: &SegmenterRow| Series { name: s.name.clone(), points: points(s), style: Style::Dots };
        self.plan.segmenter.iter().filter(wanted).map(one).filter(|s| !s.points.is_empty()).collect()
    }

    fn completeness(&self) -> Chart {
        let by_magnitude = |s: &SegmenterRow| {
            let share = |low, high| self.median(s, |r| r.metrics()?.at(USUAL)?.completeness(low, high));
            bins()
                .filter(|b| b.low >= BRIGHTEST)
                .filter_map(|b| Some((0.5 * (b.low + b.high), share(b.low, b.high)?)))
                .collect()
        };
        Chart {
            title: format!("{}: completeness at {USUAL} false components a field", self.sky.name),
            x: Axis::named("r magnitude").within(BRIGHTEST, 24.0),
            y: Axis::named("share of true objects found").within(0.0, 1.0),
            series: self.series(by_magnitude),
            legend: Corner::LowerLeft,
        }
    }

    /// Heads as they come: skips and levels decide how much noise is let through. Nets that differ in the weight of
    /// their skips alone make a curve, every other is a point.
    fn trade_off(&self) -> Chart {
        let own = |s: &SegmenterRow, pick: &dyn Fn(&DetectionMetrics) -> Option<f64>| {
            self.median(s, |r| pick(r.metrics()?.own.as_ref()?))
        };
        let point =
            |s: &SegmenterRow| own(s, &|m| Some(m.false_components)).zip(own(s, &|m| m.completeness(FAINT.0, FAINT.1)));
        let (mut by_weight, mut series) = (Vec::new(), Vec::new());
        for segmenter in &self.plan.segmenter {
            let Finder::Hypercolumns { of, step: Grouping::Head, levels } = &segmenter.how else { continue };
            let (Some(net), Some(at)) = (self.plan.hypercolumn(of), point(segmenter)) else { continue };
            let plain = net.net.variant == Variant::Plain && net.net.shape.skips == Skips::Both && levels.is_none();
            if plain {
                by_weight.push((net.net.shape.skip_weight, at));
            } else {
                series.push(Series { name: segmenter.name.clone(), points: vec![at], style: Style::Dots });
            }
        }
        by_weight.sort_by(|a, b| a.0.total_cmp(&b.0));
        let weights: Vec<String> = by_weight.iter().map(|(weight, _)| weight.to_string()).collect();
        let name = format!("AE + skips of weight {}", weights.join(", "));
        let points: Vec<_> = by_weight.into_iter().map(|(_, at)| at).collect();
        let curve = (!points.is_empty()).then_some(Series { name, points, style: Style::Dots });
        Chart {
            title: format!("{}: linear heads at even odds, the paper's trade-off", self.sky.name),
            x: Axis::named("false components a field").logarithmic(),
            y: Axis::named("share of objects at r 22.5-23 found"),
            series: curve.into_iter().chain(series).collect(),
            legend: Corner::LowerRight,
        }
    }

    /// The same with thresholds that were chosen: what is left of the trade-off at equal noise.
    fn detection(&self) -> Chart {
        let curve = |s: &SegmenterRow| {
            let share = |asked| self.median(s, |r| r.metrics()?.at(asked)?.completeness(FAINT.0, FAINT.1));
            ASKED.iter().filter_map(|&asked| Some((asked, share(asked)?))).collect()
        };
        Chart {
            title: format!("{}: objects at r 22.5-23 against false components", self.sky.name),
            x: Axis::named("false components a field, as asked for").logarithmic(),
            y: Axis::named("share found"),
            series: self.series(curve),
            legend: Corner::LowerRight,
        }
    }
}
