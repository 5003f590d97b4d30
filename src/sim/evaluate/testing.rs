//! Fields whose judgement can be told by hand.

use super::*;
use twinpeak_core::survey::nmgy_of_mag;

pub(super) fn sdss() -> twinpeak_core::survey::Survey {
    twinpeak_core::survey::Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap()
}

/// A true object of one magnitude in all bands, at (x, 100).
pub(super) fn known(id: u32, x: f64, star: bool, mag: f64) -> Known {
    let object = TrueObject { x, y: 100.0, star, mag: Some(mag) };
    let profile = if star { crate::Profile::Point } else { crate::Profile::Exponential };
    Known {
        id: Some(id),
        mag: [mag; 5],
        profile: Some(profile),
        sky_deg: Some((x / 3600.0, 0.0)),
        ..Known::from(object)
    }
}

/// A row that measures just that, its flux off by `pull` of its errors of 1 %.
pub(super) fn row(known: &Known, star_prob: Option<f64>, pull: f64) -> Row {
    let measured = |value: f64, error: f64| Measured { value: value + pull * error, error };
    let flux = nmgy_of_mag(known.mag[2]);
    let mut row = Row {
        x: measured(known.object.x, 0.05),
        y: measured(known.object.y, 0.05),
        ra: measured(known.sky_deg.unwrap_or_default().0, 1e-5),
        dec: measured(0.0, 1e-5),
        mag: known.mag[2],
        star_prob,
        star_prob_err: star_prob.map(|_| 0.1),
        ..Row::default()
    };
    row.fluxes[0] = [measured(flux, 0.01 * flux); 5];
    row
}

pub(super) fn field(rows: Vec<Row>, known: Vec<Known>) -> JudgedField {
    JudgedField { image: "a".into(), sky: "a".into(), size: Some((1000, 200)), rows, known }
}
