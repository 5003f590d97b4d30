//! `twinpeak train segmenter|classifier`: one half of a bundle from frames without labels. Checkpoints and the
//! finished halves stay in `<out>.work/`; with the second half the bundle appears, whole.

mod halves;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use halves::{ClassifierHalf, Data, SegmenterHalf, Work};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::cli::{SegmenterTraining, TrainArgs, TrainNetArgs, TrainSegmenterArgs, TrainedNet};
use twinpeak_config::assemble::{device, file_list, survey};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_config::{Config, DeviceChoice};
use twinpeak_core::detections::Detections;
use twinpeak_core::extract::Parting;
use twinpeak_core::frame::{BANDS, PerBand};
use twinpeak_core::hex::hex;
use twinpeak_core::median::upper_median;
use twinpeak_core::preprocess::{Prepared, prepare};
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{FrameSource, Loaded};
use twinpeak_learn::sample::{self, ObjectFinder, matched_filter};
use twinpeak_learn::segment::injection;
use twinpeak_learn::{LearnError, MissingBands, Progress, Run, classify, colour, posterior, segment};
use twinpeak_nets::bundle::{COLOUR, SegmenterPart};
use twinpeak_nets::infer::TorchSegmenter;
use twinpeak_nets::segmentation::Gives;

/// Steps between checkpoints.
const CHECKPOINT_STEPS: usize = 200;
/// Tiles and stamps in a batch.
const BATCHES: (usize, usize) = (16, 64);

/// Runs it.
///
/// # Errors
/// Frames that cannot be used, a training that diverged, a folder that cannot be written.
pub fn run(args: &TrainArgs) -> anyhow::Result<Exit> {
    let net = match &args.net {
        TrainedNet::Segmenter(segmenter) => &segmenter.net,
        TrainedNet::Classifier(net) => net,
    };
    let config = net.config.load()?;
    let survey = Arc::new(survey(&config)?);
    let recipe = Recipe::for_survey(&survey);
    let work = Work::new(&net.out)?;
    match &args.net {
        TrainedNet::Segmenter(segmenter) => train_segmenter(segmenter, &config, &survey, &recipe, &work)?,
        TrainedNet::Classifier(_) => train_classifier(net, &config, &survey, &recipe, &work)?,
    }
    work.complete(&survey, recipe, &net.out)?;
    Ok(Exit::Done)
}

fn train_segmenter(
    TrainSegmenterArgs { by, steps, net: args }: &TrainSegmenterArgs,
    config: &Config,
    survey: &Arc<Survey>,
    recipe: &Recipe,
    work: &Work,
) -> anyhow::Result<()> {
    let mut filter = matched_filter(survey);
    let mut detector = ObjectFinder { segmenter: &mut filter, recipe };
    let (mut frames, mut fwhm, mut objects) = (Vec::new(), Vec::new(), 0);
    let data = each_frame(args, config, survey, recipe, |index, prepared| {
        let found = sample::find(&prepared, survey, &mut detector)?;
        let sources = injection::Library::of(&found);
        let (seen, quality) = (Seen::of(&found), found.quality);
        objects += seen.objects;
        fwhm.push(quality.map(|q| if q.fallback { f64::NAN } else { q.fwhm_arcsec }));
        frames.push(sample::training_frame(prepared, survey, sources, index));
        Ok(seen)
    })?;
    segment::enough(objects).map_err(failed)?;
    let missing = MissingBands::of(survey, args.missing_bands);
    let bar = Bar::new();
    let (bands, run, seed) = (survey.shape_bands(), bar.run(&work.0), args.seed);
    let (shape, gives, parting, trained) = match by {
        SegmenterTraining::Injection => {
            let usual = injection::Settings::default();
            let steps = steps.map_or(usual.steps, |steps| steps as usize);
            let settings = injection::Settings { seed, steps, ..usual };
            let trained = injection::train(&frames, bands, &missing, &settings, &run);
            (settings.shape, Gives::CentreAndExtent, Parting::CENTRES, trained)
        }
        SegmenterTraining::Hypercolumns => {
            let settings = segment::Settings { seed, ..segment::Settings::default() };
            let trained = segment::train(&frames, bands, &missing, &settings, &run);
            (settings.shape, Gives::Score, Parting::BRIGHTNESS, trained)
        }
    };
    let trained = trained.map_err(failed)?;
    bar.0.finish_and_clear();
    let part = SegmenterPart { batch: BATCHES.0, probe: Vec::new(), gives, shape };
    let mut net = TorchSegmenter::of(&trained.parameters, &part, &device(DeviceChoice::Cpu)?)?;
    let usual = Recipe::FALSE_PER_FIELD / Recipe::USUAL_FIELD_MPX;
    let overlap = recipe.tile_overlap_px;
    let rate = segment::false_rate(&mut net, &frames, overlap, recipe.extract.min_area_px, usual)?;
    let (false_rate, by_frame) = rate.context("the net scores all pixels of a frame alike: try another seed")?;
    let extent_threshold = match gives {
        Gives::CentreAndExtent => 0.0, // even odds
        Gives::Score => segment::extent_threshold(&mut net, &frames, overlap)?.max(false_rate.threshold(usual)),
    };
    let half = SegmenterHalf {
        data,
        gives,
        shape: part.shape,
        false_rate,
        extent_threshold,
        parting,
        by_frame,
        agreement: trained.agreement,
        fwhm_arcsec: std::array::from_fn(|b| median_fwhm_arcsec(fwhm.iter().map(|f| f[b]).collect(), survey)),
        seed: args.seed,
        missing_band_share: missing.share(),
    };
    if let Some(agreement) = half.agreement {
        println!("segmenter: agrees with its teacher on {:.1} % of pixels", 100.0 * agreement);
    }
    println!(
        "segmenter: thresholds: extent {:.3}, detection at {} false objects a field {:.3}; by frame {:.2?}",
        half.extent_threshold,
        Recipe::FALSE_PER_FIELD,
        half.false_rate.threshold(usual),
        half.by_frame
    );
    work.save("segmenter", &half, &trained.parameters, &trained.curves)
}

fn train_classifier(
    args: &TrainNetArgs,
    config: &Config,
    survey: &Arc<Survey>,
    recipe: &Recipe,
    work: &Work,
) -> anyhow::Result<()> {
    let (mut objects, mut known) = (classify::TrainingSet::default(), Vec::new());
    let missing = MissingBands::of(survey, args.missing_bands);
    let mut learn = |detector: &mut ObjectFinder| {
        each_frame(args, config, survey, recipe, |index, prepared| {
            let found = sample::find(&prepared, survey, detector)?;
            sample::add_objects(&found, index, &missing, &mut objects, &mut known);
            Ok(Seen::of(&found))
        })
    };
    let data = match work.load::<SegmenterHalf>("segmenter")? {
        Some((half, parameters)) => {
            let part =
                SegmenterPart { batch: BATCHES.0, probe: Vec::new(), gives: half.gives, shape: half.shape.clone() };
            let mut net = TorchSegmenter::of(&parameters, &part, &device(DeviceChoice::Cpu)?)?;
            let recipe = recipe.clone().with_scores(half.false_rate, half.extent_threshold, half.parting);
            let recipe = recipe.with_fallback_fwhm(half.fwhm_arcsec);
            learn(&mut ObjectFinder { segmenter: &mut net, recipe: &recipe })?
        }
        None => learn(&mut ObjectFinder { segmenter: &mut matched_filter(survey), recipe })?,
    };
    posterior::enough(&known).map_err(failed)?; // what would fail last is reported before hours are spent
    let settings = classify::Settings { seed: args.seed, ..classify::Settings::of(*survey.magnitudes()) };
    let bar = Bar::new();
    let run = bar.run(&work.0);
    let ensemble = classify::train(&objects, &settings, &run).map_err(failed)?;
    let judged = posterior::TrainingSet { known: &known, scores: &ensemble.scores };
    let of_colour = colour::Settings { seed: args.seed, ..colour::Settings::default() };
    let trained = posterior::train(judged, ensemble.calibration, &of_colour, survey.magnitudes().profiles, &run)
        .map_err(failed)?;
    bar.0.finish_and_clear();
    let half = ClassifierHalf {
        data,
        shape: settings.shape,
        colour: of_colour.shape,
        evidence: trained.evidence.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        posterior: trained.posterior,
        orientation: ensemble.orientation,
        objects: objects.stamps.len(),
        seed: args.seed,
        missing_band_share: missing.share(),
    };
    println!(
        "classifier: {} objects; the star peak follows concentration with rank correlation {:.2?}",
        half.objects, half.orientation
    );
    println!(
        "classifier: the nets count {:.2} and the profiles the rest, which predicts colours best: {:.4} nats an object",
        half.posterior.nets_weight, half.evidence
    );
    let (mut parameters, mut curves) = (ensemble.parameters, ensemble.curves);
    parameters.insert_under(COLOUR, trained.colour);
    curves.push(trained.curve);
    work.save("classifier", &half, &parameters, &curves)
}

/// A training that ended without a net, with the fault behind it: a checkpoint that cannot be written is the output's.
fn failed(error: LearnError) -> anyhow::Error {
    let output = matches!(error, LearnError::Checkpoint { .. });
    let error = anyhow::Error::new(error);
    if output {
        error.context("make room, and run it again: it goes on where it was").context(Fault::Output)
    } else {
        error
    }
}

/// What was found on a frame.
struct Seen {
    objects: usize,
    /// Where too few stars gave a PSF.
    no_psf: PerBand<bool>,
}

impl Seen {
    fn of(found: &Detections) -> Self {
        Self { objects: found.footprints.objects.len(), no_psf: found.quality.map(|q| q.fallback) }
    }
}

/// Reads and prepares one frame after another for `take`, which says what it found. A frame that cannot be used is
/// reported and passed over.
fn each_frame(
    args: &TrainNetArgs,
    config: &Config,
    survey: &Arc<Survey>,
    recipe: &Recipe,
    mut take: impl FnMut(u64, Prepared) -> anyhow::Result<Seen>,
) -> anyhow::Result<Data> {
    let mut source = file_list(config, survey, &args.frames);
    let (mut images, mut hash) = (Vec::new(), Sha256::new());
    while let Some(arrival) = source.next(&Stop::default()).map_err(anyhow::Error::new)? {
        let frame = match (arrival.load)().map(Loaded::frame) {
            Ok(Some(frame)) => frame,
            Ok(None) => continue,
            Err(rejection) => {
                eprintln!("{}: passed over: {rejection}", arrival.image_id);
                continue;
            }
        };
        let input_hash = frame.input_hash.clone();
        let prepared = match prepare(frame, survey, &recipe.preprocess) {
            Ok(prepared) => prepared,
            Err(error) => {
                eprintln!("{}: passed over: {error}", arrival.image_id);
                continue;
            }
        };
        let seen = take(images.len() as u64, prepared)?;
        println!("{}: {} objects found", arrival.image_id, seen.objects);
        let without: Vec<_> = (0..BANDS).filter(|&b| seen.no_psf[b]).map(|b| survey.band(b)).collect();
        if !without.is_empty() {
            eprintln!("{}: too few stars for a PSF in {}: a usual one serves", arrival.image_id, without.join(", "));
        }
        hash.update(input_hash);
        images.push(arrival.image_id.to_string());
    }
    ensure!(!images.is_empty(), "no usable frame in {:?}", args.frames);
    Ok(Data { images, sha256: hex(&hash.finalize()) })
}

/// Of those that were measured; the usual one where none was.
fn median_fwhm_arcsec(mut values: Vec<f64>, survey: &Survey) -> f64 {
    values.retain(|v| v.is_finite());
    upper_median(&mut values, f64::total_cmp).unwrap_or(survey.profile().typical.fwhm_arcsec)
}

/// Progress of a training: a bar on a terminal, a line now and then otherwise.
struct Bar(ProgressBar, Box<dyn Fn(Progress) + Sync>);

/// A log hears of a training so often.
const REPORT_EVERY: Duration = Duration::from_secs(30);

impl Bar {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{msg:24} {bar:40} {pos}/{len} steps, {eta} left");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let (shown, terminal) = (bar.clone(), std::io::stderr().is_terminal());
        let reported = Mutex::new(Instant::now()); // nets train on several threads
        let update = move |p: Progress| {
            if !terminal {
                let mut reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
                if reported.elapsed() >= REPORT_EVERY || p.step == p.steps {
                    *reported = Instant::now();
                    eprintln!("{}: step {} of {}, loss {:.4}", p.net, p.step, p.steps, p.loss);
                }
                return;
            }
            shown.set_length(p.steps as u64);
            shown.set_position(p.step as u64);
            shown.set_message(format!("{} loss {:.4}", p.net, p.loss));
        };
        Self(bar, Box::new(update))
    }

    fn run<'a>(&'a self, work: &'a Path) -> Run<'a> {
        Run { work_dir: Some(work), checkpoint_steps: CHECKPOINT_STEPS, progress: &*self.1 }
    }
}
