//! From a plane of scores to footprints: connected components, deblending, bounds.

mod absorb;
pub mod calibrate;
mod components;
mod deblend;
#[cfg(test)]
mod tests;

use components::{Component, Components, Members};
use deblend::Rules;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::catalog::flag;
use crate::frame::{Plane, mask};

/// Parameters of extraction; thresholds come from the model bundle, bounds from the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Connected pixels with scores above this are an object: the threshold of detection, as low as the noise allows.
    pub detect_threshold: f32,
    /// The higher threshold (hysteresis): an object's footprint is its pixels above this, where it has enough of
    /// them; a faint object keeps all above `detect_threshold`. Not below that.
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

impl Settings {
    /// Most objects that one connected component is split into, unless said otherwise.
    pub const MAX_CHILDREN: usize = 10_000;
    /// Largest connected component that is split, px, unless said otherwise.
    pub const MAX_COMPONENT_PX: usize = 3_000_000;
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

/// Finds objects: components of the pixels that `hysteresis_threshold` keeps, split where the detection image has
/// peaks that persist.
///
/// `detection` is a smoothed weighted sum of the bands with unit noise ([`crate::filter::detection_image`]);
/// `bits` the frame's mask. Deterministic, in parallel over components.
pub fn extract(score: &Plane<f32>, detection: &Plane<f32>, bits: &Plane<u8>, settings: &Settings) -> Footprints {
    let components = Components::of(&hysteresis_threshold(score, settings), f32::NEG_INFINITY);
    let members = Members::new(&components, score.width(), score.height());
    let found: Vec<Vec<Child>> =
        components.list.par_iter().map(|c| children(&components, c, &members, detection, bits, settings)).collect();
    let mut found: Vec<Child> = found.into_iter().flatten().collect();
    found.sort_unstable_by_key(|child| child.pixels[0]);

    let width = score.width();
    let mut segmentation = Plane::filled(width, score.height(), 0u32);
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

/// Scores of the pixels that belong to objects, minus infinity elsewhere, by two thresholds (hysteresis), because a
/// faint object has no pixel above the higher one: components above the extent threshold that are large enough, and of
/// those above the detection threshold the ones that hold none of the former.
fn hysteresis_threshold(score: &Plane<f32>, settings: &Settings) -> Plane<f32> {
    let mut kept = Plane::filled(score.width(), score.height(), f32::NEG_INFINITY);
    let large = |c: &&Component| c.area_px >= settings.min_area_px;
    let bright = Components::of(score, settings.extent_threshold);
    let faint = Components::of(score, settings.detect_threshold);
    let mut keep = |pixels: Vec<(u32, u32)>, unless_kept: bool| {
        let place = |&(y, x): &(u32, u32)| (x as usize, y as usize);
        if unless_kept && pixels.iter().map(place).any(|(x, y)| kept.at(x, y) > f32::NEG_INFINITY) {
            return;
        }
        pixels.iter().map(place).for_each(|(x, y)| kept.set(x, y, score.at(x, y)));
    };
    bright.list.iter().filter(large).for_each(|c| keep(bright.pixels(c), false));
    faint.list.iter().filter(large).for_each(|c| keep(faint.pixels(c), true));
    kept
}

/// An object before it has a number.
struct Child {
    footprint: Footprint,
    /// Row and column of each pixel, row by row.
    pixels: Vec<(u32, u32)>,
    /// Sum of the detection image.
    flux: f64,
}

/// The objects of one component.
fn children(
    components: &Components,
    component: &Component,
    members: &Members,
    detection: &Plane<f32>,
    bits: &Plane<u8>,
    settings: &Settings,
) -> Vec<Child> {
    let pixels = components.pixels(component);
    let values: Vec<f32> = pixels.iter().map(|&(y, x)| detection.at(x as usize, y as usize)).collect();
    let (split, bound) = if component.area_px > settings.max_component_px {
        (deblend::Split::whole(pixels.len()), flag::COMPONENT_BOUND)
    } else {
        let rules = Rules {
            sigma: settings.deblend_sigma,
            ratio: settings.deblend_ratio,
            max_children: settings.max_children,
            min_area_px: settings.min_area_px,
        };
        let split = deblend::deblend(&pixels, &values, members, &rules);
        let bound = if split.bound_hit { flag::DEBLEND_BOUND } else { 0 };
        (split, bound)
    };
    let blended = if split.children > 1 { flag::BLENDED } else { 0 };
    let mut parts = vec![Vec::new(); split.children];
    for (pixel, &part) in pixels.iter().zip(&split.child) {
        if part != deblend::SKY {
            parts[part as usize].push(*pixel);
        }
    }
    parts.into_iter().map(|pixels| child(pixels, detection, bits, bound | blended)).collect()
}

/// Measures a footprint of at least one pixel.
fn child(pixels: Vec<(u32, u32)>, detection: &Plane<f32>, bits: &Plane<u8>, mut flags: u32) -> Child {
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
