//! What frames, objects and catalogues are, and all that is computed of them.

pub mod aperture;
pub mod catalog;
pub mod causes;
pub mod cutout;
pub mod drift;
pub mod extract;
pub mod filter;
pub mod frame;
pub mod measure;
pub mod model;
pub mod objects;
pub mod outcome;
pub mod posterior;
pub mod preprocess;
pub mod psf;
pub mod recipe;
pub mod survey;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod threshold;
pub mod tile;
pub mod units;
pub mod wcs;
