//! Cut a frame into overlapping 64x64x5 tiles, and stitch their answers into one plane.
//!
//! Tiles lie on a grid `TILE - overlap` apart, the last column and row moved inwards so that every tile lies
//! wholly inside the frame. Of each tile's answer only the part nearest to its own centre is kept, so an
//! inner pixel's answer comes from a tile that sees at least `overlap / 2` pixels around it.

use crate::frame::{BANDS, PerBand, Plane};
use crate::model::{TILE, TILE_LEN, TILE_PIXELS, TILE_SCORES};
use crate::scores::Scores;

/// Where the tiles of one frame lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiling {
    columns: Vec<Span>,
    rows: Vec<Span>,
}

/// One tile's place on an axis, and the part of the axis that its answer fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: usize,
    keep_from: usize,
    keep_to: usize,
}

impl Tiling {
    /// Lays tiles over a frame of at least 64x64 pixels. `overlap` is below [`TILE`].
    ///
    /// # Panics
    /// For a smaller frame or a larger overlap: callers check frames and configuration before.
    pub fn new(width: usize, height: usize, overlap: usize) -> Self {
        Self { columns: spans(width, overlap), rows: spans(height, overlap) }
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.columns.len() * self.rows.len()
    }

    /// Whether there is no tile (never, for a valid frame).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies tile `index` of five equal planes into `out` ([`TILE_LEN`] values, NHWC).
    pub fn cut(&self, planes: &PerBand<Plane<f32>>, index: usize, out: &mut [f32]) {
        let (column, row) = self.spans(index);
        for (y, out_row) in out[..TILE_LEN].chunks_exact_mut(TILE * BANDS).enumerate() {
            let rows: PerBand<&[f32]> =
                std::array::from_fn(|b| &planes[b].row(row.start + y)[column.start..column.start + TILE]);
            for (x, pixel) in out_row.chunks_exact_mut(BANDS).enumerate() {
                for b in 0..BANDS {
                    pixel[b] = rows[b][x];
                }
            }
        }
    }

    /// Writes the kept part of tile `index`'s answer ([`TILE_SCORES`] values) into the frame's scores.
    pub fn stitch(&self, index: usize, answer: &[f32], scores: &mut Scores) {
        let (centre, extent) = answer[..TILE_SCORES].split_at(TILE_PIXELS);
        self.stitch_plane(index, centre, &mut scores.centre);
        self.stitch_plane(index, extent, &mut scores.extent);
    }

    fn stitch_plane(&self, index: usize, answer: &[f32], plane: &mut Plane<f32>) {
        let (column, row) = self.spans(index);
        for y in row.keep_from..row.keep_to {
            let from = (y - row.start) * TILE;
            let kept = &answer[from + column.keep_from - column.start..from + column.keep_to - column.start];
            plane.row_mut(y)[column.keep_from..column.keep_to].copy_from_slice(kept);
        }
    }

    fn spans(&self, index: usize) -> (Span, Span) {
        (self.columns[index % self.columns.len()], self.rows[index / self.columns.len()])
    }
}

/// Which bands a tile ([`TILE_LEN`] values) has: those with a pixel that is not 0, since 0 is what a band that was not
/// taken, or has no data there, is everywhere.
pub fn bands_seen(tile: &[f32]) -> PerBand<bool> {
    let mut seen = [false; BANDS];
    for pixel in tile.chunks_exact(BANDS) {
        seen.iter_mut().zip(pixel).for_each(|(seen, &p)| *seen |= p != 0.0);
        if seen == [true; BANDS] {
            break;
        }
    }
    seen
}

/// Tiles along one axis: starts, and kept parts that partition it.
fn spans(length: usize, overlap: usize) -> Vec<Span> {
    assert!(length >= TILE && overlap < TILE, "a frame has at least {TILE} px and tiles overlap by less");
    let stride = TILE - overlap;
    let n = (length - TILE).div_ceil(stride) + 1;
    let start = |i: usize| (i * stride).min(length - TILE);
    (0..n)
        .map(|i| Span {
            start: start(i),
            // Halfway between neighbouring tiles' facing edges, so that both see as far beyond it.
            keep_from: if i == 0 { 0 } else { (start(i - 1) + TILE + start(i)) / 2 },
            keep_to: if i + 1 == n { length } else { (start(i) + TILE + start(i + 1)) / 2 },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn stitching_what_was_cut_gives_the_frame_back(width in 64usize..300, height in 64usize..300, overlap in 0usize..64, band in 0usize..BANDS) {
            let planes: PerBand<Plane<f32>> = std::array::from_fn(|b| {
                Plane::from_pixels(width, height, (0..width * height).map(|i| (i * BANDS + b) as f32).collect())
            });
            let tiling = Tiling::new(width, height, overlap);
            let mut whole = Scores::filled(width, height, -1.0);
            let mut tile = vec![0.0; TILE_LEN];
            for i in 0..tiling.len() {
                tiling.cut(&planes, i, &mut tile);
                let centre = tile.iter().skip(band).step_by(BANDS).copied();
                let extent = tile.iter().skip((band + 1) % BANDS).step_by(BANDS).copied();
                let answer: Vec<f32> = centre.chain(extent).collect();
                tiling.stitch(i, &answer, &mut whole);
            }
            prop_assert!(whole.centre == planes[band] && whole.extent == planes[(band + 1) % BANDS]);
        }
    }

    #[test]
    fn a_band_is_seen_by_one_pixel_and_not_by_zeros() {
        let mut tile = vec![0.0; TILE_LEN];
        assert_eq!(bands_seen(&tile), [false; BANDS]);
        tile[TILE_LEN - BANDS + 3] = -0.1;
        tile[0] = 1.0;
        assert_eq!(bands_seen(&tile), [true, false, false, true, false]);
    }

    #[test]
    fn inner_pixels_see_half_the_overlap() {
        for s in spans(1489, 16).windows(2) {
            assert!(s[0].keep_to == s[1].keep_from);
            assert!(s[1].keep_from - s[1].start >= 8 && s[0].start + TILE - s[0].keep_to >= 8);
        }
    }
}
