//! The elliptical galaxy that fits a patch of sky best: Levenberg (1944) and Marquardt (1963) over size, ellipticity and
//! position in the shape bands together, each band's flux solved for at every step (variable projection, Golub & Pereyra
//! 1973).

use super::{Profile, PsfTransform, Shape, Transform};
use crate::scene::fourier::Spectrum;

/// Parameters: ln r_e, e1, e2, dx, dy.
const PARAMETERS: usize = 5;
/// Steps of the fit.
const STEPS: usize = 6;
/// A step that is refused is tried again, shorter, so many times.
const TRIES: usize = 3;
/// A gain in chi^2 that ends the fit.
const SETTLED: f64 = 0.3;
/// Longest step along any parameter.
const LONGEST_STEP: f64 = 0.5;
/// The galaxy lies within this of where it is looked for, along each axis, px.
pub const FARTHEST_PX: f64 = 1.5;
/// Fits that are this much worse than they need be after two steps do not go on.
const HOPELESS: f64 = 150.0;

/// One band's pixels about an object, to which a model is fitted.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The band.
    pub band: usize,
    /// The patch is 2 `radius` + 1 pixels a side.
    pub radius: usize,
    /// The object's position from the middle pixel, px.
    pub offset: (f64, f64),
    /// Data minus all other objects, nMgy, row by row.
    pub pixels: Vec<f32>,
    /// Inverse variances, nMgy^-2; 0 where a pixel does not count.
    pub weights: Vec<f32>,
}

/// A fitted galaxy.
#[derive(Clone, Debug, PartialEq)]
pub struct EllipseFit {
    /// Its shape.
    pub shape: Shape,
    /// Its position minus that where it was looked for, px.
    pub moved: (f64, f64),
    /// Summed over the patches that were fitted.
    pub chi2: f64,
    /// Standard errors of ln r_e, e1, e2, x and y (px), from the normal matrix, all of them and the fluxes free; infinite
    /// where the data say nothing.
    pub errors: [f64; PARAMETERS],
}

/// Fits an ellipse to `patches` about reference position `at`, both profiles, starting at a half-light radius of
/// `radius_px`. One whose chi^2 is far above `wanted` is given up early.
pub fn fit(psf: &PsfTransform, at: (f64, f64), patches: &[Patch], radius_px: f64, wanted: f64) -> Option<EllipseFit> {
    let problem = Problem::new(psf, at, patches);
    let (e1, e2) = problem.ellipticity()?;
    let radius_px = radius_px.clamp(0.6, Shape::RADII_PX.1);
    let disc = Point { shape: Shape { profile: Profile::Disc, radius_px, e1, e2 }, moved: (0.0, 0.0) };
    let disc = problem.minimise(disc, wanted)?;
    // A spheroid of the same image is larger: half of its light lies in its cusp and its wings.
    let from = Shape { profile: Profile::Spheroid, ..disc.point.shape };
    let hopeless = disc.chi2 > wanted + 3.0 * HOPELESS;
    let spheroid =
        if hopeless { None } else { problem.minimise(Point { shape: from, moved: disc.point.moved }, wanted) };
    let best = match spheroid {
        Some(spheroid) if spheroid.chi2 < disc.chi2 => spheroid,
        _ => disc,
    };
    Some(EllipseFit { shape: best.point.shape, moved: best.point.moved, chi2: best.chi2, errors: best.errors() })
}

/// Where the fit stands.
#[derive(Clone, Copy)]
struct Point {
    shape: Shape,
    moved: (f64, f64),
}

impl Point {
    /// Moved along the parameters, within bounds.
    fn step(&self, by: &[f64; PARAMETERS]) -> Self {
        let by = by.map(|v| v.clamp(-LONGEST_STEP, LONGEST_STEP));
        let (smallest, largest) = Shape::RADII_PX;
        let radius_px = (self.shape.radius_px * by[0].exp()).clamp(smallest, largest);
        let (e1, e2) = (self.shape.e1 + by[1], self.shape.e2 + by[2]);
        let shrink = (Shape::MOST_ELLIPTICAL / e1.hypot(e2)).min(1.0);
        let moved = |from: f64, by: f64| (from + by).clamp(-FARTHEST_PX, FARTHEST_PX);
        Self {
            shape: Shape { radius_px, e1: e1 * shrink, e2: e2 * shrink, ..self.shape },
            moved: (moved(self.moved.0, by[3]), moved(self.moved.1, by[4])),
        }
    }
}

/// A point with what was found there.
struct Found {
    point: Point,
    chi2: f64,
    /// J' J and J' r of the parameters, fluxes projected out.
    normal: [[f64; PARAMETERS]; PARAMETERS],
    gradient: [f64; PARAMETERS],
}

impl Found {
    fn errors(&self) -> [f64; PARAMETERS] {
        let variance = |i: usize| {
            let unit = std::array::from_fn(|j| f64::from(u8::from(i == j)));
            solve(self.normal, unit).map_or(f64::INFINITY, |column| column[i])
        };
        std::array::from_fn(|i| if variance(i) > 0.0 { variance(i).sqrt() } else { f64::INFINITY })
    }
}

struct Problem<'a> {
    psf: &'a PsfTransform,
    patches: &'a [Patch],
    /// Each patch's PSF, at the object's place in it.
    transforms: Vec<Spectrum>,
}

impl<'a> Problem<'a> {
    fn new(psf: &'a PsfTransform, at: (f64, f64), patches: &'a [Patch]) -> Self {
        let transforms = patches.iter().map(|patch| psf.at(patch.band, at, patch.offset)).collect();
        Self { psf, patches, transforms }
    }

    /// A first ellipticity, from the light's moments under a Gaussian; `None` where there is no light.
    fn ellipticity(&self) -> Option<(f64, f64)> {
        const WIDTH_PX: f64 = 4.0;
        // A PSF rounds what it blurs.
        const SHARPER: f64 = 1.5;
        let (mut light, mut x, mut y, mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for patch in self.patches {
            let side = 2 * patch.radius + 1;
            for (i, (&p, _)) in patch.pixels.iter().zip(&patch.weights).enumerate().filter(|(_, (_, w))| **w > 0.0) {
                let dx = (i % side) as f64 - patch.radius as f64 - patch.offset.0;
                let dy = (i / side) as f64 - patch.radius as f64 - patch.offset.1;
                let p = f64::from(p).max(0.0) * (-(dx * dx + dy * dy) / (2.0 * WIDTH_PX * WIDTH_PX)).exp();
                light += p;
                x += p * dx;
                y += p * dy;
                xx += p * dx * dx;
                yy += p * dy * dy;
                xy += p * dx * dy;
            }
        }
        let (x, y) = (x / light, y / light);
        let (xx, yy, xy) = (xx / light - x * x, yy / light - y * y, xy / light - x * y);
        let (e1, e2) = (SHARPER * (xx - yy) / (xx + yy), SHARPER * 2.0 * xy / (xx + yy));
        let shrink = (0.6 / e1.hypot(e2)).min(1.0);
        let sound = light > 0.0 && e1.is_finite() && e2.is_finite();
        sound.then_some(if e1 == 0.0 && e2 == 0.0 { (0.0, 0.0) } else { (e1 * shrink, e2 * shrink) })
    }

    fn minimise(&self, start: Point, wanted: f64) -> Option<Found> {
        let mut best = self.evaluate(start)?;
        let mut damping = 1e-2;
        for step in 0..STEPS {
            let mut better = None;
            for _ in 0..TRIES {
                let mut damped = best.normal;
                for (i, row) in damped.iter_mut().enumerate() {
                    row[i] += damping * (row[i] + 1e-6);
                }
                let Some(by) = solve(damped, best.gradient) else { break };
                let tried = self.evaluate(best.point.step(&by));
                if let Some(tried) = tried.filter(|tried| tried.chi2 < best.chi2) {
                    better = Some(tried);
                    break;
                }
                damping *= 8.0;
            }
            let Some(better) = better else { break };
            let gain = best.chi2 - better.chi2;
            best = better;
            damping = (damping / 5.0).max(1e-5);
            if gain < SETTLED || (step > 0 && best.chi2 > wanted + HOPELESS && gain < 0.2 * (best.chi2 - wanted)) {
                break;
            }
        }
        Some(best)
    }

    /// chi^2 at a point, and its slopes.
    fn evaluate(&self, point: Point) -> Option<Found> {
        let transform = self.psf.of(&point.shape);
        let mut found =
            Found { point, chi2: 0.0, normal: [[0.0; PARAMETERS]; PARAMETERS], gradient: [0.0; PARAMETERS] };
        for (patch, psf) in self.patches.iter().zip(&self.transforms) {
            let images = self.images(psf, &transform, point.moved, patch.radius);
            add_band(&mut found, patch, &images);
        }
        found.chi2.is_finite().then_some(found)
    }

    /// The galaxy of unit light and its slopes along size and ellipticity, on the pixels of the patch and a rim of one.
    fn images(&self, psf: &Spectrum, transform: &Transform, moved: (f64, f64), radius: usize) -> [Vec<f64>; 4] {
        let n = self.psf.side();
        let (along_x, along_y) = (self.psf.phases(moved.0), self.psf.phases(moved.1));
        let [ln_radius, e1, e2] = &transform.slopes;
        // Two real images a grid: one in the real part, one in the imaginary one.
        let mut pairs = [Spectrum::zeros(n), Spectrum::zeros(n)];
        for (y, (cos_y, sin_y)) in along_y.into_iter().enumerate() {
            for (x, &(cos_x, sin_x)) in along_x.iter().enumerate() {
                let i = y * n + x;
                let (cos, sin) = (cos_x * cos_y - sin_x * sin_y, cos_x * sin_y + sin_x * cos_y);
                let (re, im) = (psf.re[i] * cos - psf.im[i] * sin, psf.re[i] * sin + psf.im[i] * cos);
                let factors = [(transform.value[i], ln_radius[i]), (e1[i], e2[i])];
                for (pair, (a, b)) in pairs.iter_mut().zip(factors) {
                    (pair.re[i], pair.im[i]) = (re * a - im * b, re * b + im * a);
                }
            }
        }
        let [first, second] = &mut pairs;
        let (image, ln_radius) = self.psf.fourier.inverse_about(first, radius + 1);
        let (e1, e2) = self.psf.fourier.inverse_about(second, radius + 1);
        [image, ln_radius, e1, e2]
    }
}

/// Adds a band's chi^2 and slopes, its best flux, not below 0, taken out of both.
fn add_band(found: &mut Found, patch: &Patch, images: &[Vec<f64>; 4]) {
    let side = 2 * patch.radius + 1;
    let wide = side + 2;
    let used: Vec<(usize, f64, f64)> = (0..side * side)
        .filter(|&i| patch.weights[i] > 0.0)
        .map(|i| {
            let root = f64::from(patch.weights[i]).sqrt();
            ((i / side + 1) * wide + i % side + 1, root, root * f64::from(patch.pixels[i]))
        })
        .collect();
    let column = |image: &[f64]| used.iter().map(|&(at, root, _)| root * image[at]).collect::<Vec<f64>>();
    let data: Vec<f64> = used.iter().map(|u| u.2).collect();
    let model = column(&images[0]);
    let (along, length) = (dot(&data, &model), dot(&model, &model));
    let flux = if length > 0.0 { (along / length).max(0.0) } else { 0.0 };
    let residual: Vec<f64> = data.iter().zip(&model).map(|(d, m)| d - flux * m).collect();
    found.chi2 += dot(&residual, &residual);
    if flux <= 0.0 {
        return;
    }
    let slopes: [Vec<f64>; PARAMETERS] = std::array::from_fn(|p| {
        // Along a shift by the pixels on both sides.
        let shift =
            |by: usize| used.iter().map(move |&(at, root, _)| root * (images[0][at - by] - images[0][at + by]) / 2.0);
        let mut slope = match p {
            3 => shift(1).collect(),
            4 => shift(wide).collect(),
            _ => column(&images[1 + p]),
        };
        let share = dot(&slope, &model) / length;
        slope.iter_mut().zip(&model).for_each(|(s, m)| *s = flux * (*s - share * m));
        slope
    });
    for i in 0..PARAMETERS {
        found.gradient[i] += dot(&slopes[i], &residual);
        for j in 0..PARAMETERS {
            found.normal[i][j] += dot(&slopes[i], &slopes[j]);
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves a symmetric positive system by Gauss's elimination with pivots; `None` where it is singular.
fn solve(mut a: [[f64; PARAMETERS]; PARAMETERS], mut b: [f64; PARAMETERS]) -> Option<[f64; PARAMETERS]> {
    for i in 0..PARAMETERS {
        let pivot = (i..PARAMETERS).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs()))?;
        a.swap(i, pivot);
        b.swap(i, pivot);
        if a[i][i].is_nan() || a[i][i].abs() < 1e-12 {
            return None;
        }
        let (row, value) = (a[i], b[i]);
        for j in (0..PARAMETERS).filter(|&j| j != i) {
            let factor = a[j][i] / row[i];
            a[j].iter_mut().zip(&row).for_each(|(to, from)| *to -= factor * from);
            b[j] -= factor * value;
        }
    }
    let solved = std::array::from_fn(|i| b[i] / a[i][i]);
    solved.iter().all(|v: &f64| v.is_finite()).then_some(solved)
}

#[cfg(test)]
mod tests;
