//! A header's cards made into a map, and the map run in both directions.

use super::axes::Axes;
use super::cards::{CardValue, Cards};
use super::celestial::CelestialFrame;
use super::distortion::{Distortion, Polynomial, TpvAxis};
use super::error::{WcsError, contradiction, missing, not_read, unusable};
use super::matrix::matrix;
use super::native::placement;
use super::projection::{Projection, RadialPolynomial};
use super::vector::{Matrix2, Matrix3, Vector, apply, apply2, inverse2, transpose};

/// The cards of the matrix, for a refusal.
const MATRIX: &str = "CDi_j, or CDELTi with PCi_j or CROTAi";
/// The highest order of SIP's polynomials.
const SIP_ORDER_MAX: f64 = 9.0;
/// A term of the matrix beyond this is a mistake, deg a pixel.
const LARGEST_DEG: f64 = 10.0;
/// Pixels that are so many times longer than wide are no detector's.
const LONGEST: f64 = 100.0;
/// Cotangent of the lowest elevation, some 6 degrees, at which SIN can be said to look at the sky.
const STEEPEST_SLANT: f64 = 10.0;
/// From this number on, PV under TAN is a distortion: paper II's PVi_0 to PVi_4 place the fiducial point.
const FIRST_OF_SCAMP: usize = 5;

/// The map, step by step.
#[derive(Clone, Debug)]
pub(super) struct System {
    /// FITS's, 1-based.
    crpix: [f64; 2],
    sip: Option<Distortion>,
    /// From pixels to the plane, deg; the first row is the longitude's.
    matrix: Matrix2,
    inverse: Matrix2,
    /// A pixel's size, deg.
    pixel_deg: f64,
    tpv: Option<Distortion>,
    projection: Projection,
    /// The plane's coordinates of CRPIX, rad.
    fiducial: [f64; 2],
    to_frame: Matrix3,
    frame: CelestialFrame,
}

impl System {
    /// The map, and the cards by which another reader gets it.
    pub(super) fn read(header: &[(String, CardValue)]) -> Result<(Self, Vec<(String, CardValue)>), WcsError> {
        let cards = Cards::of(header)?;
        let axes = Axes::of(&cards)?;
        let frame = CelestialFrame::of(&cards, axes.sky)?;
        let crpix = [cards.needed("CRPIX1")?, cards.needed("CRPIX2")?];
        let own = matrix(&cards, &axes)?;
        let by_axis = [own[0].map(|v| v * axes.unit_deg[0]), own[1].map(|v| v * axes.unit_deg[1])];
        let matrix = [by_axis[axes.lon], by_axis[axes.lat()]];
        if let Some(large) = matrix.iter().flatten().find(|term| term.abs() > LARGEST_DEG) {
            return Err(unusable(MATRIX, *large, "deg is no pixel's size"));
        }
        let inverse = inverse2(&matrix).ok_or_else(|| WcsError::Singular { cards: MATRIX.to_owned() })?;
        let pixel_deg2 = (matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]).abs();
        let sides2 = matrix.iter().flatten().map(|v| v * v).sum::<f64>();
        if sides2 > LONGEST * pixel_deg2 {
            let cards = format!("{MATRIX}, and CUNITi");
            return Err(unusable(&cards, sides2 / pixel_deg2, "is how many times longer than wide pixels would be"));
        }
        let sip = sip(&cards)?;
        let tpv = tpv(&cards, &axes, sip.is_some())?;
        let own_pv = tpv.is_none() && !beside_sip(&cards, &axes, sip.is_some())?;
        let projection = projection(&cards, &axes, own_pv)?;
        let place = placement(&cards, &axes, &projection, own_pv)?;
        let written = written(&cards, &axes, &frame, by_axis, (sip.is_some(), tpv.is_some(), own_pv))?;
        let made = Self {
            crpix,
            sip,
            matrix,
            inverse,
            pixel_deg: pixel_deg2.sqrt(),
            tpv,
            projection,
            fiducial: place.fiducial,
            to_frame: place.to_sky,
            frame,
        };
        Ok((made, written))
    }

    /// The direction of a 0-based pixel, in the header's own frame.
    pub(super) fn to_frame(&self, x: f64, y: f64) -> Option<Vector> {
        let pixel = [x + 1.0 - self.crpix[0], y + 1.0 - self.crpix[1]];
        let pixel = self.sip.as_ref().map_or(pixel, |sip| sip.apply(pixel));
        let plane = apply2(&self.matrix, pixel);
        let plane = self.tpv.as_ref().map_or(plane, |tpv| tpv.apply(plane));
        let [px, py] = [plane[0].to_radians() + self.fiducial[0], plane[1].to_radians() + self.fiducial[1]];
        let native = self.projection.to_native(px, py)?;
        let there = apply(&self.to_frame, native);
        there.iter().all(|c| c.is_finite()).then_some(there)
    }

    /// The direction of a 0-based pixel in ICRS.
    pub(super) fn to_icrs(&self, x: f64, y: f64) -> Option<Vector> {
        Some(self.frame.to_icrs(self.to_frame(x, y)?))
    }

    /// The 0-based pixel of a direction of ICRS.
    pub(super) fn to_pixel(&self, icrs: Vector) -> Option<(f64, f64)> {
        self.own_to_pixel(self.frame.of_icrs(icrs))
    }

    /// The 0-based pixel of a direction of the header's own frame.
    pub(super) fn own_to_pixel(&self, own: Vector) -> Option<(f64, f64)> {
        let native = apply(&transpose(&self.to_frame), own);
        let [px, py] = self.projection.to_plane(native)?;
        let plane = [(px - self.fiducial[0]).to_degrees(), (py - self.fiducial[1]).to_degrees()];
        let plane = self.tpv.as_ref().map_or(Some(plane), |tpv| tpv.invert(plane, self.pixel_deg))?;
        let pixel = apply2(&self.inverse, plane);
        let pixel = self.sip.as_ref().map_or(Some(pixel), |sip| sip.invert(pixel, 1.0))?;
        let (x, y) = (pixel[0] + self.crpix[0] - 1.0, pixel[1] + self.crpix[1] - 1.0);
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }

    /// Longitude and latitude, deg, of a 0-based pixel in the header's own frame.
    #[cfg(test)]
    pub(super) fn in_own_frame(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.to_frame(x, y).map(super::vector::angles_deg)
    }

    /// The cards of the map, for a refusal.
    pub(super) fn card_names(&self) -> String {
        let distorted = match (&self.sip, &self.tpv) {
            (Some(_), _) => ", A_p_q and B_p_q",
            (_, Some(_)) => ", PVi_j",
            _ => "",
        };
        format!("CTYPEi, CRVALi, CRPIXi, CDi_j or CDELTi{distorted}")
    }
}

/// SIP's polynomials, with or without the suffix, as astropy applies them. A card that no order covers is refused: what
/// it is for is not known.
fn sip(cards: &Cards<'_>) -> Result<Option<Distortion>, WcsError> {
    let mut polynomials = [Polynomial::default(), Polynomial::default()];
    let mut any = false;
    let orders = [cards.number("A_ORDER")?, cards.number("B_ORDER")?];
    for (k, stem) in ["A_", "B_"].into_iter().enumerate() {
        let key = format!("{stem}ORDER");
        if let Some(order) = orders[k].filter(|n| n.fract() != 0.0 || !(0.0..=SIP_ORDER_MAX).contains(n)) {
            return Err(unusable(&key, order, "is no order of a polynomial: 2 to 9 is"));
        }
        for (p, q, factor) in cards.by_numbers(stem)?.into_iter().filter(|(.., factor)| *factor != 0.0) {
            let name = format!("{stem}{p}_{q}");
            let order = orders[k].ok_or_else(|| missing(&format!("{key} beside {name}")))?;
            if order < 2.0 || (p + q) as f64 > order {
                return Err(unusable(&name, factor, &format!("is beyond {key} = {order}")));
            }
            polynomials[k].set(p, q, factor);
            any = true;
        }
    }
    if let (Some(_), None) | (None, Some(_)) = (orders[0], orders[1]) {
        let absent = if orders[0].is_none() { "A_ORDER" } else { "B_ORDER" };
        return Err(missing(absent));
    }
    Ok(any.then_some(Distortion::Sip(polynomials)))
}

/// TPV, which SCAMP used to write as TAN: then some PVi_j has j above 4.
fn tpv(cards: &Cards<'_>, axes: &Axes, has_sip: bool) -> Result<Option<Distortion>, WcsError> {
    let pv = cards.by_numbers("PV")?;
    let named = axes.code == "TPV";
    let scamps = axes.code == "TAN" && pv.iter().any(|(_, j, _)| *j >= FIRST_OF_SCAMP);
    if !named && !scamps {
        return Ok(None);
    }
    if has_sip {
        if scamps && axes.says_sip && !pv.iter().any(|(_, j, f)| [3, 11, 23, 39].contains(j) && *f != 0.0) {
            return Ok(None); // CTYPE names SIP; PV is the same in other words
        }
        return Err(contradiction("PVi_j and A_p_q, B_p_q", "each is a distortion of its own"));
    }
    if axes.says_sip {
        return Err(contradiction("CTYPEi and PVi_j", "one names SIP, the others are another distortion"));
    }
    if axes.lon != 0 {
        let ctype = axes.ctype(0, &axes.code, false);
        return Err(not_read(
            "CTYPE1",
            ctype.as_str(),
            "TPV with the longitude first is; else readers mix up its terms",
        ));
    }
    // Its terms are of degrees. Where the matrix is not in degrees by itself, wcslib takes them to be of what it gives.
    if axes.unit_deg != [1.0; 2] {
        return Err(contradiction("CUNITi and PVi_j", "TPV's terms are of degrees"));
    }
    if cards.by_numbers("CD")?.is_empty()
        && [cards.number("CDELT1")?, cards.number("CDELT2")?].iter().flatten().any(|c| *c != 1.0)
    {
        return Err(contradiction("CDELTi and PVi_j", "TPV goes with CD: readers differ on the unit of its terms"));
    }
    let mut of = [TpvAxis::default(), TpvAxis::default()];
    for (i, j, factor) in &pv {
        if *j > TpvAxis::LAST {
            return Err(unusable(&format!("PV{i}_{j}"), *factor, "is a term that TPV does not have: 39 is the last"));
        }
        of[i - 1].set(*j, *factor);
    }
    for axis in 1..=2 {
        // TPV's convention takes 1 for it, and wcslib takes 0.
        if !pv.iter().any(|(i, j, _)| (*i, *j) == (axis, 1)) {
            return Err(missing(&format!("PV{axis}_1, on whose default readers differ,")));
        }
    }
    Ok(Some(Distortion::Tpv(Box::new(of))))
}

/// Whether PV is SCAMP's beside a SIP that CTYPE names, which is then the distortion that holds.
fn beside_sip(cards: &Cards<'_>, axes: &Axes, has_sip: bool) -> Result<bool, WcsError> {
    let scamps = cards.by_numbers("PV")?.iter().any(|(_, j, _)| *j >= FIRST_OF_SCAMP);
    Ok(has_sip && axes.says_sip && axes.code == "TAN" && scamps)
}

/// The projection by its code, with its parameters: PV of the axis of latitude.
fn projection(cards: &Cards<'_>, axes: &Axes, own_pv: bool) -> Result<Projection, WcsError> {
    if !own_pv {
        return Ok(Projection::Tan); // PV are a distortion's, of which TAN is the projection
    }
    let mut factors = [0.0; 30];
    let last = match axes.code.as_str() {
        "ZPN" => factors.len() - 1,
        "SIN" => 2,
        _ => 0,
    };
    for (i, j, value) in cards.by_numbers("PV")? {
        let (name, of_lon) = (format!("PV{i}_{j}"), i - 1 == axes.lon);
        let known = if of_lon { j < FIRST_OF_SCAMP } else { j <= last && (last > 2 || j > 0) };
        if !known && value != 0.0 {
            return Err(unusable(&name, value, &format!("is no parameter of {}", axes.code)));
        }
        if !of_lon && known {
            factors[j] = value;
        }
    }
    match axes.code.as_str() {
        "TAN" => Ok(Projection::Tan),
        "SIN" if factors[1].hypot(factors[2]) > STEEPEST_SLANT => {
            let name = format!("PV{0}_1, PV{0}_2", axes.lat() + 1);
            Err(unusable(&name, factors[1].hypot(factors[2]), "is steeper than any slant"))
        }
        "SIN" => Ok(Projection::Sin { xi: factors[1], eta: factors[2] }),
        "ARC" => Ok(Projection::Arc),
        "ZEA" => Ok(Projection::Zea),
        "STG" => Ok(Projection::Stg),
        "CAR" => Ok(Projection::Car),
        "ZPN" => RadialPolynomial::new(factors.to_vec()).map(Projection::Zpn).ok_or_else(|| {
            let name = format!("PV{}_1", axes.lat() + 1);
            unusable(&name, factors[1], "gives a ZPN whose radius does not grow about the pole")
        }),
        other => {
            let ctype = axes.ctype(0, other, axes.says_sip);
            Err(not_read("CTYPE1", ctype.as_str(), "TAN, TPV, SIN, ARC, ZEA, STG, ZPN and CAR are"))
        }
    }
}

/// The system as another reader is told it: one form of each thing, degrees, and no default left out.
fn written(
    cards: &Cards<'_>,
    axes: &Axes,
    frame: &CelestialFrame,
    by_axis: Matrix2,
    (has_sip, has_tpv, own_pv): (bool, bool, bool),
) -> Result<Vec<(String, CardValue)>, WcsError> {
    let mut all = frame.cards();
    let mut put = |key: String, value: CardValue| all.push((key, value));
    let code = if has_tpv { "TPV" } else { &axes.code };
    for (axis, row) in by_axis.iter().enumerate() {
        let n = axis + 1;
        put(format!("CTYPE{n}"), CardValue::Text(axes.ctype(axis, code, has_sip)));
        put(format!("CUNIT{n}"), CardValue::Text("deg".into()));
        put(format!("CRPIX{n}"), CardValue::Real(cards.needed(&format!("CRPIX{n}"))?));
        put(format!("CRVAL{n}"), CardValue::Real(cards.needed(&format!("CRVAL{n}"))? * axes.unit_deg[axis]));
        put(format!("CD{n}_1"), CardValue::Real(row[0]));
        put(format!("CD{n}_2"), CardValue::Real(row[1]));
    }
    for key in ["LONPOLE", "LATPOLE"] {
        if let Some(value) = cards.number(key)? {
            put(key.into(), CardValue::Real(value));
        }
    }
    if own_pv || has_tpv {
        for (i, j, value) in cards.by_numbers("PV")? {
            put(format!("PV{i}_{j}"), CardValue::Real(value));
        }
    }
    if has_sip {
        for stem in ["A_", "B_", "AP_", "BP_"] {
            if let Some(order) = cards.number(&format!("{stem}ORDER"))? {
                put(format!("{stem}ORDER"), CardValue::Integer(order as i64));
            }
            for (p, q, value) in cards.by_numbers(stem)? {
                put(format!("{stem}{p}_{q}"), CardValue::Real(value));
            }
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}
