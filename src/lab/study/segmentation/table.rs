//! The section "Segmentation" of `RESULTS.md`: what the records say, for people.

use std::fmt::Write;

use super::judge::USUAL;
use super::metrics::DetectionMetrics;
use super::plan::{Finder, Hypercolumn, Image, SegmenterRow};
use super::record::{SegmentEnding, SegmentMetrics, SegmentRecord};
use crate::study::table::{cell, short, signed, spread};
use crate::study::{Plan, StudyDataset, Supervision};
use twinpeak_learn::segment::Settings;

/// The second number of false components at which completeness is told.
const MORE: f64 = 30.0;
/// Half magnitudes of the table at the usual number of false components.
const HALVES: std::ops::Range<i32> = 40..47;

const HEAD: &str = "
# Segmentation

Made from [segmentation.jsonl](segmentation.jsonl); do not edit. *Completeness*: share of true objects with a detection of
their own within 2 arcsec, by r magnitude (on the dev field that of a 3 arcsec aperture at the catalogue's positions).
*False components*: of at least 5 px, a field of 2048x1489 px, on the same field with its sign flipped and its objects
replaced by noise, where there is nothing to find; thresholds are chosen by their number, without truth. *Unmatched*:
objects a field without a true one, where the truth is complete. *IoU*: of objects' pixels, of the extracted masks; of pixels
above the extent threshold; and the best that any one threshold could give. Medians over seeds, the quartiles' distance in
brackets; nets learn from other frames than these (simulations: other nights, other PSFs). Seconds are by the clock, on cores
that had other work too.
";

/// Tables of each sky that has records, after the figures whose name begins with `segmentation`.
pub fn section(plan: &Plan, records: &[SegmentRecord], figures: &[(String, String)]) -> String {
    if records.is_empty() {
        return String::new();
    }
    let mut out = String::from(HEAD);
    if let Some(Hypercolumn { net, .. }) = plan.hypercolumn.first() {
        let shipped = Settings::default();
        let _ = writeln!(
            out,
            "\nThe study's nets learn for {} steps of {} tiles and their heads for {}, the shipped one for {} of {} and {}: rows \
             are to be compared with each other.",
            net.steps, net.batch, net.head_steps, shipped.steps, shipped.batch, shipped.head_steps
        );
    }
    for sky in plan.sky.iter().filter(|s| records.iter().any(|r| r.sky == s.name)) {
        let rows = Rows { plan, sky, records };
        let _ = writeln!(out, "\n## Segmentation: {}\n", sky.name);
        let prefix = super::figure_prefix(sky);
        for (title, file) in figures.iter().filter(|(_, file)| file.starts_with(&prefix)) {
            let _ = writeln!(out, "![{title}]({file})\n");
        }
        rows.calibrated(&mut out);
        rows.own(&mut out);
        rows.targets(&mut out);
        rows.failures(&mut out);
    }
    out
}

/// Writes the rows of one sky.
struct Rows<'a> {
    plan: &'a Plan,
    sky: &'a StudyDataset,
    records: &'a [SegmentRecord],
}

impl Rows<'_> {
    fn of(&self, segmenter: &SegmenterRow) -> Vec<&SegmentRecord> {
        runs(self.records, self.sky, segmenter)
    }

    /// Medians of what `pick` gives.
    fn cell(&self, segmenter: &SegmenterRow, pick: impl Fn(&SegmentMetrics) -> Option<f64>) -> String {
        cell(self.of(segmenter).iter().filter_map(|r| pick(r.metrics()?)).collect())
    }

    fn calibrated(&self, out: &mut String) {
        let bins: Vec<(f64, f64)> = HALVES.map(|i| (f64::from(i) / 2.0, f64::from(i + 1) / 2.0)).collect();
        let heads: Vec<String> = bins.iter().map(|(low, high)| format!("{low}-{high}")).collect();
        let _ = writeln!(
            out,
            "Completeness at {USUAL} false components a field, and from 22.5 to 23 at {MORE}:\n\n\
             | segmenter | from | seeds | {} | 22.5-23 at {MORE} | unmatched | IoU masks | IoU extent | IoU best | s |",
            heads.join(" | ")
        );
        let _ = writeln!(out, "| --- |{}", " --- |".repeat(bins.len() + 8));
        for segmenter in &self.plan.segmenter {
            let at = |number: f64, pick: &dyn Fn(&DetectionMetrics) -> Option<f64>| {
                self.cell(segmenter, |m| pick(m.at(number)?))
            };
            let mut cells = vec![name(segmenter), segmenter.source.clone(), self.seeds(segmenter)];
            cells.extend(bins.iter().map(|&(low, high)| at(USUAL, &|m| m.completeness(low, high))));
            cells.push(at(MORE, &|m| m.completeness(22.5, 23.0)));
            cells.push(whole(&at(USUAL, &|m| m.unmatched)));
            cells.push(at(USUAL, &|m| m.iou));
            cells.push(self.cell(segmenter, |m| Some(m.pixels?.working)));
            cells.push(self.cell(segmenter, |m| Some(m.pixels?.best)));
            let seconds = spread(self.of(segmenter).iter().map(|r| r.training_s).collect()).map_or(0.0, |s| s.0);
            let _ = writeln!(out, "| {} | {seconds:.0} |", cells.join(" | "));
        }
    }

    fn seeds(&self, segmenter: &SegmenterRow) -> String {
        let runs = self.of(segmenter);
        let good = runs.iter().filter(|r| r.metrics().is_some()).count();
        match runs.len() {
            0 => "not run".to_owned(),
            all if all == good => good.to_string(),
            all => format!("{good} of {all}"),
        }
    }

    /// Writes the table of segmenters at their own thresholds, uncalibrated.
    fn own(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\nAs they come, uncalibrated: k-means and mixture where the clusters part, a head at even odds, the shipped net \
             and SExtractor with their own thresholds:\n\n\
             | segmenter | false components | objects | unmatched | 21-22 | 22-22.5 | 22.5-23 | 23-23.5 | IoU masks |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        );
        for segmenter in &self.plan.segmenter {
            let own = |pick: &dyn Fn(&DetectionMetrics) -> Option<f64>| self.cell(segmenter, |m| pick(m.own.as_ref()?));
            if own(&|m| Some(m.objects)) == "-" {
                continue;
            }
            let counts = [own(&|m| Some(m.false_components)), own(&|m| Some(m.objects)), own(&|m| m.unmatched)];
            let found = [(21.0, 22.0), (22.0, 22.5), (22.5, 23.0), (23.0, 23.5)];
            let found = found.map(|(low, high)| own(&|m| m.completeness(low, high)));
            let counts = counts.map(|c| whole(&c));
            let cells = [&counts[..], &found[..], &[own(&|m| m.iou)]].concat();
            let _ = writeln!(out, "| {} | {} |", name(segmenter), cells.join(" | "));
        }
    }

    /// What the shipped net has to reach.
    fn targets(&self, out: &mut String) {
        let find = |how: &Finder| self.plan.segmenter.iter().find(|s| s.how == *how).map(|s| self.of(s));
        let rule = Finder::SextractorRule { on: Image::Reference };
        let (Some(shipped), Some(rule)) = (find(&Finder::Shipped), find(&rule)) else { return };
        let median = |runs: &[&SegmentRecord], pick: &dyn Fn(&SegmentMetrics) -> Option<f64>| {
            spread(runs.iter().filter_map(|r| pick(r.metrics()?)).collect()).map(|s| s.0)
        };
        let mut lines = String::new();
        for (low, high, wanted) in [(22.0, 22.5, "+.000"), (22.5, 23.0, "+.300"), (23.0, 23.5, "-")] {
            let of = |runs: &[&SegmentRecord]| median(runs, &|m| m.at(USUAL)?.completeness(low, high));
            let Some((ours, theirs)) = of(&shipped).zip(of(&rule)) else { continue };
            let (gain, most) = (signed(ours - theirs), signed(1.0 - theirs));
            let (ours, theirs) = (short(ours), short(theirs));
            let _ = writeln!(lines, "| completeness {low}-{high} | {ours} | {theirs} | {gain} | {wanted} | {most} |");
        }
        let iou = |runs: &[&SegmentRecord]| median(runs, &|m| Some(m.pixels?.working));
        if let Some((ours, theirs)) = iou(&shipped).zip(iou(&rule)) {
            let (gain, ours, theirs) = (signed(ours - theirs), short(ours), short(theirs));
            let _ = writeln!(lines, "| IoU extent | {ours} | {theirs} | {gain} | shipped: .790 | - |");
        }
        if !lines.is_empty() {
            let _ = write!(
                out,
                "\nThe shipped net beside SExtractor's rule on r, at {USUAL} false components: what it is to gain over the rule, \
                 and the most that it could:\n\n| | shipped | rule | gain | gain to reach | at most |\n\
                 | --- | --- | --- | --- | --- | --- |\n{lines}"
            );
        }
    }

    fn failures(&self, out: &mut String) {
        for segmenter in &self.plan.segmenter {
            for record in self.of(segmenter) {
                if let SegmentEnding::Failed { reason } = &record.ending {
                    let _ = writeln!(out, "\n{} failed with seed {}: {reason}", segmenter.name, record.seed);
                }
            }
        }
    }
}

/// A segmenter's runs on a sky, of each seed the last: settings may have changed since the first.
pub(super) fn runs<'a>(
    records: &'a [SegmentRecord],
    sky: &StudyDataset,
    segmenter: &SegmenterRow,
) -> Vec<&'a SegmentRecord> {
    let is = |r: &&SegmentRecord| r.sky == sky.name && r.segmenter == segmenter.name;
    let mut last: Vec<&SegmentRecord> = Vec::new();
    for record in records.iter().filter(is) {
        match last.iter_mut().find(|r| r.seed == record.seed) {
            Some(before) => *before = record,
            None => last.push(record),
        }
    }
    last
}

fn name(segmenter: &SegmenterRow) -> String {
    match segmenter.how.supervision() {
        Supervision::Baseline => format!("*{}*", segmenter.name),
        _ => segmenter.name.clone(),
    }
}

/// A cell of numbers that are counts.
fn whole(cell: &str) -> String {
    let round = |word: &str| word.parse::<f64>().map_or_else(|_| word.to_owned(), |v| format!("{v:.0}"));
    match cell.trim_end_matches(')').split_once(" (") {
        Some((median, range)) => format!("{} ({})", round(median), round(range)),
        None => round(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole() {
        assert_eq!((whole("12.500 (.400)"), whole("7.000"), whole("-")), ("12 (0)".into(), "7".into(), "-".into()));
    }
}
