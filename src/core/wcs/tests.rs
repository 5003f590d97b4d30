//! The map against astropy and the standard's words, and each refusal.

mod astropy;
mod headers;
mod refusals;

use super::*;

/// A real frame's matrix, that of the r band of 003918-3-0213: its off-diagonal terms differ.
fn real() -> Wcs {
    let cd = [[6.12244995309E-05, 9.14089391883E-05], [9.13919502146E-05, -6.12100865715E-05]];
    Wcs::tangent((2048, 1489), (229.537988811, 42.7632764344), (1024.0, 744.0), cd).unwrap()
}

#[test]
fn agrees_with_astropy_on_a_real_frame() {
    // astropy 8.0.2, WCS(header).pixel_to_world_values(x, y) on frame-r-003918-3-0213.
    let wcs = real();
    for (x, y, ra, dec) in ASTROPY {
        let (a, d) = wcs.pixel_to_sky(x, y).unwrap();
        assert!((a - ra).abs() < 1e-9 && (d - dec).abs() < 1e-9, "{x} {y}: {a} {d}");
        let (px, py) = wcs.sky_to_pixel(ra, dec).unwrap();
        assert!((px - x).abs() < 1e-6 && (py - y).abs() < 1e-6, "{ra} {dec}: {px} {py}");
    }
}

const ASTROPY: [(f64, f64, f64, f64); 3] = [
    (0.0, 0.0, 229.36009909715156, 42.715093755477255),
    (2047.0, 1488.0, 229.7160709249875, 42.811092112230874),
    (100.25, 1400.75, 229.54271487242747, 42.638653495435896),
];

#[test]
fn every_pixel_comes_back_from_the_sky() {
    for (crval, cd) in [((150.0, 2.0), 1.1e-4), ((0.001, -89.9), 3e-5), ((359.9999, 60.0), 5.5e-5), ((7.0, 90.0), 1e-4)]
    {
        let wcs = Wcs::tangent((107, 64), crval, (53.5, 32.0), [[-cd, 0.0], [0.0, cd]]).unwrap();
        for (x, y) in (0..=107).flat_map(|x| (0..=64).map(move |y| (f64::from(x), f64::from(y)))) {
            let (ra, dec) = wcs.pixel_to_sky(x, y).unwrap();
            assert!((0.0..360.0).contains(&ra) && dec.abs() <= 90.0);
            let (px, py) = wcs.sky_to_pixel(ra, dec).unwrap();
            assert!((px - x).abs() < 1e-6 && (py - y).abs() < 1e-6, "{x} {y}: {px} {py}");
        }
    }
}

#[test]
fn the_other_half_of_the_sky_is_nowhere() {
    assert_eq!(real().sky_to_pixel(229.5 - 180.0, -42.0), None);
    assert_eq!(real().sky_to_pixel(f64::NAN, 42.0), None);
}

#[test]
fn scale_and_slopes_are_those_of_the_matrix() {
    let wcs = Wcs::tangent((64, 64), (10.0, 80.0), (31.5, 31.5), [[-2e-4, 0.0], [0.0, 1e-4]]).unwrap();
    let slopes = wcs.jacobian_arcsec(31.5, 31.5).unwrap();
    for (found, wanted) in slopes.iter().flatten().zip([-0.72, 0.0, 0.0, 0.36]) {
        assert!((found - wanted).abs() < 1e-7, "{slopes:?}");
    }
    assert!((wcs.pixel_scale_arcsec() - (0.72f64 * 0.36).sqrt()).abs() < 1e-7);
}
