//! Thousands of random headers, read by astropy (wcslib) and here.
//!
//! Left out is what astropy reads otherwise than the standard. Exponents written with D are numbers before they come
//! here. Refused, so that nobody can be misled: PC beside a CD that says something else, and TPV whose matrix is not in
//! degrees by itself (wcslib applies it before CDELT and CUNIT), that has the latitude first (wcslib mixes up the terms) or
//! that lacks PVi_1 (wcslib takes 0 for it, TPV says 1).

use super::headers::{Drawn, draw, printed};
use crate::preprocess::real::python;
use crate::wcs::vector::{direction, dot};
use crate::wcs::{CardValue, Wcs, WcsError};

/// Reads headers and points (0-based), prints positions in the header's frame, and by the canonical cards.
const READ: &str = r"
import sys, json, warnings
import numpy as np
from astropy import log
from astropy.io import fits
from astropy.wcs import WCS
from astropy.coordinates import SkyCoord
import astropy.units as u
warnings.simplefilter('ignore'); log.setLevel('ERROR')
def read(text, points):
    try:
        w = WCS(fits.Header.fromstring(text), naxis=2)
        at = w.all_pix2world(np.array(points), 0)
        return w, at[:, [w.wcs.lng, w.wcs.lat]]
    except Exception as e:
        return None, str(e)[:200]
def icrs(w, at):
    system, year = w.wcs.radesys, w.wcs.equinox
    if w.wcs.ctype[0].startswith('G'):
        frame = dict(frame='galactic')
    elif system == 'FK5':
        frame = dict(frame='fk5', equinox=f'J{year}')
    elif system in ('FK4', 'FK4-NO-E'):
        frame = dict(frame='fk4' if system == 'FK4' else 'fk4noeterms', equinox=f'B{year}', obstime=f'B{year}')
    else:
        frame = dict(frame='icrs')
    s = SkyCoord(at[:, 0] * u.deg, at[:, 1] * u.deg, **frame).icrs
    return np.stack([s.ra.deg, s.dec.deg], 1)
clean = lambda a: a.tolist() if isinstance(a, np.ndarray) and np.isfinite(a).all() else None
out = []
for case in json.load(open(sys.argv[1])):
    w, at = read(case['header'], case['points'])
    c, by_cards = read(case['written'], case['points']) if case['written'] else (None, None)
    made = icrs(w, at) if case['to_icrs'] and w is not None and clean(at) else None
    out.append(dict(own=clean(at), written=clean(by_cards), icrs=clean(made), error=None if w else at))
print(json.dumps(out))
";

#[derive(serde::Deserialize)]
struct Answer {
    own: Option<Vec<[f64; 2]>>,
    written: Option<Vec<[f64; 2]>>,
    icrs: Option<Vec<[f64; 2]>>,
    error: Option<String>,
}

/// Corners, edges and inner points.
fn points((width, height): (usize, usize)) -> Vec<[f64; 2]> {
    let (w, h) = (width as f64 - 1.0, height as f64 - 1.0);
    let parts = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.5], [0.3, 0.9], [0.77, 0.13], [0.5, 0.0]];
    parts.iter().map(|[a, b]| [a * w, b * h]).collect()
}

fn ask(drawn: &[Drawn], read: &[Result<Wcs, WcsError>], to_icrs: bool) -> Option<Vec<Answer>> {
    let case = |(drawn, read): (&Drawn, &Result<Wcs, WcsError>)| {
        let written = read.as_ref().map(|wcs| printed(wcs.cards())).unwrap_or_default();
        let header = printed(&drawn.cards);
        serde_json::json!({"header": header, "written": written, "points": points(drawn.size), "to_icrs": to_icrs})
    };
    let cases: Vec<_> = drawn.iter().zip(read).map(case).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_vec(&cases).unwrap()).unwrap();
    let said = python(READ, &[file.path().to_str().unwrap()])?;
    Some(serde_json::from_str(&said).unwrap())
}

fn apart_deg(a: [f64; 2], b: [f64; 2]) -> f64 {
    let [a, b] = [a, b].map(|[lon, lat]| direction(lon.to_radians(), lat.to_radians()));
    let across = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    dot(across, across).sqrt().to_degrees()
}

/// Largest distances from astropy, deg and px.
fn compare(drawn: &Drawn, wcs: &Wcs, answer: &Answer) -> (f64, f64) {
    let own = answer.own.as_ref().unwrap();
    let written = answer.written.as_ref().unwrap_or_else(|| panic!("our own cards are not read: {:?}", wcs.cards()));
    let slant = drawn.cards.iter().any(|(_, value)| matches!(value, CardValue::Text(text) if text.ends_with("SIN")));
    let (mut worst_deg, mut worst_px) = (0f64, 0f64);
    for ((point, there), by_cards) in points(drawn.size).iter().zip(own).zip(written) {
        let here = wcs.system.in_own_frame(point[0], point[1]).unwrap();
        worst_deg = worst_deg.max(apart_deg(here.into(), *there)).max(apart_deg(*by_cards, *there));
        // Near the pole wcslib's slant SIN is good to 1e-10 deg alone, which is more than 1e-6 px.
        let exact = if slant { here.into() } else { *there };
        let sky = direction(exact[0].to_radians(), exact[1].to_radians());
        let Some((x, y)) = wcs.system.own_to_pixel(sky) else { return (worst_deg, f64::INFINITY) };
        worst_px = worst_px.max((x - point[0]).abs()).max((y - point[1]).abs());
    }
    (worst_deg, worst_px)
}

#[test]
fn random_headers_are_read_as_astropy_reads_them() {
    const HEADERS: usize = 3000;
    let drawn: Vec<Drawn> = (0..HEADERS).map(|n| draw(n, false)).collect();
    let read: Vec<_> = drawn.iter().map(|d| Wcs::from_cards(&d.cards, d.size)).collect();
    let Some(answers) = ask(&drawn, &read, false) else { return };
    let (mut agreed, mut refused, mut wrong) = (0, 0, Vec::new());
    for (n, ((drawn, read), answer)) in drawn.iter().zip(&read).zip(&answers).enumerate() {
        match (read, &answer.own) {
            (Ok(wcs), Some(_)) => {
                let (deg, px) = compare(drawn, wcs, answer);
                if !(deg < 1e-9 && px < 1e-6) {
                    wrong.push(format!("header {n}: {deg:e} deg, {px:e} px: {:?}", drawn.cards));
                }
                agreed += 1;
            }
            (Ok(_), None) => {
                wrong.push(format!("header {n}: astropy refuses it, {:?}: {:?}", answer.error, drawn.cards))
            }
            // A frame that is partly off the sky, or no place for the pole.
            (Err(WcsError::OffTheSky { .. } | WcsError::NoPole { .. }), _) => refused += 1,
            (Err(error), _) => wrong.push(format!("header {n}: {error}: {:?}", drawn.cards)),
        }
    }
    assert!(wrong.is_empty(), "{} of {agreed}:\n{}", wrong.len(), wrong[..wrong.len().min(8)].join("\n"));
    assert!(agreed > HEADERS * 9 / 10, "{agreed} agreed, {refused} refused");
}

#[test]
fn frames_of_reference_are_those_of_astropy() {
    let systems = ["FK5", "FK4", "FK4-NO-E", "ICRS", ""];
    let drawn: Vec<Drawn> = (0..240)
        .map(|n| {
            let mut drawn = draw(12 * n, n % 8 > 0);
            let system = systems[n % systems.len()];
            if !system.is_empty() {
                drawn.text(if n % 3 == 0 { "RADECSYS" } else { "RADESYS" }, system);
            }
            if n % 4 > 0 {
                let year = [1950.0, 2000.0, 1900.0, 1983.9, 1984.0, 2035.5, 1855.0][n % 7];
                drawn.real(if n % 5 == 0 { "EPOCH" } else { "EQUINOX" }, year);
            }
            drawn
        })
        .collect();
    let read: Vec<_> = drawn.iter().map(|d| Wcs::from_cards(&d.cards, d.size)).collect();
    let Some(answers) = ask(&drawn, &read, true) else { return };
    let mut compared = 0;
    for ((drawn, read), answer) in drawn.iter().zip(&read).zip(&answers) {
        let (Ok(wcs), Some(icrs)) = (read, &answer.icrs) else { continue };
        for (point, there) in points(drawn.size).iter().zip(icrs) {
            let (ra, dec) = wcs.pixel_to_sky(point[0], point[1]).unwrap();
            let mas = apart_deg([ra, dec], *there) * 3.6e6;
            assert!(mas < 1.0, "{mas} mas: {:?}", drawn.cards);
            let (x, y) = wcs.sky_to_pixel(ra, dec).unwrap();
            assert!((x - point[0]).abs() < 1e-6 && (y - point[1]).abs() < 1e-6, "{x} {y}: {:?}", drawn.cards);
        }
        compared += 1;
    }
    assert!(compared > 200, "{compared}");
}

/// Cards of every sort, some of them nonsense.
fn anything(n: usize) -> Drawn {
    use rand::Rng;
    let mut rng = super::headers::rng(1_000_000 + n as u64);
    let mut drawn = draw(rng.random_range(0..100_000), false);
    const NAMES: [&str; 44] = [
        "CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CROTA1",
        "CROTA2", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "PC1_1", "PC1_2", "PC2_1", "PC2_2", "PC001001", "PC002001",
        "PV1_0", "PV1_1", "PV1_2", "PV1_3", "PV1_4", "PV1_5", "PV2_1", "PV2_2", "PV2_3", "PV2_7", "PV2_40", "LONPOLE",
        "LATPOLE", "A_ORDER", "B_ORDER", "A_2_0", "B_1_1", "RADESYS", "EQUINOX", "CPDIS1", "WCSAXES", "CD1_3",
    ];
    const TEXTS: [&str; 12] = [
        "RA---TAN", "DEC--TAN", "RA---TNX", "DEC--SIN", "GLON-CAR", "FREQ", "deg", "arcsec", "FK4", "ICRS", "",
        "LOOKUP",
    ];
    const NUMBERS: [f64; 16] =
        [0.0, 1.0, -1.0, 2.0, 3.0, 30.0, 90.0, 95.0, 180.0, 999.0, 1e-4, -1e-4, 1e-300, 1e300, 2000.0, 1950.0];
    for _ in 0..1 + rng.random_range(0..5) / 3 {
        let name = NAMES[rng.random_range(0..NAMES.len())].to_owned();
        let value = match rng.random_range(0..4) {
            0 => CardValue::Text(TEXTS[rng.random_range(0..TEXTS.len())].to_owned()),
            1 => CardValue::Integer(rng.random_range(-3..10)),
            _ => CardValue::Real(NUMBERS[rng.random_range(0..NUMBERS.len())]),
        };
        // A second card of the name, or this one instead of the first.
        if rng.random_bool(0.7) {
            drawn.cards.retain(|(key, _)| *key != name);
        }
        drawn.cards.push((name, value));
    }
    if rng.random_bool(0.1) {
        drawn.cards.remove(rng.random_range(0..drawn.cards.len()));
    }
    drawn
}

#[test]
fn whatever_the_cards_say_it_is_refused_or_what_astropy_reads() {
    const HEADERS: usize = 3000;
    let drawn: Vec<Drawn> = (0..HEADERS).map(anything).collect();
    let read: Vec<_> = drawn.iter().map(|d| Wcs::from_cards(&d.cards, d.size)).collect();
    let Some(answers) = ask(&drawn, &read, false) else { return };
    let (mut agreed, mut wrong) = (0, Vec::new());
    for (n, ((drawn, read), answer)) in drawn.iter().zip(&read).zip(&answers).enumerate() {
        match read {
            Ok(wcs) if answer.own.is_some() => {
                let (deg, px) = compare(drawn, wcs, answer);
                // Senseless values make pixels so thin that the last digit of a degree is more than 1e-6 px.
                if !(deg < 1e-9 && px < 1e-4) {
                    wrong.push(format!("header {n}: {deg:e} deg, {px:e} px: {}", printed(&drawn.cards)));
                }
                agreed += 1;
            }
            Ok(_) => {}
            Err(error) => assert!(!error.to_string().contains('\n')),
        }
    }
    assert!(wrong.is_empty(), "{} of {agreed}:\n{}", wrong.len(), wrong[..wrong.len().min(8)].join("\n"));
    assert!(agreed > HEADERS / 8, "{agreed}");
}
