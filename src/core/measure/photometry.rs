//! Fluxes within apertures: a circle of fixed size and Kron's ellipse, forced at the reference position in every
//! band, on pixels without the others' light. Pixels of neighbours that no model can take away, and unusable ones, are
//! replaced by those on the object's other side (SExtractor's
//! MASK_TYPE CORRECT).

use super::isophote::Isophote;
use crate::aperture::{APERTURE_DIAMETER_ARCSEC, Ellipse, extent};
use crate::cutout::FrameView;
use crate::frame::{PerBand, Plane, mask};
use crate::scene::{Light, Window};

/// The Kron radius is a mean over this many isophotal radii.
const KRON_WITHIN: f64 = 6.0;
/// The aperture is this many Kron radii...
const KRON_FACTOR: f64 = 2.5;
/// ...but not below this many isophotal radii.
const KRON_SMALLEST: f64 = 3.5;
/// No ellipse reaches further, so that no object costs more than some 40,000 pixels a band; larger galaxies lose
/// what lies beyond.
const FARTHEST_PX: f64 = 100.0;
/// Semi-axes of an ellipse are at least this, px: a single pixel's standard deviation.
const THINNEST_PX: f64 = 0.288_675;
/// More replaced pixels than this share of the aperture bias its flux.
const NEIGHBOURS_SHARE: f64 = 0.1;
/// With fewer of its pixels measured an aperture has no flux.
const LEAST_SHARE: f64 = 0.5;

/// Fluxes of one kind in all bands, nMgy.
pub(super) struct Fluxes {
    /// NaN where a band does not show at least half of the aperture.
    pub flux: PerBand<f64>,
    /// Standard error: sky noise and photons.
    pub error: PerBand<f64>,
    /// More than a tenth of the reference aperture was another's or unusable.
    pub neighbours: bool,
    /// The reference aperture leaves the frame.
    pub truncated: bool,
}

/// One object's apertures.
pub(super) struct Photometry<'a> {
    view: &'a FrameView<'a>,
    number: u32,
    at: (f64, f64),
    kron: Ellipse,
    kron_radius_px: f64,
    /// Others' light about it.
    others: PerBand<Option<OthersLight>>,
}

/// Others' light on a piece of a band.
struct OthersLight {
    window: Window,
    light: Light,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    flux: f64,
    /// Of measured pixels, px^2.
    area: f64,
    /// Of those that were replaced or left out, px^2.
    replaced: f64,
    /// Variance of the sky under the measured ones, nMgy^2.
    sky_variance: f64,
    /// Variance that others' light added to them, nMgy^2.
    others_variance: f64,
}

impl<'a> Photometry<'a> {
    /// Finds the Kron ellipse of object `number` at reference position `at` on the detection image.
    pub fn new(
        view: &'a FrameView<'a>,
        number: u32,
        at: (f64, f64),
        isophote: &Isophote,
        detection: &Plane<f32>,
    ) -> Self {
        let a = isophote.a.clamp(THINNEST_PX, FARTHEST_PX);
        let b = isophote.b.clamp(THINNEST_PX, a);
        let largest = FARTHEST_PX / a;
        let scaled = |factor: f64| Ellipse::new(a * factor, b * factor, isophote.theta);
        // The detection image holds all light.
        let own = Own::new(view, number, view.survey.reference(), at, at).alone();
        let radius = kron_radius(&own, at, &scaled(KRON_WITHIN.min(largest)), detection) * KRON_WITHIN.min(largest);
        let factor = (KRON_FACTOR * radius).max(KRON_SMALLEST).min(largest);
        let kron = scaled(factor);
        let mut photometry =
            Self { view, number, at, kron, kron_radius_px: a * factor, others: std::array::from_fn(|_| None) };
        let circle = photometry.circle();
        let reach = [kron.reach().0, kron.reach().1, circle.reach().0].into_iter().fold(0.0, f64::max) + 1.0;
        if let Some(others) = view.others(number, at, reach) {
            photometry.others = std::array::from_fn(|b| {
                let window = Window::about(view.prepared.to_band[b].apply(at.0, at.1), reach.ceil() as usize);
                others.on_pixels(b, window).map(|light| OthersLight { window, light })
            });
        }
        photometry
    }

    /// Semi-major axis of the Kron aperture, px.
    pub fn kron_radius_px(&self) -> f64 {
        self.kron_radius_px
    }

    /// Kron fluxes.
    pub fn kron(&self) -> Fluxes {
        self.within(&self.kron)
    }

    /// What a Kron flux is multiplied by to be total: all of the best model's light over what the aperture holds of it. NaN
    /// where there is no model, or the aperture reaches out of it.
    pub fn kron_correction(&self) -> PerBand<f64> {
        let share = |b: usize| {
            let at = self.view.prepared.to_band[b].apply(self.at.0, self.at.1);
            self.view.scene?.share_within(self.number, b, &self.kron, at)
        };
        std::array::from_fn(|b| share(b).filter(|&s| s > LEAST_SHARE).map_or(f64::NAN, f64::recip))
    }

    /// Fluxes within the circle.
    pub fn aperture(&self) -> Fluxes {
        self.within(&self.circle())
    }

    fn circle(&self) -> Ellipse {
        Ellipse::circle(APERTURE_DIAMETER_ARCSEC / 2.0 / self.view.prepared.pixel_scale_arcsec)
    }

    fn within(&self, ellipse: &Ellipse) -> Fluxes {
        let area = ellipse.area();
        let sums: PerBand<Sum> = std::array::from_fn(|b| self.sum(ellipse, b));
        let reference = sums[self.view.survey.reference()];
        let measured = sums.map(|s| s.area >= LEAST_SHARE * area);
        let flux = std::array::from_fn(|b| if measured[b] { sums[b].flux } else { f64::NAN });
        let error = std::array::from_fn(|b| {
            let noise = self.view.noise(b);
            let by_pixel = self.view.prepared.frame.bands[b].variance.is_some();
            let sky = if by_pixel { sums[b].sky_variance } else { noise.sigma.powi(2) * sums[b].area };
            let variance = sky + noise.nmgy_per_electron * sums[b].flux.max(0.0) + sums[b].others_variance;
            if measured[b] { variance.sqrt() } else { f64::NAN }
        });
        Fluxes {
            flux,
            error,
            neighbours: reference.replaced > NEIGHBOURS_SHARE * area,
            truncated: !self.is_inside_frame(ellipse),
        }
    }

    fn is_inside_frame(&self, ellipse: &Ellipse) -> bool {
        let frame = &self.view.prepared.frame;
        let inside = |v: f64, reach: f64, length: usize| v - reach > -0.5 && v + reach < length as f64 - 0.5;
        inside(self.at.0, ellipse.reach().0, frame.width()) && inside(self.at.1, ellipse.reach().1, frame.height())
    }

    fn sum(&self, ellipse: &Ellipse, band: usize) -> Sum {
        let (x, y) = self.view.prepared.to_band[band].apply(self.at.0, self.at.1);
        let pixels = &self.view.prepared.frame.bands[band].pixels;
        let (noise, variance) = (self.view.noise(band), self.view.prepared.frame.bands[band].variance.as_ref());
        let own = Own::new(self.view, self.number, band, self.at, (x, y));
        let columns = extent(x, ellipse.reach().0, pixels.width());
        let mut sum = Sum::default();
        for iy in extent(y, ellipse.reach().1, pixels.height()) {
            for ix in columns.clone() {
                let share = ellipse.overlap(ix as f64 - x, iy as f64 - y);
                if share == 0.0 {
                    continue;
                }
                let (here_x, here_y) = (ix as isize, iy as isize);
                let pixel = if own.is(here_x, here_y) {
                    Some((ix, iy))
                } else {
                    sum.replaced += share;
                    own.opposite(here_x, here_y)
                };
                if let Some((px, py)) = pixel {
                    sum.flux += share * f64::from(pixels.at(px, py));
                    if let Some((light, variance)) = self.others[band].as_ref().and_then(|o| o.at(px, py)) {
                        sum.flux -= share * light;
                        sum.others_variance += share * variance;
                    }
                    sum.area += share;
                    if variance.is_some() {
                        let sigma = noise.at(variance, px as isize, py as isize).sigma;
                        sum.sky_variance += share * sigma * sigma;
                    }
                }
            }
        }
        sum
    }
}

/// Mean radius of the light within `region` as a share of the region's own; 0 without positive light.
fn kron_radius(own: &Own, at: (f64, f64), region: &Ellipse, detection: &Plane<f32>) -> f64 {
    let (mut moment, mut light) = (0.0, 0.0);
    let columns = extent(at.0, region.reach().0, detection.width());
    for iy in extent(at.1, region.reach().1, detection.height()) {
        for ix in columns.clone() {
            let r2 = region.radius_squared(ix as f64 - at.0, iy as f64 - at.1);
            if r2 > 1.0 {
                continue;
            }
            let (here_x, here_y) = (ix as isize, iy as isize);
            let pixel = if own.is(here_x, here_y) { Some((ix, iy)) } else { own.opposite(here_x, here_y) };
            if let Some((px, py)) = pixel {
                let value = f64::from(detection.at(px, py));
                moment += r2.sqrt() * value;
                light += value;
            }
        }
    }
    let radius = moment / light;
    if light > 0.0 && moment > 0.0 && radius.is_finite() { radius } else { 0.0 }
}

impl OthersLight {
    /// Light and variance of a pixel.
    fn at(&self, x: usize, y: usize) -> Option<(f64, f64)> {
        let (dx, dy) = (x as isize - self.window.left, y as isize - self.window.top);
        let inside = (0..self.window.width as isize).contains(&dx) && (0..self.window.height as isize).contains(&dy);
        let i = inside.then(|| dy as usize * self.window.width + dx as usize)?;
        let variance = self.light.variance.as_ref().map_or(0.0, |v| f64::from(v[i]));
        Some((f64::from(self.light.value[i]), variance))
    }
}

/// Which pixels of a band are usable and not another object's.
struct Own<'a> {
    view: FrameView<'a>,
    bits: &'a Plane<u8>,
    number: u32,
    /// Band pixel minus reference pixel here, whole pixels: the segmentation lies on the reference grid.
    shift: (isize, isize),
    /// Twice the object's position in the band.
    twice: (f64, f64),
}

impl<'a> Own<'a> {
    fn new(view: &FrameView<'a>, number: u32, band: usize, at: (f64, f64), in_band: (f64, f64)) -> Self {
        Self {
            view: *view,
            bits: view.bits(band),
            number,
            shift: ((in_band.0 - at.0).round() as isize, (in_band.1 - at.1).round() as isize),
            twice: (2.0 * in_band.0, 2.0 * in_band.1),
        }
    }

    /// The same where no model is taken away.
    fn alone(mut self) -> Self {
        self.view.scene = None;
        self
    }

    fn is(&self, x: isize, y: isize) -> bool {
        let usable = self.bits.get(x, y).is_some_and(|b| b & mask::UNUSABLE == 0);
        let owner = self.view.segmentation.get(x - self.shift.0, y - self.shift.1).unwrap_or(0);
        usable && !self.view.is_masked(owner, self.number)
    }

    /// The pixel on the object's other side, where that is its own.
    fn opposite(&self, x: isize, y: isize) -> Option<(usize, usize)> {
        let mirror = |twice: f64, v: isize| (twice - v as f64).round() as isize;
        let (x, y) = (mirror(self.twice.0, x), mirror(self.twice.1, y));
        self.is(x, y).then_some((x as usize, y as usize))
    }
}
