//! Sums within ellipses, boundary pixels by 5x5 samples as `sep.sum_ellipse` and `sep.sum_circle` by default.

use std::ops::Range;

use crate::frame::Plane;

/// Samples a side of a boundary pixel.
const SAMPLES: usize = 5;
/// Half of a pixel's diagonal: beyond it from the boundary a pixel is wholly in or out.
const HALF_DIAGONAL: f64 = 0.7072;

/// An ellipse about the origin: `xx dx^2 + yy dy^2 + xy dx dy < 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ellipse {
    xx: f64,
    yy: f64,
    xy: f64,
    /// Squared radii within which a pixel is wholly in, and beyond which it is wholly out.
    inner2: f64,
    outer2: f64,
    /// Half the width and height of the box around it, px.
    reach: (f64, f64),
    area: f64,
}

impl Ellipse {
    /// Semi-axes in px and the angle of the major one from +x to +y, radians.
    pub fn new(a: f64, b: f64, theta: f64) -> Self {
        let (sin, cos) = theta.sin_cos();
        let (ia, ib) = ((a * a).recip(), (b * b).recip());
        Self {
            xx: cos * cos * ia + sin * sin * ib,
            yy: sin * sin * ia + cos * cos * ib,
            xy: 2.0 * cos * sin * (ia - ib),
            inner2: (1.0 - HALF_DIAGONAL / b).max(0.0).powi(2),
            outer2: (1.0 + HALF_DIAGONAL / b).powi(2),
            reach: ((a * cos).hypot(b * sin), (a * sin).hypot(b * cos)),
            area: std::f64::consts::PI * a * b,
        }
    }

    /// A circle.
    pub fn circle(radius: f64) -> Self {
        Self::new(radius, radius, 0.0)
    }

    /// Distance from the centre in units of the ellipse's own radius in that direction, squared.
    pub fn radius_squared(&self, dx: f64, dy: f64) -> f64 {
        self.xx * dx * dx + self.yy * dy * dy + self.xy * dx * dy
    }

    /// Area, px^2.
    pub fn area(&self) -> f64 {
        self.area
    }

    /// Half the width and height of the box around it, px.
    pub fn reach(&self) -> (f64, f64) {
        self.reach
    }

    /// Share, 0..1, of the pixel whose centre lies (dx, dy) from the ellipse's.
    pub fn overlap(&self, dx: f64, dy: f64) -> f64 {
        let r2 = self.radius_squared(dx, dy);
        if r2 >= self.outer2 {
            return 0.0;
        }
        if r2 <= self.inner2 {
            return 1.0;
        }
        let step = 1.0 / SAMPLES as f64;
        let offset = |i: usize| (i as f64 + 0.5) * step - 0.5;
        let mut inside = 0;
        for j in 0..SAMPLES {
            for i in 0..SAMPLES {
                inside += usize::from(self.radius_squared(dx + offset(i), dy + offset(j)) < 1.0);
            }
        }
        inside as f64 * step * step
    }
}

/// Flux within an aperture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// Sum of the pixels, nMgy.
    pub flux: f64,
    /// Pixels summed, px^2; less than the aperture's where it leaves the image.
    pub area: f64,
}

/// Indices, within 0..length, of the pixels that a span of +-`reach` about `centre` can touch.
pub fn extent(centre: f64, reach: f64, length: usize) -> Range<usize> {
    let from = (centre - reach + 0.5).floor().clamp(0.0, length as f64) as usize;
    let to = (centre + reach + 1.5).floor().clamp(0.0, length as f64) as usize;
    from..to
}

/// Sum of an image within an ellipse about `centre`.
pub fn sum(image: &Plane<f32>, ellipse: &Ellipse, centre: (f64, f64)) -> Sum {
    let (x, y) = centre;
    let columns = extent(x, ellipse.reach.0, image.width());
    let mut total = Sum::default();
    for iy in extent(y, ellipse.reach.1, image.height()) {
        let row = &image.row(iy)[columns.clone()];
        for (ix, &pixel) in columns.clone().zip(row) {
            let share = ellipse.overlap(ix as f64 - x, iy as f64 - y);
            total.flux += share * f64::from(pixel);
            total.area += share;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_pi_a_b() {
        let image = Plane::filled(64, 64, 2.0);
        for (a, b, theta) in [(4.0, 4.0, 0.0), (9.0, 3.0, 0.6), (12.0, 2.0, -1.2)] {
            let s = sum(&image, &Ellipse::new(a, b, theta), (31.3, 32.8));
            let area = std::f64::consts::PI * a * b;
            assert!((s.area / area - 1.0).abs() < 5e-3 && (s.flux / area - 2.0).abs() < 1e-2, "{a} {b}: {s:?}");
        }
    }

    #[test]
    fn agrees_with_sep() {
        // sep 1.4.1: sum_circle(d, [15.3], [14.6], 3.789), sum_ellipse(d, [15.3], [14.6], 3.1, 1.7, .5, 2.0) with
        // d[y, x] = 1 + x + 2 y + x y / 7, 32x32 float32.
        let image = Plane::from_pixels(
            32,
            32,
            (0..1024).map(|i| (i % 32, i / 32)).map(|(x, y)| 1.0 + (x + 2 * y) as f32 + (x * y) as f32 / 7.0).collect(),
        );
        let circle = sum(&image, &Ellipse::circle(3.789), (15.3, 14.6)).flux;
        assert!((circle / CIRCLE - 1.0).abs() < 1e-6, "{circle}");
        let ellipse = sum(&image, &Ellipse::new(6.2, 3.4, 0.5), (15.3, 14.6)).flux;
        assert!((ellipse / ELLIPSE - 1.0).abs() < 1e-6, "{ellipse}");
    }

    const CIRCLE: f64 = 3_499.274_292_3;
    const ELLIPSE: f64 = 5_142.285_717_77;

    #[test]
    fn a_circle_off_the_image_or_nowhere_is_empty() {
        let image = Plane::filled(64, 64, 1.0);
        for centre in [(-50.0, 3.0), (3.0, 1e9), (f64::NAN, 3.0)] {
            assert_eq!(sum(&image, &Ellipse::circle(5.0), centre).flux, 0.0);
        }
    }
}
