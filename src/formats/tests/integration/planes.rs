//! A survey's own masks and weights: compressed by others, and on their way into rows.

use std::path::{Path, PathBuf};
use std::process::Command;

use twinpeak_core::aperture::windowed_centroid;
use twinpeak_core::catalog::flag;
use twinpeak_core::detections::{self, Detections};
use twinpeak_core::files::{BandFiles, FieldFiles, Place};
use twinpeak_core::frame::{BANDS, ImageId, mask};
use twinpeak_core::preprocess::{self, noise_ratio, prepare};
use twinpeak_core::scores::Scores;
use twinpeak_core::survey::{PlaneKind, Survey};
use twinpeak_core::threshold::ThresholdSegmenter;
use twinpeak_core::{extract, filter};
use twinpeak_formats::fits::{Limits, NamedBytes, decode, encode_band, encode_companion, load};
use twinpeak_sim::{Spec, simulate};

const SETTINGS: extract::Settings = extract::Settings {
    detect_threshold: ThresholdSegmenter::DETECT_SIGMA,
    extent_threshold: ThresholdSegmenter::DETECT_SIGMA,
    min_area_px: 5,
    parting: extract::Parting::BRIGHTNESS,
    max_children: 1000,
    max_component_px: 100_000,
};

/// The files of a frame as `simulate` writes them, under the name or the alias that the survey accepts.
fn files(survey: &Survey, frame: &twinpeak_core::frame::Frame) -> FieldFiles<NamedBytes> {
    std::array::from_fn(|b| {
        let profile = survey.profile();
        let aliases =
            profile.bands.aliases.iter().filter(|(_, to)| *to == survey.band(b)).map(|(from, _)| from.as_str());
        let template = profile.file_template.replace("{image}", frame.id.as_str());
        let names = aliases.chain([survey.band(b)]).map(|band| template.replace("{band}", band));
        let name = names.into_iter().find(|name| survey.file_name(name).is_some())?;
        let companion = |kind| {
            let bytes = encode_companion(survey, frame, b, kind).unwrap()?;
            Some(NamedBytes { name: survey.companion(&name, kind)?, bytes }.into())
        };
        let (mask, weight) = (companion(PlaneKind::Mask), companion(PlaneKind::Weight));
        let image = NamedBytes { bytes: encode_band(survey, frame, b).unwrap(), name };
        Some(BandFiles { image: image.into(), mask, weight })
    })
}

/// From a survey's files to rows: each saturated star that the mask knows is flagged, and the noise is the map's.
#[test]
fn what_a_mask_says_is_on_the_rows() {
    // Shallow wells: a small field has few bright stars.
    for (text, full_well_dn, shallow_dn) in [
        (include_str!("../../../../config/surveys/hsc.toml"), "280.0", "140.0"),
        (include_str!("../../../../config/surveys/lsst.toml"), "50000.0", "5000.0"),
        (include_str!("../../../../config/surveys/decam.toml"), "46000.0", "4600.0"),
    ] {
        let well = |dn: &str| format!("full_well_dn = {dn}");
        assert!(text.contains(&well(full_well_dn)));
        let survey = Survey::parse(&text.replacen(&well(full_well_dn), &well(shallow_dn), 1)).unwrap();
        let name = &survey.profile().name;
        let spec = Spec { width: 700, height: 500, density: 4.0, seed: 11, ..Spec::default() };
        let made = simulate(&spec, &survey).unwrap();
        let read = decode(&survey, &made.frame.id, files(&survey, &made.frame), &Limits::default()).unwrap();
        let frame = prepare(read, &survey, &preprocess::Settings::default()).unwrap();
        for b in survey.planes() {
            let ratio = noise_ratio(&frame.frame.bands[b]).unwrap();
            assert!((ratio - 1.0).abs() < 0.15, "{name} {b}: the map's noise is {ratio} times the pixels'");
        }
        let weights = detections::detection_weights(&frame, &survey);
        let score = filter::matched_filter(&filter::weighted_sum(&frame.registered, &weights), 3.0);
        let scores = Scores::same(score);
        let fwhm_arcsec = [survey.profile().typical.fwhm_arcsec; BANDS];
        let found = Detections::find(&frame, &survey, &scores, &SETTINGS, &fwhm_arcsec);
        let rows = found.measure();
        assert!(rows.len() > 50, "{name}: {}", rows.len());
        let reference = &made.frame.bands[survey.reference()].mask;
        let bits_under = |x: f64, y: f64| reference.get(x.round() as isize, y.round() as isize).unwrap_or(0);
        let saturated: Vec<_> =
            rows.iter().map(|m| &m.row).filter(|row| bits_under(row.x, row.y) & mask::SAT != 0).collect();
        assert!(!saturated.is_empty(), "{name}: no saturated star is in the frame");
        for row in saturated {
            assert!(row.flags & flag::SATURATED != 0, "{name}: {} {} {:b}", row.x, row.y, row.flags);
        }
        // Faint stars' errors are those of the sky's variance: SED and aperture aside, of the same size everywhere.
        let errors = rows.iter().map(|m| f64::from(m.row.ap_flux_err[survey.reference()])).filter(|e| e.is_finite());
        let smallest = errors.fold(f64::INFINITY, f64::min);
        let radius_px = 1.5 / survey.profile().pixel_scale_arcsec;
        let sky = f64::from(frame.sky[survey.reference()].sigma_nmgy) * radius_px * std::f64::consts::PI.sqrt();
        assert!((0.6..1.3).contains(&(smallest / sky)), "{name}: {smallest} {sky}");
    }
}

/// A patch of a real exposure of each band, as the Community Pipeline writes it: image, data quality and weights are read
/// as they are, and the one Gaia source in the patch is where Gaia says.
#[test]
fn a_patch_of_decam_is_read_as_it_is() {
    const GAIA: (f64, f64) = (9.123_220_166_4, 3.397_571_339); // DR2, epoch 2015.5, without proper motion; G 18.17
    let root = std::env::var_os("TWINPEAK_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data")).join("decam");
    if !root.is_dir() {
        eprintln!("SKIPPED: no real data at {}", root.display());
        return;
    }
    let text = include_str!("../../../../config/surveys/decam.toml");
    // Name, size and what the pipeline says: FWHM (px), gain (amplifiers A and B).
    for (band, exposure, rest, size, fwhm_px, gain, marked_px) in [
        ("g", "141029_043225", "g_ls9.N26", (101, 101), 3.82, (3.719_709, 3.660_062), 65), // a cosmic ray, of code 5 and weight 0
        ("r", "141029_043420", "r_ls9.N26", (101, 100), 3.755, (3.730_283, 3.684_966), 0),
        ("z", "131122_030338", "z_ls9.S21", (101, 101), 3.45, (4.295_041, 4.273_013), 0),
    ] {
        // One band alone, since the three exposures have nothing in common by name.
        let text = text.replacen("required = 3", "required = 1", 1);
        let text = text.replacen("reference_band = \"r\"", &format!("reference_band = \"{band}\""), 1);
        let survey = Survey::parse(&text).unwrap();
        let name = format!("c4d_{exposure}_ooi_{rest}.fits");
        let at = |name: &str| Place::from(root.join(name));
        let companion = |kind| Some(at(&survey.companion(&name, kind).unwrap()));
        let files =
            BandFiles { image: at(&name), mask: companion(PlaneKind::Mask), weight: companion(PlaneKind::Weight) };
        let b = survey.plane_of(band).unwrap();
        let mut all: FieldFiles = std::array::from_fn(|_| None);
        all[b] = Some(files);
        let frame = load(&survey, &ImageId::new(exposure).unwrap(), &all, &Limits::default()).unwrap();
        let found = &frame.bands[b];
        let (width, height) = (found.pixels.width(), found.pixels.height());
        assert!((width, height) == size, "{band}: {width}x{height}");
        let marked = found.mask.pixels().iter().filter(|m| **m != 0).count();
        assert_eq!(marked, marked_px, "{band}: pixels that the data quality or a weight of 0 marks");
        assert!((found.gain_e_per_dn - 0.5 * (gain.0 + gain.1)).abs() < 0.01, "{band}: {}", found.gain_e_per_dn);
        assert_eq!(frame.exposure_s, Some(90.0));

        // The sky is in, and its noise is that of the weights.
        let mut sorted = found.pixels.pixels().to_vec();
        sorted.sort_by(f32::total_cmp);
        let sky = sorted[sorted.len() / 2];
        let mut steps: Vec<f32> = found.pixels.pixels().windows(2).map(|w| (w[1] - w[0]).abs()).collect();
        steps.sort_by(f32::total_cmp);
        let sigma = 1.4826 * steps[steps.len() / 2] / 2f32.sqrt();
        let mut variance = found.variance.as_ref().unwrap().pixels().to_vec();
        variance.sort_by(f32::total_cmp);
        let ratio = variance[variance.len() / 2].sqrt() / sigma;
        assert!((0.8..1.25).contains(&ratio), "{band}: the weights' noise is {ratio} times the pixels'");

        // The source, by a windowed centroid above the sky.
        let above = found.pixels.map(|p| p - sky);
        let start = found.wcs.sky_to_pixel(GAIA.0, GAIA.1).unwrap();
        let at = windowed_centroid(&above, start, fwhm_px / 2.355);
        let (ra, dec) = found.wcs.pixel_to_sky(at.x, at.y).unwrap();
        let off = ((ra - GAIA.0) * dec.to_radians().cos()).hypot(dec - GAIA.1) * 3600.0;
        assert!(off < 0.1, "{band}: {off} arcsec from Gaia's position");
    }
}

/// Masks of 8, 16 and 32 bits, signed and unsigned, compressed by astropy with Rice and gzip, are read bit by bit.
#[test]
fn masks_compressed_by_others_are_read() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    if !python.exists() {
        eprintln!("SKIPPED: no astropy at {} (deploy/setup.sh --tests installs it)", python.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(python).args(["-c", MASKS]).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = include_str!("../../../../config/surveys/example.toml").to_owned()
        + "[mask]\nfile = \"m_{image}_{band}.fits\"\nbits = { BAD = [0], SAT = [1], EDGE = [5], NO_DATA = [7] }";
    let survey = Survey::parse(&text).unwrap();
    let frame = simulate(&Spec { width: 100, height: 80, ..Spec::default() }, &survey).unwrap().frame;
    let mut kinds = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut files = files(&survey, &frame);
        let bytes = std::fs::read(&path).unwrap();
        files[2].as_mut().unwrap().mask = Some(NamedBytes { name: "m.fits".into(), bytes }.into());
        let read = decode(&survey, &ImageId::new(frame.id.as_str()).unwrap(), files, &Limits::default());
        let read = read.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for y in 0..80 {
            for x in 0..100 {
                // As the script: bits of a value that depends on the pixel.
                let value = (x * 7 + y * 13) % 251;
                let bit = |number: usize, ours: u8| if value >> number & 1 == 1 { ours } else { 0 };
                // A saturated pixel is nothing worse.
                let worse = if value >> 1 & 1 == 0 { bit(0, mask::BAD) | bit(7, mask::NO_DATA) } else { 0 };
                let wanted = bit(1, mask::SAT) | bit(5, mask::EDGE) | worse;
                assert_eq!(read.bands[2].mask.at(x, y), wanted, "{}: {x} {y}", path.display());
            }
        }
        kinds += 1;
    }
    assert_eq!(kinds, 21);
}

const MASKS: &str = r#"
import numpy as np
from astropy.io import fits
y, x = np.mgrid[:80, :100]
value = (x * 7 + y * 13) % 251
for kind in ['u1', 'i2', 'u2', 'i4', 'u4', 'i8']:
    for coding in ['plain', 'RICE_1', 'GZIP_1', 'GZIP_2']:
        if kind == 'i8' and coding != 'plain' or kind == 'u1' and coding == 'GZIP_2':
            continue
        data = value.astype(kind)
        image = fits.ImageHDU(data) if coding == 'plain' else fits.CompImageHDU(data, compression_type=coding)
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(f'{kind}-{coding}.fits')
# Tiles of several rows, as some writers make them.
fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(value.astype('i2'), compression_type='RICE_1', tile_shape=(32, 33))]).writeto('tiles.fits')
"#;
