//! Which tiles are learned from: half anywhere, half near an object, because sky alone teaches nothing about
//! objects; turned and flipped at random. Some lack a band, where images may.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::TrainingFrame;
use crate::{LearnError, MissingBands};
use twinpeak_core::filter::{Edge, Gaussian, weighted_sum};
use twinpeak_core::frame::{BANDS, PerBand, Plane};
use twinpeak_core::model::TILE;

/// Farthest that a chosen object lies from its tile's centre, px.
const JITTER_PX: i64 = 24;
/// S/N of a peak in the smoothed sum that draws tiles; beyond the upper end there are too few to matter.
const PEAK_SIGMA: (f32, f32) = (5.0, 2000.0);
/// Half side of the window in which a peak is the highest, px.
const PEAK_WINDOW_PX: usize = 3;

/// A tile's place: frame, first column and row, and which symmetry of the square is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Index of the frame in [`TileSampler::frames`].
    pub frame: usize,
    column: usize,
    row: usize,
    symmetry: usize,
    /// The band that is left out.
    without: Option<usize>,
}

/// Draws tiles from frames, and knows where on them there is something to see.
pub struct TileSampler<'a> {
    /// The frames that tiles are drawn from.
    pub frames: &'a [TrainingFrame],
    peaks: Vec<Vec<(usize, usize)>>,
    pub(super) missing: MissingBands,
}

impl<'a> TileSampler<'a> {
    /// Over `frames`, each of a tile's size at least; `shape_bands` are the three bands in which objects stand out.
    ///
    /// # Errors
    /// [`LearnError::TooFew`] without a frame.
    pub fn new(frames: &'a [TrainingFrame], shape_bands: [usize; 3]) -> Result<Self, LearnError> {
        LearnError::unless_enough("segmenter", "frames", frames.len(), 1)?;
        let peaks = frames.iter().map(|f| bright_peaks(&f.planes, shape_bands)).collect();
        Ok(Self { frames, peaks, missing: MissingBands::none() })
    }

    /// The same, but some tiles lack a band.
    pub fn lacking(self, missing: MissingBands) -> Self {
        Self { missing, ..self }
    }

    /// A random place, near an object in half of the draws.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Place {
        let frame = rng.random_range(0..self.frames.len());
        let (width, height) = (self.frames[frame].planes[0].width(), self.frames[frame].planes[0].height());
        let peaks = &self.peaks[frame];
        let (column, row) = if !peaks.is_empty() && rng.random_bool(0.5) {
            let (x, y) = peaks[rng.random_range(0..peaks.len())];
            let mut near = |at: usize, length: usize| {
                let start = at as i64 + rng.random_range(-JITTER_PX..=JITTER_PX) - TILE as i64 / 2;
                start.clamp(0, (length - TILE) as i64) as usize
            };
            (near(x, width), near(y, height))
        } else {
            (rng.random_range(0..=width - TILE), rng.random_range(0..=height - TILE))
        };
        Place { frame, column, row, symmetry: rng.random_range(0..8), without: self.missing.draw(rng) }
    }
}

impl Place {
    /// Appends this tile of five planes, NHWC; 0 in a band that is left out.
    pub fn cut_bands(self, planes: &PerBand<Plane<f32>>, out: &mut Vec<f32>) {
        let value = |b: usize, x, y| if self.without == Some(b) { 0.0 } else { planes[b].at(x, y) };
        self.each_pixel(|x, y| out.extend((0..BANDS).map(|b| value(b, x, y))));
    }

    /// Appends this tile of one plane.
    pub fn cut<T: Copy>(self, plane: &Plane<T>, out: &mut Vec<T>) {
        self.each_pixel(|x, y| out.push(plane.at(x, y)));
    }

    fn each_pixel(self, mut visit: impl FnMut(usize, usize)) {
        for v in 0..TILE {
            for u in 0..TILE {
                let x = if self.symmetry & 1 != 0 { TILE - 1 - u } else { u };
                let y = if self.symmetry & 2 != 0 { TILE - 1 - v } else { v };
                let (x, y) = if self.symmetry & 4 != 0 { (y, x) } else { (x, y) };
                visit(self.column + x, self.row + y);
            }
        }
    }
}

/// Local maxima (x, y) of the smoothed sum of three bands.
fn bright_peaks(planes: &PerBand<Plane<f32>>, bands: [usize; 3]) -> Vec<(usize, usize)> {
    const SMOOTHING_PX: f64 = 1.5;
    let (width, height) = (planes[0].width(), planes[0].height());
    let mut weights = [0.0; BANDS];
    bands.iter().for_each(|&b| weights[b] = 1.0 / (bands.len() as f32).sqrt());
    let smooth = Gaussian::new(SMOOTHING_PX).blur_to_unit_noise(&weighted_sum(planes, &weights), Edge::Reflect);
    let r = PEAK_WINDOW_PX;
    let mut peaks = Vec::new();
    for y in r..height.saturating_sub(r) {
        for x in r..width.saturating_sub(r) {
            let v = smooth.at(x, y);
            let inside = v > PEAK_SIGMA.0 && v < PEAK_SIGMA.1;
            let highest = || (y - r..=y + r).all(|y| smooth.row(y)[x - r..=x + r].iter().all(|&n| n <= v));
            if inside && highest() {
                peaks.push((x, y));
            }
        }
    }
    peaks
}
