//! `twinpeak-lab study`: every method with every seed, each once; then the tables and pictures of all runs so far.

mod combination;
mod fields;
mod segmentation;
mod sextractor;

use std::collections::BTreeMap;
use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::LabError;
use crate::cli::StudyArgs;
use crate::commands::dataset::{baselines, truth as simulated};
use crate::dataset::{DataSet, Features, MANIFEST, Part};
use crate::study::{
    self, Answer, AnswerError, Answers, EncoderCache, Ending, Label, Method, MethodKind, Plan, Record, Records,
    RunRequest, StudyContext, StudyDataset, answer, figures, isolated, ranks, results, score,
};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::hex::hex;
use twinpeak_core::survey::Survey;
use twinpeak_learn::LearnError;
use twinpeak_sim::evaluate::{Rules, nearest, truth_files as catalogs};
use twinpeak_store::write_file;

/// The study's memory, and what is made of it, in the folder of `--out`.
const RUNS: &str = "runs.jsonl";
const RESULTS: &str = "RESULTS.md";
/// Folder in which a study's records and tables are kept.
const OUT: &str = "benches/study";
/// Those of a quick study.
const QUICK_OUT: &str = "out/study/quick";

/// Runs it.
///
/// # Errors
/// A plan that cannot be followed, data that cannot be read, a folder that cannot be written. A run that fails is
/// recorded as such and is no error.
pub fn run(args: &StudyArgs) -> anyhow::Result<Exit> {
    let named = || args.config.display().to_string();
    let plan = fs::read_to_string(&args.config).with_context(named).context(Fault::Config)?;
    let plan = Plan::parse(&plan).with_context(named).context(Fault::Config)?;
    let plan = if args.quick { plan.quick() } else { plan };
    let mut names = plan.method.iter().map(|m| &m.name).chain(plan.segmenter.iter().map(|s| &s.name));
    if let Some(part) = args.only.as_ref().filter(|part| !names.any(|name| name.contains(part.as_str()))) {
        return Err(anyhow!("--only {part}: no method of {} has that in its name", named()).context(Fault::Config));
    }
    let out = args.out.as_deref().unwrap_or_else(|| Path::new(if args.quick { QUICK_OUT } else { OUT }));
    let survey = Arc::new(twinpeak_config::assemble::survey_of(&plan.survey)?);
    let mut records = Records::open(&out.join(RUNS))?;
    let mut segment_records = segmentation::records(out)?;
    let (mut there, mut panels) = (0, Vec::new());
    for part in plan.parts() {
        for sky in &part.sky {
            if sky.data.join(MANIFEST).exists() {
                there += 1;
                study(&part, sky, &survey, args, &mut records)?;
            } else {
                eprintln!("skipped {}: no data set {}; `twinpeak-lab dataset` makes it", sky.name, sky.data.display());
            }
        }
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    for sky in &plan.sky {
        if let Some(fields) = sky.fields.as_ref().filter(|_| !plan.segmenter.is_empty()) {
            panels.extend(segmentation::study(&plan, sky, fields, &survey, args, out, &mut segment_records)?);
            there += 1;
        }
    }
    ensure!(there > 0, "there is none of the plan's data sets; {} says how to make them", args.config.display());
    let mut pictures = figures(&plan, records.all())?;
    pictures.extend(study::segmentation::figures(&plan, segment_records.all())?);
    for picture in pictures.iter().chain(&panels) {
        write(out, &picture.file, &picture.png)?;
    }
    let kept = plan.sky.iter().flat_map(segmentation::panels).filter(|(_, file)| out.join(file).exists());
    let listed: Vec<_> = pictures.into_iter().map(|p| (p.title, p.file)).chain(kept).collect();
    let listed: Vec<_> = listed.into_iter().map(|(title, file)| (title, file.display().to_string())).collect();
    let page =
        results(&plan, records.all(), &listed) + &study::segmentation::section(&plan, segment_records.all(), &listed);
    write(out, Path::new(RESULTS), page.as_bytes())?;
    println!("{}: {} runs", out.join(RESULTS).display(), records.all().len() + segment_records.all().len());
    Ok(Exit::Done)
}

fn write(folder: &Path, name: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_file(folder, &name.to_string_lossy(), bytes).with_context(|| folder.join(name).display().to_string())
}

/// Makes the runs of a sky that are not there yet.
fn study(
    plan: &Plan,
    sky: &StudyDataset,
    survey: &Survey,
    args: &StudyArgs,
    records: &mut Records,
) -> anyhow::Result<()> {
    let set = DataSet::open_for(&sky.data, survey)?;
    let scored = sky.test.as_ref().map(|folder| DataSet::open_for(folder, survey)).transpose()?;
    let mut sha256 =
        [Some(&sky.data), sky.test.as_ref()].into_iter().flatten().map(|f| digest(f)).collect::<Result<String, _>>()?;
    let origins = [Some(&set), scored.as_ref()].into_iter().flatten().map(|set| set.manifest().plan.origin());
    let mut origin: String = origins.collect();
    let work = plan.work.join(&sha256[..12]);
    let mut training = set.features(Part::Train)?;
    if let Some(objects) = sky.objects {
        training.truncate(objects);
        let first = format!(" first {objects}");
        sha256.push_str(&first);
        origin.push_str(&first);
    }
    let context = StudyContext {
        plan,
        training,
        test: scored.as_ref().unwrap_or(&set).features(Part::Test)?,
        beside: baselines::read(sky.test.as_ref().unwrap_or(&sky.data))?,
        scored: scored.as_ref().unwrap_or(&set),
        set: &set,
        survey,
        work,
        sha256,
        origin,
    };
    let chosen = |m: &&Method| args.only.as_ref().is_none_or(|part| m.name.contains(part.as_str()));
    let jobs: Vec<Job> = (plan.method.iter().filter(chosen))
        .flat_map(|method| (0..method.seeds as u64).map(move |i| (method, plan.seed + i)))
        .map(|(method, seed)| Job { method, seed, settings: plan.fingerprint(method, &data(&context, method)) })
        .filter(|job| records.find(&sky.name, &job.method.name, &job.settings, job.seed).is_none())
        .collect();
    if args.dry_run {
        jobs.iter().for_each(|job| println!("{}\t{}\t{}\t{}", sky.name, job.method.name, job.seed, job.settings));
        return Ok(());
    }
    if jobs.is_empty() {
        return Ok(());
    }
    let truth = Truth::read(sky, &context, survey)?;
    let isolated = isolated(&context.test);
    let bar = Bar::new(&sky.name);
    let failed = encoders(plan, &context, &jobs, &bar)?;
    bar.stage("methods", jobs.len());
    for together in jobs.chunks(rayon::current_num_threads()) {
        let made: Vec<anyhow::Result<Record>> =
            together.par_iter().map(|job| job.run(sky, &context, (&truth, &isolated), &failed, &bar)).collect();
        for record in made {
            records.add(record?).context(Fault::Output)?;
        }
    }
    bar.0.finish_and_clear();
    Ok(())
}

/// Tells what a method is asked about from any other data.
fn data(context: &StudyContext, method: &Method) -> String {
    match (&method.how, &context.beside) {
        // What was not measured when it was asked for is asked for again once it is.
        (MethodKind::ClassStar, Some(beside)) => {
            format!("{} baselines {}", context.origin, beside.class_star.is_some())
        }
        (MethodKind::PsfMinusModel, Some(_)) => format!("{} baselines", context.origin),
        _ => context.origin.clone(),
    }
}

fn digest(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join(MANIFEST);
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    Ok(hex(&Sha256::digest(bytes)))
}

/// Encoders that could not be trained, by name and seed, with the reason.
type Failed = BTreeMap<(String, u64), String>;

/// Trains what the jobs build on, each once, those first that others are defined through.
///
/// # Errors
/// Where a file, a disk or a device is at fault: that is no result.
fn encoders(plan: &Plan, context: &StudyContext, jobs: &[Job], bar: &Bar) -> anyhow::Result<Failed> {
    let mut stages = [Vec::new(), Vec::new()];
    for job in jobs {
        let Some(encoder) = job.method.how.encoder().and_then(|name| plan.encoder(name)) else { continue };
        let before = encoder.through.as_deref().and_then(|name| plan.encoder(name));
        for (stage, encoder) in before.map(|e| (0, e)).into_iter().chain([(usize::from(before.is_some()), encoder)]) {
            if !stages[stage].contains(&(encoder, job.seed)) {
                stages[stage].push((encoder, job.seed));
            }
        }
    }
    let mut failed = Failed::new();
    bar.stage("encoders", stages.iter().map(Vec::len).sum());
    for stage in stages {
        let of_stage = stage.into_par_iter().map(|(encoder, seed)| {
            let progress = |p: twinpeak_learn::Progress| bar.progress(&p);
            let learned = EncoderCache::new(context, &progress).learned(encoder, seed);
            bar.0.inc(1);
            match learned {
                Err(error) if error.is_external() => Err(with_fault(error)),
                learned => Ok(learned.err().map(|error| ((encoder.name.clone(), seed), error.to_string()))),
            }
        });
        failed.extend(of_stage.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten());
    }
    Ok(failed)
}

/// A training that ended without an answer, with the fault behind it: a checkpoint that cannot be written is the
/// output's.
fn with_fault(error: LabError) -> anyhow::Error {
    let output = matches!(error, LabError::Learn(LearnError::Checkpoint { .. }));
    let error = anyhow::Error::new(error);
    if output {
        error.context("make room, and run it again: it goes on where it was").context(Fault::Output)
    } else {
        error
    }
}

/// A run to be made.
struct Job<'a> {
    method: &'a Method,
    seed: u64,
    settings: String,
}

impl Job<'_> {
    /// Makes it. What fails as a method is a result.
    ///
    /// # Errors
    /// Where a file, a disk or a device is at fault.
    fn run(
        &self,
        sky: &StudyDataset,
        context: &StudyContext,
        (truth, isolated): (&Truth, &[bool]),
        failed: &Failed,
        bar: &Bar,
    ) -> anyhow::Result<Record> {
        let built_on = self.method.how.encoder().unwrap_or_default().to_owned();
        let answered = match failed.get(&(built_on, self.seed)) {
            Some(reason) => Err(reason.clone()),
            None => {
                let progress = |p: twinpeak_learn::Progress| bar.progress(&p);
                let how = &self.method.how;
                let asked = RunRequest { how, seed: self.seed, labels: &truth.training, progress: &progress };
                match answer(context, &asked) {
                    Err(AnswerError::Training(error)) if error.is_external() => {
                        return Err(with_fault(error));
                    }
                    Err(error) if error.is_external() => return Err(error.into()),
                    answered => answered.map_err(|e| e.to_string()),
                }
            }
        };
        bar.0.inc(1);
        let metrics = |answer: &Answer, labels: &[Option<Label>]| {
            let probabilities = answer.probabilities.as_deref();
            let answers = Answers { scores: &answer.scores, threshold: answer.threshold, probabilities };
            score(&answers, labels)
        };
        let (answer, ending, of_isolated) = match answered {
            Ok(answer) => {
                let those: Vec<_> =
                    truth.test.iter().zip(isolated).map(|(l, isolated)| l.filter(|_| *isolated)).collect();
                let (all, of_isolated) = (metrics(&answer, &truth.test), metrics(&answer, &those));
                (answer, Ending::Measured(all), of_isolated.auc_between(14.0, 22.0))
            }
            Err(reason) => (Answer::default(), Ending::Failed { reason }, None),
        };
        Ok(Record {
            sky: sky.name.clone(),
            method: self.method.name.clone(),
            seed: self.seed,
            settings: self.settings.clone(),
            objects: answer.objects,
            training_s: answer.training_s,
            ending,
            loss: answer.loss,
            latent: answer.latent,
            criteria: answer.criteria,
            ranks: ranks(&answer.scores),
            isolated: of_isolated,
        })
    }
}

/// What is true, read once all is known of what will be asked; only scoring and supervised probes see it.
struct Truth {
    training: Vec<Option<bool>>,
    test: Vec<Option<Label>>,
}

impl Truth {
    fn read(sky: &StudyDataset, context: &StudyContext, survey: &Survey) -> anyhow::Result<Self> {
        if let Some(folder) = &sky.catalogs {
            let test = labels_of_catalogs(folder, &context.test, survey)?;
            return Ok(Self { training: Vec::new(), test });
        }
        let reference = survey.reference();
        let label = |known: simulated::Known| Label { star: known.class.is_point(), mag: known.mag[reference] };
        let test = sky.test.as_ref().unwrap_or(&sky.data);
        let known = |folder: &Path, part| -> anyhow::Result<Vec<Option<Label>>> {
            Ok(simulated::read(folder, part)?.into_iter().map(|k| k.map(label)).collect())
        };
        let training = known(&sky.data, Part::Train)?.into_iter().map(|l| l.map(|l| l.star)).collect();
        Ok(Self { training, test: known(test, Part::Test)? })
    }
}

/// Labels from `IMAGE_stars.csv` and `IMAGE_gals.csv`; an image without them has none.
fn labels_of_catalogs(folder: &Path, objects: &Features, survey: &Survey) -> anyhow::Result<Vec<Option<Label>>> {
    let radius = Rules::for_scale(survey.profile().pixel_scale_arcsec).label_radius_px;
    let mut labels = vec![None; objects.len()];
    for (image, name) in objects.images.iter().enumerate() {
        let there = catalogs::read(&folder.join(name), survey.band(survey.reference()))?;
        let here: Vec<usize> = (0..objects.len()).filter(|&i| objects.image[i] as usize == image).collect();
        let found: Vec<_> = here.iter().map(|&i| (objects.x[i], objects.y[i])).collect();
        let true_at: Vec<_> = there.iter().map(|t| (t.x, t.y)).collect();
        for (&i, partner) in here.iter().zip(nearest(&found, &true_at, radius)) {
            let mag = f64::from(objects.reference_mag[i]);
            labels[i] = partner.map(|t| Label { star: there[t].star, mag: there[t].mag.unwrap_or(mag) });
        }
    }
    Ok(labels)
}

/// How far the study is.
struct Bar(ProgressBar);

impl Bar {
    fn new(sky: &str) -> Self {
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(sky.to_owned());
        Self(bar)
    }

    fn stage(&self, name: &str, runs: usize) {
        self.0.set_position(0);
        self.0.set_length(runs as u64);
        if !std::io::stderr().is_terminal() {
            eprintln!("{}: {runs} {name}", self.0.prefix());
        }
    }

    fn progress(&self, p: &twinpeak_learn::Progress) {
        self.0.set_message(format!("{} {}/{} loss {:.4}", p.net, p.step, p.steps, p.loss));
    }
}
