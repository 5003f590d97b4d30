//! The co-trained colour's nets on a device.

use tch::{Kind, TchError, Tensor};

use crate::colour::Colour;
use crate::device::{Chosen, model_error, start};
use crate::parameters::{Parameters, Tensors};
use twinpeak_core::model::{COLOUR_LEN as INPUTS, ModelError};

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
        let nets =
            Tensors::upload(parameters, chosen.device, Kind::Float).and_then(|tensors| Colour::new(&tensors, ""));
        Ok(Self { nets: nets.map_err(|e| model_error(&chosen.name, &e))?, chosen: chosen.clone() })
    }

    /// The log-ratio of each object, to be added to its log-odds from shape; 0 for one with an input that is not
    /// finite: without a colour, colour says nothing.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails.
    pub fn log_ratios(&self, inputs: &[[f32; INPUTS]]) -> Result<Vec<f32>, ModelError> {
        let ratios = self.run(inputs, Colour::log_ratio).map_err(|e| model_error(&self.chosen.name, &e))?;
        let known = |(ratio, input): (f32, &[f32; INPUTS])| if is_finite(input) { ratio } else { 0.0 };
        Ok(ratios.into_iter().zip(inputs).map(known).collect())
    }

    /// What colours and magnitude, and what the magnitude alone, say of each object: log-odds of star. `None` for one
    /// with an input that is not finite.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails.
    pub fn log_odds(&self, inputs: &[[f32; INPUTS]]) -> Result<Vec<Option<[f32; 2]>>, ModelError> {
        let of = |nets: &Colour, x: &Tensor| nets.log_odds(x).and_then(|(both, mag)| Tensor::f_stack(&[both, mag], 1));
        let odds = self.run(inputs, of).map_err(|e| model_error(&self.chosen.name, &e))?;
        let known = |(odds, input): (&[f32; 2], &[f32; INPUTS])| is_finite(input).then_some(*odds);
        Ok(odds.as_chunks().0.iter().zip(inputs).map(known).collect())
    }

    /// All values that `of` makes of the inputs, as a tensor (n, INPUTS) on the device.
    fn run(
        &self,
        inputs: &[[f32; INPUTS]],
        of: impl Fn(&Colour, &Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Vec<f32>, TchError> {
        start();
        let _no_grad = tch::no_grad_guard();
        let x = Tensor::f_from_slice(inputs.as_flattened())?.f_view([-1, INPUTS as i64])?;
        let made = of(&self.nets, &x.f_to_device(self.chosen.device)?)?;
        let made = made.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let mut out = vec![0.0; made.numel()];
        made.f_copy_data(&mut out, made.numel())?;
        Ok(out)
    }
}

fn is_finite(input: &[f32; INPUTS]) -> bool {
    input.iter().all(|v| v.is_finite())
}
