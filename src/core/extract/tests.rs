//! Laws of labelling and deblending, and the reference's partition of a real merging galaxy.

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::filter::{Edge, Gaussian, detection_image};
use crate::preprocess::{self, real};

fn settings() -> Settings {
    Settings {
        detect_threshold: 1.5,
        extent_threshold: 1.5,
        min_area_px: 5,
        parting: Parting::BRIGHTNESS,
        max_children: 100_000,
        max_component_px: 10_000_000,
    }
}

fn same(score: &Plane<f32>) -> Scores {
    Scores::same(score.clone())
}

fn found(image: &Plane<f32>, settings: &Settings) -> Footprints {
    extract(&same(image), image, &Plane::filled(image.width(), image.height(), 0), settings)
}

/// Smooth noise of 1 sigma: many blobs of all shapes, no two values alike.
fn blobs(width: usize, height: usize, seed: u64) -> Plane<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let white = (0..width * height).map(|_| rng.random_range(-1.7f32..1.7)).collect();
    let mut smooth = Gaussian::new(1.5).blur_to_unit_noise(&Plane::from_pixels(width, height, white), Edge::Reflect);
    smooth.pixels_mut().iter_mut().for_each(|v| *v *= 6.0);
    smooth
}

fn add(plane: &mut Plane<f32>, (x0, y0): (f64, f64), peak: f64, sigma_px: f64) {
    for y in 0..plane.height() {
        for x in 0..plane.width() {
            let r2 = (x as f64 - x0).powi(2) + (y as f64 - y0).powi(2);
            plane.set(x, y, plane.at(x, y) + (peak * (-0.5 * r2 / sigma_px.powi(2)).exp()) as f32);
        }
    }
}

fn transposed<T: Copy>(plane: &Plane<T>) -> Plane<T> {
    let (w, h) = (plane.width(), plane.height());
    Plane::from_pixels(h, w, (0..w * h).map(|i| plane.at(i / h, i % h)).collect())
}

/// Labels renamed by the order in which they appear: equal for equal partitions.
fn partition(labels: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut names = std::collections::HashMap::from([(0, 0)]);
    labels
        .map(|l| {
            let next = names.len() as u32;
            *names.entry(l).or_insert(next)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Without deblending: a plain flood fill gives the same components.
    #[test]
    fn components_are_those_of_a_flood_fill(width in 1usize..60, height in 1usize..60, seed in 0u64..1000, level in 0.0f32..8.0) {
        let image = blobs(width, height, seed);
        let whole = Settings { detect_threshold: level, extent_threshold: level, min_area_px: 1, max_component_px: 0, ..settings() };
        let ours = found(&image, &whole);
        let mut fill = Plane::filled(width, height, 0u32);
        let mut n = 0;
        for start in 0..width * height {
            let mut stack = vec![(start % width, start / width)];
            if image.pixels()[start] <= level || fill.pixels()[start] != 0 { continue }
            n += 1;
            while let Some((x, y)) = stack.pop() {
                if image.at(x, y) <= level || fill.at(x, y) != 0 { continue }
                fill.set(x, y, n);
                for y in y.saturating_sub(1)..(y + 2).min(height) {
                    stack.extend((x.saturating_sub(1)..(x + 2).min(width)).map(|x| (x, y)));
                }
            }
        }
        prop_assert!(ours.segmentation == fill);
        prop_assert_eq!(ours.objects.len() as u32, n);
    }

    #[test]
    fn the_transposed_image_has_the_transposed_partition(width in 20usize..90, height in 20usize..90, seed in 0u64..1000) {
        let image = blobs(width, height, seed);
        let (a, b) = (found(&image, &settings()), found(&transposed(&image), &settings()));
        let back = transposed(&b.segmentation);
        prop_assert_eq!(partition(a.segmentation.pixels().iter().copied()), partition(back.pixels().iter().copied()));
    }

    #[test]
    fn footprints_say_what_the_segmentation_shows(seed in 0u64..1000) {
        let image = blobs(80, 70, seed);
        let f = found(&image, &settings());
        let mut first = 0;
        for (i, o) in f.objects.iter().enumerate() {
            prop_assert_eq!(o.number as usize, i + 1);
            let own: Vec<usize> = (0..80 * 70).filter(|&p| f.segmentation.pixels()[p] == o.number).collect();
            prop_assert_eq!(own.len(), o.area_px);
            prop_assert!(own.len() >= 5 && own[0] >= first);
            first = own[0];
            let peak = own.iter().map(|&p| image.pixels()[p]).fold(0.0, f32::max);
            prop_assert_eq!(peak, o.peak);
            prop_assert!(own.iter().all(|p| image.pixels()[*p] > 1.5));
            let [x0, y0, x1, y1] = o.bounds;
            prop_assert!(own.iter().all(|p| (x0..=x1).contains(&(p % 80)) && (y0..=y1).contains(&(p / 80))));
            prop_assert!(o.x >= x0 as f64 && o.x <= x1 as f64 && o.y >= y0 as f64 && o.y <= y1 as f64);
        }
    }
}

#[test]
fn two_peaks_part_where_they_persist() {
    let pair = |separation: f64, second: f64| {
        let mut image = Plane::filled(60, 40, 0.0);
        add(&mut image, (20.0, 20.0), 50.0, 2.0);
        add(&mut image, (20.0 + separation, 20.3), second, 2.0);
        found(&image, &settings()).objects
    };
    let far = pair(7.0, 30.0);
    assert_eq!(far.len(), 2);
    assert!((far[0].x - 20.0).abs() < 0.4 && (far[1].x - 27.0).abs() < 0.4, "{far:?}");
    assert!(far.iter().all(|o| o.flags == flag::BLENDED | flag::NEIGHBOURS));
    assert_eq!(pair(3.0, 30.0).len(), 1); // no second peak
    assert_eq!(pair(7.0, 3.2).len(), 1); // one that rises by less than 3 sigma
    let apart = pair(30.0, 30.0);
    assert_eq!((apart.len(), apart[0].flags, apart[1].flags), (2, 0, 0));
}

#[test]
fn too_many_children_are_merged_and_said_so() {
    let mut image = Plane::filled(120, 30, 2.0);
    for i in 0..8 {
        add(&mut image, (12.0 + 13.0 * f64::from(i), 15.0), 100.0 - 10.0 * f64::from(i), 1.5);
    }
    let all = found(&image, &settings());
    assert_eq!(all.objects.len(), 8);
    let few = found(&image, &Settings { max_children: 3, ..settings() });
    assert_eq!(few.objects.len(), 3);
    assert!(few.objects.iter().all(|o| o.flags & flag::DEBLEND_BOUND != 0));
    let area = |f: &Footprints| f.objects.iter().map(|o| o.area_px).sum::<usize>();
    assert_eq!(area(&few), area(&all));
    // The faintest joined the neighbour they touch: the last of the three holds the rest.
    assert!(few.objects.iter().any(|o| o.bounds[2] == 119 && o.peak > 75.0), "{few:?}");

    let whole = found(&image, &Settings { max_component_px: 100, ..settings() });
    assert_eq!((whole.objects.len(), whole.objects[0].area_px), (1, 3600));
    assert_eq!(whole.objects[0].flags, flag::COMPONENT_BOUND | flag::TRUNCATED);
}

#[test]
fn thresholds_area_and_mask_do_their_part() {
    let mut image = Plane::filled(60, 40, 0.0);
    add(&mut image, (20.0, 20.0), 1.4, 2.0); // never above the detection threshold
    add(&mut image, (50.0, 10.0), 50.0, 0.3); // too small
    add(&mut image, (40.0, 30.0), 20.0, 2.0);
    let mut bits = Plane::filled(60, 40, 0);
    bits.set(41, 30, mask::SAT);
    bits.set(40, 31, mask::BAD);
    bits.set(0, 0, mask::NO_DATA);
    let f = extract(&same(&image), &image, &bits, &settings());
    assert_eq!(f.objects.len(), 1);
    assert_eq!(f.objects[0].flags, flag::SATURATED | flag::BAD_PIXELS);
    image.pixels_mut().fill(f32::NAN);
    assert_eq!(found(&image, &settings()).objects, []);
}

#[test]
fn a_bright_object_ends_at_its_extent_and_a_faint_one_keeps_what_it_was_found_by() {
    let mut image = Plane::filled(60, 40, 0.0);
    add(&mut image, (15.0, 20.0), 50.0, 4.0);
    add(&mut image, (45.0, 20.0), 4.0, 4.0);
    let both = Settings { extent_threshold: 5.0, ..settings() };
    let f = found(&image, &both);
    assert_eq!(f.objects.len(), 2);
    // A Gaussian of peak p is above t within sigma sqrt(2 ln(p / t)).
    let area = |peak: f64, threshold: f64| std::f64::consts::PI * 16.0 * 2.0 * (peak / threshold).ln();
    for (object, expected) in f.objects.iter().zip([area(50.0, 5.0), area(4.0, 1.5)]) {
        assert!((object.area_px as f64 - expected).abs() < 0.12 * expected, "{object:?}: {expected:.0} px");
    }
}

#[test]
fn a_merging_galaxy_parts_as_in_the_reference() {
    const CONVERT: &str = "
import sys, numpy as np
d = np.load(sys.argv[1])
for k in d: d[k].astype('<f4').tofile(f'{sys.argv[2]}/{k}')
";
    let Some(data) = real::data() else { return };
    let file = data.join("../reference/out/dev_deblend.npz");
    let out = tempfile::tempdir().unwrap();
    let Some(_) = real::python(CONVERT, &[file.to_str().unwrap(), out.path().to_str().unwrap()]) else { return };
    let plane = |name: &str| Plane::from_pixels(192, 192, real::load(&out.path().join(name)));
    let (image, mask, labels) = (plane("image"), plane("mask"), plane("labels"));
    let by_mask = Settings { detect_threshold: 0.5, extent_threshold: 0.5, ..settings() };
    let ours = extract(&same(&mask), &image, &Plane::filled(192, 192, 0), &by_mask);
    let theirs = labels.map(|l| l as u32);
    assert_eq!(ours.objects.len(), 18);
    assert_eq!(partition(ours.segmentation.pixels().iter().copied()), partition(theirs.pixels().iter().copied()));
}

#[test]
fn a_real_field_is_the_same_on_any_number_of_threads() {
    let Some(frame) = real::frame(real::DEV) else { return };
    let survey = real::sdss();
    let p = preprocess::prepare(frame, &survey, &preprocess::Settings::default()).unwrap();
    let sigma = p.sky.map(|s| f64::from(s.sigma_nmgy));
    let weights = survey.detection_weights(&sigma, &[0, 1, 2, 3, 4]);
    let detection = detection_image(&p.registered, &weights);
    let score = crate::filter::matched_filter(&crate::filter::weighted_sum(&p.registered, &weights), 0.7 * 3.516);
    let at = Settings { detect_threshold: 3.48, extent_threshold: 3.48, ..settings() };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| extract(&same(&score), &detection, &p.bits, &at))
    };
    let (one, three) = (on(1), on(3));
    assert!(one == three);
    // The reference finds 1656 at this threshold (../shared/reference/README.md); its background was dithered
    // otherwise.
    assert!((1570..1740).contains(&one.objects.len()), "{}", one.objects.len());

    // Its threshold at 30 false objects is 3.48.
    let noise = calibrate::noise_only(&p.registered, &p.occupied, 0);
    let score = crate::filter::matched_filter(&crate::filter::weighted_sum(&noise, &weights), 0.7 * 3.516);
    let noise = calibrate::NoiseScore::of_frame(&score, &p.occupied, 5);
    let threshold = noise.threshold(30.0 / (2048.0 * 1489.0 / 1e6)).unwrap();
    println!("threshold at 30 false objects: {threshold}, sky {} px", noise.sky_px);
    assert!((threshold - 3.48).abs() < 0.1);
}

fn by_centres() -> Settings {
    Settings { detect_threshold: 0.0, extent_threshold: 0.0, parting: Parting::CENTRES, ..settings() }
}

/// Log-odds of a centre about each place, and of an extent where the image is bright.
fn scores_of(image: &Plane<f32>, centres: &[(f64, f64)]) -> Scores {
    let mut centre = Plane::filled(image.width(), image.height(), -6.0);
    for &at in centres {
        add(&mut centre, at, 10.0, 1.5);
    }
    Scores { centre, extent: image.map(|v| v - 1.5) }
}

#[test]
fn centres_part_what_the_image_shows_as_one_and_each_pixel_goes_down_hill() {
    let mut image = Plane::filled(80, 50, 0.0);
    add(&mut image, (30.0, 25.0), 24.0, 4.0);
    add(&mut image, (42.0, 25.0), 12.0, 4.0);
    let extract_at =
        |centres: &[(f64, f64)]| extract(&scores_of(&image, centres), &image, &Plane::filled(80, 50, 0), &by_centres());
    let whole = extract_at(&[(30.0, 25.0)]);
    let outlined = image.pixels().iter().filter(|v| **v > 1.5).count();
    assert_eq!((whole.objects.len(), whole.objects[0].area_px, whole.objects[0].flags), (1, outlined, 0));
    let both = extract_at(&[(30.0, 25.0), (42.0, 25.0)]);
    assert_eq!(both.objects.len(), 2);
    assert_eq!(both.objects.iter().map(|o| o.area_px).sum::<usize>(), outlined);
    assert!(both.objects.iter().all(|o| o.flags & flag::BLENDED != 0));
    assert_ne!(both.segmentation.at(28, 25), both.segmentation.at(45, 25));
    // The valley of both lights is at 37.6, nearer to the fainter one.
    let border = (30..45).find(|&x| both.segmentation.at(x, 30) != both.segmentation.at(28, 30)).unwrap();
    assert!((36..41).contains(&border), "{border}");
}

#[test]
fn an_extent_without_a_centre_is_an_object_if_it_is_sure_and_a_faint_centre_keeps_its_own_pixels() {
    let mut image = Plane::filled(120, 50, 0.0);
    add(&mut image, (25.0, 25.0), 30.0, 6.0); // no centre
    add(&mut image, (60.0, 25.0), 2.2, 2.0); // an extent, but no sure one, and no centre
    let scores = scores_of(&image, &[(95.0, 25.0)]); // a centre without any extent
    let found = extract(&scores, &image, &Plane::filled(120, 50, 0), &by_centres());
    assert_eq!(found.objects.len(), 2, "{:?}", found.objects);
    let area = |threshold: f64| std::f64::consts::PI * 36.0 * 2.0 * (30.0 / threshold).ln();
    assert!((found.objects[0].area_px as f64 - area(1.5)).abs() < 0.1 * area(1.5), "{:?}", found.objects[0]);
    let seed = scores.centre.pixels().iter().filter(|s| **s > 0.0).count();
    assert_eq!(found.objects[1].area_px, seed);
}

/// Both maps of random blobs: every object has its least area, and all that is an object's is above a threshold.
#[test]
fn what_centres_find_is_the_same_on_any_number_of_threads() {
    let (image, other) = (blobs(150, 140, 3), blobs(150, 140, 4));
    let scores = Scores { centre: image.clone(), extent: other };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| extract(&scores, &image, &Plane::filled(150, 140, 0), &by_centres()))
    };
    let (one, three) = (on(1), on(3));
    assert!(one == three && one.objects.len() > 20, "{}", one.objects.len());
    assert!(one.objects.iter().all(|o| o.area_px >= 5));
    let above = |i: usize| scores.centre.pixels()[i] > 0.0 || scores.extent.pixels()[i] > 0.0;
    assert!((0..150 * 140).all(|i| one.segmentation.pixels()[i] == 0 || above(i)));
}

/// Two centres in one bright, flat core are one object; the same two on faint light are believed, and so is a second
/// bright one that the image shows.
#[test]
fn in_bright_light_a_centre_needs_a_peak_of_its_own() {
    let centres = [(28.0, 25.0), (33.0, 25.0)];
    let found = |brightness: f64, other: f64| {
        let mut image = Plane::filled(80, 50, 0.0);
        add(&mut image, (30.5, 25.0), brightness, 4.0);
        add(&mut image, (46.0, 25.0), other, 3.0);
        let all = [&centres[..], &[(46.0, 25.0)][..if other > 0.0 { 1 } else { 0 }]].concat();
        extract(&scores_of(&image, &all), &image, &Plane::filled(80, 50, 0), &by_centres()).objects.len()
    };
    assert_eq!((found(20.0, 0.0), found(400.0, 0.0), found(400.0, 100.0)), (2, 1, 2));
}
