//! Laws on small made-up frames, and numbers of sep and the Python reference on real ones.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::frame::{FieldIds, ImageId};
use crate::wcs::Wcs;

mod grids;
mod refusals;

const SCALE_DEG: f64 = 0.396 / 3600.0;

/// Noise of 1 DN = .01 nMgy about a sky of 3 DN, in whole DN, all bands on one grid.
fn noise(width: usize, height: usize, seed: u64) -> Frame {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let cd = [[SCALE_DEG, 0.0], [0.0, SCALE_DEG]];
    let wcs = Wcs::tangent((width, height), (150.0, 2.0), (width as f64 / 2.0, height as f64 / 2.0), cd).unwrap();
    let bands = std::array::from_fn(|_| Band {
        pixels: Plane::from_pixels(
            width,
            height,
            (0..width * height)
                .map(|_| {
                    let n: f64 = StandardNormal.sample(&mut rng);
                    (0.01 * (3.0 * n + 3.0).round()) as f32
                })
                .collect(),
        ),
        mask: Plane::filled(width, height, 0),
        wcs: wcs.clone(),
        nmgy_per_dn: 0.01,
        gain_e_per_dn: 4.0,
        dark_variance_dn2: 1.0,
        saturation_nmgy: 300.0,
        removed_sky_nmgy: None,
        variance: None,
    });
    Frame {
        id: ImageId::new("made-up").unwrap(),
        ids: FieldIds::default(),
        midpoint_mjd_tai: None,
        exposure_s: None,
        bands,
        input_hash: String::new(),
        present: [true; BANDS],
        files: Default::default(),
    }
}

fn prepared(frame: Frame) -> Result<Prepared, PreprocessError> {
    prepare(frame, &real::sdss(), &Settings::default())
}

/// A Gaussian star.
fn add_star(plane: &mut Plane<f32>, (x0, y0): (f64, f64), peak: f64, fwhm_px: f64) {
    let k = -4.0 * std::f64::consts::LN_2 / (fwhm_px * fwhm_px);
    for y in 0..plane.height() {
        for x in 0..plane.width() {
            let r2 = (x as f64 - x0).powi(2) + (y as f64 - y0).powi(2);
            let v = plane.at(x, y) + (peak * (k * r2).exp()) as f32;
            plane.set(x, y, v);
        }
    }
}

#[test]
fn the_smallest_frame_has_a_sky() {
    let p = prepared(noise(64, 64, 1)).unwrap();
    for sky in p.sky {
        assert!((sky.level_nmgy - 0.03).abs() < 0.006 && (sky.sigma_nmgy / 0.0302 - 1.0).abs() < 0.12, "{sky:?}");
    }
    assert!(matches!(prepared(noise(63, 80, 1)), Err(PreprocessError::TooSmall { width: 63, height: 80 })));
}

#[test]
fn the_same_frame_gives_the_same_bits_on_any_number_of_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| prepared(noise(300, 257, 2)).unwrap())
    };
    let (one, three) = (on(1), on(3));
    assert!(one.registered == three.registered && one.bits == three.bits && one.sky == three.sky);
}

#[test]
fn frames_without_signal_are_refused_by_name() {
    let problem = |spoil: &dyn Fn(&mut Plane<f32>)| {
        let mut frame = noise(80, 70, 3);
        spoil(&mut frame.bands[1].pixels);
        match prepared(frame) {
            Err(PreprocessError::NoSignal { band, problem }) if band == "g" => problem,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("prepared"),
        }
    };
    assert_eq!(problem(&|p| p.pixels_mut().fill(f32::NAN)), "no pixel has a value");
    assert_eq!(problem(&|p| p.pixels_mut().fill(0.0)), "no pixel has a value");
    assert_eq!(problem(&|p| p.pixels_mut().fill(7.5)), "all pixels have the same value");
    assert_eq!(
        problem(&|p| {
            p.pixels_mut().fill(0.5);
            p.set(40, 40, 3.0);
        }),
        "too few usable pixels to measure the sky"
    );
    assert_eq!(
        problem(&|p| (0..).zip(p.pixels_mut()).for_each(|(i, p)| *p = 0.5 + 1e-6 * ((i % 80 + i / 80) % 2) as f32)),
        "the sky has no noise"
    );
    assert_eq!(problem(&|p| p.pixels_mut()[..4000].fill(f32::INFINITY)), "too few usable pixels to measure the sky");
}

#[test]
fn defects_get_their_bits() {
    let mut frame = noise(300, 400, 5);
    let pixels = &mut frame.bands[2].pixels;
    for y in 0..400 {
        pixels.set(50, y, 0.0); // a dead column
        pixels.set(120, y, pixels.at(120, y) + 0.05); // and one that is 1.7 sigma high
    }
    pixels.row_mut(200).fill(f32::NAN);
    pixels.set(77, 77, f32::NEG_INFINITY);
    add_star(pixels, (220.0, 100.0), 400.0, 3.0);
    for y in 60..140 {
        pixels.set(220, y, 320.0); // its bleeding, saturated in part
    }
    for y in 140..170 {
        pixels.set(220, y, 20.0);
    }
    let p = prepared(frame).unwrap();
    let bits = &p.frame.bands[2].mask;
    let has = |x, y, bit| bits.at(x, y) & bit != 0;
    assert!(has(50, 10, mask::NO_DATA) && has(10, 200, mask::NO_DATA) && has(77, 77, mask::NO_DATA));
    assert!((0..400).filter(|&y| has(120, y, mask::BAD)).count() > 390);
    for x in [47, 49, 51, 118, 119, 121, 122] {
        assert!((0..400).filter(|&y| has(x, y, mask::BAD)).count() < 4, "column {x}");
    }
    assert!(has(220, 100, mask::SAT) && has(221, 100, mask::SAT) && has(220, 165, mask::SAT));
    assert!(!has(220, 180, mask::SAT) && !has(226, 100, mask::SAT));
    assert!(p.frame.bands[2].pixels.at(50, 10) == 0.0 && p.frame.bands[2].pixels.at(220, 100) > 100.0);
    assert!(has(7, 30, mask::EDGE) && !has(8, 30, mask::EDGE) && has(292, 30, mask::EDGE));
    assert!(p.bits.at(220, 100) & mask::SAT != 0);
}

#[test]
fn cosmic_rays_are_found_and_stars_are_not() {
    let mut frame = noise(400, 400, 6);
    let sigma = 0.03f32;
    let mut stars = Vec::new();
    for i in 0..64 {
        let at = (
            30.0 + 45.0 * (i % 8) as f64 + 0.13 * i as f64 % 1.0,
            30.0 + 45.0 * (i / 8) as f64 + 0.37 * i as f64 % 1.0,
        );
        let peak = f64::from(sigma) * 10f64.powf(0.8 + i as f64 / 30.0);
        frame.bands.iter_mut().for_each(|band| add_star(&mut band.pixels, at, peak, 2.4));
        stars.push(at);
    }
    let pixels = &mut frame.bands[2].pixels;
    let mut rays = Vec::new();
    for i in 0..40usize {
        let (x, y) = (50 + (i % 8) * 45, 52 + (i / 8) * 45);
        for k in 0..1 + i % 5 {
            let (x, y) = (x + k, y + k * (i % 3));
            pixels.set(x, y, pixels.at(x, y) + sigma * (20.0 + 10.0 * i as f32));
            rays.push((x, y));
        }
    }
    let p = prepared(frame).unwrap();
    let bad = |x: usize, y: usize| p.frame.bands[2].mask.at(x, y) & mask::BAD != 0;
    let found = rays.iter().filter(|&&(x, y)| bad(x, y)).count();
    assert!(found * 100 >= rays.len() * 90, "{found} of {}", rays.len());
    for (x, y) in stars {
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)] {
            let (x, y) = (x.round() as isize + dx, y.round() as isize + dy);
            assert!(!bad(x as usize, y as usize), "star at {x} {y}");
        }
    }
}

/// sep 1.4.1 on the very pixels our estimate sees.
const SEP: &str = "
import sys, numpy as np, sep
out, w, h = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = np.fromfile(f'{out}/data', '<f4').reshape(h, w)
bad = np.fromfile(f'{out}/bad', '<f4').reshape(h, w) > 0
sep.Background(data, mask=bad, bw=128, bh=128, fw=3, fh=3).back().astype('<f4').tofile(f'{out}/back')
";

#[test]
fn the_sky_is_within_a_twentieth_of_a_sigma_of_seps() {
    let Some(frame) = real::frame(real::DEV) else { return };
    let out = tempfile::tempdir().unwrap();
    for (b, mut band) in frame.bands.into_iter().enumerate() {
        defects::mark_unmeasured(&mut band, true);
        let (width, height) = (band.pixels.width(), band.pixels.height());
        let dither = Dither::new(&Settings::default(), b, band.nmgy_per_dn);
        let dithered: Vec<f32> = band.pixels.pixels().iter().zip(0..).map(|(p, i)| p + dither.at(i)).collect();
        let bad: Vec<f32> = band.mask.pixels().iter().map(|m| f32::from(m & mask::UNUSABLE)).collect();
        real::save(&out.path().join("data"), &dithered);
        real::save(&out.path().join("bad"), &bad);
        let folder = out.path().to_str().unwrap();
        let Some(_) = real::python(SEP, &[folder, &width.to_string(), &height.to_string()]) else { return };
        let seps = real::load(&out.path().join("back"));

        let ours = Background::measure(&band.pixels, &band.mask, 128, dither).unwrap();
        let mut minus = Plane::filled(width, height, 0.0);
        ours.subtract(&mut minus);
        ours.subtract(&mut band.pixels);
        let sigma = noise::sky_sigma(&band.pixels, &band.mask) as f32;
        let farthest = minus.pixels().iter().zip(&seps).map(|(m, s)| (m + s).abs()).fold(0.0, f32::max);
        println!("band {b}: farthest from sep {:.4} sigma", farthest / sigma);
        assert!(farthest < 0.05 * sigma, "band {b}: {farthest} of {sigma}");
    }
}

#[test]
fn real_fields_agree_with_the_reference() {
    // ../shared/reference/out/fields.csv: sky_sigma_nmgy, shift_x_px, shift_y_px by band; another dither alone
    // moves sigma by .3 %.
    type Line = [(f64, f64, f64); BANDS];
    const FIELDS: [(&str, Line); 2] = [
        (
            "003918-3-0213",
            [
                (0.03856, -2.00498, 3.71795),
                (0.01455, -2.07297, 8.92993),
                (0.02393, 0.0, 0.0),
                (0.03769, -1.295, 3.45324),
                (0.14364, -1.52925, 7.75537),
            ],
        ),
        (
            "004510-4-0030",
            [
                (0.04529, 3.61577, 4.85066),
                (0.01499, 5.55071, 9.24284),
                (0.02284, 0.0, 0.0),
                (0.03589, 1.58713, 2.97638),
                (0.17679, 4.19729, 6.56609),
            ],
        ),
    ];
    for (name, expected) in FIELDS {
        let Some(frame) = real::frame(name) else { return };
        let places = registration::places(&frame, &real::sdss()).unwrap();
        let p = prepared(frame).unwrap();
        for (b, (sigma, x, y)) in expected.into_iter().enumerate() {
            let place = &places[b];
            println!(
                "{name} band {b}: sigma {:.5} for {sigma}, affine residual {:.1e} px",
                p.sky[b].sigma_nmgy, place.residual
            );
            assert!((f64::from(p.sky[b].sigma_nmgy) / sigma - 1.0).abs() < 0.005);
            assert!((place.offset.0 - x).abs() < 1e-3 && (place.offset.1 - y).abs() < 1e-3, "{:?}", place.offset);
            println!("displacement {:.3} px", place.displacement);
            assert!(place.residual < 1e-3 && place.displacement < 0.8 && place.nodes.is_none());
        }
    }
}

#[test]
fn real_stars_are_no_cosmic_rays() {
    let (Some(frame), Some(data)) = (real::frame(real::DEV), real::data()) else { return };
    let p = prepared(frame).unwrap();
    for (b, band) in p.frame.bands.iter().enumerate() {
        let n = |bit| band.mask.pixels().iter().filter(|m| **m & bit != 0).count();
        println!("band {b}: {} BAD, {} SAT, {} NO_DATA", n(mask::BAD), n(mask::SAT), n(mask::NO_DATA));
        assert!(n(mask::BAD) < band.mask.pixels().len() / 5000);
    }
    let text = std::fs::read_to_string(data.join("catalogs/003918-3-0213_stars.csv")).unwrap();
    for line in text.lines() {
        let (x, y) = line.split_once(',').unwrap();
        let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
        for (b, band) in p.frame.bands.iter().enumerate() {
            let (x, y) = p.to_band[b].apply(x, y);
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)] {
                let m = band.mask.get(x.round() as isize + dx, y.round() as isize + dy).unwrap_or(0);
                assert!(m & mask::BAD == 0, "band {b}: star at {x:.1} {y:.1}");
            }
        }
    }
}

/// Two bands are missing, a shape band among them; the others are what they are without them.
#[test]
fn a_band_that_was_not_taken_has_no_say_in_the_others() {
    let whole = prepared(noise(128, 96, 3)).unwrap();
    let mut frame = noise(128, 96, 3);
    for b in [0, 3] {
        frame.bands[b] = Band::absent(&frame.bands[2]);
        frame.present[b] = false;
    }
    let p = prepared(frame).unwrap();
    for b in [1, 2, 4] {
        assert!(p.frame.bands[b].pixels == whole.frame.bands[b].pixels && p.sky[b] == whole.sky[b]);
        // Fewer bands show fewer objects, so the second sky has other pixels: one value for so small a frame, and a
        // small part of what a mean of all its pixels may err by.
        let pairs = || p.registered[b].pixels().iter().zip(whole.registered[b].pixels());
        assert!(pairs().all(|(p, whole)| (*p == 0.0) == (*whole == 0.0)));
        let steps = || pairs().filter(|(p, _)| **p != 0.0).map(|(p, whole)| p - whole);
        let (least, most) = steps().fold((f32::MAX, f32::MIN), |(least, most), s| (least.min(s), most.max(s)));
        assert!(most - least < 1e-5 && most.abs() < 0.01, "{b}: {least}..{most}");
    }
    for b in [0, 3] {
        assert!(p.registered[b].pixels().iter().all(|v| *v == 0.0) && p.sky[b].sigma_nmgy == f32::INFINITY);
        assert!(p.frame.bands[b].mask.pixels().iter().all(|m| m & mask::NO_DATA != 0));
    }
    assert!(p.bits == whole.bits, "the field has no hole where a band is missing");
    assert_eq!(p.shape_bands(&real::sdss()), [1, 2]);
    let weights = crate::detections::detection_weights(&p, &real::sdss());
    assert!(weights[0] == 0.0 && weights[3] == 0.0 && (weights.iter().map(|w| w * w).sum::<f32>() - 1.0).abs() < 1e-6);
}
