//! Where each band's pixels lie on the reference band's grid, by world coordinates alone, and whether a shift by whole
//! pixels brings them there.

use super::PreprocessError;
use super::resample::Nodes;
use crate::frame::{Affine, BANDS, Band, Frame, PerBand, Plane, mask};
use crate::survey::Survey;
use crate::wcs::Wcs;

/// Points of the fit along each axis.
const GRID: usize = 8;
/// Largest departure of a band's coordinates from the affine map with which it is cut, px.
const RESIDUAL_PX: f64 = 0.1;
/// Farthest that a shift may leave a pixel from where it belongs, before it is rounded to whole pixels, px. SDSS's bands
/// are up to .76 px from a shift (nine fields, at a corner of the frame, by the drift's rate). What it costs was measured
/// on two simulated fields of 2,500 objects, all bands but the reference turned so that the corners are off by:
///
/// | px | .25 | .5 | 1 | 2 | 4 |
/// | --- | --- | --- | --- | --- | --- |
/// | change of completeness, r < 20 | +.15 % | .00 % | -.24 % | -1.2 % | -16 % |
/// | the same, 20 < r < 21.5 | +.20 % | +.40 % | .00 % | -.8 % | -18 % |
/// | change of starProb's AUC, 20 < r < 21.5 | +.001 | .000 | +.001 | +.004 | +.011 |
/// | scatter of bright stars' g, i, z against truth, mag | .000 | .000 | .000 | .000 | +.002 |
///
/// Stars' fluxes stay unbiased, since cuts are made by the affine map; what is lost is the light that a detection sum
/// smears. Two fields tell .4 % at best.
const DISPLACEMENT_PX: f64 = 1.0;
/// Least part of the reference band's frame that a band must show. Neighbouring fields of a drift scan share a tenth.
const LEAST_OVERLAP: f64 = 0.25;
/// Largest ratio of the bands' pixel scales, either way.
const LARGEST_SCALE: f64 = 4.0;
/// Within this share the survey's pixel scale serves for the frame's: ordinary flexure and refraction.
const SCALE_AGREES: f64 = 0.01;
/// Beyond this share the frame is not what the survey's description is of: binned, or of another camera.
const SCALE_DIFFERS: f64 = 0.2;

/// One band's place.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Reference pixel to band pixel.
    pub(super) to_band: Affine,
    /// Median offset, px.
    pub(super) offset: (f64, f64),
    /// Largest distance of a grid point from the affine map, px.
    pub(super) residual: f64,
    /// Largest distance of a grid point from the shift by `offset`, px.
    pub(super) displacement: f64,
    /// Where every pixel of the reference grid lies, for a band that no shift brings there.
    pub(super) nodes: Option<Nodes>,
    /// Whether its pixels have been moved onto the reference grid: EDGE in its mask is then what it does not show.
    pub(super) moved: bool,
}

impl Place {
    /// The reference band's own, and that of a band that lies on its grid.
    pub(super) const HERE: Self = Self {
        to_band: Affine::IDENTITY,
        offset: (0.0, 0.0),
        residual: 0.0,
        displacement: 0.0,
        nodes: None,
        moved: false,
    };

    /// Whether a shift by whole pixels brings the band onto the reference grid.
    pub(super) fn is_shift(&self) -> bool {
        self.nodes.is_none()
    }

    /// The offset in whole pixels.
    pub(super) fn whole(&self) -> (isize, isize) {
        (self.offset.0.round_ties_even() as isize, self.offset.1.round_ties_even() as isize)
    }
}

/// How one band's grid differs from another's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Angle from the reference band's x axis to this band's, deg.
    pub angle_deg: f64,
    /// Whether one grid is the other's mirror image.
    pub mirrored: bool,
    /// Side of this band's pixel in the reference band's, geometric mean.
    pub scale: f64,
}

impl Turn {
    /// That of a map whose derivatives are `jacobian`: rows are the band's x and y, columns the reference's.
    pub(super) fn of(jacobian: [[f64; 2]; 2]) -> Self {
        let [[a, b], [c, d]] = jacobian;
        let determinant = a * d - b * c;
        let mirrored = determinant < 0.0;
        let angle = if mirrored { (-c - b).atan2(d - a) } else { (c - b).atan2(a + d) };
        Self { angle_deg: angle.to_degrees(), mirrored, scale: determinant.abs().sqrt().recip() }
    }
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mirrored = if self.mirrored { "mirrored and " } else { "" };
        write!(f, "{mirrored}turned by {:.2} deg, its pixels {:.3} times as wide", self.angle_deg, self.scale)
    }
}

/// Side of a pixel at the centre of an image, the geometric mean of both axes, arcsec; `None` off the projection.
fn scale_arcsec(wcs: &Wcs) -> Option<f64> {
    let scale = wcs.pixel_scale_arcsec();
    (scale.is_finite() && scale > 0.0).then_some(scale)
}

/// Side of the reference band's pixel, arcsec: the survey's, where the frame's world coordinates agree with it.
///
/// # Errors
/// [`PreprocessError::OtherScale`] where they say something else altogether.
pub(super) fn pixel_scale_arcsec(frame: &Frame, survey: &Survey) -> Result<f64, PreprocessError> {
    let band = &frame.bands[survey.reference()];
    let wanted = survey.profile().pixel_scale_arcsec;
    let off_the_sky = || PreprocessError::OffTheSky { band: survey.band(survey.reference()).to_owned() };
    let found = scale_arcsec(&band.wcs).ok_or_else(off_the_sky)?;
    let differs = (found / wanted).max(wanted / found) - 1.0;
    if differs > SCALE_DIFFERS {
        let band = survey.band(survey.reference()).to_owned();
        return Err(PreprocessError::OtherScale { band, found_arcsec: found, wanted_arcsec: wanted });
    }
    Ok(if differs < SCALE_AGREES { wanted } else { found })
}

/// Places every band.
pub(super) fn places(frame: &Frame, survey: &Survey) -> Result<PerBand<Place>, PreprocessError> {
    let reference = survey.reference();
    let mut places = [Place::HERE; BANDS];
    for (b, made) in places.iter_mut().enumerate().filter(|(b, _)| *b != reference) {
        let pair = Pair { reference: &frame.bands[reference], band: &frame.bands[b] };
        let names = (survey.band(b), survey.band(reference));
        *made = pair.place(survey.profile().resample).map_err(|misfit| misfit.of(names))?;
    }
    Ok(places)
}

/// Why a band has no place.
enum Misfit {
    Apart { overlap: f64, distance_arcsec: f64, distance_px: f64 },
    OtherGrid { turn: Turn, why: &'static str },
    OffTheSky,
}

impl Misfit {
    fn of(self, (band, reference): (&str, &str)) -> PreprocessError {
        let (band, reference) = (band.to_owned(), reference.to_owned());
        match self {
            Self::Apart { overlap, distance_arcsec, distance_px } => {
                PreprocessError::Misregistered { band, reference, overlap, distance_arcsec, distance_px }
            }
            Self::OtherGrid { turn, why } => PreprocessError::OtherGrid { band, reference, turn, why },
            Self::OffTheSky => PreprocessError::OffTheSky { band },
        }
    }
}

/// A band and the reference band.
struct Pair<'a> {
    reference: &'a Band,
    band: &'a Band,
}

impl Pair<'_> {
    /// Reference pixel to band pixel; `None` where one of them has no place on the sky.
    fn to_band(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let (ra, dec) = self.reference.wcs.pixel_to_sky(x, y)?;
        self.band.wcs.sky_to_pixel(ra, dec)
    }

    fn place(&self, may_resample: bool) -> Result<Place, Misfit> {
        let (width, height) = size(self.reference);
        let step = |length: usize, i: usize| length as f64 * i as f64 / (GRID - 1) as f64;
        let from: Vec<(f64, f64)> = (0..GRID * GRID).map(|i| (step(width, i % GRID), step(height, i / GRID))).collect();
        let to: Vec<Option<(f64, f64)>> = from.iter().map(|&(x, y)| self.to_band(x, y)).collect();
        let shown = |at: Option<(f64, f64)>| at.is_some_and(|at| is_within(at, size(self.band)));
        // A shift loses one line of points.
        let few = to.iter().filter(|at| shown(**at)).count() <= (GRID - 1) * (GRID - 2);
        let overlap = if few { self.overlap() } else { 1.0 };
        if overlap < LEAST_OVERLAP {
            return Err(self.apart(overlap));
        }
        let whole: Option<Vec<(f64, f64)>> = to.iter().copied().collect();
        let fit = whole.map(|to| fit(&from, &to, (width, height)));
        if let Some(fit) = fit.filter(|f| f.residual <= RESIDUAL_PX && f.displacement <= DISPLACEMENT_PX) {
            return Ok(fit);
        }
        // The middle of what the band shows: distortion beyond it says nothing of the band.
        let seen: Vec<(f64, f64)> = from.iter().zip(&to).filter(|(_, to)| shown(**to)).map(|(from, _)| *from).collect();
        let n = seen.len() as f64;
        let middle = seen.iter().fold((0.0, 0.0), |sum, at| (sum.0 + at.0 / n, sum.1 + at.1 / n));
        let turn = Turn::of(self.jacobian(middle).ok_or(Misfit::OffTheSky)?);
        let refuse = |why| Err(Misfit::OtherGrid { turn, why });
        if !may_resample {
            return refuse("the survey forbids resampling (resample = false)");
        }
        let apart = turn.scale.max(turn.scale.recip());
        if apart.is_nan() || apart > LARGEST_SCALE {
            return refuse("scales may differ by a factor of 4 at most");
        }
        let nodes = Nodes::new((width, height), |x, y| self.to_band(x, y));
        Ok(Place { nodes: Some(nodes), ..Place::HERE })
    }

    /// Part of the reference band's frame that the band shows.
    fn overlap(&self) -> f64 {
        const FINE: usize = 64;
        let (width, height) = size(self.reference);
        let middle = |i: usize, length: usize| (i as f64 + 0.5) / FINE as f64 * length as f64 - 0.5;
        let shows = |i: &usize| {
            let at = self.to_band(middle(i % FINE, width), middle(i / FINE, height));
            at.is_some_and(|at| is_within(at, size(self.band)))
        };
        (0..FINE * FINE).filter(shows).count() as f64 / (FINE * FINE) as f64
    }

    /// Derivatives of the map at a reference position.
    fn jacobian(&self, (x, y): (f64, f64)) -> Option<[[f64; 2]; 2]> {
        let (right, left) = (self.to_band(x + 0.5, y)?, self.to_band(x - 0.5, y)?);
        let (up, down) = (self.to_band(x, y + 0.5)?, self.to_band(x, y - 0.5)?);
        Some([[right.0 - left.0, up.0 - down.0], [right.1 - left.1, up.1 - down.1]])
    }

    /// How far the centres lie apart on the sky: a number even where no pixel of one has a place in the other.
    fn apart(&self, overlap: f64) -> Misfit {
        let centre = |band: &Band| {
            let (width, height) = size(band);
            let (x, y) = centre(width, height);
            band.wcs.pixel_to_sky(x, y)
        };
        let (Some(here), Some(there)) = (centre(self.reference), centre(self.band)) else { return Misfit::OffTheSky };
        let Some(scale) = scale_arcsec(&self.reference.wcs) else { return Misfit::OffTheSky };
        let distance_arcsec = separation_arcsec(here, there);
        Misfit::Apart { overlap, distance_arcsec, distance_px: distance_arcsec / scale }
    }
}

fn size(band: &Band) -> (usize, usize) {
    (band.pixels.width(), band.pixels.height())
}

/// The middle of an image, 0-based px.
fn centre(width: usize, height: usize) -> (f64, f64) {
    (width as f64 / 2.0 - 0.5, height as f64 / 2.0 - 0.5)
}

fn is_within(at: (f64, f64), (width, height): (usize, usize)) -> bool {
    (-0.5..=width as f64 + 0.5).contains(&at.0) && (-0.5..=height as f64 + 0.5).contains(&at.1)
}

/// Distance of two places on the sky given by right ascension and declination in degrees (the haversine).
fn separation_arcsec(a: (f64, f64), b: (f64, f64)) -> f64 {
    let half_sine = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin();
    let across = a.1.to_radians().cos() * b.1.to_radians().cos() * half_sine(a.0, b.0).powi(2);
    2.0 * (half_sine(a.1, b.1).powi(2) + across).sqrt().min(1.0).asin().to_degrees() * 3600.0
}

/// The affine map, by least squares over the symmetric grid `from`, and the shift.
fn fit(from: &[(f64, f64)], to: &[(f64, f64)], (width, height): (usize, usize)) -> Place {
    let axis = |points: &[(f64, f64)], pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).collect::<Vec<f64>>();
    let (x, y, to_x, to_y) = (axis(from, |p| p.0), axis(from, |p| p.1), axis(to, |p| p.0), axis(to, |p| p.1));
    let (cx, cy) = (width as f64 / 2.0, height as f64 / 2.0);
    // The grid is symmetric about the centre, so constant, x and y are orthogonal.
    let slope = |at: &[f64], centre: f64, to: &[f64]| {
        let spread: f64 = at.iter().map(|a| (a - centre).powi(2)).sum();
        at.iter().zip(to).map(|(a, t)| (a - centre) * t).sum::<f64>() / spread
    };
    let fit = |to: &[f64]| {
        let mean = to.iter().sum::<f64>() / to.len() as f64;
        let (by_x, by_y) = (slope(&x, cx, to), slope(&y, cy, to));
        [mean - by_x * cx - by_y * cy, by_x, by_y]
    };
    let to_band = Affine { x: fit(&to_x), y: fit(&to_y) };
    let middle = |from: &[f64], to: &[f64]| {
        let mut offsets: Vec<f64> = from.iter().zip(to).map(|(f, t)| t - f).collect();
        offsets.sort_by(f64::total_cmp);
        0.5 * (offsets[offsets.len() / 2 - 1] + offsets[offsets.len() / 2])
    };
    let offset = (middle(&x, &to_x), middle(&y, &to_y));
    let farthest = |map: &dyn Fn(f64, f64) -> (f64, f64)| {
        let distance = |(from, to): (&(f64, f64), &(f64, f64))| {
            let at = map(from.0, from.1);
            (at.0 - to.0).hypot(at.1 - to.1)
        };
        from.iter().zip(to).map(distance).fold(0.0, f64::max)
    };
    let residual = farthest(&|x, y| to_band.apply(x, y));
    let displacement = farthest(&|x, y| (x + offset.0, y + offset.1));
    Place { to_band, offset, residual, displacement, nodes: None, moved: false }
}

/// Brings a band of another size onto a grid of `size` by whole pixels; what it does not show is NO_DATA and EDGE.
/// Returns its place there.
pub(super) fn cropped(band: &mut Band, place: &Place, size: (usize, usize)) -> Place {
    let (dx, dy) = place.whole();
    let mut pixels = Plane::filled(size.0, size.1, 0.0);
    let mut bits = Plane::filled(size.0, size.1, mask::NO_DATA | mask::EDGE);
    for y in 0..size.1 {
        for x in 0..size.0 {
            let (from_x, from_y) = (x as isize + dx, y as isize + dy);
            if let (Some(p), Some(m)) = (band.pixels.get(from_x, from_y), band.mask.get(from_x, from_y)) {
                pixels.set(x, y, p);
                bits.set(x, y, m & !mask::EDGE);
            }
        }
    }
    band.variance = band.variance.take().map(|from| {
        let place = |i: usize| ((i % size.0) as isize + dx, (i / size.0) as isize + dy);
        let at = |i: usize| from.get(place(i).0, place(i).1).unwrap_or(f32::INFINITY);
        Plane::from_pixels(size.0, size.1, (0..size.0 * size.1).map(at).collect())
    });
    (band.pixels, band.mask) = (pixels, bits);
    let left = (dx as f64, dy as f64);
    let [x, by_x, by_y] = place.to_band.x;
    let [y, y_by_x, y_by_y] = place.to_band.y;
    let to_band = Affine { x: [x - left.0, by_x, by_y], y: [y - left.1, y_by_x, y_by_y] };
    Place { to_band, offset: (place.offset.0 - left.0, place.offset.1 - left.1), moved: true, ..place.clone() }
}

/// `out[y][x] = scale * plane[y + dy][x + dx]`, and 0 outside: whole pixels, so that the noise stays white.
pub(crate) fn shifted(plane: &Plane<f32>, (dx, dy): (isize, isize), scale: f32) -> Plane<f32> {
    let (width, height) = (plane.width(), plane.height());
    let mut out = Plane::filled(width, height, 0.0);
    let (from, to) = overlap(dx, width);
    if from == to {
        return out;
    }
    crate::filter::for_row_blocks(&mut out, |first, rows| {
        for (y, row) in rows.chunks_exact_mut(width).enumerate() {
            let y = (first + y) as isize + dy;
            if y >= 0 && (y as usize) < height {
                let source = &plane.row(y as usize)[(from as isize + dx) as usize..];
                for (o, p) in row[from..to].iter_mut().zip(source) {
                    *o = scale * p;
                }
            }
        }
    });
    out
}

/// The part `from..to` of an axis for which `i + d` lies on it too.
pub(super) fn overlap(d: isize, length: usize) -> (usize, usize) {
    let from = (-d).clamp(0, length as isize) as usize;
    let to = (length as isize - d).clamp(from as isize, length as isize) as usize;
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_takes_pixels_from_where_it_says() {
        let plane = Plane::from_pixels(4, 3, (0..12).map(|i| i as f32).collect());
        let s = shifted(&plane, (1, -1), 2.0);
        assert_eq!((s.at(0, 0), s.at(0, 1), s.at(2, 2), s.at(3, 1)), (0.0, 2.0, 14.0, 0.0));
        assert!(shifted(&plane, (-9, 0), 1.0).pixels().iter().all(|v| *v == 0.0));
        assert_eq!((overlap(-9, 4), overlap(9, 4), overlap(0, 4)), ((4, 4), (0, 0), (0, 4)));
    }

    #[test]
    fn a_turn_is_told_from_the_derivatives() {
        let (s, c) = 30f64.to_radians().sin_cos();
        let turn = Turn::of([[0.5 * c, -0.5 * s], [0.5 * s, 0.5 * c]]);
        assert!((turn.angle_deg - 30.0).abs() < 1e-9 && !turn.mirrored && (turn.scale - 2.0).abs() < 1e-9, "{turn}");
        let turn = Turn::of([[-c, -s], [-s, c]]);
        assert!((turn.angle_deg - 30.0).abs() < 1e-9 && turn.mirrored && (turn.scale - 1.0).abs() < 1e-9, "{turn}");
    }

    #[test]
    fn distances_are_those_on_the_sphere() {
        assert!((separation_arcsec((359.9, 0.0), (0.1, 0.0)) - 720.0).abs() < 1e-6);
        assert!((separation_arcsec((10.0, 89.0), (190.0, 89.0)) - 7200.0).abs() < 1e-6);
        assert!((separation_arcsec((10.0, 20.0), (190.0, -20.0)) - 648_000.0).abs() < 1e-3);
    }
}
