//! What lies within a circle or an ellipse: sums of pixels, windowed centroids, half-light radii. Positions are
//! 0-based pixels of the image that is measured. The rules are SExtractor's (Bertin & Arnouts 1996), so that the
//! numbers can be compared with those of `sep`, whose defaults are named at each function.

mod centroid;
mod ellipse;
mod growth;
mod width;

pub use centroid::{Window, centroid_error, windowed_centroid};
pub use ellipse::{Ellipse, Sum, extent, sum};
pub use growth::radius_holding;
pub use width::gaussian_fwhm_px;

use rayon::prelude::*;

use crate::frame::Plane;

/// Half-light radius over the standard deviation of a circular Gaussian: sqrt(2 ln 2).
pub const HALF_LIGHT_PER_SIGMA: f64 = 1.177_410_022_515_474_6;
/// Diameter of the circle of the catalogue's aperture fluxes, arcsec.
pub const APERTURE_DIAMETER_ARCSEC: f64 = 3.0;
/// Half-light radii are measured within this radius, px.
pub const HALF_LIGHT_WITHIN_PX: f64 = 8.0;
/// A first radius, for the centroid's window, is measured within this, px.
const FIRST_WITHIN_PX: f64 = 15.0;
/// The window's standard deviation stays in this range, px.
const WINDOW_SIGMA_PX: (f64, f64) = (0.8, 3.0);
/// A windowed centroid further than this from where it started belongs to something else, px.
const FARTHEST_PX: f64 = 1.5;

/// Position and size of a source in the reference band, before anything is known of the PSF.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Windowed centroid, or where the source was detected when the window lost it, px.
    pub x: f64,
    /// Row of the same, px.
    pub y: f64,
    /// Whether (x, y) is a windowed centroid.
    pub windowed: bool,
    /// Standard deviation of the centroid's window, px.
    pub window_sigma_px: f64,
    /// Radius with half of `flux_8px`, px; NaN without positive flux.
    pub half_light_radius_px: f64,
    /// Flux within 4 px, nMgy.
    pub flux_4px: f64,
    /// Flux within 8 px, nMgy.
    pub flux_8px: f64,
}

/// Shapes of the sources detected at `positions`, in their order. Neighbours are not removed.
pub fn shapes(image: &Plane<f32>, positions: &[(f64, f64)]) -> Vec<Shape> {
    positions.par_iter().map(|&(x, y)| shape(image, x, y)).collect()
}

/// The shape of one source, detected at (x0, y0).
pub(crate) fn shape(image: &Plane<f32>, x0: f64, y0: f64) -> Shape {
    // A larger radius than the widest window's is not needed.
    let widest = HALF_LIGHT_PER_SIGMA * WINDOW_SIGMA_PX.1 + 0.5;
    let first = radius_holding(image, (x0, y0), FIRST_WITHIN_PX, widest, None);
    let first = if first.is_finite() { first } else { 0.0 };
    let window_sigma_px = (first / HALF_LIGHT_PER_SIGMA).clamp(WINDOW_SIGMA_PX.0, WINDOW_SIGMA_PX.1);
    let found = windowed_centroid(image, (x0, y0), window_sigma_px);
    let windowed = !found.truncated && (found.x - x0).hypot(found.y - y0) < FARTHEST_PX;
    let (x, y) = if windowed { (found.x, found.y) } else { (x0, y0) };
    let flux = |radius| sum(image, &Ellipse::circle(radius), (x, y)).flux;
    let flux_8px = flux(HALF_LIGHT_WITHIN_PX);
    Shape {
        x,
        y,
        windowed,
        window_sigma_px,
        half_light_radius_px: radius_holding(image, (x, y), HALF_LIGHT_WITHIN_PX, HALF_LIGHT_WITHIN_PX, Some(flux_8px)),
        flux_4px: flux(4.0),
        flux_8px,
    }
}
