//! Masks and weights come back as they were, whatever form a survey gives them, and each fault is told by its name.

use std::sync::LazyLock;

use super::super::card::{Cards, fill_block};
use super::super::{Limits, NamedBytes, ccds_in, decode, encode_band, encode_companion};
use super::written::{Place as Where, image_cards};
use twinpeak_core::files::{BandFiles, FieldFiles, Place};
use twinpeak_core::frame::{BANDS, Frame, Plane, mask};
use twinpeak_core::outcome::{Reason, Rejection};
use twinpeak_core::survey::{PlaneKind, Survey};
use twinpeak_sim::{Spec, simulate};

const WIDTH: usize = 90;
const HEIGHT: usize = 70;

fn survey(sections: &str) -> Survey {
    Survey::parse(&(include_str!("../../../../config/surveys/example.toml").to_owned() + sections)).unwrap()
}

/// A frame with masks of every bit and variances.
static FRAME: LazyLock<Frame> = LazyLock::new(|| {
    let survey = survey(
        "[mask]\nhdu = \"DQ\"\nbits = { SAT = [1] }\n[weight]\nhdu = 2\nkind = \"variance\"\nincludes_sources = true",
    );
    let spec = Spec { width: WIDTH, height: HEIGHT, ..Spec::default() };
    let mut frame = simulate(&spec, &survey).unwrap().frame;
    for (b, band) in frame.bands.iter_mut().enumerate() {
        band.mask = Plane::filled(WIDTH, HEIGHT, 0);
        for (i, bit) in [mask::BAD, mask::SAT, mask::EDGE, mask::NO_DATA].into_iter().enumerate() {
            band.mask.row_mut(10 * i + b)[b..20 + b].fill(bit);
        }
        band.mask.set(WIDTH - 1, HEIGHT - 1, mask::BAD);
    }
    frame
});

/// The files of a frame as the survey has them.
fn files(survey: &Survey) -> FieldFiles<NamedBytes> {
    std::array::from_fn(|b| {
        let name = survey.file_for(b, &FRAME.id).replace(".bz2", "");
        let companion = |kind| {
            let bytes = encode_companion(survey, &FRAME, b, kind).unwrap()?;
            Some(NamedBytes { name: survey.companion(&name, kind)?, bytes }.into())
        };
        let (mask, weight) = (companion(PlaneKind::Mask), companion(PlaneKind::Weight));
        let image = NamedBytes { bytes: encode_band(survey, &FRAME, b).unwrap(), name: name.clone() };
        Some(BandFiles { image: image.into(), mask, weight })
    })
}

fn read(survey: &Survey, files: FieldFiles<NamedBytes>) -> Result<Frame, Rejection> {
    decode(survey, &FRAME.id, files, &Limits::default())
}

#[track_caller]
fn refused(outcome: Result<Frame, Rejection>, reason: Reason, file: &str, says: &str) {
    let rejection = outcome.expect_err("must be refused");
    assert_eq!((rejection.reason, rejection.file.as_deref()), (reason, Some(file)), "{rejection}");
    assert!(rejection.message.contains(says) && !rejection.to_string().contains('\n'), "{rejection}");
    assert!(!rejection.advice.is_empty());
}

const FORMS: [&str; 4] = [
    "[mask]\nhdu = \"DQ\"\nbits = { BAD = [0, 3], SAT = [1], EDGE = [15], NO_DATA = [30] }",
    "[mask]\nhdu = \"MASK\"\nnames = { BAD = [\"BAD\"], COSMIC_RAY = [\"CR\"], SAT = [\"SAT\"], EDGE = [\"EDGE\"], NO_DATA = [\"NO_DATA\"] }\n[image]\nwritten_hdu = \"IMAGE\"",
    "[mask]\nfile = \"dq_{image}_{band}.fits\"\nvalues = { BAD = [1], SAT = [3, 4], COSMIC_RAY = [5], EDGE = [6], NO_DATA = [-1] }\n[image]\nwritten_hdu = \"N4\"",
    "[mask]\nfile = \"fpM_{image}_{band}.fits\"\ntables = { BAD = [1], SAT = [2], NO_DATA = [3], EDGE = [4], COSMIC_RAY = [10] }",
];

#[test]
fn masks_of_every_form_come_back() {
    for form in FORMS {
        let survey = survey(form);
        let frame = read(&survey, files(&survey)).unwrap();
        for (found, wanted) in frame.bands.iter().zip(&FRAME.bands) {
            assert_eq!(found.mask, wanted.mask, "{form}");
            assert!(found.variance.is_none());
        }
    }
}

#[test]
fn weights_of_every_kind_are_variances() {
    for (kind, file) in
        [("variance", ""), ("sigma", "file = \"w_{image}_{band}.fits\""), ("inverse_variance", ""), ("weight", "")]
    {
        let place = if file.is_empty() { "hdu = \"WHT\"" } else { file };
        let survey = survey(&format!("[weight]\n{place}\nkind = \"{kind}\"\nincludes_sources = false"));
        let frame = read(&survey, files(&survey)).unwrap();
        // Relative weights are scaled by the noise of the pixels, which these sources and so few pixels blur.
        let within = if kind == "weight" { 0.5 } else { 1e-6 };
        for (found, wanted) in frame.bands.iter().zip(&FRAME.bands) {
            let (found, wanted) = (found.variance.as_ref().unwrap(), wanted.variance.as_ref().unwrap());
            for (f, w) in found.pixels().iter().zip(wanted.pixels()) {
                assert!((f / w - 1.0).abs() < within, "{kind}: {f} {w}");
            }
        }
    }
}

#[test]
fn a_pixel_without_weight_has_no_data_unless_the_mask_says_more() {
    let survey =
        survey(&format!("{}\n[weight]\nhdu = \"WHT\"\nkind = \"inverse_variance\"\nincludes_sources = true", FORMS[0]));
    let mut frame = FRAME.clone();
    for x in 0..WIDTH {
        frame.bands[2].variance.as_mut().unwrap().set(x, 12, f32::INFINITY);
    }
    let mut files = files(&survey);
    files[2].as_mut().unwrap().image.file.bytes = encode_band(&survey, &frame, 2).unwrap();
    let band = &read(&survey, files).unwrap().bands[2];
    assert_eq!(band.mask.at(5, 12), mask::SAT, "row 12 of band 2 is saturated up to column 22");
    assert_eq!((band.mask.at(50, 12), band.mask.at(50, 11)), (mask::NO_DATA, 0));
    assert!(band.variance.as_ref().unwrap().at(50, 12).is_infinite());
}

#[test]
fn what_planes_cost_the_hash_is_their_files_alone() {
    let survey = survey(FORMS[2]);
    let (one, mut other) = (files(&survey), files(&survey));
    let mask = other[3].as_mut().unwrap().mask.as_mut().unwrap();
    let last = mask.file.bytes.len() - 2880;
    mask.file.bytes[last] ^= 1;
    assert_ne!(read(&survey, one).unwrap().input_hash, read(&survey, other).unwrap().input_hash);
}

/// An image of 32-bit zeros.
fn zeros(name: &str, width: usize, height: usize, more: &[(&str, i64)]) -> Vec<u8> {
    let mut cards = image_cards(&Where::Extension(name), 32, &Plane::filled(width, height, 0u8));
    more.iter().for_each(|(key, value)| {
        cards.add(key, *value, "");
    });
    let mut bytes = cards.finish().unwrap();
    bytes.resize(bytes.len() + 4 * width * height, 0);
    fill_block(&mut bytes);
    bytes
}

fn of_extensions(hdus: &[Vec<u8>]) -> Vec<u8> {
    [&[Cards::primary().finish().unwrap()], hdus].concat().concat()
}

#[test]
fn a_mask_that_is_none_is_refused() {
    let named = survey(FORMS[1]);
    let own = survey(FORMS[2]);
    let with = |survey: &Survey, bytes: Vec<u8>| {
        let mut files = files(survey);
        files[1].as_mut().unwrap().mask = Some(NamedBytes { name: "mask.fits".into(), bytes }.into());
        read(survey, files)
    };
    let mask = |hdus: &[Vec<u8>]| with(&own, of_extensions(hdus));
    mask(&[zeros("N4", WIDTH, HEIGHT, &[])]).unwrap();
    mask(&[zeros("S1", WIDTH, HEIGHT, &[]), zeros("N4", WIDTH, HEIGHT, &[])]).unwrap();
    refused(
        mask(&[zeros("N4", 80, HEIGHT, &[])]),
        Reason::BandMismatch,
        "mask.fits",
        "HDU 1: the mask is (80, 70) pixels, but the image is (90, 70)",
    );
    let others = [zeros("S1", WIDTH, HEIGHT, &[]), zeros("S2", WIDTH, HEIGHT, &[])];
    refused(mask(&others), Reason::BandMismatch, "mask.fits", "no HDU \"N4\": it has HDUs 0, 1 S1, 2 S2");
    let twice = [zeros("N4", WIDTH, HEIGHT, &[]), zeros("N4", WIDTH, HEIGHT, &[])];
    refused(mask(&twice), Reason::BandMismatch, "mask.fits", "several HDUs \"N4\": 1 N4, 2 N4");
    refused(mask(&[]), Reason::NotFits, "mask.fits", "no two-dimensional image");
    refused(mask(&[zeros("N4", WIDTH, HEIGHT, &[("BSCALE", 2)])]), Reason::NotFits, "mask.fits", "BSCALE 2");
    refused(
        with(&named, of_extensions(&[zeros("MASK", WIDTH, HEIGHT, &[("MP_BAD", 0), ("MP_CR", 3)])])),
        Reason::BandMismatch,
        "mask.fits",
        "no card MP_EDGE",
    );
    let spans = survey(FORMS[3]);
    refused(
        with(&spans, of_extensions(&[zeros("N4", WIDTH, HEIGHT, &[])])),
        Reason::NotFits,
        "mask.fits",
        "HDU 1 is no table",
    );
    let mut damaged = encode_companion(&spans, &FRAME, 1, PlaneKind::Mask).unwrap().unwrap();
    let heap = damaged.windows(6).position(|w| w == [0, 1, 0, 1, 0, 20]).unwrap();
    damaged[heap + 4] = 0xff; // a last column before the first
    refused(with(&spans, damaged), Reason::NotFits, "mask.fits", "HDU 1: the spans of row 0");
    refused(with(&survey(""), Vec::new()), Reason::BandMismatch, "mask.fits", "does not say what its values mean");
}

#[test]
fn a_plane_that_is_not_there_is_missing() {
    let own = survey(FORMS[2]);
    let without = |survey: &Survey, given: &Survey| {
        let mut all = files(given);
        all[1].as_mut().unwrap().mask = None;
        read(survey, all)
    };
    refused(without(&own, &own), Reason::MissingBand, "dq_009001-1-0001_g.fits", "mask of band g is not there");
    let optional = survey(&FORMS[2].replace("[mask]", "[mask]\nrequired = false"));
    assert_eq!(without(&optional, &own).unwrap().bands[1].mask.at(5, 1), 0);
    let in_same = survey(FORMS[0]);
    refused(
        read(&in_same, files(&survey(""))),
        Reason::BandMismatch,
        &survey("").file_for(0, &FRAME.id).replace(".bz2", ""),
        "no HDU \"DQ\"",
    );
}

#[test]
fn weights_that_weigh_nothing_are_refused() {
    let own = survey("[weight]\nfile = \"w_{image}_{band}.fits\"\nkind = \"variance\"\nincludes_sources = true");
    for value in [-1.0f32, 0.0, f32::NAN] {
        let mut files = files(&own);
        let plane = Plane::filled(WIDTH, HEIGHT, value);
        let mut bytes = image_cards(&Where::Primary, -32, &plane).finish().unwrap();
        bytes.extend(plane.pixels().iter().flat_map(|v| v.to_be_bytes()));
        fill_block(&mut bytes);
        files[0].as_mut().unwrap().weight = Some(NamedBytes { name: "w.fits".into(), bytes }.into());
        refused(read(&own, files), Reason::NoSignal, "w.fits", "HDU 0: no pixel has a positive");
    }
}

/// An image with coordinates of its own, as an extension.
fn ccd(name: &str) -> Vec<u8> {
    let survey = survey(&format!("[image]\nwritten_hdu = \"{name}\""));
    encode_band(&survey, &FRAME, 1).unwrap()[2880..].to_vec()
}

#[test]
fn one_of_several_images_must_be_named() {
    let with = |survey: &Survey, hdus: &[Vec<u8>], hdu: Option<&str>, image: &str| {
        let mut files = files(&self::survey(""));
        let place = &mut files[1].as_mut().unwrap().image;
        place.file.bytes = of_extensions(hdus);
        place.hdu = hdu.map(str::to_owned);
        decode(survey, &twinpeak_core::frame::ImageId::new(image).unwrap(), files, &Limits::default())
    };
    let (plain, id) = (survey(""), FRAME.id.as_str());
    let file = "example_009001-1-0001_g.fits";
    let two = [ccd("N4"), ccd("S7")];
    refused(
        with(&plain, &two, None, id),
        Reason::BandMismatch,
        file,
        "several images of equal standing, HDUs 1 N4, 3 S7",
    );
    for hdu in ["S7", "s7", "3"] {
        with(&plain, &two, Some(hdu), id).unwrap();
    }
    refused(
        with(&plain, &two, Some("S8"), id),
        Reason::BandMismatch,
        file,
        "no HDU \"S8\": it has HDUs 0, 1 N4, 2, 3 S7",
    );
    refused(with(&plain, &two, Some("9"), id), Reason::BandMismatch, file, "no HDU \"9\"");
    with(&survey("[image]\nhdu = \"{band}\""), &[], None, id).expect_err("no such HDU");
    // Planes that belong to an image are no images of their own, whatever their order.
    with(&plain, &[ccd("SCI"), ccd("ERR"), zeros("DQ", WIDTH, HEIGHT, &[])], None, id).unwrap();
    with(&plain, &[zeros("MASK", WIDTH, HEIGHT, &[]), ccd("SCI")], None, id).unwrap();
    // Where the survey names its CCDs, other images do not count.
    with(&survey("[image]\nccds = \"^N\""), &two, None, id).unwrap();
}

#[test]
fn a_ccd_is_a_field_of_its_own() {
    let survey = survey("[image]\nccds = \"^[NS][0-9]+$\"");
    let file = of_extensions(&[ccd("N4"), ccd("GUIDE"), ccd("S7")]);
    assert_eq!(ccds_in(&survey, "x.fits", &file, &Limits::default()).unwrap(), ["N4", "S7"]);
    let mut files: FieldFiles<NamedBytes> = files(&survey);
    for files in files.iter_mut().flatten() {
        files.image =
            Place { file: NamedBytes { bytes: file.clone(), ..files.image.file.clone() }, hdu: Some("S7".into()) };
    }
    let id = |name: &str| twinpeak_core::frame::ImageId::new(name).unwrap();
    let read = |name: &str| decode(&survey, &id(name), files.clone(), &Limits::default());
    assert_eq!(read("009001-1-0001.S7").unwrap().present, [true; BANDS]);
}

const SHIPPED: [(&str, &str); 5] = [
    ("sdss", include_str!("../../../../config/surveys/sdss.toml")),
    ("example", include_str!("../../../../config/surveys/example.toml")),
    ("decam", include_str!("../../../../config/surveys/decam.toml")),
    ("hsc", include_str!("../../../../config/surveys/hsc.toml")),
    ("lsst", include_str!("../../../../config/surveys/lsst.toml")),
];

/// What `simulate` writes for a shipped survey is what its description says, masks and variances too.
#[test]
fn simulated_frames_of_the_shipped_surveys_are_read_back() {
    for (name, text) in SHIPPED {
        let survey = Survey::parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let spec = Spec { width: 200, height: 150, seed: 3, ..Spec::default() };
        let made = simulate(&spec, &survey).unwrap().frame;
        let files: FieldFiles<NamedBytes> = std::array::from_fn(|b| {
            let names = survey.profile().bands.aliases.iter().filter(|(_, to)| *to == survey.band(b));
            let names = names.map(|(alias, _)| alias.as_str()).chain([survey.band(b)]);
            let template = survey.profile().file_template.replace("{image}", made.id.as_str());
            let file = names.map(|n| template.replace("{band}", n)).find(|f| survey.file_name(f).is_some())?;
            let companion = |kind| {
                let bytes = encode_companion(&survey, &made, b, kind).unwrap()?;
                Some(NamedBytes { name: survey.companion(&file, kind)?, bytes }.into())
            };
            let (mask, weight) = (companion(PlaneKind::Mask), companion(PlaneKind::Weight));
            let image = NamedBytes { bytes: encode_band(&survey, &made, b).unwrap(), name: file };
            Some(BandFiles { image: image.into(), mask, weight })
        });
        let read = decode(&survey, &made.id, files, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(read.present, made.present, "{name}");
        for b in survey.planes() {
            let (found, wanted) = (&read.bands[b], &made.bands[b]);
            let sky = if survey.profile().image.sky_left_in { wanted.removed_sky_nmgy.unwrap() } else { 0.0 };
            let noise = survey.profile().typical.sky_sigma_nmgy[b];
            for (f, w) in found.pixels.pixels().iter().zip(wanted.pixels.pixels()) {
                let off = f64::from(*f) - f64::from(*w) - sky;
                assert!(off.abs() < 1e-3 * noise + 1e-6 * f64::from(*w).abs(), "{name} {b}: {f} {w}");
            }
            assert_eq!(found.mask, wanted.mask, "{name} {b}");
            assert!((found.nmgy_per_dn / wanted.nmgy_per_dn - 1.0).abs() < 1e-9, "{name} {b}");
            assert_eq!(found.variance.is_some(), survey.profile().weight.is_some(), "{name}");
            let pair = found.variance.iter().zip(&wanted.variance).flat_map(|(f, w)| f.pixels().iter().zip(w.pixels()));
            pair.for_each(|(f, w)| assert!((f / w - 1.0).abs() < 1e-5, "{name} {b}: {f} {w}"));
        }
        let marked: usize = made
            .bands
            .iter()
            .zip(made.present)
            .filter(|(_, p)| *p)
            .map(|(band, _)| band.mask.pixels().iter().filter(|m| **m != 0).count())
            .sum();
        assert_eq!(marked > 0, survey.profile().mask.as_ref().is_some_and(|m| m.place.required), "{name}");
    }
}
