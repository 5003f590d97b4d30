//! A field's products with a pattern that a reader can recompute, for the tests that read them back.

use twinpeak_core::catalog::{Catalog, ModelType, Provenance, Row, SourceModel, flag, source_id};
use twinpeak_core::frame::{ImageId, Plane};
use twinpeak_core::outcome::{BandQuality, Products};
use twinpeak_core::survey::Survey;
use twinpeak_core::wcs::Wcs;

const CD: [[f64; 2]; 2] = [[6.12244995309E-05, 9.14089391883E-05], [9.13919502146E-05, -6.12100865715E-05]];

pub fn survey() -> Survey {
    Survey::parse(include_str!("../../../../config/surveys/sdss.toml")).unwrap()
}

pub fn image() -> ImageId {
    ImageId::new("003918-3-0213").unwrap()
}

/// Of source 1, a point source with children; of source 2, an ellipse in its light.
fn source_model(number: u32) -> SourceModel {
    let extent = |value: f32| if number == 1 { f32::NAN } else { value };
    SourceModel {
        parent_id: (number == 2).then(|| source_id("sdss", &image(), 1)),
        children: 2 - number as i32,
        flux: [3.5, f32::NAN, -1.0, 4.0, 5.0],
        flux_err: [0.25; 5],
        kron_corr: [1.125; 5],
        model_type: [ModelType::PointSource, ModelType::DeVaucouleurs][number as usize - 1],
        radius: extent(2.5),
        radius_err: extent(0.5),
        axis_ratio: extent(0.75),
        axis_ratio_err: extent(0.0625),
        theta: extent(-45.0),
        theta_err: extent(3.0),
        blendedness: 0.5,
    }
}

/// Three sources: a star, a galaxy and one without a class, with every kind of value that a table can hold.
pub fn products(width: usize, height: usize) -> Products {
    let row = |number: u32| {
        let v = number as f32;
        Row {
            number,
            source_id: source_id("sdss", &image(), number),
            ra: 229.0 + f64::from(number) / 7.0,
            dec: -1.0 / f64::from(number),
            x: f64::from(number) + 0.25,
            y: 10.5,
            half_light_radius: if number == 2 { f32::NAN } else { 1.5 },
            iso_area: 5 + number as i32,
            psf_flux: std::array::from_fn(|b| v * 10.0 - b as f32),
            kron_flux: std::array::from_fn(|b| -v - b as f32),
            star_prob: (number != 3).then_some(v / 10.0),
            classification: [Some(6), Some(3), None][(number as usize - 1) % 3],
            primary: number.is_multiple_of(2),
            model: (number != 3).then(|| source_model(number)),
            flags: if number == 3 { flag::NO_CLASS | flag::TRUNCATED } else { 0 },
            ..Row::default()
        }
    };
    let provenance = Provenance {
        survey: "sdss".into(),
        image_id: image(),
        midpoint_mjd_tai: Some(52758.200545123),
        input_hash: "ab".repeat(32),
        model_version: "a version's name that is longer than one card can hold, so that it goes on in another".into(),
        model_hash: "cd".repeat(32),
        software_version: "0.1.0".into(),
    };
    let number = |i: usize| if i % 7 < 3 { (i / width % 4) as u32 } else { 0 };
    Products {
        catalog: Catalog { provenance, rows: (1..=3).map(row).collect() },
        segmentation: Plane::from_pixels(width, height, (0..width * height).map(number).collect()),
        bits: Plane::from_pixels(width, height, (0..width * height).map(|i| (i % 16) as u8).collect()),
        wcs: Wcs::tangent((width, height), (229.537988811, 42.7632764344), (1024.0, 744.0), CD).unwrap(),
        picture: std::array::from_fn(|_| Plane::filled(0, 0, 0.0)),
        quality: std::array::from_fn(|b| BandQuality {
            band: survey().band(b).to_owned(),
            fwhm_arcsec: 1.25 + b as f64,
            depth_5sigma_mag: if b == 4 { f64::NAN } else { 22.5 },
            psf_stars: 40 + b,
            ..BandQuality::default()
        }),
        reference: None,
        tiles: 0,
        device: "cpu".into(),
        requested: Default::default(),
    }
}
