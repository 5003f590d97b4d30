//! `RESULTS.md`: what the records say, for people. Medians over seeds, with the quartiles' distance.

use std::fmt::Write;

use super::{Honesty, Method, Plan, Record, Sky};
use crate::evaluate::Marks;

/// The ranges that head the first table.
const WIDE: [(f64, f64); 3] = [(14.0, 21.0), (14.0, 22.0), (21.0, 22.0)];
/// Brightest and faintest half magnitude of the second.
const HALVES: std::ops::Range<i32> = 34..47;

/// A table and figures of each sky.
pub fn results(plan: &Plan, records: &[Record], figures: &[(String, String)]) -> String {
    let mut out = String::from(HEAD);
    for sky in &plan.sky {
        let _ = writeln!(out, "\n## {}\n", sky.name);
        for (title, file) in figures.iter().filter(|(_, file)| file.starts_with(&slug(&sky.name))) {
            let _ = writeln!(out, "![{title}]({file})\n");
        }
        wide(&mut out, plan, sky, records);
        halves(&mut out, plan, sky, records);
        criteria(&mut out, plan, sky, records);
        failures(&mut out, plan, sky, records);
    }
    out
}

const HEAD: &str = "\
# The study's results

Made by `twinpeak study` from [runs.jsonl](runs.jsonl); do not edit. AUC of star against galaxy on objects no run had
seen, median over seeds with the distance of the quartiles in brackets. *Label-free*: trained on frames alone. *Baseline*:
a measured number. **Supervised**: saw labels, shown for comparison. Accuracy, F1 (star, galaxy) and calibration error (ten
equal-count bins) at r 14-22. Training seconds are those of one thread, with the encoder it builds on.

One choice was made with labels in view: EB counts its two galaxies of half-light radius .35 px as point-like. The reason
needs no label (damped, they cannot be told from the PSF), but how much it helps was seen on the dev field and on
simulations.
";

/// A name as part of a file's.
pub(super) fn slug(name: &str) -> String {
    name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// A method's records on a sky.
fn of<'a>(records: &'a [Record], sky: &'a Sky, method: &'a Method) -> impl Iterator<Item = &'a Record> {
    // The last run of a seed counts: settings may have changed since the first.
    let is = move |r: &&Record| r.sky == sky.name && r.method == method.name;
    let last = move |r: &Record| records.iter().filter(is).rfind(|o| o.seed == r.seed) == Some(r);
    records.iter().filter(is).filter(move |r| last(r))
}

/// (median, distance of the quartiles, how many), linear between ranks as numpy's.
pub(super) fn spread(mut values: Vec<f64>) -> Option<(f64, f64, usize)> {
    values.retain(|v| v.is_finite());
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| {
        let rank = share * last as f64;
        let below = rank.floor() as usize;
        values[below] + (rank - below as f64) * (values[(below + 1).min(last)] - values[below])
    };
    Some((at(0.5), at(0.75) - at(0.25), values.len()))
}

pub(super) fn cell(values: Vec<f64>) -> String {
    match spread(values) {
        None => "-".to_owned(),
        Some((median, _, 1)) => short(median),
        Some((median, range, _)) => format!("{} ({})", short(median), short(range)),
    }
}

/// .987 rather than 0.987.
fn short(v: f64) -> String {
    let text = format!("{v:.3}");
    text.strip_prefix('0').map_or_else(|| text.clone(), str::to_owned)
}

fn name(method: &Method) -> String {
    match method.how.honesty() {
        Honesty::LabelFree => method.name.clone(),
        Honesty::Baseline => format!("*{}*", method.name),
        Honesty::Supervised => format!("**{}, supervised**", method.name),
    }
}

fn wide(out: &mut String, plan: &Plan, sky: &Sky, records: &[Record]) {
    out.push_str(
        "| method | from | seeds | 14-21 | 14-22 | 21-22 | accuracy | F1 star | F1 galaxy | calibration | s |\n",
    );
    out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for method in &plan.method {
        let runs: Vec<&Record> = of(records, sky, method).collect();
        let marks = |pick: &dyn Fn(&Marks) -> Option<f64>| cell(runs.iter().filter_map(|r| pick(r.marks()?)).collect());
        let good = runs.iter().filter(|r| r.marks().is_some()).count();
        let seeds = match runs.len() {
            0 => "not run".to_owned(),
            all if all == good => good.to_string(),
            all => format!("{good} of {all}"),
        };
        let auc = WIDE.map(|(low, high)| marks(&|m| m.auc_between(low, high)));
        let calls = [
            marks(&|m| Some(m.accuracy)),
            marks(&|m| Some(m.f1_star)),
            marks(&|m| Some(m.f1_galaxy)),
            marks(&|m| m.calibration),
        ];
        let seconds = spread(runs.iter().map(|r| r.training_s).collect()).map_or(0.0, |s| s.0);
        let cells = [vec![name(method), method.source.clone(), seeds], auc.to_vec(), calls.to_vec()].concat();
        let _ = writeln!(out, "| {} | {seconds:.0} |", cells.join(" | "));
    }
}

fn halves(out: &mut String, plan: &Plan, sky: &Sky, records: &[Record]) {
    let bins: Vec<(f64, f64)> = HALVES.map(|i| (f64::from(i) / 2.0, f64::from(i + 1) / 2.0)).collect();
    let heads: Vec<String> = bins.iter().map(|(low, high)| format!("{low}-{high}")).collect();
    let _ = writeln!(out, "\nBy half magnitude, medians:\n\n| method | {} |", heads.join(" | "));
    let _ = writeln!(out, "| --- |{}", " --- |".repeat(bins.len()));
    for method in &plan.method {
        let runs: Vec<&Record> = of(records, sky, method).collect();
        let median = |&(low, high): &(f64, f64)| {
            spread(runs.iter().filter_map(|r| r.marks()?.auc_between(low, high)).collect())
                .map_or_else(|| "-".to_owned(), |s| short(s.0))
        };
        let _ = writeln!(out, "| {} | {} |", name(method), bins.iter().map(median).collect::<Vec<_>>().join(" | "));
    }
}

fn criteria(out: &mut String, plan: &Plan, sky: &Sky, records: &[Record]) {
    let mut lines = String::new();
    for method in &plan.method {
        let runs: Vec<&Record> = of(records, sky, method).collect();
        let names: std::collections::BTreeSet<&String> = runs.iter().flat_map(|r| r.criteria.keys()).collect();
        for key in names {
            let value = cell(runs.iter().filter_map(|r| r.criteria.get(key).copied()).collect());
            let _ = writeln!(lines, "| {} | {} | {value} |", name(method), key.replace('_', " "));
        }
    }
    if !lines.is_empty() {
        let _ = write!(
            out,
            "\nWhat can be said without labels:\n\n| method | criterion | value |\n| --- | --- | --- |\n{lines}"
        );
    }
}

fn failures(out: &mut String, plan: &Plan, sky: &Sky, records: &[Record]) {
    for method in &plan.method {
        let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
        for record in of(records, sky, method) {
            let super::Ending::Failed { reason } = &record.ending else { continue };
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, seeds)) => seeds.push(record.seed.to_string()),
                None => reasons.push((reason, vec![record.seed.to_string()])),
            }
        }
        for (reason, seeds) in reasons {
            let _ = writeln!(out, "\n{} failed with seed {}: {reason}", method.name, seeds.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy.percentile([1, 2, 4, 8], [25, 50, 75]) = 1.75, 3, 5
    #[test]
    fn quartiles_are_numpys() {
        assert_eq!(spread(vec![8.0, 1.0, f64::NAN, 4.0, 2.0]), Some((3.0, 3.25, 4)));
        assert_eq!(spread(vec![]), None);
        assert_eq!(
            (cell(vec![0.9]), cell(vec![1.0, 0.5]), cell(vec![])),
            (".900".into(), ".750 (.250)".into(), "-".into())
        );
    }
}
