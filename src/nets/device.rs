//! Which device the nets run on, decided once at start.
//!
//! One binary serves CPU and CUDA: it is linked with the CPU library alone, and the CUDA half is loaded here
//! at run time where it can be found (next to the other libraries, or on `LD_LIBRARY_PATH`). libtorch
//! discovers it when it is loaded, so nothing else differs.

use std::fmt;
use std::str::FromStr;
use std::sync::Once;

use tch::TchError;

use twinpeak_core::model::ModelError;

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The first GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// This GPU and no other.
    Cuda(usize),
}

/// A device that is no device, or is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A text that names no device.
    #[error("{name:?} is no device: use auto, cpu or cuda:N")]
    Unknown {
        /// The text as it was written.
        name: String,
    },
    /// A GPU was asked for that libtorch cannot see.
    #[error("cuda:{index} is not there ({found} GPUs found; {cuda}): use auto or cpu, or mend the driver")]
    Absent {
        /// Index of the GPU that was asked for.
        index: usize,
        /// Number of GPUs that libtorch sees.
        found: usize,
        /// Whether the CUDA library was loaded.
        cuda: Cuda,
    },
}

/// Whether the CUDA half of libtorch is in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cuda {
    /// The library is loaded.
    Loaded,
    /// This libtorch has none, or its own libraries are missing.
    NotLoaded,
}

impl fmt::Display for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loaded => "libtorch_cuda.so is loaded",
            Self::NotLoaded => "libtorch_cuda.so could not be loaded",
        })
    }
}

impl FromStr for Wanted {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => name
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Unknown { name: name.to_owned() }),
        }
    }
}

/// The device that was chosen, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The device as tch names it.
    pub device: tch::Device,
    /// `cpu` or `cuda:N`: for logs, metrics, rows.
    pub name: String,
    /// One line for the log.
    pub reason: String,
    /// How the segmentation net calculates on it.
    pub precision: Precision,
}

impl Chosen {
    /// Whether it is the processor.
    pub fn is_cpu(&self) -> bool {
        self.device == tch::Device::Cpu
    }
}

/// Number format of the segmentation net. Answers differ by at most [`crate::infer::BF16_TOLERANCE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// bfloat16: about twice as fast where the processor has instructions for it, slower where not.
    Bf16,
}

/// Prepares libtorch on the calling thread: loads CUDA if it is there (once), and keeps the thread's operations to that
/// one thread. Several threads each running their own net beat one net on several threads, and a sum's last bits depend
/// on how many threads share it. libtorch's matrix library keeps the number for each thread apart, so every
/// thread that uses a net must have called this; the nets' ports and the trainers do. Cheap when done before.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        load_cuda();
        tch::set_num_interop_threads(1);
    });
    thread_local!(static SINGLE: () = tch::set_num_threads(1));
    SINGLE.with(|()| ());
}

/// Chooses the device.
///
/// # Errors
/// [`DeviceError::Absent`] for a GPU that is not there: a configured GPU never becomes a CPU in silence.
pub fn choose(wanted: Wanted) -> Result<Chosen, DeviceError> {
    start();
    let found = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    let cuda = if tch::utils::has_cuda() { Cuda::Loaded } else { Cuda::NotLoaded };
    let gpu = |index: usize, reason: String| Chosen {
        device: tch::Device::Cuda(index),
        name: format!("cuda:{index}"),
        reason,
        precision: Precision::F32,
    };
    let cpu = |why: String| {
        let precision = cpu_precision();
        let reason = format!("{why}; segmentation in {precision:?}");
        Chosen { device: tch::Device::Cpu, name: "cpu".to_owned(), reason, precision }
    };
    match wanted {
        Wanted::Cpu => Ok(cpu("as configured".to_owned())),
        Wanted::Auto if found == 0 => Ok(cpu(format!("no GPU found ({cuda})"))),
        Wanted::Auto => Ok(gpu(0, format!("first of {found} GPUs"))),
        Wanted::Cuda(index) if index < found => Ok(gpu(index, "as configured".to_owned())),
        Wanted::Cuda(index) => Err(DeviceError::Absent { index, found, cuda }),
    }
}

/// bfloat16 where the processor multiplies it in hardware.
fn cpu_precision() -> Precision {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512bf16") {
        return Precision::Bf16;
    }
    Precision::F32
}

/// Brings libtorch's CUDA half into the process, for everyone to see; its absence is no error.
fn load_cuda() {
    // SAFETY: the name is a NUL-terminated constant. Loading runs the library's initialisers, which register
    // CUDA with libtorch and expect nothing but that no other thread uses libtorch yet: `start` runs once,
    // first. The handle is never closed, so what was registered stays valid.
    #[allow(unsafe_code)]
    unsafe {
        libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
    }
}

/// What the engine should know of a failure of libtorch's on `device`.
pub fn model_error(device: &str, error: &TchError) -> ModelError {
    let text = error.to_string();
    // libtorch adds a C++ backtrace of many lines.
    let message = text.lines().next().unwrap_or_default().to_owned();
    let device = device.to_owned();
    let lower = text.to_lowercase();
    if lower.contains("out of memory") || lower.contains("can't allocate memory") || lower.contains("bad_alloc") {
        ModelError::OutOfMemory { device, message }
    } else {
        ModelError::DeviceLost { device, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices() {
        assert_eq!("auto".parse(), Ok(Wanted::Auto));
        assert_eq!("cpu".parse(), Ok(Wanted::Cpu));
        assert_eq!("cuda:1".parse(), Ok(Wanted::Cuda(1)));
        for bad in ["", "gpu", "cuda", "cuda:", "cuda:-1", "CPU"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_absent_gpu_is_an_error_and_auto_says_why() {
        let error = choose(Wanted::Cuda(99)).unwrap_err().to_string();
        assert!(error.contains("cuda:99 is not there"), "{error}");
        assert_eq!(choose(Wanted::Cpu).unwrap().name, "cpu");
        assert!(!choose(Wanted::Auto).unwrap().reason.is_empty());
    }

    #[test]
    fn out_of_memory_is_told_from_loss() {
        let says = |text: &str| model_error("cuda:0", &TchError::Torch(format!("{text}\nframe #0: ...")));
        assert!(matches!(says("CUDA out of memory. Tried to allocate"), ModelError::OutOfMemory { .. }));
        assert!(matches!(says("DefaultCPUAllocator: can't allocate memory: you"), ModelError::OutOfMemory { .. }));
        let lost = says("CUDA error: unspecified launch failure");
        let expected = "Internal torch error: CUDA error: unspecified launch failure".to_owned();
        assert_eq!(lost, ModelError::DeviceLost { device: "cuda:0".to_owned(), message: expected });
    }

    #[test]
    fn a_refused_allocation_is_out_of_memory() {
        start();
        let error = tch::Tensor::f_zeros([1 << 50], (tch::Kind::Float, tch::Device::Cpu)).unwrap_err();
        assert!(matches!(model_error("cpu", &error), ModelError::OutOfMemory { .. }), "{error}");
    }
}
