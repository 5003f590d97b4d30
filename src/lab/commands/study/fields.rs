//! Whole frames for the study of segmenters: simulated anew from their seeds, or read from a folder; with what is true
//! of those on which objects are looked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::commands::dataset::field_source::{self, FieldSource};
use crate::dataset::Part;
use crate::study::StudyDataset;
use crate::study::segmentation::{Field, Fields, Known};
use twinpeak_config::Config;
use twinpeak_config::assemble::{fields as fields_of, loader};
use twinpeak_core::files::BandFiles;
use twinpeak_core::frame::Frame;
use twinpeak_core::hex::hex;
use twinpeak_core::preprocess::{Prepared, prepare};
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;
use twinpeak_learn::sample::{self, ObjectFinder};
use twinpeak_learn::segment::TrainingFrame;
use twinpeak_learn::segment::injection::Library;
use twinpeak_sim::evaluate::{forced, truth_files};
use twinpeak_sim::{IGNORED, Spec, Truth};

/// A sky's frames: to learn from, and to be scored on.
pub(super) struct Frames {
    /// Frames that the nets learn from.
    pub training: Vec<TrainingFrame>,
    /// Where objects are looked for.
    pub fields: Vec<Field>,
    /// What is true of each of these.
    pub known: Vec<Known>,
}

/// Tells these frames from any others; `None` where they are not there.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn sha256(fields: &Fields, survey: &Arc<Survey>) -> anyhow::Result<Option<String>> {
    let mut hash = Sha256::new();
    match fields {
        // A simulated field is a function of these and of the program.
        Fields::Simulated { .. } => hash.update(format!("{fields:?} {}", env!("CARGO_PKG_VERSION"))),
        Fields::Frames { folder, test } => {
            if !folder.exists() {
                return Ok(None);
            }
            hash.update(test.join(" "));
            for (image, files) in fields_of(&Config::default(), survey, &folders(folder)?, &[]) {
                hash.update(image.as_str());
                for place in files.iter().flatten().flatten().flat_map(BandFiles::places) {
                    let path = &place.file;
                    hash.update(Sha256::digest(fs::read(path).with_context(|| path.display().to_string())?));
                }
            }
        }
    }
    Ok(Some(hex(&hash.finalize())))
}

/// The folders in a folder, or itself where there are none.
fn folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let named = || folder.display().to_string();
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).with_context(named)? {
        let path = entry.with_context(named)?.path();
        if path.is_dir() {
            all.push(path);
        }
    }
    all.sort();
    Ok(if all.is_empty() { vec![folder.to_owned()] } else { all })
}

/// The files of an image in a folder.
///
/// # Errors
/// Where they are not all there.
pub(super) fn files(folder: &Path, image: &str, survey: &Arc<Survey>) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = fields_of(&Config::default(), survey, &folders(folder)?, &[]);
    let (_, files) = all.find(|(id, _)| id.as_str() == image).with_context(|| format!("{image} is not there"))?;
    let files = files.map_err(|rejection| anyhow!("{image}: {rejection}"))?;
    Ok(files.iter().flatten().flat_map(BandFiles::places).map(|place| place.file.clone()).collect())
}

/// Reads or makes a sky's frames.
///
/// # Errors
/// Frames that cannot be read or prepared, a truth that is not there.
pub(super) fn load(sky: &StudyDataset, fields: &Fields, survey: &Arc<Survey>) -> anyhow::Result<Frames> {
    match fields {
        Fields::Simulated { seed, width, height, training, test } => {
            let spec = Spec { width: *width, height: *height, ..Spec::of(survey) };
            let source = FieldSource::simulated(*seed, spec, survey)?;
            let made = |part, number| source.field(part, number)?.context("the simulator gave no field");
            let training = (0..*training)
                .into_par_iter()
                .map(|i| Ready::new(made(Part::Train, i)?.frame, survey)?.taught(survey, i as u64))
                .collect::<anyhow::Result<_>>()?;
            let both = |i| {
                let field_source::Field { frame, truth } = made(Part::Test, i)?;
                let known = simulated(truth.context("the simulator told no truth")?, survey);
                Ok((Ready::new(frame, survey)?.field(survey, i as u64), known))
            };
            let (fields, known) =
                (0..*test).into_par_iter().map(both).collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
            Ok(Frames { training, fields, known })
        }
        Fields::Frames { folder, test } => from_files(sky, folder, test, survey),
    }
}

fn from_files(sky: &StudyDataset, folder: &Path, test: &[String], survey: &Arc<Survey>) -> anyhow::Result<Frames> {
    let catalogs = sky.catalogs.as_deref().context("frames from files need catalogues: the sky has none")?;
    let load = loader(&Config::default(), survey);
    let images: Vec<_> = fields_of(&Config::default(), survey, &folders(folder)?, &[]).collect();
    let ready =
        |(image, files): &(twinpeak_core::frame::ImageId, Result<_, Box<twinpeak_core::outcome::Rejection>>)| {
            let frame = files.as_ref().map_err(|r| (**r).clone()).and_then(|files| load(image, files));
            Ready::new(frame.map_err(|rejection| anyhow!("{image}: {rejection}"))?, survey)
        };
    let (tested, learned): (Vec<_>, Vec<_>) =
        images.iter().partition(|(image, _)| test.iter().any(|t| t == image.as_str()));
    ensure!(tested.len() == test.len(), "{}: not all of {test:?} are there", folder.display());
    let training = (learned.into_par_iter().enumerate())
        .map(|(i, image)| ready(image)?.taught(survey, i as u64))
        .collect::<anyhow::Result<_>>()?;
    let both = |(i, image): (usize, &_)| {
        let ready: Ready = ready(image)?;
        let known = listed(&catalogs.join(image.0.as_str()), &ready.prepared, survey)?;
        Ok((ready.field(survey, i as u64), known))
    };
    let pairs = tested.into_iter().enumerate().map(both).collect::<anyhow::Result<Vec<_>>>()?;
    let (fields, known) = pairs.into_iter().unzip();
    Ok(Frames { training, fields, known })
}

/// A frame, and what sources look like on it.
struct Ready {
    prepared: Prepared,
    sources: Library,
}

impl Ready {
    /// Prepares a frame; its PSF is measured on what a matched filter finds.
    fn new(frame: Frame, survey: &Survey) -> anyhow::Result<Self> {
        let (image, recipe) = (frame.id.to_string(), Recipe::for_survey(survey));
        let prepared = prepare(frame, survey, &recipe.preprocess).context(image)?;
        let mut filter = sample::matched_filter(survey);
        let found = sample::find(&prepared, survey, &mut ObjectFinder { segmenter: &mut filter, recipe: &recipe })?;
        let sources = Library::of(&found);
        Ok(Self { prepared, sources })
    }

    fn taught(self, survey: &Survey, seed: u64) -> anyhow::Result<TrainingFrame> {
        Ok(sample::training_frame(self.prepared, survey, self.sources, seed))
    }

    fn field(self, survey: &Survey, seed: u64) -> Field {
        Field::new(self.prepared, survey, self.sources.fwhm_px, seed)
    }
}

fn simulated(truth: Truth, survey: &Survey) -> Known {
    let reference = survey.reference();
    let object = |o: &twinpeak_sim::SimulatedObject| twinpeak_sim::evaluate::TrueObject {
        x: o.x,
        y: o.y,
        star: o.class.is_point(),
        mag: Some(o.mag[reference]),
    };
    let objects = truth.objects.iter().map(object).collect();
    Known { objects, complete: true, pixels: Some(truth.segmentation), ignored: IGNORED }
}

/// A catalogue's objects; where it has no magnitudes they are measured at its positions.
fn listed(stem: &Path, prepared: &Prepared, survey: &Survey) -> anyhow::Result<Known> {
    let mut objects = truth_files::read(stem, survey.band(survey.reference()))?;
    let at: Vec<_> = objects.iter().map(|o| (o.x, o.y)).collect();
    for (object, mag) in objects.iter_mut().zip(forced::on(prepared, survey, &at)) {
        object.mag = object.mag.or(mag);
    }
    Ok(Known { objects, complete: false, pixels: None, ignored: IGNORED })
}
