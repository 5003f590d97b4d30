//! How much does it matter what a net is shown and how its weights start? Section 6.1 of the paper says: to V+M a lot,
//! since "such instability comes from the manifold learning algorithm", which outliers disturb, and cutouts that show
//! several objects are such; to A+Vr not. (Its appendix adds a batch norm between the two nets for stability.)
//!
//! So auto-encoders of whole cutouts are trained under each view of a cutout, from each way to start, with several
//! seeds. On the *same* latents stand ISOMAP, t-SNE and A+Vr, with batch norm and without; then the first three again,
//! fitted on those objects alone that have their cutout to themselves. A step that is unstable spreads where another, on
//! the same latents, does not; and if crowded cutouts are the reason, it spreads less without them. All are scored on all
//! test objects, and on those that are alone.
//!
//! One thing differs from the paper: neighbours in our cutouts are masked already (`cutout::cutout64`). What is left of
//! them is their mask.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::table::{of, short, spread};
use super::{Encoder, How, Method, Plan, Record, Sky, Step};
use crate::learn::classify::VaeSettings;
use crate::learn::dataset::Input;
use crate::learn::whole;
use crate::torch::parameters::Start;

/// What is tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Robustness {
    /// Cutouts that a net learns from.
    pub objects: usize,
    /// Objects that a manifold is laid through, at most.
    pub manifold_objects_max: usize,
    /// Repetitions of each.
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
const ISOMAP_ALONE: Trial = Trial::Alone(&ISOMAP);
const TSNE_ALONE: Trial = Trial::Alone(&TSNE);
const ALL: [Trial; 7] = [NORMED, BARE, ISOMAP, TSNE, Trial::Alone(&NORMED), ISOMAP_ALONE, TSNE_ALONE];

/// Wider than another by this factor: what may be called a difference of spreads over a dozen runs or two.
const WIDER: f64 = 1.5;
/// With fewer encoders in common nothing is said of a spread.
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

    fn how(self, of: &str, start: Start) -> How {
        match self {
            Self::Hierarchy { batch_norm } => {
                How::Hierarchy { of: of.to_owned(), vae: VaeSettings { batch_norm, start, ..VaeSettings::default() } }
            }
            Self::Manifold(step) => How::Manifold { of: of.to_owned(), step },
            Self::Alone(then) => How::Alone { then: Box::new(then.how(of, start)) },
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
    pub(super) fn page(&self, sky: &Sky, records: &[Record]) -> String {
        let runs =
            |trial| -> Vec<&Record> { self.methods(trial).flat_map(|method| of(records, sky, &method)).collect() };
        if ALL.iter().all(|&trial| runs(trial).is_empty()) {
            return String::new();
        }
        let mut out = format!("\n### Robustness (section 6.1)\n\n{}\n", self.told(&runs));
        out.push_str("| on the latents | named | AUC 14-22 | quartiles apart | least | most | of objects alone | quartiles apart |\n");
        out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
        for trial in ALL {
            let runs = runs(trial);
            let (all, alone) = (auc(&runs), runs.iter().filter_map(|r| r.alone).collect::<Vec<_>>());
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

    /// In words, from the runs alone. Spreads may be compared over all that each step can name, or on the encoders where
    /// both are named; the first lets a step profit from not naming what is hard, the second leaves out what only one can
    /// do. Neither is the right one, so both are told, and a verdict is given only where they agree.
    fn told<'a>(&self, runs: &dyn Fn(Trial) -> Vec<&'a Record>) -> String {
        let all = self.inputs.len() * self.starts.len() * self.seeds;
        let named = |trial: Trial, value: fn(&Record) -> Option<f64>| -> BTreeMap<(String, u64), f64> {
            let prefix = row_name(trial, "");
            let key = |r: &Record| Some(((r.method.strip_prefix(&prefix)?.to_owned(), r.seed), value(r)?));
            runs(trial).into_iter().filter_map(key).collect()
        };
        let pair = |one, other, value| -> Option<[f64; 2]> {
            let (one, other) = (named(one, value), named(other, value));
            let both = one.iter().filter_map(|(k, v)| Some((*v, *other.get(k)?)));
            let (one, other): (Vec<f64>, Vec<f64>) = both.unzip();
            (one.len() >= RUNS_MIN).then(|| Some([spread(one)?.1, spread(other)?.1])).flatten()
        };
        let apart = |trial| spread(auc(&runs(trial))).map(|s| s.1);
        let steps = [("ISOMAP", ISOMAP), ("t-SNE", TSNE)];
        let mut told = format!(
            "{all} encoders of whole cutouts ({} views x {} starts x {} seeds; {} cutouts, {} passes), and on the latents of \
             each the same steps. A step is named where its scalar follows concentration; where not, which end is the \
             stars' cannot be said, and there is no AUC.",
            self.inputs.len(),
            self.starts.len(),
            self.seeds,
            self.objects,
            self.whole.epochs
        );
        let hierarchy = named(NORMED, main_auc);
        for (name, step) in steps {
            let named = named(step, main_auc);
            let lost = hierarchy.keys().filter(|k| !named.contains_key(*k)).count();
            let kept = named.keys().filter(|k| !hierarchy.contains_key(*k)).count();
            let _ = write!(
                told,
                " {name} is named on {} encoders: not on {lost} where A+Vr is, and on {kept} where A+Vr is not.",
                named.len()
            );
            let (Some([paired, paired_hierarchy]), Some(all), Some(all_hierarchy)) =
                (pair(step, NORMED, main_auc), apart(step), apart(NORMED))
            else {
                continue;
            };
            let verdict = match (Spreads::of(paired, paired_hierarchy), Spreads::of(all, all_hierarchy)) {
                (Spreads::More, Spreads::More) => "as section 6.1 says, the manifold step adds to the spread",
                (Spreads::Less, Spreads::Less) => "not as section 6.1 says, the manifold step spreads less",
                (Spreads::Alike, Spreads::Alike) => {
                    "not as section 6.1 says, the manifold step adds nothing to the spread"
                }
                _ => "it hangs on which encoders are counted, so these runs do not decide what section 6.1 says",
            };
            let _ = write!(
                told,
                " The quartiles of AUC lie {} apart with {name} and {} with A+Vr where both are named, {} and {} over all that \
                 each names: {verdict}.",
                short(paired),
                short(paired_hierarchy),
                short(all),
                short(all_hierarchy)
            );
        }
        for (name, step, alone) in [("ISOMAP", ISOMAP, ISOMAP_ALONE), ("t-SNE", TSNE, TSNE_ALONE)] {
            let Some([all, alone]) = pair(step, alone, |r| r.alone) else { continue };
            let verdict = if all > WIDER * alone { "are a cause of its spread" } else { "are not the cause" };
            let _ = write!(
                told,
                " Scored on objects alone in their cutout, {name} spreads by {} when fitted on all objects and by {} when \
                 fitted on such alone: crowded cutouts {verdict}.",
                short(all),
                short(alone)
            );
        }
        if let (Some([bare, normed]), Some(all_bare), Some(all_normed)) =
            (pair(BARE, NORMED, main_auc), apart(BARE), apart(NORMED))
        {
            let verdict = match (Spreads::of(bare, normed), Spreads::of(all_bare, all_normed)) {
                (Spreads::More, Spreads::More) => "batch norm steadies it",
                (Spreads::Less, Spreads::Less) => "batch norm does not steady it, on the contrary",
                (Spreads::Alike, Spreads::Alike) => "batch norm changes its spread little",
                _ => {
                    "it hangs on which encoders are counted, so these runs do not decide what batch norm does to its spread"
                }
            };
            let _ = write!(
                told,
                " A+Vr is named on {} encoders with batch norm and on {} without; the quartiles lie {} and {} apart where on \
                 both, {} and {} over all: {verdict}.",
                hierarchy.len(),
                named(BARE, main_auc).len(),
                short(normed),
                short(bare),
                short(all_normed),
                short(all_bare)
            );
        }
        told.push('\n');
        told
    }
}

/// How one spread is to another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spreads {
    More,
    Less,
    Alike,
}

impl Spreads {
    fn of(one: f64, other: f64) -> Self {
        match (one > WIDER * other, other > WIDER * one) {
            (true, _) => Self::More,
            (_, true) => Self::Less,
            _ => Self::Alike,
        }
    }
}

/// A row's name: that of what stands on the latents, then the encoder's.
fn row_name(trial: Trial, encoder: &str) -> String {
    format!("robustness: {}, {encoder}", trial.name())
}

fn main_auc(run: &Record) -> Option<f64> {
    run.marks()?.auc_between(14.0, 22.0)
}

/// Also of its row.
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
    use crate::evaluate::{BinAuc, Marks};
    use crate::study::Ending;

    fn plan() -> Plan {
        Plan::parse(include_str!("../../config/study.toml")).unwrap()
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
            ending: Ending::Marks(Marks { auc: vec![bin], ..Marks::default() }),
            loss: vec![],
            latent: vec![],
            criteria: Default::default(),
            ranks: vec![],
            alone: Some(auc),
        }
    }

    /// The words follow the numbers, both ways.
    #[test]
    fn what_is_told_follows_from_the_spreads() {
        let whole = plan();
        let (part, sky) = (whole.robustness.clone().unwrap(), &whole.sky[0]);
        assert_eq!(part.page(sky, &[]), "");
        let page = |manifold: f64, hierarchy: f64| {
            let mut records = Vec::new();
            for trial in ALL {
                let width = match trial {
                    Trial::Hierarchy { .. } | Trial::Alone(Trial::Hierarchy { .. }) => hierarchy,
                    Trial::Manifold(_) => manifold,
                    Trial::Alone(_) => 0.1 * manifold,
                };
                for (i, method) in part.methods(trial).enumerate() {
                    records.push(run(&method, 1, 0.7 + width * i as f64 / 8.0));
                }
            }
            part.page(sky, &records)
        };
        let (wide, narrow) = (page(0.2, 0.02), page(0.02, 0.2));
        assert!(wide.contains("as section 6.1 says, the manifold step adds"), "{wide}");
        assert!(narrow.contains("not as section 6.1 says, the manifold step spreads less"), "{narrow}");
        assert!(wide.contains("crowded cutouts are a cause of its spread") && wide.contains("batch norm changes"));
        assert!(wide.contains("ISOMAP is named on 9 encoders: not on 0 where A+Vr is, and on 0 where A+Vr is not."));
        // An encoder that A+Vr alone can name, and on which it is far off, turns the comparison over all around.
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
        let both = part.page(sky, &records);
        assert!(
            both.contains("not on 3 where A+Vr is") && both.contains("do not decide what section 6.1 says"),
            "{both}"
        );
        assert!(wide.contains("| AE + ISOMAP | 9 of 9 | .800 | .100 | .700 | .900 | .800 | .100 |"), "{wide}");
    }
}
