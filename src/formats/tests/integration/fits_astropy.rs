//! What is read and written as FITS, judged by an independent reader: astropy, from `.venv`.

use std::path::{Path, PathBuf};
use std::process::Command;

use twinpeak_core::catalog::columns;
use twinpeak_core::files::plain;
use twinpeak_core::frame::{FieldIds, Frame, PerBand, mask};
use twinpeak_formats::fits;
use twinpeak_formats::fits::{Limits, NamedBytes};

use crate::products::{image, products, survey};

/// Runs a script in a folder; its assertions are the test's. `false` where there is no astropy to ask.
#[must_use]
pub(crate) fn astropy(folder: &Path, script: &str, arguments: &[&Path]) -> bool {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    if !python.exists() {
        eprintln!("SKIPPED: no astropy at {} (deploy/setup.sh --tests installs it)", python.display());
        return false;
    }
    let script = format!(
        "import warnings; warnings.simplefilter('error'); warnings.simplefilter('ignore', ResourceWarning)\n{script}"
    );
    let run = Command::new(python).args(["-c", &script]).args(arguments).current_dir(folder).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    true
}

/// The folder of a real field, or `None`, loudly.
fn real_field(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TWINPEAK_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let field = root.join("sdss").join(name);
    if field.is_dir() {
        return Some(field);
    }
    eprintln!("SKIPPED: no real data at {}", field.display());
    None
}

#[test]
fn the_catalogue_is_read_by_astropy() {
    let (folder, survey, made) = (tempfile::tempdir().unwrap(), survey(), products(70, 65));
    let columns = columns(&survey);
    let table = fits::catalog_table(&made.catalog, &columns, &survey, &made.quality).unwrap();
    std::fs::write(folder.path().join("catalog.fits"), table).unwrap();
    let expected: Vec<_> = columns
        .iter()
        .map(|c| serde_json::json!({"name": c.name, "unit": c.unit, "ucd": c.ucd, "doc": c.doc}))
        .collect();
    std::fs::write(folder.path().join("columns.json"), serde_json::to_vec(&expected).unwrap()).unwrap();
    let _ = astropy(folder.path(), CATALOG, &[]);
}

const CATALOG: &str = r#"
import json, numpy as np
from astropy.io import fits
hdus = fits.open('catalog.fits')
hdus.verify('exception')
assert [h.name for h in hdus] == ['PRIMARY', 'SOURCES']
head, data = hdus[1].header, hdus[1].data
place = {head[f'TTYPE{i}']: i for i in range(1, head['TFIELDS'] + 1)}
in_header = ['imageId', 'modelVersion', 'modelHash', 'inputHash']
for c in json.load(open('columns.json')):
    if c['name'] in in_header:
        assert c['name'] not in place
        continue
    i = place[c['name']]
    flux = c['unit'] == 'nmgy'  # no unit of the standard
    said = (head.get(f'TUNIT{i}', ''), head[f'TUCD{i}'], head[f'TCOMM{i}'])
    assert said == ('' if flux else c['unit'], c['ucd'], '[nmgy] ' * flux + c['doc']), c
n = np.arange(1, 4)
assert (data['number'] == n).all() and (data['NUMBER'] == n).all()
assert (data['sourceId'] > 0).all() and (data['sourceId'] - data['sourceId'][0] == n - 1).all()
assert (data['ra'] == 229 + n / 7).all() and (data['ALPHA_J2000'] == data['ra']).all()
assert (data['dec'] == -1 / n).all() and (data['DELTA_J2000'] == data['dec']).all()
assert (data['x'] == n + .25).all() and (data['X_IMAGE'] == n + 1.25).all() and (data['Y_IMAGE'] == 11.5).all()
assert np.isnan(data['halfLightRadius']).tolist() == [False, True, False]
assert (data['ISOAREA_IMAGE'] == 5 + n).all() and (data['isoArea'] == 5 + n).all()
for b, band in enumerate('ugriz'):
    assert (data['psfFlux_' + band] == 10 * n - b).all() and (data['kronFlux_' + band] == -n - b).all()
assert np.array_equal(data['starProb'], np.float32([.1, .2, np.nan]), equal_nan=True)
assert np.array_equal(data['CLASS_STAR'], data['starProb'], equal_nan=True)
assert data['classification'].tolist() == [6, 3, head[f"TNULL{place['classification']}"]]
assert data['modelType'].tolist() == ['psf', 'dev', '']
null = head[f"TNULL{place['parentId']}"]
assert data['parentId'].tolist() == [null, data['sourceId'][0], null] and data['parentId'].dtype.itemsize == 8
assert data['nChildren'].tolist() == [1, 0, head[f"TNULL{place['nChildren']}"]]
assert np.array_equal(data['modelFlux_u'], [3.5, 3.5, np.nan], equal_nan=True) and np.isnan(data['modelFlux_g']).all()
assert np.array_equal(data['modelAxisRatio'], [np.nan, .75, np.nan], equal_nan=True)
from astropy.table import Table
masked = Table.read('catalog.fits', hdu='SOURCES')['parentId']
assert masked.mask.tolist() == [True, False, True] and masked[1] == data['sourceId'][0]
assert data['primary'].tolist() == [False, True, False] and data['primary'].dtype == bool
assert data['flags'].tolist() == [0, 0, 264] and data['FLAGS'].tolist() == [0, 0, 264]
assert (data['midpointMjdTai'] == 52758.200545123).all() and head['MIDPOINT'] == 52758.200545123
assert head['IMAGEID'] == '003918-3-0213' and head['INPUTSHA'] == 'ab' * 32 and head['MODELSHA'] == 'cd' * 32
assert head['MODELVER'] == "a version's name that is longer than one card can hold, so that it goes on in another"
assert head['SURVEY'] == 'sdss' and head['SOFTVER'] == '0.1.0' and head['REFBAND'] == 'r' and head['MAGZERO'] == 22.5
assert [head['FWHM_' + b] for b in 'UGRIZ'] == [1.25, 2.25, 3.25, 4.25, 5.25] and head['NST_I'] == 43
assert head['DEP_R'] == 22.5 and head['DEP_Z'] is None and head['FBK_U'] == False
assert not any('DATE' in k or 'CHECKSUM' in k for k in head)
"#;

#[test]
fn the_masks_are_read_by_astropy() {
    let (folder, made) = (tempfile::tempdir().unwrap(), products(2048, 101));
    let bytes = fits::masks(&made).unwrap();
    assert_eq!(bytes, fits::masks(&made).unwrap());
    std::fs::write(folder.path().join("masks.fits"), bytes).unwrap();
    let _ = astropy(folder.path(), MASKS, &[]);
}

const MASKS: &str = r#"
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
hdus = fits.open('masks.fits')
hdus.verify('exception')
assert [h.name for h in hdus] == ['PRIMARY', 'SEGMENTATION', 'CLASS', 'MASK']
assert hdus[0].header['IMAGEID'] == '003918-3-0213' and hdus[0].header['NST_I'] == 43
i = np.arange(2048 * 101).reshape(101, 2048)
number = np.where(i % 7 < 3, i // 2048 % 4, 0)
for name, wanted, dtype in [('SEGMENTATION', number, 'i4'), ('CLASS', np.array([0, 6, 3, 1])[number], 'u1'), ('MASK', i % 16, 'u1')]:
    h = hdus[name]
    assert isinstance(h, fits.CompImageHDU) and h.data.dtype == np.dtype(dtype), (name, h.data.dtype)
    assert (h.data == wanted).all()
    w = WCS(h.header)
    # The frame's own system: frame-r-003918-3-0213.
    ra, dec = w.pixel_to_world_values([0, 2047, 100.25], [0, 1488, 1400.75])
    assert np.abs(ra - [229.36009909715156, 229.7160709249875, 229.54271487242747]).max() < 1e-9
    assert np.abs(dec - [42.715093755477255, 42.811092112230874, 42.638653495435896]).max() < 1e-9
    assert w.wcs.radesys == 'ICRS'
bits = {k: 1 << v for k, v in hdus['MASK'].header.items() if k.startswith('MP_')}
assert bits == {'MP_BAD': 1, 'MP_SAT': 2, 'MP_EDGE': 4, 'MP_NO_DATA': 8}
"#;

#[test]
fn tile_compressed_images_are_read_as_astropy_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    if !astropy(folder.path(), COMPRESS, &[]) {
        return;
    }
    let mut variants = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "fz") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let files = std::array::from_fn(|b| NamedBytes {
            name: format!("frame-{}-003918-3-0213.fits.fz", survey().band(b)),
            bytes: bytes.clone(),
        });
        let frame = fits::decode(&survey(), &image(), plain(files), &Limits::default()).unwrap();
        let wanted = std::fs::read(path.with_extension("raw")).unwrap();
        let wanted: Vec<f32> = wanted.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        let different = frame.bands[2].pixels.pixels().iter().zip(&wanted).filter(|p| !same(*p)).count();
        assert_eq!(different, 0, "{}", path.display());
        assert!(wanted.len() == 300 * 201 && frame.bands[2].mask.at(5, 7) == mask::NO_DATA);
        variants += 1;
    }
    assert_eq!(variants, 12);
}

const COMPRESS: &str = r#"
import numpy as np
from astropy.io import fits
rng = np.random.default_rng(1)
img = rng.normal(0, .03, (201, 300)).astype('f4')
img[50:60] = 0; img[7, 5] = np.nan; img[100] = 1e30 * rng.normal(size=300); img[120, 3] = 4000
h = fits.Header()
for k, v in dict(BUNIT='nanomaggy', CTYPE1='RA---TAN', CTYPE2='DEC--TAN', CRPIX1=150., CRPIX2=100., CRVAL1=229.5, CRVAL2=42.7,
                 CD1_1=6.1e-5, CD1_2=9.1e-5, CD2_1=9.1e-5, CD2_2=-6.1e-5).items():
    h[k] = v
def write(name, data=img, **how):
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, h, **how)]).writeto(name + '.fz')
    fits.getdata(name + '.fz', 1).astype('<f4').tofile(name + '.raw')
for method in [-1, 1, 2]:
    write(f'rice{method}', compression_type='RICE_1', quantize_method=method, dither_seed=9999)
    write(f'gzip{method}', compression_type='GZIP_1', quantize_method=method, dither_seed=3)
write('tiles', compression_type='RICE_1', tile_shape=(64, 77), quantize_method=1, dither_seed=1)
write('shuffled', compression_type='GZIP_2', quantize_method=1, dither_seed=1)
write('lossless', compression_type='GZIP_1', quantize_level=0)
write('plain', compression_type='NOCOMPRESS', quantize_method=1, dither_seed=5)
write('plain-reals', compression_type='NOCOMPRESS', quantize_level=0, tile_shape=(64, 77))
write('double', data=img.astype('f8'), compression_type='GZIP_2', quantize_level=0)
"#;

#[test]
fn simulated_frames_are_read_by_astropy() {
    let (folder, survey) = (tempfile::tempdir().unwrap(), survey());
    let Some(frame) = real_frame() else { return };
    let bytes = fits::encode_band(&survey, &frame, 2).unwrap();
    let name = survey.file_for(2, &frame.id);
    std::fs::write(folder.path().join("r.fits.bz2"), fits::pack(&name, bytes).unwrap()).unwrap();
    let original = real_field("003918-3-0213").unwrap().join(name);
    let _ = astropy(folder.path(), ENCODED, &[&original]);
}

const ENCODED: &str = r#"
import sys, numpy as np
from astropy.io import fits
from astropy.wcs import WCS
ours, theirs = fits.open('r.fits.bz2'), fits.open(sys.argv[1])
ours.verify('exception')
a, b = ours[0].header, theirs[0].header
assert np.array_equal(ours[0].data, theirs[0].data)
for key in ['BITPIX', 'NAXIS1', 'NAXIS2', 'NMGY', 'BUNIT', 'FILTER', 'RUN', 'CAMCOL', 'CRPIX1', 'CRVAL2', 'CD1_2', 'CTYPE1']:
    assert a[key] == b[key], key
assert abs(a['TAI'] - b['TAI']) < 1e-4 and a['EXPTIME'] == float(b['EXPTIME'])
assert abs(ours[1].data['ALLSKY'][0] / np.median(theirs[2].data['ALLSKY']) - 1) < 1e-6
"#;

fn real_frame() -> Option<Frame> {
    let field = real_field("003918-3-0213")?;
    let survey = survey();
    let files: PerBand<PathBuf> = std::array::from_fn(|b| field.join(survey.file_for(b, &image())));
    Some(fits::load(&survey, &image(), &plain(files), &Limits::default()).unwrap())
}

#[test]
fn real_frames_are_read_as_astropy_reads_them() {
    let (Some(frame), survey) = (real_frame(), survey()) else { return };
    let folder = tempfile::tempdir().unwrap();
    // From Python: TAI/86400 + 53.907456/2/86400 of the r band's header.
    assert!((frame.midpoint_mjd_tai.unwrap() - (4558308519.7 + 53.907456 / 2.0) / 86400.0).abs() < 1e-9);
    assert_eq!(frame.ids, FieldIds { run: Some(3918), rerun: None, camcol: Some(3), field: Some(213) });
    assert_eq!((frame.bands[2].nmgy_per_dn, frame.bands[2].gain_e_per_dn), (0.00511409, 4.72));
    for (b, band) in frame.bands.iter().enumerate() {
        let name = survey.band(b);
        let pixels: Vec<u8> = band.pixels.pixels().iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(folder.path().join(format!("{name}.raw")), pixels).unwrap();
        let mut points = Vec::new();
        for y in (0..1489).step_by(186) {
            for x in (0..2048).step_by(256) {
                let (x, y) = (x as f64 + 0.3, y as f64 - 0.2);
                let (ra, dec) = band.wcs.pixel_to_sky(x, y).unwrap();
                let back = band.wcs.sky_to_pixel(ra, dec).unwrap();
                points.push([x, y, ra, dec, back.0, back.1]);
            }
        }
        let sky_dn = band.removed_sky_nmgy.unwrap() / band.nmgy_per_dn;
        let facts = serde_json::json!({"points": points, "sky_dn": sky_dn});
        std::fs::write(folder.path().join(format!("{name}.json")), facts.to_string()).unwrap();
    }
    let field = real_field("003918-3-0213").unwrap();
    let _ = astropy(folder.path(), REAL, &[&field]);
}

const REAL: &str = r#"
import sys, json, numpy as np
from astropy.io import fits
from astropy.wcs import WCS
warnings.simplefilter('ignore')
for band in 'ugriz':
    hdus = fits.open(f'{sys.argv[1]}/frame-{band}-003918-3-0213.fits.bz2')
    ours = np.fromfile(band + '.raw', '<f4').reshape(hdus[0].data.shape)
    assert np.array_equal(ours, hdus[0].data, equal_nan=True)
    facts = json.load(open(band + '.json'))
    x, y, ra, dec, x_back, y_back = np.array(facts['points']).T
    w = WCS(hdus[0].header)
    a, d = w.pixel_to_world_values(x, y)
    assert max(np.abs(a - ra).max(), np.abs(d - dec).max()) < 1e-9
    px, py = w.world_to_pixel_values(ra, dec)
    assert max(np.abs(px - x_back).max(), np.abs(py - y_back).max()) < 1e-6
    assert abs(facts['sky_dn'] / np.median(hdus[2].data['ALLSKY']) - 1) < 1e-4
"#;

#[test]
fn models_and_residuals_are_read_by_astropy() {
    let (folder, mut made) = (tempfile::tempdir().unwrap(), products(70, 64));
    made.requested = twinpeak_core::testing::requested();
    let images = made.requested.scene.as_ref().unwrap();
    std::fs::write(folder.path().join("residual.fits"), fits::scene_images(&made, images).unwrap()).unwrap();
    let _ = astropy(folder.path(), SCENE, &[]);
}

/// `requested`: models of 1, 2, 3, 4 and residuals of half of that, but for one NaN; band z was not taken.
const SCENE: &str = r#"
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
hdus = fits.open('residual.fits')
hdus.verify('exception')
assert [h.name for h in hdus[1:]] == [f'{n}_{b}' for b in 'UGRI' for n in ('MODEL', 'RESIDUAL')]
assert hdus[0].header['IMAGEID'] == '003918-3-0213'
for i, band in enumerate('UGRI', 1):
    for name, value in (('MODEL', i), ('RESIDUAL', i / 2)):
        h = hdus[f'{name}_{band}']
        assert isinstance(h, fits.CompImageHDU) and h.data.dtype.kind == 'f' and h.data.shape == (64, 70), h.data.dtype
        known = np.isfinite(h.data)
        assert known.sum() == 64 * 70 - (name == 'RESIDUAL') and known[2, 3] == (name == 'MODEL')
        assert np.abs(h.data[known] - value).max() <= h.header['QUANTUM'] / 2 and abs(h.header['QUANTUM'] - .02 / 16) < 1e-9
        ra, dec = WCS(h.header).pixel_to_world_values(35, 32)
        assert abs(ra - 10) < 1e-9 and abs(dec) < 1e-9
        assert h.header['MAGZERO'] == 22.5 and h.header['BAND'] == band.lower()
"#;

#[test]
fn a_psf_is_what_psfex_s_formula_makes_of_its_file() {
    let (folder, made) = (tempfile::tempdir().unwrap(), products(70, 64));
    let psf = twinpeak_core::testing::requested().psf.unwrap();
    let mut expected = Vec::new();
    for b in 0..4 {
        let file = fits::psfex(&psf, b, &made.quality[b], &made.catalog.provenance).unwrap();
        std::fs::write(folder.path().join(format!("{b}.psf")), file).unwrap();
        for (x, y) in [(34.5, 31.5), (0.0, 0.0), (69.0, 10.25)] {
            expected.push(serde_json::json!({"band": b, "x": x, "y": y, "psf": psf.psf.at(b, x, y).to_vec()}));
        }
    }
    std::fs::write(folder.path().join("expected.json"), serde_json::to_vec(&expected).unwrap()).unwrap();
    let _ = astropy(folder.path(), PSFEX, &[]);
}

/// PSFEx's manual: PSF(X, Y) = sum of PSF_MASK[i] times the i-th monomial of ((X - POLZERO1) / POLSCAL1, ...), in rising
/// order with the first coordinate's power falling last; X and Y from 1. galsim asks the same where it is installed.
const PSFEX: &str = r#"
import json, numpy as np
from astropy.io import fits
try:
    import galsim, galsim.des
except ImportError:
    galsim = None
expected = json.load(open('expected.json'))
for e in expected:
    path = f"{e['band']}.psf"
    with fits.open(path) as hdus:
        hdus.verify('exception')
        h, table = hdus['PSF_DATA'].header, hdus['PSF_DATA'].data
        assert hdus[1].name == 'PSF_DATA' and len(table) == 1 and h['POLNAXIS'] == 2 and h['POLNGRP'] == 1 and h['PSF_SAMP'] == 1
        basis = table['PSF_MASK'][0]
        assert basis.shape == (h['PSFAXIS3'], h['PSFAXIS2'], h['PSFAXIS1']) == (3, 31, 31)
        assert (h['POLNAME1'], h['POLNAME2'], h['POLDEG1'], h['BAND']) == ('X_IMAGE', 'Y_IMAGE', 1, 'ugri'[e['band']])
        u = (e['x'] + 1 - h['POLZERO1']) / h['POLSCAL1']
        v = (e['y'] + 1 - h['POLZERO2']) / h['POLSCAL2']
    monomials = [u ** i * v ** j for j in range(h['POLDEG1'] + 1) for i in range(h['POLDEG1'] + 1 - j)]
    image = np.tensordot(monomials, basis.astype(float), 1)
    wanted = np.array(e['psf']).reshape(31, 31)
    assert abs(image.sum() - 1) < .05 and np.abs(image / image.sum() - wanted).max() < 1e-6 * wanted.max(), e['band']
    if galsim:
        theirs = galsim.des.DES_PSFEx(path).getPSFArray(galsim.PositionD(e['x'] + 1, e['y'] + 1))
        assert np.abs(theirs / theirs.sum() - wanted).max() < 1e-5 * wanted.max()
print('asked galsim' if galsim else 'SKIPPED: no galsim')
"#;
