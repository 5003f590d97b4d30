//! twinpeak
pub mod catalog;
pub mod cutout;
pub mod extract;
pub mod frame;
pub mod measure;
pub mod model;
pub mod picture;
pub mod pipeline;
pub mod posterior;
pub mod preprocess;
pub mod psf;
pub mod recipe;
pub mod store;
pub mod survey;
pub mod tile;
pub mod wcs;
