//! How a model bundle wants frames treated: the parameters that its nets were trained with. It is the middle
//! of a bundle's manifest, and the only way parameters reach the pipeline, so that trainer and daemon cannot
//! differ.

use serde::{Deserialize, Serialize};

use crate::frame::PerBand;
use crate::{extract, posterior, preprocess};

/// Parameters pinned by a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Parameters of background, noise and masks.
    pub preprocess: preprocess::Settings,
    /// Overlap of neighbouring tiles, px.
    pub tile_overlap_px: usize,
    /// Thresholds and parameters of deblending.
    pub extract: extract::Settings,
    /// Seeing to fall back on where a frame has too few stars, arcsec.
    pub fallback_fwhm_arcsec: PerBand<f64>,
    /// From what is known of an object to a probability.
    pub posterior: posterior::Posterior,
}
