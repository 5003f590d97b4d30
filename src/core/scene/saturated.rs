//! Stars whose cores are saturated, whatever the survey's masks say, by the frame's own PSF.
//!
//! A star's core and wings are one PSF's. Where the detector clipped, or where the survey put other values into a
//! saturated core, the light within 2.5 px is a thirtieth to a third of what the wings at 3.5 to 9 px ask for; whole
//! stars have 1.00 +- .06 there. Large galaxies have as little in their cores, but their wings fall less steeply than a
//! PSF's.
//!
//! What is saturated enters no fit from then on; the star's flux and place are its wings'.

use super::halo::weighted_median;
use super::{Model, Scene, Window};
use crate::catalog::flag;
use crate::frame::{BANDS, PerBand, Plane, mask};
use crate::median::median;

/// The core ends here, px...
const CORE_PX: f64 = 2.5;
/// ...and the wings are between these radii, px.
const WINGS_PX: (f64, f64) = (3.5, 9.0);
/// A core with less than this share of the light that its wings ask for is saturated.
const SATURATED: f64 = 0.5;
/// A ring with less than this share belongs to it.
const SHORT: f64 = 0.7;
/// Rings of one pixel about the middle.
const RINGS: usize = 11;
/// A ring's light is so many times its sky noise, or it says nothing.
const HEARD_SIGMA: f64 = 8.0;
/// Fewest pixels of wings that say anything.
const FEWEST: usize = 20;
/// A galaxy's light at 9 to 10 px over that at 6 to 7 px is this many times a PSF's, or more.
const GALAXY: f64 = 1.7;
/// A core is asked where its brightest pixel is above this share of the value that is not trusted, unless the survey says
/// otherwise.
const ASKED: f64 = 0.08;
/// Steps towards the middle of a star.
const STEPS: usize = 6;

/// Pixels of one band that were taken out as a saturated core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Core {
    /// The band.
    pub band: usize,
    /// Its middle in the band, px.
    pub centre: (f64, f64),
    /// Pixels within this of it are saturated, px.
    pub radius_px: f64,
}

impl Core {
    /// Column and row of each of its pixels that lies on a plane of this size.
    pub fn pixels(&self, width: usize, height: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Self { centre: (x, y), radius_px, .. } = *self;
        let columns = crate::aperture::extent(x, radius_px, width);
        crate::aperture::extent(y, radius_px, height)
            .flat_map(move |row| columns.clone().map(move |column| (column, row)))
            .filter(move |&(column, row)| (column as f64 - x).hypot(row as f64 - y) <= radius_px)
    }
}

/// A centroid this near to the middle of the wings is that of a whole core, px.
const WHOLE_PX: f64 = 2.5;

/// What one band shows about a position, each ring as the flux of the point source that would shine so there.
#[derive(Clone, Copy, Debug)]
struct Light {
    /// By distance, nMgy; NaN without usable pixels.
    rings: [f64; RINGS],
    /// Within the core, saturated pixels too, nMgy.
    core: f64,
    /// Of the wings, nMgy; NaN where they have too few pixels.
    wings: f64,
    /// Brightest pixel of the core, nMgy.
    brightest: f64,
}

/// What the shape bands say of a place.
struct Verdict {
    cores: Vec<Core>,
    /// How much more slowly than a PSF's the wings fall, over the bands that show it.
    excess: Option<f64>,
}

impl Light {
    /// How much more slowly than a PSF's the wings fall; NaN where too little is seen.
    fn excess(&self) -> f64 {
        let mean = |r: std::ops::RangeInclusive<usize>| {
            let mut seen: Vec<f64> = self.rings[r].iter().copied().filter(|v| v.is_finite()).collect();
            median(&mut seen).unwrap_or(f64::NAN)
        };
        mean(9..=10) / mean(6..=7)
    }

    fn is_short(&self) -> bool {
        self.wings > 0.0 && self.core < SATURATED * self.wings
    }

    /// Radius within which rings are short of light, px.
    fn core_radius_px(&self) -> f64 {
        let short = |v: &f64| v.is_nan() || *v < SHORT * self.wings;
        let rings = if self.wings > 0.0 { self.rings.iter().take_while(|v| short(v)).count() } else { 0 };
        (rings as f64 - 0.5).clamp(CORE_PX, RINGS as f64 - 2.5)
    }
}

impl Scene<'_> {
    /// Finds stars with saturated cores among the objects, which have not been fitted yet: takes the cores out of every
    /// fit, puts the stars in the middle of their wings, with the flux of these, and flags them.
    pub(super) fn mark_saturated(&mut self) {
        for i in 0..self.objects.len() {
            let object = &self.objects[i];
            let start = object.at();
            if !object.alive || !self.shape_bands.iter().any(|&b| self.is_asked(start, b)) {
                continue;
            }
            // The centroid of a core that was cut, as its mask says, is right to some hundredths of a pixel; that of half a
            // core, or of one that was filled, is not. Beside a brighter star the middle may be that one's.
            let middle = self.middle(start);
            let is_near = (middle.0 - start.0).hypot(middle.1 - start.1) < WHOLE_PX;
            let is_whole = is_near && self.shape_bands.iter().any(|&b| self.is_cut(start, b));
            let places = if is_whole { [start, middle] } else { [middle, start] };
            let Some((at, found)) = places.into_iter().map(|at| (at, self.verdict(at))).find(|v| !v.1.cores.is_empty())
            else {
                continue;
            };
            found.cores.iter().for_each(|&core| self.take_out(core));
            let flux: PerBand<Option<f64>> = std::array::from_fn(|b| {
                let wings = self.prepared.frame.present[b].then(|| self.light(at, b).wings)?;
                wings.is_finite().then_some(wings)
            });
            self.change(i, |object| {
                object.flags |= flag::SATURATED | flag::CORE_SATURATED;
                (object.x, object.y) = at;
                object.start = at;
                object.wings_excess = found.excess;
                (0..BANDS).for_each(|b| object.flux_nmgy[b] = flux[b].unwrap_or(object.flux_nmgy[b]));
            });
        }
    }

    /// Which bands' cores are saturated at a place, and how the wings fall.
    fn verdict(&self, at: (f64, f64)) -> Verdict {
        let lights: Vec<(usize, Light)> = self.shape_bands.iter().map(|&b| (b, self.light(at, b))).collect();
        let mut excess: Vec<f64> = lights.iter().map(|l| l.1.excess()).filter(|v| v.is_finite()).collect();
        let excess = median(&mut excess);
        let is_galaxy = excess.is_some_and(|excess| excess > GALAXY);
        let is_saturated = |&&(b, light): &&(usize, Light)| {
            self.is_cut(at, b) || (!is_galaxy && light.brightest > self.floor_nmgy(b) && light.is_short())
        };
        let core = |&(band, light): &(usize, Light)| Core {
            band,
            centre: self.in_band(band, at),
            radius_px: light.core_radius_px(),
        };
        Verdict { cores: lights.iter().filter(is_saturated).map(core).collect(), excess }
    }

    /// Takes a saturated core out of every fit.
    fn take_out(&mut self, core: Core) {
        let b = core.band;
        let (unusable, frame) = (&mut self.unusable[b], &self.prepared.frame.bands[b].mask);
        let bits = self.bits[b].get_or_insert_with(|| frame.clone());
        for (x, y) in core.pixels(frame.width(), frame.height()) {
            unusable.set(x, y, true);
            bits.set(x, y, bits.at(x, y) | mask::SAT);
        }
        self.cores.push(core);
    }

    /// [`mask`] bits of a band's pixels, saturated cores among them that no mask of the frame's knows.
    pub fn bits(&self, band: usize) -> &Plane<u8> {
        self.bits[band].as_ref().unwrap_or(&self.prepared.frame.bands[band].mask)
    }

    /// Marks the cores on the reference grid.
    pub fn mark_cores(&self, bits: &mut Plane<u8>) {
        let (width, height) = (bits.width(), bits.height());
        for core in &self.cores {
            let (dx, dy) = self.prepared.shift_px[core.band];
            let centre = (core.centre.0 - dx as f64, core.centre.1 - dy as f64);
            for (x, y) in (Core { centre, ..*core }).pixels(width, height) {
                bits.set(x, y, bits.at(x, y) | mask::SAT);
            }
        }
    }

    /// A core whose brightest pixel is above this is held against its wings, nMgy.
    fn floor_nmgy(&self, band: usize) -> f64 {
        let saturation = &self.survey.profile().saturation;
        let floor_dn = saturation.replaced_core_dn.unwrap_or(ASKED * saturation.trusted_dn);
        floor_dn * self.prepared.frame.bands[band].nmgy_per_dn
    }

    /// Whether a core might be saturated: cheap, since it is asked of every object.
    fn is_asked(&self, at: (f64, f64), band: usize) -> bool {
        let (x, y) = self.in_band(band, at);
        let core = Core { band, centre: (x, y), radius_px: CORE_PX };
        let (data, bits) = (&self.data[band], &self.prepared.frame.bands[band].mask);
        let floor = self.floor_nmgy(band);
        core.pixels(data.width(), data.height())
            .any(|(x, y)| bits.at(x, y) & mask::SAT != 0 || f64::from(data.at(x, y)) > floor)
    }

    /// Whether the frame's mask says that the core is saturated.
    fn is_cut(&self, at: (f64, f64), band: usize) -> bool {
        let bits = &self.prepared.frame.bands[band].mask;
        let core = Core { band, centre: self.in_band(band, at), radius_px: CORE_PX };
        let is_cut = |bits: u8| bits & (mask::SAT | mask::BAD | mask::NO_DATA) == mask::SAT;
        core.pixels(bits.width(), bits.height()).any(|(x, y)| is_cut(bits.at(x, y)))
    }

    /// The middle of a bright star: that of the pixels that are as bright as its wings, or saturated. What fills a core has
    /// its peak anywhere.
    fn middle(&self, start: (f64, f64)) -> (f64, f64) {
        let band = self.survey.reference();
        if !self.prepared.frame.present[band] {
            return start;
        }
        let (data, bits) = (&self.data[band], &self.prepared.frame.bands[band].mask);
        let saturated = |x: usize, y: usize| bits.at(x, y) & mask::SAT != 0;
        let about = |at: (f64, f64), radius_px: f64| {
            let (centre, (width, height)) = (self.in_band(band, at), (data.width(), data.height()));
            let pixels = Core { band, centre, radius_px }.pixels(width, height);
            pixels.map(move |(x, y)| (x, y, (x as f64 - centre.0).hypot(y as f64 - centre.1)))
        };
        let mut at = start;
        for _ in 0..STEPS {
            let core = about(at, 14.0).filter(|&(x, y, _)| saturated(x, y)).count() as f64;
            let level_at = 6.0 + (core / std::f64::consts::PI).sqrt();
            let ring = about(at, level_at + 0.7).filter(|&(x, y, r)| r > level_at - 0.7 && !saturated(x, y));
            let Some(level) = median(&mut ring.map(|(x, y, _)| f64::from(data.at(x, y))).collect::<Vec<_>>()) else {
                return start;
            };
            // Bleeding runs on beyond the core, and not as far on both sides.
            let is_bright = |x: usize, y: usize, r: f64| match saturated(x, y) {
                true => r < level_at,
                false => f64::from(data.at(x, y)) > level,
            };
            let bright = about(at, 1.6 * level_at).filter(|&(x, y, r)| is_bright(x, y, r));
            let (mut columns, mut rows): (Vec<f64>, Vec<f64>) = bright.map(|(x, y, _)| (x as f64, y as f64)).unzip();
            let (Some(x), Some(y)) = (mean_of_middle(&mut columns), mean_of_middle(&mut rows)) else { return start };
            let here = self.in_band(band, at);
            at = (at.0 + x - here.0, at.1 + y - here.1);
        }
        at
    }

    fn light(&self, at: (f64, f64), band: usize) -> Light {
        let (x, y) = self.in_band(band, at);
        let window = Window::about((x, y), RINGS);
        let side = window.width;
        let mut psf = vec![0.0; side * side];
        self.stamp(&Model::Point, band, at, window, &mut psf);
        let sigma = self.noise[band].sigma;
        let mut rings: [Vec<(f64, f64)>; RINGS] = Default::default();
        let mut wings = Vec::new();
        let (mut along, mut length, mut brightest) = (0.0, 0.0, f64::MIN);
        for (i, &p) in psf.iter().enumerate() {
            let (column, row) = (window.left + (i % side) as isize, window.top + (i / side) as isize);
            let Some(bits) = self.prepared.frame.bands[band].mask.get(column, row) else { continue };
            let distance = (column as f64 - x).hypot(row as f64 - y);
            let value = f64::from(self.data[band].at(column as usize, row as usize));
            let p = f64::from(p);
            if distance <= CORE_PX && bits & (mask::BAD | mask::NO_DATA) == 0 {
                along += value * p;
                length += p * p;
                brightest = brightest.max(value);
            }
            if bits & mask::UNUSABLE == 0 && p > 0.0 {
                if let Some(ring) = rings.get_mut((distance + 0.5) as usize) {
                    ring.push((value / p, p));
                }
                if (WINGS_PX.0..=WINGS_PX.1).contains(&distance) {
                    wings.push((value / p, p));
                }
            }
        }
        // What the sky's noise makes of a ring that holds no more light than that is no ring.
        let heard = |ring: &[(f64, f64)], value: f64| {
            let light = ring.iter().map(|r| r.1).sum::<f64>() * value.abs();
            light > HEARD_SIGMA * sigma * (ring.len() as f64).sqrt()
        };
        let of = |mut ring: Vec<(f64, f64)>, fewest: usize| {
            let value = weighted_median(&mut ring);
            let says = ring.len() >= fewest && heard(&ring, value);
            if says { value } else { f64::NAN }
        };
        Light { rings: rings.map(|ring| of(ring, 1)), core: along / length, wings: of(wings, FEWEST), brightest }
    }
}

/// The mean of the middle half, which a neighbour on one side moves little.
fn mean_of_middle(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = &values[values.len() / 4..values.len() - values.len() / 4];
    (!middle.is_empty()).then(|| middle.iter().sum::<f64>() / middle.len() as f64)
}

#[cfg(test)]
mod tests;
