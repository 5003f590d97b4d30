//! A field at a glance: its colours beside what each pixel was taken for.
//!
//! Left, the three shape bands as red, green and blue by Lupton et al. 2004 (PASP 116, 133): brightness is
//! squeezed by asinh, colour is kept. Right, as in the paper's figure 8: gray background, stars and quasars
//! red, galaxies orange; an object without a class is pale.

use rayon::prelude::*;

use super::{PictureError, png};
use crate::catalog::{Row, class};
use crate::frame::Plane;

type Rgb = [u8; 3];

const SKY: Rgb = [112, 112, 112];
const STAR: Rgb = [226, 30, 38];
const GALAXY: Rgb = [255, 158, 27];
const UNCLASSIFIED: Rgb = [216, 216, 208];
const GAP: Rgb = [255, 255, 255];
/// Columns between the two halves.
const GAP_PX: usize = 8;
/// Frames wider or higher than this are shown at half their size.
const FULL_SIZE_PX: usize = 1024;

/// Brightness shown as black, sky sigma.
const BLACK: f32 = -0.7;
/// Lupton's stretch, sky sigma: linear below, logarithmic above.
const STRETCH: f32 = 9.0;
/// Lupton's softening.
const SOFTENING: f32 = 7.0;

/// The picture as PNG. `shape` are the survey's three shape bands, bluest first, in units of their sky noise;
/// `segmentation` has the rows' numbers. North or south up as the frame has it, first row at the bottom.
///
/// # Errors
/// [`PictureError::Size`] for planes of different sizes.
pub fn quicklook(shape: &[Plane<f32>; 3], segmentation: &Plane<u32>, rows: &[Row]) -> Result<Vec<u8>, PictureError> {
    let size = (segmentation.width(), segmentation.height());
    let sizes: Vec<_> = shape.iter().map(|p| (p.width(), p.height())).chain([size]).collect();
    if size.0 == 0 || size.1 == 0 || sizes.iter().any(|s| *s != size) {
        return Err(PictureError::Size { sizes });
    }
    let step = if size.0.max(size.1) > FULL_SIZE_PX { 2 } else { 1 };
    let (half, height) = (size.0.div_ceil(step), size.1.div_ceil(step));
    let width = 2 * half + GAP_PX;
    let palette = palette(rows);
    let mut pixels = vec![0u8; width * height * 3];
    pixels.par_chunks_exact_mut(width * 3).rev().enumerate().for_each(|(y, line)| {
        let band = y * step..((y + 1) * step).min(size.1);
        let (colour, rest) = line.split_at_mut(half * 3);
        let (gap, classes) = rest.split_at_mut(GAP_PX * 3);
        paint_colour(shape, band.clone(), step, colour);
        gap.as_chunks_mut::<3>().0.fill(GAP);
        paint_classes(segmentation, band, step, &palette, classes);
    });
    png(width, height, &pixels)
}

/// Averages `step` x `step` pixels and turns them into colours.
fn paint_colour(shape: &[Plane<f32>; 3], rows: std::ops::Range<usize>, step: usize, line: &mut [u8]) {
    let width = shape[0].width();
    let sums = [0, 1, 2].map(|band: usize| {
        let mut sum = vec![0f32; width.div_ceil(step)];
        for y in rows.clone() {
            for (sum, pixels) in sum.iter_mut().zip(shape[band].row(y).chunks(step)) {
                *sum += pixels.iter().sum::<f32>();
            }
        }
        sum
    });
    for (x, pixel) in line.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let columns = step.min(width - x * step);
        let scale = 1.0 / (rows.len() * columns) as f32;
        // Bluest band first in, red first out.
        *pixel = lupton([sums[2][x] * scale, sums[1][x] * scale, sums[0][x] * scale]);
    }
}

/// Red, green, blue in sky sigma to a pixel.
fn lupton(rgb: [f32; 3]) -> Rgb {
    let rgb = rgb.map(|v| if v.is_finite() { (v - BLACK).max(0.0) } else { 0.0 });
    let mean = (rgb[0] + rgb[1] + rgb[2]) / 3.0;
    if mean <= 0.0 {
        return [0; 3];
    }
    let squeezed = (SOFTENING * mean / STRETCH).asinh() / SOFTENING;
    let rgb = rgb.map(|v| v * squeezed / mean);
    let brightest = rgb[0].max(rgb[1]).max(rgb[2]).max(1.0);
    rgb.map(|v| (v / brightest * 255.0 + 0.5) as u8)
}

/// Colours by segmentation value.
fn palette(rows: &[Row]) -> Vec<Rgb> {
    let last = rows.iter().map(|r| r.number).max().unwrap_or(0) as usize;
    let mut palette = vec![UNCLASSIFIED; last + 1];
    palette[0] = SKY;
    for row in rows.iter().filter(|r| r.number > 0) {
        palette[row.number as usize] = match row.classification {
            Some(class::STAR) => STAR,
            Some(class::GALAXY) => GALAXY,
            _ => UNCLASSIFIED,
        };
    }
    palette
}

/// An object of one pixel is still seen: the first object of `step` x `step` pixels gives the colour.
fn paint_classes(
    segmentation: &Plane<u32>,
    rows: std::ops::Range<usize>,
    step: usize,
    palette: &[Rgb],
    line: &mut [u8],
) {
    let mut numbers = vec![0u32; segmentation.width().div_ceil(step)];
    for y in rows {
        for (number, pixels) in numbers.iter_mut().zip(segmentation.row(y).chunks(step)) {
            for &pixel in pixels {
                if *number == 0 {
                    *number = pixel;
                }
            }
        }
    }
    for (pixel, number) in line.as_chunks_mut::<3>().0.iter_mut().zip(numbers) {
        *pixel = palette.get(number as usize).copied().unwrap_or(UNCLASSIFIED);
    }
}
