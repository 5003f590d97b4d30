//! From calibrated pixels to pixels the nets and measurements can use: background, noise, bad pixels,
//! registration. The trainer and the daemon both come through here, with the bundle's [`Settings`].

mod background;
mod cosmic;
mod defects;
mod noise;
mod registration;
mod spline;
mod variance;

#[cfg(test)]
pub(crate) mod real;
#[cfg(test)]
mod tests;

use background::{Background, Dither};
use rayon::prelude::*;
use registration::Place;
use serde::{Deserialize, Serialize};
pub use variance::noise_ratio;

use crate::frame::{Affine, BANDS, Band, Frame, PerBand, Plane, mask};
use crate::model::TILE;
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

/// A frame ready for nets and measurement.
pub struct Prepared {
    /// The frame: background subtracted, masks complete, BAD and NO_DATA pixels 0. SAT pixels keep their values:
    /// a star whose core is cut out would be found as a ring of fragments.
    pub frame: Frame,
    /// Level and noise of each band's sky, as measured here.
    pub sky: PerBand<Sky>,
    /// Reference pixel -> band pixel (sub-pixel), for cuts and forced photometry.
    pub to_band: PerBand<Affine>,
    /// The same as whole pixels (dx, dy) at the frame's centre.
    pub shift_px: PerBand<(isize, isize)>,
    /// Every band on the reference grid by whole pixels (so that the noise stays white), in units of its noise;
    /// 0 where BAD, NO_DATA or outside.
    pub registered: PerBand<Plane<f32>>,
    /// [`crate::frame::mask`] bits on the reference grid: BAD, SAT and NO_DATA where any shape band has them (or
    /// does not reach), EDGE at the rim and where any band does not reach.
    pub bits: Plane<u8>,
}

/// Why a frame cannot be prepared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PreprocessError {
    /// Smaller than a tile.
    #[error("{width}x{height} px is smaller than the smallest frame, 64x64")]
    TooSmall {
        /// Width of the frame, px.
        width: usize,
        /// Height of the frame, px.
        height: usize,
    },
    /// A band without anything to measure.
    #[error("band {band}: {problem}")]
    NoSignal {
        /// Name of the band.
        band: String,
        /// What is wrong: all NaN, constant, or without noise.
        problem: &'static str,
    },
    /// The bands do not overlap on the sky.
    #[error("band {band} lies {offset_px:.0} px from the reference band by its world coordinates")]
    Misregistered {
        /// Name of the band.
        band: String,
        /// Distance; infinite where no pixel of the band answers a position of the reference band.
        offset_px: f64,
    },
    /// The bands' grids differ by more than a shift, a turn and a scale.
    #[error("band {band} differs from an affine map of the reference band by {residual_px:.2} px")]
    Distorted {
        /// Name of the band.
        band: String,
        /// Largest distance from the best affine map, px.
        residual_px: f64,
    },
}

impl PreprocessError {
    /// The band at fault, where one is.
    pub fn band(&self) -> Option<&str> {
        match self {
            Self::TooSmall { .. } => None,
            Self::NoSignal { band, .. } | Self::Misregistered { band, .. } | Self::Distorted { band, .. } => Some(band),
        }
    }
}

/// Prepares a frame. Bands run in parallel; the result does not depend on the number of threads.
///
/// # Errors
/// [`PreprocessError`]
pub fn prepare(mut frame: Frame, survey: &Survey, settings: &Settings) -> Result<Prepared, PreprocessError> {
    let (width, height) = (frame.width(), frame.height());
    if width < SMALLEST_PX || height < SMALLEST_PX {
        return Err(PreprocessError::TooSmall { width, height });
    }
    let places = registration::places(&frame, survey)?;
    let search = !survey.has_complete_masks();
    let with_sources = survey.profile().weight.as_ref().is_some_and(|weight| weight.includes_sources);
    let clean = |(b, band): (usize, &mut Band)| {
        let sky = clean(band, b, settings, search)?;
        variance::leave_sky(band, with_sources, sky.sigma_nmgy)?;
        Ok(sky)
    };
    let cleaned: Vec<Result<Sky, &'static str>> = frame.bands.par_iter_mut().enumerate().map(clean).collect();
    let mut sky = [Sky::default(); BANDS];
    for (b, cleaned) in cleaned.into_iter().enumerate() {
        sky[b] = cleaned.map_err(|problem| PreprocessError::NoSignal { band: survey.band(b).to_owned(), problem })?;
    }
    let registered = std::array::from_fn(|b| match variance::in_sigma(&frame.bands[b], sky[b].sigma_nmgy) {
        Some(in_sigma) => registration::shifted(&in_sigma, places[b].whole(), 1.0),
        None => registration::shifted(&frame.bands[b].pixels, places[b].whole(), 1.0 / sky[b].sigma_nmgy),
    });
    let bits = reference_bits(&frame.bands, &places, survey);
    let (to_band, shift_px) = (places.map(|p| p.to_band), places.map(|p| p.whole()));
    Ok(Prepared { frame, sky, to_band, shift_px, registered, bits })
}

/// Subtracts a band's sky, measures its noise, completes its mask and empties what holds no measurement.
/// `search` is whether anything may be wrong that the survey's own mask does not say.
fn clean(band: &mut Band, b: usize, settings: &Settings, search: bool) -> Result<Sky, &'static str> {
    defects::mark_unmeasured(band, search);
    let finite = band.pixels.pixels().iter().zip(band.mask.pixels());
    let mut measured = finite.filter(|(_, m)| **m & mask::NO_DATA == 0).map(|(p, _)| *p);
    let first = measured.next().ok_or("no pixel has a value")?;
    if measured.all(|p| p == first) {
        return Err("all pixels have the same value");
    }
    let dither = Dither::new(settings, b, band.nmgy_per_dn);
    let background = Background::measure(&band.pixels, &band.mask, settings.mesh_px, dither)
        .ok_or("too few usable pixels to measure the sky")?;
    background.subtract(&mut band.pixels);
    let sigma = noise::sky_sigma(&band.pixels, &band.mask);
    // The dither leaves a trace of itself in the sky of a frame without noise: that is none either.
    if !sigma.is_finite() || sigma <= 0.02 * f64::from(dither.width) || (sigma as f32) < f32::MIN_POSITIVE {
        return Err("the sky has no noise");
    }
    let sigma_nmgy = sigma as f32;
    empty(band);
    if search {
        defects::mark_bleeding(band, sigma_nmgy);
        defects::mark_bad_columns(band, sigma_nmgy);
        cosmic::mark_cosmic_rays(band, sigma_nmgy);
    }
    empty(band);
    defects::mark_rim(&mut band.mask);
    Ok(Sky { level_nmgy: background.level() as f32, sigma_nmgy })
}

/// Sets pixels without a measurement to 0.
fn empty(band: &mut Band) {
    for (p, m) in band.pixels.pixels_mut().iter_mut().zip(band.mask.pixels()) {
        if m & (mask::BAD | mask::NO_DATA) != 0 {
            *p = 0.0;
        }
    }
}

/// The bands' masks put together on the reference grid.
fn reference_bits(bands: &PerBand<Band>, places: &PerBand<Place>, survey: &Survey) -> Plane<u8> {
    let (width, height) = (bands[0].mask.width(), bands[0].mask.height());
    let mut bits = Plane::filled(width, height, 0);
    defects::mark_rim(&mut bits);
    for (b, place) in places.iter().enumerate() {
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
            if shape {
                let source = &bands[b].mask.row(source)[(from as isize + dx) as usize..];
                row[from..to].iter_mut().zip(source).for_each(|(m, s)| *m |= s & mask::UNUSABLE);
            }
        }
    }
    bits
}
