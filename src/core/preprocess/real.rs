//! Real frames for tests, read by astropy: `TWINPEAK_DATA` or `../shared/data` beside the checkout has them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use crate::frame::{BANDS, Band, FieldIds, Frame, ImageId, Plane};
use crate::survey::Survey;
use crate::wcs::Wcs;

pub(crate) const DEV: &str = "003918-3-0213";

pub(crate) fn sdss() -> Survey {
    Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap()
}

/// The folder of real data, or a loud `None`.
pub(crate) fn data() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("TWINPEAK_DATA").map_or_else(beside, PathBuf::from);
    if folder.join("sdss").is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no real data at {}", folder.display());
    None
}

/// Runs a Python program with numpy, astropy and sep; `None`, loudly, where there is no such Python.
pub(crate) fn python(program: &str, arguments: &[&str]) -> Option<String> {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = std::env::var_os("TWINPEAK_PYTHON").map_or_else(own, PathBuf::from);
    let probe = Command::new(&python).args(["-c", "import numpy, astropy, sep"]).output();
    if !probe.is_ok_and(|p| p.status.success()) {
        eprintln!("SKIPPED: no Python with numpy, astropy and sep at {}", python.display());
        return None;
    }
    let done = Command::new(&python).arg("-c").arg(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap())
}

/// Writes a plane as plain little-endian floats.
pub(crate) fn save(path: &std::path::Path, values: &[f32]) {
    std::fs::write(path, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
}

/// Reads what [`save`] or numpy's `tofile` wrote.
pub(crate) fn load(path: &std::path::Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Prints a field's header cards and leaves its pixels in `out`.
const READ: &str = "
import os, sys, numpy as np
from astropy.io import fits
folder, name, out = sys.argv[1:]
for band in 'ugriz':
    path = f'{folder}/sdss/{name}/frame-{band}-{name}.fits.bz2'
    if not os.path.exists(path):
        continue
    with fits.open(path) as h:
        h[0].data.astype('<f4').tofile(f'{out}/{band}')
        for k in 'NAXIS1 NAXIS2 NMGY CRVAL1 CRVAL2 CRPIX1 CRPIX2 CD1_1 CD1_2 CD2_1 CD2_2'.split():
            print(band, k, repr(float(h[0].header[k])))
";

/// One field; `None`, loudly, without data.
pub(crate) fn frame(name: &str) -> Option<Frame> {
    let data = data()?;
    let out = tempfile::tempdir().unwrap();
    let text = python(READ, &[data.to_str().unwrap(), name, out.path().to_str().unwrap()])?;
    let cards: HashMap<(String, String), f64> = text
        .lines()
        .map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            let key = (words.next().unwrap(), words.next().unwrap());
            (key, words.next().unwrap().parse().unwrap())
        })
        .collect();
    let survey = sdss();
    let file = survey.file_name(&format!("frame-r-{name}.fits")).unwrap();
    let detector = survey.detector(&file.ids);
    let present = std::array::from_fn(|b| cards.contains_key(&(survey.band(b).to_owned(), "NMGY".to_owned())));
    let bands: Vec<Option<Band>> = (0..BANDS)
        .map(|b| {
            if !present[b] {
                return None;
            }
            let card = |key: &str| cards[&(survey.band(b).to_owned(), key.to_owned())];
            let size = (card("NAXIS1") as usize, card("NAXIS2") as usize);
            let cd = [[card("CD1_1"), card("CD1_2")], [card("CD2_1"), card("CD2_2")]];
            let crpix = (card("CRPIX1") - 1.0, card("CRPIX2") - 1.0);
            Some(Band {
                pixels: Plane::from_pixels(size.0, size.1, load(&out.path().join(survey.band(b)))),
                mask: Plane::filled(size.0, size.1, 0),
                wcs: Wcs::tangent(size, (card("CRVAL1"), card("CRVAL2")), crpix, cd).unwrap(),
                nmgy_per_dn: card("NMGY"),
                gain_e_per_dn: detector.gain_e_per_dn[b],
                dark_variance_dn2: detector.dark_variance_dn2[b],
                saturation_nmgy: survey.profile().saturation.trusted_dn * card("NMGY"),
                removed_sky_nmgy: None,
                variance: None,
            })
        })
        .collect();
    let absent = Band::absent(bands[survey.reference()].as_ref().unwrap());
    let bands: Vec<Band> = bands.into_iter().map(|band| band.unwrap_or_else(|| absent.clone())).collect();
    Some(Frame {
        id: ImageId::new(name).unwrap(),
        ids: FieldIds::default(),
        midpoint_mjd_tai: None,
        exposure_s: None,
        bands: bands.try_into().ok().unwrap(),
        input_hash: String::new(),
        present,
        files: Default::default(),
    })
}
