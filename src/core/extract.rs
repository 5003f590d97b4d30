//! From scores to footprints: connected components, parting of what touches, bounds.
//!
//! Two kinds of score are known, and [`Parting`] says which: one number a pixel, whose components are split where the
//! *image* has peaks (`brightness`); or centres and extents ([`crate::scores`]), whose components are split where the score
//! of *centres* has peaks, and outlined by that of extents (`centres`).

mod absorb;
mod brightness;
pub mod calibrate;
mod centres;
mod components;
mod deblend;
#[cfg(test)]
mod tests;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::catalog::flag;
use crate::frame::{Plane, mask};
use crate::scores::Scores;

/// Parameters of extraction; thresholds come from the model bundle, bounds from the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Connected pixels whose score of centres is above this are an object: as low as the noise allows.
    pub detect_threshold: f32,
    /// An object's footprint is its pixels with scores of extent above this, where it has enough of them; a faint object
    /// keeps all above `detect_threshold`.
    pub extent_threshold: f32,
    /// Fewest pixels of an object.
    pub min_area_px: usize,
    /// By what objects that touch are told apart.
    pub parting: Parting,
    /// Most children of one component; the faintest are merged beyond it.
    pub max_children: usize,
    /// Largest component that is deblended.
    pub max_component_px: usize,
}

/// By what objects that touch are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by", deny_unknown_fields)]
pub enum Parting {
    /// By peaks of the detection image; one score detects and outlines, with `extent_threshold` as the higher of its two
    /// thresholds (hysteresis).
    Brightness {
        /// A peak lives on if it rises this many sigma above where it meets a brighter one...
        sigma: f32,
        /// ...and this share of its own height.
        ratio: f32,
    },
    /// By peaks of the score of centres.
    Centres {
        /// A peak lives on if its score rises so far above where it meets a higher one.
        rise: f32,
        /// Connected pixels with scores of extent above this that hold no centre are an object too: large bright galaxies,
        /// in which no pixel looks like a centre.
        extended_threshold: f32,
    },
}

impl Parting {
    /// Of a score without centres: 3 sigma and 5 %.
    pub const BRIGHTNESS: Self = Self::Brightness { sigma: 3.0, ratio: 0.05 };
    /// Of log-odds: twice as likely a centre as where it meets another.
    pub const CENTRES: Self = Self::Centres { rise: 0.7, extended_threshold: 1.0 };
}

impl Settings {
    /// Most objects that one connected component is split into, unless said otherwise.
    pub const MAX_CHILDREN: usize = 10_000;
    /// Largest connected component that is split, px, unless said otherwise.
    pub const MAX_COMPONENT_PX: usize = 3_000_000;

    /// The deblender's rules: a peak rises by this, and by this share of its height.
    fn rules(&self, rise: f32, ratio: f32) -> deblend::Rules {
        deblend::Rules { rise, ratio, max_children: self.max_children, min_area_px: self.min_area_px }
    }
}

/// Place, size and brightness of one object's pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint {
    /// Its value in the segmentation: index + 1. Numbers follow each object's first pixel, row by row.
    pub number: u32,
    /// Column of the flux-weighted centroid on the detection image, px.
    pub x: f64,
    /// Row of the same centroid, px.
    pub y: f64,
    /// Bounding box: first column, first row, last column, last row, inclusive.
    pub bounds: [usize; 4],
    /// Number of its pixels.
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
    /// Footprints in the order of their numbers: index + 1.
    pub objects: Vec<Footprint>,
}

/// Finds objects as [`Settings::parting`] says.
///
/// `detection` is a smoothed weighted sum of the bands with unit noise ([`crate::filter::detection_image`]);
/// `bits` the frame's mask. Deterministic, in parallel over components.
pub fn extract(scores: &Scores, detection: &Plane<f32>, bits: &Plane<u8>, settings: &Settings) -> Footprints {
    let parts = match settings.parting {
        Parting::Brightness { sigma, ratio } => {
            brightness::parts(&scores.centre, detection, settings, &settings.rules(sigma, ratio))
        }
        Parting::Centres { rise, extended_threshold } => {
            centres::parts(scores, detection, settings, &settings.rules(rise, 0.0), extended_threshold)
        }
    };
    let mut found: Vec<Child> = parts.into_par_iter().map(|part| child(part, detection, bits)).collect();
    found.sort_unstable_by_key(|child| child.pixels[0]);

    let width = detection.width();
    let mut segmentation = Plane::filled(width, detection.height(), 0u32);
    for (number, child) in (1u32..).zip(&mut found) {
        child.footprint.number = number;
        for &(y, x) in &child.pixels {
            segmentation.set(x as usize, y as usize, number);
        }
    }
    let flux: Vec<f64> = found.iter().map(|c| c.flux).collect();
    let crowded: Vec<bool> =
        found.par_iter().map(|c| has_bright_neighbour(&c.pixels, c.footprint.number, &segmentation, &flux)).collect();
    let mut objects: Vec<Footprint> = found.into_iter().map(|c| c.footprint).collect();
    for (object, crowded) in objects.iter_mut().zip(crowded) {
        object.flags |= if crowded { flag::NEIGHBOURS } else { 0 };
    }
    Footprints { segmentation, objects }
}

/// One object's pixels: row and column of each, row by row, at least one.
struct Part {
    pixels: Vec<(u32, u32)>,
    /// [`flag`] bits that parting it showed.
    flags: u32,
}

/// An object before it has a number.
struct Child {
    footprint: Footprint,
    /// Row and column of each pixel, row by row.
    pixels: Vec<(u32, u32)>,
    /// Sum of the detection image.
    flux: f64,
}

/// Measures a part.
fn child(part: Part, detection: &Plane<f32>, bits: &Plane<u8>) -> Child {
    let Part { pixels, mut flags } = part;
    let (width, height) = (detection.width(), detection.height());
    let mut bounds = [usize::MAX, usize::MAX, 0, 0];
    let (mut sum, mut at_x, mut at_y, mut flux, mut peak) = (0.0, 0.0, 0.0, 0.0, f32::NEG_INFINITY);
    for &(y, x) in &pixels {
        let (x, y) = (x as usize, y as usize);
        bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
        let value = detection.at(x, y);
        peak = peak.max(value);
        flux += f64::from(value);
        // A pixel at or below the sky has next to no say, but an object of such pixels still has a place.
        let weight = f64::from(value.max(1e-3));
        sum += weight;
        at_x += weight * x as f64;
        at_y += weight * y as f64;
        let bits = bits.at(x, y);
        flags |= if bits & mask::SAT != 0 { flag::SATURATED } else { 0 };
        flags |= if bits & (mask::BAD | mask::NO_DATA) != 0 { flag::BAD_PIXELS } else { 0 };
    }
    if bounds[0] == 0 || bounds[1] == 0 || bounds[2] + 1 >= width || bounds[3] + 1 >= height {
        flags |= flag::TRUNCATED;
    }
    let footprint = Footprint { number: 0, x: at_x / sum, y: at_y / sum, bounds, area_px: pixels.len(), peak, flags };
    Child { footprint, pixels, flux }
}

/// Whether another object with more than a tenth of this one's flux lies within 2 px of its footprint.
fn has_bright_neighbour(pixels: &[(u32, u32)], own: u32, segmentation: &Plane<u32>, flux: &[f64]) -> bool {
    const REACH_PX: usize = 2;
    let enough = 0.1 * flux[own as usize - 1];
    pixels.iter().any(|&(y, x)| {
        let (x, y) = (x as usize, y as usize);
        let rows = y.saturating_sub(REACH_PX)..(y + REACH_PX + 1).min(segmentation.height());
        let columns = x.saturating_sub(REACH_PX)..(x + REACH_PX + 1).min(segmentation.width());
        rows.into_iter().any(|y| {
            let near = &segmentation.row(y)[columns.clone()];
            near.iter().any(|&n| n != 0 && n != own && flux[n as usize - 1] > enough)
        })
    })
}
