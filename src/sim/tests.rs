//! Laws of the simulated sky, measured on its pixels.

mod brute;
mod extras;
mod surveys;

use super::*;

fn sdss() -> Survey {
    Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap()
}

/// A field with nothing wrong and nothing in it.
fn empty(width: usize, height: usize) -> Spec {
    Spec { width, height, sources: Some(0), artefacts: Artefacts::NONE, ..Spec::default() }
}

fn mean_and_sigma(pixels: &[f32]) -> (f64, f64) {
    let n = pixels.len() as f64;
    let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / n;
    let variance = pixels.iter().map(|&p| (f64::from(p) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

#[test]
fn sky_noise_is_that_of_photons_and_read_out() {
    let survey = sdss();
    for seed in 0..3 {
        let made = simulate(&Spec { seed, ..empty(512, 512) }, &survey).unwrap();
        for (b, band) in made.frame.bands.iter().enumerate() {
            let sky_dn = band.removed_sky_nmgy.unwrap() / band.nmgy_per_dn;
            let expected = band.nmgy_per_dn * (sky_dn / band.gain_e_per_dn + band.dark_variance_dn2).sqrt();
            let (mean, sigma) = mean_and_sigma(band.pixels.pixels());
            assert!((sigma / expected - 1.0).abs() < 0.03, "{} {sigma} {expected}", survey.band(b));
            assert!(mean.abs() < 0.01 * sigma, "{} {mean} {sigma}", survey.band(b));
            let usual = survey.profile().typical.sky_sigma_nmgy[b];
            assert!((0.6..1.6).contains(&(sigma / usual)), "{}: {sigma}, usually {usual}", survey.band(b));
        }
    }
}

#[test]
fn pixels_come_in_whole_counts() {
    let made = simulate(&Spec { sources: Some(30), significant_bits: 24, ..empty(128, 128) }, &sdss()).unwrap();
    for band in &made.frame.bands {
        // The sky taken off is not whole, and changes by far less than a count from pixel to pixel.
        let row = band.pixels.row(64);
        for pair in row.windows(2) {
            let step = f64::from(pair[1] - pair[0]) / band.nmgy_per_dn;
            assert!((step - step.round()).abs() < 0.05, "{step}");
        }
    }
}

#[test]
fn every_band_keeps_the_light_of_its_objects() {
    let survey = sdss();
    let mut checked = [0; 5];
    for seed in 0..80 {
        let spec = Spec { seed, sources: Some(1), counts: Counts::Flat, ..empty(256, 256) };
        let made = simulate(&spec, &survey).unwrap();
        let object = &made.truth.objects[0];
        for (b, band) in made.frame.bands.iter().enumerate() {
            let (x, y) = band.wcs.sky_to_pixel(object.ra_deg, object.dec_deg).unwrap();
            let flux = 10f64.powf(0.4 * (22.5 - object.mag[b]));
            let (_, noise) = mean_and_sigma(band.pixels.row(0));
            let radius = 45.0;
            let scatter = radius * f64::sqrt(3.2) * noise;
            let wings = if object.profile == Profile::DeVaucouleurs { 12.0 } else { 5.0 };
            let fits = wings * object.r_e_arcsec / 0.396 < radius;
            let fits = fits && [x, y].iter().all(|c| (radius..255.0 - radius).contains(c));
            // Bright enough to tell 1 %, too faint to fill the well.
            if !fits || scatter > 0.01 * flux || band.pixels.pixels().iter().any(|&p| p > 150.0) {
                continue;
            }
            let found = aperture(&band.pixels, (x, y), radius);
            assert!((found / flux - 1.0).abs() < 0.01 + 3.0 * scatter / flux, "{seed} {b}: {found}, {flux} {object:?}");
            checked[b] += 1;
        }
    }
    assert!(checked[1..4].iter().all(|&n| n > 1), "{checked:?}");
}

/// A field of one object at the centre without noise of note.
fn one(profile: Profile, r_e_arcsec: f64) -> (Conditions, Plane<f32>, f64) {
    let (spec, survey) = (empty(401, 401), sdss());
    let conditions = Conditions::draw(&spec, &survey).unwrap();
    let object = SimulatedObject { profile, r_e_arcsec, axis_ratio: 0.6, theta_deg: 30.0, ..SimulatedObject::POINT };
    let object = if profile == Profile::Point { SimulatedObject::POINT } else { object };
    let flux = 1000.0;
    let blobs = conditions.bands[2].image_of(&object, flux, (200.3, 199.6), 0.396);
    (conditions, render::planes(&[blobs], 401, 401), flux)
}

fn aperture(plane: &Plane<f32>, (cx, cy): (f64, f64), radius: f64) -> f64 {
    let mut sum = 0.0;
    for y in 0..plane.height() {
        for x in 0..plane.width() {
            if (x as f64 - cx).hypot(y as f64 - cy) < radius {
                sum += f64::from(plane.at(x, y));
            }
        }
    }
    sum
}

#[test]
fn a_big_aperture_holds_all_the_light() {
    for (profile, r_e) in [(Profile::Point, 0.0), (Profile::Exponential, 1.5), (Profile::DeVaucouleurs, 1.5)] {
        let (_, plane, flux) = one(profile, r_e);
        let found = aperture(&plane, (200.3, 199.6), 150.0);
        assert!((found / flux - 1.0).abs() < 0.01, "{profile:?}: {found}");
    }
}

#[test]
fn half_the_light_lies_within_the_half_light_ellipse() {
    // Large enough (25 px) for the PSF to matter little.
    for profile in [Profile::Exponential, Profile::DeVaucouleurs] {
        let (_, plane, _) = one(profile, 10.0);
        let (s, c) = 30f64.to_radians().sin_cos();
        let (mut inside, mut total) = (0.0, 0.0);
        for y in 0..401 {
            for x in 0..401 {
                let (dx, dy) = (x as f64 - 200.3, y as f64 - 199.6);
                let radius = (dx * c + dy * s).hypot((dy * c - dx * s) / 0.6) * 0.396;
                total += f64::from(plane.at(x, y));
                inside += if radius < 10.0 { f64::from(plane.at(x, y)) } else { 0.0 };
            }
        }
        assert!((inside / total - 0.5).abs() < 0.02, "{profile:?}: {}", inside / total);
    }
}

#[test]
fn a_stars_width_is_the_seeing() {
    // Seeing so bad that a pixel and the interpolation below widen it by no more than 1 %.
    let mut spec = empty(401, 401);
    spec.seeing.median_fwhm_arcsec = 6.0;
    let conditions = Conditions::draw(&spec, &sdss()).unwrap();
    for band in &conditions.bands {
        let plane = render::planes(&[band.image_of(&SimulatedObject::POINT, 1000.0, (200.3, 199.6), 0.396)], 401, 401);
        let value = |x: f64, y: f64| {
            let (i, j, fx, fy) = (x as usize, y as usize, x.fract(), y.fract());
            let row = |j| f64::from(plane.at(i, j)) * (1.0 - fx) + f64::from(plane.at(i + 1, j)) * fx;
            row(j) * (1.0 - fy) + row(j + 1) * fy
        };
        let peak = value(200.3, 199.6);
        // The area above half of the peak is that of the ellipse of full width at half maximum.
        let offsets = || (-400..400).map(|k| 0.1 * f64::from(k));
        let half = |dx, dy| value(200.3 + dx, 199.6 + dy) > 0.5 * peak;
        let above: usize = offsets().map(|dy| offsets().filter(|&dx| half(dx, dy)).count()).sum();
        let fwhm = 2.0 * (above as f64 * 0.01 / std::f64::consts::PI).sqrt();
        let expected = band.psf.fwhm_at(200.3, 199.6);
        assert!((fwhm / expected - 1.0).abs() < 0.02, "{fwhm}, seeing {expected}");
    }
}

#[test]
fn images_agree_with_numerical_convolution() {
    for (profile, r_e) in [(Profile::Point, 0.0), (Profile::Exponential, 0.8), (Profile::DeVaucouleurs, 1.2)] {
        let (conditions, plane, flux) = one(profile, r_e);
        let expected = brute::image(&conditions.bands[2].psf, profile, r_e / 0.396, flux);
        let peak = expected.iter().map(|e| e.2).fold(0.0, f64::max);
        for (x, y, e) in expected {
            let found = f64::from(plane.at(x, y));
            assert!((found - e).abs() < 0.01 * peak, "{profile:?} ({x}, {y}): {found}, expected {e}, peak {peak}");
        }
    }
}

#[test]
fn counts_are_poisson_about_the_skys() {
    let survey = sdss();
    let wcs = Conditions::draw(&Spec::default(), &survey).unwrap().bands[2].wcs.clone();
    let (mut galaxies, mut points, mut qsos, mut blends, mut all) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for field in 1..=20 {
        for o in population::draw(&Spec { field, ..Spec::default() }, &survey, &wcs).into_iter().map(|s| s.object) {
            if o.id == IGNORED {
                continue;
            }
            all += 1.0;
            blends += f64::from(o.blended);
            qsos += f64::from(o.class == Class::Qso);
            let bright = f64::from(o.mag[2] < 22.0);
            *if o.class.is_point() { &mut points } else { &mut galaxies } += bright;
        }
    }
    for (what, n, expected) in [("galaxies", galaxies, 297.0 * 20.0), ("points", points, 240.0 * 20.0)] {
        let n: f64 = n;
        assert!((n - expected).abs() < 4.0 * f64::sqrt(expected) + 0.02 * expected, "{what}: {n} of {expected}");
    }
    assert!(qsos > 0.0 && (0.05..0.25).contains(&(blends / all)), "{qsos} qsos, {blends} blends of {all}");
}

#[test]
fn exactly_as_many_sources_as_asked() {
    let spec = Spec { width: 300, height: 200, sources: Some(777), ..Spec::default() };
    let made = simulate(&spec, &sdss()).unwrap();
    assert_eq!(made.truth.objects.len(), 777);
    for (k, o) in made.truth.objects.iter().enumerate() {
        assert_eq!(o.id as usize, k + 1);
        assert!((-0.5..299.5).contains(&o.x) && (-0.5..199.5).contains(&o.y));
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let spec = Spec { width: 200, height: 150, density: 5.0, ..Spec::default() };
    let made = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| simulate(&spec, &sdss()).unwrap())
    };
    let (one, four) = (made(1), made(4));
    for (a, b) in one.frame.bands.iter().zip(&four.frame.bands) {
        assert!(a.pixels.pixels().iter().map(|p| p.to_bits()).eq(b.pixels.pixels().iter().map(|p| p.to_bits())));
    }
    assert_eq!(one.truth.segmentation, four.truth.segmentation);
    assert_eq!(one.truth.to_csv(&sdss(), &one.frame.id), four.truth.to_csv(&sdss(), &four.frame.id));
}

#[test]
fn seeds_and_fields_share_nothing() {
    let survey = sdss();
    let made = [(1, 1), (1, 2), (2, 1)].map(|(seed, field)| {
        simulate(&Spec { seed, field, width: 64, height: 64, ..Spec::default() }, &survey).unwrap()
    });
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let (a, b) = (&made[a], &made[b]);
        assert_ne!(a.frame.id, b.frame.id);
        assert_ne!(a.truth.psf[2].fwhm_px, b.truth.psf[2].fwhm_px);
        // Uncorrelated noise.
        let (p, q) = (a.frame.bands[0].pixels.pixels(), b.frame.bands[0].pixels.pixels());
        let ((_, s), (_, t)) = (mean_and_sigma(p), mean_and_sigma(q));
        let product: f64 = p.iter().zip(q).map(|(x, y)| f64::from(x * y)).sum::<f64>() / p.len() as f64;
        assert!(product.abs() < 0.3 * s * t, "{product} {s} {t}");
    }
    assert_eq!(made[0].frame.id.as_str(), "009001-3-0001");
}

#[test]
fn bands_are_offset_as_their_coordinates_say() {
    let spec = Spec { sources: Some(25), counts: Counts::Flat, ..empty(512, 512) };
    let made = simulate(&spec, &sdss()).unwrap();
    let mut offsets = 0.0;
    for (b, band) in made.frame.bands.iter().enumerate() {
        let bright = |o: &&SimulatedObject| {
            let margin = (40.0..470.0).contains(&o.x) && (40.0..470.0).contains(&o.y);
            let near = |p: &SimulatedObject| (p.x - o.x).hypot(p.y - o.y) < 30.0;
            margin
                && o.mag[b] < 20.0
                && o.class != Class::Galaxy
                && made.truth.objects.iter().filter(|p| near(p)).count() == 1
        };
        let mut seen = 0;
        for o in made.truth.objects.iter().filter(bright) {
            let (x, y) = band.wcs.sky_to_pixel(o.ra_deg, o.dec_deg).unwrap();
            let (found_x, found_y) = centroid(&band.pixels, x, y);
            assert!((found_x - x).abs() < 0.2 && (found_y - y).abs() < 0.2, "{b}: ({found_x}, {found_y}), ({x}, {y})");
            offsets += (y - o.y).abs();
            seen += 1;
        }
        assert!(seen > 0, "band {b} has no star to tell by");
    }
    assert!(offsets > 1.0, "the bands should be offset: {offsets}");
}

/// Centroid within 4 px of the pixel nearest (x, y).
fn centroid(plane: &Plane<f32>, x: f64, y: f64) -> (f64, f64) {
    let (x, y) = (x.round() as isize, y.round() as isize);
    let (mut sum, mut sx, mut sy) = (0.0, 0.0, 0.0);
    for dy in -4..=4 {
        for dx in -4..=4 {
            let v = f64::from(plane.get(x + dx, y + dy).unwrap());
            (sum, sx, sy) = (sum + v, sx + v * dx as f64, sy + v * dy as f64);
        }
    }
    (x as f64 + sx / sum, y as f64 + sy / sum)
}

#[test]
fn the_truth_plane_marks_what_stands_out() {
    let spec = Spec { width: 512, height: 512, artefacts: Artefacts::NONE, ..Spec::default() };
    let made = simulate(&spec, &sdss()).unwrap();
    let plane = &made.truth.segmentation;
    let bright = |o: &&SimulatedObject| {
        let inside = (5.0..506.0).contains(&o.x) && (5.0..506.0).contains(&o.y);
        inside && !o.blended && o.mag[1] < 21.0 && o.mag[2] < 20.5
    };
    let mut seen = 0;
    for o in made.truth.objects.iter().filter(bright) {
        assert_eq!(plane.at(o.x.round() as usize, o.y.round() as usize), o.id, "{o:?}");
        seen += 1;
    }
    assert!(seen > 3, "{seen}");
    let share =
        |f: &dyn Fn(u32) -> bool| plane.pixels().iter().filter(|&&p| f(p)).count() as f64 / plane.pixels().len() as f64;
    assert!(share(&|p| p == 0) > 0.8, "sky {}", share(&|p| p == 0));
    assert!((0.001..0.1).contains(&share(&|p| p != 0 && p != IGNORED)));
    let count = made.truth.objects.len() as u32;
    assert!(plane.pixels().iter().all(|&p| p == IGNORED || p <= count));
    // Pixels of objects are brighter than the sky's on the frame itself.
    let r = made.frame.bands[2].pixels.pixels();
    let mean = |own: bool| {
        let chosen: Vec<f32> =
            r.iter().zip(plane.pixels()).filter(|(_, p)| **p != IGNORED && (**p != 0) == own).map(|x| *x.0).collect();
        mean_and_sigma(&chosen).0
    };
    assert!(mean(true) > 10.0 * mean(false).abs());
}

#[test]
fn artefacts_show() {
    let spec = Spec { artefacts: Artefacts::default(), ..empty(1024, 745) };
    let made = simulate(&spec, &sdss()).unwrap();
    for band in &made.frame.bands {
        let (_, sigma) = mean_and_sigma(band.pixels.row(3));
        let hot = band.pixels.pixels().iter().filter(|p| f64::from(**p) > 8.0 * sigma).count();
        assert!((20..4000).contains(&hot), "{hot}");
    }
}

#[test]
fn other_pixel_scales_and_profiles_work() {
    let text = include_str!("../../config/surveys/sdss.toml")
        .replace("pixel_scale_arcsec = 0.396", "pixel_scale_arcsec = 1.0")
        .replace("name = \"sdss\"", "name = \"coarse\"");
    let survey = Survey::parse(&text).unwrap();
    let made = simulate(&empty(128, 128), &survey).unwrap();
    let centre = |x, y| made.frame.bands[2].wcs.pixel_to_sky(x, y).unwrap();
    let ((_, d0), (_, d1), (_, d2)) = (centre(64.0, 64.0), centre(65.0, 64.0), centre(64.0, 65.0));
    let degrees = (d1 - d0).hypot(d2 - d0);
    assert!((degrees * 3600.0 - 1.0).abs() < 1e-3, "{degrees}");
    // A PSF narrower than two pixels still keeps its light.
    let c = Conditions::draw(&empty(128, 128), &survey).unwrap();
    let plane = render::planes(&[c.bands[2].image_of(&SimulatedObject::POINT, 100.0, (64.2, 63.7), 1.0)], 128, 128);
    let sum: f32 = plane.pixels().iter().sum();
    assert!((sum - 100.0).abs() < 1.0, "{sum}");
}

#[test]
fn nonsense_is_refused_with_its_key() {
    for (spec, key) in [
        (Spec { width: 10, ..Spec::default() }, "width"),
        (Spec { density: f64::NAN, ..Spec::default() }, "density"),
        (Spec { seed: LAST_SEED + 1, ..Spec::default() }, "seed"),
        (Spec { field: 0, ..Spec::default() }, "field"),
    ] {
        let error = simulate(&spec, &sdss()).unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}
