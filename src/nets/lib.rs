//! libtorch: the device, the nets, the model bundle, and the two ports of [`twinpeak_core::model`] over them.
//!
//! # What it may know
//!
//! `twinpeak-core` alone: the ports, and what a bundle's manifest pins. It never knows the engine that runs it, nor where
//! frames come from. How nets are trained is in `twinpeak-learn`; nets alone are here, so that trainer and daemon run the
//! same ones. Beside `learn` and `lab` it is the only place that names tch, and the only one that does so in a daemon: all
//! calls there are libtorch's fallible ones.
//!
//! # The modules
//!
//! In the order in which a daemon, and then a frame, meets them:
//!
//! | module | what |
//! | --- | --- |
//! | [`device`] | which device, decided once; [`device::start`] once a thread that calls libtorch |
//! | [`bundle`], [`parameters`] | manifest and weights on disk, checked; numbers on the host and on the device |
//! | [`infer`] | [`infer::TorchSegmenter`] and [`infer::TorchClassifier`]: one of each a device thread |
//! | [`cells`], [`segmentation`] | a tile's 2x2 cells as channels; auto-encoder, hypercolumns and head over them |
//! | [`classifier`], [`colour`] | auto-encoder and double-peak VAE of PSF residuals; the co-trained nets of colour |
//! | [`layers`] | what all nets are made of |
//! | [`cutouts`], [`stamps`] | nets of the study alone, which no bundle holds |
//! | [`process`] | how a process ends that libtorch is in |
//!
//! # Numbers of a net, written and read back
//!
//! ```
//! use rand::SeedableRng;
//! use twinpeak_nets::device::{Wanted, choose};
//! use twinpeak_nets::parameters::{Parameters, Start};
//!
//! assert!(choose(Wanted::Cpu)?.is_cpu());
//!
//! let shapes = vec![("head.weight".to_owned(), vec![4, 20]), ("head.bias".to_owned(), vec![4])];
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
//! let made = Parameters::random(&shapes, Start::default(), &mut rng);
//! let read = Parameters::from_safetensors(&made.to_safetensors(None)?)?;
//! read.check(&shapes)?;
//! assert_eq!(read, made);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bundle;
pub mod cells;
pub mod classifier;
pub mod colour;
pub mod cutouts;
pub mod device;
pub mod infer;
pub mod layers;
pub mod parameters;
pub mod process;
pub mod segmentation;
pub mod stamps;
