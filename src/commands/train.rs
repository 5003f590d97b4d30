//! `twinpeak train segmenter|classifier`: one half of a bundle from frames without labels. Checkpoints and the
//! finished halves stay in `<out>.work/`; with the second half the bundle appears, whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Fault;
use super::assemble::{device, loader};
use crate::cli::{Exit, TrainArgs, TrainNetArgs, TrainedNet};
use crate::config::{Config, DeviceChoice};
use crate::extract::Settings as Extract;
use crate::frame::{BANDS, PerBand};
use crate::learn::sample::{self, Detector};
use crate::learn::{Curve, Progress, Run, classify, segment};
use crate::picture::{Axis, Chart, Corner, Series, Style, chart};
use crate::pipeline::flow::Stop;
use crate::pipeline::ports::{FrameSource, Loaded};
use crate::posterior::Calibration;
use crate::preprocess::{self, Prepared, prepare};
use crate::recipe::Recipe;
use crate::store::FileList;
use crate::survey::Survey;
use crate::threshold::ThresholdSegmenter;
use crate::torch::bundle::{Bundle, ClassifierPart, FORMAT, Manifest, SegmenterPart, Training};
use crate::torch::infer::{TorchClassifier, TorchSegmenter};
use crate::torch::nets::{classifier, segmentation};
use crate::torch::parameters::Parameters;

/// Overlap of neighbouring tiles, px: each pixel's answer comes from a tile that sees 8 px beyond it.
const OVERLAP_PX: usize = 16;
/// False objects on a frame of noise to which detection is calibrated.
const FALSE_OBJECTS: f64 = 10.0;
/// Fewest pixels of an object.
const MIN_AREA_PX: usize = 5;
/// Steps between checkpoints.
const CHECKPOINT_STEPS: usize = 200;
/// Seeing before any is measured, arcsec.
const USUAL_FWHM_ARCSEC: f64 = 1.4;
/// Tiles and stamps in a batch.
const BATCHES: (usize, usize) = (16, 64);

/// The segmenter's half of a bundle.
#[derive(Serialize, Deserialize)]
struct SegmenterHalf {
    data: Data,
    shape: segmentation::Shape,
    detect_threshold: f32,
    extent_threshold: f32,
    by_frame: Vec<f32>,
    agreement: f64,
    fwhm_arcsec: PerBand<f64>,
    seed: u64,
}

/// The classifier's half.
#[derive(Serialize, Deserialize)]
struct ClassifierHalf {
    data: Data,
    shape: classifier::Shape,
    calibration: Calibration,
    naming: Vec<f64>,
    objects: usize,
    seed: u64,
}

/// Which frames were learned from.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Data {
    images: Vec<String>,
    sha256: String,
}

/// Runs it.
///
/// # Errors
/// Frames that cannot be used, a training that diverged, a folder that cannot be written.
pub fn run(args: &TrainArgs) -> anyhow::Result<Exit> {
    let (TrainedNet::Segmenter(net) | TrainedNet::Classifier(net)) = &args.net;
    let config = net.config.load()?;
    let survey = Arc::new(super::survey(&config)?);
    let work = Work::new(&net.out)?;
    match &args.net {
        TrainedNet::Segmenter(_) => train_segmenter(net, &config, &survey, &work)?,
        TrainedNet::Classifier(_) => train_classifier(net, &config, &survey, &work)?,
    }
    work.complete(&survey, &net.out)?;
    Ok(Exit::Done)
}

fn train_segmenter(args: &TrainNetArgs, config: &Config, survey: &Arc<Survey>, work: &Work) -> anyhow::Result<()> {
    let mut filter = matched_filter(survey);
    let mut detector = classical(&mut filter);
    let (mut frames, mut fwhm) = (Vec::new(), Vec::new());
    let data = each_frame(args, config, survey, |index, prepared| {
        let found = sample::find(&prepared, survey, &mut detector)?;
        let (count, quality) = (found.footprints.objects.len(), found.quality);
        fwhm.push(quality.map(|q| q.fwhm_arcsec));
        let fwhm_px = quality[survey.reference()].effective_fwhm_px;
        frames.push(sample::training_frame(prepared, survey, fwhm_px, index));
        Ok(count)
    })?;
    let settings = segment::Settings { seed: args.seed, ..segment::Settings::default() };
    let bar = Bar::new();
    let trained = segment::train(&frames, survey.shape_bands(), &settings, &bar.run(&work.0))?;
    bar.0.finish_and_clear();
    let part = SegmenterPart { batch: BATCHES.0, probe: Vec::new(), shape: settings.shape.clone() };
    let mut net = TorchSegmenter::of(&trained.parameters, &part, &device(DeviceChoice::Cpu)?)?;
    let found = segment::thresholds(&mut net, &frames, OVERLAP_PX, FALSE_OBJECTS, MIN_AREA_PX)?;
    let half = SegmenterHalf {
        data,
        shape: settings.shape,
        detect_threshold: found.detect,
        extent_threshold: found.extent,
        by_frame: found.by_frame,
        agreement: trained.agreement,
        fwhm_arcsec: std::array::from_fn(|b| median(fwhm.iter().map(|f| f[b]).collect())),
        seed: args.seed,
    };
    println!(
        "segmenter: agrees with its teacher on {:.1} % of pixels; thresholds: extent {:.3}, detection {:.3}; by frame {:.2?}",
        100.0 * half.agreement,
        half.extent_threshold,
        half.detect_threshold,
        half.by_frame
    );
    work.save("segmenter", &half, &trained.parameters, &trained.curves)
}

fn train_classifier(args: &TrainNetArgs, config: &Config, survey: &Arc<Survey>, work: &Work) -> anyhow::Result<()> {
    let mut objects = classify::Objects::default();
    let mut learn = |detector: &mut Detector| {
        each_frame(args, config, survey, |index, prepared| {
            let found = sample::find(&prepared, survey, detector)?;
            sample::add_objects(&found, index, &mut objects);
            Ok(found.footprints.objects.len())
        })
    };
    let data = match work.load::<SegmenterHalf>("segmenter")? {
        Some((half, parameters)) => {
            let part = SegmenterPart { batch: BATCHES.0, probe: Vec::new(), shape: half.shape.clone() };
            let mut net = TorchSegmenter::of(&parameters, &part, &device(DeviceChoice::Cpu)?)?;
            let settings = extract_settings(half.detect_threshold, half.extent_threshold);
            let fallback_fwhm_arcsec = half.fwhm_arcsec;
            learn(&mut Detector { segmenter: &mut net, overlap_px: OVERLAP_PX, settings, fallback_fwhm_arcsec })?
        }
        None => learn(&mut classical(&mut matched_filter(survey)))?,
    };
    let settings = classify::Settings { seed: args.seed, ..classify::Settings::default() };
    let bar = Bar::new();
    let trained = classify::train(&objects, &settings, &bar.run(&work.0))?;
    bar.0.finish_and_clear();
    let half = ClassifierHalf {
        data,
        shape: settings.shape,
        calibration: trained.calibration,
        naming: trained.naming,
        objects: objects.stamps.len(),
        seed: args.seed,
    };
    println!(
        "classifier: {} objects; the star peak follows concentration with rank correlation {:.2?}",
        half.objects, half.naming
    );
    work.save("classifier", &half, &trained.parameters, &trained.curves)
}

/// Thresholds of the bundle in work with the usual bounds.
fn extract_settings(detect_threshold: f32, extent_threshold: f32) -> Extract {
    Extract {
        detect_threshold,
        extent_threshold,
        min_area_px: MIN_AREA_PX,
        deblend_sigma: 3.0,
        deblend_ratio: 0.05,
        max_children: 10_000,
        max_component_px: 3_000_000,
    }
}

/// What scores pixels while there is no net.
pub(super) fn matched_filter(survey: &Survey) -> ThresholdSegmenter {
    ThresholdSegmenter::new(survey, USUAL_FWHM_ARCSEC / survey.profile().pixel_scale_arcsec)
}

/// What finds objects while there is no net.
pub(super) fn classical(filter: &mut ThresholdSegmenter) -> Detector<'_> {
    let settings = extract_settings(ThresholdSegmenter::DETECT_SIGMA, ThresholdSegmenter::DETECT_SIGMA);
    Detector { segmenter: filter, overlap_px: OVERLAP_PX, settings, fallback_fwhm_arcsec: [USUAL_FWHM_ARCSEC; BANDS] }
}

/// Reads and prepares one frame after another for `take`, which says how many objects it found. A frame that cannot be
/// used is told and passed over.
fn each_frame(
    args: &TrainNetArgs,
    config: &Config,
    survey: &Arc<Survey>,
    mut take: impl FnMut(u64, Prepared) -> anyhow::Result<usize>,
) -> anyhow::Result<Data> {
    let mut source = FileList::new(&args.frames, survey.clone(), loader(config, survey));
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
        let prepared = match prepare(frame, survey, &preprocess::Settings::default()) {
            Ok(prepared) => prepared,
            Err(error) => {
                eprintln!("{}: passed over: {error}", arrival.image_id);
                continue;
            }
        };
        println!("{}: {} objects found", arrival.image_id, take(images.len() as u64, prepared)?);
        hash.update(input_hash);
        images.push(arrival.image_id.to_string());
    }
    ensure!(!images.is_empty(), "no usable frame in {:?}", args.frames);
    Ok(Data { images, sha256: hash.finalize().iter().map(|b| format!("{b:02x}")).collect() })
}

/// `<out>.work/`: checkpoints, finished halves, loss curves.
struct Work(PathBuf);

impl Work {
    fn new(out: &Path) -> anyhow::Result<Self> {
        let mut folder = out.as_os_str().to_owned();
        folder.push(".work");
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display())).context(Fault::Output)?;
        Ok(Self(folder))
    }

    fn save(&self, name: &str, half: &impl Serialize, parameters: &Parameters, curves: &[Curve]) -> anyhow::Result<()> {
        let losses = loss_chart(name, curves)?;
        let write = |ending: &str, bytes: &[u8]| {
            let (path, aside) = (self.0.join(format!("{name}.{ending}")), self.0.join(format!(".{name}.{ending}")));
            fs::write(&aside, bytes)
                .and_then(|()| fs::rename(&aside, &path))
                .with_context(|| path.display().to_string())
        };
        write("loss.png", &losses)?;
        write("safetensors", &parameters.to_safetensors(None)?)?;
        write("toml", toml::to_string(half)?.as_bytes())?;
        println!("{name}: loss curves in {}", self.0.join(format!("{name}.loss.png")).display());
        Ok(())
    }

    fn load<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<(T, Parameters)>> {
        let path = self.0.join(format!("{name}.toml"));
        if !path.exists() {
            return Ok(None);
        }
        let half = toml::from_str(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
        let weights = fs::read(self.0.join(format!("{name}.safetensors")))?;
        Ok(Some((half, Parameters::from_safetensors(&weights)?)))
    }

    /// Puts both halves together, or says what is missing.
    fn complete(&self, survey: &Survey, out: &Path) -> anyhow::Result<()> {
        let (segmenter, classifier) =
            (self.load::<SegmenterHalf>("segmenter")?, self.load::<ClassifierHalf>("classifier")?);
        let (Some((s, s_weights)), Some((c, c_weights))) = (segmenter, classifier) else {
            println!(
                "half of the bundle is done; train the other half with the same --out to complete {}",
                out.display()
            );
            return Ok(());
        };
        let bundle = with_probes(Bundle::new(manifest(survey, s, c), s_weights, c_weights)?)?;
        bundle.save(out).context(Fault::Output)?;
        println!("bundle {} written to {}", bundle.manifest().version, out.display());
        Ok(())
    }
}

/// The bundle with the answers that its nets give to a probe on the processor: a device that answers otherwise is
/// not trusted.
fn with_probes(bundle: Bundle) -> anyhow::Result<Bundle> {
    let cpu = device(DeviceChoice::Cpu)?;
    let mut manifest = bundle.manifest().clone();
    manifest.segmenter.probe = TorchSegmenter::new(&bundle, &cpu)?.probe_answers()?;
    manifest.classifier.probe = TorchClassifier::new(&bundle, &cpu)?.probe_answers()?;
    Ok(Bundle::new(manifest, bundle.segmenter().clone(), bundle.classifier().clone())?)
}

fn manifest(survey: &Survey, s: SegmenterHalf, c: ClassifierHalf) -> Manifest {
    let profile = survey.profile();
    let images = |data: &Data| format!("{} frames without labels: {}", data.images.len(), data.images.join(" "));
    let data = if s.data == c.data {
        images(&s.data)
    } else {
        format!("segmenter: {}; classifier: {}", images(&s.data), images(&c.data))
    };
    let weakest = c.naming.iter().map(|correlation| correlation.abs()).fold(f64::INFINITY, f64::min);
    Manifest {
        format: FORMAT,
        version: format!("{}-{}", profile.name, env!("CARGO_PKG_VERSION")),
        survey: profile.name.clone(),
        bands: profile.bands.to_vec(),
        files: Default::default(),
        segmenter: SegmenterPart { batch: BATCHES.0, probe: Vec::new(), shape: s.shape },
        classifier: ClassifierPart { batch: BATCHES.1, probe: Vec::new(), shape: c.shape },
        training: Training {
            data,
            data_sha256: c.data.sha256,
            segmenter_seed: s.seed,
            classifier_seed: c.seed,
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        figures: [
            ("head_agreement_with_teacher".to_owned(), s.agreement),
            ("training_objects".to_owned(), c.objects as f64),
            ("weakest_naming_correlation".to_owned(), weakest),
        ]
        .into(),
        recipe: Recipe {
            preprocess: preprocess::Settings::default(),
            tile_overlap_px: OVERLAP_PX,
            extract: extract_settings(s.detect_threshold, s.extent_threshold),
            fallback_fwhm_arcsec: s.fwhm_arcsec,
            calibration: c.calibration,
        },
    }
}

fn loss_chart(name: &str, curves: &[Curve]) -> anyhow::Result<Vec<u8>> {
    let series = curves.iter().map(|c| {
        let points =
            c.smoothed().iter().enumerate().map(|(step, loss)| (step as f64 + 1.0, f64::from(*loss))).collect();
        Series { name: c.net.clone(), points, style: Style::Line }
    });
    let chart_of = Chart {
        title: format!("{name}: training loss"),
        x: Axis::named("step"),
        y: Axis::named("loss, smoothed"),
        series: series.collect(),
        legend: Corner::UpperRight,
    };
    Ok(chart(&chart_of)?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(USUAL_FWHM_ARCSEC)
}

/// Progress of a training: a bar on a terminal, nothing otherwise.
struct Bar(ProgressBar, Box<dyn Fn(Progress) + Sync>);

impl Bar {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{msg:24} {bar:40} {pos}/{len} steps, {eta} left");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let shown = bar.clone();
        let update = move |p: Progress| {
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
