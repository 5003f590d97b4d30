//! How much does it matter what a net is shown and how its weights start? Section 6.1 of the paper says: to V+M a lot,
//! since "such instability comes from the manifold learning algorithm", which outliers disturb, and cutouts that show
//! several objects are such; to A+Vr not. (Its appendix adds a batch norm between the two nets for stability.)
//!
//! So auto-encoders of whole cutouts are trained under each view of a cutout, from each way to start, with several
//! seeds. On the *same* latents stand ISOMAP, t-SNE and A+Vr, with batch norm and without; then the first three again,
//! fitted on those objects alone that have their cutout to themselves. A step that is unstable spreads where another,
//! on the same latents, does not; and if crowded cutouts are the reason, it spreads less without them. All are scored
//! on all test objects, and on those that are alone.
//!
//! One thing differs from the paper: neighbours in our cutouts are masked already (`cutout::cutout64`). What is left of
//! them is their mask.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::table::{of, short, spread};
use super::{Encoder, Method, MethodKind, Plan, Record, Step, StudyDataset};
use crate::dataset::Input;
use crate::whole;
use twinpeak_learn::classify::VaeSettings;
use twinpeak_nets::parameters::Start;

/// A study of how a net's input, start and what stands on it change the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Robustness {
    /// Cutouts that a net learns from.
    pub objects: usize,
    /// Objects that a manifold is laid through, at most.
    pub manifold_objects_max: usize,
    /// Seeds with which each trial is repeated.
    pub seeds: usize,
    /// The net and its training.
    pub whole: whole::Settings,
    /// What it is shown, each in turn.
    pub inputs: Vec<Input>,
    /// How its weights start, and those of the VAE behind it, each in turn.
    pub starts: Vec<Start>,
}

/// What stands on the latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Hierarchy { batch_norm: bool },
    Manifold(Step),
    Alone(&'static Trial),
}

const NORMED: Trial = Trial::Hierarchy { batch_norm: true };
const BARE: Trial = Trial::Hierarchy { batch_norm: false };
const ISOMAP: Trial = Trial::Manifold(Step::Isomap);
const TSNE: Trial = Trial::Manifold(Step::Tsne);
const ISOMAP_ISOLATED: Trial = Trial::Alone(&ISOMAP);
const TSNE_ISOLATED: Trial = Trial::Alone(&TSNE);
const ALL: [Trial; 7] = [NORMED, BARE, ISOMAP, TSNE, Trial::Alone(&NORMED), ISOMAP_ISOLATED, TSNE_ISOLATED];

/// Over fewer encoders in common no spread is given.
const RUNS_MIN: usize = 6;

impl Trial {
    fn name(self) -> String {
        match self {
            Self::Hierarchy { batch_norm: true } => "A+Vr".to_owned(),
            Self::Hierarchy { batch_norm: false } => "A+Vr without batch norm".to_owned(),
            Self::Manifold(Step::Tsne) => "AE + t-SNE".to_owned(),
            Self::Manifold(step) => format!("AE + {}", format!("{step:?}").to_uppercase()),
            Self::Alone(then) => format!("{}, fitted on objects alone", then.name()),
        }
    }

    fn how(self, of: &str, start: Start) -> MethodKind {
        match self {
            Self::Hierarchy { batch_norm } => MethodKind::Hierarchy {
                of: of.to_owned(),
                vae: VaeSettings { batch_norm, start, ..VaeSettings::default() },
            },
            Self::Manifold(step) => MethodKind::Manifold { of: of.to_owned(), step },
            Self::Alone(then) => MethodKind::Alone { then: Box::new(then.how(of, start)) },
        }
    }
}

impl Robustness {
    /// A few objects, one pass, one seed, one view and two starts.
    pub(super) fn quick(mut self, objects: usize) -> Self {
        self.objects = self.objects.min(objects);
        self.manifold_objects_max = self.manifold_objects_max.min(objects);
        (self.seeds, self.whole.epochs) = (1, 1);
        self.inputs.truncate(1);
        self.starts.truncate(2);
        self
    }

    /// The study of it, on the same skies.
    pub(super) fn plan(&self, whole: &Plan) -> Plan {
        let encoder = |(input, start)| Encoder {
            name: encoder_name(input, start),
            input,
            whole: Some(whole::Settings { start, ..self.whole.clone() }),
            through: None,
        };
        Plan {
            cutouts_max: self.objects,
            manifold_objects_max: self.manifold_objects_max,
            encoder: self.each().map(encoder).collect(),
            method: ALL.into_iter().flat_map(|trial| self.methods(trial)).collect(),
            robustness: None,
            learning_curve: None,
            ..whole.clone()
        }
    }

    fn each(&self) -> impl Iterator<Item = (Input, Start)> {
        self.inputs.iter().flat_map(|&input| self.starts.iter().map(move |&start| (input, start)))
    }

    fn methods(&self, trial: Trial) -> impl Iterator<Item = Method> {
        self.each().map(move |(input, start)| self.method(trial, input, start))
    }

    fn method(&self, trial: Trial, input: Input, start: Start) -> Method {
        let encoder = encoder_name(input, start);
        Method {
            name: row_name(trial, &encoder),
            source: "6.1".to_owned(),
            seeds: self.seeds,
            how: trial.how(&encoder, start),
        }
    }

    /// What was found on a sky; nothing where nothing was run.
    pub(super) fn page(&self, sky: &StudyDataset, records: &[Record]) -> String {
        let runs =
            |trial| -> Vec<&Record> { self.methods(trial).flat_map(|method| of(records, sky, &method)).collect() };
        if ALL.iter().all(|&trial| runs(trial).is_empty()) {
            return String::new();
        }
        let mut out = String::from("\n### Robustness (section 6.1)\n\n");
        let _ = writeln!(
            out,
            "{} encoders of whole cutouts ({} views x {} starts x {} seeds; {} cutouts, {} passes), and on the latents of \
             each the same steps. A step is named where its scalar follows concentration; where not, which end is the \
             stars' cannot be said, and there is no AUC.\n",
            self.inputs.len() * self.starts.len() * self.seeds,
            self.inputs.len(),
            self.starts.len(),
            self.seeds,
            self.objects,
            self.whole.epochs
        );
        out.push_str("| on the latents | named | AUC 14-22 | quartiles apart | least | most | of objects alone | quartiles apart |\n");
        out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
        for trial in ALL {
            let runs = runs(trial);
            let (all, alone) = (auc(&runs), runs.iter().filter_map(|r| r.isolated).collect::<Vec<_>>());
            let bound = |fold: fn(f64, f64) -> f64| all.iter().copied().reduce(fold).map_or("-".to_owned(), short);
            let [(median, apart), (alone, alone_apart)] = [all.clone(), alone].map(middle);
            let (least, most) = (bound(f64::min), bound(f64::max));
            let _ = writeln!(
                out,
                "| {} | {} of {} | {median} | {apart} | {least} | {most} | {alone} | {alone_apart} |",
                trial.name(),
                all.len(),
                runs.len()
            );
        }
        pairs(&mut out, &runs);
        let heads: Vec<String> = ALL[..4].iter().map(|t| t.name()).collect();
        let _ = writeln!(out, "\nMedians over seeds, by what a net is shown and how it starts:\n");
        let _ = writeln!(out, "| shown, start | {} |\n| --- |{}", heads.join(" | "), " --- |".repeat(heads.len()));
        for (input, start) in self.each() {
            let cell = |&trial: &Trial| {
                let method = self.method(trial, input, start);
                middle(auc(&of(records, sky, &method))).0
            };
            let cells: Vec<String> = ALL[..4].iter().map(cell).collect();
            let _ = writeln!(out, "| {} | {} |", encoder_name(input, start), cells.join(" | "));
        }
        out
    }
}

/// What is compared, two steps at a time, and on which objects' AUC.
const PAIRS: [(Trial, Trial, &str, Auc); 5] = [
    (ISOMAP, NORMED, "all", main_auc),
    (TSNE, NORMED, "all", main_auc),
    (BARE, NORMED, "all", main_auc),
    (ISOMAP, ISOMAP_ISOLATED, "alone", isolated_auc),
    (TSNE, TSNE_ISOLATED, "alone", isolated_auc),
];

type Auc = fn(&Record) -> Option<f64>;

/// Spreads of two steps. They may be compared over all that each step can name, or on the encoders where both are
/// named; the first lets a step profit from not naming what is hard, the second leaves out what only one can do.
/// Neither is the right one, so both stand in the table.
fn pairs<'a>(out: &mut String, runs: &dyn Fn(Trial) -> Vec<&'a Record>) {
    let named = |trial: Trial, auc: Auc| -> BTreeMap<(String, u64), f64> {
        let prefix = row_name(trial, "");
        let key = |r: &Record| Some(((r.method.strip_prefix(&prefix)?.to_owned(), r.seed), auc(r)?));
        runs(trial).into_iter().filter_map(key).collect()
    };
    let _ = writeln!(
        out,
        "\nTwo steps on the same latents. *Named*: encoders on which both are, the first alone, the second alone. *Quartiles \
         apart*: of AUC at r 14-22, of the first and of the second, over the encoders on which both are named (where \
         these are {RUNS_MIN} or more), then over all that each names; scored on all test objects, or on those alone in \
         their cutout.\n\n\
         | first | second | named by both | first alone | second alone | scored on | where both: first | second | over all: first \
         | second |\n| --- |{}",
        " --- |".repeat(9)
    );
    for (first, second, objects, auc) in PAIRS {
        let all = [named(first, auc), named(second, auc)];
        let common: Vec<_> = all[0].keys().filter(|k| all[1].contains_key(*k)).collect();
        let apart = |values: Vec<f64>| spread(values).map_or_else(|| "-".to_owned(), |s| short(s.1));
        let enough = common.len() >= RUNS_MIN;
        let where_both = all.each_ref().map(|named| {
            let values = common.iter().filter(|_| enough).filter_map(|k| named.get(*k).copied());
            apart(values.collect())
        });
        let over_all = all.each_ref().map(|named| apart(named.values().copied().collect()));
        let counts = [common.len(), all[0].len() - common.len(), all[1].len() - common.len()].map(|n| n.to_string());
        let cells =
            [&[first.name(), second.name()], &counts[..], &[objects.to_owned()], &where_both, &over_all].concat();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

/// A row's name: that of what stands on the latents, then the encoder's.
fn row_name(trial: Trial, encoder: &str) -> String {
    format!("robustness: {}, {encoder}", trial.name())
}

fn main_auc(run: &Record) -> Option<f64> {
    run.metrics()?.auc_between(14.0, 22.0)
}

fn isolated_auc(run: &Record) -> Option<f64> {
    run.isolated
}

/// Name of an encoder and of its row in the tables.
fn encoder_name(input: Input, start: Start) -> String {
    let name = |value: &dyn std::fmt::Debug| {
        let text = format!("{value:?}");
        let dashed = text.chars().enumerate().map(|(i, c)| match c {
            c if c.is_uppercase() && i > 0 => format!("-{}", c.to_lowercase()),
            c => c.to_lowercase().to_string(),
        });
        dashed.collect::<String>()
    };
    format!("{}, {}", name(&input), name(&start))
}

fn auc(runs: &[&Record]) -> Vec<f64> {
    runs.iter().filter_map(|r| main_auc(r)).collect()
}

/// Median, and distance of the quartiles.
fn middle(values: Vec<f64>) -> (String, String) {
    spread(values).map_or_else(|| ("-".to_owned(), "-".to_owned()), |(m, apart, _)| (short(m), short(apart)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Ending;
    use twinpeak_sim::evaluate::{BinAuc, Metrics};

    fn plan() -> Plan {
        Plan::parse(include_str!("../../../config/study.toml")).unwrap()
    }

    #[test]
    fn every_view_and_start_gets_every_step_on_the_same_latents() {
        let whole = plan();
        let part = whole.robustness.clone().unwrap();
        assert!(part.inputs.len() == 3 && part.starts.len() == 3 && part.seeds >= 2);
        let plan = part.plan(&whole);
        assert_eq!((plan.encoder.len(), plan.method.len()), (9, 63));
        for method in &plan.method {
            assert!(plan.encoder(method.how.encoder().unwrap()).is_some(), "{}", method.name);
        }
        let names: std::collections::BTreeSet<_> = plan.method.iter().map(|m| &m.name).collect();
        assert_eq!(names.len(), 63);
        assert_eq!(encoder_name(Input::PerCutout, Start::Glorot), "per-cutout, glorot");
    }

    fn run(method: &Method, seed: u64, auc: f64) -> Record {
        let bin = BinAuc { low: 14.0, high: 22.0, objects: 100, stars: 50, auc };
        Record {
            sky: "simulated".to_owned(),
            method: method.name.clone(),
            seed,
            settings: String::new(),
            objects: 100,
            training_s: 1.0,
            ending: Ending::Measured(Metrics { auc: vec![bin], ..Metrics::default() }),
            loss: vec![],
            latent: vec![],
            criteria: Default::default(),
            ranks: vec![],
            isolated: Some(auc),
        }
    }

    /// A step spreads as wide as its runs; an encoder that A+Vr alone can name is counted, and left out where both are.
    #[test]
    fn spreads_stand_beside_each_other() {
        let whole = plan();
        let (part, sky) = (whole.robustness.clone().unwrap(), &whole.sky[0]);
        assert_eq!(part.page(sky, &[]), "");
        let mut records = Vec::new();
        for trial in ALL {
            for (i, method) in part.methods(trial).enumerate() {
                let width = match trial {
                    Trial::Manifold(_) => 0.2,
                    _ => 0.02,
                };
                records.push(run(&method, 1, 0.7 + width * i as f64 / 8.0));
            }
        }
        let page = part.page(sky, &records);
        assert!(page.contains("| AE + ISOMAP | 9 of 9 | .800 | .100 | .700 | .900 | .800 | .100 |"), "{page}");
        assert!(page.contains("| AE + ISOMAP | A+Vr | 9 | 0 | 0 | all | .100 | .010 | .100 | .010 |"), "{page}");
        assert!(page.contains("| 9 | 0 | 0 | alone | .100 | .010 | .100 | .010 |"), "{page}");

        let mut records = Vec::new();
        for trial in [NORMED, ISOMAP] {
            for (i, method) in part.methods(trial).enumerate() {
                let hard = i >= 6;
                let auc = match trial {
                    NORMED if hard => 0.5,
                    NORMED => 0.8 + 0.001 * i as f64,
                    _ => 0.8 + 0.01 * i as f64,
                };
                if trial == NORMED || !hard {
                    records.push(run(&method, 1, auc));
                }
            }
        }
        let page = part.page(sky, &records);
        let row = page.lines().find(|l| l.starts_with("| AE + ISOMAP | A+Vr |")).unwrap();
        assert_eq!(row, "| AE + ISOMAP | A+Vr | 6 | 0 | 3 | all | .025 | .003 | .025 | .303 |");
        assert!(page.contains("| AE + t-SNE | A+Vr | 0 | 0 | 9 | all | - | - | - | .303 |"), "{page}");
    }
}
