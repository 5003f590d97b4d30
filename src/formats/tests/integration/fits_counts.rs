//! Frames of other observatories, written by astropy: counts of every pixel type and coding, zero points by every way, times
//! by every card. What astropy says of them is right.

use std::path::Path;

use serde_json::Value;
use twinpeak_core::files::plain;
use twinpeak_core::frame::{Frame, ImageId, PerBand};
use twinpeak_core::outcome::{Reason, Rejection};
use twinpeak_core::survey::Survey;
use twinpeak_formats::ccds::text_table;
use twinpeak_formats::fits::{self, Limits, NamedBytes};

use crate::fits_astropy::astropy;

/// The shipped survey, its pixels being counts in `unit` that `section` calibrates.
fn counts(unit: &str, section: &str) -> Survey {
    let text = include_str!("../../../../config/surveys/sdss.toml");
    let text = text
        .replacen("zero_point_mag = 22.5", "", 1)
        .replacen("nmgy_per_dn = \"NMGY\"", "", 1)
        .replacen("start_tai_s = \"TAI\"", "", 1)
        .replacen("nmgy_per_dn = [0.0108, 0.0038, 0.0051, 0.0066, 0.033]", "nmgy_per_dn = [0.1, 0.1, 0.1, 0.1, 0.1]", 1)
        .replacen("unit = \"nanomaggy\"", &format!("unit = \"{unit}\""), 1);
    Survey::parse(&format!("{text}\n[calibration]\n{section}\n")).unwrap()
}

/// One file as all five bands of an image.
fn read(survey: &Survey, file: &Path) -> Result<Frame, Rejection> {
    let bytes = std::fs::read(file).unwrap();
    let files: PerBand<NamedBytes> = std::array::from_fn(|b| NamedBytes {
        name: format!("frame-{}-003918-3-0213.fits", survey.band(b)),
        bytes: bytes.clone(),
    });
    fits::decode(survey, &ImageId::new("003918-3-0213").unwrap(), plain(files), &Limits::default())
}

const WRITER: &str = r#"
import json, numpy as np
from astropy.io import fits
from astropy.time import Time
rng = np.random.default_rng(1)
BASE = dict(CTYPE1='RA---TAN', CTYPE2='DEC--TAN', CRPIX1=35., CRPIX2=32., CRVAL1=229.5, CRVAL2=42.7,
            CD1_1=-1.1e-4, CD1_2=0., CD2_1=0., CD2_2=1.1e-4, RADESYS='ICRS')
def hdu(data, cls=fits.PrimaryHDU, cards={}, **keys):
    h = cls(data, **keys)
    h.header.update(BASE); h.header.update(cards)
    return h
SKY = rng.poisson(200, (65, 70)) + 1000 * (rng.random((65, 70)) > .98)
"#;

#[test]
fn whole_numbers_of_every_type_and_coding_are_counts() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "{WRITER}{}",
        r#"
def kept(name, h):
    hdus = h if isinstance(h, fits.HDUList) else fits.HDUList([h])
    hdus.writeto(name + '.fits')
    with fits.open(name + '.fits') as back:
        data = [x.data for x in back if x.data is not None][0]
        data.astype('<f4').tofile(name + '.raw')
C = dict(MAGZERO=22.5)
for t in ['u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'f4', 'f8']:
    data = np.clip(SKY, 0, 250).astype(t) if t == 'u1' else SKY.astype(t)
    if t == 'u2': data[3, 5] = 65535
    if t in ('i4', 'u4', 'i8'): data[3, 5] = 2000000001
    kept(t, hdu(data, cards=C))
    for coding in ['RICE_1', 'GZIP_1', 'GZIP_2']:
        if t in ('i8', 'f8') or (t == 'f4' and coding != 'RICE_1'): continue
        packed = hdu(data, fits.CompImageHDU, C, compression_type=coding)
        kept(f'{t}_{coding}', fits.HDUList([fits.PrimaryHDU(), packed]))
scaled = hdu(SKY.astype('i2'), cards=C)
scaled.scale('int16', bscale=.25, bzero=100.)
scaled.header['BLANK'] = -32768
scaled.data[7, 8] = -32768
kept('i2_blank', scaled)
double = hdu((SKY - 3.) / 2., cards=C)
double.writeto('f8_scaled.fits')
raw = bytearray(open('f8_scaled.fits', 'rb').read())
i = raw.index(b'EXTEND'); raw[i:i + 80] = b'BSCALE  =                  2.0'.ljust(80)
i = raw.index(b'RADESYS'); raw[i:i + 80] = b'BZERO   =                  3.0'.ljust(80)
open('f8_scaled.fits', 'wb').write(bytes(raw))
SKY.astype('<f4').tofile('f8_scaled.raw')
"#
    );
    if !astropy(folder.path(), &script, &[]) {
        return;
    }
    let survey = counts("adu", "card = \"MAGZERO\"");
    let (fluxes, mut seen) = (Survey::parse(include_str!("../../../../config/surveys/sdss.toml")).unwrap(), 0);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|e| e != "fits") {
            continue;
        }
        let frame = read(&survey, &file).unwrap_or_else(|rejection| panic!("{}: {rejection}", file.display()));
        let wanted = std::fs::read(file.with_extension("raw")).unwrap();
        let wanted: Vec<f32> = wanted.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
        assert!(frame.bands[2].pixels.pixels().iter().zip(&wanted).all(same), "{}", file.display());
        assert_eq!(wanted.len(), 65 * 70);
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with('f') {
            let rejection = read(&fluxes, &file).unwrap_err();
            assert!(rejection.reason == Reason::BadUnits && rejection.message.contains("BITPIX"), "{rejection}");
        }
        seen += 1;
    }
    assert_eq!(seen, 8 + 5 * 3 + 1 + 2);
}

#[test]
fn every_way_to_a_zero_point_gives_the_flux() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "{WRITER}{}",
        r#"
cards = dict(MAGZERO=25., FLUXMAG0=1e10, PHOTCALB=363.078054770101, EXPTIME=100., GAINA=2., GAINB=4., RDNOISEA=6., RDNOISEB=9.,
             SATURATA=40000., SATURATB=39000., EXPNUM=372546, CCDNAME='N26', BUNIT='ADU', SKYLEVEL=50.)
hdu(SKY.astype('f4'), cards=cards).writeto('frame.fits')
from astropy.table import Table
Table(dict(expnum=[1, 372546], ccdname=['N26', 'N26'], ccdzpt=np.array([20., 25.], 'f4'))).write('ccds.fits')
open('ccds.csv', 'w').write('expnum,ccdname,ccdzpt\n1,N26,20\n372546,N26,25.0\n')
"#
    );
    if !astropy(folder.path(), &script, &[]) {
        return;
    }
    let file = folder.path().join("frame.fits");
    let mag = "{ u = 25.0, g = 25.0, r = 25.0, i = 25.0, z = 25.0 }";
    let table = |name: &str| {
        format!(
            "table = {{ file = \"{name}\", zero_point = \"ccdzpt\", match = {{ expnum = \"EXPNUM\", ccdname = \"CCDNAME\" }} }}"
        )
    };
    for section in [
        "card = \"MAGZERO\"",
        "card = \"FLUXMAG0\"\ncard_holds = \"counts_of_mag_0\"",
        "card = \"PHOTCALB\"\ncard_holds = \"njy_per_count\"",
        &format!("zero_point_mag = {mag}"),
        &format!("card = \"NOTTHERE\"\nzero_point_mag = {mag}"),
        &table("ccds.fits"),
        &table("ccds.csv"),
    ] {
        let mut survey = counts("counts", section);
        if let Some(ccds) = survey.profile().calibration.table.as_ref().map(|t| folder.path().join(&t.file)) {
            survey = survey.with_zero_points(&text_table(&std::fs::read(ccds).unwrap()).unwrap()).unwrap();
        }
        let frame = read(&survey, &file).unwrap();
        assert!((frame.bands[2].nmgy_per_dn / 0.1 - 1.0).abs() < 1e-9, "{section}: {}", frame.bands[2].nmgy_per_dn);
        let counts = frame.bands[2].pixels.pixels().iter().map(|v| f64::from(*v)).sum::<f64>() / (65.0 * 70.0) / 0.1;
        assert!((200.0..240.0).contains(&counts), "{section}: {counts}");
    }
    let second = read(&counts("adu", "card = \"MAGZERO\"\nper_second = true"), &file).unwrap();
    assert!((second.bands[2].nmgy_per_dn / 0.001 - 1.0).abs() < 1e-9);
    let cards = "gain_cards = [\"GAINA\", \"GAINB\"]\nread_noise_cards = [\"RDNOISEA\", \"RDNOISEB\"]\n\
                 saturation_cards = [\"SATURATA\", \"SATURATB\"]\nremoved_sky_card = \"SKYLEVEL\"";
    let band = &read(&counts("adu", &format!("card = \"MAGZERO\"\n{cards}")), &file).unwrap().bands[2];
    assert_eq!((band.gain_e_per_dn, band.dark_variance_dn2), (3.0, 58.5 / 9.0));
    assert!((band.saturation_nmgy - 0.1 * (39000.0 - 50.0)).abs() < 1e-6, "{}", band.saturation_nmgy);
    assert!((band.removed_sky_nmgy.unwrap() - 5.0).abs() < 1e-9);
    for (unit, section, says) in [
        ("adu", "card = \"NOTTHERE\"", "NOTTHERE"),
        ("electron", "card = \"MAGZERO\"", "ADU"),
        ("adu", "card = \"SATURATA\"", "SATURATA"),
        ("adu", &table("ccds.csv"), "ccds.csv"),
    ] {
        let rejection = read(&counts(unit, section), &file).unwrap_err();
        assert!(rejection.reason == Reason::BadUnits && rejection.message.contains(says), "{rejection}");
    }
}

#[test]
fn times_are_astropys_whatever_card_tells() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "{WRITER}{}",
        r#"
def tai(text, scale='utc', plus=0.): return Time(text, scale=scale).tai.mjd + plus / 86400
def of_mjd(mjd, scale='utc', plus=0.): return Time(mjd, format='mjd', scale=scale).tai.mjd + plus / 86400
START = '2014-10-29T04:30:05.235990'
cases = [
    ({'DATE-OBS': START, 'EXPTIME': 90.}, tai(START, plus=45)),
    ({'DATE-OBS': START, 'EXPTIME': '90.0 s'}, tai(START, plus=45)),
    ({'DATE-OBS': START, 'XPOSURE': 60.}, tai(START, plus=30)),
    ({'DATE-OBS': START, 'TIMESYS': 'TAI', 'EXPTIME': 90.}, tai(START, 'tai', 45)),
    ({'DATE-OBS': START, 'TIMESYS': 'TT', 'EXPTIME': 90.}, tai(START, 'tt', 45)),
    ({'DATE-OBS': '2014-10-29', 'TIME-OBS': '04:30:05.235990', 'EXPTIME': 90.}, tai(START, plus=45)),
    ({'DATE-OBS': '29/10/99', 'UT': '04:30:05', 'EXPTIME': 90.}, tai('1999-10-29T04:30:05', plus=45)),
    ({'MJD-OBS': 56959.1875606, 'EXPTIME': 90.}, of_mjd(56959.1875606, plus=45)),
    ({'MJD-OBS': 57753.9999, 'EXPTIME': 90.}, of_mjd(57753.9999, plus=45)),
    ({'MJD-OBS': 52758.2, 'TAI': 52758.2 * 86400, 'EXPTIME': 0.}, of_mjd(52758.2, plus=53.9 / 2)),
    ({'MJD-BEG': 56618.1, 'MJD-END': 56618.2, 'EXPTIME': 90.}, of_mjd(56618.15)),
    ({'DATE-BEG': START, 'DATE-END': '2014-10-29T04:32:05.235990'}, tai(START, plus=60)),
    ({'MJD-AVG': 58000.25, 'TIMESYS': 'TDB', 'DATE-OBS': START}, of_mjd(58000.25, 'tdb')),
    ({'DATE-AVG': START, 'MJD-OBS': 50000.}, tai(START)),
    ({'MJD-END': 58000.25, 'EXPTIME': 90.}, of_mjd(58000.25, plus=-45)),
    ({'TAI': 4558308519.7, 'EXPTIME': 53.9}, 4558308519.7 / 86400 + 53.9 / 2 / 86400),
    ({'TAI': 52758.2, 'EXPTIME': 53.9}, 52758.2 + 53.9 / 2 / 86400),
    ({'DATE-OBS': '2014-10-29'}, None),
    ({}, None),
    ({'MJD-OBS': 0., 'DATE-OBS': START, 'EXPTIME': 90.}, tai(START, plus=45)),
    ({'MJD-OBS': 2456959.6875}, 'MJD-OBS'),
    ({'DATE-OBS': '1858-11-17T00:00:00'}, 'DATE-OBS'),
    ({'DATE-OBS': 'yesterday'}, 'DATE-OBS'),
    ({'DATE-OBS': START, 'TIMESYS': 'LOCAL'}, 'TIMESYS'),
]
for i, (cards, _) in enumerate(cases):
    hdu(SKY.astype('f4'), cards=dict(cards, MAGZERO=25.)).writeto(f'{i}.fits')
json.dump([[str(c), x] for c, x in cases], open('cases.json', 'w'))
"#
    );
    if !astropy(folder.path(), &script, &[]) {
        return;
    }
    let survey = counts("adu", "card = \"MAGZERO\"");
    let cases = std::fs::read_to_string(folder.path().join("cases.json")).unwrap();
    let cases: Vec<(String, Value)> = serde_json::from_str(&cases).unwrap();
    assert_eq!(cases.len(), 24);
    for (i, (cards, wanted)) in cases.iter().enumerate() {
        match (read(&survey, &folder.path().join(format!("{i}.fits"))), wanted) {
            (Ok(frame), Value::Number(mjd)) => {
                let off_s = (frame.midpoint_mjd_tai.unwrap() - mjd.as_f64().unwrap()) * 86_400.0;
                assert!(off_s.abs() < 1e-3, "{cards}: {off_s} s off");
            }
            (Ok(frame), Value::Null) => assert_eq!(frame.midpoint_mjd_tai, None, "{cards}"),
            (Err(rejection), Value::String(card)) => {
                assert!(rejection.reason == Reason::BadTime && rejection.message.contains(card), "{rejection}");
            }
            (outcome, wanted) => panic!("{cards}: {wanted} is not {:?}", outcome.map(|f| f.midpoint_mjd_tai)),
        }
    }
}

#[test]
fn a_catalogue_opens_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let (survey, made) = (crate::products::survey(), crate::products::products(70, 65));
    let columns = twinpeak_core::catalog::columns(&survey);
    let table = fits::catalog_table(&made.catalog, &columns, &survey, &made.quality).unwrap();
    std::fs::write(folder.path().join("catalog.fits"), table).unwrap();
    let _ = astropy(
        folder.path(),
        r#"
from astropy.table import Table
from astropy.io import fits
table = Table.read('catalog.fits', hdu='SOURCES', unit_parse_strict='raise')
assert str(table['ra'].unit) == 'deg' and str(table['psfMag_r'].unit) == 'mag', table['ra'].unit
head = fits.getheader('catalog.fits', 1)
i = table.colnames.index('psfFlux_r') + 1
assert head[f'TCOMM{i}'].startswith('[nmgy] ') and f'TUNIT{i}' not in head and head['MAGZERO'] == 22.5
"#,
        &[],
    );
}
