//! A large spiral galaxy: one object of many parts, a bulge, a disc, two arms and the knots on them.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::colour;
use super::spec::Spec;
use super::streams::{Purpose, stream};
use super::truth::{Class, Profile, SimulatedObject};
use twinpeak_core::frame::PerBand;

/// Total magnitude r.
const TOTAL_MAG: f64 = 13.3;
/// Half-light radius of the disc, arcsec.
const DISC_ARCSEC: f64 = 20.0;
/// Half-light radius of the bulge, arcsec.
const BULGE_ARCSEC: f64 = 3.0;
/// Shares of the light in r.
const BULGE: f64 = 0.15;
const DISC: f64 = 0.55;
const ARMS: f64 = 0.18;
const KNOTS: f64 = 0.12;
/// Smooth pieces and knots of both arms together.
const PIECES: usize = 80;
const KNOT_COUNT: usize = 160;
/// An arm is a logarithmic spiral, its radius growing by this a radian (a pitch of 15 deg), from and to these radii in
/// units of the disc's.
const GROWTH: f64 = 0.27;
const REACH: [f64; 2] = [0.35, 2.2];
/// Scatter about an arm, in units of the disc's radius.
const SCATTER: f64 = 0.06;

/// Where the galaxy lies and how it is turned.
struct Plane {
    centre: (f64, f64),
    axis_ratio: f64,
    theta: f64,
    scale_arcsec: f64,
}

impl Plane {
    /// Place in the frame of a point of the disc, at polar coordinates in arcsec and radians.
    fn place(&self, radius_arcsec: f64, angle: f64) -> (f64, f64) {
        let (u, v) = (radius_arcsec * angle.cos(), self.axis_ratio * radius_arcsec * angle.sin());
        let (s, c) = self.theta.sin_cos();
        (self.centre.0 + (u * c - v * s) / self.scale_arcsec, self.centre.1 + (u * s + v * c) / self.scale_arcsec)
    }
}

/// The galaxy as one row of the truth, and its parts; the id and the parts' coordinates on the sky are to be given.
pub(super) fn draw(spec: &Spec, scale_arcsec: f64) -> (SimulatedObject, Vec<SimulatedObject>) {
    let mut rng = stream(spec, Purpose::Spiral, 0, 0);
    let mut near_middle = |size: usize| size as f64 * rng.random_range(0.3..0.7);
    let centre = (near_middle(spec.width), near_middle(spec.height));
    let (axis_ratio, theta_deg) = (rng.random_range(0.5..0.9), rng.random_range(-90.0..90.0));
    let plane = Plane { centre, axis_ratio, theta: f64::to_radians(theta_deg), scale_arcsec };
    let galaxy = |profile, r_e_arcsec, axis_ratio, (x, y), mag| SimulatedObject {
        class: Class::Galaxy,
        profile,
        x,
        y,
        mag,
        r_e_arcsec,
        axis_ratio,
        theta_deg,
        ..SimulatedObject::POINT
    };
    let of_share = |share: f64| TOTAL_MAG - 2.5 * share.log10();
    let bulge = colour::spheroid(of_share(BULGE));
    let disc = colour::disc(of_share(DISC));
    let mut parts = vec![
        galaxy(Profile::DeVaucouleurs, BULGE_ARCSEC, axis_ratio.sqrt(), centre, bulge),
        galaxy(Profile::Exponential, DISC_ARCSEC, axis_ratio, centre, disc),
    ];
    for _ in 0..PIECES {
        let at = on_an_arm(&mut rng, &plane);
        let mag = colour::disc(of_share(ARMS / PIECES as f64));
        parts.push(galaxy(Profile::Exponential, 0.15 * DISC_ARCSEC, axis_ratio, at, mag));
    }
    // Star-forming regions: as many of each magnitude as makes their light the same, over a factor of 30.
    let lights: Vec<f64> = (0..KNOT_COUNT).map(|_| 30f64.powf(-rng.random::<f64>())).collect();
    let all: f64 = lights.iter().sum();
    for light in lights {
        let at = on_an_arm(&mut rng, &plane);
        let size = rng.random_range(0.1..0.9);
        let mag = colour::young(&mut rng, of_share(KNOTS * light / all));
        parts.push(galaxy(Profile::Exponential, size, 1.0, at, mag));
    }
    let light = |b: usize| parts.iter().map(|p| 10f64.powf(-0.4 * p.mag[b])).sum::<f64>();
    let total: PerBand<f64> = std::array::from_fn(|b| -2.5 * light(b).log10());
    (galaxy(Profile::Spiral, DISC_ARCSEC, axis_ratio, centre, total), parts)
}

/// A place near one of the two arms, as likely anywhere along its radius.
fn on_an_arm(rng: &mut ChaCha8Rng, plane: &Plane) -> (f64, f64) {
    let radius: f64 = rng.random_range(REACH[0]..REACH[1]);
    let arm = if rng.random() { 0.0 } else { std::f64::consts::PI };
    let mut off = || SCATTER * rng.sample::<f64, _>(StandardNormal);
    let (along, across) = (off(), off());
    let angle = arm + (radius / REACH[0]).ln() / GROWTH + along / radius;
    plane.place(DISC_ARCSEC * (radius + across), angle)
}
