use super::*;
use crate::psf::scene::{self, Scene, sdss, simulate};

fn measured(scene: &Scene) -> Vec<Measured> {
    measured_with(scene, 0.0)
}

fn measured_with(scene: &Scene, astrometric_error_deg: f64) -> Vec<Measured> {
    let survey = sdss();
    let splines = crate::psf::Splines::new(&scene.prepared.frame);
    let shapes = footprint_shapes(&scene.prepared, &survey, &scene.footprints);
    let (psf, _) = crate::psf::measure(&scene.prepared, &survey, &splines, &shapes, &[1.4; 5]);
    let view = FrameView {
        prepared: &scene.prepared,
        survey: &survey,
        splines: &splines,
        psf: &psf,
        profiles: &crate::cutout::Profiles::new(&psf),
        segmentation: &scene.footprints.segmentation,
        scene: None,
        astrometric_error_deg,
    };
    measure(&view, &scene.footprints, &scene.detection, &shapes)
}

fn stars(n: usize, flux: f64) -> Vec<scene::Source> {
    let place = |i: usize| (40.0 + 43.17 * (i % 10) as f64, 40.0 + 41.39 * (i / 10) as f64);
    (0..n).map(place).map(|(x, y)| scene::Source { x, y, sigma: 1.6, flux }).collect()
}

/// Share of a Gaussian within 1.5 arcsec. Its pixels are samples, and an aperture spreads each over its area, which
/// adds 1/12 px^2 to the variance.
fn within(sigma: f64) -> f64 {
    1.0 - (-(1.5f64 / 0.396).powi(2) / (2.0 * (sigma * sigma + 1.0 / 12.0))).exp()
}

#[test]
fn stars_are_measured_as_they_were_made() {
    let sources = stars(60, 100.0);
    let scene = simulate(512, 512, &sources, 1);
    for (m, s) in measured(&scene).iter().zip(&sources) {
        let row = &m.row;
        assert!((row.x - s.x).hypot(row.y - s.y) < 0.02, "{} {} {} {}", row.x, row.y, s.x, s.y);
        assert!((m.centre.0 - s.x).hypot(m.centre.1 - s.y) < 0.02);
        let within = within(1.6);
        for b in 0..BANDS {
            assert!((f64::from(row.psf_flux[b]) / 100.0 - 1.0).abs() < 0.02, "{:?}", row.psf_flux);
            assert!((f64::from(row.kron_flux[b]) / 100.0 - 1.0).abs() < 0.05, "{:?}", row.kron_flux);
            assert!((f64::from(row.ap_flux[b]) / (100.0 * within) - 1.0).abs() < 0.01, "{:?}", row.ap_flux);
        }
        assert!((f64::from(row.a) / 1.5 - 1.0).abs() < 0.1 && row.b <= row.a && (row.concentration - 1.0).abs() < 0.1);
        assert!(row.flags == 0 && m.input.is_some() && (m.input.as_ref().unwrap().measured.mag - 17.5).abs() < 0.03);
        let scale = 1.1e-4 * f64::from(row.x_err);
        assert!((f64::from(row.ra_err) / scale - 1.0).abs() < 0.01, "{} {scale}", row.ra_err);
    }
}

/// 25 mas beside the centroid's own error, on the sky and nowhere else.
#[test]
fn the_coordinates_own_error_is_in_ra_and_dec_alone() {
    let scene = simulate(512, 512, &stars(60, 100.0), 1);
    let error_deg = 0.025 / 3600.0;
    for (with, without) in measured_with(&scene, error_deg).iter().zip(measured(&scene)) {
        let (with, without) = (&with.row, &without.row);
        assert_eq!((with.x_err, with.y_err), (without.x_err, without.y_err));
        for (with, without) in [(with.ra_err, without.ra_err), (with.dec_err, without.dec_err)] {
            let expected = f64::from(without).hypot(error_deg);
            assert!((f64::from(with) / expected - 1.0).abs() < 1e-5, "{with} {expected}");
        }
    }
}

/// The scene as if these bands had not been taken.
fn without(mut scene: Scene, bands: &[usize]) -> Scene {
    let prepared = &mut scene.prepared;
    for &b in bands {
        prepared.frame.present[b] = false;
        prepared.frame.bands[b].mask.pixels_mut().fill(mask::NO_DATA);
        prepared.frame.bands[b].pixels.pixels_mut().fill(0.0);
        prepared.registered[b].pixels_mut().fill(0.0);
        prepared.sky[b] = crate::preprocess::Sky::ABSENT;
    }
    scene
}

#[test]
fn a_band_that_was_not_taken_is_null_and_flagged_and_takes_nothing_from_the_others() {
    let sources = stars(60, 100.0);
    let complete = measured(&simulate(512, 512, &sources, 1));
    for missing in [&[3][..], &[0], &[1, 3], &[0, 1, 3, 4]] {
        let found = measured(&without(simulate(512, 512, &sources, 1), missing));
        for (m, c) in found.iter().zip(&complete) {
            let (row, input) = (&m.row, m.input.as_ref().expect("what is left is enough for a class"));
            assert_eq!(row.flags, flag::MISSING_BAND, "and nothing else, such as a PSF that had to be made up");
            for b in 0..BANDS {
                let of_band = [row.psf_flux[b], row.psf_flux_err[b], row.kron_flux[b], row.kron_flux_err[b]];
                let rest = [row.ap_flux[b], row.ap_flux_err[b], row.psf_mag[b]];
                let absent = missing.contains(&b);
                assert!(of_band.iter().chain(&rest).all(|v| v.is_nan() == absent), "{b}: {row:?}");
            }
            // Fluxes are forced where fewer bands say that the object is: that moves them by far less than their errors.
            assert!((row.psf_flux[2] / c.row.psf_flux[2] - 1.0).abs() < 2e-3);
            assert!(row.kron_flux[2] == c.row.kron_flux[2] && (row.x, row.y) == (c.row.x, c.row.y));
            // S/N adds in squares, and a missing band adds none: 1, 2 and 3 are the shape bands, all alike here.
            let left = 3.0 - missing.iter().filter(|b| (1..=3).contains(*b)).count() as f32;
            let (sn, of_all) = (input.measured.sn, c.input.as_ref().unwrap().measured.sn);
            assert!((sn / of_all - (left / 3.0).sqrt()).abs() < 0.01, "{sn} {of_all}");
            assert!(input.measured.chi2.iter().all(|v| v.is_finite()) && input.stamp.iter().all(|v| v.is_finite()));
            for (k, colour) in input.measured.colours.iter().enumerate() {
                assert_eq!(colour.is_nan(), missing.contains(&k) || missing.contains(&(k + 1)));
            }
            assert_eq!(input.measured.colour_inputs(), None, "without one of them colour says nothing");
        }
    }
}

/// A stamp's noise is that of any other: weights are of unit norm over the bands that there are.
#[test]
fn stamps_of_fewer_bands_have_the_noise_of_all() {
    let sources = stars(100, 3.0);
    let power = |missing: &[usize]| {
        let found = measured(&without(simulate(512, 512, &sources, 1), missing));
        let stamp = |m: &Measured| {
            let input = m.input.as_ref().unwrap();
            let mean = input.stamp.iter().map(|v| f64::from(v * v)).sum::<f64>() / input.stamp.len() as f64;
            // The floor that keeps bright stars' PSF error down goes by S/N, which fewer bands have less of.
            mean * (1.0 + (f64::from(input.measured.sn) / crate::cutout::SN_FLOOR).powi(2))
        };
        found.iter().map(stamp).sum::<f64>() / found.len() as f64
    };
    let all = power(&[]);
    for missing in [&[3][..], &[1, 3]] {
        assert!((power(missing) / all - 1.0).abs() < 0.1, "{missing:?}: {} for {all}", power(missing));
    }
}

#[test]
fn errors_are_those_of_the_scatter() {
    let sources = stars(100, 3.0);
    let scene = simulate(512, 512, &sources, 1);
    let found = measured(&scene);
    let check = |what: &str, pull: &dyn Fn(&Row, &scene::Source) -> f64| {
        let squares: f64 = found.iter().zip(&sources).map(|(m, s)| pull(&m.row, s).powi(2)).sum();
        let rms = (squares / found.len() as f64).sqrt();
        assert!(rms > 0.75 && rms < 1.3, "{what}: {rms}");
    };
    let within = within(1.6);
    check("x", &|r, s| (r.x - s.x) / f64::from(r.x_err));
    check("y", &|r, s| (r.y - s.y) / f64::from(r.y_err));
    check("aperture", &|r, s| (f64::from(r.ap_flux[2]) - s.flux * within) / f64::from(r.ap_flux_err[2]));
    check("u aperture", &|r, s| (f64::from(r.ap_flux[0]) - s.flux * within) / f64::from(r.ap_flux_err[0]));
}

#[test]
fn negative_flux_stays_and_its_magnitude_is_finite() {
    let scene = simulate(256, 256, &[scene::Source { x: 100.0, y: 100.0, sigma: 1.6, flux: -3.0 }], 1);
    let found = measured(&scene);
    let row = &found[0].row;
    assert!(row.psf_flux.iter().all(|f| *f < -2.5 && *f > -4.5), "{:?}", row.psf_flux);
    assert!(row.psf_mag.iter().all(|m| m.is_finite()) && row.ap_flux[2] < 0.0);
    assert!(found[0].input.is_none() && row.flags & flag::NO_CLASS != 0 && row.flags & flag::PSF_FALLBACK != 0);
}

#[test]
fn a_neighbour_is_cut_out_of_the_apertures() {
    let pair = |flux| {
        let source = |x, flux| scene::Source { x, y: 100.0, sigma: 1.2, flux };
        simulate(256, 256, &[source(100.0, 50.0), source(106.0, flux)], 1)
    };
    let (alone, both) = (measured(&pair(0.0)), measured(&pair(200.0)));
    assert!((both[0].row.ap_flux[2] / alone[0].row.ap_flux[2] - 1.0).abs() < 0.03);
    assert!((both[0].row.kron_flux[2] / alone[0].row.kron_flux[2] - 1.0).abs() < 0.1);
    assert!(both[0].row.flags & flag::NEIGHBOURS != 0);
}

#[test]
fn edges_masks_and_margins_are_flagged() {
    let source = |x, y| scene::Source { x, y, sigma: 1.6, flux: 50.0 };
    let mut scene = simulate(256, 256, &[source(2.0, 100.0), source(100.0, 100.0), source(100.0, 200.0)], 1);
    scene.prepared.bits.set(101, 100, mask::SAT);
    scene.prepared.frame.bands[4].mask = Plane::filled(256, 256, mask::NO_DATA);
    let found = measured(&scene);
    let flags: Vec<u32> = found.iter().map(|m| m.row.flags & !flag::PSF_FALLBACK).collect();
    assert_eq!(flags[0], flag::TRUNCATED | flag::NO_CLASS | flag::MISSING_BAND);
    assert_eq!(flags[1], flag::SATURATED | flag::MISSING_BAND);
    assert!(found[1].row.psf_flux[4].is_nan() && found[1].row.psf_mag[4].is_nan() && found[1].row.ap_flux[4].is_nan());
    assert!(found[1].input.is_some() && found[0].input.is_none());
    assert_eq!(found.iter().map(|m| m.row.primary).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn one_huge_or_impossible_footprint_harms_nothing() {
    let mut scene = simulate(512, 512, &stars(12, 100.0), 1);
    let n = scene.footprints.objects.len() as u32;
    for y in 300..512 {
        scene.footprints.segmentation.row_mut(y).fill(n + 1);
    }
    scene.footprints.segmentation.set(3, 3, 999);
    let made = |number, x, y| crate::extract::Footprint { number, x, y, ..scene.footprints.objects[0].clone() };
    let odd = [made(n + 1, 256.0, 406.0), made(n + 2, f64::NAN, 1e300), made(n + 3, -50.0, 9e9)];
    scene.footprints.objects.extend(odd);
    let found = measured(&scene);
    assert_eq!(found.len(), 15);
    assert!(found[12].row.kron_radius <= 100.0 && found[13].input.is_none() && found[14].input.is_none());
    assert!(found[..12].iter().all(|m| m.input.is_some()));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let scene = simulate(512, 512, &stars(80, 30.0), 1);
    let on =
        |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| measured(&scene));
    assert!(on(1) == on(3));
}

#[test]
fn asinh_magnitudes_match_sdss() {
    // science.md: zero flux is 24.63 25.11 24.80 24.36 22.83.
    let survey = sdss();
    let b = survey.profile().asinh_softening_maggies;
    for (b, zero) in b.into_iter().zip([24.63, 25.11, 24.80, 24.36, 22.83]) {
        assert!((asinh_magnitude(0.0, b) - zero).abs() < 6e-3);
        assert!(asinh_magnitude(-1.0, b) > zero && asinh_magnitude(f64::NAN, b).is_nan());
    }
}

/// sep 1.4.1 on the real field, by `tests/reference/field.py`.
#[test]
fn agrees_with_sep_on_the_real_field() {
    let Some(real) = scene::real() else { return };
    let found = measured(&real.scene);
    assert!(found.len() > 500);
    let (mut farthest_px, mut worst_flux, mut worst_radius, mut bright, mut replaced) = (0f64, 0f64, 0f64, 0, 0);
    for (m, sep) in found.iter().zip(&real.sep) {
        let [_, _, _, x, y, aperture, half] = *sep;
        let row = &m.row;
        farthest_px = farthest_px.max((row.x - x).hypot(row.y - y));
        if row.ap_flux[2] > 20.0 * row.ap_flux_err[2] {
            bright += 1;
            worst_radius = worst_radius.max((f64::from(row.half_light_radius) / half - 1.0).abs());
            // Where a neighbour's pixels were replaced, sep's plain sum is not the same quantity.
            if has_foreign_pixels(&real.scene, m) {
                replaced += 1;
            } else {
                worst_flux = worst_flux.max((f64::from(row.ap_flux[2]) / aperture - 1.0).abs());
            }
        }
    }
    eprintln!(
        "{} positions within {farthest_px:.4} px; of {bright} at S/N > 20, {replaced} with a neighbour in the aperture, \
         else fluxes within {worst_flux:.1e}; radii within {worst_radius:.1e}",
        found.len()
    );
    assert!(farthest_px < 0.1 && worst_flux < 0.01 && worst_radius < 0.01 && replaced * 5 < bright);
}

fn has_foreign_pixels(scene: &Scene, m: &Measured) -> bool {
    let (x, y) = (m.row.x.round() as isize, m.row.y.round() as isize);
    let square = (-5..=5).flat_map(|dy| (-5..=5).map(move |dx| (dx, dy)));
    let mut owners = square.filter_map(|(dx, dy)| scene.footprints.segmentation.get(x + dx, y + dy));
    owners.any(|owner| owner != 0 && owner != m.row.number)
}

/// The reference's objects (757 of the development field): positions, fluxes, S/N.
#[test]
fn agrees_with_the_reference_on_the_real_field() {
    let (Some(real), Some(table)) = (scene::real(), scene::reference("dev_objects.csv")) else { return };
    let found = measured(&real.scene);
    let table = std::fs::read_to_string(table).unwrap();
    let (mut position, mut flux, mut concentration) = (vec![], vec![], vec![]);
    for line in table.lines().skip(1) {
        let v: Vec<f64> = line.split(',').map(|c| c.parse().unwrap()).collect();
        let near = |m: &&Measured| (m.centre.0 - v[0]).hypot(m.centre.1 - v[1]);
        let m = found.iter().min_by(|a, b| near(a).total_cmp(&near(b))).unwrap();
        position.push(near(&m));
        for b in 0..BANDS {
            flux.push((f64::from(m.row.psf_flux[b]) - v[4 + b]).abs() / v[9 + b]);
        }
        concentration.push((f64::from(m.row.concentration) - v[15]).abs());
    }
    let upper = |v: &mut Vec<f64>| {
        v.sort_by(f64::total_cmp);
        v[v.len() * 95 / 100]
    };
    let (p, f, c) = (upper(&mut position), upper(&mut flux), upper(&mut concentration));
    eprintln!("95 % of {} objects within {p} px, {f} flux errors, {c} of concentration", position.len());
    assert!(p < 0.01 && f < 0.05 && c < 0.01, "{p} {f} {c}");
}
