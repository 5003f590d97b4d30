//! One segmenter, one seed: from frames without truth to a score of each pixel.

use std::path::PathBuf;
use std::time::Instant;

use super::plan::{Finder, Grouping, Hypercolumn, Image, SegmenterRow};
use crate::LabError;
use crate::clusters::{self, ClusterSettings, Clustered};
use twinpeak_core::detections::detection_weights;
use twinpeak_core::extract::Parting;
use twinpeak_core::extract::calibrate::noise_only;
use twinpeak_core::filter::{Edge, Gaussian, detection_image, matched_filter, weighted_sum};
use twinpeak_core::frame::{PerBand, Plane};
use twinpeak_core::model::{ModelError, Segmenter};
use twinpeak_core::preprocess::Prepared;
use twinpeak_core::scores;
use twinpeak_core::survey::Survey;
use twinpeak_core::threshold::FILTER_PER_PSF;
use twinpeak_learn::segment::{self, TileSampler, TrainingFrame, injection, score_frame};
use twinpeak_learn::{LearnError, MissingBands, Progress, Run};
use twinpeak_nets::bundle::{Bundle, SegmenterPart};
use twinpeak_nets::device::{DeviceError, Wanted, choose};
use twinpeak_nets::infer::TorchSegmenter;
use twinpeak_nets::parameters::Parameters;
use twinpeak_nets::segmentation::{Gives, Level};

/// Tiles that go through a net together.
const BATCH: usize = 16;
/// Principal components in which hypercolumns are clustered, and pixels that clusters are fitted to.
const COMPONENTS: usize = 16;
const PIXELS: usize = 8000;
/// Training frames on which the extent threshold is measured, at most.
const EXTENT_FRAMES: usize = 2;

/// A field in which objects are looked for.
pub struct Field {
    /// The prepared frame.
    pub prepared: Prepared,
    /// The field with noise in place of its objects: what is found on it is false.
    pub noise: PerBand<Plane<f32>>,
    /// Image on which blended objects are parted.
    pub detection: Plane<f32>,
    /// Weights of the bands' sum.
    pub weights: PerBand<f32>,
    /// Effective width of the reference band's PSF, px.
    pub fwhm_px: f64,
}

impl Field {
    /// Of a prepared frame whose reference band has this PSF; `seed` is that of the noise in place of objects.
    pub fn new(prepared: Prepared, survey: &Survey, fwhm_px: f64, seed: u64) -> Self {
        let weights = detection_weights(&prepared, survey);
        let noise = noise_only(&prepared.registered, &prepared.occupied, seed);
        let detection = detection_image(&prepared.registered, &weights);
        Self { prepared, noise, detection, weights, fwhm_px }
    }

    /// Share of the field's pixels that are real sky in `noise`, 0..1.
    pub fn sky_share(&self) -> f64 {
        let occupied = self.prepared.occupied.pixels();
        occupied.iter().filter(|o| !**o).count() as f64 / occupied.len().max(1) as f64
    }
}

/// A sky's frames, without truth.
pub struct SegmentationContext<'a> {
    /// Tells these frames from others.
    pub sha256: String,
    /// The survey of the frames.
    pub survey: &'a Survey,
    /// Frames that the nets learn from.
    pub training: Vec<TrainingFrame>,
    /// Where objects are looked for.
    pub fields: Vec<Field>,
    /// The bundle of shipped nets.
    pub bundle: &'a Bundle,
    /// Folder in which trained nets are kept.
    pub work: PathBuf,
}

/// What a segmenter says of a field.
pub struct FieldScores {
    /// Scores of each pixel of the field.
    pub field: scores::Scores,
    /// Of centres, of the field without objects.
    pub noise: Plane<f32>,
}

/// What a segmenter says of all fields, and what its training took.
pub struct Scores {
    /// Scores of each field, in the context's order.
    pub fields: Vec<FieldScores>,
    /// The threshold above which pixels are an object's, where it is another than that of detection.
    pub extent: Option<f32>,
    /// By what objects that touch are told apart.
    pub parting: Parting,
    /// The thresholds that it comes with, of detection and extent.
    pub own: Option<(f32, f32)>,
    /// Time of training, s.
    pub training_s: f64,
}

/// Why a segmenter gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A training, or clusters that cannot be found.
    #[error(transparent)]
    Training(#[from] LabError),
    /// The nets do not run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device that was asked for is not there.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The plan names a net that it does not have.
    #[error("{segmenter:?} builds on no net of the plan")]
    NoNet {
        /// Name of the segmenter in the plan.
        segmenter: String,
    },
    /// A score that is the same everywhere has no threshold.
    #[error("the score of a field without objects has no spread: no threshold can be found")]
    NoSpread,
    /// A program of others that is not on this machine, or does not do what it should.
    #[error("{program}: {problem}")]
    Program {
        /// Name of the program.
        program: &'static str,
        /// What is wrong with it, in words.
        problem: String,
    },
}

impl From<LearnError> for SegmentError {
    fn from(error: LearnError) -> Self {
        Self::Training(error.into())
    }
}

impl SegmentationContext<'_> {
    pub(super) fn tiles(&self) -> Result<TileSampler<'_>, LearnError> {
        TileSampler::new(&self.training, self.survey.shape_bands())
    }

    /// Overlap of tiles, px: the bundle's.
    pub fn overlap_px(&self) -> usize {
        self.bundle.manifest().recipe.tile_overlap_px
    }

    /// The scores of a whole-frame rule.
    fn by(&self, rule: impl Fn(&Field, &PerBand<Plane<f32>>) -> Plane<f32>) -> Scores {
        let both = |f: &Field| FieldScores {
            field: scores::Scores::same(rule(f, &f.prepared.registered)),
            noise: rule(f, &f.noise),
        };
        let fields = self.fields.iter().map(both).collect();
        Scores { fields, extent: None, parting: Parting::BRIGHTNESS, own: None, training_s: 0.0 }
    }

    /// The scores of a net.
    fn through(&self, net: &mut dyn Segmenter) -> Result<Vec<FieldScores>, ModelError> {
        let mut score = |planes: &PerBand<Plane<f32>>| score_frame(net, planes, self.overlap_px());
        let both =
            |f: &Field| Ok(FieldScores { field: score(&f.prepared.registered)?, noise: score(&f.noise)?.centre });
        self.fields.iter().map(both).collect()
    }
}

/// Runs a segmenter; `net` is the one that it builds on.
///
/// # Errors
/// [`SegmentError`]
pub fn scores(
    context: &SegmentationContext,
    segmenter: &SegmenterRow,
    net: Option<&Hypercolumn>,
    seed: u64,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Scores, SegmentError> {
    let survey = context.survey;
    match &segmenter.how {
        Finder::SextractorRule { on } => {
            let (reference, shape) = ([survey.reference()], survey.shape_bands());
            let bands = match on {
                Image::Reference => &reference[..],
                Image::ShapeSum => &shape[..],
            };
            Ok(context.by(|field, planes| {
                let sigma = field.prepared.sky.map(|s| f64::from(s.sigma_nmgy));
                let sum = weighted_sum(planes, &survey.detection_weights(&sigma, bands));
                Gaussian::pyramid().blur(&sum, Edge::Reflect)
            }))
        }
        Finder::Sextractor => {
            Err(SegmentError::Program { program: "SExtractor", problem: "it gives no score of a pixel".to_owned() })
        }
        Finder::MatchedFilter => Ok(context
            .by(|field, planes| matched_filter(&weighted_sum(planes, &field.weights), FILTER_PER_PSF * field.fwhm_px))),
        Finder::Shipped => {
            let extract = &context.bundle.manifest().recipe.extract;
            let mut net = TorchSegmenter::new(context.bundle, &choose(Wanted::Cpu)?)?;
            Ok(Scores {
                fields: context.through(&mut net)?,
                extent: Some(extract.extent_threshold),
                parting: extract.parting,
                own: Some((extract.detect_threshold, extract.extent_threshold)),
                training_s: 0.0,
            })
        }
        Finder::Injection => {
            let start = Instant::now();
            let settings = injection::Settings { seed, ..injection::Settings::default() };
            let run = Run { work_dir: None, checkpoint_steps: usize::MAX, progress };
            let (frames, bands) = (&context.training, survey.shape_bands());
            let trained = injection::train(frames, bands, &MissingBands::none(), &settings, &run)?;
            let training_s = start.elapsed().as_secs_f64();
            let part =
                SegmenterPart { batch: BATCH, probe: Vec::new(), gives: Gives::CentreAndExtent, shape: settings.shape };
            let mut net = TorchSegmenter::of(&trained.parameters, &part, &choose(Wanted::Cpu)?)?;
            let fields = context.through(&mut net)?;
            Ok(Scores { fields, extent: Some(0.0), parting: Parting::CENTRES, own: None, training_s })
        }
        Finder::Hypercolumns { step, levels, .. } => {
            let net = net.ok_or_else(|| SegmentError::NoNet { segmenter: segmenter.name.clone() })?;
            let learned = context.learned(net, seed, progress)?;
            let start = Instant::now();
            let mut found = port(context, &learned.autoencoder, net, *step, levels.as_deref(), seed, progress)?;
            let measured = &context.training[..EXTENT_FRAMES.min(context.training.len())];
            let extent = segment::extent_threshold(&mut *found, measured, context.overlap_px())?;
            let training_s = learned.training_s + start.elapsed().as_secs_f64();
            let fields = context.through(&mut *found)?;
            let parting = Parting::BRIGHTNESS;
            Ok(Scores { fields, extent: Some(extent), parting, own: Some((0.0, 0.0)), training_s })
        }
    }
}

/// What scores pixels by a trained net's hypercolumns.
fn port(
    context: &SegmentationContext,
    autoencoder: &Parameters,
    net: &Hypercolumn,
    step: Grouping,
    levels: Option<&[Level]>,
    seed: u64,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Box<dyn Segmenter>, SegmentError> {
    let tiles = context.tiles()?;
    let shape = &net.net.shape;
    let Some(rule) = step.rule() else {
        let levels = levels.unwrap_or(&net.net.levels).to_vec();
        let settings = segment::Settings { seed, levels, ..net.net.training() };
        let run = Run { work_dir: None, checkpoint_steps: usize::MAX, progress };
        let mut parameters = autoencoder.clone();
        parameters.0.extend(segment::train_head(&tiles, autoencoder, &settings, &run)?.0.0);
        let part = SegmenterPart { batch: BATCH, probe: Vec::new(), gives: Gives::Score, shape: shape.clone() };
        return Ok(Box::new(TorchSegmenter::of(&parameters, &part, &choose(Wanted::Cpu)?)?));
    };
    let settings = ClusterSettings { rule, components: COMPONENTS, pixels: PIXELS, seed };
    let clusters = clusters::fit(&tiles, autoencoder, shape, &settings)?;
    Ok(Box::new(Clustered::new(autoencoder, shape, clusters, BATCH)?))
}
