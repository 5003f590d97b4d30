//! Distortions before and after the linear map: SIP's polynomials of pixels, and TPV's of the projection plane.

use super::vector::{Matrix2, apply2, inverse2};

/// A polynomial of two variables: `rows[p][q]` is the factor of x^p y^q.
#[derive(Clone, Debug, Default)]
pub(super) struct Polynomial {
    rows: Vec<Vec<f64>>,
}

impl Polynomial {
    pub(super) fn set(&mut self, p: usize, q: usize, factor: f64) {
        if self.rows.len() <= p {
            self.rows.resize(p + 1, Vec::new());
        }
        if self.rows[p].len() <= q {
            self.rows[p].resize(q + 1, 0.0);
        }
        self.rows[p][q] = factor;
    }

    /// Value, and slopes along x and y.
    fn at(&self, x: f64, y: f64) -> (f64, [f64; 2]) {
        let (mut value, mut by_x, mut by_y) = (0.0, 0.0, 0.0);
        for row in self.rows.iter().rev() {
            let (of_y, slope) = row.iter().rev().fold((0.0, 0.0), |(f, slope), c| (f * y + c, slope * y + f));
            by_x = by_x * x + value;
            by_y = by_y * x + slope;
            value = value * x + of_y;
        }
        (value, [by_x, by_y])
    }
}

/// One component of TPV: a polynomial of both coordinates, its own first, and odd powers of their length.
#[derive(Clone, Debug, Default)]
pub(super) struct TpvAxis {
    polynomial: Polynomial,
    /// Factors of r, r^3, r^5 and r^7.
    radial: [f64; 4],
}

impl TpvAxis {
    /// Number of a term that TPV has, at most.
    pub(super) const LAST: usize = 39;

    /// Sets the term `PVi_j`: powers go on degree by degree, and after each odd one stands that power of r.
    pub(super) fn set(&mut self, j: usize, factor: f64) {
        let mut first = 0;
        for degree in 0..8 {
            if j <= first + degree {
                self.polynomial.set(first + degree - j, j - first, factor);
                return;
            }
            first += degree + 1;
            if degree % 2 == 1 {
                if j == first {
                    self.radial[degree / 2] = factor;
                    return;
                }
                first += 1;
            }
        }
    }

    fn at(&self, own: f64, other: f64) -> (f64, [f64; 2]) {
        let (mut value, mut slope) = self.polynomial.at(own, other);
        if self.radial != [0.0; 4] {
            let r2 = own * own + other * other;
            let r = r2.sqrt();
            // r (a + b r^2 + c r^4 + d r^6), and its slope along r, over r.
            let (f, by_r2) = self.radial.iter().rev().fold((0.0, 0.0), |(f, slope), c| (f * r2 + c, slope * r2 + f));
            value += r * f;
            if r > 0.0 {
                let along = f / r + 2.0 * r * by_r2;
                slope = [slope[0] + along * own, slope[1] + along * other];
            }
        }
        (value, slope)
    }
}

/// A map of the plane near the identity.
#[derive(Clone, Debug)]
pub(super) enum Distortion {
    /// What SIP adds to x and to y, px.
    Sip([Polynomial; 2]),
    /// What TPV makes of the plane's coordinates, deg, along longitude and latitude. Boxed for its size.
    Tpv(Box<[TpvAxis; 2]>),
}

impl Distortion {
    /// The distorted place.
    pub(super) fn apply(&self, at: [f64; 2]) -> [f64; 2] {
        self.with_slopes(at).0
    }

    fn with_slopes(&self, [x, y]: [f64; 2]) -> ([f64; 2], Matrix2) {
        match self {
            Self::Sip([a, b]) => {
                let ((f, [fx, fy]), (g, [gx, gy])) = (a.at(x, y), b.at(x, y));
                ([x + f, y + g], [[1.0 + fx, fy], [gx, 1.0 + gy]])
            }
            Self::Tpv(axes) => {
                let ((f, [fx, fy]), (g, [gy, gx])) = (axes[0].at(x, y), axes[1].at(y, x));
                ([f, g], [[fx, fy], [gx, gy]])
            }
        }
    }

    /// The place that is distorted to `to`, by Newton's method from there; `None` where it does not settle.
    /// `unit` is a pixel's size in the plane: the last step is below 1e-8 of it, so the error is rounding.
    pub(super) fn invert(&self, to: [f64; 2], unit: f64) -> Option<[f64; 2]> {
        let mut at = to;
        for _ in 0..40 {
            let (here, slopes) = self.with_slopes(at);
            let step = apply2(&inverse2(&slopes)?, [to[0] - here[0], to[1] - here[1]]);
            at = [at[0] + step[0], at[1] + step[1]];
            let size = step[0].hypot(step[1]);
            if size < 1e-8 * unit {
                return Some(at);
            }
            if !size.is_finite() {
                return None;
            }
        }
        None
    }
}
