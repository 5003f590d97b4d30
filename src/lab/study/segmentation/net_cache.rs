//! Nets, kept: several segmenters build on the same hypercolumns, and their net is trained once a seed.

use std::time::Instant;
use std::{fs, io};

use sha2::{Digest, Sha256};

use super::answer::SegmentationContext;
use super::plan::Hypercolumn;
use crate::hypercolumn::{Settings, train_autoencoder};
use crate::study::table::slug;
use twinpeak_core::atomic_write::atomic_write;
use twinpeak_core::hex::hex;
use twinpeak_learn::{LearnError, Progress, Run};
use twinpeak_nets::parameters::{Array, ParameterError, Parameters};

/// Steps of training between checkpoints.
const CHECKPOINT_STEPS: usize = 200;
/// Name under which the seconds of a training are kept beside its net.
const SECONDS: &str = "training_s";

/// A trained net, and how long it took.
pub struct LearnedNet {
    /// Weights of the net, named as in [`twinpeak_nets::segmentation::Shape::autoencoder`].
    pub autoencoder: Parameters,
    /// Time of training, s.
    pub training_s: f64,
}

impl SegmentationContext<'_> {
    /// A net with this seed: read where it is kept, else trained.
    ///
    /// # Errors
    /// [`LearnError`], of a file too that cannot be read or written.
    pub fn learned(
        &self,
        net: &Hypercolumn,
        seed: u64,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<LearnedNet, LearnError> {
        let settings = Settings { seed, ..net.net.clone() };
        let hash = hex(&Sha256::digest(format!("{} {settings:?}", self.sha256))[..6]);
        let folder = self.work.join(format!("segment-{}-{seed}-{hash}", slug(&net.name)));
        let path = folder.join("autoencoder.safetensors");
        let file = |source| LearnError::Checkpoint { path: path.clone(), source };
        let damaged = |problem| LearnError::Damaged { path: path.clone(), problem };
        match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            bytes => {
                let mut autoencoder = Parameters::from_safetensors(&bytes.map_err(file)?).map_err(damaged)?;
                let missing = || damaged(ParameterError::Missing { name: SECONDS.to_owned() });
                let seconds =
                    autoencoder.0.remove(SECONDS).and_then(|a| a.values.first().copied()).ok_or_else(missing)?;
                return Ok(LearnedNet { autoencoder, training_s: f64::from(seconds) });
            }
        }
        fs::create_dir_all(&folder).map_err(file)?;
        let run = Run { work_dir: Some(&folder), checkpoint_steps: CHECKPOINT_STEPS, progress };
        let start = Instant::now();
        let (autoencoder, _) = train_autoencoder(&self.tiles()?, &settings, &run)?;
        let training_s = start.elapsed().as_secs_f64();
        let mut kept = autoencoder.clone();
        let seconds = Array { shape: vec![1], values: vec![training_s as f32] };
        kept.0.insert(SECONDS.to_owned(), seconds);
        atomic_write(&path, &kept.to_safetensors(None).map_err(damaged)?).map_err(file)?;
        Ok(LearnedNet { autoencoder, training_s })
    }
}
