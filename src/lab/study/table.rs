//! `RESULTS.md`: what the records say, for people. Medians over seeds, with the quartiles' distance.

use std::fmt::Write;

use super::{Method, Plan, Record, StudyDataset, Supervision};
use twinpeak_learn::classify::spearman;
use twinpeak_sim::evaluate::Metrics;

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
        if let Some(part) = &plan.robustness {
            out.push_str(&part.page(sky, records));
        }
        failures(&mut out, plan, sky, records);
        not_run(&mut out, plan, sky, records);
    }
    if let Some(curve) = &plan.learning_curve {
        out.push_str(&curve.page(records));
    }
    out
}

const HEAD: &str = "\
# The study's results

Made by `twinpeak-lab study` from [runs.jsonl](runs.jsonl); do not edit. AUC of star against galaxy on objects no run had
seen, median over seeds with the distance of the quartiles in brackets. *Label-free*: trained on frames alone. *Baseline*:
a measured number. **Supervised**: saw labels, shown for comparison. Accuracy, F1 (star, galaxy) and calibration error (ten
equal-count bins) at r 14-22. Training seconds are those of one thread, with the encoder it builds on.

One choice was made with truth in view: the shares of EB's models follow smooth laws of magnitude. The reason needs no
label (near the limit a small galaxy and a star fit alike, and free shares are anybody's), but that free shares called twice
as many of the faintest objects stars as there are was seen on simulations, and the order of the laws was looked at there
and on the dev field. Held-out likelihood alone prefers the free shares.
";

/// A name as part of a file's.
pub(super) fn slug(name: &str) -> String {
    name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// A method's records on a sky.
pub(super) fn of<'a>(records: &'a [Record], sky: &StudyDataset, method: &Method) -> Vec<&'a Record> {
    let all: Vec<&Record> = records.iter().filter(|r| r.sky == sky.name && r.method == method.name).collect();
    // The last run of a seed counts: settings may have changed since the first.
    let is_last = |&(i, r): &(usize, &&Record)| all[i + 1..].iter().all(|later| later.seed != r.seed);
    all.iter().enumerate().filter(is_last).map(|(_, r)| *r).collect()
}

/// Methods that were run on a sky, with their records.
fn run<'a>(
    plan: &'a Plan,
    sky: &'a StudyDataset,
    records: &'a [Record],
) -> impl Iterator<Item = (&'a Method, Vec<&'a Record>)> {
    let with_runs = move |method: &'a Method| (method, of(records, sky, method));
    plan.method.iter().map(with_runs).filter(|(_, runs)| !runs.is_empty())
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

/// Three decimals without the leading 0: .987 rather than 0.987.
pub(super) fn short(v: f64) -> String {
    let text = format!("{v:.3}");
    text.strip_prefix('0').map_or_else(|| text.clone(), str::to_owned)
}

/// Three decimals with a sign, without the leading 0: +.012 rather than +0.012.
pub(super) fn signed(v: f64) -> String {
    format!("{v:+.3}").replacen('0', "", usize::from(v.abs() < 0.9995))
}

fn name(method: &Method) -> String {
    match method.how.supervision() {
        Supervision::LabelFree => method.shown(),
        Supervision::Baseline => format!("*{}*", method.shown()),
        Supervision::Supervised => format!("**{}**", method.shown()),
    }
}

fn wide(out: &mut String, plan: &Plan, sky: &StudyDataset, records: &[Record]) {
    out.push_str(
        "| method | from | seeds | 14-21 | 14-22 | 21-22 | accuracy | F1 star | F1 galaxy | calibration | s |\n",
    );
    out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (method, runs) in run(plan, sky, records) {
        let metrics =
            |pick: &dyn Fn(&Metrics) -> Option<f64>| cell(runs.iter().filter_map(|r| pick(r.metrics()?)).collect());
        let good = runs.iter().filter(|r| r.metrics().is_some()).count();
        let mut seeds = match runs.len() {
            all if all == good => good.to_string(),
            all => format!("{good} of {all}"),
        };
        if runs.len() < method.seeds {
            let _ = write!(seeds, ", {} to run", method.seeds - runs.len());
        }
        let auc = WIDE.map(|(low, high)| metrics(&|m| m.auc_between(low, high)));
        let calls = [
            metrics(&|m| Some(m.accuracy)),
            metrics(&|m| Some(m.f1_star)),
            metrics(&|m| Some(m.f1_galaxy)),
            metrics(&|m| m.calibration),
        ];
        // A run that failed was over sooner.
        let whole = runs.iter().filter(|r| r.metrics().is_some()).map(|r| r.training_s);
        let seconds = spread(whole.collect()).map_or_else(|| "-".to_owned(), |s| format!("{:.0}", s.0));
        let cells = [vec![name(method), method.source.clone(), seeds], auc.to_vec(), calls.to_vec()].concat();
        let _ = writeln!(out, "| {} | {seconds} |", cells.join(" | "));
    }
}

fn halves(out: &mut String, plan: &Plan, sky: &StudyDataset, records: &[Record]) {
    let bins: Vec<(f64, f64)> = HALVES.map(|i| (f64::from(i) / 2.0, f64::from(i + 1) / 2.0)).collect();
    let heads: Vec<String> = bins.iter().map(|(low, high)| format!("{low}-{high}")).collect();
    let _ = writeln!(out, "\nBy half magnitude, medians:\n\n| method | {} |", heads.join(" | "));
    let _ = writeln!(out, "| --- |{}", " --- |".repeat(bins.len()));
    for (method, runs) in run(plan, sky, records) {
        let median = |&(low, high): &(f64, f64)| {
            spread(runs.iter().filter_map(|r| r.metrics()?.auc_between(low, high)).collect())
                .map_or_else(|| "-".to_owned(), |s| short(s.0))
        };
        let _ = writeln!(out, "| {} | {} |", name(method), bins.iter().map(median).collect::<Vec<_>>().join(" | "));
    }
}

/// Criteria in the order of the table, with their heads.
const CRITERIA: [(&str, &str); 6] = [
    ("evidence_of_colours", "evidence of colours, nats"),
    ("near_a_peak", "near a peak"),
    ("naming_correlation", "naming correlation"),
    ("torn_off_components", "components torn off"),
    ("share_measured", "share measured"),
    ("nets_weight", "weight of the nets"),
];

/// What the choice of a method may go by: no label enters.
fn criteria(out: &mut String, plan: &Plan, sky: &StudyDataset, records: &[Record]) {
    let mut lines = String::new();
    for (method, runs) in run(plan, sky, records) {
        let of = |key: &str| cell(runs.iter().filter_map(|r| r.criteria.get(key).copied()).collect());
        let cells: Vec<String> =
            std::iter::once(cell(agreement(&runs))).chain(CRITERIA.map(|(key, _)| of(key))).collect();
        if cells.iter().any(|c| c != "-") {
            let _ = writeln!(lines, "| {} | {} |", name(method), cells.join(" | "));
        }
    }
    if !lines.is_empty() {
        let heads = CRITERIA.map(|(_, head)| head).join(" | ");
        let _ = write!(
            out,
            "\nWhat can be said without labels. *Seeds agree*: rank correlation of the scores of two seeds, median over \
             all pairs. *Evidence of colours*: how much better a method that sees shapes alone predicts the colours of \
             unseen objects than no method does, nats an object. *Near a peak*: share of objects within half a peak's \
             distance of one. *Naming correlation*: of the score with concentration, at r 15-20.5. *Weight of the nets*: beside the \
             profiles, where colours are predicted best.\n\n\
             | method | seeds agree | {heads} |\n|{}\n{lines}",
            " --- |".repeat(2 + CRITERIA.len())
        );
    }
}

/// Rank correlations of the scores of each two seeds.
fn agreement(runs: &[&Record]) -> Vec<f64> {
    let ranked: Vec<Vec<f32>> = runs.iter().map(|r| r.ranks.iter().map(|&k| f32::from(k)).collect()).collect();
    let pair = |(i, j): (usize, usize)| {
        let (a, b) = (&ranked[i], &ranked[j]);
        (!a.is_empty() && a.len() == b.len()).then(|| spearman(a, b))
    };
    (0..ranked.len()).flat_map(|i| (0..i).map(move |j| (i, j))).filter_map(pair).collect()
}

/// Runs without a result, a line for each method and kind of reason: those of other seeds differ in numbers alone.
fn failures(out: &mut String, plan: &Plan, sky: &StudyDataset, records: &[Record]) {
    let mut lines = String::new();
    for method in &plan.method {
        let mut reasons: Vec<(String, &str, Vec<String>)> = Vec::new();
        for record in of(records, sky, method) {
            let super::Ending::Failed { reason } = &record.ending else { continue };
            let kind: String = reason.chars().filter(|c| !c.is_ascii_digit() && *c != '-').collect();
            match reasons.iter_mut().find(|(known, ..)| *known == kind) {
                Some((.., seeds)) => seeds.push(record.seed.to_string()),
                None => reasons.push((kind, reason, vec![record.seed.to_string()])),
            }
        }
        for (_, reason, seeds) in reasons {
            let _ = writeln!(lines, "| {} | {} | {} |", name(method), seeds.join(", "), reason.replace('|', "\\|"));
        }
    }
    if !lines.is_empty() {
        let _ = write!(
            out,
            "\nRuns without a result, with the reason of the first seed named:\n\n| method | seeds | why |\n\
             | --- | --- | --- |\n{lines}"
        );
    }
}

fn not_run(out: &mut String, plan: &Plan, sky: &StudyDataset, records: &[Record]) {
    let missing = plan.method.iter().filter(|m| of(records, sky, m).is_empty());
    let names: Vec<String> = missing.map(Method::shown).collect();
    if !names.is_empty() {
        let _ = writeln!(out, "\nNot run on this sky: {}.", names.join("; "));
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
        assert_eq!([0.012, -0.5, 1.0].map(signed), ["+.012", "-.500", "+1.000"]);
    }

    fn record(method: &str, seed: u64, ranks: Vec<u16>) -> Record {
        Record {
            sky: "simulated".to_owned(),
            method: method.to_owned(),
            seed,
            settings: String::new(),
            objects: 0,
            training_s: 0.0,
            ending: super::super::Ending::Measured(Metrics::default()),
            loss: vec![],
            latent: vec![],
            criteria: Default::default(),
            ranks,
            isolated: None,
        }
    }

    /// Three seeds, of which two agree and one says the opposite; a run of an older program kept no ranks.
    #[test]
    fn seeds_agree_by_the_ranks_of_their_scores() {
        let ranks = [vec![0, 1, 2, 3], vec![0, 1, 2, 3], vec![3, 2, 1, 0], vec![]];
        let records: Vec<Record> = ranks.into_iter().zip(1..).map(|(r, seed)| record("EB", seed, r)).collect();
        assert_eq!(agreement(&records.iter().collect::<Vec<_>>()), [1.0, -1.0, -1.0]);
    }

    #[test]
    fn reasons_that_differ_in_numbers_are_one_line_and_a_failed_run_has_no_time() {
        let plan = Plan::parse(include_str!("../../../config/study.toml")).unwrap();
        let failed = |seed, reason: &str| Record {
            ending: super::super::Ending::Failed { reason: reason.to_owned() },
            ..record("net on residuals", seed, vec![])
        };
        let done = Record { training_s: 40.0, ..record("net on residuals", 3, vec![]) };
        let records = [failed(1, "correlation is -0.14"), failed(2, "correlation is 0.2"), done];
        let page = results(&plan, &records, &[]);
        let line = "| **net on residuals, supervised** | 1, 2 | correlation is -0.14 |\n";
        assert_eq!(page.matches(line).count(), 1, "{page}");
        let row = page.lines().find(|l| l.starts_with("| **net on residuals, supervised** | labels |")).unwrap();
        assert!(row.contains("| 1 of 3 |") && row.ends_with("| 40 |"), "{row}");
    }

    #[test]
    fn what_was_not_run_is_one_sentence_and_the_last_run_of_a_seed_counts() {
        let plan = Plan::parse(include_str!("../../../config/study.toml")).unwrap();
        let records = [record("EB", 1, vec![]), record("EB", 1, vec![1, 0]), record("EB", 2, vec![])];
        let page = results(&plan, &records, &[]);
        assert!(page.contains("Not run on this sky: concentration; half-light radius;"), "{page}");
        assert_eq!(page.matches("Not run on this sky").count(), plan.sky.len());
        let method = plan.method.iter().find(|m| m.name == "EB").unwrap();
        assert_eq!(of(&records, &plan.sky[0], method), [&records[1], &records[2]]);
        assert!(!page.contains("## Learning curve") && !page.contains("### Robustness"));
    }
}
