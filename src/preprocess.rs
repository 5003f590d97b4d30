//! From calibrated pixels to pixels the nets and measurements can use: background, noise, bad pixels,
//! registration. The trainer and the daemon both come through here, with the bundle's [`Settings`].

use serde::{Deserialize, Serialize};

use crate::frame::{Affine, Frame, PerBand, Plane};
use crate::survey::Survey;

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

/// A band's sky.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sky {
    /// Median of the background that was subtracted here, nMgy.
    pub level_nmgy: f32,
    /// Noise of one pixel, from the sky's negative side, nMgy.
    pub sigma_nmgy: f32,
}

/// A frame ready for nets and measurement.
pub struct Prepared {
    /// The frame: background subtracted, masks complete, unusable pixels 0.
    pub frame: Frame,
    /// Each band's sky.
    pub sky: PerBand<Sky>,
    /// Reference pixel -> band pixel (sub-pixel), for cuts and forced photometry.
    pub to_band: PerBand<Affine>,
    /// The same as whole pixels (dx, dy) at the frame's centre.
    pub shift_px: PerBand<(isize, isize)>,
    /// Every band on the reference grid by whole pixels (so that the noise stays white), in units of its noise;
    /// 0 where unusable or outside.
    pub registered: PerBand<Plane<f32>>,
    /// [`crate::frame::mask`] bits on the reference grid, all bands together (NO_DATA and SAT where any shape band has it).
    pub bits: Plane<u8>,
}

/// Why a frame cannot be prepared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PreprocessError {
    /// Smaller than a tile.
    #[error("{width}x{height} px is smaller than the smallest frame, 64x64")]
    TooSmall {
        /// px
        width: usize,
        /// px
        height: usize,
    },
    /// Nothing to measure.
    #[error("band {band}: {problem}")]
    NoSignal {
        /// Name.
        band: String,
        /// All NaN, constant, no noise.
        problem: &'static str,
    },
    /// The bands do not overlap on the sky.
    #[error("band {band} lies {offset_px:.0} px from the reference band by its world coordinates")]
    Misregistered {
        /// Name.
        band: String,
        /// Distance.
        offset_px: f64,
    },
}

/// Prepares a frame. Bands run in parallel.
///
/// # Errors
/// [`PreprocessError`]
pub fn prepare(_frame: Frame, _survey: &Survey, _settings: &Settings) -> Result<Prepared, PreprocessError> {
    todo!()
}
