//! The radius that holds half of the flux, as `sep.flux_radius` with 64 rings.

use super::ellipse::{Ellipse, extent, sum};
use crate::frame::Plane;

/// Rings of the curve of growth.
const RINGS: usize = 64;
/// Samples a pixel side.
const SAMPLES: usize = 5;
/// Reach of the first try, px.
const SMALL_PX: f64 = 4.0;
/// Widest box that is looked at, px.
const WIDEST_PX: usize = 40;

/// Radius about `centre` with half of `total` flux (or of the flux within `within`), px. `longest` where that is not
/// reached so far out, NaN where there is no positive flux. `within` is at most 15 px, `longest` at most `within`.
pub fn radius_holding(image: &Plane<f32>, centre: (f64, f64), within: f64, longest: f64, total: Option<f64>) -> f64 {
    let target = 0.5 * total.unwrap_or_else(|| sum(image, &Ellipse::circle(within), centre).flux);
    if target.is_nan() || target <= 0.0 {
        return f64::NAN;
    }
    let step = within / RINGS as f64;
    // Most sources are small, and half of the flux is met long before the outer rings are summed.
    for reach in [SMALL_PX.min(longest), longest] {
        let mut rings = ring_sums(image, centre, within, reach);
        let complete = (reach / step) as usize;
        for i in 1..complete {
            rings[i] += rings[i - 1];
        }
        match rings[..complete].iter().position(|&flux| flux >= target) {
            None => {}
            Some(0) => return step * target / rings[0],
            Some(i) => return step * (i as f64 + (target - rings[i - 1]) / (rings[i] - rings[i - 1])),
        }
        if reach >= longest {
            break;
        }
    }
    longest
}

/// Flux of each ring of `within` / 64 px; complete up to `reach`.
fn ring_sums(image: &Plane<f32>, centre: (f64, f64), within: f64, reach: f64) -> [f64; RINGS] {
    let (x0, y0) = centre;
    let columns = extent(x0, reach + 1.0, image.width());
    let columns = columns.start..columns.end.min(columns.start + WIDEST_PX);
    let offset = |i: usize| ((i as f64 + 0.5) / SAMPLES as f64 - 0.5) as f32;
    let rings_per_px = (RINGS as f64 / within) as f32;
    let mut dx2 = [[0f32; SAMPLES]; WIDEST_PX];
    for (samples, ix) in dx2.iter_mut().zip(columns.clone()) {
        *samples = std::array::from_fn(|i| (((ix as f64 - x0) as f32 + offset(i)) * rings_per_px).powi(2));
    }
    // The last ring takes all that lies beyond.
    let mut sums = [0f32; RINGS + 1];
    let mut ring = [[0i32; SAMPLES]; WIDEST_PX];
    for iy in extent(y0, reach + 1.0, image.height()) {
        let row = &image.row(iy)[columns.clone()];
        for j in 0..SAMPLES {
            let dy2 = (((iy as f64 - y0) as f32 + offset(j)) * rings_per_px).powi(2);
            for (ring, dx2) in ring.iter_mut().zip(&dx2[..columns.len()]) {
                for (r, &d) in ring.iter_mut().zip(dx2) {
                    *r = (d + dy2).sqrt().min(RINGS as f32) as i32;
                }
            }
            for (&pixel, ring) in row.iter().zip(&ring) {
                for &r in ring {
                    sums[r as usize] += pixel;
                }
            }
        }
    }
    let share = 1.0 / (SAMPLES * SAMPLES) as f64;
    std::array::from_fn(|i| f64::from(sums[i]) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_gaussian_lies_within_its_half_light_radius() {
        for sigma in [1.0, 1.7, 2.5] {
            let pixels = (0..64 * 64).map(|i| {
                let (dx, dy) = ((i % 64) as f64 - 31.4, (i / 64) as f64 - 30.8);
                (-(dx * dx + dy * dy) / (2.0 * sigma * sigma)).exp() as f32
            });
            let image = Plane::from_pixels(64, 64, pixels.collect());
            let total = std::f64::consts::TAU * sigma * sigma;
            let radius = radius_holding(&image, (31.4, 30.8), 8.0, 8.0, Some(total));
            // Pixels sample the Gaussian at their centres; spreading each over its area adds 1/12 px^2 to sigma^2.
            let expected = super::super::HALF_LIGHT_PER_SIGMA * (sigma * sigma + 1.0f64 / 12.0).sqrt();
            assert!((radius / expected - 1.0).abs() < 0.01, "{sigma}: {radius} {expected}");
        }
    }

    #[test]
    fn nothing_has_no_radius() {
        let nothing = Plane::filled(64, 64, -1.0);
        assert!(radius_holding(&nothing, (30.0, 30.0), 8.0, 8.0, None).is_nan());
        assert!(radius_holding(&nothing, (f64::NAN, 30.0), 8.0, 8.0, None).is_nan());
        assert!(radius_holding(&nothing, (-1e12, 1e12), 8.0, 8.0, None).is_nan());
    }
}
