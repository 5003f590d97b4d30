//! Does more data help? One method learns from the first 3,000 to 100,000 objects of a large data set, and is scored on
//! the same test objects each time.

use std::fmt::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::table::{cell, of, signed, spread};
use super::{Method, Plan, Record, StudyDataset};
use twinpeak_formats::picture::{Axis, Chart, Corner, Series, Style};
use twinpeak_sim::evaluate::Metrics;

/// The ranges of magnitude that are shown.
const RANGES: [(f64, f64); 4] = [(14.0, 21.0), (14.0, 22.0), (21.0, 22.0), (22.0, 22.5)];

/// What is learned from how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningCurve {
    /// The data set whose training part is learned from.
    pub data: PathBuf,
    /// The one whose test part is scored, of simulated fields with a truth.
    pub test: PathBuf,
    /// Training objects, each number in turn.
    pub objects: Vec<usize>,
    /// The method that learns from each number of objects.
    pub method: Method,
}

impl LearningCurve {
    /// No more than so many objects, one seed.
    pub(super) fn quick(mut self, objects: usize) -> Self {
        self.objects = vec![objects / 2, objects];
        self.method.seeds = 1;
        self
    }

    /// The study of it: a sky for each number of objects.
    pub(super) fn plan(&self, whole: &Plan) -> Plan {
        Plan {
            sky: self.objects.iter().map(|&n| self.sky(n)).collect(),
            method: vec![self.method.clone()],
            robustness: None,
            learning_curve: None,
            ..whole.clone()
        }
    }

    fn sky(&self, objects: usize) -> StudyDataset {
        StudyDataset {
            name: format!("learning curve, {objects}"),
            data: self.data.clone(),
            test: Some(self.test.clone()),
            catalogs: None,
            fields: None,
            objects: Some(objects),
        }
    }

    /// Median AUC against the number of objects; without a run, without a point.
    pub(super) fn chart(&self, records: &[Record]) -> Chart {
        let series = RANGES.map(|(low, high)| {
            let point = |&n: &usize| {
                let sky = self.sky(n);
                let auc = of(records, &sky, &self.method)
                    .iter()
                    .filter_map(|r| r.metrics()?.auc_between(low, high))
                    .collect();
                Some(((n as f64).log10(), spread(auc)?.0))
            };
            let points = self.objects.iter().filter_map(point).collect();
            Series { name: format!("r {low}-{high}"), points, style: Style::Dots }
        });
        Chart {
            title: format!("{}: AUC by number of training objects, median seed", self.method.name),
            x: Axis::named("log10 of training objects"),
            y: Axis::named("AUC, star against galaxy"),
            series: series.into(),
            legend: Corner::LowerLeft,
        }
    }

    /// The table; nothing where nothing was run.
    pub(super) fn page(&self, records: &[Record]) -> String {
        let (mut lines, mut fewest) = (String::new(), None);
        for &n in &self.objects {
            let sky = self.sky(n);
            let runs = of(records, &sky, &self.method);
            if runs.is_empty() {
                continue;
            }
            let metrics =
                |pick: &dyn Fn(&Metrics) -> Option<f64>| cell(runs.iter().filter_map(|r| pick(r.metrics()?)).collect());
            let auc = RANGES.map(|(low, high)| metrics(&|m| m.auc_between(low, high))).join(" | ");
            let main = spread(runs.iter().filter_map(|r| r.metrics()?.auc_between(14.0, 22.0)).collect()).map(|s| s.0);
            fewest = fewest.or(main);
            let gain = main.zip(fewest).map_or_else(|| "-".to_owned(), |(auc, fewest)| signed(auc - fewest));
            let seconds = spread(runs.iter().map(|r| r.training_s).collect()).map_or(0.0, |s| s.0);
            let calibration = metrics(&|m| m.calibration);
            // What was there, where the data set has fewer than were asked for.
            let learned = runs.iter().map(|r| r.objects).max().unwrap_or(n);
            let _ = writeln!(lines, "| {learned} | {} | {auc} | {gain} | {calibration} | {seconds:.0} |", runs.len());
        }
        if lines.is_empty() {
            return lines;
        }
        let heads = RANGES.map(|(low, high)| format!("{low}-{high}")).join(" | ");
        format!(
            "\n## Learning curve\n\n![{}](learning-curve.png)\n\n{}, from the first objects of one simulated data set, \
             scored on the simulated test objects: medians over seeds, quartiles' distance in brackets. *Gain*: of the \
             median AUC at r 14-22 over the first row's.\n\n\
             | training objects | seeds | {heads} | gain | calibration | s |\n|{}\n{lines}",
            self.chart(records).title,
            self.method.name,
            " --- |".repeat(5 + RANGES.len())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_of_objects_is_a_sky_of_its_own() {
        let whole = Plan::parse(include_str!("../../../config/study.toml")).unwrap();
        let curve = whole.learning_curve.clone().unwrap();
        assert_eq!(curve.objects, [3_000, 10_000, 30_000, 100_000]);
        let plan = curve.plan(&whole);
        assert_eq!((plan.sky.len(), plan.method.len()), (4, 1));
        assert!(plan.sky.iter().zip(&curve.objects).all(|(sky, n)| sky.objects == Some(*n)));
        assert!(plan.encoder(curve.method.how.encoder().unwrap()).is_some());
        assert_eq!(curve.page(&[]), "");
        assert!(curve.chart(&[]).series.iter().all(|s| s.points.is_empty()));
    }
}
