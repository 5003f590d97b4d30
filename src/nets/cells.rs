//! The segmentation net's input: stretched, and each 2x2 cell of pixels turned into one pixel of 20 channels. Done here
//! in plain Rust, in two passes over a tile: libtorch's asinh alone took a third of the net's time.

use tch::{TchError, Tensor};

use twinpeak_core::frame::BANDS;
use twinpeak_core::model::{TILE, TILE_LEN};

/// Sky noise units at which the stretch turns from linear to logarithmic.
pub const STRETCH_SIGMA: f32 = 3.0;
/// Channels of a cell: its four pixels in each band.
pub const CELL: usize = 4 * BANDS;
/// Cells along a tile's side.
pub const SIDE: usize = TILE / 2;

/// Tiles in units of sky noise (n times [`TILE_LEN`] values, NHWC) -> (n, 20, 32, 32), channels last, of asinh(x / 3):
/// linear in the noise, logarithmic in bright cores. Channel `5 (2 dy + dx) + band` is a cell's pixel (dx, dy).
///
/// # Errors
/// libtorch's.
pub fn cells(tiles: &[f32]) -> Result<Tensor, TchError> {
    const PAIR: usize = 2 * BANDS;
    let mut cells = vec![0.0; tiles.len()];
    let mut rows = [0.0; 2 * TILE * BANDS];
    for (tile, out) in tiles.chunks_exact(TILE_LEN).zip(cells.chunks_exact_mut(TILE_LEN)) {
        for (pixels, out) in tile.chunks_exact(rows.len()).zip(out.chunks_exact_mut(rows.len())) {
            rows.iter_mut().zip(pixels).for_each(|(s, &x)| *s = stretch(x));
            let (upper, lower) = rows.split_at(TILE * BANDS);
            let pairs = upper.chunks_exact(PAIR).zip(lower.chunks_exact(PAIR));
            for (cell, (upper, lower)) in out.chunks_exact_mut(CELL).zip(pairs) {
                cell[..PAIR].copy_from_slice(upper);
                cell[PAIR..].copy_from_slice(lower);
            }
        }
    }
    Tensor::f_from_slice(&cells)?.f_view([-1, SIDE as i64, SIDE as i64, CELL as i64])?.f_permute([0, 3, 1, 2])
}

/// asinh(x / 3) to 3e-7 of its value or absolutely; without branches, so that it vectorises.
fn stretch(x: f32) -> f32 {
    let x = x * (1.0 / STRETCH_SIGMA);
    let a = x.abs();
    natural_log(a + (a * a + 1.0).sqrt()).copysign(x)
}

/// ln of a number from 1 up, by Cephes' `logf` polynomial on [1/sqrt 2, sqrt 2).
fn natural_log(x: f32) -> f32 {
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let above = x.to_bits() - ROOT_HALF;
    let exponent = (above >> 23) as i32 as f32;
    let f = f32::from_bits((above & 0x007f_ffff) + ROOT_HALF) - 1.0;
    let coefficients = [
        -1.151_461_e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let polynomial = coefficients.iter().fold(7.037_684e-2, |p: f32, c| p * f + c);
    let square = f * f;
    f + (polynomial * f * square - 0.5 * square) + exponent * std::f32::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretch_is_asinh() {
        for i in -4000..=4000 {
            let x = (i as f32 / 400.0).powi(5);
            let (found, exact) = (f64::from(stretch(x)), (f64::from(x) / 3.0).asinh());
            assert!((found - exact).abs() < 3e-7 * exact.abs().max(1.0), "{x}: {found} {exact}");
        }
    }

    #[test]
    fn a_cell_holds_its_four_pixels() {
        let tile: Vec<f32> = (0..TILE_LEN).map(|i| ((i * 7919) % 1013) as f32 / 200.0 - 2.0).collect();
        let cells = cells(&[tile.clone(), vec![0.0; TILE_LEN]].concat()).unwrap();
        assert_eq!(cells.size(), [2, 20, 32, 32]);
        for (y, x, band) in [(0, 0, 0), (13, 40, 3), (63, 62, 4)] {
            let channel = ((y % 2) * 2 + x % 2) * 5 + band;
            let value = cells.double_value(&[0, channel, y / 2, x / 2]);
            assert_eq!(value as f32, stretch(tile[((y * 64 + x) * 5 + band) as usize]));
        }
    }
}
