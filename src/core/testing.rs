//! What the tests of several crates share: small products, finished frames, and Python to read files back. Compiled
//! with the feature `testing`, which only tests ask for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::catalog::{Catalog, ModelType, Provenance, Row, SourceModel, class};
use crate::frame::{ImageId, Plane};
use crate::outcome::{BandQuality, Finished, FramePsf, Outcome, Products, Reason, Rejection, Requested, Stage};
use crate::psf::Psf;
use crate::scene::SceneImages;
use crate::survey::Survey;
use crate::wcs::Wcs;

/// The shipped survey.
pub fn sdss() -> Survey {
    Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap()
}

/// SDSS's description with other bands (as TOML), another pattern of files' names, and more sections.
pub fn like_sdss(bands: &str, file_pattern: &str, more: &str) -> Survey {
    let text = include_str!("../../config/surveys/sdss.toml");
    let changed = text.lines().map(|line| match line.split_once(" = ") {
        Some(("bands", _)) => format!("bands = {bands}"),
        Some(("file_pattern", _)) => format!("file_pattern = '{file_pattern}'"),
        _ => line.to_owned(),
    });
    let changed: Vec<String> = changed.collect();
    Survey::parse(&format!("{}\n{more}", changed.join("\n"))).unwrap()
}

/// An image's id.
pub fn id(name: &str) -> ImageId {
    ImageId::new(name).unwrap()
}

/// A catalogue with a pattern: even rows have no class, odd ones are galaxies and stars in turn.
pub fn catalog_of(rows: usize) -> Catalog {
    let row = |i: usize| Row {
        number: i as u32 + 1,
        source_id: (1 << 20) + i as i64,
        ra: 10.0 + i as f64 / 8.0,
        half_light_radius: f32::NAN,
        psf_flux: [-(i as f32), 1.0, 2.0, 3.0, 4.0],
        star_prob: [None, Some(0.25), None, Some(0.75)][i % 4],
        classification: [None, Some(class::GALAXY), None, Some(class::STAR)][i % 4],
        primary: i.is_multiple_of(3),
        model: source_model(i),
        ..Row::default()
    };
    let provenance = Provenance {
        survey: "sdss".into(),
        image_id: id("003918-3-0213"),
        midpoint_mjd_tai: Some(53000.25),
        input_hash: "12".repeat(32),
        model_version: "1".into(),
        model_hash: "ab".repeat(32),
        software_version: "0.1.0".into(),
    };
    Catalog { provenance, rows: (0..rows).map(row).collect() }
}

/// Of row `i`, from 0: none of every fifth; then a point source, an exponential and a de Vaucouleurs profile in turn, the
/// last a child of row 0.
fn source_model(i: usize) -> Option<SourceModel> {
    let model_type = ModelType::ALL[i % 3];
    let extent = |value: f32| if model_type == ModelType::PointSource { f32::NAN } else { value };
    (i % 5 != 4).then(|| SourceModel {
        parent_id: (model_type == ModelType::DeVaucouleurs).then_some(1 << 20),
        children: if i == 0 { 7 } else { 0 },
        flux: [i as f32, 1.5, 2.5, f32::NAN, 4.5],
        flux_err: [0.5; 5],
        model_type,
        radius: extent(1.25),
        radius_err: extent(0.25),
        axis_ratio: extent(0.5),
        axis_ratio_err: extent(0.125),
        theta: extent(-30.0),
        theta_err: extent(2.0),
        kron_corr: [1.0625; 5],
        blendedness: 0.75,
    })
}

/// 70x64 px and so many rows.
pub fn products(rows: usize) -> Products {
    let (width, height) = (70, 64);
    let planes = || Plane::filled(width, height, 0.5f32);
    let cd = [[1e-4, 0.0], [0.0, 1e-4]];
    Products {
        catalog: catalog_of(rows),
        segmentation: Plane::filled(width, height, 1),
        bits: Plane::filled(width, height, 0),
        wcs: Wcs::tangent((width, height), (10.0, 0.0), (35.0, 32.0), cd).unwrap(),
        picture: [planes(), planes(), planes()],
        quality: std::array::from_fn(|_| BandQuality {
            fwhm_arcsec: 1.3,
            depth_5sigma_mag: 22.9,
            ..Default::default()
        }),
        reference: None,
        tiles: 4,
        device: "cpu".into(),
        requested: Default::default(),
    }
}

/// What is made on request, of 70x64 px without the last band: each model is 1 plus its band's index, residuals half of that
/// with one pixel of NaN, (3, 2); the PSF is a Moffat profile whose width grows with the band and along the frame.
pub fn requested() -> Requested {
    let present = [true, true, true, true, false];
    let plane = |b: usize, scale: f32| match present[b] {
        true => Plane::filled(70, 64, scale * (b + 1) as f32),
        false => Plane::filled(0, 0, 0.0),
    };
    let mut residual = std::array::from_fn(|b| plane(b, 0.5));
    residual.iter_mut().zip(present).filter(|(_, taken)| *taken).for_each(|(r, _)| r.set(3, 2, f32::NAN));
    let images = SceneImages {
        present,
        residual,
        model: std::array::from_fn(|b| plane(b, 1.0)),
        wcs: std::array::from_fn(|_| products(0).wcs),
        sigma_nmgy: [0.02; 5],
        shift_px: [(0, 0); 5],
        shape_bands: sdss().shape_bands(),
    };
    let moffat = |fwhm: f64| Psf::moffat(&[fwhm; 5], (70, 64), 2).at_centre(0).map(f64::from);
    let terms = |b: usize| {
        let (narrow, wide) = (moffat(3.0 + b as f64 / 2.0), moffat(4.0 + b as f64 / 2.0));
        let wider = narrow.iter().zip(&wide).map(|(n, w)| 0.2 * (w - n));
        [narrow.to_vec(), wider.collect(), narrow.map(|n| 0.03 * n).to_vec()]
    };
    let psf = Psf::of_terms(std::array::from_fn(terms), (70, 64), 2);
    Requested {
        psf: Some(Box::new(FramePsf { psf, pixel_scale_arcsec: 0.396, present })),
        scene: Some(Box::new(images)),
    }
}

/// An image's end.
pub fn finished(image: &str, outcome: Outcome) -> Finished {
    Finished { image_id: id(image), sequence: 0, timings_s: BTreeMap::from([(Stage::Segment, 0.5)]), outcome }
}

/// Runs a Python program that needs pyarrow on a folder; says so loudly where there is none.
pub fn pyarrow(program: &str, folder: &Path) {
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = std::env::var_os("TWINPEAK_PYTHON").map(Into::into).unwrap_or(if local.exists() {
        local
    } else {
        "python3".into()
    });
    if !Command::new(&python).args(["-c", "import pyarrow"]).output().is_ok_and(|o| o.status.success()) {
        eprintln!("SKIPPED: no python with pyarrow at {}", python.display());
        return;
    }
    let out = Command::new(&python).args(["-c", program]).arg(folder).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

fn ended(outcome: Outcome) -> Finished {
    let timings_s = BTreeMap::from([(Stage::Prepare, 0.25), (Stage::Segment, 0.5)]);
    Finished { image_id: id("f-1"), sequence: 0, timings_s, outcome }
}

/// 10x8 px, two stars, one galaxy, one without a class; each band's FWHM is 1 + its index.
pub fn processed() -> Finished {
    let row = |classification| Row { classification, ..Row::default() };
    let rows = vec![row(Some(class::STAR)), row(Some(class::STAR)), row(Some(class::GALAXY)), row(None)];
    let provenance = Provenance {
        survey: "s".into(),
        image_id: id("f-1"),
        midpoint_mjd_tai: None,
        input_hash: String::new(),
        model_version: "v".into(),
        model_hash: "h".into(),
        software_version: "0".into(),
    };
    let band = |b: usize| BandQuality {
        band: ["u", "g", "r", "i", "z"][b].into(),
        fwhm_arcsec: 1.0 + b as f64,
        streaks: b,
        ..BandQuality::default()
    };
    ended(Outcome::Processed(Box::new(Products {
        catalog: Catalog { provenance, rows },
        segmentation: Plane::filled(10, 8, 0),
        bits: Plane::filled(10, 8, 0),
        wcs: Wcs::tangent((10, 8), (10.0, 0.0), (5.0, 4.0), [[1e-4, 0.0], [0.0, 1e-4]]).unwrap(),
        picture: [(); 3].map(|()| Plane::filled(10, 8, 0.0)),
        quality: [0, 1, 2, 3, 4].map(band),
        reference: None,
        tiles: 7,
        device: "cpu".into(),
        requested: Default::default(),
    })))
}

/// A band is not there.
pub fn rejected() -> Finished {
    ended(Outcome::Rejected(Rejection {
        reason: Reason::MissingBand,
        stage: Stage::Ingest,
        file: None,
        message: "band z is missing".into(),
        advice: "add it".into(),
    }))
}
