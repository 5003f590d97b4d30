//! Adam with decoupled weight decay (Kingma & Ba 2015, Loshchilov & Hutter 2019). libtorch's own optimiser
//! hides its moments from us, and without them an interrupted training would not go on as it was.

use std::collections::BTreeMap;

use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::Trainer;
use twinpeak_nets::layers::channels_last;
use twinpeak_nets::parameters::{Parameters, Tensors};

const BETA: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// Parameters and the moments of their gradients.
pub(super) struct Adam {
    parameters: Tensors,
    moments: BTreeMap<String, (Tensor, Tensor)>,
    steps: i32,
}

impl Adam {
    pub(super) fn new(start: &Parameters) -> Result<Self, TchError> {
        let mut parameters = Tensors::default();
        let mut moments = BTreeMap::new();
        for (name, tensor) in Tensors::upload(start, Device::Cpu, Kind::Float)?.0 {
            let tensor = if tensor.dim() == 4 { channels_last(&tensor)? } else { tensor };
            moments.insert(name.clone(), (tensor.f_zeros_like()?, tensor.f_zeros_like()?));
            parameters.0.insert(name, tensor.f_set_requires_grad(true)?);
        }
        Ok(Self { parameters, moments, steps: 0 })
    }

    /// The tensors that a net is built over; a step changes them in place.
    pub(super) fn parameters(&self) -> &Tensors {
        &self.parameters
    }

    pub(super) fn zero_gradients(&mut self) {
        self.parameters.0.values_mut().for_each(Tensor::zero_grad);
    }

    pub(super) fn step(&mut self, rate: f64, trainer: &Trainer) -> Result<(), TchError> {
        self.steps += 1;
        let (first_bias, second_bias) = (1.0 - BETA.0.powi(self.steps), 1.0 - BETA.1.powi(self.steps));
        no_grad(|| {
            let gradients: Vec<(&String, Tensor)> =
                self.parameters.0.iter().map(|(name, p)| (name, p.grad())).filter(|(_, g)| g.defined()).collect();
            let squares: f64 = gradients.iter().map(|(_, g)| g.square().sum(Kind::Double).double_value(&[])).sum();
            let cut = (trainer.gradient_max / (squares.sqrt() + 1e-6)).min(1.0);
            for (name, gradient) in gradients {
                let gradient = gradient.f_mul_scalar(cut)?;
                let (first, second) = self.moments.get_mut(name).expect("each parameter has moments since `new`");
                let _ = first.f_mul_scalar_(BETA.0)?.f_add_(&gradient.f_mul_scalar(1.0 - BETA.0)?)?;
                let _ = second.f_mul_scalar_(BETA.1)?.f_add_(&gradient.f_square()?.f_mul_scalar(1.0 - BETA.1)?)?;
                let scale = second.f_div_scalar(second_bias)?.f_sqrt()?.f_add_scalar(EPSILON)?;
                let change = first.f_div(&scale)?.f_mul_scalar(rate / first_bias)?;
                let mut parameter = self.parameters.0[name].shallow_clone();
                let _ = parameter.f_mul_scalar_(1.0 - rate * trainer.weight_decay)?.f_sub_(&change)?;
            }
            Ok(())
        })
    }

    /// Parameters and moments as one set of arrays.
    pub(super) fn state(&self) -> Result<Parameters, TchError> {
        let moments = |pick: fn(&(Tensor, Tensor)) -> &Tensor| {
            Tensors(self.moments.iter().map(|(name, m)| (name.clone(), pick(m).shallow_clone())).collect()).download()
        };
        let mut state = Parameters::default();
        state.insert_under("parameter", self.parameters.download()?);
        state.insert_under("first", moments(|m| &m.0)?);
        state.insert_under("second", moments(|m| &m.1)?);
        Ok(state)
    }

    /// Goes on from a state that [`Self::state`] gave after `steps` steps.
    pub(super) fn restore(&mut self, state: &Parameters, steps: i32) -> Result<(), TchError> {
        let mut stored = Tensors::upload(state, Device::Cpu, Kind::Float)?;
        let mut take = |prefix: &str, name: &str, into: &Tensor| {
            let missing = || TchError::TensorNameNotFound(name.to_owned(), "the checkpoint".to_owned());
            let tensor = stored.0.remove(&format!("{prefix}.{name}")).ok_or_else(missing)?;
            into.shallow_clone().f_copy_(&tensor)
        };
        no_grad(|| {
            for (name, parameter) in &self.parameters.0 {
                let (first, second) = &self.moments[name];
                take("parameter", name, parameter)?;
                take("first", name, first)?;
                take("second", name, second)?;
            }
            Ok::<(), TchError>(())
        })?;
        self.steps = steps;
        Ok(())
    }
}
