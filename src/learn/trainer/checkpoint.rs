//! Checkpoints: parameters, moments and the loss so far in one safetensors file, written aside and renamed.

use std::path::Path;
use std::{fs, io};

use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use super::adam::Adam;
use super::{Curve, Trainer};
use crate::LearnError;
use twinpeak_core::atomic_write::atomic_write;
use twinpeak_core::hex::hex;
use twinpeak_nets::parameters::{Array, ParameterError, Parameters};

/// Header key of the fingerprint.
const KEY: &str = "training";
/// Name of the loss curve among the tensors.
const CURVE: &str = "curve";

/// Names a training by all that decides its result: two with the same fingerprint are the same training.
pub(super) struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn new(trainer: &Trainer, start: &Parameters) -> Self {
        Self(inputs(&format!("{} {}", told(trainer), trainer.inputs), start.0.values().map(|a| a.values.as_slice())))
    }
}

/// A training in the words that `Debug` gave when its type was called so: checkpoints of then still count.
pub(super) fn told(trainer: &Trainer) -> String {
    let Trainer { net, steps, rate, schedule, weight_decay, gradient_max, seed, inputs } = trainer;
    format!(
        "Descent {{ net: {net:?}, steps: {steps:?}, rate: {rate:?}, schedule: {schedule:?}, weight_decay: {weight_decay:?}, \
         gradient_max: {gradient_max:?}, seed: {seed:?}, inputs: {inputs:?} }}"
    )
}

/// Tells what a training learns from, its settings (in words) and its data, from anything else: SHA-256, 64 hex digits.
pub fn inputs<'a>(settings: &str, data: impl IntoIterator<Item = &'a [f32]>) -> String {
    let mut hash = Sha256::new();
    hash.update(settings);
    for array in data {
        hash.update((array.len() as u64).to_le_bytes());
        let bytes: Vec<u8> = array.iter().flat_map(|v| v.to_le_bytes()).collect();
        hash.update(bytes);
    }
    hex(&hash.finalize())
}

/// Goes on from the checkpoint at `path`, if there is one.
pub(super) fn restore(
    path: &Path,
    fingerprint: &Fingerprint,
    adam: &mut Adam,
    curve: &mut Curve,
) -> Result<(), LearnError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(LearnError::Checkpoint { path: path.to_owned(), source }),
    };
    let damaged = |problem| LearnError::Damaged { path: path.to_owned(), problem };
    let header =
        SafeTensors::read_metadata(&bytes).map_err(|e| damaged(ParameterError::Format { message: e.to_string() }))?.1;
    if header.metadata().as_ref().and_then(|m| m.get(KEY)) != Some(&fingerprint.0) {
        return Err(LearnError::OfAnother { path: path.to_owned() });
    }
    let mut state = Parameters::from_safetensors(&bytes).map_err(damaged)?;
    let missing = || damaged(ParameterError::Missing { name: CURVE.to_owned() });
    curve.loss = state.0.remove(CURVE).ok_or_else(missing)?.values;
    let steps = i32::try_from(curve.loss.len()).map_err(|_| missing())?;
    adam.restore(&state, steps).map_err(|source| LearnError::Torch { net: curve.net.clone(), source })
}

/// Writes the checkpoint, whole or not at all.
pub(super) fn save(path: &Path, fingerprint: &Fingerprint, adam: &Adam, curve: &Curve) -> Result<(), LearnError> {
    let mut state = adam.state().map_err(|source| LearnError::Torch { net: curve.net.clone(), source })?;
    state.0.insert(CURVE.to_owned(), Array { shape: vec![curve.loss.len()], values: curve.loss.clone() });
    let bytes = state
        .to_safetensors(Some((KEY, &fingerprint.0)))
        .map_err(|problem| LearnError::Damaged { path: path.to_owned(), problem })?;
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)
        .and_then(|()| atomic_write(path, &bytes))
        .map_err(|source| LearnError::Checkpoint { path: path.to_owned(), source })
}
