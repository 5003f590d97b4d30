//! What a field can be given beside an ordinary sky: visits, a cluster, a spiral, trails, replaced cores.

use std::collections::HashMap;

use twinpeak_core::wcs::Wcs;

use super::*;

fn small() -> Spec {
    Spec { width: 300, height: 240, ..Spec::default() }
}

#[test]
fn visits_show_the_same_sky_under_other_conditions() {
    let survey = sdss();
    let spec = Spec { seed: 12, field: 3, density: 3.0, ..small() };
    let [base, one, two] = [0, 1, 2].map(|visit| simulate(&Spec { visit, ..spec.clone() }, &survey).unwrap());
    assert_eq!([&base, &one, &two].map(|m| m.truth.sky.as_str()), ["009012-4-0003"; 3]);
    assert_eq!([&one, &two].map(|m| m.frame.id.as_str()), ["009012-4-1003", "009012-4-2003"]);
    assert_ne!(one.truth.psf[2].fwhm_px, two.truth.psf[2].fwhm_px);
    assert_ne!(one.frame.midpoint_mjd_tai, two.frame.midpoint_mjd_tai);
    let by_id: HashMap<u32, &SimulatedObject> = two.truth.objects.iter().map(|o| (o.id, o)).collect();
    let mut shifts = Vec::new();
    let mut met = 0;
    for a in &one.truth.objects {
        let Some(b) = by_id.get(&a.id) else { continue };
        assert_eq!((a.ra_deg, a.dec_deg, a.mag, a.class), (b.ra_deg, b.dec_deg, b.mag, b.class));
        shifts.push([b.x - a.x, b.y - a.y]);
        met += 1;
    }
    assert!(met > one.truth.objects.len() * 3 / 4, "{met} of {}", one.truth.objects.len());
    let first = shifts[0];
    assert!(shifts.iter().all(|s| (s[0] - first[0]).hypot(s[1] - first[1]) < 0.05) && first[0].hypot(first[1]) < 36.0);
    assert!(first[0].hypot(first[1]) > 0.1);
    // Those of the first frame are seen again, in the place that the true coordinates say.
    let again = |o: &SimulatedObject| one.truth.objects.iter().any(|p| p.ra_deg == o.ra_deg && p.mag == o.mag);
    let central = |o: &&SimulatedObject| (40.0..260.0).contains(&o.x) && (40.0..200.0).contains(&o.y);
    assert!(base.truth.objects.iter().filter(central).all(again));
    assert!(two.truth.to_csv(&survey, &two.frame.id).contains("every visit: 009012-4-0003\n"));
}

#[test]
fn headers_are_off_by_what_is_asked_and_the_sky_is_not() {
    let survey = sdss();
    let (mut sum, mut n) = (0.0, 0.0);
    for field in 1..=30 {
        let spec = Spec { field, wcs_scatter_arcsec: 0.025, ..empty(64, 64) };
        let conditions = Conditions::draw(&spec, &survey).unwrap();
        for band in &conditions.bands {
            let (there, said) =
                (band.wcs.pixel_to_sky(30.0, 30.0).unwrap(), band.header_wcs.pixel_to_sky(30.0, 30.0).unwrap());
            let east = (said.0 - there.0) * there.1.to_radians().cos() * 3600.0;
            sum += east.powi(2) + ((said.1 - there.1) * 3600.0).powi(2);
            n += 2.0;
        }
        let plain = Conditions::draw(&Spec { wcs_scatter_arcsec: 0.0, ..spec }, &survey).unwrap();
        let same = |a: &Wcs, b: &Wcs| a.pixel_to_sky(9.0, 50.0) == b.pixel_to_sky(9.0, 50.0);
        let bands = plain.bands.iter().zip(&conditions.bands);
        assert!(bands.into_iter().all(|(p, c)| same(&p.wcs, &p.header_wcs) && same(&p.wcs, &c.wcs)));
    }
    let rms = f64::sqrt(sum / n);
    assert!((rms / 0.025 - 1.0).abs() < 0.15, "{rms}");
}

#[test]
fn a_cluster_is_in_the_truth_and_in_the_pixels() {
    let survey = sdss();
    let spec = Spec { seed: 5, ..small() };
    let cluster = Spec { cluster: Some(Cluster { stars: 3000, ..Cluster::default() }), ..spec.clone() };
    let [plain, with] = [&spec, &cluster].map(|spec| simulate(spec, &survey).unwrap());
    let n = plain.truth.objects.len();
    assert_eq!(with.truth.objects[..n].iter().map(|o| o.id).collect::<Vec<_>>(), (1..=n as u32).collect::<Vec<_>>());
    let added = &with.truth.objects[n..];
    assert!((200..3000).contains(&added.len()), "{}", added.len());
    assert!(added.iter().all(|o| o.class == Class::Star && (-0.5..299.5).contains(&o.x)));
    let light = |made: &Simulated| made.frame.bands[2].pixels.pixels().iter().map(|p| f64::from(*p)).sum::<f64>();
    let expected: f64 = added.iter().map(|o| nmgy_of_mag(o.mag[2])).sum();
    let found = light(&with) - light(&plain);
    assert!((found / expected - 1.0).abs() < 0.1, "{found} of {expected}");
}

#[test]
fn a_spiral_is_one_object_of_many_parts() {
    let survey = sdss();
    let spec = Spec { spiral: true, ..empty(700, 600) };
    let made = simulate(&spec, &survey).unwrap();
    let [galaxy] = &made.truth.objects[..] else { panic!("{}", made.truth.objects.len()) };
    assert_eq!((galaxy.class, galaxy.profile, galaxy.id), (Class::Galaxy, Profile::Spiral, 1));
    let own = made.truth.segmentation.pixels().iter().filter(|p| **p == 1).count();
    assert!(own > 8000, "{own}");
    let light: f64 = made.frame.bands[2].pixels.pixels().iter().map(|p| f64::from(*p)).sum();
    assert!((light / nmgy_of_mag(galaxy.mag[2]) - 1.0).abs() < 0.1, "{light}");
    // Knots: more places than one where the light is a peak.
    let r = &made.frame.bands[2].pixels;
    let at = |x: usize, y: usize| (0..9).map(|k| f64::from(r.at(x + k % 3, y + k / 3))).sum::<f64>();
    let peak = |x: usize, y: usize| {
        let around = [(6, 0), (0, 6), (12, 6), (6, 12), (0, 0), (12, 12), (0, 12), (12, 0)];
        at(x + 6, y + 6) > 1.0 + around.iter().map(|(i, j)| at(x + i, y + j)).fold(0.0, f64::max)
    };
    let peaks = (0..580).step_by(3).flat_map(|y| (0..680).step_by(3).map(move |x| (x, y))).filter(|p| peak(p.0, p.1));
    assert!(peaks.count() > 8);
    assert!(made.truth.to_csv(&survey, &made.frame.id).contains(",spiral,"));
}

#[test]
fn a_trail_crosses_one_band() {
    let survey = sdss();
    for seed in 0..6 {
        let mut spec = Spec { seed, ..empty(400, 300) };
        let [plain, with] = [0, 1].map(|satellite_trails| {
            spec.artefacts.satellite_trails = satellite_trails;
            simulate(&spec, &survey).unwrap()
        });
        let more = |b: usize| {
            let sum = |m: &Simulated| m.frame.bands[b].pixels.pixels().iter().map(|p| f64::from(*p)).sum::<f64>();
            (sum(&with) - sum(&plain)) / mean_and_sigma(plain.frame.bands[b].pixels.pixels()).1
        };
        let crossed = (0..5).filter(|b| more(*b) > 50.0).count();
        assert_eq!(crossed, 1, "{:?}", [0, 1, 2, 3, 4].map(more));
        assert!(with.truth.objects.is_empty());
    }
}

#[test]
fn replaced_cores_look_sound_and_the_truth_names_them() {
    let survey = sdss();
    let full = survey.profile().saturation.full_well_dn;
    let mut seen = 0;
    for seed in 0..4 {
        let mut spec = Spec { seed, density: 6.0, ..Spec::default() };
        (spec.width, spec.height) = (700, 700);
        spec.artefacts.cores = Cores::Replaced;
        let made = simulate(&spec, &survey).unwrap();
        let bands = made.truth.replaced_bands.as_ref().unwrap();
        for (o, bands) in made.truth.objects.iter().zip(bands) {
            let r = &made.frame.bands[2];
            let value = r.pixels.get(o.x.round() as isize, o.y.round() as isize).unwrap();
            let dn = f64::from(value) / r.nmgy_per_dn;
            assert!(dn < 0.99 * full, "{dn}");
            seen += u32::from(*bands > 0 && o.mag[2] < 14.5);
            assert!(*bands == 5 || o.mag[2] > 10.0);
            assert!(*bands > 0 || o.mag[2] > 13.0 || !o.class.is_point(), "{o:?}");
        }
        let text = made.truth.to_csv(&survey, &made.frame.id);
        assert!(text.lines().any(|l| l.ends_with(",blended,saturated")));
    }
    assert!(seen > 2, "{seen}");
}
