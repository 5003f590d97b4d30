//! From a plane of scores to footprints: connected components, deblending, bounds.

use serde::{Deserialize, Serialize};

use crate::frame::Plane;

/// Parameters of extraction; thresholds come from the model bundle, bounds from the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A component is an object if some pixel's score is above this.
    pub detect_threshold: f32,
    /// Pixels above this belong to objects; not above `detect_threshold`.
    pub extent_threshold: f32,
    /// Fewest pixels of an object.
    pub min_area_px: usize,
    /// A peak lives on if it rises this many sigma above where it meets a brighter one...
    pub deblend_sigma: f32,
    /// ...and this share of its own height.
    pub deblend_ratio: f32,
    /// Most children of one component; the faintest are merged beyond it.
    pub max_children: usize,
    /// Largest component that is deblended.
    pub max_component_px: usize,
}

/// One object's pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint {
    /// Its value in the segmentation: index + 1.
    pub number: u32,
    /// Flux-weighted centroid on the detection image, px.
    pub x: f64,
    /// See `x`.
    pub y: f64,
    /// Bounding box: first column, first row, last column, last row, inclusive.
    pub bounds: [usize; 4],
    /// Pixels.
    pub area_px: usize,
    /// Brightest value of the detection image, sigma.
    pub peak: f32,
    /// [`crate::catalog::flag`] bits known so far.
    pub flags: u32,
}

/// All objects of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprints {
    /// 0 for sky, else a footprint's number.
    pub segmentation: Plane<u32>,
    /// By number.
    pub objects: Vec<Footprint>,
}

/// Finds objects. `detection` is a smoothed weighted sum of the bands with unit noise; `bits` the frame's mask.
/// Deterministic, in parallel over components.
pub fn extract(_score: &Plane<f32>, _detection: &Plane<f32>, _bits: &Plane<u8>, _settings: &Settings) -> Footprints {
    todo!()
}
