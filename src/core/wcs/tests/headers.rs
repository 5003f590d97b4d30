//! Random headers of every kind that is read.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::wcs::CardValue;

/// A header's cards and its image's size.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub cards: Vec<(String, CardValue)>,
    pub size: (usize, usize),
}

impl Drawn {
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.cards.push((key.to_owned(), CardValue::Text(value.to_owned())));
    }

    pub(super) fn real(&mut self, key: &str, value: f64) {
        self.cards.push((key.to_owned(), CardValue::Real(value)));
    }
}

/// The cards as a FITS header, 80 characters each.
pub(super) fn printed(cards: &[(String, CardValue)]) -> String {
    let print = |(key, value): &(String, CardValue)| {
        let value = match value {
            CardValue::Text(text) => format!("'{text:8}'"),
            CardValue::Integer(n) => format!("{n:>20}"),
            CardValue::Real(v) => format!("{:>20}", format!("{v:?}").to_uppercase()),
        };
        format!("{:80}", format!("{key:8}= {value}"))
    };
    cards.iter().map(print).collect()
}

/// How the matrix is written.
const FORMS: usize = 6;
const KINDS: [&str; 12] =
    ["TAN", "SIN", "slant SIN", "ARC", "ZEA", "STG", "ZPN", "CAR", "TPV", "SCAMP", "TAN-SIP", "SIP without suffix"];

pub(super) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// One header; all kinds come in turn.
pub(super) fn draw(number: usize, equatorial: bool) -> Drawn {
    let mut rng = rng(number as u64);
    let kind = KINDS[number % KINDS.len()];
    // TPV goes with a matrix in degrees alone, and with the longitude first.
    let tpv = ["TPV", "SCAMP"].contains(&kind);
    let form = number / KINDS.len() % FORMS;
    let form = if tpv { 2 * (form % 2) } else { form };
    let size = (rng.random_range(64..4200), rng.random_range(64..4200));
    let mut made = Drawn { cards: Vec::new(), size };
    let code = match kind {
        "slant SIN" => "SIN",
        "SCAMP" | "SIP without suffix" => "TAN",
        other => other,
    };
    // Axes: 1 is the longitude, but for some.
    let (lon, lat) = if !tpv && rng.random_bool(0.15) { (2, 1) } else { (1, 2) };
    let [of_lon, of_lat] = if equatorial || rng.random_bool(0.85) { ["RA---", "DEC--"] } else { ["GLON-", "GLAT-"] };
    made.text(&format!("CTYPE{lon}"), &format!("{of_lon}{code}"));
    made.text(&format!("CTYPE{lat}"), &format!("{of_lat}{code}"));
    let lon0 = *pick(&mut rng, &[0.0, 1e-4, 359.9999, 180.0, -30.0]);
    let lon0 = if rng.random_bool(0.6) { rng.random_range(0.0..360.0) } else { lon0 };
    let lat0 = *pick(&mut rng, &[90.0, -90.0, 89.999, -89.97, 0.0, 1e-7]);
    let lat0 = if rng.random_bool(0.7) { rng.random_range(-1f64..1.0).asin().to_degrees() } else { lat0 };
    let unit = if tpv { 1.0 } else { *pick(&mut rng, &[1.0, 1.0, 1.0, 3600.0]) };
    if unit != 1.0 || rng.random_bool(0.5) {
        let name = if unit == 1.0 { "deg" } else { "arcsec" };
        ["CUNIT1", "CUNIT2"].iter().for_each(|card| made.text(card, name));
    }
    made.real(&format!("CRVAL{lon}"), lon0 * unit);
    made.real(&format!("CRVAL{lat}"), lat0 * unit);
    // A chip of a mosaic has its reference point outside.
    let reach = if rng.random_bool(0.3) { 3.0 } else { 1.0 };
    made.real("CRPIX1", rng.random_range(1.0 - reach..reach) * size.0 as f64);
    made.real("CRPIX2", rng.random_range(1.0 - reach..reach) * size.1 as f64);
    let scale = 10f64.powf(rng.random_range(-1.3..1.0)) / 3600.0;
    matrix(&mut made, &mut rng, form, scale * unit, lat);
    parameters(&mut made, &mut rng, kind, (lon, lat), scale);
    made
}

fn pick<'a, T>(rng: &mut impl Rng, of: &'a [T]) -> &'a T {
    &of[rng.random_range(0..of.len())]
}

fn matrix(made: &mut Drawn, rng: &mut impl Rng, form: usize, scale: f64, lat: usize) {
    let sides = [scale * if rng.random_bool(0.7) { -1.0 } else { 1.0 }, scale * rng.random_range(0.7..1.3)];
    let (sin, cos) = rng.random_range(-180f64..180.0).to_radians().sin_cos();
    let skew = rng.random_range(-0.05..0.05);
    let pc = [[cos, -sin + skew], [sin, cos]];
    let put = |made: &mut Drawn, by: &dyn Fn(usize, usize) -> String, times: [f64; 2]| {
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            made.real(&by(i + 1, j + 1), pc[i][j] * times[i]);
        }
    };
    let cdelt = |made: &mut Drawn| {
        made.real("CDELT1", sides[0]);
        made.real("CDELT2", sides[1]);
    };
    match form {
        0 => put(made, &|i, j| format!("CD{i}_{j}"), sides),
        1 => {
            put(made, &|i, j| format!("PC{i}_{j}"), [1.0; 2]);
            cdelt(made);
        }
        2 => put(made, &|i, j| format!("PC{i}_{j}"), sides),
        3 => {
            put(made, &|i, j| format!("PC{i:03}{j:03}"), [1.0; 2]);
            cdelt(made);
        }
        4 => {
            cdelt(made);
            made.real(&format!("CROTA{lat}"), rng.random_range(-180.0..180.0));
        }
        _ => cdelt(made),
    }
}

fn parameters(made: &mut Drawn, rng: &mut impl Rng, kind: &str, (lon, lat): (usize, usize), scale: f64) {
    let half = scale * made.size.0.max(made.size.1) as f64 * 3.0;
    match kind {
        "slant SIN" => {
            made.real(&format!("PV{lat}_1"), rng.random_range(-0.5..0.5));
            made.real(&format!("PV{lat}_2"), rng.random_range(-0.5..0.5));
        }
        "ZPN" => {
            made.real(&format!("PV{lat}_1"), rng.random_range(0.8..1.2));
            made.real(&format!("PV{lat}_3"), rng.random_range(-40.0..60.0));
            if rng.random_bool(0.5) {
                made.real(&format!("PV{lat}_2"), rng.random_range(-0.5..0.5));
                made.real(&format!("PV{lat}_5"), rng.random_range(-100.0..100.0));
            }
        }
        "TPV" | "SCAMP" => {
            for axis in 1..=2 {
                made.real(&format!("PV{axis}_1"), rng.random_range(0.98..1.02));
                for j in [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 17, 22, 23, 24, 30, 31, 38, 39] {
                    // A part of 1e-3 of the plane at the frame's far corner.
                    let degree = [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3].get(j).copied().unwrap_or(match j {
                        12..=16 => 4,
                        17..=23 => 5,
                        24..=30 => 6,
                        _ => 7,
                    });
                    let size = 1e-3 * half.powi(1 - degree);
                    made.real(&format!("PV{axis}_{j}"), rng.random_range(-size..size));
                }
            }
        }
        "TAN-SIP" | "SIP without suffix" => {
            let order = rng.random_range(2..=5usize);
            let reach = 3.0 * made.size.0.max(made.size.1) as f64;
            for stem in ["A", "B"] {
                made.cards.push((format!("{stem}_ORDER"), CardValue::Integer(order as i64)));
                for (p, q) in (0..=order).flat_map(|p| (0..=order - p).map(move |q| (p, q))).filter(|(p, q)| p + q > 1)
                {
                    let size = 2e-3 * reach.powi(1 - (p + q) as i32);
                    made.real(&format!("{stem}_{p}_{q}"), rng.random_range(-size..size));
                }
            }
        }
        _ => {}
    }
    if ["TPV", "SCAMP"].contains(&kind) {
        return;
    }
    if rng.random_bool(0.3) {
        made.real("LONPOLE", *pick(rng, &[0.0, 180.0, 150.0, -27.5]));
    }
    if rng.random_bool(0.2) {
        made.real("LATPOLE", rng.random_range(-90.0..90.0));
    }
    if rng.random_bool(0.1) {
        made.real(&format!("PV{lon}_3"), rng.random_range(-180.0..180.0));
    }
    // Another fiducial point, with or without the offset that puts CRPIX there.
    if rng.random_bool(0.2) && ["TAN", "ARC", "STG", "ZEA", "CAR"].contains(&kind) {
        let theta0 = if kind == "CAR" { rng.random_range(-60.0..60.0) } else { rng.random_range(60.0..90.0) };
        made.real(&format!("PV{lon}_1"), rng.random_range(-90.0..90.0));
        made.real(&format!("PV{lon}_2"), theta0);
        if rng.random_bool(0.5) {
            made.real(&format!("PV{lon}_0"), 1.0);
        }
    }
}
