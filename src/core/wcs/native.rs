//! How the native sphere of a projection lies on the sky: paper II, 2.2 to 2.5.

use super::axes::Axes;
use super::cards::Cards;
use super::error::{WcsError, missing, unusable};
use super::projection::Projection;
use super::vector::Matrix3;

/// Angles closer than this are the same, deg.
const ROUNDING_DEG: f64 = 1e-10;

/// Where the cards put the native sphere.
pub(super) struct Placement {
    /// From native directions to the sky's.
    pub to_sky: Matrix3,
    /// The plane's coordinates, in radians, of the point that CRPIX is on.
    pub fiducial: [f64; 2],
}

/// Reads CRVAL, LONPOLE, LATPOLE and PVi_0 to PVi_4 of the axis of longitude. `own_pv` says that PV is not a
/// distortion's.
pub(super) fn placement(
    cards: &Cards<'_>,
    axes: &Axes,
    projection: &Projection,
    own_pv: bool,
) -> Result<Placement, WcsError> {
    let (lon, lat) = (axes.lon, axes.lat());
    let crval = |axis: usize| cards.needed(&format!("CRVAL{}", axis + 1)).map(|v| v * axes.unit_deg[axis]);
    let (lon0, lat0) = (crval(lon)?, crval(lat)?);
    if lat0.abs() > 90.0 {
        return Err(unusable(&format!("CRVAL{}", lat + 1), lat0, "is no latitude: it goes from -90 to 90 deg"));
    }
    turn(&format!("CRVAL{}", lon + 1), Some(lon0))?;
    let name = |j: usize| format!("PV{}_{j}", lon + 1);
    let pv = |j: usize| if own_pv { cards.number(&name(j)) } else { Ok(None) };
    let (given_phi0, given_theta0) = (turn(&name(1), pv(1)?)?, pv(2)?);
    let (phi0, theta0) = (given_phi0.unwrap_or(0.0), given_theta0.unwrap_or(projection.theta0_deg()));
    if theta0.abs() > 90.0 {
        return Err(unusable(&name(2), theta0, "is no latitude: it goes from -90 to 90 deg"));
    }
    let fiducial = match (pv(0)?, given_phi0.is_some() && given_theta0.is_some()) {
        (None | Some(0.0), _) => [0.0; 2],
        (Some(_), false) => return Err(missing(&format!("{} or {} beside {}", name(1), name(2), name(0)))),
        (Some(_), true) => {
            let native = super::vector::direction(phi0.to_radians(), theta0.to_radians());
            let at = projection.to_plane(native);
            at.ok_or_else(|| unusable(&name(2), theta0, "is a fiducial point that the projection does not show"))?
        }
    };
    // 999 is how old writers said that there is none.
    let lonpole = turn(&name(3), pv(3)?.filter(|v| *v != 999.0))?;
    let lonpole = lonpole.or(turn("LONPOLE", cards.number("LONPOLE")?.filter(|v| *v != 999.0))?);
    let latpole = pv(4)?.or(cards.number("LATPOLE")?).filter(|v| *v != 999.0).unwrap_or(90.0);
    let phi_p = lonpole.unwrap_or(phi0 + if lat0 < theta0 { 180.0 } else { 0.0 });
    let pole = pole(lon0, lat0, phi0, theta0, phi_p, latpole)
        .ok_or_else(|| WcsError::NoPole { cards: format!("CRVAL{}, LONPOLE, LATPOLE", lat + 1) })?;
    Ok(Placement { to_sky: rotation(pole, phi_p), fiducial })
}

/// Refuses an angle, deg, of more than two turns: nobody means one, and it has no digits left.
pub(super) fn turn(card: &str, angle: Option<f64>) -> Result<Option<f64>, WcsError> {
    match angle.filter(|a| a.abs() > 720.0) {
        Some(angle) => Err(unusable(card, angle, "is no angle: it is more than two turns")),
        None => Ok(angle),
    }
}

/// Celestial longitude and latitude of the native pole, deg: paper II, equations 8 to 10.
fn pole(lon0: f64, lat0: f64, phi0: f64, theta0: f64, phi_p: f64, latpole: f64) -> Option<(f64, f64)> {
    if theta0 == 90.0 {
        return Some((lon0, lat0));
    }
    let ((sin_lat0, cos_lat0), (sin_theta0, cos_theta0)) = (sin_cos_deg(lat0), sin_cos_deg(theta0));
    let (sin_phi, cos_phi) = sin_cos_deg(phi_p - phi0);
    let (x, y) = (cos_theta0 * cos_phi, sin_theta0);
    let z = x.hypot(y);
    let lat_p = if z < 1e-15 {
        // LATPOLE alone decides, and CRVAL has no choice.
        if sin_lat0.abs() > 1e-12 {
            return None;
        }
        latpole.clamp(-90.0, 90.0)
    } else {
        let ratio = sin_lat0 / z;
        if ratio.abs() > 1.0 + 1e-12 {
            return None;
        }
        // The arc cosine loses half of the digits near the poles, and is not needed on the fiducial point's meridian.
        let (u, v) = if sin_phi == 0.0 && cos_phi > 0.0 {
            (theta0, 90.0 - lat0)
        } else {
            (y.atan2(x).to_degrees(), ratio.clamp(-1.0, 1.0).acos().to_degrees())
        };
        let wrap = |a: f64| {
            if a > 180.0 {
                a - 360.0
            } else if a < -180.0 {
                a + 360.0
            } else {
                a
            }
        };
        // Of two possible poles that nearer to LATPOLE; where both are as near, wcslib's choice.
        let possible = [wrap(u - v), wrap(u + v)].into_iter().filter(|lat| lat.abs() < 90.0 + ROUNDING_DEG);
        let by_distance = |lat: &f64| (latpole - lat).abs();
        let nearest = possible.min_by(|a, b| by_distance(a).total_cmp(&by_distance(b)))?;
        nearest.clamp(-90.0, 90.0)
    };
    let (sin_lat_p, cos_lat_p) = sin_cos_deg(lat_p);
    let z = cos_lat_p * cos_lat0;
    let lon_p = if z.abs() < 1e-10 {
        if cos_lat0.abs() < 1e-10 {
            lon0
        } else if lat_p > 0.0 {
            lon0 + phi_p - phi0 - 180.0
        } else {
            lon0 - phi_p + phi0
        }
    } else {
        let (x, y) = ((sin_theta0 - sin_lat_p * sin_lat0) / z, sin_phi * cos_theta0 / cos_lat0);
        lon0 - y.atan2(x).to_degrees()
    };
    Some((lon_p, lat_p))
}

/// The rotation with Euler angles lon_p, 90 - lat_p and phi_p: paper II, equation 2.
fn rotation((lon_p, lat_p): (f64, f64), phi_p: f64) -> Matrix3 {
    let ((sin_a, cos_a), (sin_d, cos_d), (sin_p, cos_p)) = (sin_cos_deg(lon_p), sin_cos_deg(lat_p), sin_cos_deg(phi_p));
    [
        [-sin_a * sin_p - cos_a * cos_p * sin_d, sin_a * cos_p - cos_a * sin_p * sin_d, cos_a * cos_d],
        [cos_a * sin_p - sin_a * cos_p * sin_d, -cos_a * cos_p - sin_a * sin_p * sin_d, sin_a * cos_d],
        [cos_p * cos_d, sin_p * cos_d, sin_d],
    ]
}

/// Sine and cosine of degrees, exact at multiples of 90.
fn sin_cos_deg(angle: f64) -> (f64, f64) {
    let angle = angle.rem_euclid(360.0);
    match angle {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        _ => angle.to_radians().sin_cos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wcs::vector::{inverse, product, transpose};

    #[test]
    fn a_placement_is_a_rotation() {
        for (lon, lat, phi) in [(12.0, 34.0, 56.0), (0.0, 90.0, 0.0), (359.9, -90.0, 180.0), (200.0, 0.0, 270.0)] {
            let r = rotation((lon, lat), phi);
            let (one, back) = (product(&r, &transpose(&r)), inverse(&r));
            for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
                assert!((one[i][j] - f64::from(u8::from(i == j))).abs() < 1e-15);
                assert!((back[i][j] - r[j][i]).abs() < 1e-15);
            }
        }
    }
}
