//! Latents, kept: many methods build on the same encoder, and it is trained once a seed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use sha2::{Digest, Sha256};

use super::Encoder;
use super::context::StudyContext;
use super::table::slug;
use crate::dataset::{Input, Part, stamp};
use crate::whole::{self, CutoutView, Distance, Encoded, Streamed};
use crate::{LabError, residual};
use twinpeak_core::atomic_write::atomic_write;
use twinpeak_core::hex::hex;
use twinpeak_learn::classify::{self, TrainedClassifier};
use twinpeak_learn::{Curve, LearnError, Progress, Run};
use twinpeak_nets::parameters::{Array, ParameterError, Parameters};

/// CutoutView encoded at a time.
const ENCODED_BATCH: usize = 256;
/// Steps of training between checkpoints.
const CHECKPOINT_STEPS: usize = 100;

/// A trained encoder, and what it makes of the objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// The encoder's numbers; none of the residuals' one.
    pub encoder: Parameters,
    /// Latents of the training objects, then of the test objects.
    pub latents: [Encoded; 2],
    /// Loss of the training by step.
    pub loss: Vec<f32>,
    /// Seconds that the training took.
    pub training_s: f64,
}

impl Learned {
    /// The same with the latents of these training objects alone.
    pub fn on(self, objects: &[usize]) -> Self {
        let [training, test] = self.latents;
        Self { latents: [training.select(objects), test], ..self }
    }
}

/// Where latents and ensembles are kept.
pub struct EncoderCache<'a> {
    context: &'a StudyContext<'a>,
    progress: &'a (dyn Fn(Progress) + Sync),
    spent: Cell<Duration>,
}

impl<'a> EncoderCache<'a> {
    /// Of these objects; `progress` is called after every step of a training.
    pub fn new(context: &'a StudyContext<'a>, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        Self { context, progress, spent: Cell::default() }
    }

    /// Time that went into reading and training here. What is kept says itself how long it took to train.
    pub fn spent(&self) -> Duration {
        self.spent.get()
    }

    fn counted<T>(&self, of: impl FnOnce() -> T) -> T {
        let (before, start) = (self.spent.get(), Instant::now());
        let made = of();
        self.spent.set(before + start.elapsed()); // with what it asked for itself
        made
    }

    /// What an encoder with this seed makes of the objects: read where it is kept, else trained.
    ///
    /// # Errors
    /// [`LabError`], of a file too that cannot be read or written.
    pub fn learned(&self, encoder: &Encoder, seed: u64) -> Result<Learned, LabError> {
        self.counted(|| self.read_or_trained(encoder, seed))
    }

    /// The shipped ensemble trained with these settings on these objects, from its checkpoints where it was trained
    /// before; and how long that took, in seconds.
    ///
    /// # Errors
    /// [`LearnError`], of a file too that cannot be read or written.
    pub fn ensemble(
        &self,
        objects: &classify::TrainingSet,
        settings: &classify::Settings,
    ) -> Result<(TrainedClassifier, f64), LearnError> {
        self.counted(|| {
            let asked = format!("{} {settings:?} {}", self.context.sha256, objects.stamps.len());
            let folder = self.folder("ensemble", settings.seed, &asked)?;
            let run = Run { work_dir: Some(&folder), checkpoint_steps: CHECKPOINT_STEPS, progress: self.progress };
            let start = Instant::now();
            let trained = classify::train(objects, settings, &run)?;
            let kept = folder.join("training_s");
            let training_s = match fs::read_to_string(&kept).ok().and_then(|text| text.trim().parse().ok()) {
                Some(seconds) => seconds,
                None => {
                    let seconds = start.elapsed().as_secs_f64();
                    fs::write(&kept, format!("{seconds}\n")).map_err(|source| file(&kept, source))?;
                    seconds
                }
            };
            Ok((trained, training_s))
        })
    }

    /// A folder for what is asked so.
    fn folder(&self, name: &str, seed: u64, asked: &str) -> Result<PathBuf, LearnError> {
        let hash: String = hex(&Sha256::digest(asked)[..6]);
        let folder = self.context.work.join(format!("{name}-{seed}-{hash}"));
        fs::create_dir_all(&folder).map_err(|source| file(&folder, source))?;
        Ok(folder)
    }

    fn read_or_trained(&self, encoder: &Encoder, seed: u64) -> Result<Learned, LabError> {
        let through = encoder.through.as_deref().and_then(|name| self.context.plan.encoder(name));
        let name = format!("{}-{seed}", slug(&encoder.name));
        let settings = format!("{} {encoder:?} {through:?} {}", self.context.sha256, self.context.plan.cutouts_max);
        let folder = self.folder(&slug(&encoder.name), seed, &settings)?;
        let path = folder.join("learned.safetensors");
        if let Some(learned) = read(&path)? {
            return Ok(learned);
        }
        let run = Run { work_dir: Some(&folder), checkpoint_steps: CHECKPOINT_STEPS, progress: self.progress };
        let start = Instant::now();
        let (encoder, latents, curve) = match (&encoder.whole, encoder.input) {
            (Some(settings), input) => {
                let frozen = through.map(|e| Ok::<_, LabError>((self.learned(e, seed)?, e))).transpose()?;
                let distance = match &frozen {
                    Some((learned, Encoder { whole: Some(of), .. })) => {
                        Distance::Features(&learned.encoder, of.shape())
                    }
                    _ => Distance::Pixels,
                };
                self.whole(&name, settings, input, distance, seed, &run)?
            }
            (None, _) => {
                let stamps = |features: &crate::dataset::Features| features.stamp.iter().map(stamp).collect();
                let (training, test): (Vec<_>, Vec<_>) = (stamps(&self.context.training), stamps(&self.context.test));
                let settings = classify::Settings { seed, ..classify::Settings::of(*self.context.survey.magnitudes()) };
                let (latents, curve) = residual::latents([&training, &test], &settings, &run)?;
                (Parameters::default(), latents, curve)
            }
        };
        let training_s = start.elapsed().as_secs_f64();
        let learned = Learned { encoder, latents, loss: curve.loss, training_s };
        write(&path, &learned)?;
        Ok(learned)
    }

    fn whole(
        &self,
        name: &str,
        settings: &whole::Settings,
        input: Input,
        distance: Distance,
        seed: u64,
        run: &Run,
    ) -> Result<(Parameters, [Encoded; 2], Curve), LabError> {
        let context = self.context;
        let view = input.view(context.survey, &context.set.manifest().standards);
        let cutouts = CutoutView { set: context.set, view: view.ok_or(LabError::NoCutouts { input })? };
        let limit = context.plan.cutouts_max;
        let mut batches = Streamed::new(cutouts, &context.training.sky_sigma, seed, settings.batch, limit);
        let (encoder, curve) = whole::train(name, &mut batches, settings, distance, seed, run)?;
        let encode = |set, part, features: &crate::dataset::Features, limit| {
            let batches = CutoutView { set, ..cutouts }.in_order(part, &features.sky_sigma, ENCODED_BATCH, limit);
            whole::encode(&encoder, settings.shape(), batches)
        };
        let training = encode(context.set, Part::Train, &context.training, limit)?;
        let test = encode(context.scored, Part::Test, &context.test, usize::MAX)?;
        Ok((encoder, [training, test], curve))
    }
}

fn file(path: &Path, source: io::Error) -> LearnError {
    LearnError::Checkpoint { path: path.to_owned(), source }
}

/// Array names beside the encoder's own.
const PARTS: [&str; 2] = ["latents.training", "latents.test"];

fn write(path: &Path, learned: &Learned) -> Result<(), LearnError> {
    let mut all = Parameters::default();
    all.insert_under("encoder", learned.encoder.clone());
    for (name, latents) in PARTS.iter().zip(&learned.latents) {
        let shape = vec![latents.objects(), latents.width];
        all.0.insert((*name).to_owned(), Array { shape, values: latents.values.clone() });
    }
    let vector = |values: Vec<f32>| Array { shape: vec![values.len()], values };
    all.0.insert("loss".to_owned(), vector(learned.loss.clone()));
    all.0.insert("training_s".to_owned(), vector(vec![learned.training_s as f32]));
    let bytes = all.to_safetensors(None).map_err(|problem| LearnError::Damaged { path: path.to_owned(), problem })?;
    atomic_write(path, &bytes).map_err(|source| file(path, source))
}

fn read(path: &Path) -> Result<Option<Learned>, LearnError> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|source| file(path, source))?,
    };
    let damaged = |problem| LearnError::Damaged { path: path.to_owned(), problem };
    let mut all = Parameters::from_safetensors(&bytes).map_err(damaged)?.0;
    let mut take =
        |name: &str| all.remove(name).ok_or_else(|| damaged(ParameterError::Missing { name: name.to_owned() }));
    let [training, test] = [take(PARTS[0])?, take(PARTS[1])?]
        .map(|array| Encoded { width: array.shape.get(1).copied().unwrap_or(1), values: array.values });
    let (loss, training_s) = (take("loss")?.values, take("training_s")?.values);
    let own = |(name, array): (String, Array)| Some((name.strip_prefix("encoder.")?.to_owned(), array));
    let encoder = Parameters(all.into_iter().filter_map(own).collect::<BTreeMap<_, _>>());
    let training_s = training_s.first().copied().map_or(0.0, f64::from);
    Ok(Some(Learned { encoder, latents: [training, test], loss, training_s }))
}
