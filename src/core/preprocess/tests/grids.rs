//! Bands on grids of their own: what is shifted, what is resampled, what is refused, and that stars are where and as
//! bright as they were drawn.

use super::*;
use crate::aperture::{Ellipse, sum};
use crate::cutout::fit_point_source;
use crate::frame::PerBand;
use crate::psf::{AREA, DISTANCE_SQUARED, RADIUS, SIDE, Splines, Stamp};

const SIGMA: f64 = 0.03;
/// 2.4 px where pixels are twice as large: narrower ones are no stars.
const FWHM_PX: f64 = 4.8;
/// The middle of every band.
const POINTING: (f64, f64) = (150.0, 2.0);

/// A band's grid: its middle is `offset` (reference px) away from the reference band's.
#[derive(Clone, Copy)]
struct Grid {
    size: (usize, usize),
    offset: (f64, f64),
    degrees: f64,
    mirrored: bool,
    /// Side of its pixel in the reference band's.
    scale: f64,
}

const REFERENCE: Grid = Grid { size: (400, 360), offset: (0.0, 0.0), degrees: 0.0, mirrored: false, scale: 1.0 };

impl Grid {
    fn wcs(&self) -> Wcs {
        let (s, c) = self.degrees.to_radians().sin_cos();
        let (x, y) = (self.scale * SCALE_DEG, self.scale * SCALE_DEG * if self.mirrored { -1.0 } else { 1.0 });
        let cd = [[c * x, -s * y], [s * x, c * y]];
        // The pixel that shows the pointing, the offset being turned into the band's own axes.
        let (dx, dy) = (-self.offset.0 / self.scale, -self.offset.1 / self.scale);
        let (along, across) = (c * dx + s * dy, (c * dy - s * dx) * if self.mirrored { -1.0 } else { 1.0 });
        let middle = |length: usize| (length as f64 - 1.0) / 2.0;
        let crpix = (middle(self.size.0) + along, middle(self.size.1) + across);
        Wcs::tangent(self.size, POINTING, crpix, cd).unwrap()
    }

    /// White noise and stars of `flux` at places on the sky.
    fn band(&self, stars: &[(f64, f64)], flux: f64, seed: u64) -> Band {
        let wcs = self.wcs();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let noise = (0..self.size.0 * self.size.1).map(|_| {
            let unit: f64 = StandardNormal.sample(&mut rng);
            (SIGMA * unit + 0.1) as f32
        });
        let mut pixels = Plane::from_pixels(self.size.0, self.size.1, noise.collect());
        let fwhm_px = FWHM_PX / self.scale;
        for &(ra, dec) in stars {
            let (x, y) = wcs.sky_to_pixel(ra, dec).unwrap();
            let reach = (3.0 * fwhm_px) as isize;
            for iy in y as isize - reach..=y as isize + reach {
                for ix in x as isize - reach..=x as isize + reach {
                    if let Some(p) = pixels.get(ix, iy) {
                        let light = flux * gaussian(ix as f64 - x, iy as f64 - y, fwhm_px);
                        pixels.set(ix as usize, iy as usize, p + light as f32);
                    }
                }
            }
        }
        Band {
            mask: Plane::filled(self.size.0, self.size.1, 0),
            pixels,
            wcs,
            nmgy_per_dn: 0.001,
            gain_e_per_dn: 4.0,
            dark_variance_dn2: 1.0,
            saturation_nmgy: 300.0,
            removed_sky_nmgy: None,
            variance: None,
        }
    }
}

fn gaussian(dx: f64, dy: f64, fwhm_px: f64) -> f64 {
    let variance = (fwhm_px / 2.354_820_045).powi(2);
    (-0.5 * (dx * dx + dy * dy) / variance).exp() / (std::f64::consts::TAU * variance)
}

/// Places of stars, reference px; never in columns, which would be bad ones.
fn lattice() -> Vec<(f64, f64)> {
    let jitter = |i: usize, k: usize| (i * k % 17) as f64 / 17.0;
    let place = |(row, column): (usize, usize)| {
        let i = 12 * row + column;
        (32.0 + (28 * column + row * 11 % 28) as f64 + jitter(i, 5), (30 * row + 30) as f64 + jitter(i, 7))
    };
    (0..11).flat_map(|row| (0..12).map(move |column| (row, column))).map(place).collect()
}

/// A frame whose band i lies on `grid`; all others lie on the reference band's.
fn frame(grid: Grid, flux: f64, seed: u64) -> Frame {
    let wcs = REFERENCE.wcs();
    let stars: Vec<(f64, f64)> = lattice().iter().map(|&(x, y)| wcs.pixel_to_sky(x, y).unwrap()).collect();
    let bands: PerBand<Band> = std::array::from_fn(|b| {
        let grid = if b == 3 { grid } else { REFERENCE };
        grid.band(&stars, flux, 10 * seed + b as u64)
    });
    Frame { bands, ..noise(64, 64, seed) }
}

fn refusal(grid: Grid) -> String {
    match prepared(frame(grid, 1.0, 1)) {
        Ok(_) => panic!("prepared"),
        Err(error) => {
            assert_eq!(error.band(), Some("i"));
            error.to_string()
        }
    }
}

/// Mean and standard deviation of (flux - truth) / error of band i's stars: as point sources of the known PSF, and within
/// a circle of 4 px; the means of flux / truth of both; and how many were measured.
fn pulls(grid: Grid, flux: f64, seed: u64) -> ([(f64, f64); 2], [f64; 2], usize) {
    let prepared = prepared(frame(grid, flux, seed)).unwrap();
    let band = &prepared.frame.bands[3];
    assert_eq!((band.pixels.width(), band.pixels.height()), REFERENCE.size);
    let splines = Splines::new(&prepared.frame);
    let noise = crate::cutout::Noise { sigma: f64::from(prepared.sky[3].sigma_nmgy), nmgy_per_electron: 0.0 };
    let psf: Stamp = std::array::from_fn(|i| {
        let (dx, dy) = ((i % SIDE) as f64 - RADIUS as f64, (i / SIDE) as f64 - RADIUS as f64);
        gaussian(dx, dy, FWHM_PX) as f32
    });
    let used: [bool; AREA] = std::array::from_fn(|i| DISTANCE_SQUARED[i] < 100);
    let (mut fits, mut sums, mut ratio) = (Vec::new(), Vec::new(), [0.0; 2]);
    for at in lattice() {
        let (x, y) = prepared.to_band[3].apply(at.0, at.1);
        let near =
            (-10..=10).flat_map(|dy| (-10..=10).map(move |dx| (x.round() as isize + dx, y.round() as isize + dy)));
        if near.clone().any(|(x, y)| band.mask.get(x, y).is_none_or(|m| m & mask::UNUSABLE != 0)) {
            continue;
        }
        let mut pixels = [0.0; AREA];
        splines.cut(3, (x, y), RADIUS, &mut pixels);
        let fit = fit_point_source(&pixels, &psf, &used, |_| noise);
        fits.push((fit.flux - flux) / fit.error);
        ratio[0] += fit.flux / flux;
        let circle = Ellipse::circle(4.0);
        let whole = 1.0 - (-0.5 * (4.0 * 2.354_820_045 / FWHM_PX).powi(2)).exp();
        let within = sum(&band.pixels, &circle, (x, y));
        ratio[1] += within.flux / (whole * flux);
        sums.push((within.flux - whole * flux) / (noise.sigma * within.area.sqrt()));
    }
    let moments = |v: &[f64]| {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        (mean, (v.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / v.len() as f64).sqrt())
    };
    ([moments(&fits), moments(&sums)], ratio.map(|sum| sum / fits.len() as f64), fits.len())
}

#[test]
fn a_shift_is_a_shift_and_what_lies_beyond_is_not_there() {
    let p = prepared(frame(Grid { offset: (12.0, -3.4), ..REFERENCE }, 1.0, 1)).unwrap();
    assert_eq!(p.shift_px[3], (-12, 3));
    assert!((p.to_band[3].x[0] + 12.0).abs() < 0.01 && (p.to_band[3].y[0] - 3.4).abs() < 0.01);
    assert!(p.bits.at(11, 100) & mask::NO_DATA != 0 && p.bits.at(12, 100) & mask::NO_DATA == 0);
    assert!(p.registered[3].at(11, 100) == 0.0 && p.registered[2].at(11, 100) != 0.0);
    assert_eq!(p.pixel_scale_arcsec, 0.396);
}

#[test]
fn stars_are_as_bright_as_they_were_drawn_on_any_grid() {
    let grids = [
        ("a shift", Grid { offset: (3.3, -7.6), ..REFERENCE }),
        ("a small turn", Grid { degrees: 1.0, ..REFERENCE }),
        ("half a turn", Grid { degrees: 180.0, ..REFERENCE }),
        ("a turn and a shift", Grid { degrees: 31.0, offset: (2.2, 5.1), ..REFERENCE }),
        ("a mirror", Grid { mirrored: true, degrees: 180.0, ..REFERENCE }),
        ("a larger detector of finer pixels", Grid { size: (900, 800), scale: 0.5, degrees: 5.0, ..REFERENCE }),
        ("binned", Grid { size: (200, 180), scale: 2.0, ..REFERENCE }),
        ("a smaller detector, off the middle", Grid { size: (250, 220), offset: (60.3, 40.0), ..REFERENCE }),
    ];
    let mut shifted = None;
    for (name, grid) in grids {
        let (faint, _, n) = pulls(grid, 2.0, 5);
        let (_, bright, _) = pulls(grid, 500.0, 6);
        println!("{name}: {n} stars, pulls {faint:.3?}; bright {bright:.4?}");
        assert!(n >= 30, "{name}: {n}");
        for (mean, deviation) in faint {
            // The sky among so many stars is a twentieth of a sigma high, which a fit takes for a third of its own.
            let error = 1.0 / (n as f64).sqrt();
            assert!(mean.abs() < 0.5 && (deviation - 1.0).abs() < 0.1 + 2.0 * error, "{name}: {mean} {deviation}");
        }
        // The known PSF is a little sharper than a resampled star, and circles take a Gaussian's samples for its means
        // over pixels.
        let [fit, circle] = *shifted.get_or_insert(bright);
        assert!((fit - 1.0).abs() < 1e-3 && (circle - 1.0).abs() < 1e-2, "{fit} {circle}");
        assert!((bright[0] - fit).abs() < 5e-3 && (bright[1] - circle).abs() < 2e-3, "{name}: {bright:?}");
    }
}

#[test]
fn grids_that_cannot_serve_are_refused_with_what_they_are() {
    let far = refusal(Grid { offset: (330.0, 0.0), ..REFERENCE });
    assert_eq!(
        far,
        "band i shows 17 % of the frame of band r: their centres lie 131 arcsec (330 px) apart by their world coordinates"
    );
    for offset in [(5e3, 0.0), (0.0, -4e5)] {
        let other = refusal(Grid { offset, ..REFERENCE });
        assert!(other.contains("shows 0 %") && other.contains("arcsec") && !other.contains("inf"), "{other}");
    }
    let coarse = refusal(Grid { scale: 5.0, size: (80, 80), ..REFERENCE });
    assert!(coarse.contains("its pixels 5.000 times as wide") && coarse.contains("factor of 4"), "{coarse}");

    let forbids =
        include_str!("../../../../config/surveys/sdss.toml").replacen("bands = ", "resample = false\nbands = ", 1);
    let survey = Survey::parse(&forbids).unwrap();
    for (grid, said) in [
        (
            Grid { degrees: 1.0, ..REFERENCE },
            "band i is turned by -1.00 deg, its pixels 1.000 times as wide against band r",
        ),
        (Grid { mirrored: true, ..REFERENCE }, "mirrored and turned by"),
        (Grid { scale: 1.25, ..REFERENCE }, "its pixels 1.250 times as wide"),
    ] {
        let error = prepare(frame(grid, 1.0, 1), &survey, &Settings::default()).err().unwrap().to_string();
        assert!(error.contains(said) && error.contains("resample = false"), "{error}");
    }
    // What a shift serves for is not forbidden.
    assert!(prepare(frame(Grid { degrees: 0.05, ..REFERENCE }, 1.0, 1), &survey, &Settings::default()).is_ok());
}

#[test]
fn the_frames_own_pixel_scale_rules() {
    let of = |scale: f64| {
        let mut made = noise(200, 200, 3);
        let cd = [[SCALE_DEG * scale, 0.0], [0.0, SCALE_DEG * scale]];
        let wcs = Wcs::tangent((200, 200), POINTING, (100.0, 100.0), cd).unwrap();
        made.bands.iter_mut().for_each(|band| band.wcs = wcs.clone());
        prepared(made).map(|p| p.pixel_scale_arcsec)
    };
    assert_eq!(of(1.0003).unwrap(), 0.396);
    assert!((of(1.1).unwrap() - 0.4356).abs() < 1e-5);
    let binned = of(2.0).unwrap_err();
    assert_eq!(
        binned.to_string(),
        "pixels of band r are 0.792 arcsec wide by their world coordinates, and 0.396 by the survey's pixel_scale_arcsec"
    );
    assert!(of(0.5).is_err());
}
