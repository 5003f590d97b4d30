//! The nets, each built from named parameters. Training and inference build and run the same code.

pub mod cells;
pub mod classifier;
pub mod colour;
pub mod cutouts;
pub mod layers;
pub mod segmentation;
pub mod stamps;
