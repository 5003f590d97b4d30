//! Where each band's pixels lie on the reference band's grid, by world coordinates alone.

use super::PreprocessError;
use crate::frame::{Affine, Frame, PerBand, Plane};
use crate::survey::Survey;
use crate::wcs::Wcs;

/// Points of the fit along each axis.
const GRID: usize = 8;
/// Farthest that a band may lie from the reference band, px.
const FARTHEST_PX: f64 = 64.0;
/// Largest departure of a band's coordinates from the affine map, px.
const RESIDUAL_PX: f64 = 0.1;

/// One band's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Reference pixel to band pixel.
    pub(super) to_band: Affine,
    /// Median offset, px.
    pub(super) offset: (f64, f64),
    /// Largest distance of a grid point from the map, px.
    pub(super) residual: f64,
}

impl Place {
    /// The offset in whole pixels.
    pub(super) fn whole(&self) -> (isize, isize) {
        (self.offset.0.round_ties_even() as isize, self.offset.1.round_ties_even() as isize)
    }
}

/// Places every band.
pub(super) fn places(frame: &Frame, survey: &Survey) -> Result<PerBand<Place>, PreprocessError> {
    let (width, height) = (frame.width(), frame.height());
    let reference = survey.reference();
    let mut places = [Place { to_band: Affine::IDENTITY, offset: (0.0, 0.0), residual: 0.0 }; crate::frame::BANDS];
    for (b, made) in places.iter_mut().enumerate().filter(|(b, _)| *b != reference) {
        let far = |offset_px| PreprocessError::Misregistered { band: survey.band(b).to_owned(), offset_px };
        *made = place(&frame.bands[reference].wcs, &frame.bands[b].wcs, width, height).ok_or(far(f64::INFINITY))?;
        let offset_px = made.offset.0.hypot(made.offset.1);
        // Not "larger than": a NaN must fail as well.
        let near = offset_px <= FARTHEST_PX
            && made.offset.0.abs() <= width as f64 / 4.0
            && made.offset.1.abs() <= height as f64 / 4.0;
        if !near {
            return Err(far(offset_px));
        }
        if made.residual > RESIDUAL_PX {
            return Err(PreprocessError::Distorted { band: survey.band(b).to_owned(), residual_px: made.residual });
        }
    }
    Ok(places)
}

/// Fits the affine map over a grid of points by least squares; `None` where a point has no place on the sky.
fn place(reference: &Wcs, band: &Wcs, width: usize, height: usize) -> Option<Place> {
    let step = |length: usize, i: usize| length as f64 * i as f64 / (GRID - 1) as f64;
    let (mut x, mut y, mut to_x, mut to_y) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for point in 0..GRID * GRID {
        let from = (step(width, point % GRID), step(height, point / GRID));
        let (ra, dec) = reference.pixel_to_sky(from.0, from.1)?;
        let to = band.sky_to_pixel(ra, dec)?;
        x.push(from.0);
        y.push(from.1);
        to_x.push(to.0);
        to_y.push(to.1);
    }
    let (cx, cy) = (width as f64 / 2.0, height as f64 / 2.0);
    // The grid is symmetric about the centre, so constant, x and y are orthogonal.
    let slope = |at: &[f64], centre: f64, to: &[f64]| {
        let spread: f64 = at.iter().map(|a| (a - centre).powi(2)).sum();
        at.iter().zip(to).map(|(a, t)| (a - centre) * t).sum::<f64>() / spread
    };
    let fit = |to: &[f64]| {
        let mean = to.iter().sum::<f64>() / to.len() as f64;
        let (by_x, by_y) = (slope(&x, cx, to), slope(&y, cy, to));
        [mean - by_x * cx - by_y * cy, by_x, by_y]
    };
    let to_band = Affine { x: fit(&to_x), y: fit(&to_y) };
    let distance = |i: usize| {
        let at = to_band.apply(x[i], y[i]);
        (at.0 - to_x[i]).hypot(at.1 - to_y[i])
    };
    let residual = (0..x.len()).map(distance).fold(0.0, f64::max);
    let middle = |from: &[f64], to: &[f64]| {
        let mut offsets: Vec<f64> = from.iter().zip(to).map(|(f, t)| t - f).collect();
        offsets.sort_by(f64::total_cmp);
        0.5 * (offsets[offsets.len() / 2 - 1] + offsets[offsets.len() / 2])
    };
    let offset = (middle(&x, &to_x), middle(&y, &to_y));
    Some(Place { to_band, offset, residual })
}

/// `out[y][x] = scale * plane[y + dy][x + dx]`, and 0 outside: whole pixels, so that the noise stays white.
pub(super) fn shifted(plane: &Plane<f32>, (dx, dy): (isize, isize), scale: f32) -> Plane<f32> {
    let (width, height) = (plane.width(), plane.height());
    let mut out = Plane::filled(width, height, 0.0);
    let (from, to) = overlap(dx, width);
    if from == to {
        return out;
    }
    crate::filter::for_row_blocks(&mut out, |first, rows| {
        for (y, row) in rows.chunks_exact_mut(width).enumerate() {
            let y = (first + y) as isize + dy;
            if y >= 0 && (y as usize) < height {
                let source = &plane.row(y as usize)[(from as isize + dx) as usize..];
                for (o, p) in row[from..to].iter_mut().zip(source) {
                    *o = scale * p;
                }
            }
        }
    });
    out
}

/// The part `from..to` of an axis for which `i + d` lies on it too.
pub(super) fn overlap(d: isize, length: usize) -> (usize, usize) {
    let from = (-d).clamp(0, length as isize) as usize;
    let to = (length as isize - d).clamp(from as isize, length as isize) as usize;
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_takes_pixels_from_where_it_says() {
        let plane = Plane::from_pixels(4, 3, (0..12).map(|i| i as f32).collect());
        let s = shifted(&plane, (1, -1), 2.0);
        assert_eq!((s.at(0, 0), s.at(0, 1), s.at(2, 2), s.at(3, 1)), (0.0, 2.0, 14.0, 0.0));
        assert!(shifted(&plane, (-9, 0), 1.0).pixels().iter().all(|v| *v == 0.0));
        assert_eq!((overlap(-9, 4), overlap(9, 4), overlap(0, 4)), ((4, 4), (0, 0), (0, 4)));
    }
}
