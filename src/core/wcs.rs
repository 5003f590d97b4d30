//! World coordinates: pixel to sky by the crate `wcs`, sky to pixel by inverting that map ourselves.
//!
//! The crate's own inverse (`proj`, over mapproj 0.4.0) swaps the off-diagonal terms of the inverse CD matrix
//! and is up to .18 px wrong on real frames whose CD is not symmetric, so only `unproj` is used, and Newton's
//! method on it gives the other way: it converges to rounding in three or four steps for any projection.

use std::sync::Arc;

use wcs::{ImgXY, WCS, WCSParams};

/// A celestial coordinate system of an image. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wcs {
    wcs: Arc<WCS>,
    cards: Arc<[(String, CardValue)]>,
    /// Linear sky-to-pixel guess about the image centre: where Newton starts and which way it steps.
    centre: Linear,
}

/// The value of a header card.
#[derive(Clone, Debug, PartialEq)]
pub enum CardValue {
    /// A string, without its quotes.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A real number.
    Real(f64),
}

/// The map linearised at one pixel: sky offsets in the tangent frame of that pixel's direction.
#[derive(Clone, Copy, Debug)]
struct Linear {
    x: f64,
    y: f64,
    direction: [f64; 3],
}

/// Why a header gives no usable coordinate system.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum WcsError {
    /// A card is missing or has a value that the projection cannot use.
    #[error("no usable world coordinates in the header: {reason}")]
    Unusable {
        /// What is wrong, in the words of the reader.
        reason: String,
    },
    /// The matrix from pixels to sky has no inverse.
    #[error("the matrix from pixels to sky is singular")]
    Singular,
}

impl Wcs {
    /// Builds the system from FITS WCS keywords.
    ///
    /// # Errors
    /// [`WcsError`] where the keywords name no projection or the matrix is singular.
    pub fn new(params: &WCSParams) -> Result<Self, WcsError> {
        let unusable = |reason: String| WcsError::Unusable { reason };
        if params.ctype1.len() < 8 || !params.ctype1.is_ascii() {
            return Err(unusable(format!("CTYPE1 is {:?}", params.ctype1)));
        }
        for (name, value) in
            [("CRPIX1", params.crpix1), ("CRPIX2", params.crpix2), ("CRVAL1", params.crval1), ("CRVAL2", params.crval2)]
        {
            if !value.is_some_and(f64::is_finite) {
                return Err(unusable(format!("{name} is missing or not finite")));
            }
        }
        if let (Some(a), Some(b), Some(c), Some(d)) = (params.cd1_1, params.cd1_2, params.cd2_1, params.cd2_2) {
            let determinant = a * d - b * c;
            let scale = a.abs().max(b.abs()) * c.abs().max(d.abs());
            if !determinant.is_finite() || determinant.abs() <= 1e-9 * scale || scale == 0.0 {
                return Err(WcsError::Singular);
            }
        }
        let wcs = WCS::new(params).map_err(|e| unusable(e.to_string()))?;
        let (x, y) = match wcs.img_dimensions() {
            [w, h, ..] => (*w as f64 / 2.0, *h as f64 / 2.0),
            _ => (0.0, 0.0),
        };
        let direction =
            direction(&wcs, x, y).ok_or_else(|| unusable("the image centre is outside the projection".into()))?;
        let made = Self { wcs: Arc::new(wcs), cards: cards(params).into(), centre: Linear { x, y, direction } };
        made.jacobian(x, y).and_then(invert).ok_or(WcsError::Singular)?;
        Ok(made)
    }

    /// A tangent projection: `cd` in degrees per pixel, row by row; `crpix` 0-based.
    ///
    /// # Errors
    /// [`WcsError::Singular`] for a matrix without inverse.
    pub fn tangent(
        size: (usize, usize),
        crval_deg: (f64, f64),
        crpix: (f64, f64),
        cd: [[f64; 2]; 2],
    ) -> Result<Self, WcsError> {
        let card = serde_json::json!({
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "NAXIS": 2, "NAXIS1": size.0, "NAXIS2": size.1,
            "CRVAL1": crval_deg.0, "CRVAL2": crval_deg.1, "CRPIX1": crpix.0 + 1.0, "CRPIX2": crpix.1 + 1.0,
            "CD1_1": cd[0][0], "CD1_2": cd[0][1], "CD2_1": cd[1][0], "CD2_2": cd[1][1],
        });
        let params = serde_json::from_value(card).map_err(|e| WcsError::Unusable { reason: e.to_string() })?;
        Self::new(&params)
    }

    /// The cards from which another reader gets this system for an image of the same grid. Sizes of the image
    /// are not among them.
    pub fn cards(&self) -> &[(String, CardValue)] {
        &self.cards
    }

    /// Right ascension (0..360) and declination, degrees, of 0-based pixel (x, y); `None` outside the projection.
    pub fn pixel_to_sky(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let at = self.wcs.unproj(&ImgXY::new(x + 1.0, y + 1.0))?;
        Some((at.lon().to_degrees().rem_euclid(360.0), at.lat().to_degrees()))
    }

    /// The 0-based pixel of a sky position in degrees; `None` where it is not in the projection.
    pub fn sky_to_pixel(&self, ra_deg: f64, dec_deg: f64) -> Option<(f64, f64)> {
        let target = unit(ra_deg.to_radians(), dec_deg.to_radians());
        if dot(target, self.centre.direction) <= 0.0 {
            return None; // the other half of the sky
        }
        let (mut x, mut y) = (self.centre.x, self.centre.y);
        for _ in 0..30 {
            let here = direction(&self.wcs, x, y)?;
            let inverse = self.jacobian(x, y).and_then(invert)?;
            let miss = [target[0] - here[0], target[1] - here[1], target[2] - here[2]];
            let dx = dot(inverse[0], miss);
            let dy = dot(inverse[1], miss);
            (x, y) = (x + dx, y + dy);
            // The next step would be smaller by the Jacobian's error, 1e-5 or less; below 1e-9 px is rounding.
            if dx.abs() + dy.abs() < 1e-7 {
                return Some((x, y));
            }
        }
        None
    }

    /// Rows d(direction)/dx and d(direction)/dy at a pixel.
    fn jacobian(&self, x: f64, y: f64) -> Option<[[f64; 3]; 2]> {
        let step = 0.5;
        let slope = |dx: f64, dy: f64| {
            let (a, b) = (direction(&self.wcs, x + dx, y + dy)?, direction(&self.wcs, x - dx, y - dy)?);
            Some([a[0] - b[0], a[1] - b[1], a[2] - b[2]])
        };
        Some([slope(step, 0.0)?, slope(0.0, step)?])
    }
}

/// All cards of `params` that are set, sorted by name, with the units and the system that the crate assumes.
fn cards(params: &WCSParams) -> Vec<(String, CardValue)> {
    let text = |key: &str, value: &str| (key.to_owned(), CardValue::Text(value.to_owned()));
    let mut cards = vec![text("RADESYS", "ICRS"), text("CUNIT1", "deg"), text("CUNIT2", "deg")];
    let set = match serde_json::to_value(params) {
        Ok(serde_json::Value::Object(set)) => set,
        _ => unreachable!("parameters are a flat record"),
    };
    for (key, value) in set {
        if key.contains("NAXIS") || ["RADESYS", "EQUINOX", "EPOCH"].contains(&key.as_str()) {
            continue;
        }
        let value = match (value.as_str(), value.as_i64(), value.as_f64()) {
            (Some(text), ..) => CardValue::Text(text.to_owned()),
            (_, Some(n), _) => CardValue::Integer(n),
            (_, _, Some(v)) => CardValue::Real(v),
            _ => continue,
        };
        cards.push((key, value));
    }
    cards.sort_by(|a, b| a.0.cmp(&b.0));
    cards
}

fn direction(wcs: &WCS, x: f64, y: f64) -> Option<[f64; 3]> {
    let at = wcs.unproj(&ImgXY::new(x + 1.0, y + 1.0))?;
    Some(unit(at.lon(), at.lat()))
}

fn unit(lon: f64, lat: f64) -> [f64; 3] {
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Pseudo-inverse of a 3x2 Jacobian given by its columns; `None` where it is singular.
fn invert(j: [[f64; 3]; 2]) -> Option<[[f64; 3]; 2]> {
    let (a, b, c) = (dot(j[0], j[0]), dot(j[0], j[1]), dot(j[1], j[1]));
    let determinant = a * c - b * b;
    if !determinant.is_finite() || determinant <= 1e-12 * a * c {
        return None;
    }
    let row = |p: f64, q: f64| [0, 1, 2].map(|k| (p * j[0][k] + q * j[1][k]) / determinant);
    Some([row(c, -b), row(-b, a)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A real frame's matrix: its off-diagonal terms differ, which is where the crate's own inverse fails.
    fn real() -> Wcs {
        let cd = [[6.12244995309E-05, 9.14089391883E-05], [9.13919502146E-05, -6.12100865715E-05]];
        Wcs::tangent((2048, 1489), (229.537988811, 42.7632764344), (1024.0, 744.0), cd).unwrap()
    }

    #[test]
    fn agrees_with_astropy() {
        // astropy 8.0.2, WCS(header).pixel_to_world_values(x, y) on frame-r-003918-3-0213.
        let wcs = real();
        for (x, y, ra, dec) in ASTROPY {
            let (a, d) = wcs.pixel_to_sky(x, y).unwrap();
            assert!((a - ra).abs() < 1e-9 && (d - dec).abs() < 1e-9, "{x} {y}: {a} {d}");
            let (px, py) = wcs.sky_to_pixel(ra, dec).unwrap();
            assert!((px - x).abs() < 1e-6 && (py - y).abs() < 1e-6, "{ra} {dec}: {px} {py}");
        }
    }

    const ASTROPY: [(f64, f64, f64, f64); 3] = [
        (0.0, 0.0, 229.36009909715156, 42.715093755477255),
        (2047.0, 1488.0, 229.7160709249875, 42.811092112230874),
        (100.25, 1400.75, 229.54271487242747, 42.638653495435896),
    ];

    #[test]
    fn every_pixel_comes_back_from_the_sky() {
        for (crval, cd) in [((150.0, 2.0), 1.1e-4), ((0.001, -89.9), 3e-5), ((359.9999, 60.0), 5.5e-5)] {
            let wcs = Wcs::tangent((107, 64), crval, (53.5, 32.0), [[-cd, 0.0], [0.0, cd]]).unwrap();
            for (x, y) in (0..=107).flat_map(|x| (0..=64).map(move |y| (f64::from(x), f64::from(y)))) {
                let (ra, dec) = wcs.pixel_to_sky(x, y).unwrap();
                let (px, py) = wcs.sky_to_pixel(ra, dec).unwrap();
                assert!((px - x).abs() < 1e-6 && (py - y).abs() < 1e-6, "{x} {y}: {px} {py}");
            }
        }
    }

    #[test]
    fn the_other_half_of_the_sky_is_nowhere() {
        assert_eq!(real().sky_to_pixel(229.5 - 180.0, -42.0), None);
    }

    #[test]
    fn a_singular_matrix_is_refused() {
        let made = Wcs::tangent((64, 64), (10.0, 0.0), (32.0, 32.0), [[1e-4, 2e-4], [1e-4, 2e-4]]);
        assert_eq!(made.unwrap_err(), WcsError::Singular);
    }
}
