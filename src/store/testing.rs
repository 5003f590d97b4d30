//! What the tests of this folder share: small products, and Python to read them back.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::{Encoders, ModelName};
use crate::catalog::{Catalog, Provenance, Row, class};
use crate::frame::{ImageId, Plane};
use crate::pipeline::ports::{BandQuality, Finished, Outcome, Products, Stage};
use crate::survey::Survey;
use crate::wcs::Wcs;

pub(super) fn sdss() -> Survey {
    Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap()
}

pub(super) fn id(name: &str) -> ImageId {
    ImageId::new(name).unwrap()
}

/// A catalogue with a pattern: even rows have no class, odd ones are galaxies and stars in turn.
pub(super) fn catalog_of(rows: usize) -> Catalog {
    let row = |i: usize| Row {
        number: i as u32 + 1,
        source_id: (1 << 20) + i as i64,
        ra: 10.0 + i as f64 / 8.0,
        half_light_radius: f32::NAN,
        psf_flux: [-(i as f32), 1.0, 2.0, 3.0, 4.0],
        star_prob: [None, Some(0.25), None, Some(0.75)][i % 4],
        classification: [None, Some(class::GALAXY), None, Some(class::STAR)][i % 4],
        primary: i.is_multiple_of(3),
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

pub(super) fn products(rows: usize) -> Products {
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
        tiles: 4,
        device: "cpu".into(),
    }
}

pub(super) fn finished(image: &str, outcome: Outcome) -> Finished {
    Finished { image_id: id(image), sequence: 0, timings_s: BTreeMap::from([(Stage::Segment, 0.5)]), outcome }
}

/// Stand-ins for the FITS writers.
pub(super) fn encoders() -> Encoders {
    Encoders {
        catalog_table: Box::new(|catalog, _, _, _| Ok(format!("{} rows", catalog.rows.len()).into_bytes())),
        masks: Box::new(|products| Ok(format!("{} px", products.segmentation.pixels().len()).into_bytes())),
        catalog_avro: None,
    }
}

pub(super) fn model() -> ModelName {
    ModelName { version: "1".into(), hash: "ab".repeat(32) }
}

/// Runs a Python program that needs pyarrow on a folder; says so loudly where there is none.
pub(super) fn pyarrow(program: &str, folder: &Path) {
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
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
