//! Objects of one score: components above two thresholds, split where the detection image has peaks that persist.

use rayon::prelude::*;

use super::components::{Component, Components, Members};
use super::deblend::{self, Rules, Split};
use super::{Part, Settings};
use crate::catalog::flag;
use crate::frame::Plane;

/// Each object's pixels, in no particular order.
pub(super) fn parts(score: &Plane<f32>, detection: &Plane<f32>, settings: &Settings, rules: &Rules) -> Vec<Part> {
    let components = Components::of(&hysteresis_threshold(score, settings), f32::NEG_INFINITY);
    let members = Members::new(&components, score.width(), score.height());
    let of = |c: &Component| children(&components, c, &members, detection, settings.max_component_px, rules);
    components.list.par_iter().map(of).collect::<Vec<_>>().into_iter().flatten().collect()
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

/// The objects of one component.
fn children(
    components: &Components,
    component: &Component,
    members: &Members,
    detection: &Plane<f32>,
    max_component_px: usize,
    rules: &Rules,
) -> Vec<Part> {
    let pixels = components.pixels(component);
    let (split, bound) = if component.area_px > max_component_px {
        (Split::whole(pixels.len()), flag::COMPONENT_BOUND)
    } else {
        let values: Vec<f32> = pixels.iter().map(|&(y, x)| detection.at(x as usize, y as usize)).collect();
        let split = deblend::deblend(&pixels, &values, members, rules);
        let bound = if split.bound_hit { flag::DEBLEND_BOUND } else { 0 };
        (split, bound)
    };
    let blended = if split.children > 1 { flag::BLENDED } else { 0 };
    split.parts(&pixels).into_iter().map(|pixels| Part { pixels, flags: bound | blended }).collect()
}
