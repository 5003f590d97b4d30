//! Second moments of the footprints, weighted by the detection image as SExtractor does. One pass over the frame
//! serves all objects, so the cost does not depend on how large or interleaved they are.

use crate::extract::Footprints;
use crate::frame::Plane;

/// Moments below this determinant are those of a line or point, px^4...
const THIN: f64 = 0.00694;
/// ...and get the variance of a pixel, px^2.
const PIXEL: f64 = 1.0 / 12.0;

/// Shape of a footprint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Isophote {
    /// Standard deviation along the major axis, px.
    pub a: f64,
    /// Along the minor axis, px.
    pub b: f64,
    /// Angle of the major axis from +x to +y, radians, -pi/2..pi/2.
    pub theta: f64,
    /// Mask bits of all of its pixels together.
    pub bits: u8,
    /// Touches the frame's border.
    pub at_border: bool,
}

#[derive(Clone, Copy, Default)]
struct Moments {
    flux: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
    bits: u8,
    at_border: bool,
}

/// Shapes of all footprints, in their order.
pub(super) fn measure(footprints: &Footprints, detection: &Plane<f32>, bits: &Plane<u8>) -> Vec<Isophote> {
    let segmentation = &footprints.segmentation;
    let (width, height) = (segmentation.width(), segmentation.height());
    // Offsets from the footprint's own centre keep the squares small; pixels without flux still give a shape.
    let mut lit = vec![Moments::default(); footprints.objects.len()];
    let mut all = lit.clone();
    for y in 0..height {
        let at_border = y == 0 || y + 1 == height;
        for (x, &number) in segmentation.row(y).iter().enumerate().filter(|s| *s.1 > 0) {
            let index = number as usize - 1;
            let Some(footprint) = footprints.objects.get(index) else { continue };
            let (dx, dy) = (x as f64 - footprint.x, y as f64 - footprint.y);
            lit[index].add(dx, dy, f64::from(detection.at(x, y)).max(0.0));
            let all = &mut all[index];
            all.add(dx, dy, 1.0);
            all.bits |= bits.at(x, y);
            all.at_border |= at_border || x == 0 || x + 1 == width;
        }
    }
    lit.iter()
        .zip(&all)
        .map(|(lit, all)| lit.isophote().or_else(|| all.isophote()).unwrap_or(POINT).with(all))
        .collect()
}

/// A single pixel: what a footprint without pixels is taken for.
const POINT: Isophote = Isophote { a: 0.288_675_1, b: 0.288_675_1, theta: 0.0, bits: 0, at_border: false };

impl Moments {
    fn add(&mut self, dx: f64, dy: f64, flux: f64) {
        self.flux += flux;
        self.x += flux * dx;
        self.y += flux * dy;
        self.xx += flux * dx * dx;
        self.yy += flux * dy * dy;
        self.xy += flux * dx * dy;
    }

    fn isophote(&self) -> Option<Isophote> {
        if self.flux.is_nan() || self.flux <= 0.0 {
            return None;
        }
        let (x, y) = (self.x / self.flux, self.y / self.flux);
        let mut xx = (self.xx / self.flux - x * x).max(0.0);
        let mut yy = (self.yy / self.flux - y * y).max(0.0);
        let xy = self.xy / self.flux - x * y;
        if xx * yy - xy * xy < THIN {
            xx += PIXEL;
            yy += PIXEL;
        }
        let (mean, spread) = ((xx + yy) / 2.0, ((xx - yy) / 2.0).hypot(xy));
        let a = (mean + spread).sqrt();
        let b = (mean - spread).max(0.0).sqrt();
        let theta = if spread > 0.0 { 0.5 * (2.0 * xy).atan2(xx - yy) } else { 0.0 };
        a.is_finite().then_some(Isophote { a, b, theta, bits: 0, at_border: false })
    }
}

impl Isophote {
    fn with(self, all: &Moments) -> Self {
        Self { bits: all.bits, at_border: all.at_border, ..self }
    }
}
