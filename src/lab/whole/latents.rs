//! Cutouts through a trained encoder.

use tch::{Device, Kind, Tensor, no_grad};

use crate::LabError;
use twinpeak_learn::LearnError;
use twinpeak_nets::cutouts::{Encoder, Shape};
use twinpeak_nets::parameters::{Parameters, Tensors};

/// Latents of objects, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// Number of latents of each object.
    pub width: usize,
    /// All latents, object after object.
    pub values: Vec<f32>,
}

impl Encoded {
    /// Number of objects.
    pub fn objects(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// The latents of these objects, in this order; one that is not there is left out.
    pub fn select(&self, objects: &[usize]) -> Self {
        let row = |&i: &usize| self.values.get(i * self.width..(i + 1) * self.width);
        Self { width: self.width, values: objects.iter().filter_map(row).flatten().copied().collect() }
    }

    /// (objects, width).
    ///
    /// # Errors
    /// libtorch's.
    pub fn tensor(&self) -> Result<Tensor, tch::TchError> {
        Tensor::f_from_slice(&self.values)?.f_view([-1, self.width as i64])
    }
}

/// The latents, or their means, of batches (n, 5, 64, 64).
///
/// # Errors
/// Those of the batches, and libtorch's.
pub fn encode(
    parameters: &Parameters,
    shape: Shape,
    batches: impl Iterator<Item = Result<Tensor, LabError>>,
) -> Result<Encoded, LabError> {
    let torch = |source| LearnError::Torch { net: "encoder".to_owned(), source };
    no_grad(|| {
        let tensors = Tensors::upload(parameters, Device::Cpu, Kind::Float).map_err(torch)?;
        let encoder = Encoder::new(&tensors, shape).map_err(torch)?;
        let mut encoded = Encoded { width: shape.latents, values: Vec::new() };
        for batch in batches {
            let latents = encoder.latents(&batch?).map_err(torch)?;
            encoded.values.extend(twinpeak_learn::classify::values(&latents).map_err(torch)?);
        }
        Ok(encoded)
    })
}
