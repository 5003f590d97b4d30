//! A net's numbers by name: on the host as plain arrays (what a bundle holds and threads share), on a device
//! as tensors (what a net calculates with). Between them lies safetensors.

use std::collections::{BTreeMap, HashMap};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

/// An array of f32 on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Lengths of its axes, slowest first.
    pub shape: Vec<usize>,
    /// All values, last axis fastest.
    pub values: Vec<f32>,
}

/// A net's numbers on the host, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(pub BTreeMap<String, Array>);

/// Names and shapes that a net needs.
pub type Shapes = Vec<(String, Vec<usize>)>;

/// Why numbers do not fit a net.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// The bytes are no safetensors file.
    #[error("not a safetensors file: {message}")]
    Format {
        /// What the reader said.
        message: String,
    },
    /// A tensor of another type.
    #[error("tensor {name} is not f32")]
    Kind {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor that the manifest's net needs is not there.
    #[error("tensor {name} is missing")]
    Missing {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor of another shape than the manifest's net has.
    #[error("tensor {name} has shape {found:?}, the net needs {needed:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that the manifest's net has.
        needed: Vec<usize>,
    },
    /// A tensor that no net asks for.
    #[error("tensor {name} belongs to no net of the manifest")]
    Unknown {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor holds a NaN or an infinity.
    #[error("tensor {name} holds values that are not finite")]
    NotFinite {
        /// Name of the tensor.
        name: String,
    },
}

/// Distribution that weights are drawn from at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Normal, variance 2 / fan-in (He et al. 2015): keeps the size of signals through rectifiers. Biases 0.
    #[default]
    He,
    /// Uniform in +-1/sqrt(fan-in), biases 0.
    Uniform,
    /// Normal, variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010): between what keeps the size of signals and what
    /// keeps that of gradients. Biases 0.
    Glorot,
}

impl ParameterError {
    /// The reader's words in a line: it repeats what a damaged file says.
    fn format(error: safetensors::SafeTensorError) -> Self {
        Self::Format { message: error.to_string().replace(char::is_control, "\u{fffd}") }
    }
}

impl Parameters {
    /// Random weights; a name that ends in `weight` is one, all others start at 0.
    pub fn random(shapes: &Shapes, start: Start, rng: &mut ChaCha8Rng) -> Self {
        let array = |name: &str, shape: &[usize], rng: &mut ChaCha8Rng| {
            let n: usize = shape.iter().product();
            let fan_in = shape.iter().skip(1).product::<usize>().max(1) as f32;
            // A kernel's pixels count on either side.
            let fan_out = (shape.iter().product::<usize>() / shape.get(1).copied().unwrap_or(1).max(1)).max(1) as f32;
            let mut normal = |variance: f32| -> Vec<f32> {
                (0..n).map(|_| rng.sample::<f32, _>(StandardNormal) * variance.sqrt()).collect()
            };
            let values = match (name.ends_with("weight"), start) {
                (false, _) => vec![0.0; n],
                (true, Start::He) => normal(2.0 / fan_in),
                (true, Start::Glorot) => normal(2.0 / (fan_in + fan_out)),
                (true, Start::Uniform) => (0..n).map(|_| rng.random_range(-1.0..1.0) / fan_in.sqrt()).collect(),
            };
            Array { shape: shape.to_vec(), values }
        };
        Self(shapes.iter().map(|(name, shape)| (name.clone(), array(name, shape, rng))).collect())
    }

    /// Checks that these are exactly the tensors of `shapes`, all finite.
    ///
    /// # Errors
    /// [`ParameterError`] naming the first tensor at fault.
    pub fn check(&self, shapes: &Shapes) -> Result<(), ParameterError> {
        for (name, needed) in shapes {
            let array = self.0.get(name).ok_or_else(|| ParameterError::Missing { name: name.clone() })?;
            if &array.shape != needed {
                let (found, needed) = (array.shape.clone(), needed.clone());
                return Err(ParameterError::Shape { name: name.clone(), found, needed });
            }
            if array.values.iter().any(|v| !v.is_finite()) {
                return Err(ParameterError::NotFinite { name: name.clone() });
            }
        }
        match self.0.keys().find(|name| !shapes.iter().any(|(known, _)| known == *name)) {
            Some(name) => Err(ParameterError::Unknown { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Adds all of `other` under `prefix.`.
    pub fn insert_under(&mut self, prefix: &str, other: Self) {
        self.0.extend(other.0.into_iter().map(|(name, array)| (format!("{prefix}.{name}"), array)));
    }

    /// Reads safetensors bytes.
    ///
    /// # Errors
    /// [`ParameterError::Format`] or [`ParameterError::Kind`].
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, ParameterError> {
        let format = ParameterError::format;
        let file = SafeTensors::deserialize(bytes).map_err(format)?;
        file.iter()
            .map(|(name, view)| {
                if view.dtype() != Dtype::F32 {
                    return Err(ParameterError::Kind { name: name.to_owned() });
                }
                let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                Ok((name.to_owned(), Array { shape: view.shape().to_vec(), values: values.collect() }))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Safetensors bytes, the same for the same numbers. `note` goes into the header.
    ///
    /// # Errors
    /// [`ParameterError::Format`] for an array whose shape and values disagree.
    pub fn to_safetensors(&self, note: Option<(&str, &str)>) -> Result<Vec<u8>, ParameterError> {
        let format = ParameterError::format;
        let bytes: Vec<(&String, &[usize], Vec<u8>)> = (self.0.iter())
            .map(|(name, a)| (name, a.shape.as_slice(), a.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
            .collect();
        let views = (bytes.iter())
            .map(|(name, shape, data)| {
                Ok((name.as_str(), TensorView::new(Dtype::F32, shape.to_vec(), data).map_err(format)?))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let header = note.map(|(key, value)| HashMap::from([(key.to_owned(), value.to_owned())]));
        safetensors::serialize(views, header).map_err(format)
    }
}

/// A net's numbers on a device, by name.
#[derive(Debug, Default)]
pub struct Tensors(pub BTreeMap<String, Tensor>);

impl Tensors {
    /// Copies numbers to a device.
    ///
    /// # Errors
    /// libtorch's, when the device fails.
    pub fn upload(parameters: &Parameters, device: Device, kind: Kind) -> Result<Self, TchError> {
        (parameters.0.iter())
            .map(|(name, array)| {
                let shape: Vec<i64> = array.shape.iter().map(|&n| n as i64).collect();
                let host = Tensor::f_from_slice(&array.values)?.f_reshape(&shape)?;
                Ok((name.clone(), host.f_to_device(device)?.f_to_kind(kind)?))
            })
            .collect::<Result<_, TchError>>()
            .map(Self)
    }

    /// Copies numbers back.
    ///
    /// # Errors
    /// libtorch's, when the device fails.
    pub fn download(&self) -> Result<Parameters, TchError> {
        (self.0.iter())
            .map(|(name, tensor)| {
                let shape = tensor.size().iter().map(|&n| n as usize).collect();
                let host = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
                let mut values = vec![0.0; host.numel()];
                host.f_copy_data(&mut values, host.numel())?;
                Ok((name.clone(), Array { shape, values }))
            })
            .collect::<Result<_, TchError>>()
            .map(Parameters)
    }

    /// A tensor that shares its numbers with this set.
    ///
    /// # Errors
    /// [`TchError::TensorNameNotFound`]; not for numbers that passed [`Parameters::check`].
    pub fn get(&self, name: &str) -> Result<Tensor, TchError> {
        let missing = || TchError::TensorNameNotFound(name.to_owned(), "the net's parameters".to_owned());
        self.0.get(name).map(Tensor::shallow_clone).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn shapes() -> Shapes {
        vec![("a.bias".to_owned(), vec![3]), ("a.weight".to_owned(), vec![3, 5])]
    }

    #[test]
    fn safetensors_round_trip_and_bytes_repeat() {
        let p = Parameters::random(&shapes(), Start::He, &mut ChaCha8Rng::seed_from_u64(1));
        let bytes = p.to_safetensors(Some(("step", "3"))).unwrap();
        assert_eq!(bytes, p.to_safetensors(Some(("step", "3"))).unwrap());
        assert_eq!(Parameters::from_safetensors(&bytes).unwrap(), p);
        assert_eq!(Tensors::upload(&p, Device::Cpu, Kind::Float).unwrap().download().unwrap(), p);
        assert!(Parameters::from_safetensors(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let good = Parameters::random(&shapes(), Start::Uniform, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(good.check(&shapes()), Ok(()));
        let spoilt = |spoil: &dyn Fn(&mut BTreeMap<String, Array>)| {
            let mut p = good.clone();
            spoil(&mut p.0);
            p.check(&shapes()).unwrap_err().to_string()
        };
        let array = |shape: &[usize]| Array { shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] };
        assert!(spoilt(&|p| drop(p.remove("a.bias"))).contains("a.bias is missing"));
        assert!(spoilt(&|p| drop(p.insert("a.bias".to_owned(), array(&[1])))).contains("needs [3]"));
        assert!(spoilt(&|p| drop(p.insert("b".to_owned(), array(&[1])))).contains("b belongs to no net"));
        assert!(spoilt(&|p| p.get_mut("a.bias").unwrap().values[1] = f32::NAN).contains("not finite"));
    }

    #[test]
    fn weights_start_with_the_variance_that_was_asked_for() {
        let shapes = vec![("a.weight".to_owned(), vec![64, 16, 3, 3])]; // fan-in 144, fan-out 576
        for (start, variance) in [(Start::He, 2.0 / 144.0), (Start::Glorot, 2.0 / 720.0), (Start::Uniform, 1.0 / 432.0)]
        {
            let values =
                Parameters::random(&shapes, start, &mut ChaCha8Rng::seed_from_u64(1)).0["a.weight"].values.clone();
            let found = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64;
            // 9,216 draws: the variance to 1.5 %.
            assert!((found / variance - 1.0).abs() < 0.06, "{start:?}: {found} for {variance}");
        }
    }
}
