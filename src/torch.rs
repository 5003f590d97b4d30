//! libtorch: the device, the nets, the model bundle, and the two ports of [`crate::model`] over them. With
//! `learn` the only place that names tch.
//!
//! What a caller needs: [`device::start`] once, [`bundle::Bundle::load`] once, and on each device thread one
//! [`infer::TorchSegmenter`] and one [`infer::TorchClassifier`] of its own.

pub mod bundle;
pub mod device;
pub mod infer;
pub mod nets;
pub mod parameters;
pub mod process;
