//! Projections of paper II: between the plane and directions in the native frame, whose pole is (0, 0, 1).
//!
//! Plane coordinates are in radians here (paper II's degrees times pi / 180), x with the longitude's sign, so a point at
//! native longitude phi and distance r from the pole's image is (r sin phi, -r cos phi).

use super::vector::{Vector, direction};

/// How the native sphere is laid on the plane.
#[derive(Clone, Debug)]
pub(super) enum Projection {
    /// Gnomonic, 5.1.3.
    Tan,
    /// Slant orthographic, 5.1.5, with xi and eta (0 for the plain one).
    Sin { xi: f64, eta: f64 },
    /// Zenithal equidistant, 5.1.6.
    Arc,
    /// Zenithal equal area, 5.1.8.
    Zea,
    /// Stereographic, 5.1.4.
    Stg,
    /// Zenithal polynomial, 5.1.7.
    Zpn(RadialPolynomial),
    /// Plate carree, 5.2.3.
    Car,
}

impl Projection {
    /// Native latitude of the fiducial point where no card gives it, deg.
    pub(super) fn theta0_deg(&self) -> f64 {
        if matches!(self, Self::Car) { 0.0 } else { 90.0 }
    }

    /// The direction of a place in the plane.
    pub(super) fn to_native(&self, x: f64, y: f64) -> Option<Vector> {
        let r2 = x * x + y * y;
        // For those about the pole: sin(rho) / r, and cos(rho), where rho is the distance from it on the sphere.
        let (scale, cos) = match self {
            Self::Tan => {
                let cos = 1.0 / (1.0 + r2).sqrt();
                (cos, cos)
            }
            Self::Sin { xi, eta } => return slant_to_native(*xi, *eta, x, y),
            Self::Arc => {
                let r = r2.sqrt();
                if r > std::f64::consts::PI {
                    return None;
                }
                (if r == 0.0 { 1.0 } else { r.sin() / r }, r.cos())
            }
            Self::Zea if r2 > 4.0 => return None,
            Self::Zea => ((1.0 - 0.25 * r2).sqrt(), 1.0 - 0.5 * r2),
            Self::Stg => {
                let t2 = 0.25 * r2;
                (1.0 / (1.0 + t2), (1.0 - t2) / (1.0 + t2))
            }
            Self::Zpn(radius) => {
                let r = r2.sqrt();
                let rho = radius.invert(r)?;
                (if r == 0.0 { 1.0 } else { rho.sin() / r }, rho.cos())
            }
            Self::Car => {
                let on_it = x.abs() <= std::f64::consts::PI && y.abs() <= std::f64::consts::FRAC_PI_2;
                return on_it.then(|| direction(x, y));
            }
        };
        Some([-y * scale, x * scale, cos])
    }

    /// The place of a direction, a unit vector; `None` where the projection does not show it.
    pub(super) fn to_plane(&self, [l, m, n]: Vector) -> Option<[f64; 2]> {
        let sin = (l * l + m * m).sqrt();
        // For those about the pole: r / sin(rho).
        let scale = match self {
            Self::Tan => (n > 0.0).then(|| 1.0 / n),
            Self::Sin { xi, eta } => return slant_to_plane(*xi, *eta, [l, m, n]),
            Self::Arc if sin == 0.0 => (n > 0.0).then_some(1.0),
            Self::Arc => Some(sin.atan2(n) / sin),
            Self::Zea => (n > -1.0).then(|| (2.0 / (1.0 + n)).sqrt()),
            Self::Stg => (n > -1.0).then(|| 2.0 / (1.0 + n)),
            Self::Zpn(radius) if sin == 0.0 => (n > 0.0 && radius.at(0.0).0 == 0.0).then_some(0.0),
            Self::Zpn(radius) => {
                let rho = sin.atan2(n);
                (rho <= radius.farthest).then(|| radius.at(rho).0 / sin)
            }
            Self::Car => return Some([m.atan2(l), n.atan2(sin)]),
        }?;
        Some([m * scale, -l * scale])
    }
}

/// With w = 1 - sin(theta): x = m + xi w and y = -l + eta w, and (l, m, 1 - w) has length 1.
fn slant_to_native(xi: f64, eta: f64, x: f64, y: f64) -> Option<Vector> {
    let (a, b, c) = (xi * xi + eta * eta + 1.0, x * xi + y * eta + 1.0, x * x + y * y);
    let root = b * b - a * c;
    if !(root >= 0.0 && b > 0.0) {
        return None;
    }
    let w = c / (b + root.sqrt());
    Some([eta * w - y, x - xi * w, 1.0 - w])
}

fn slant_to_plane(xi: f64, eta: f64, [l, m, n]: Vector) -> Option<[f64; 2]> {
    // 1 - n without loss near the pole.
    let w = if n > 0.0 { (l * l + m * m) / (1.0 + n) } else { 1.0 - n };
    let (x, y) = (m + xi * w, -l + eta * w);
    // The other root is the far side.
    (xi.mul_add(xi, eta * eta) + 1.0).mul_add(w, -(x * xi + y * eta + 1.0)).le(&0.0).then_some([x, y])
}

/// ZPN's radius as a polynomial of the distance from the pole, on the part about the pole where it grows.
#[derive(Clone, Debug)]
pub(super) struct RadialPolynomial {
    /// Factors by power, of radians.
    factors: Vec<f64>,
    /// Distance from the pole up to which the radius grows, rad.
    farthest: f64,
}

impl RadialPolynomial {
    /// `None` where the radius does not grow at the pole, so that no direction is sure.
    pub(super) fn new(factors: Vec<f64>) -> Option<Self> {
        let mut made = Self { factors, farthest: std::f64::consts::PI };
        if made.at(0.0).1 <= 0.0 || !made.at(made.farthest).0.is_finite() {
            return None;
        }
        // The first turn, by steps of .1 degree and halving.
        let step = made.farthest / 1800.0;
        if let Some(turn) = (1..=1800).map(|i| f64::from(i) * step).find(|rho| made.at(*rho).1 <= 0.0) {
            let (mut low, mut high) = (turn - step, turn);
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                if made.at(middle).1 > 0.0 { low = middle } else { high = middle }
            }
            made.farthest = low;
        }
        Some(made)
    }

    /// Radius and its slope.
    fn at(&self, rho: f64) -> (f64, f64) {
        self.factors.iter().rev().fold((0.0, 0.0), |(f, slope), c| (f * rho + c, slope * rho + f))
    }

    /// The distance with this radius: Newton's method, held between bounds that halve.
    fn invert(&self, radius: f64) -> Option<f64> {
        let (mut low, mut high) = (0.0, self.farthest);
        if !(self.at(low).0 <= radius && radius <= self.at(high).0) {
            return None;
        }
        let mut rho = radius.clamp(low, high);
        for _ in 0..100 {
            let (value, slope) = self.at(rho);
            if value > radius {
                high = rho
            } else {
                low = rho
            }
            let newton = rho - (value - radius) / slope;
            let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
            let done = (next - rho).abs() <= 1e-16 + 2.0 * f64::EPSILON * rho || value == radius;
            if done {
                return Some(if value == radius { rho } else { next });
            }
            rho = next;
        }
        Some(rho)
    }
}
