//! From calibrated pixels to pixels the nets and measurements can use: background, noise, bad pixels,
//! registration. The trainer and the daemon both come through here, with the bundle's [`Settings`].

mod background;
mod cosmic;
mod defects;
mod noise;
mod registration;
mod resample;
mod spline;

#[cfg(test)]
pub(crate) mod real;
#[cfg(test)]
mod tests;

use background::{Background, Dither};
use rayon::prelude::*;
use registration::Place;
pub use registration::Turn;

use serde::{Deserialize, Serialize};

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
    /// Side of a pixel of the reference grid, arcsec: the survey's, or the frame's own where its world coordinates
    /// differ from that by more than 1 %.
    pub pixel_scale_arcsec: f64,
    /// Reference pixel -> band pixel (sub-pixel), for cuts and forced photometry. The identity for a band that was
    /// resampled onto the reference grid.
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
    /// The bands do not overlap on the sky, or too little.
    #[error("band {band} shows {:.0} % of the frame of band {reference}: their centres lie {distance_arcsec:.0} arcsec ({distance_px:.0} px) apart by their world coordinates", 100.0 * overlap)]
    Misregistered {
        /// Name of the band.
        band: String,
        /// Name of the reference band.
        reference: String,
        /// Part of the reference band's frame that it shows, 0..1.
        overlap: f64,
        /// Distance of the centres on the sky, arcsec.
        distance_arcsec: f64,
        /// The same in pixels of the reference band.
        distance_px: f64,
    },
    /// A band's grid is not the reference band's but for a shift, and the band may not be resampled.
    #[error("band {band} is {turn} against band {reference}: {why}")]
    OtherGrid {
        /// Name of the band.
        band: String,
        /// Name of the reference band.
        reference: String,
        /// Angle, mirror and scale.
        turn: Turn,
        /// Why it is not resampled.
        why: &'static str,
    },
    /// A band whose centre has no place on the sky.
    #[error("band {band}: its centre has no place on the sky by its world coordinates")]
    OffTheSky {
        /// Name of the band.
        band: String,
    },
    /// Pixels of another size than the survey's.
    #[error(
        "pixels of band {band} are {found_arcsec:.3} arcsec wide by their world coordinates, and {wanted_arcsec:.3} by the survey's pixel_scale_arcsec"
    )]
    OtherScale {
        /// Name of the reference band.
        band: String,
        /// Side of a pixel by the frame's world coordinates, arcsec.
        found_arcsec: f64,
        /// By the survey's description, arcsec.
        wanted_arcsec: f64,
    },
}

impl PreprocessError {
    /// The band at fault, where one is.
    pub fn band(&self) -> Option<&str> {
        match self {
            Self::TooSmall { .. } => None,
            Self::NoSignal { band, .. }
            | Self::Misregistered { band, .. }
            | Self::OtherGrid { band, .. }
            | Self::OffTheSky { band }
            | Self::OtherScale { band, .. } => Some(band),
        }
    }
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
    let cleaned: Vec<Result<Sky, &'static str>> =
        frame.bands.par_iter_mut().enumerate().map(|(b, band)| clean(band, b, settings)).collect();
    let mut sky = [Sky::default(); BANDS];
    for (b, cleaned) in cleaned.into_iter().enumerate() {
        sky[b] = cleaned.map_err(|problem| PreprocessError::NoSignal { band: survey.band(b).to_owned(), problem })?;
    }
    onto_reference_grid(&mut frame, &mut sky, &mut places, survey.reference());
    let registered = std::array::from_fn(|b| {
        registration::shifted(&frame.bands[b].pixels, places[b].whole(), 1.0 / sky[b].sigma_nmgy)
    });
    let bits = reference_bits(&frame.bands, &places, survey);
    let shift_px = places.each_ref().map(Place::whole);
    let to_band = places.map(|p| p.to_band);
    Ok(Prepared { frame, sky, pixel_scale_arcsec, to_band, shift_px, registered, bits })
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

/// Subtracts a band's sky, measures its noise, completes its mask and empties what holds no measurement.
fn clean(band: &mut Band, b: usize, settings: &Settings) -> Result<Sky, &'static str> {
    defects::mark_unmeasured(band);
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
    defects::mark_bleeding(band, sigma_nmgy);
    defects::mark_bad_columns(band, sigma_nmgy);
    cosmic::mark_cosmic_rays(band, sigma_nmgy);
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
    let band = &bands[survey.reference()];
    let (width, height) = (band.mask.width(), band.mask.height());
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
            if place.moved {
                let source = bands[b].mask.row(source);
                row.iter_mut().zip(source).for_each(|(m, s)| *m |= s & mask::EDGE);
            }
            if shape {
                let source = &bands[b].mask.row(source)[(from as isize + dx) as usize..];
                row[from..to].iter_mut().zip(source).for_each(|(m, s)| *m |= s & mask::UNUSABLE);
            }
        }
    }
    bits
}
