//! From a configuration to the parts that `process` and `run` put together: what both share, so that they cannot
//! differ.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use rayon::prelude::*;
use tracing::Level;

use crate::exit::Fault;
pub use crate::survey_file::survey_of;
use crate::{Config, DeviceChoice, LogFormat, LogLevel, SegmenterKind};
use twinpeak_cfitsio::decoder::{DecodeError, Decoder};
use twinpeak_core::drift::Expected;
use twinpeak_core::extract::Parting;
use twinpeak_core::model::Segmenter;
use twinpeak_core::outcome::{ModelIdentity, Requests};
use twinpeak_core::survey::Survey;
use twinpeak_core::threshold::ThresholdSegmenter;
use twinpeak_engine::ports::PortError;
use twinpeak_engine::{Device, EngineError, Limits, Models, Summary};
use twinpeak_formats::avro::{AvroEncoder, Framing};
use twinpeak_formats::fits::{self, ForeignDecoder, ForeignError};
use twinpeak_nets::bundle::Bundle;
use twinpeak_nets::device::{Chosen, Wanted, choose};
use twinpeak_nets::infer::{TorchClassifier, TorchSegmenter};
use twinpeak_store::{
    CatalogAvro, DirectorySink, Encoders, Fields, FileList, HeaderReader, Ledger, Loader, ModelName, StoreError,
};
use twinpeak_telemetry::log::{self, Lines};

/// Starts the log as configured; with a progress bar, lines go above it.
pub fn start_log(config: &Config, bar: Option<ProgressBar>) {
    let lines = match config.log.format {
        LogFormat::Auto if io::stderr().is_terminal() => Lines::Human,
        LogFormat::Human => Lines::Human,
        LogFormat::Auto | LogFormat::Json => Lines::Json,
    };
    let level = match config.log.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    log::start(lines, level, bar);
}

/// All that the engine needs, made from a configuration.
pub struct Assembly {
    /// Survey, recipe and identity of the bundle.
    pub models: Models,
    /// The nets, one set a thread.
    pub devices: Vec<Device>,
    /// Device that was chosen, and why.
    pub chosen: Chosen,
    /// What frames should be like, where the bundle says it.
    pub expected: Option<Expected>,
}

/// Loads the survey and the bundle, and puts the nets on the device.
///
/// # Errors
/// With the [`Fault`] that says whose it is.
pub fn assemble(config: &Config) -> anyhow::Result<Assembly> {
    let survey = Arc::new(survey(config)?);
    let bundle = bundle(config, &survey)?;
    let chosen = device(config.device.choice)?;
    tracing::info!(device = chosen.name, reason = chosen.reason, "device selected");
    let mut recipe = bundle.manifest().recipe.clone();
    recipe.extract.max_children = config.pipeline.deblend_max_children.get();
    recipe.extract.max_component_px = config.pipeline.deblend_max_component_px.get();
    if config.model.segmenter == SegmenterKind::Threshold {
        // The filter's scores are in sigma: its own thresholds, not the net's.
        recipe =
            recipe.with_scores(ThresholdSegmenter::false_rate(), ThresholdSegmenter::DETECT_SIGMA, Parting::BRIGHTNESS);
    }
    recipe.false_per_field = config.detection.false_per_field.get();
    let devices = (0..device_threads(config, &chosen))
        .into_par_iter()
        .map(|_| nets(config, &survey, &bundle, &chosen))
        .collect::<anyhow::Result<_>>()?;
    let identity = ModelIdentity { version: bundle.manifest().version.clone(), hash: bundle.hash().to_owned() };
    let requests = Requests { psf: config.output.psf, residual: config.output.residual };
    let reference = config.reference.load(&survey).context(Fault::Config)?;
    let models = Models { survey, recipe, identity, device: chosen.name.clone(), reference, requests };
    Ok(Assembly { models, devices, chosen, expected: bundle.manifest().expected.clone() })
}

/// The survey that the configuration names.
///
/// # Errors
/// With [`Fault::Config`], naming the file.
pub fn survey(config: &Config) -> anyhow::Result<Survey> {
    survey_of(&config.survey.file)
}

/// The bundle that the configuration names, checked for the survey.
///
/// # Errors
/// With [`Fault::Model`].
pub fn bundle(config: &Config, survey: &Survey) -> anyhow::Result<Bundle> {
    let profile = survey.profile();
    let loaded = Bundle::load(&config.model.bundle, &profile.name, &profile.bands.planes);
    loaded.with_context(|| format!("model.bundle {}", config.model.bundle.display())).context(Fault::Model)
}

/// The device that a choice comes to.
///
/// # Errors
/// With [`Fault::Device`].
pub fn device(choice: DeviceChoice) -> anyhow::Result<Chosen> {
    choose(match choice {
        DeviceChoice::Auto => Wanted::Auto,
        DeviceChoice::Cpu => Wanted::Cpu,
        DeviceChoice::Cuda(index) => Wanted::Cuda(index),
    })
    .context(Fault::Device)
}

/// How many threads own nets: as configured, or one a core of a processor, one for a GPU.
pub fn device_threads(config: &Config, chosen: &Chosen) -> usize {
    match config.pipeline.device_threads {
        0 if chosen.is_cpu() => available_parallelism().map_or(1, usize::from),
        0 => 1,
        threads => threads,
    }
}

/// One device thread's nets; making them runs a real inference on each, so they are made side by side.
fn nets(config: &Config, survey: &Survey, bundle: &Bundle, chosen: &Chosen) -> anyhow::Result<Device> {
    let segmenter: Box<dyn Segmenter> = match config.model.segmenter {
        SegmenterKind::Net => Box::new(TorchSegmenter::new(bundle, chosen).context(Fault::Device)?),
        SegmenterKind::Threshold => {
            let profile = survey.profile();
            let fwhm = &bundle.manifest().recipe.fallback_fwhm_arcsec;
            Box::new(ThresholdSegmenter::new(survey, fwhm[survey.reference()] / profile.pixel_scale_arcsec))
        }
    };
    let classifier = Box::new(TorchClassifier::new(bundle, chosen).context(Fault::Device)?);
    Ok(Device { name: chosen.name.clone(), segmenter, classifier })
}

/// How much one file may ask of us.
pub fn fits_limits(config: &Config) -> fits::Limits {
    fits::Limits {
        max_file_bytes: config.input.max_file_bytes.get() as u64,
        max_unpacked_bytes: config.input.max_unpacked_bytes.get() as u64,
        max_pixels: config.input.max_pixels.get() as u64,
    }
}

/// How files are read: under the configured limits, and with a child of this program for foreign codings.
pub fn fits_reader(config: &Config) -> fits::Reader {
    fits::Reader { limits: fits_limits(config), foreign: Some(Arc::new(DecoderProcess(Decoder::this_program()))) }
}

/// Decodes foreign codings in a process of its own for each image.
pub struct DecoderProcess(pub Decoder);

impl ForeignDecoder for DecoderProcess {
    fn decode(&self, file: &[u8], hdu: usize, size: [usize; 2]) -> Result<Vec<f32>, ForeignError> {
        self.0.decode(file, hdu, size).map_err(|error| match error {
            DecodeError::Refused(_) => ForeignError::Damaged(error.to_string()),
            DecodeError::Broken(_) => ForeignError::Undecodable(error.to_string()),
            DecodeError::Unavailable(_) => ForeignError::Unavailable(error.to_string()),
        })
    }
}

/// How frames are read: from files, by the reader of the configuration.
pub fn loader(config: &Config, survey: &Arc<Survey>) -> Loader {
    let (reader, survey) = (fits_reader(config), survey.clone());
    Arc::new(move |image, files| fits::load(&survey, image, files, &reader))
}

/// How a file's headers are asked of which field it is, under the configured limits.
pub fn headers(config: &Config, survey: &Arc<Survey>) -> HeaderReader {
    let (limits, survey) = (fits_limits(config), survey.clone());
    Arc::new(move |file| fits::sightings(&survey, file, &limits))
}

/// The fields that files and folders hold, grouped as the survey says; `tables` are tables of fields of any name.
pub fn fields(config: &Config, survey: &Arc<Survey>, paths: &[PathBuf], tables: &[PathBuf]) -> Fields {
    Fields::new(paths, tables, survey.clone(), &headers(config, survey))
}

/// The same as a source of frames.
pub fn file_list(config: &Config, survey: &Arc<Survey>, paths: &[PathBuf]) -> FileList {
    FileList::new(fields(config, survey, paths, &[]), loader(config, survey))
}

/// The folder of results.
///
/// # Errors
/// With [`Fault::Output`].
pub fn ledger(config: &Config) -> anyhow::Result<Ledger> {
    Ledger::open(&config.output.dir).context(Fault::Output)
}

/// Where results go.
///
/// # Errors
/// With [`Fault::Config`] where the survey's names make no Avro schema and Avro is wanted.
pub fn sink(config: &Config, ledger: Ledger, models: &Models) -> anyhow::Result<DirectorySink> {
    let catalog_avro = if config.output.avro { Some(catalog_avro(&models.survey)?) } else { None };
    let name = ModelName { version: models.identity.version.clone(), hash: models.identity.hash.clone() };
    let encoders = Encoders {
        catalog_table: Box::new(|catalog, columns, survey, quality| {
            fits::catalog_table(catalog, columns, survey, quality).map_err(Into::into)
        }),
        masks: Box::new(|products| fits::masks(products).map_err(Into::into)),
        scene: Box::new(|products, images| fits::scene_images(products, images).map_err(Into::into)),
        psf: Box::new(|products, psf, b| {
            fits::psfex(psf, b, &products.quality[b], &products.catalog.provenance).map_err(Into::into)
        }),
        catalog_avro,
    };
    Ok(DirectorySink::new(ledger, (*models.survey).clone(), name, encoders))
}

fn catalog_avro(survey: &Survey) -> anyhow::Result<CatalogAvro> {
    let wire = AvroEncoder::new(survey, Framing::SingleObject).context("output.avro").context(Fault::Config)?;
    Ok(Box::new(move |catalog| wire.container(catalog).map_err(Into::into)))
}

/// Bounds of the engine's queues and threads, from `[pipeline]` and `[http]`.
pub fn limits(config: &Config) -> Limits {
    Limits {
        frames_in_flight: config.pipeline.frames_in_flight.get(),
        workers: config.pipeline.prepare_workers.get(),
        idle_probe: config.http.inference_within_s.duration() / 3,
        ..Limits::default()
    }
}

/// The engine's end, with the fault behind a failure. A source may fail on the folder of results `out` too: that
/// is where it notes what it has begun.
///
/// # Errors
/// What ended the engine early.
pub fn ended(result: Result<Summary, EngineError>, out: &Path) -> anyhow::Result<Summary> {
    result.or_else(|error| {
        let fault = match &error {
            EngineError::Device(_) => Fault::Device,
            EngineError::Sink(_) => Fault::Output,
            EngineError::Source(source) if concerns(source, out) => Fault::Output,
            EngineError::Source(_) | EngineError::Died(_) => bail!(error),
        };
        Err(anyhow::Error::new(error).context(fault))
    })
}

fn concerns(error: &PortError, folder: &Path) -> bool {
    let (PortError::Retry(cause) | PortError::EndSession(cause) | PortError::Fatal(cause)) = error else {
        return false;
    };
    cause.downcast_ref::<StoreError>().is_some_and(|e| e.path().is_some_and(|p| p.starts_with(folder)))
}
