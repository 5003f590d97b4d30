//! The pixels of one object's fit in one band, packed so that sums run over them side by side.

use super::bank::HALF_LARGE;
use super::render::Window;
use super::sweep::Rows;

pub(super) const HALF: isize = 10;
pub(super) const SIDE: usize = 2 * HALF as usize + 1;
/// Sums run over so many pixels side by side.
const LANES: usize = 8;
pub(super) const STRIDE: usize = SIDE.next_multiple_of(LANES);
pub(super) const GRID: usize = SIDE * STRIDE;
pub(super) type Packed = [f32; GRID];

/// A model of unit flux on the pixels that it has light in.
#[derive(Default)]
pub(super) struct Drawn {
    pub window: Option<Window>,
    pub light: Vec<f32>,
}

/// Data minus others about an object in one band.
pub(super) struct Pixels {
    pub left: isize,
    pub top: isize,
    pub value: Packed,
    pub weight: Packed,
    pub count: usize,
}

impl Drawn {
    /// Its values on the pixels of a fit, 0 beyond the aperture's side.
    pub fn packed(&self, pixels: &Pixels) -> Packed {
        let mut packed = [0.0; GRID];
        let Some(window) = self.window else { return packed };
        let (dx, dy) = (pixels.left - window.left, pixels.top - window.top);
        debug_assert!(dx >= 0 && dy >= 0 && dx as usize + SIDE <= window.width && dy as usize + SIDE <= window.height);
        for (j, row) in packed.chunks_exact_mut(STRIDE).enumerate() {
            let from = (j + dy as usize) * window.width + dx as usize;
            row[..SIDE].copy_from_slice(&self.light[from..from + SIDE]);
        }
        packed
    }

    pub fn add_to(&self, total: &mut Rows, by: f32, width: usize) {
        let Some(window) = self.window.filter(|_| by != 0.0) else { return };
        let from = window.left.clamp(0, width as isize);
        let to = (window.left + window.width as isize).clamp(from, width as isize);
        if to == from {
            return;
        }
        let skipped = (from - window.left) as usize;
        for (y, light) in (window.top..).zip(self.light.chunks_exact(window.width)) {
            if let Some(row) = total.row(y, from as usize, to as usize) {
                row.iter_mut().zip(&light[skipped..]).for_each(|(t, l)| *t += by * l);
            }
        }
    }
}

impl Pixels {
    /// Sums of weight x value x model and of weight x model^2.
    pub fn sums(&self, model: &Packed) -> (f64, f64) {
        let (mut along, mut length) = ([0.0f32; LANES], [0.0f32; LANES]);
        let (values, weights, models) =
            (self.value.as_chunks::<LANES>().0, self.weight.as_chunks::<LANES>().0, model.as_chunks::<LANES>().0);
        for ((value, weight), model) in values.iter().zip(weights).zip(models) {
            for lane in 0..LANES {
                let weighted = weight[lane] * model[lane];
                along[lane] += weighted * value[lane];
                length[lane] += weighted * model[lane];
            }
        }
        let sum = |lanes: [f32; LANES]| lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
        (sum(along), sum(length))
    }
}

const _: () = assert!(HALF_LARGE > HALF as usize + 2 && STRIDE <= super::render::LONGEST);
