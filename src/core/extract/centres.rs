//! Objects of two scores. Centres detect: a component of their score, split where the score itself has peaks that
//! persist, is the seed of one object each. A large bright galaxy may have no pixel that looks like a centre; a component
//! of the score of extent that holds no seed is one more. Then the seeds grow over what the score of extent outlines, from
//! the brightest pixel down (a watershed), so that each pixel goes to the object whose light runs down to it.
//!
//! In the light of a bright object the score alone is not believed: flat cores and large bright galaxies are unlike all that a
//! net has seen injected, and look like several centres. There a centre needs a peak of its own in the image, too.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rayon::prelude::*;

use super::components::{Component, Components, Members, NOWHERE};
use super::deblend::{self, Rules, Split};
use super::{Part, Settings};
use crate::catalog::flag;
use crate::frame::Plane;
use crate::scores::Scores;

/// In the light of an object brighter than this, sigma of the detection image...
const BRIGHT_SIGMA: f32 = 30.0;
/// ...a centre needs a peak in the image that rises so much, sigma, and this share of its own height: the rule for scores
/// without centres ([`super::Parting::BRIGHTNESS`]).
const PEAK: (f32, f32) = (3.0, 0.05);
/// No seed.
const NONE: u32 = u32::MAX;

/// Each object's pixels, in no particular order.
pub(super) fn parts(
    scores: &Scores,
    detection: &Plane<f32>,
    settings: &Settings,
    rules: &Rules,
    extended_threshold: f32,
) -> Vec<Part> {
    let (width, height) = (detection.width(), detection.height());
    let mut seeds = centres(&scores.centre, settings, rules);
    let mut seed_of = Plane::filled(width, height, NONE);
    let mark = |seed_of: &mut Plane<u32>, number: u32, seed: &Part| {
        seed.pixels.iter().for_each(|&(y, x)| seed_of.set(x as usize, y as usize, number));
    };
    for (number, seed) in (0..).zip(&seeds) {
        mark(&mut seed_of, number, seed);
    }
    for seed in without_centre(&scores.extent, extended_threshold, settings.min_area_px, &seed_of) {
        mark(&mut seed_of, seeds.len() as u32, &seed);
        seeds.push(seed);
    }

    // What the score of extent outlines, and the seeds, which a faint object may have alone.
    let mut domain = scores.extent.map(|s| if s > settings.extent_threshold { 1.0 } else { 0.0 });
    let place = |&(y, x): &(u32, u32)| (x as usize, y as usize);
    seeds.iter().flat_map(|seed| &seed.pixels).map(place).for_each(|(x, y)| domain.set(x, y, 1.0));
    let components = Components::of(&domain, 0.5);
    let members = Members::new(&components, width, height);
    let grown = components.list.par_iter().map(|component| {
        let pixels = components.pixels(component);
        let mut seed: Vec<u32> = pixels.iter().map(place).map(|(x, y)| seed_of.at(x, y)).collect();
        let brightness: Vec<f32> = pixels.iter().map(place).map(|(x, y)| detection.at(x, y)).collect();
        let whole = component.area_px > settings.max_component_px;
        if !whole {
            let peaks = Rules { rise: PEAK.0, ratio: PEAK.1, max_children: settings.max_children, min_area_px: 1 };
            join_within_bright(&pixels, &brightness, &mut seed, &members, &peaks);
        }
        let mut own: Vec<u32> = seed.iter().copied().filter(|&s| s != NONE).collect();
        own.sort_unstable();
        own.dedup();
        let (grown, bound) = match own[..] {
            [] => return Vec::new(),
            [only] => (vec![only; pixels.len()], 0),
            [first, ..] if whole => {
                own.truncate(1);
                (vec![first; pixels.len()], flag::COMPONENT_BOUND)
            }
            _ => (watershed(&pixels, &brightness, &seed, &members), 0),
        };
        let blended = if own.len() > 1 { flag::BLENDED } else { 0 };
        let mut parts: Vec<Grown> = vec![Default::default(); own.len()];
        for (pixel, number) in pixels.iter().zip(&grown) {
            let Ok(index) = own.binary_search(number) else { continue };
            let (x, y) = place(pixel);
            parts[index].1 += usize::from(scores.extent.at(x, y) > settings.extent_threshold);
            parts[index].0.push(*pixel);
        }
        let finish = |(number, (mut pixels, outlined)): (&u32, Grown)| {
            let seed = &seeds[*number as usize];
            if outlined >= settings.min_area_px {
                pixels.retain(|p| scores.extent.at(place(p).0, place(p).1) > settings.extent_threshold);
            } else if !whole {
                pixels = seed.pixels.clone();
            }
            Part { pixels, flags: seed.flags | blended | bound }
        };
        own.iter().zip(parts).map(finish).collect()
    });
    grown.collect::<Vec<_>>().into_iter().flatten().collect()
}

/// Pixels (row, column) of a part, and how many of them the extent's score outlines.
type Grown = (Vec<(u32, u32)>, usize);

/// Components of the score of centres, split by its own peaks.
fn centres(score: &Plane<f32>, settings: &Settings, rules: &Rules) -> Vec<Part> {
    let components = Components::of(score, settings.detect_threshold);
    let members = Members::new(&components, score.width(), score.height());
    let large: Vec<&Component> = components.list.iter().filter(|c| c.area_px >= settings.min_area_px).collect();
    let split = |component: &&Component| {
        let pixels = components.pixels(component);
        let (split, flags) = if component.area_px > settings.max_component_px {
            (Split::whole(pixels.len()), flag::COMPONENT_BOUND)
        } else {
            let values: Vec<f32> = pixels.iter().map(|&(y, x)| score.at(x as usize, y as usize)).collect();
            let split = deblend::deblend(&pixels, &values, &members, rules);
            let flags = if split.bound_hit { flag::DEBLEND_BOUND } else { 0 };
            (split, flags)
        };
        let part = |pixels| Part { pixels, flags };
        split.parts(&pixels).into_iter().map(part).collect::<Vec<_>>()
    };
    large.par_iter().map(split).collect::<Vec<_>>().into_iter().flatten().collect()
}

/// Gives all seeds under one peak of the image, where that is bright, to the one that holds the brightest pixel.
fn join_within_bright(pixels: &[(u32, u32)], brightness: &[f32], seed: &mut [u32], members: &Members, peaks: &Rules) {
    let seeded = || seed.iter().filter(|s| **s != NONE);
    let several = seeded().next().is_some_and(|first| seeded().any(|s| s != first));
    if !several || !brightness.iter().any(|b| *b > BRIGHT_SIGMA) {
        return;
    }
    let split = deblend::deblend(pixels, brightness, members, peaks);
    // The brightest pixel of each seed says under which peak it stands; of equals, the first.
    let mut brightest: BTreeMap<u32, usize> = BTreeMap::new();
    for (i, &number) in seed.iter().enumerate().filter(|(_, s)| **s != NONE) {
        let at = brightest.entry(number).or_insert(i);
        if brightness[i] > brightness[*at] {
            *at = i;
        }
    }
    let mut peak = vec![f32::NEG_INFINITY; split.children];
    let mut keeper: Vec<Option<usize>> = vec![None; split.children];
    for (&child, &value) in split.child.iter().zip(brightness).filter(|(c, _)| **c != deblend::SKY) {
        peak[child as usize] = peak[child as usize].max(value);
    }
    for &at in brightest.values() {
        let Some(keeper) = keeper.get_mut(split.child[at] as usize) else { continue };
        if keeper.is_none_or(|kept| brightness[at] > brightness[kept]) {
            *keeper = Some(at);
        }
    }
    let heir = |number: u32, at: usize| {
        let child = split.child[at] as usize;
        let bright = peak.get(child).is_some_and(|peak| *peak > BRIGHT_SIGMA);
        if bright { keeper[child].map_or(number, |kept| seed[kept]) } else { number }
    };
    let heirs: BTreeMap<u32, u32> = brightest.iter().map(|(&number, &at)| (number, heir(number, at))).collect();
    seed.iter_mut().for_each(|s| *s = heirs.get(s).copied().unwrap_or(*s));
}

/// Components of the score of extent above `threshold` in which there is no seed.
fn without_centre(extent: &Plane<f32>, threshold: f32, min_area_px: usize, seed_of: &Plane<u32>) -> Vec<Part> {
    let components = Components::of(extent, threshold);
    let large = components.list.iter().filter(|c| c.area_px >= min_area_px);
    let pixels = large.map(|c| components.pixels(c));
    let free = pixels.filter(|pixels| pixels.iter().all(|&(y, x)| seed_of.at(x as usize, y as usize) == NONE));
    free.map(|pixels| Part { pixels, flags: 0 }).collect()
}

/// The seed that each pixel of a component belongs to: seeds grow into the brightest pixel that touches one of them, and of
/// equals into the first that was reached.
fn watershed(pixels: &[(u32, u32)], brightness: &[f32], seed: &[u32], members: &Members) -> Vec<u32> {
    let mut owner = seed.to_vec();
    let mut reached = seed.iter().map(|&s| s != NONE).collect::<Vec<bool>>();
    let mut waiting = BinaryHeap::new();
    let mut order = 0u32;
    let mut reach = |from: usize, number: u32, reached: &mut Vec<bool>, waiting: &mut BinaryHeap<_>| {
        for place in members.around(pixels[from]).into_iter().filter(|&p| p != NOWHERE) {
            if !std::mem::replace(&mut reached[place as usize], true) {
                waiting.push((deblend::rising(brightness[place as usize]), Reverse(order), place, number));
                order += 1;
            }
        }
    };
    for (i, &number) in seed.iter().enumerate().filter(|(_, s)| **s != NONE) {
        reach(i, number, &mut reached, &mut waiting);
    }
    while let Some((_, _, place, number)) = waiting.pop() {
        owner[place as usize] = number;
        reach(place as usize, number, &mut reached, &mut waiting);
    }
    owner
}
