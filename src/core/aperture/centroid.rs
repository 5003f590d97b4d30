//! Windowed centroids (SExtractor's XWIN_IMAGE): the centroid under a Gaussian window that moves with it, nearly
//! as precise as fitting the PSF, and blind to what lies far away.

use super::ellipse::extent;
use crate::frame::Plane;

/// Most moves of the window.
const STEPS: usize = 16;
/// The window ends at this many standard deviations.
const REACH_SIGMA: f64 = 4.0;
/// The first moment under a matched Gaussian window is half of the true offset.
const GAIN: f64 = 2.0;
/// Smaller moves end the search, px.
const SMALLEST_STEP_PX: f64 = 1e-4;

/// Where a window came to rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Column of the window's centre, px.
    pub x: f64,
    /// Row of the window's centre, px.
    pub y: f64,
    /// The window left the image on its way.
    pub truncated: bool,
}

/// Flux and first moments of an image under a Gaussian window.
struct Moments {
    flux: f64,
    x: f64,
    y: f64,
    truncated: bool,
}

/// Follows a Gaussian window of standard deviation `sigma` (px) from `start`, as `sep.winpos`.
pub fn windowed_centroid(image: &Plane<f32>, start: (f64, f64), sigma: f64) -> Window {
    let mut at = Window { x: start.0, y: start.1, truncated: false };
    for _ in 0..STEPS {
        let m = moments(image, (at.x, at.y), sigma);
        at.truncated |= m.truncated;
        if m.flux.is_nan() || m.flux <= 0.0 {
            break;
        }
        let (dx, dy) = (m.x / m.flux, m.y / m.flux);
        at.x += GAIN * dx;
        at.y += GAIN * dy;
        if dx * dx + dy * dy < SMALLEST_STEP_PX * SMALLEST_STEP_PX {
            break;
        }
    }
    at
}

/// Standard errors (x, y) of a windowed centroid, px (SExtractor's ERRAWIN before rotation). `sky_sigma` is the
/// noise of a sky pixel, `photon_variance` a source's variance per unit of flux. The window's own width where
/// there is no flux to centre on.
pub fn centroid_error(
    image: &Plane<f32>,
    at: (f64, f64),
    sigma: f64,
    sky_sigma: f64,
    photon_variance: f64,
) -> (f64, f64) {
    let flux = moments(image, at, sigma).flux;
    let (x0, y0) = at;
    let reach = REACH_SIGMA * sigma;
    let (mut xx, mut yy) = (0.0, 0.0);
    for iy in extent(y0, reach, image.height()) {
        let dy = iy as f64 - y0;
        for ix in extent(x0, reach, image.width()) {
            let dx = ix as f64 - x0;
            let weight = (-(dx * dx + dy * dy) / (2.0 * sigma * sigma)).exp();
            let variance = sky_sigma * sky_sigma + photon_variance * f64::from(image.at(ix, iy)).max(0.0);
            xx += weight * weight * variance * dx * dx;
            yy += weight * weight * variance * dy * dy;
        }
    }
    let error = |squares: f64| {
        let e = GAIN * squares.sqrt() / flux;
        if flux > 0.0 && e.is_finite() { e.min(reach) } else { sigma }
    };
    (error(xx), error(yy))
}

fn moments(image: &Plane<f32>, at: (f64, f64), sigma: f64) -> Moments {
    let (x0, y0) = at;
    let reach = REACH_SIGMA * sigma;
    let (columns, rows) = (extent(x0, reach, image.width()), extent(y0, reach, image.height()));
    let gauss = |d: f64| (-d * d / (2.0 * sigma * sigma)).exp();
    // The window is separable: one exponential a row and a column instead of one a pixel.
    let mut across = [0.0; MAX_COLUMNS];
    let columns = columns.start..columns.end.min(columns.start + MAX_COLUMNS);
    for (w, ix) in across.iter_mut().zip(columns.clone()) {
        *w = gauss(ix as f64 - x0);
    }
    let mut m = Moments {
        flux: 0.0,
        x: 0.0,
        y: 0.0,
        // As sep: a pixel's width beyond the low edges is let pass. The window's rim weighs next to nothing.
        truncated: !(x0 - reach > -1.5
            && y0 - reach > -1.5
            && x0 + reach < image.width() as f64 - 0.5
            && y0 + reach < image.height() as f64 - 0.5),
    };
    for iy in rows {
        let dy = iy as f64 - y0;
        let down = gauss(dy);
        let (mut flux, mut x) = (0.0, 0.0);
        for ((ix, &pixel), &w) in columns.clone().zip(&image.row(iy)[columns.clone()]).zip(&across) {
            let dx = ix as f64 - x0;
            // Close to reach - r + 1/2 at the window's rim, where the weight is 3e-4, and needs no root.
            let inside = ((reach * reach - dx * dx - dy * dy) / (2.0 * reach) + 0.5).clamp(0.0, 1.0);
            let v = inside * w * down * f64::from(pixel);
            flux += v;
            x += v * dx;
        }
        m.flux += flux;
        m.x += x;
        m.y += flux * dy;
    }
    m
}

/// A window of the largest standard deviation (3 px) that is used here, and to spare.
const MAX_COLUMNS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn gaussian(x0: f64, y0: f64, sigma: f64, flux: f64) -> Plane<f32> {
        let pixels = (0..64 * 64).map(|i| {
            let (dx, dy) = ((i % 64) as f64 - x0, (i / 64) as f64 - y0);
            (flux / (std::f64::consts::TAU * sigma * sigma) * (-(dx * dx + dy * dy) / (2.0 * sigma * sigma)).exp())
                as f32
        });
        Plane::from_pixels(64, 64, pixels.collect())
    }

    #[test]
    fn a_gaussian_is_found_where_it_is() {
        let found = windowed_centroid(&gaussian(30.37, 28.81, 1.6, 100.0), (31.0, 28.2), 1.6);
        assert!((found.x - 30.37).abs() < 1e-3 && (found.y - 28.81).abs() < 1e-3 && !found.truncated, "{found:?}");
    }

    #[test]
    fn no_flux_leaves_the_start_and_an_edge_is_noticed() {
        let found = windowed_centroid(&Plane::filled(64, 64, -1.0), (30.0, 30.0), 2.0);
        assert_eq!(found, Window { x: 30.0, y: 30.0, truncated: false });
        assert!(windowed_centroid(&gaussian(3.0, 30.0, 1.6, 1.0), (3.0, 30.0), 1.6).truncated);
        assert!(windowed_centroid(&gaussian(3.0, 30.0, 1.6, 1.0), (f64::NAN, 30.0), 1.6).truncated);
    }

    #[test]
    fn the_error_is_that_of_the_scatter_in_background_noise() {
        // In white noise, in closed form: sum w^2 dx^2 = pi s^4 / 2 and sum w I = flux / 2.
        let (s, flux, noise) = (1.6, 100.0, 0.1);
        let (ex, ey) = centroid_error(&gaussian(30.0, 30.0, s, flux), (30.0, 30.0), s, noise, 0.0);
        let expected = 4.0 * (std::f64::consts::PI / 2.0f64).sqrt() * s * s * noise / flux;
        assert!((ex / expected - 1.0).abs() < 0.01 && (ey / expected - 1.0).abs() < 0.01, "{ex} {ey} {expected}");
    }
}
