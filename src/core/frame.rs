//! A frame: one field of the survey in five bands, with all that its headers say about it.
//!
//! Conventions used everywhere: bands in the survey's order (u g r i z), indexed 0..5; images are row-major
//! planes; positions are 0-based pixels, the centre of the first pixel being (0, 0); fluxes are nanomaggies
//! (1 nMgy is magnitude 22.5); `x` runs along a row. "Reference pixels" are those of the survey's reference
//! band (r), the grid on which objects are found and their positions are given.

use crate::wcs::Wcs;

pub use crate::image_id::{ImageId, InvalidImageId};

/// Number of bands of a frame.
pub const BANDS: usize = 5;

/// One value for each band, in the survey's order.
pub type PerBand<T> = [T; BANDS];

/// Bits of a mask plane. Names follow LSST's `MP_` cards.
pub mod mask {
    /// A defect: a cosmic ray, a bad column, a dead pixel.
    pub const BAD: u8 = 1;
    /// Saturated, or bled on from a saturated pixel.
    pub const SAT: u8 = 2;
    /// Too near the frame's edge for a full tile margin or cut.
    pub const EDGE: u8 = 4;
    /// No measurement here: NaN, a row of zeros, or outside this band's detector.
    pub const NO_DATA: u8 = 8;
    /// Bits that exclude a pixel from every measurement.
    pub const UNUSABLE: u8 = BAD | SAT | NO_DATA;
    /// Name and bit of each plane, as published.
    pub const NAMES: [(&str, u8); 4] = [("BAD", BAD), ("SAT", SAT), ("EDGE", EDGE), ("NO_DATA", NO_DATA)];
}

/// An image of `width` x `height` values, row by row.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Plane<T> {
    width: usize,
    height: usize,
    pixels: Vec<T>,
}

impl<T: Copy> Plane<T> {
    /// A plane of `width` x `height` equal pixels.
    pub fn filled(width: usize, height: usize, value: T) -> Self {
        Self { width, height, pixels: vec![value; width * height] }
    }

    /// Takes row-major `pixels`.
    ///
    /// # Panics
    /// If there are not exactly `width * height` of them: a programmer's error, never input's.
    pub fn from_pixels(width: usize, height: usize, pixels: Vec<T>) -> Self {
        assert_eq!(pixels.len(), width * height, "a plane needs width x height pixels");
        Self { width, height, pixels }
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows, px.
    pub fn height(&self) -> usize {
        self.height
    }

    /// All pixels, row by row.
    pub fn pixels(&self) -> &[T] {
        &self.pixels
    }

    /// All pixels, row by row.
    pub fn pixels_mut(&mut self) -> &mut [T] {
        &mut self.pixels
    }

    /// The pixels of row `y`.
    pub fn row(&self, y: usize) -> &[T] {
        &self.pixels[y * self.width..(y + 1) * self.width]
    }

    /// The pixels of row `y`.
    pub fn row_mut(&mut self, y: usize) -> &mut [T] {
        &mut self.pixels[y * self.width..(y + 1) * self.width]
    }

    /// The pixel at column `x` of row `y`.
    pub fn at(&self, x: usize, y: usize) -> T {
        self.pixels[y * self.width + x]
    }

    /// Sets the pixel at column `x` of row `y`.
    pub fn set(&mut self, x: usize, y: usize, value: T) {
        self.pixels[y * self.width + x] = value;
    }

    /// The pixel at (x, y), or `None` outside the plane.
    pub fn get(&self, x: isize, y: isize) -> Option<T> {
        let inside = x >= 0 && y >= 0 && (x as usize) < self.width && (y as usize) < self.height;
        inside.then(|| self.at(x as usize, y as usize))
    }

    /// The same grid with every pixel mapped by `f`.
    pub fn map<U>(&self, f: impl FnMut(T) -> U) -> Plane<U> {
        Plane { width: self.width, height: self.height, pixels: self.pixels.iter().copied().map(f).collect() }
    }
}

/// An affine map of the plane: `x' = x[0] + x[1] x + x[2] y`, likewise `y'`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Coefficients of 1, x, y for the new x.
    pub x: [f64; 3],
    /// Coefficients of 1, x, y for the new y.
    pub y: [f64; 3],
}

impl Affine {
    /// The map that changes nothing.
    pub const IDENTITY: Self = Self { x: [0.0, 1.0, 0.0], y: [0.0, 0.0, 1.0] };

    /// Maps the position (x, y), px.
    pub fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x[0] + self.x[1] * x + self.x[2] * y, self.y[0] + self.y[1] * x + self.y[2] * y)
    }

    /// The map back; `None` of a map that has none.
    pub fn inverse(&self) -> Option<Self> {
        let ([x, a, b], [y, c, d]) = (self.x, self.y);
        let determinant = a * d - b * c;
        let made = Self {
            x: [(b * y - d * x) / determinant, d / determinant, -b / determinant],
            y: [(c * x - a * y) / determinant, -c / determinant, a / determinant],
        };
        (determinant.is_finite() && determinant != 0.0).then_some(made)
    }
}

/// One band of a frame on its own pixel grid.
#[derive(Clone, Debug)]
pub struct Band {
    /// Calibrated pixels, nMgy; not finite where there is no measurement.
    pub pixels: Plane<f32>,
    /// [`mask`] bits of each pixel.
    pub mask: Plane<u8>,
    /// World coordinates of its pixels, from its own header.
    pub wcs: Wcs,
    /// Flux of one count (DN): the calibration, and the step between pixel values.
    pub nmgy_per_dn: f64,
    /// Gain, electrons per DN, from the survey's description by camera column and run.
    pub gain_e_per_dn: f64,
    /// Variance of read noise and dark current, DN^2, from the survey's description.
    pub dark_variance_dn2: f64,
    /// A pixel above this is not trusted, nMgy.
    pub saturation_nmgy: f64,
    /// The sky that the survey's own pipeline subtracted, nMgy per pixel, where the file keeps it.
    pub removed_sky_nmgy: Option<f64>,
    /// Variance of each pixel, nMgy^2, where the survey gives one: noise is then by pixel. Infinite where a pixel has no
    /// weight.
    pub variance: Option<Plane<f32>>,
}

impl Band {
    /// A band that was not taken, on the grid of another: no pixel has data.
    pub fn absent(grid: &Self) -> Self {
        let (width, height) = (grid.pixels.width(), grid.pixels.height());
        Self {
            pixels: Plane::filled(width, height, f32::NAN),
            mask: Plane::filled(width, height, mask::NO_DATA),
            wcs: grid.wcs.clone(),
            nmgy_per_dn: 1.0,
            gain_e_per_dn: 1.0,
            dark_variance_dn2: 0.0,
            saturation_nmgy: 0.0,
            removed_sky_nmgy: None,
            variance: None,
        }
    }

    /// Photon variance of a source per unit of its flux, nMgy.
    pub fn nmgy_per_electron(&self) -> f64 {
        self.nmgy_per_dn / self.gain_e_per_dn
    }
}

/// Run, camera column and the like, where the survey's file names or headers give them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldIds {
    /// Number of the observing run.
    pub run: Option<u32>,
    /// Reduction of that run.
    pub rerun: Option<u32>,
    /// Number of the camera column.
    pub camcol: Option<u32>,
    /// Field within the run.
    pub field: Option<u32>,
}

/// One field in five bands, each on its own grid; of one size and on one grid once it is prepared
/// ([`crate::preprocess::prepare`]).
#[derive(Clone, Debug)]
pub struct Frame {
    /// Name of the image, which tells it from every other of the survey.
    pub id: ImageId,
    /// Run, camera column and field, where file names or headers give them.
    pub ids: FieldIds,
    /// Middle of the reference band's exposure, MJD (TAI); `None` where the header gives no time.
    pub midpoint_mjd_tai: Option<f64>,
    /// Exposure time, s; `None` where the header gives none.
    pub exposure_s: Option<f64>,
    /// The five bands in the survey's order; one that was not taken is [`Band::absent`].
    pub bands: PerBand<Band>,
    /// Which bands were taken.
    pub present: PerBand<bool>,
    /// SHA-256 of the five files' bytes as read, in band order, lower-case hex.
    pub input_hash: String,
    /// Where each band came from, so that what is wrong with it can be told of its file; empty where from none.
    pub files: PerBand<String>,
}

impl Frame {
    /// Pixels in a row of every band of a prepared frame.
    pub fn width(&self) -> usize {
        self.bands[0].pixels.width()
    }

    /// Rows of every band of a prepared frame.
    pub fn height(&self) -> usize {
        self.bands[0].pixels.height()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_row_major() {
        let p = Plane::from_pixels(3, 2, vec![0, 1, 2, 3, 4, 5]);
        assert_eq!((p.at(2, 0), p.at(0, 1), p.row(1)), (2, 3, &[3, 4, 5][..]));
        assert_eq!((p.get(-1, 0), p.get(2, 1), p.get(0, 2)), (None, Some(5), None));
    }
}
