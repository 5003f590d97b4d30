//! Learning to give back what was hidden (Krull et al. 2019, Noise2Void; Batson & Royer 2019, Noise2Self).
//!
//! A net with skips can copy its input, and the noise with it: nothing in its loss says which part is sky. Where the
//! loss asks only for pixels that the net was not shown, copying does not help: noise, being independent from pixel to
//! pixel, cannot be foretold from around it, and what can be is the object. One pixel of each block of 4x4, in all bands,
//! is replaced by another from within 2 px; the trained net is then shown everything.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Reduction, TchError, Tensor};

use twinpeak_core::frame::BANDS;
use twinpeak_core::model::{TILE, TILE_LEN};
use twinpeak_learn::segment::{Objective, miss, target};
use twinpeak_nets::cells::cells;
use twinpeak_nets::parameters::{Shapes, Tensors};
use twinpeak_nets::segmentation::{Autoencoder, Shape};

/// Side of the block that hides one pixel, px.
const BLOCK_PX: usize = 4;
/// How far the pixel comes from that is shown instead, px.
const REACH_PX: i64 = 2;

/// Give back pixels that the net does not see.
pub(super) struct BlindSpot;

impl Objective for BlindSpot {
    type Layers = ();

    fn name(&self) -> &'static str {
        "BlindSpot"
    }

    fn shapes(&self, _: &Shape) -> Shapes {
        Shapes::new()
    }

    fn layers(&self, _: &Tensors) -> Result<(), TchError> {
        Ok(())
    }

    fn loss(&self, net: &Autoencoder, (): &(), mut pixels: Vec<f32>, rng: &mut ChaCha8Rng) -> Result<Tensor, TchError> {
        let target = target(&cells(&pixels)?)?;
        let hidden = hide(&mut pixels, rng);
        let made = net.reconstruct(&net.hypercolumns(&cells(&pixels)?)?)?;
        mean(&miss(&made, &target, Reduction::None)?, &hidden)
    }
}

/// Hides pixels of tiles (NHWC); 1 where one is hidden, else 0, in the same order.
fn hide(tiles: &mut [f32], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut hidden = vec![0.0; tiles.len()];
    for (tile, hidden) in tiles.chunks_exact_mut(TILE_LEN).zip(hidden.chunks_exact_mut(TILE_LEN)) {
        for y in (0..TILE).step_by(BLOCK_PX) {
            for x in (0..TILE).step_by(BLOCK_PX) {
                let at = (x + rng.random_range(0..BLOCK_PX), y + rng.random_range(0..BLOCK_PX));
                let (to, from) = (pixel(at), pixel(other(at, rng)));
                tile.copy_within(from..from + BANDS, to);
                hidden[to..to + BANDS].fill(1.0);
            }
        }
    }
    hidden
}

/// Mean of `each` (n, 20, 32, 32) over hidden pixels.
fn mean(each: &Tensor, hidden: &[f32]) -> Result<Tensor, TchError> {
    let hidden = cells(hidden)?.f_gt(0.0)?.f_to_kind(Kind::Float)?;
    each.f_mul(&hidden)?.f_sum(Kind::Float)?.f_div(&hidden.f_sum(Kind::Float)?)
}

/// Another pixel of the tile near this one.
fn other((x, y): (usize, usize), rng: &mut ChaCha8Rng) -> (usize, usize) {
    loop {
        let mut near =
            |at: usize| (at as i64 + rng.random_range(-REACH_PX..=REACH_PX)).clamp(0, TILE as i64 - 1) as usize;
        let found = (near(x), near(y));
        if found != (x, y) {
            return found;
        }
    }
}

/// Where a pixel's bands begin.
fn pixel((x, y): (usize, usize)) -> usize {
    (y * TILE + x) * BANDS
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_sixteenth_is_hidden_and_nothing_else_changes() {
        let before: Vec<f32> = (0..2 * TILE_LEN).map(|i| i as f32).collect();
        let mut after = before.clone();
        let hidden = hide(&mut after, &mut ChaCha8Rng::seed_from_u64(4));
        assert_eq!(hidden.iter().sum::<f32>() as usize, 2 * TILE_LEN / 16);
        for ((before, after), hidden) in before.iter().zip(&after).zip(&hidden) {
            assert_eq!(before != after, *hidden == 1.0, "{before} {after} {hidden}");
        }
    }

    #[test]
    fn only_hidden_pixels_count() {
        let mut tile = vec![0.0; TILE_LEN];
        let hidden = hide(&mut tile, &mut ChaCha8Rng::seed_from_u64(5));
        let each = cells(&hidden).unwrap().gt(0.0).to_kind(Kind::Float);
        let there = mean(&each, &hidden).unwrap().double_value(&[]);
        let elsewhere = mean(&(1.0 - each), &hidden).unwrap().double_value(&[]);
        assert_eq!((there, elsewhere), (1.0, 0.0));
    }
}
