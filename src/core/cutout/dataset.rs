//! The whole 64x64x5 cut that data sets and studies keep of an object.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::FrameView;
use crate::frame::{BANDS, mask};
use crate::model::{TILE, TILE_LEN, TILE_PIXELS};

/// Index of the object on both axes.
const HALF: usize = TILE / 2;

/// 64x64 pixels of the object `number` in every band, nMgy, band fastest (NHWC), reference position `at` on index 32
/// of both axes. Others' light is taken away; pixels of those that have no model (grown by 1 px), unusable ones and those beyond the frame take the value
/// rotated by 180 degrees about the object, or sky noise of the same `seed` where that is masked too.
pub fn cutout64(view: &FrameView, number: u32, at: (f64, f64), seed: u64) -> Box<[f32]> {
    let neighbours = neighbours64(view, number, at);
    let others = view.others(number, at, HALF as f64);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut out = vec![0.0; TILE_LEN].into_boxed_slice();
    let mut plane = vec![0.0; TILE_PIXELS];
    for b in 0..BANDS {
        let in_band = view.prepared.to_band[b].apply(at.0, at.1);
        view.splines.cut(b, in_band, HALF, &mut plane);
        let first = (in_band.0 - HALF as f64, in_band.1 - HALF as f64);
        if let Some(light) = others.as_ref().and_then(|others| others.on_grid(b, first, (TILE, TILE))) {
            plane.iter_mut().zip(&light.value).for_each(|(p, l)| *p -= l);
        }
        let bits = view.bits(b);
        let first = (whole(in_band.0) - HALF as isize, whole(in_band.1) - HALF as isize);
        let masked: Vec<bool> = (0..TILE_PIXELS)
            .map(|i| {
                let here = bits.get(first.0 + (i % TILE) as isize, first.1 + (i / TILE) as isize);
                neighbours[i] || here.is_none_or(|bits| bits & mask::UNUSABLE != 0)
            })
            .collect();
        for i in 0..TILE_PIXELS {
            out[i * BANDS + b] = match turned(i) {
                _ if !masked[i] => plane[i],
                Some(turned) if !masked[turned] => plane[turned],
                _ => {
                    let unit: f32 = StandardNormal.sample(&mut random);
                    // Of a band that was not taken the noise has no bound, and a cut nothing.
                    if view.prepared.frame.present[b] { unit * view.prepared.sky[b].sigma_nmgy } else { 0.0 }
                }
            };
        }
    }
    out
}

fn whole(v: f64) -> isize {
    v.round_ties_even().clamp(-1e9, 1e9) as isize
}

/// The pixel on the other side of the object; row and column 0 have none.
fn turned(i: usize) -> Option<usize> {
    let (x, y) = (i % TILE, i / TILE);
    (x > 0 && y > 0).then(|| (TILE - y) * TILE + TILE - x)
}

fn neighbours64(view: &FrameView, number: u32, at: (f64, f64)) -> Vec<bool> {
    let first = (whole(at.0) - HALF as isize, whole(at.1) - HALF as isize);
    let here = |x: isize, y: isize| view.segmentation.get(first.0 + x, first.1 + y);
    let other = |x, y| here(x, y).is_some_and(|s| view.is_masked(s, number));
    (0..TILE_PIXELS)
        .map(|i| {
            let (x, y) = ((i % TILE) as isize, (i / TILE) as isize);
            match here(x, y) {
                None => true,
                Some(s) if s == number => false,
                Some(_) => [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)].iter().any(|d| other(x + d.0, y + d.1)),
            }
        })
        .collect()
}
