//! The co-trained colour's nets on a device.

use tch::{Kind, TchError, Tensor};

use crate::model::ModelError;
use crate::torch::device::{Chosen, model_error, start};
use crate::torch::nets::colour::{Colour, INPUTS};
use crate::torch::parameters::{Parameters, Tensors};

/// What colours add to log-odds of star. Always in f32, being tiny.
#[derive(Debug)]
pub struct TorchColour {
    nets: Colour,
    chosen: Chosen,
}

impl TorchColour {
    /// Copies the nets to the device. `parameters` are those of their `Shape`.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails.
    pub fn new(parameters: &Parameters, chosen: &Chosen) -> Result<Self, ModelError> {
        let nets = Tensors::upload(parameters, chosen.device, Kind::Float).and_then(|tensors| Colour::new(&tensors));
        Ok(Self { nets: nets.map_err(|e| model_error(&chosen.name, &e))?, chosen: chosen.clone() })
    }

    /// The log-ratio of each object, to be added to its log-odds from shape; 0 for one with an input that is not
    /// finite: without a colour, colour says nothing.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails.
    pub fn log_ratios(&self, inputs: &[[f32; INPUTS]]) -> Result<Vec<f32>, ModelError> {
        let ratios = self.run(inputs).map_err(|e| model_error(&self.chosen.name, &e))?;
        let known = |(ratio, input): (f32, &[f32; INPUTS])| if is_finite(input) { ratio } else { 0.0 };
        Ok(ratios.into_iter().zip(inputs).map(known).collect())
    }

    fn run(&self, inputs: &[[f32; INPUTS]]) -> Result<Vec<f32>, TchError> {
        start();
        let _no_grad = tch::no_grad_guard();
        let x = Tensor::f_from_slice(inputs.as_flattened())?.f_view([-1, INPUTS as i64])?;
        let ratios = self.nets.log_ratio(&x.f_to_device(self.chosen.device)?)?;
        let ratios = ratios.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let mut out = vec![0.0; inputs.len()];
        ratios.f_copy_data(&mut out, inputs.len())?;
        Ok(out)
    }
}

fn is_finite(input: &[f32; INPUTS]) -> bool {
    input.iter().all(|v| v.is_finite())
}
