//! World coordinates: from pixels to ICRS and back, by the FITS standard's papers I (Greisen & Calabretta 2002) and II
//! (Calabretta & Greisen 2002), with the distortions that people use.
//!
//! ```text
//!  pixel --SIP--> pixel --matrix--> plane --TPV--> plane --projection--> native --rotation--> header's frame --> ICRS
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `cards`, `axes`, `error` | the header's cards, each once; what the two axes are; what is refused |
//! | `matrix` | CD, or CDELT with PC or CROTA |
//! | `distortion` | SIP before the matrix, TPV after it |
//! | `projection` | TAN, SIN, ARC, ZEA, STG, ZPN, CAR |
//! | `native` | CRVAL, LONPOLE, LATPOLE and PV: how the projection's sphere lies on the sky |
//! | `celestial` | RADESYS and EQUINOX: ICRS, FK5, FK4, galactic |
//! | `system` | a header's cards made into these |
//!
//! Crates that do this (`wcs` 0.4 over `mapproj` 0.4) were used before and are not any more: they take SCAMP's PV of a
//! TAN for the fiducial point, do not see PC001001 nor SIP without its suffix, square SIP's terms, are right in CROTA2
//! only for CDELT1 = -CDELT2, know no frame of reference, and their inverse swaps two terms of the matrix.
//!
//! What is read is read as the standard says, and as astropy (wcslib) does where the standard is silent; what two readers
//! would understand differently is refused, naming the cards.

mod axes;
mod cards;
mod celestial;
mod distortion;
mod error;
mod matrix;
mod native;
mod projection;
mod system;
#[cfg(test)]
mod tests;
mod vector;

use std::sync::Arc;

pub use cards::{CardRole, CardValue, role};
pub use error::WcsError;

use system::System;
use vector::{angles_deg, direction, dot};

/// A celestial coordinate system of an image. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wcs {
    system: Arc<System>,
    cards: Arc<[(String, CardValue)]>,
    /// Centre of the image, 0-based.
    centre: (f64, f64),
}

/// Points along each axis at which a new system is tried.
const TRIED: usize = 9;
/// How well a pixel must come back from the sky, px.
const RETURNS_PX: f64 = 1e-6;

impl Wcs {
    /// The system of an image of `size` (width, height; px) by its header's cards, in their order. Cards that say nothing
    /// of the two axes' coordinates are passed over.
    ///
    /// # Errors
    /// [`WcsError`] where cards are missing, contradict each other or ask for what is not read, and where a part of the
    /// image is off the sky.
    pub fn from_cards(cards: &[(String, CardValue)], size: (usize, usize)) -> Result<Self, WcsError> {
        let (system, cards) = System::read(cards)?;
        let centre = (size.0 as f64 / 2.0, size.1 as f64 / 2.0);
        let made = Self { system: Arc::new(system), cards: cards.into(), centre };
        made.check(size)?;
        Ok(made)
    }

    /// A tangent projection in ICRS: `cd` in degrees per pixel, row by row; `crpix` 0-based.
    ///
    /// # Errors
    /// [`WcsError`] for a matrix without inverse, or an image that reaches beyond the hemisphere.
    pub fn tangent(
        size: (usize, usize),
        crval_deg: (f64, f64),
        crpix: (f64, f64),
        cd: [[f64; 2]; 2],
    ) -> Result<Self, WcsError> {
        let text = |key: &str, value: &str| (key.to_owned(), CardValue::Text(value.to_owned()));
        let real = |key: &str, value: f64| (key.to_owned(), CardValue::Real(value));
        let cards = [
            text("RADESYS", "ICRS"),
            text("CTYPE1", "RA---TAN"),
            text("CTYPE2", "DEC--TAN"),
            real("CRVAL1", crval_deg.0),
            real("CRVAL2", crval_deg.1),
            real("CRPIX1", crpix.0 + 1.0),
            real("CRPIX2", crpix.1 + 1.0),
            real("CD1_1", cd[0][0]),
            real("CD1_2", cd[0][1]),
            real("CD2_1", cd[1][0]),
            real("CD2_2", cd[1][1]),
        ];
        Self::from_cards(&cards, size)
    }

    /// The cards from which another reader gets this system for an image of the same grid, in the header's own frame of
    /// reference and with defaults written out. Sorted by name. Sizes of the image are not among them.
    pub fn cards(&self) -> &[(String, CardValue)] {
        &self.cards
    }

    /// Right ascension (0..360) and declination, degrees, ICRS, of 0-based pixel (x, y); `None` outside the projection.
    pub fn pixel_to_sky(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.system.to_icrs(x, y).map(angles_deg)
    }

    /// The 0-based pixel of an ICRS position in degrees; `None` where it is not in the projection.
    pub fn sky_to_pixel(&self, ra_deg: f64, dec_deg: f64) -> Option<(f64, f64)> {
        self.system.to_pixel(direction(ra_deg.to_radians(), dec_deg.to_radians()))
    }

    /// Side of a square with the area of a pixel at the image's centre, arcsec: where axes are orthogonal, the geometric
    /// mean of their scales.
    pub fn pixel_scale_arcsec(&self) -> f64 {
        let there = self.jacobian_arcsec(self.centre.0, self.centre.1).or_else(|| self.jacobian_arcsec(0.0, 0.0));
        determinant(there.expect("a system is made for an image that lies on the sky")).abs().sqrt()
    }

    /// Slopes of the map at a pixel: how far a pixel goes along x (first column) and along y, arcsec to the east (first
    /// row) and to the north, in the tangent plane there. `None` outside the projection.
    pub fn jacobian_arcsec(&self, x: f64, y: f64) -> Option<[[f64; 2]; 2]> {
        const STEP_PX: f64 = 0.5;
        let to = |dx: f64, dy: f64| self.system.to_icrs(x + dx, y + dy);
        let at = to(0.0, 0.0)?;
        let across = at[0].hypot(at[1]);
        let (sin, cos) = if across > 0.0 { (at[1] / across, at[0] / across) } else { (0.0, 1.0) };
        let (east, north) = ([-sin, cos, 0.0], [-at[2] * cos, -at[2] * sin, across]);
        let along = |ahead: [f64; 3], behind: [f64; 3]| {
            let slope = [0, 1, 2].map(|k| (ahead[k] - behind[k]) / (2.0 * STEP_PX));
            [dot(east, slope), dot(north, slope)].map(|radians| radians.to_degrees() * 3600.0)
        };
        let by_x = along(to(STEP_PX, 0.0)?, to(-STEP_PX, 0.0)?);
        let by_y = along(to(0.0, STEP_PX)?, to(0.0, -STEP_PX)?);
        Some([[by_x[0], by_y[0]], [by_x[1], by_y[1]]])
    }

    /// The whole image must be on the sky, each pixel at a place of its own: over a grid, pixels come back from the sky,
    /// and nowhere is the image a mirror of what it is in the centre.
    fn check(&self, (width, height): (usize, usize)) -> Result<(), WcsError> {
        let on = |length: usize, i: usize| (length.max(1) - 1) * i / (TRIED - 1);
        let mut handed = None;
        for (x, y) in (0..TRIED * TRIED).map(|i| (on(width, i % TRIED), on(height, i / TRIED))) {
            let wrong = |problem| WcsError::OffTheSky { x, y, problem, cards: self.system.card_names() };
            let at = (x as f64, y as f64);
            let sky = self.system.to_icrs(at.0, at.1).ok_or(wrong("is outside the projection"))?;
            let slopes = self.jacobian_arcsec(at.0, at.1).ok_or(wrong("is at the edge of the projection"))?;
            let mirrored = determinant(slopes) < 0.0;
            if *handed.get_or_insert(mirrored) != mirrored {
                return Err(wrong("lies where the map folds over"));
            }
            let back = self.system.to_pixel(sky);
            if !back.is_some_and(|(bx, by)| (bx - at.0).abs() < RETURNS_PX && (by - at.1).abs() < RETURNS_PX) {
                return Err(wrong("does not come back from the sky"));
            }
        }
        Ok(())
    }
}

fn determinant([[a, b], [c, d]]: [[f64; 2]; 2]) -> f64 {
    a * d - b * c
}
