//! Where an object is on the sky, and how sure that is: its centroid's own error, and on the sky the error of the
//! frame's coordinates beside it.

use crate::aperture::{Shape, centroid_error};
use crate::cutout::FrameView;

/// A position's errors and its place on the sky; NaN outside the projection.
pub(super) struct Position {
    /// Standard error of the column, px.
    pub x_err: f64,
    /// Standard error of the row, px.
    pub y_err: f64,
    /// Right ascension, deg.
    pub ra: f64,
    /// Declination, deg.
    pub dec: f64,
    /// Standard error of ra cos(dec), that of the frame's coordinates in it, deg.
    pub ra_err: f64,
    /// The same of dec, deg.
    pub dec_err: f64,
}

/// The window of a centroid reaches four of its standard deviations, of at most 3 px.
const WITHIN_PX: usize = 16;

pub(super) fn measure(view: &FrameView, number: u32, shape: &Shape) -> Position {
    let reference = view.survey.reference();
    let band = &view.prepared.frame.bands[reference];
    let at = (shape.x, shape.y);
    let noise = view.noise(reference).at(band.variance.as_ref(), at.0.round() as isize, at.1.round() as isize);
    let others = view.others(number, at, WITHIN_PX as f64);
    let (patch, sigma) = match others.as_ref().and_then(|others| others.patch(reference, at, WITHIN_PX)) {
        None => (None, noise.sigma),
        Some((patch, from)) => {
            let added = others.map_or(0.0, |others| others.variance_at(reference, at));
            (Some((patch, from)), (noise.sigma * noise.sigma + added).sqrt())
        }
    };
    let (image, here) = match &patch {
        None => (&band.pixels, at),
        Some((patch, from)) => (patch, (at.0 - from.0, at.1 - from.1)),
    };
    let (x_err, y_err) = centroid_error(image, here, shape.window_sigma_px, sigma, noise.nmgy_per_electron);
    let sky = |x: f64, y: f64| band.wcs.pixel_to_sky(x, y).unwrap_or((f64::NAN, f64::NAN));
    let (ra, dec) = sky(shape.x, shape.y);
    // A pixel's step along x and y, as ra cos(dec) and dec.
    let step = |to: (f64, f64)| {
        let across = (to.0 - ra + 540.0).rem_euclid(360.0) - 180.0;
        (across * dec.to_radians().cos(), to.1 - dec)
    };
    let (along_x, along_y) = (step(sky(shape.x + 1.0, shape.y)), step(sky(shape.x, shape.y + 1.0)));
    Position {
        x_err,
        y_err,
        ra,
        dec,
        ra_err: (along_x.0 * x_err).hypot(along_y.0 * y_err).hypot(view.astrometric_error_deg),
        dec_err: (along_x.1 * x_err).hypot(along_y.1 * y_err).hypot(view.astrometric_error_deg),
    }
}
