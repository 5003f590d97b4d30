//! What bad files do: each is refused for its own reason, naming the file, and none can do worse.

mod refusals;

use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use twinpeak_core::files::plain;
use twinpeak_core::frame::{BANDS, Band, FieldIds, Frame, ImageId, PerBand, Plane, mask};
use twinpeak_core::outcome::{Reason, Rejection, Stage};
use twinpeak_core::survey::Survey;
use twinpeak_core::wcs::Wcs;

static SURVEY: LazyLock<Survey> =
    LazyLock::new(|| Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap());

const WIDTH: usize = 70;
const HEIGHT: usize = 65;

fn image() -> ImageId {
    ImageId::new("003918-3-0213").unwrap()
}

/// A small frame whose bands all differ.
fn frame(width: usize, height: usize) -> Frame {
    let cd = [[6.12244995309E-05, 9.14089391883E-05], [9.13919502146E-05, -6.12100865715E-05]];
    let band = |b: usize| {
        let nmgy_per_dn = 0.004 + 0.001 * b as f64;
        let mut pixels: Vec<f32> = (0..width * height).map(|i| (i % 251) as f32 * 0.01 - b as f32).collect();
        pixels[b] = f32::NAN;
        let detector = SURVEY.detector(&FieldIds { camcol: Some(3), ..Default::default() });
        Band {
            mask: Plane::from_pixels(width, height, pixels.clone()).map(|v| if v.is_nan() { mask::NO_DATA } else { 0 }),
            pixels: Plane::from_pixels(width, height, pixels),
            wcs: Wcs::tangent((width, height), (229.5 + 0.001 * b as f64, 42.7), (35.0, 32.0), cd).unwrap(),
            nmgy_per_dn,
            gain_e_per_dn: detector.gain_e_per_dn[b],
            dark_variance_dn2: detector.dark_variance_dn2[b],
            saturation_nmgy: 30000.0 * nmgy_per_dn,
            removed_sky_nmgy: Some(f64::from(130.5_f32) * nmgy_per_dn),
            variance: None,
        }
    };
    Frame {
        id: image(),
        ids: FieldIds { run: Some(3918), rerun: None, camcol: Some(3), field: Some(213) },
        midpoint_mjd_tai: Some(52758.2005),
        exposure_s: Some(53.907456),
        bands: std::array::from_fn(band),
        input_hash: String::new(),
        present: [true; BANDS],
        files: Default::default(),
    }
}

static FILES: LazyLock<PerBand<NamedBytes>> = LazyLock::new(|| {
    let frame = frame(WIDTH, HEIGHT);
    std::array::from_fn(|b| NamedBytes {
        name: format!("frame-{}-003918-3-0213.fits", SURVEY.band(b)),
        bytes: encode_band(&SURVEY, &frame, b).unwrap(),
    })
});

fn read(files: PerBand<NamedBytes>) -> Result<Frame, Rejection> {
    decode(&SURVEY, &image(), plain(files), &Limits::default())
}

/// What becomes of the frame when band r's file is replaced.
fn with_r(change: impl FnOnce(&mut Vec<u8>)) -> Result<Frame, Rejection> {
    let mut files = FILES.clone();
    change(&mut files[2].bytes);
    read(files)
}

/// Replaces the card `key` of the first header.
fn set_card(bytes: &mut [u8], key: &str, card: &str) {
    let at = bytes.chunks(80).position(|c| c.starts_with(format!("{key:8}").as_bytes())).unwrap() * 80;
    bytes[at..at + 80].copy_from_slice(format!("{card:80}").as_bytes());
}

#[track_caller]
fn refused(outcome: Result<Frame, Rejection>, reason: Reason, file: &str, says: &str) {
    let rejection = outcome.expect_err("must be refused");
    assert_eq!((rejection.reason, rejection.stage), (reason, Stage::Prepare), "{rejection}");
    assert_eq!(rejection.file.as_deref(), Some(file), "{rejection}");
    assert!(rejection.message.contains(says), "{rejection}");
    assert!(!rejection.to_string().contains('\n') && !rejection.advice.is_empty(), "{rejection}");
}

const R: &str = "frame-r-003918-3-0213.fits";

#[test]
fn what_is_written_is_read_back() {
    let (before, after) = (frame(WIDTH, HEIGHT), read(FILES.clone()).unwrap());
    assert_eq!((after.id.clone(), after.ids, after.exposure_s), (before.id, before.ids, before.exposure_s));
    assert!((after.midpoint_mjd_tai.unwrap() - before.midpoint_mjd_tai.unwrap()).abs() < 1e-9);
    for (a, b) in after.bands.iter().zip(&before.bands) {
        let bits = |band: &Band| band.pixels.map(f32::to_bits);
        assert_eq!(bits(a), bits(b));
        assert_eq!((&a.mask, a.wcs.cards()), (&b.mask, b.wcs.cards()));
        let facts = |x: &Band| (x.nmgy_per_dn, x.gain_e_per_dn, x.dark_variance_dn2, x.saturation_nmgy);
        assert_eq!(facts(a), facts(b));
        assert!((a.removed_sky_nmgy.unwrap() - b.removed_sky_nmgy.unwrap()).abs() < 1e-9);
    }
}

#[test]
fn packing_changes_nothing_but_the_hash() {
    let plain = read(FILES.clone()).unwrap();
    for suffix in [".bz2", ".gz"] {
        let packed = FILES.clone().map(|f| {
            // Two streams one after the other, as parallel packers write them.
            let (head, tail) = f.bytes.split_at(4000);
            let mut bytes = pack(suffix, head.to_vec()).unwrap();
            bytes.extend(pack(suffix, tail.to_vec()).unwrap());
            NamedBytes { name: f.name + suffix, bytes }
        });
        let unpacked = read(packed.clone()).unwrap();
        assert_eq!(unpacked.bands[4].pixels.pixels()[9..], plain.bands[4].pixels.pixels()[9..]);
        assert_ne!(unpacked.input_hash, plain.input_hash);
        // Names do not decide how a file is unpacked.
        let renamed = packed.map(|f| NamedBytes { name: f.name.replace(suffix, ""), ..f });
        assert_eq!(read(renamed).unwrap().input_hash, unpacked.input_hash);
    }
}

#[test]
fn damaged_files_are_truncated() {
    refused(with_r(|b| b.clear()), Reason::Truncated, R, "is empty");
    refused(with_r(|b| b.truncate(1000)), Reason::Truncated, R, "no END");
    refused(with_r(|b| b.truncate(9000)), Reason::Truncated, R, "cut short");
    let half = |b: &mut Vec<u8>| {
        *b = pack(".bz2", b.clone()).unwrap();
        b.truncate(b.len() / 2);
    };
    refused(with_r(half), Reason::Truncated, R, "bzip2 stream");
    let gzip = |b: &mut Vec<u8>| {
        *b = pack(".gz", b.clone()).unwrap();
        b.truncate(b.len() - 3);
    };
    refused(with_r(gzip), Reason::Truncated, R, "gzip stream");
    // Even where only the sky's table, after the image, is cut.
    refused(with_r(|b| b.truncate(b.len() - 2880)), Reason::Truncated, R, "HDU 1");
}

#[test]
fn what_is_no_fits_image_is_not_fits() {
    refused(with_r(|b| *b = b"<html>not found</html>".repeat(200)), Reason::NotFits, R, "<html>");
    refused(with_r(|b| b[0] = 0), Reason::NotFits, R, "not a FITS file");
    refused(with_r(|b| set_card(b, "NAXIS1", "NAXIS1  = -5")), Reason::NotFits, R, "NAXIS1");
    refused(with_r(|b| set_card(b, "BITPIX", "BITPIX  = 7")), Reason::NotFits, R, "BITPIX");
    let empty = |b: &mut Vec<u8>| *b = super::card::Cards::primary().finish().unwrap();
    refused(with_r(empty), Reason::NotFits, R, "no two-dimensional image");
}

#[test]
fn sizes_are_judged_before_anything_is_allocated() {
    let size = |w: u64, h: u64| {
        with_r(move |b| {
            set_card(b, "NAXIS1", &format!("NAXIS1  = {w}"));
            set_card(b, "NAXIS2", &format!("NAXIS2  = {h}"));
        })
    };
    refused(size(0, 0), Reason::TooSmall, R, "0x0");
    refused(size(1, 1), Reason::TooSmall, R, "1x1");
    refused(size(63, 64), Reason::TooSmall, R, "63x64");
    refused(size(4_000_000_000, 4_000_000_000), Reason::TooLarge, R, "");
    refused(size(i64::MAX as u64, i64::MAX as u64), Reason::TooLarge, R, "");
    refused(size(70, 200), Reason::Truncated, R, "declares");
    assert_eq!(size(64, 65).unwrap().bands[2].pixels.width(), 64, "bands of other sizes are ordinary");
}

#[test]
fn limits_are_kept() {
    let limits = Limits { max_file_bytes: 1 << 20, max_unpacked_bytes: 1 << 20, max_pixels: 4000 };
    refused(
        decode(&SURVEY, &image(), plain(FILES.clone()), &limits),
        Reason::TooLarge,
        "frame-u-003918-3-0213.fits",
        "70x65",
    );
    let bomb = |suffix: &'static str| {
        let mut files = FILES.clone();
        files[2].bytes = pack(suffix, vec![0; 8 << 20]).unwrap();
        let limits = Limits { max_unpacked_bytes: 1 << 20, ..Limits::default() };
        decode(&SURVEY, &image(), plain(files), &limits)
    };
    refused(bomb(".bz2"), Reason::TooLarge, R, "unpacks to more");
    refused(bomb(".gz"), Reason::TooLarge, R, "unpacks to more");
}

#[test]
fn bands_must_be_those_of_one_field() {
    let mut twice = FILES.clone();
    twice[1] = twice[2].clone();
    refused(read(twice), Reason::BandMismatch, R, "band r is given twice");
    let mut swapped = FILES.clone();
    swapped.swap(1, 2);
    refused(read(swapped), Reason::BandMismatch, R, "is band r, given as band g");
    let mut grouped_by_a_table = FILES.clone();
    grouped_by_a_table[0].name = "u[1][col x].fits".into();
    grouped_by_a_table[1].name = "frame-g-003918-3-0214.fits".into();
    assert_eq!(read(grouped_by_a_table).unwrap().id, image(), "whoever grouped them knows what is one field");
    let mut escaped = FILES.clone();
    escaped[2].name = "s3://night/frame%2Dr-003918-3-0213.fits".into();
    assert_eq!(read(escaped).unwrap().ids.camcol, Some(3), "a URI says as much as a name");
}

#[test]
fn units_and_pixel_types_must_be_the_surveys() {
    refused(with_r(|b| set_card(b, "BUNIT", "BUNIT   = 'adu'")), Reason::BadUnits, R, "adu");
    refused(with_r(|b| set_card(b, "NMGY", "NMGY    = -1.0")), Reason::BadUnits, R, "NMGY");
    let integers = |b: &mut Vec<u8>| set_card(b, "BITPIX", "BITPIX  = 32");
    refused(with_r(integers), Reason::BadUnits, R, "BITPIX 32");
    for fine in ["BUNIT   = 'Nanomaggies'", "COMMENT no unit"] {
        with_r(|b| set_card(b, "BUNIT", fine)).unwrap();
    }
    let frame = with_r(|b| set_card(b, "NMGY", "COMMENT no calibration")).unwrap();
    assert_eq!(frame.bands[2].nmgy_per_dn, SURVEY.profile().typical.nmgy_per_dn[2]);
}

#[test]
fn coordinates_must_be_usable() {
    for (card, with, says) in [
        ("CTYPE1", "COMMENT", "CTYPE1"),
        ("CTYPE1", "CTYPE1  = 'GLON-TAN'", "GLON"),
        ("CTYPE1", "CTYPE1  = 'RA---XXX'", ""),
        ("CTYPE1", "CTYPE1  = 'RA--'", ""),
        ("CRVAL1", "COMMENT", "CRVAL1"),
        ("CRPIX2", "CRPIX2  = 'here'", "CRPIX2"),
        ("CD1_1", "CD1_1   = NaN", "CD1_1"),
        ("CUNIT1", "CUNIT1  = 'arcsec'", "longer than wide"),
        ("RADESYS", "RADESYS = 'GAPPT'", "HDU 0: RADESYS = \"GAPPT\""),
        ("CUNIT2", "CPDIS1  = 'LOOKUP'", "CPDIS1"),
    ] {
        refused(with_r(|b| set_card(b, card, with)), Reason::BadWcs, R, says);
    }
    let singular = with_r(|b| ["CD1_1", "CD1_2"].iter().for_each(|c| set_card(b, c, &format!("{c:8}= 0.0"))));
    refused(singular, Reason::BadWcs, R, "singular");
    let none = with_r(|b| ["CD1_1", "CD1_2", "CD2_1", "CD2_2"].iter().for_each(|c| set_card(b, c, "COMMENT")));
    refused(none, Reason::BadWcs, R, "neither CD nor CDELT");
}

#[test]
fn any_path_is_only_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a [1][#row<5] b\n'!mem:");
    std::fs::create_dir(&odd).unwrap();
    let paths: PerBand<PathBuf> = std::array::from_fn(|b| odd.join(&FILES[b].name));
    for (path, file) in paths.iter().zip(FILES.iter()) {
        std::fs::write(path, &file.bytes).unwrap();
    }
    let load = || load(&SURVEY, &image(), &plain(paths.clone()), &Limits::default());
    assert_eq!(load().unwrap().input_hash, read(FILES.clone()).unwrap().input_hash);

    let name = paths[3].display().to_string();
    std::fs::remove_file(&paths[3]).unwrap();
    refused(load(), Reason::MissingBand, &name, "band i is missing");
    std::fs::create_dir(&paths[3]).unwrap();
    refused(load(), Reason::Unreadable, &name, "not a regular file");
    let limits = Limits { max_file_bytes: 5000, ..Limits::default() };
    refused(
        super::load(&SURVEY, &image(), &plain(paths.clone()), &limits),
        Reason::TooLarge,
        &paths[0].display().to_string(),
        "5000",
    );
}

#[test]
fn any_number_of_threads_gives_the_same_frame() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| read(FILES.clone())).unwrap()
    };
    let (one, four) = (on(1), on(4));
    assert_eq!(one.input_hash, four.input_hash);
    for (a, b) in one.bands.iter().zip(&four.bands) {
        assert_eq!(a.pixels.map(f32::to_bits), b.pixels.map(f32::to_bits));
    }
}

/// A file to damage: plain, packed, or compressed by tiles (seeded noise, written once by astropy 8 as
/// `CompImageHDU(noise, header, compression_type="RICE_1", quantize_method=1, dither_seed=7)`).
fn victim(kind: usize) -> Vec<u8> {
    let plain = &FILES[2].bytes;
    match kind {
        0 => plain.clone(),
        1 => pack(".bz2", plain.clone()).unwrap(),
        2 => pack(".gz", plain.clone()).unwrap(),
        _ => include_bytes!("../../../tests/data/frame-r-rice.fits.fz").to_vec(),
    }
}

#[test]
fn the_undamaged_victims_are_fine() {
    for kind in 0..4 {
        with_r(|b| *b = victim(kind)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn no_bytes_are_worse_than_refused(
        kind in 0usize..4,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        in_header in any::<bool>(),
    ) {
        let mut bytes = victim(kind);
        for (at, byte) in changes {
            // Half of the cases spoil headers, where most of the meaning is.
            let among = if in_header { bytes.len().min(5760) } else { bytes.len() };
            bytes[at.index(among)] = byte;
        }
        if let Some(cut) = cut {
            let length = cut.index(bytes.len());
            bytes.truncate(length);
        }
        if let Err(rejection) = with_r(|b| *b = bytes) {
            prop_assert!(rejection.file.is_some() && !rejection.message.is_empty());
        }
    }

    #[test]
    fn no_header_value_is_worse_than_refused(
        kind in prop::sample::select(vec![0usize, 3]),
        card in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![
            "0", "-1", "1", "2", "3", "999", "1000", "4294967296", "9223372036854775807", "-9223372036854775808",
            "1E300", "1E-320", "NaN", "inf", "T", "'RICE_1'", "'GZIP_2'", "'1QB(9)'", "'0E'", "'99999999999E'", "''", "",
        ]),
    ) {
        let mut bytes = victim(kind);
        let cards: Vec<usize> = (0..bytes.len() / 80).map(|i| i * 80).filter(|&i| &bytes[i + 8..i + 10] == b"= ").collect();
        let at = cards[card.index(cards.len())];
        bytes[at + 10..at + 80].copy_from_slice(format!("{value:70}").as_bytes());
        if let Err(rejection) = with_r(|b| *b = bytes) {
            prop_assert!(rejection.file.is_some() && !rejection.message.is_empty());
        }
    }
}
