//! From calibrated pixels to pixels the nets and measurements can use: background, noise, bad pixels,
//! registration. The trainer and the daemon both come through here, with the bundle's [`Settings`].

mod background;
mod clipped;
mod constant;
mod cosmic;
mod dead;
mod defects;
mod focus;
mod inverted;
mod no_data;
mod noise;
pub mod plausible;
mod refusal;
mod registration;
mod resample;
mod saturation;
mod second_sky;
mod spline;
mod stars;
mod streaks;
mod variance;

#[cfg(test)]
pub(crate) mod real;
#[cfg(test)]
mod tests;

use background::{Background, Dither};
use cosmic::TooSharp;
use plausible::{SkySteps, noise_against_gain};
use rayon::prelude::*;
pub use refusal::PreprocessError;
use registration::Place;
pub use registration::Turn;
pub(crate) use registration::shifted;

use serde::{Deserialize, Serialize};
use streaks::Streak;
use streaks::alone::Path;
pub use variance::noise_ratio;

use crate::frame::{Affine, BANDS, Band, Frame, PerBand, Plane, mask};
use crate::median::upper_median;
use crate::model::TILE;
use crate::sky_mask;
use crate::survey::Survey;

/// Smallest side of a frame, px: one tile.
pub const SMALLEST_PX: usize = TILE;

/// Parameters that a model bundle pins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Side of a background mesh, px.
    pub mesh_px: usize,
    /// Uniform dither that enters the background's estimate (never the data), in steps of one DN.
    pub dither_dn: f64,
    /// Seed of the dither.
    pub dither_seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { mesh_px: 128, dither_dn: 1.0, dither_seed: 0 }
    }
}

/// Level and noise of one band's sky.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sky {
    /// Median of the background that was subtracted here, nMgy.
    pub level_nmgy: f32,
    /// Noise of one pixel, from the sky's negative side, nMgy.
    pub sigma_nmgy: f32,
}

impl Sky {
    /// Of a band that was not taken: no level, and noise without bound, so that it has no weight in any sum.
    pub const ABSENT: Self = Self { level_nmgy: f32::NAN, sigma_nmgy: f32::INFINITY };
}

/// A frame ready for nets and measurement.
pub struct Prepared {
    /// The frame: background subtracted, masks complete, BAD and NO_DATA pixels 0. SAT pixels keep their values:
    /// a star whose core is cut out would be found as a ring of fragments.
    pub frame: Frame,
    /// Level and noise of each band's sky, as measured here.
    pub sky: PerBand<Sky>,
    /// Side of a pixel of the reference grid, arcsec: the survey's, or the frame's own where its world coordinates
    /// differ from that by more than 1 %.
    pub pixel_scale_arcsec: f64,
    /// Reference pixel -> band pixel (sub-pixel), for cuts and forced photometry. The identity for a band that was
    /// resampled onto the reference grid.
    pub to_band: PerBand<Affine>,
    /// The same as whole pixels (dx, dy) at the frame's centre.
    pub shift_px: PerBand<(isize, isize)>,
    /// Every band on the reference grid by whole pixels (so that the noise stays white), in units of its noise;
    /// 0 where BAD, NO_DATA or outside, and all of a band that was not taken.
    pub registered: PerBand<Plane<f32>>,
    /// [`crate::frame::mask`] bits on the reference grid: BAD, SAT and NO_DATA where any shape band has them (or
    /// does not reach), EDGE at the rim and where any band does not reach. A band that was not taken has no say.
    pub bits: Plane<u8>,
    /// Where the reference grid shows no plain sky ([`crate::sky_mask`]).
    pub occupied: Plane<bool>,
    /// Trails of satellites and aeroplanes that were masked in each band.
    pub streaks: PerBand<usize>,
    /// Bands that were taken without light, as through a closed shutter: they count as not taken.
    pub dark: PerBand<bool>,
}

impl Prepared {
    /// The survey's shape bands that this frame has, in the survey's order; none where all are missing.
    pub fn shape_bands(&self, survey: &Survey) -> Vec<usize> {
        survey.shape_bands().into_iter().filter(|&b| self.frame.present[b]).collect()
    }
}

/// Weights of a frame's detection sum: an ordinary object's flux over this frame's own noise.
pub(crate) fn detection_weights(sky: &PerBand<Sky>, survey: &Survey) -> PerBand<f32> {
    survey.detection_weights(&sky.map(|s| f64::from(s.sigma_nmgy)), &[0, 1, 2, 3, 4])
}

/// The smooth sky of pixels whose usable ones (`bits`) are of plane `b`, made as the first time; `None` where too few are.
pub(crate) fn sky_of(pixels: &Plane<f32>, bits: &Plane<u8>, b: usize, band: &Band) -> Option<Plane<f32>> {
    let settings = Settings::default();
    let dither = Dither::new(&settings, b, band.nmgy_per_dn);
    let background = Background::measure(pixels, bits, settings.mesh_px, dither)?;
    let mut sky = Plane::filled(pixels.width(), pixels.height(), 0.0);
    background.subtract(&mut sky);
    sky.pixels_mut().iter_mut().for_each(|v| *v = -*v);
    Some(sky)
}

/// Prepares a frame. Bands run in parallel; the result does not depend on the number of threads.
///
/// # Errors
/// [`PreprocessError`]
pub fn prepare(mut frame: Frame, survey: &Survey, settings: &Settings) -> Result<Prepared, PreprocessError> {
    for (width, height) in frame.bands.iter().map(|band| (band.pixels.width(), band.pixels.height())) {
        if width < SMALLEST_PX || height < SMALLEST_PX {
            return Err(PreprocessError::TooSmall { width, height });
        }
    }
    let pixel_scale_arcsec = registration::pixel_scale_arcsec(&frame, survey)?;
    let mut places = registration::places(&frame, survey)?;
    let present = frame.present;
    let each = |(b, band): (usize, &mut Band)| match present[b] {
        true => clean(band, b, survey, settings),
        false => Ok(leave_out(band)),
    };
    let cleaned: Result<Vec<Cleaned>, PreprocessError> = frame.bands.par_iter_mut().enumerate().map(each).collect();
    let cleaned = cleaned?;
    compare(&frame.bands, &cleaned, &places, survey)?;
    let trails: PerBand<Vec<Streak>> = std::array::from_fn(|b| trails(&cleaned, b));
    let short: PerBand<Vec<Path>> =
        std::array::from_fn(|b| short_trails(&frame.bands, &cleaned, &places, b, &trails[b]));
    let streaks = std::array::from_fn(|b| trails[b].len() + short[b].len());
    frame.bands.par_iter_mut().zip(&cleaned).zip(trails.par_iter().zip(&short)).for_each(
        |((band, cleaned), (trails, short))| {
            cleaned.rays.mark(&mut band.mask);
            trails.iter().for_each(|trail| trail.mark(&mut band.mask));
            short.iter().for_each(|path| path.mark(&mut band.mask));
            empty(band);
            defects::mark_rim(&mut band.mask);
        },
    );
    let mut sky: PerBand<Sky> = std::array::from_fn(|b| cleaned[b].sky);
    onto_reference_grid(&mut frame, &mut sky, &mut places, survey.reference());
    let dark = stars::compare(&frame.bands, &present, &sky, &places, survey)?;
    for b in (0..BANDS).filter(|b| dark[*b]) {
        leave_out(&mut frame.bands[b]);
        (frame.present[b], sky[b]) = (false, Sky::ABSENT);
    }
    let mut registered = std::array::from_fn(|b| match variance::in_sigma(&frame.bands[b], sky[b].sigma_nmgy) {
        Some(in_sigma) => registration::shifted(&in_sigma, places[b].whole(), 1.0),
        None => registration::shifted(&frame.bands[b].pixels, places[b].whole(), 1.0 / sky[b].sigma_nmgy),
    });
    let fwhm_px = survey.profile().typical.fwhm_arcsec / pixel_scale_arcsec;
    let occupied = sky_mask::occupied(&registered, &detection_weights(&sky, survey), fwhm_px);
    second_sky::subtract(&mut registered, &occupied);
    let bits = reference_bits(&frame, &places, survey);
    let shift_px = places.each_ref().map(Place::whole);
    let to_band = places.map(|p| p.to_band);
    Ok(Prepared { frame, sky, pixel_scale_arcsec, to_band, shift_px, registered, bits, occupied, streaks, dark })
}

/// Gives every band the reference band's size: one that no shift brings onto its grid is resampled, one of another size
/// cut or widened. All are clean by now, since cosmic rays, bleeding and bad columns are told by the detector's own
/// pixels and white noise.
fn onto_reference_grid(frame: &mut Frame, sky: &mut PerBand<Sky>, places: &mut PerBand<Place>, reference: usize) {
    let (wcs, size) = {
        let band = &frame.bands[reference];
        (band.wcs.clone(), (band.pixels.width(), band.pixels.height()))
    };
    for ((band, sky), place) in frame.bands.iter_mut().zip(sky).zip(places) {
        if let Some(nodes) = place.nodes.take() {
            *place = resample::onto(band, sky, &nodes);
            band.wcs = wcs.clone();
        } else if (band.pixels.width(), band.pixels.height()) != size {
            *place = registration::cropped(band, place, size);
            band.wcs = wcs.clone();
        }
    }
}

/// What cleaning a band showed.
struct Cleaned {
    sky: Sky,
    rays: TooSharp,
    streaks: Vec<Streak>,
    paths: Vec<Path>,
    steps: SkySteps,
}

/// Subtracts a band's sky, measures its noise, completes its mask but for cosmic rays and the rim, and empties what
/// holds no measurement.
fn clean(band: &mut Band, b: usize, survey: &Survey, settings: &Settings) -> Result<Cleaned, PreprocessError> {
    let no_signal = |problem| PreprocessError::NoSignal { band: survey.band(b).to_owned(), problem };
    // What the survey's own mask does not say may be wrong besides, unless that says all.
    let search = !survey.has_complete_masks();
    defects::mark_unmeasured(band, search);
    let finite = band.pixels.pixels().iter().zip(band.mask.pixels());
    let mut measured = finite.filter(|(_, m)| **m & mask::NO_DATA == 0).map(|(p, _)| *p);
    let first = measured.next().ok_or(no_signal("no pixel has a value"))?;
    if measured.all(|p| p == first) {
        return Err(no_signal("all pixels have the same value"));
    }
    if let Some(refusal) = above_saturation(band, survey.band(b)) {
        return Err(refusal);
    }
    let rough = no_data::mark_before_sky(band, plausible::allowed_noise(band, b, survey));
    if let Some(rough) = rough.filter(|_| search) {
        clipped::mark(band, rough);
    }
    // Pixels whose noise is less than a count are no whole counts: coadds, in which a count is a unit of flux.
    let step_nmgy = band.nmgy_per_dn.min(survey.profile().typical.sky_sigma_nmgy[b]);
    let dither = Dither::new(settings, b, step_nmgy);
    let background = Background::measure(&band.pixels, &band.mask, settings.mesh_px, dither)
        .ok_or(no_signal("too few usable pixels to measure the sky"))?;
    background.subtract(&mut band.pixels);
    let sigma = noise::sky_sigma(&band.pixels, &band.mask);
    // The dither leaves a trace of itself in the sky of a frame without noise: that is none either.
    if !sigma.is_finite() || sigma <= 0.02 * f64::from(dither.width) || (sigma as f32) < f32::MIN_POSITIVE {
        return Err(no_signal("the sky has no noise"));
    }
    let sky = Sky { level_nmgy: background.level() as f32, sigma_nmgy: sigma as f32 };
    if let Some((dark, bright)) = inverted::is_negative(band, &background, sky.sigma_nmgy) {
        return Err(PreprocessError::Negative { band: survey.band(b).to_owned(), dark, bright });
    }
    no_data::mark_far_negative(band, &background, sky.sigma_nmgy);
    empty(band);
    let with_sources = survey.profile().weight.as_ref().is_some_and(|weight| weight.includes_sources);
    variance::leave_sky(band, with_sources)
        .map_err(|problem| PreprocessError::Variance { band: survey.band(b).to_owned(), problem })?;
    if let Some(refusal) = wrong_noise(band, b, &sky, survey) {
        return Err(refusal);
    }
    if let Some((rings, objects)) = focus::rings(band, sky.sigma_nmgy) {
        return Err(PreprocessError::OutOfFocus { band: survey.band(b).to_owned(), rings, objects });
    }
    if search {
        defects::mark_bleeding(band, sky.sigma_nmgy);
        defects::mark_bad_columns(band, sky.sigma_nmgy);
    }
    let rays = if search { cosmic::cosmic_rays(band, sky.sigma_nmgy) } else { TooSharp::default() };
    let steps = SkySteps::of(&band.pixels, &band.mask, sky.sigma_nmgy);
    if let Some(floor_dn) = survey.profile().saturation.replaced_core_dn.filter(|_| search) {
        let floor = (floor_dn * band.nmgy_per_dn) as f32;
        let cores = saturation::filled_cores(band, &rays, sky.sigma_nmgy, floor);
        saturation::mark(band, &cores);
        defects::mark_bleeding_from(cores, band, sky.sigma_nmgy);
    }
    let (streaks, paths) = match search {
        true => (streaks::find(band, sky.sigma_nmgy), streaks::alone::paths(band, sky.sigma_nmgy)),
        false => (Vec::new(), Vec::new()),
    };
    Ok(Cleaned { sky, rays, streaks, paths, steps })
}

/// The refusal of a band that is saturated for the most part.
fn above_saturation(band: &Band, name: &str) -> Option<PreprocessError> {
    let mut finite: Vec<f32> = band.pixels.pixels().iter().copied().step_by(7).filter(|p| p.is_finite()).collect();
    let saturated = finite.iter().filter(|p| f64::from(**p) > band.saturation_nmgy).count();
    if band.saturation_nmgy <= 0.0 || 2 * saturated <= finite.len() {
        return None;
    }
    let percent = 100.0 * saturated as f64 / finite.len() as f64;
    let level_nmgy = f64::from(upper_median(&mut finite, f32::total_cmp)?);
    let saturation_nmgy = band.saturation_nmgy;
    Some(PreprocessError::AboveSaturation { band: name.to_owned(), percent, saturation_nmgy, level_nmgy })
}

/// The refusal of a band whose noise gain and zero point do not allow.
fn wrong_noise(band: &Band, b: usize, sky: &Sky, survey: &Survey) -> Option<PreprocessError> {
    let facts = plausible::SkyFacts::of(band, b, sky, survey);
    let mut found = noise_against_gain(&facts);
    if found.ratio > plausible::NOISE_FACTOR {
        // Structure in the sky is no noise.
        let sigma_nmgy = facts.sigma_nmgy.min(plausible::difference_sigma(&band.pixels, &band.mask));
        found = noise_against_gain(&plausible::SkyFacts { sigma_nmgy, ..facts });
    }
    (!found.is_plausible()).then(|| PreprocessError::Noise {
        band: survey.band(b).to_owned(),
        sigma_nmgy: facts.sigma_nmgy,
        ratio: found.ratio,
        gain_e_per_dn: band.gain_e_per_dn,
        nmgy_per_dn: band.nmgy_per_dn,
        sky: facts.known(),
    })
}

/// Compares the bands with each other: each has noise of its own, and what is in several is no cosmic ray.
fn compare(
    bands: &PerBand<Band>,
    cleaned: &[Cleaned],
    places: &PerBand<Place>,
    survey: &Survey,
) -> Result<(), PreprocessError> {
    let pairs = (0..BANDS).flat_map(|b| (0..BANDS).filter(move |c| *c != b).map(move |c| (b, c)));
    for (b, c) in pairs {
        let band = || survey.band(b).to_owned();
        if b < c && cleaned[b].steps.are_those_of(&cleaned[c].steps) {
            return Err(PreprocessError::SamePixels { band: band(), other: survey.band(c).to_owned() });
        }
        let (from, to) = (places[b].whole(), places[c].whole());
        let width = bands[b].mask.width();
        // Sharp places are found again in another band where a shift leads there.
        if !places[b].is_shift() || !places[c].is_shift() || bands[c].mask.width() != width {
            continue;
        }
        let step = (to.0 - from.0, to.1 - from.1);
        if let Some(fwhm_px) = cosmic::undersampled(&cleaned[b].rays, &cleaned[c].rays, step, width) {
            return Err(PreprocessError::Undersampled { band: band(), fwhm_px });
        }
    }
    Ok(())
}

/// Empties a band that was not taken.
fn leave_out(band: &mut Band) -> Cleaned {
    band.mask.pixels_mut().iter_mut().for_each(|m| *m |= mask::NO_DATA);
    empty(band);
    Cleaned {
        sky: Sky::ABSENT,
        rays: TooSharp::default(),
        streaks: Vec::new(),
        paths: Vec::new(),
        steps: SkySteps::default(),
    }
}

/// The lines of band `b` that are trails.
fn trails(cleaned: &[Cleaned], b: usize) -> Vec<Streak> {
    let others = || cleaned.iter().enumerate().filter(|other| other.0 != b).flat_map(|other| &other.1.streaks);
    cleaned[b].streaks.iter().copied().filter(|streak| streak.is_trail(others())).collect()
}

/// The paths of band `b` that no other band shows, and that are no part of one of its straight trails.
fn short_trails(
    bands: &PerBand<Band>,
    cleaned: &[Cleaned],
    places: &PerBand<Place>,
    b: usize,
    trails: &[Streak],
) -> Vec<Path> {
    if cleaned[b].paths.is_empty() || !places[b].is_shift() {
        return Vec::new();
    }
    let (width, height) = (bands[b].mask.width(), bands[b].mask.height());
    let mut masked = Plane::filled(width, height, 0);
    trails.iter().for_each(|trail| trail.mark(&mut masked));
    let own = (&bands[b], cleaned[b].sky.sigma_nmgy);
    let from = places[b].whole();
    let is_other = |c: &usize| *c != b && cleaned[*c].sky.sigma_nmgy.is_finite() && places[*c].is_shift();
    let others: Vec<_> = (0..BANDS)
        .filter(is_other)
        .map(|c| (&bands[c], cleaned[c].sky.sigma_nmgy, (places[c].whole().0 - from.0, places[c].whole().1 - from.1)))
        .collect();
    let is_new = |path: &&Path| {
        let pixels = path.pixels((width, height));
        2 * pixels.iter().filter(|(x, y)| masked.at(*x, *y) != 0).count() < pixels.len()
    };
    cleaned[b].paths.iter().filter(is_new).filter(|path| path.is_alone(own, &others)).cloned().collect()
}

/// Sets pixels without a measurement to 0.
fn empty(band: &mut Band) {
    for (p, m) in band.pixels.pixels_mut().iter_mut().zip(band.mask.pixels()) {
        if m & (mask::BAD | mask::NO_DATA) != 0 {
            *p = 0.0;
        }
    }
}

/// The masks of the bands that were taken, put together on the reference grid.
fn reference_bits(frame: &Frame, places: &PerBand<Place>, survey: &Survey) -> Plane<u8> {
    let (width, height) = (frame.width(), frame.height());
    let mut bits = Plane::filled(width, height, 0);
    defects::mark_rim(&mut bits);
    for (b, place) in places.iter().enumerate().filter(|(b, _)| frame.present[*b]) {
        let shape = survey.shape_bands().contains(&b);
        let beyond = if shape { mask::EDGE | mask::NO_DATA } else { mask::EDGE };
        let (dx, dy) = place.whole();
        let (from, to) = registration::overlap(dx, width);
        for y in 0..height {
            let row = bits.row_mut(y);
            let source = usize::try_from(y as isize + dy).ok().filter(|y| *y < height && from < to);
            let Some(source) = source else {
                row.iter_mut().for_each(|m| *m |= beyond);
                continue;
            };
            row[..from].iter_mut().for_each(|m| *m |= beyond);
            row[to..].iter_mut().for_each(|m| *m |= beyond);
            if place.moved {
                let source = frame.bands[b].mask.row(source);
                row.iter_mut().zip(source).for_each(|(m, s)| *m |= s & mask::EDGE);
            }
            if shape {
                let source = &frame.bands[b].mask.row(source)[(from as isize + dx) as usize..];
                row[from..to].iter_mut().zip(source).for_each(|(m, s)| *m |= s & mask::UNUSABLE);
            }
        }
    }
    bits
}
