//! Layers that all nets are made of.

use tch::{Kind, TchError, Tensor};

use crate::parameters::{Shapes, Tensors};

/// A 4-D tensor laid out with its channels fastest: twice as fast for few channels, and what the tiles are.
///
/// # Errors
/// libtorch's.
pub fn channels_last(t: &Tensor) -> Result<Tensor, TchError> {
    t.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}

/// A convolution; 3x3 keeps the size (divided by the stride), 1x1 has stride 1.
#[derive(Debug)]
pub struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv {
    /// Takes `name.weight` and `name.bias`.
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors, name: &str, stride: i64) -> Result<Self, TchError> {
        let weight = tensors.get(&format!("{name}.weight"))?;
        let padding = weight.size()[2] / 2;
        Ok(Self { weight, bias: tensors.get(&format!("{name}.bias"))?, stride, padding })
    }

    /// Its parameters' names and shapes.
    pub fn shapes(name: &str, inputs: usize, outputs: usize, side: usize) -> Shapes {
        vec![(format!("{name}.weight"), vec![outputs, inputs, side, side]), (format!("{name}.bias"), vec![outputs])]
    }

    /// (n, inputs, h, w) -> (n, outputs, h / stride, w / stride).
    ///
    /// # Errors
    /// libtorch's.
    pub fn linear(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_conv2d(&self.weight, Some(&self.bias), self.stride, self.padding, 1, 1)
    }

    /// The same through a leaky rectifier of slope .01.
    ///
    /// # Errors
    /// libtorch's.
    pub fn rectified(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.linear(x)?.f_leaky_relu_()
    }
}

/// Fully connected layers with leaky rectifiers of slope .1 between them.
#[derive(Debug)]
pub struct Mlp {
    layers: Vec<(Tensor, Tensor)>,
    slope: Tensor,
}

impl Mlp {
    /// Takes `name.0.weight`, `name.0.bias`, `name.1.weight` and so on.
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors, name: &str, layers: usize) -> Result<Self, TchError> {
        let layers = (0..layers)
            .map(|i| Ok((tensors.get(&format!("{name}.{i}.weight"))?, tensors.get(&format!("{name}.{i}.bias"))?)))
            .collect::<Result<Vec<_>, TchError>>()?;
        let device = layers.first().map_or(tch::Device::Cpu, |(weight, _)| weight.device());
        Ok(Self { layers, slope: Tensor::f_full([1], 0.1, (Kind::Float, device))? })
    }

    /// Its parameters' names and shapes, for layers between these widths.
    pub fn shapes(name: &str, widths: &[usize]) -> Shapes {
        (widths.windows(2).enumerate())
            .flat_map(|(i, w)| {
                [(format!("{name}.{i}.weight"), vec![w[1], w[0]]), (format!("{name}.{i}.bias"), vec![w[1]])]
            })
            .collect()
    }

    /// (n, first width) -> (n, last width).
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut x = x.shallow_clone();
        for (i, (weight, bias)) in self.layers.iter().enumerate() {
            if i > 0 {
                x = x.f_prelu(&self.slope)?;
            }
            x = x.f_linear(weight, Some(bias))?;
        }
        Ok(x)
    }
}
