//! The study of segmenters: every one with every seed on each sky's frames, each once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rayon::prelude::*;

use super::{Bar, combination, fields, sextractor};
use crate::cli::StudyArgs;
use crate::study::segmentation::{
    Fields, Finder, Hypercolumn, Known, SegmentEnding, SegmentError, SegmentMetrics, SegmentRecord,
    SegmentationContext, SegmenterRow, fingerprint, judge, panel_figures, panel_files, scores,
};
use crate::study::{Figure, Plan, Records, StudyDataset};
use twinpeak_config::exit::Fault;
use twinpeak_core::survey::Survey;
use twinpeak_nets::bundle::{Bundle, SEGMENTER};

/// The memory of this part of the study.
pub(super) const RUNS: &str = "segmentation.jsonl";

/// Nets that could not be trained, by name and seed, with the reason.
type Failed = BTreeMap<(String, u64), String>;

/// Makes the runs of a sky that are not there yet.
///
/// # Errors
/// A bundle or frames that cannot be used. A run that fails is recorded as such and is no error.
pub(super) fn study(
    plan: &Plan,
    sky: &StudyDataset,
    wanted: &Fields,
    survey: &Arc<Survey>,
    args: &StudyArgs,
    out: &Path,
    records: &mut Records<SegmentRecord>,
) -> anyhow::Result<Vec<Figure>> {
    let Some(sha256) = fields::sha256(wanted, survey)? else {
        eprintln!("skipped the segmenters on {}: its frames are not there", sky.name);
        return Ok(Vec::new());
    };
    let profile = survey.profile();
    let bundle = Bundle::load(&plan.bundle, &profile.name, &profile.bands.planes)
        .with_context(|| format!("bundle {}", plan.bundle.display()))
        .context(Fault::Model)?;
    let manifest = bundle.manifest();
    let shipped = format!("{:?} {:?}", manifest.files.get(SEGMENTER), manifest.recipe.extract);
    let chosen = |s: &&SegmenterRow| args.only.as_ref().is_none_or(|part| s.name.contains(part.as_str()));
    let net = |s: &SegmenterRow| s.how.hypercolumn().and_then(|name| plan.hypercolumn(name));
    let jobs: Vec<Job> = (plan.segmenter.iter().filter(chosen))
        .flat_map(|segmenter| (0..segmenter.seeds as u64).map(move |i| (segmenter, plan.seed + i)))
        .map(|(segmenter, seed)| {
            let settings = fingerprint(segmenter, net(segmenter), &sha256, &shipped);
            Job { plan, sky, segmenter, seed, settings }
        })
        .filter(|job| records.find(&sky.name, &job.segmenter.name, &job.settings, job.seed).is_none())
        .collect();
    // Panels need the nets, and are drawn when all of these are there.
    let drawn = args.only.is_some() || panels(sky).iter().all(|(_, file)| out.join(file).exists());
    if jobs.is_empty() && drawn {
        return Ok(Vec::new());
    }
    let bar = Bar::new(&sky.name);
    bar.stage("sets of frames", 1);
    let frames = fields::load(sky, wanted, survey)?;
    let context = SegmentationContext {
        work: plan.work.join(&sha256[..12]),
        sha256,
        survey,
        training: frames.training,
        fields: frames.fields,
        bundle: &bundle,
    };
    let failed = nets(&context, &jobs, &bar);
    bar.stage("segmenters", jobs.len());
    for together in jobs.chunks(rayon::current_num_threads()) {
        let made: Vec<_> = together.par_iter().map(|job| job.run(&context, &frames.known, &failed, &bar)).collect();
        for record in made {
            records.add(record)?;
        }
    }
    let mut figures = Vec::new();
    if args.only.is_none() {
        figures = panel_figures(plan, sky, &context, &|p| bar.progress(&p))?;
        figures.extend(combination::figure(plan, sky, survey, &frames.known)?);
    }
    bar.0.finish_and_clear();
    Ok(figures)
}

/// Titles and files of a sky's pictures that are not made from records.
pub(super) fn panels(sky: &StudyDataset) -> Vec<(String, PathBuf)> {
    let mut all = panel_files(sky).to_vec();
    all.extend(matches!(sky.fields, Some(Fields::Frames { .. })).then(|| combination::file(sky)));
    all
}

/// Trains what the jobs build on, each once.
fn nets(context: &SegmentationContext, jobs: &[Job], bar: &Bar) -> Failed {
    let mut wanted = Vec::new();
    for job in jobs {
        wanted.extend(job.net().map(|net| (net, job.seed)).filter(|pair| !wanted.contains(pair)));
    }
    bar.stage("segmentation nets", wanted.len());
    let train = |(net, seed): (&Hypercolumn, u64)| {
        let learned = context.learned(net, seed, &|p| bar.progress(&p));
        bar.0.inc(1);
        Some(((net.name.clone(), seed), learned.err()?.to_string()))
    };
    wanted.into_par_iter().filter_map(train).collect()
}

/// A run to be made.
struct Job<'a> {
    plan: &'a Plan,
    sky: &'a StudyDataset,
    segmenter: &'a SegmenterRow,
    seed: u64,
    settings: String,
}

impl Job<'_> {
    fn net(&self) -> Option<&Hypercolumn> {
        self.plan.hypercolumn(self.segmenter.how.hypercolumn()?)
    }

    fn run(&self, context: &SegmentationContext, known: &[Known], failed: &Failed, bar: &Bar) -> SegmentRecord {
        let built_on = self.segmenter.how.hypercolumn().unwrap_or_default().to_owned();
        let answered = match failed.get(&(built_on, self.seed)) {
            Some(reason) => Err(reason.clone()),
            None => self.metrics(context, known, bar).map_err(|e| e.to_string()),
        };
        bar.0.inc(1);
        let (training_s, ending) = match answered {
            Ok((training_s, metrics)) => (training_s, SegmentEnding::Measured(metrics)),
            Err(reason) => (0.0, SegmentEnding::Failed { reason }),
        };
        SegmentRecord {
            sky: self.sky.name.clone(),
            segmenter: self.segmenter.name.clone(),
            seed: self.seed,
            settings: self.settings.clone(),
            training_s,
            ending,
        }
    }

    fn metrics(
        &self,
        context: &SegmentationContext,
        known: &[Known],
        bar: &Bar,
    ) -> Result<(f64, SegmentMetrics), SegmentError> {
        if self.segmenter.how == Finder::Sextractor {
            return Ok((0.0, sextractor::metrics(context, known)?));
        }
        let scores = scores(context, self.segmenter, self.net(), self.seed, &|p| bar.progress(&p))?;
        Ok((scores.training_s, judge(context, &scores, known)?))
    }
}

/// Opens the records of segmenters, with the runs so far.
pub(super) fn records(out: &Path) -> anyhow::Result<Records<SegmentRecord>> {
    Ok(Records::open(&out.join(RUNS))?)
}
