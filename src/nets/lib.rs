//! libtorch: the device, the nets, the model bundle, and the two ports of [`twinpeak_core::model`] over them. With
//! `learn` the only place that names tch.
//!
//! What a caller needs: [`device::start`] once, [`bundle::Bundle::load`] once, and on each device thread one
//! [`infer::TorchSegmenter`] and one [`infer::TorchClassifier`] of its own.

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
