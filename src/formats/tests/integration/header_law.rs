//! Headers by the hundred, drawn as the fuzzer draws them: each frame is refused in one line, or its positions and pixels
//! are those that astropy reads.

#[path = "../../../../tests/fuzz/headers.rs"]
mod headers;

use sha2::{Digest, Sha256};
use twinpeak_core::frame::Frame;

use crate::fits_astropy::astropy;
use crate::products::survey;

const FRAMES: usize = 600;

/// What astropy is asked: where the points of the image are, in ICRS, and what a few pixels hold.
///
/// Where astropy's wcslib misreads, it is given what the standard says: an exponent with a D is a number; a card without
/// a value says nothing, and does not swallow the next one; RADESYS decides, wherever a RADECSYS stands; CD is the matrix
/// beside a PC that says the same in other words.
const READ: &str = r#"
import json, re, sys
import numpy as np, astropy.units as u
from astropy import log
from astropy.io import fits
from astropy.wcs import WCS
from astropy.coordinates import SkyCoord
warnings.simplefilter('ignore'); log.setLevel('ERROR')
def header_of(hdus, image):
    header = hdus[image].header.copy()
    if image and header.get('INHERIT') is True:
        for card in hdus[0].header.cards:
            if card.keyword not in header or card.keyword in ('', 'COMMENT', 'HISTORY'): header.append(card)
    cards = [re.sub(r'^(.{8}= *[-+.0-9]+)[dD]', r'\1E', card.image) for card in header.cards if card.image[10:].strip()]
    without = [r'PC\d'] * any(re.match(r'CD\d_\d', c) for c in cards) + ['RADECSYS'] * ('RADESYS' in header)
    cards = [c for c in cards if not any(re.match(name, c) for name in without)]
    return fits.Header.fromstring(''.join(cards))
def icrs(w, at):
    system, year = w.wcs.radesys, w.wcs.equinox
    if w.wcs.ctype[w.wcs.lng].startswith('G'): frame = dict(frame='galactic')
    elif system == 'FK5': frame = dict(frame='fk5', equinox=f'J{year}')
    elif system in ('FK4', 'FK4-NO-E'):
        frame = dict(frame='fk4' if system == 'FK4' else 'fk4noeterms', equinox=f'B{year}', obstime=f'B{year}')
    else: frame = dict(frame='icrs')
    s = SkyCoord(at[:, 0] * u.deg, at[:, 1] * u.deg, **frame).icrs
    return np.stack([s.ra.deg, s.dec.deg], 1)
points, images = json.load(open('cases.json'))
out = []
for i, image in enumerate(images):
    said = dict(sky=None, pixels=None, error=None)
    try:
        hdus = fits.open(f'{i}.fits')
        w = WCS(header_of(hdus, image), naxis=2)
        at = w.all_pix2world(np.array(points), 0)[:, [w.wcs.lng, w.wcs.lat]]
        at = icrs(w, at)
        said['sky'] = at.tolist() if np.isfinite(at).all() else None
        data = hdus[image].data
        said['pixels'] = [float(np.float32(data[y, x])) for x, y in [(0, 0), (5, 7), (69, 65)]]
        if not np.isfinite(said['pixels']).all(): said['pixels'] = None
    except Exception as e:
        said['error'] = repr(e)[:200]
    out.append(said)
json.dump(out, open('said.json', 'w'))
"#;

#[derive(serde::Deserialize)]
struct Said {
    sky: Option<Vec<(f64, f64)>>,
    pixels: Option<Vec<f32>>,
    error: Option<String>,
}

/// Bytes of a seed.
fn bytes(seed: usize) -> Vec<u8> {
    (0..16u64).flat_map(|block| Sha256::digest([seed as u64, block].map(u64::to_be_bytes).concat())).collect()
}

fn apart_deg(a: (f64, f64), b: (f64, f64)) -> f64 {
    let around = (a.0 - b.0 + 540.0).rem_euclid(360.0) - 180.0;
    (around * a.1.to_radians().cos()).hypot(a.1 - b.1)
}

/// What is wrong with a frame that was taken, by what astropy says of its header.
fn fault(frame: &Frame, said: &Said) -> Option<String> {
    let band = &frame.bands[2];
    let sky = said.sky.as_ref()?;
    for ((x, y), there) in headers::POINTS.into_iter().zip(sky) {
        let here = band.wcs.pixel_to_sky(x, y)?;
        if apart_deg(here, *there) > 1e-6 {
            return Some(format!("pixel ({x}, {y}) is at {here:?}, by astropy at {there:?}"));
        }
    }
    let pixels = said.pixels.as_ref()?;
    let own = [(0, 0), (5, 7), (69, 65)].map(|(x, y)| band.pixels.at(x, y));
    (own[..] != pixels[..]).then(|| format!("pixels {own:?}, by astropy {pixels:?}"))
}

#[test]
fn a_header_is_refused_in_one_line_or_read_as_astropy_reads_it() {
    let (folder, survey) = (tempfile::tempdir().unwrap(), survey());
    let (mut taken, mut refused) = (Vec::new(), 0);
    for seed in 0..FRAMES {
        let drawn = headers::draw(&bytes(seed));
        match (drawn.read(&survey), drawn.image) {
            (Ok(frame), Some(image)) => {
                std::fs::write(folder.path().join(format!("{}.fits", taken.len())), &drawn.files[2]).unwrap();
                taken.push((seed, image, frame));
            }
            (Ok(_), None) => panic!("seed {seed}: one of two images was taken"),
            (Err(rejection), _) => {
                let line = rejection.to_string();
                assert!(!line.contains(char::is_control) && line.len() < 1000, "seed {seed}: {line}");
                assert!(rejection.file.is_some() && !rejection.advice.is_empty(), "seed {seed}: {line}");
                refused += 1;
            }
        }
    }
    assert!(taken.len() > FRAMES / 3 && refused > FRAMES / 6, "{} taken, {refused} refused", taken.len());
    let images: Vec<usize> = taken.iter().map(|(_, image, _)| *image).collect();
    let cases = serde_json::to_vec(&(headers::POINTS, images)).unwrap();
    std::fs::write(folder.path().join("cases.json"), cases).unwrap();
    if !astropy(folder.path(), READ, &[]) {
        return;
    }
    let said: Vec<Said> = serde_json::from_slice(&std::fs::read(folder.path().join("said.json")).unwrap()).unwrap();
    assert_eq!(said.len(), taken.len());
    let compared = said.iter().filter(|said| said.sky.is_some() && said.pixels.is_some()).count();
    let faults = taken
        .iter()
        .zip(&said)
        .filter_map(|((seed, _, frame), said)| Some(format!("seed {seed}: {}", fault(frame, said)?)));
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "{} of {compared}:\n{}", faults.len(), faults.join("\n"));
    let unread = taken.iter().zip(&said).filter_map(|((seed, ..), said)| Some((seed, said.error.as_ref()?)));
    let unread: Vec<_> = unread.collect();
    println!("{} taken, {refused} refused, {compared} compared; astropy reads not: {unread:?}", taken.len());
    assert!(compared > taken.len() * 9 / 10, "{compared} of {}: {unread:?}", taken.len());
}
