//! Images by brute force: sums over fine grids of the textbook profiles, nothing of the mixtures.

use super::*;

/// (x, y, nMgy) of some pixels about (200.3, 199.6): the object's light is cast as many points, each seen
/// through a Moffat profile that is summed over the pixel.
pub fn image(psf: &Moffat, profile: Profile, r_e_px: f64, flux: f64) -> Vec<(usize, usize, f64)> {
    let points = light(profile, r_e_px);
    let e = psf.ellipticity[0].hypot(psf.ellipticity[1]);
    let angle = 0.5 * psf.ellipticity[1].atan2(psf.ellipticity[0]);
    let (s, c) = angle.sin_cos();
    let a = psf.fwhm_px / (2.0 * (2f64.powf(1.0 / psf.beta) - 1.0).sqrt());
    let norm = (psf.beta - 1.0) / (std::f64::consts::PI * a * a);
    let moffat = |dx: f64, dy: f64| {
        let (u, v) = ((dx * c + dy * s).powi(2) * (1.0 - e), (dy * c - dx * s).powi(2) / (1.0 - e));
        norm * (1.0 + (u + v) / (a * a)).powf(-psf.beta)
    };
    let mut out = Vec::new();
    for y in (194..206).step_by(1) {
        for x in (192..209).step_by(2) {
            let mut sum = 0.0;
            for &(px, py, weight) in &points {
                for j in 0..3 {
                    for i in 0..3 {
                        let (sx, sy) = ((f64::from(i) - 1.0) / 3.0, (f64::from(j) - 1.0) / 3.0);
                        sum += weight * moffat(x as f64 + sx - 200.3 - px, y as f64 + sy - 199.6 - py) / 9.0;
                    }
                }
            }
            out.push((x, y, flux * sum));
        }
    }
    out
}

/// Points of equal light along ellipses: axis ratio .6 at 30 degrees.
fn light(profile: Profile, r_e: f64) -> Vec<(f64, f64, f64)> {
    // Light within a radius, in half-light radii: 1 - e^-t (1 + t), and the incomplete gamma function of order 8.
    let within = |r: f64| match profile {
        Profile::Point => 1.0,
        Profile::Exponential | Profile::Spiral => 1.0 - (-1.678347 * r).exp() * (1.0 + 1.678347 * r),
        Profile::DeVaucouleurs => {
            let t = 7.66924944 * (r * mixture::DE_VAUCOULEURS_HALF_LIGHT).powf(0.25);
            let (mut term, mut sum) = (1.0, 1.0);
            for k in 1..8 {
                term *= t / f64::from(k);
                sum += term;
            }
            1.0 - (-t).exp() * sum
        }
    };
    if profile == Profile::Point {
        return vec![(0.0, 0.0, 1.0)];
    }
    // Wings far beyond 8 radii of the uncut profile are cut in the simulation, which so keeps 96.77 % of the
    // light of the textbook's de Vaucouleurs profile; what lies between does not reach these pixels.
    let kept = if profile == Profile::DeVaucouleurs { 0.96766 } else { 1.0 };
    let last = 8.0 / mixture::DE_VAUCOULEURS_HALF_LIGHT;
    let (rings, spokes) = (160, 24);
    let edge = |k: i32| last * (f64::from(k) / f64::from(rings)).powi(3);
    let (s, c) = 30f64.to_radians().sin_cos();
    let mut points = Vec::new();
    for k in 0..rings {
        let share = (within(edge(k + 1)) - within(edge(k))) / kept / f64::from(spokes);
        let radius = 0.5 * (edge(k) + edge(k + 1)) * r_e;
        for j in 0..spokes {
            let (sin, cos) = (std::f64::consts::TAU * (f64::from(j) + 0.5) / f64::from(spokes)).sin_cos();
            let (u, v) = (radius * cos, 0.6 * radius * sin);
            points.push((u * c - v * s, u * s + v * c, share));
        }
    }
    points
}
