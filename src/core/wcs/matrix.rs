//! The linear part of the map, from whichever cards give it: CD; or CDELT with PC; or CDELT with CROTA.
//!
//! By paper I (2.1.2 and 5.1) CD goes alone, and what CDELT and CROTA say beside it is of no account; PC and CD must
//! not both occur, nor PC and CROTA. Where they do and say the same matrix, nothing is lost; else no reader can know
//! which of the two is a forgotten one.

use super::axes::Axes;
use super::cards::Cards;
use super::error::{WcsError, contradiction, missing, not_read};
use super::native::turn;
use super::vector::Matrix2;

/// Two matrices are the same within this part of their largest term.
const ROUNDING: f64 = 1e-9;

/// Rows are the header's axes, in their own units a pixel.
pub(super) fn matrix(cards: &Cards<'_>, axes: &Axes) -> Result<Matrix2, WcsError> {
    let cd = terms(cards, "CD", 0.0)?;
    let pc = match (terms(cards, "PC", f64::NAN)?, old_terms(cards)?) {
        (Some(new), Some(old)) => Some(merged(new, old)?),
        (pc, old) => pc.or(old).map(filled),
    };
    let cdelt = [cards.number("CDELT1")?, cards.number("CDELT2")?];
    let scale = cdelt.map(|c| c.unwrap_or(1.0));
    let scaled = |m: Matrix2| [m[0].map(|v| v * scale[0]), m[1].map(|v| v * scale[1])];
    let by_pc = pc.map(scaled);
    if let Some(cd) = cd {
        return match by_pc {
            Some(other) if !same(&cd, &other) => {
                let problem = "CD goes without PC; this PC and CDELT give another matrix";
                Err(contradiction("CDi_j and PCi_j", problem))
            }
            _ => Ok(cd),
        };
    }
    let by_crota = rotation_deg(cards, axes)?.map(|angle_deg| crota(angle_deg, scale, axes));
    match (by_pc, by_crota) {
        (Some(pc), Some(rotated)) if !same(&pc, &rotated) => {
            let problem = "PC goes without CROTA; this one gives another matrix";
            Err(contradiction("PCi_j and CROTAi", problem))
        }
        (Some(pc), _) => Ok(pc),
        (None, _) if cdelt == [None, None] => Err(missing("the pixels' scale (neither CD nor CDELT with PC or CROTA)")),
        (None, Some(rotated)) => Ok(rotated),
        (None, None) => Ok([[scale[0], 0.0], [0.0, scale[1]]]),
    }
}

/// Terms of the first two axes as `CD1_2`; `absent` for those that are not there. A term that mixes in another axis
/// would move the image by where it lies on that axis.
fn terms(cards: &Cards<'_>, stem: &str, absent: f64) -> Result<Option<Matrix2>, WcsError> {
    let mut found: Option<Matrix2> = None;
    for (i, j, value) in cards.by_numbers(stem)? {
        match (i, j) {
            (1 | 2, 1 | 2) => found.get_or_insert([[absent; 2]; 2])[i - 1][j - 1] = value,
            _ if value == 0.0 => {}
            _ => return Err(mixes(&format!("{stem}{i}_{j}"), value)),
        }
    }
    Ok(found)
}

fn mixes(card: &str, value: f64) -> WcsError {
    not_read(card, value, "it mixes another axis into the sky's")
}

/// The names of old drafts, as `PC001002`.
fn old_terms(cards: &Cards<'_>) -> Result<Option<Matrix2>, WcsError> {
    let mut found: Option<Matrix2> = None;
    for (i, j) in (1..=2).flat_map(|i| (1..=9).map(move |j| (i, j))) {
        let card = format!("PC{i:03}{j:03}");
        match cards.number(&card)? {
            Some(value) if j <= 2 => found.get_or_insert([[f64::NAN; 2]; 2])[i - 1][j - 1] = value,
            Some(value) if value != 0.0 => return Err(mixes(&card, value)),
            _ => {}
        }
    }
    Ok(found)
}

/// Both kinds of names, which must not differ.
fn merged(new: Matrix2, old: Matrix2) -> Result<Matrix2, WcsError> {
    let mut all = new;
    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        if new[i][j].is_nan() {
            all[i][j] = old[i][j];
        } else if old[i][j].is_finite() && old[i][j] != new[i][j] {
            let cards = format!("PC{}_{} and PC{:03}{:03}", i + 1, j + 1, i + 1, j + 1);
            return Err(contradiction(&cards, "they are two names of one term"));
        }
    }
    Ok(filled(all))
}

/// Terms of PC that are not written are those of the identity.
fn filled(pc: Matrix2) -> Matrix2 {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| match pc[i][j] {
            absent if absent.is_nan() => f64::from(u8::from(i == j)),
            term => term,
        })
    })
}

/// CROTA of the axis of latitude, which is the one that counts (paper II, 6.1).
fn rotation_deg(cards: &Cards<'_>, axes: &Axes) -> Result<Option<f64>, WcsError> {
    let name = |axis: usize| format!("CROTA{}", axis + 1);
    let (of_lon, of_lat) = (cards.number(&name(axes.lon))?, turn(&name(axes.lat()), cards.number(&name(axes.lat()))?)?);
    match of_lon {
        Some(angle) if angle != 0.0 && Some(angle) != of_lat => {
            let cards = format!("{} and {}", name(axes.lon), name(axes.lat()));
            Err(contradiction(&cards, "the axis of latitude has the rotation"))
        }
        _ => Ok(of_lat),
    }
}

fn crota(angle_deg: f64, scale: [f64; 2], axes: &Axes) -> Matrix2 {
    let (sin, cos) = angle_deg.to_radians().sin_cos();
    let (lon, lat) = (axes.lon, axes.lat());
    let mut m = [[0.0; 2]; 2];
    m[lon][lon] = scale[lon] * cos;
    m[lon][lat] = -scale[lat] * sin;
    m[lat][lon] = scale[lon] * sin;
    m[lat][lat] = scale[lat] * cos;
    m
}

fn same(a: &Matrix2, b: &Matrix2) -> bool {
    let largest = a.iter().flatten().fold(0f64, |most, v| most.max(v.abs()));
    a.iter().flatten().zip(b.iter().flatten()).all(|(a, b)| (a - b).abs() <= ROUNDING * largest)
}
