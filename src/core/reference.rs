//! A frame's catalogue against a catalogue of known stars: where the header puts the sky, and what the calibration
//! makes of their magnitudes. Only this tells a header that is consistent and wrong. It corrects nothing.
//!
//! The shift between two lists of positions is the peak of all their differences within a wide search (as the pattern
//! matching of SCAMP's cross-identification, Bertin 2006, does it for scale and angle already known), refined by the
//! nearest pairs about it.

use serde::{Deserialize, Serialize};

use crate::catalog::{Row, flag};
use crate::frame::{BANDS, PerBand};
use crate::median::median_and_scatter;
use crate::outcome::number_or_nan;
use crate::wcs::Wcs;

/// Farthest that a header may have put the sky, arcsec: a shift beyond it is told as no match at all.
pub const SEARCH_ARCSEC: f64 = 60.0;
/// Side of a cell of the search, arcsec.
const CELL_ARCSEC: f64 = 1.0;
/// Pairs this near after the shift are the same star, arcsec.
const MATCH_ARCSEC: f64 = 1.5;
/// So many of the brightest of each list are searched: enough for a peak, few enough to be cheap.
const BRIGHTEST: usize = 600;
/// A peak of fewer pairs is none.
const LEAST_PAIRS: usize = 4;
/// Fewer stars give no zero point.
const LEAST_STARS: usize = 4;
/// Rows with these flags have no flux to be compared.
const NO_FLUX: u32 = flag::BLENDED | flag::SATURATED | flag::TRUNCATED | flag::BAD_PIXELS;
/// MJD of the Julian epoch 2000, and days of a Julian year.
const J2000_MJD: f64 = 51_544.5;
const YEAR_DAYS: f64 = 365.25;

/// A star of the reference catalogue. What is not known is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceStar {
    /// Right ascension (ICRS) at `epoch_year`, deg.
    pub ra_deg: f64,
    /// Declination (ICRS) at `epoch_year`, deg.
    pub dec_deg: f64,
    /// Proper motion in right ascension times cos(dec), mas/yr.
    pub pm_ra_mas_yr: f64,
    /// Proper motion in declination, mas/yr.
    pub pm_dec_mas_yr: f64,
    /// Julian year of the position.
    pub epoch_year: f64,
    /// Magnitude in each band.
    pub mag: PerBand<f32>,
}

/// The reference catalogue, in memory.
#[derive(Clone, Debug, Default)]
pub struct ReferenceCatalog {
    /// By declination, so that a frame's part is found by bisection.
    stars: Vec<ReferenceStar>,
}

/// How a frame agrees with the reference catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Stars of the reference catalogue that lie on the frame.
    pub stars: usize,
    /// Sources that are one of them; 0 where no shift within [`SEARCH_ARCSEC`] makes the lists agree.
    pub matched: usize,
    /// Median of source minus reference in right ascension times cos(dec), arcsec; NaN without a match.
    #[serde(deserialize_with = "number_or_nan")]
    pub offset_ra_arcsec: f64,
    /// Median of source minus reference in declination, arcsec; NaN without a match.
    #[serde(deserialize_with = "number_or_nan")]
    pub offset_dec_arcsec: f64,
    /// Robust scatter about the offset, of one coordinate, arcsec; NaN without a match.
    #[serde(deserialize_with = "number_or_nan")]
    pub scatter_arcsec: f64,
    /// Median of source minus reference magnitude in each band; NaN where too few have both. Records have it with the
    /// band's quality.
    #[serde(skip)]
    pub zero_point_offset_mag: PerBand<f64>,
}

impl ReferenceCatalog {
    /// Takes the stars; those without a position are left out.
    pub fn new(mut stars: Vec<ReferenceStar>) -> Self {
        stars.retain(|s| s.ra_deg.is_finite() && (-90.0..=90.0).contains(&s.dec_deg));
        stars.sort_by(|a, b| a.dec_deg.total_cmp(&b.dec_deg));
        Self { stars }
    }

    /// Number of stars.
    pub fn len(&self) -> usize {
        self.stars.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.stars.is_empty()
    }

    /// Compares a frame's rows with the stars that lie on it: `size` px, coordinates `wcs`, taken at `mjd` where that is
    /// known.
    pub fn compare(&self, rows: &[Row], wcs: &Wcs, size: (usize, usize), mjd: Option<f64>) -> Option<Agreement> {
        let (width, height) = (size.0 as f64, size.1 as f64);
        let plane = TangentPlane::at(wcs.pixel_to_sky(width / 2.0, height / 2.0)?)?;
        let corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)];
        let reach = |(x, y)| wcs.pixel_to_sky(x, y).and_then(|at| plane.project(at)).map(|(x, y)| x.hypot(y));
        let radius_arcsec = corners.into_iter().filter_map(reach).fold(0.0, f64::max) + SEARCH_ARCSEC;
        let year = mjd.map(|mjd| 2000.0 + (mjd - J2000_MJD) / YEAR_DAYS);
        let near: Vec<Known> = self.near(&plane, radius_arcsec, year);
        let stars = near.iter().filter(|s| s.is_on(wcs, width, height)).count();
        let found: Vec<Found> = rows.iter().filter_map(|row| Found::new(row, &plane)).collect();
        Some(agreement(stars, found, near))
    }

    /// The stars within a radius, brightest first.
    fn near(&self, plane: &TangentPlane, radius_arcsec: f64, year: Option<f64>) -> Vec<Known> {
        let (low, high) = (plane.dec_deg - radius_arcsec / 3600.0, plane.dec_deg + radius_arcsec / 3600.0);
        let from = self.stars.partition_point(|s| s.dec_deg < low);
        let upto = self.stars.partition_point(|s| s.dec_deg <= high);
        let known = |star: &ReferenceStar| {
            let sky = star.at(year);
            let at = plane.project(sky).filter(|(x, y)| x.hypot(*y) <= radius_arcsec)?;
            Some(Known { sky, at, mag: star.mag })
        };
        let mut near: Vec<Known> = self.stars[from..upto].iter().filter_map(known).collect();
        near.sort_by(|a, b| a.brightness().total_cmp(&b.brightness()));
        near
    }
}

impl ReferenceStar {
    /// Its position in a year, deg.
    fn at(&self, year: Option<f64>) -> (f64, f64) {
        let years = year.map_or(0.0, |year| year - self.epoch_year);
        let moved = |mas_yr: f64| if (mas_yr * years).is_finite() { mas_yr * years / 3.6e6 } else { 0.0 };
        let cos_dec = self.dec_deg.to_radians().cos().max(1e-9);
        (self.ra_deg + moved(self.pm_ra_mas_yr) / cos_dec, self.dec_deg + moved(self.pm_dec_mas_yr))
    }
}

/// A reference star near the frame.
struct Known {
    sky: (f64, f64),
    at: (f64, f64),
    mag: PerBand<f32>,
}

impl Known {
    /// The brightest of its magnitudes; without any it counts as faint.
    fn brightness(&self) -> f32 {
        self.mag.iter().copied().filter(|m| m.is_finite()).fold(f32::INFINITY, f32::min)
    }

    fn is_on(&self, wcs: &Wcs, width: f64, height: f64) -> bool {
        let at = wcs.sky_to_pixel(self.sky.0, self.sky.1);
        at.is_some_and(|(x, y)| x > -0.5 && y > -0.5 && x < width - 0.5 && y < height - 0.5)
    }
}

/// A source of the frame.
struct Found<'a> {
    at: (f64, f64),
    row: &'a Row,
    flux: f32,
}

impl<'a> Found<'a> {
    fn new(row: &'a Row, plane: &TangentPlane) -> Option<Self> {
        let flux = row.psf_flux.iter().copied().filter(|f| f.is_finite()).fold(0.0, f32::max);
        Some(Self { at: plane.project((row.ra, row.dec))?, row, flux })
    }
}

fn agreement(stars: usize, mut found: Vec<Found>, near: Vec<Known>) -> Agreement {
    found.sort_by(|a, b| b.flux.total_cmp(&a.flux));
    let none = Agreement {
        stars,
        matched: 0,
        offset_ra_arcsec: f64::NAN,
        offset_dec_arcsec: f64::NAN,
        scatter_arcsec: f64::NAN,
        zero_point_offset_mag: [f64::NAN; BANDS],
    };
    let bright = |n: usize| n.min(BRIGHTEST);
    let Some(mut shift) = coarse_shift(&found[..bright(found.len())], &near[..bright(near.len())]) else { return none };
    let mut pairs = Vec::new();
    for _ in 0..3 {
        pairs = paired(&found, &near, shift);
        if pairs.len() < LEAST_PAIRS {
            return none;
        }
        let along = |k: fn((f64, f64)) -> f64| {
            let mut all: Vec<f64> = pairs.iter().map(|&(f, n)| k(found[f].at) - k(near[n].at)).collect();
            median_and_scatter(&mut all)
        };
        let ((dx, sx), (dy, sy)) = (along(|p| p.0), along(|p| p.1));
        shift = Shift { x: dx, y: dy, scatter: (0.5 * (sx * sx + sy * sy)).sqrt() };
    }
    Agreement {
        matched: pairs.len(),
        offset_ra_arcsec: shift.x,
        offset_dec_arcsec: shift.y,
        scatter_arcsec: shift.scatter,
        zero_point_offset_mag: std::array::from_fn(|b| zero_point_offset(b, &pairs, &found, &near)),
        ..none
    }
}

#[derive(Clone, Copy)]
struct Shift {
    x: f64,
    y: f64,
    scatter: f64,
}

/// The cell of differences that holds most pairs, with its neighbours, if it stands out of chance.
fn coarse_shift(found: &[Found], near: &[Known]) -> Option<Shift> {
    let side = (2.0 * SEARCH_ARCSEC / CELL_ARCSEC) as usize;
    let mut cells = vec![0u32; side * side];
    let cell = |d: f64| {
        let c = (d + SEARCH_ARCSEC) / CELL_ARCSEC;
        (0.0..side as f64).contains(&c).then_some(c as usize)
    };
    let mut total = 0u32;
    for f in found {
        for n in near {
            if let (Some(x), Some(y)) = (cell(f.at.0 - n.at.0), cell(f.at.1 - n.at.1)) {
                cells[y * side + x] += 1;
                total += 1;
            }
        }
    }
    let around = |x: usize, y: usize| -> u32 {
        (y - 1..=y + 1).map(|y| cells[y * side + x - 1..=y * side + x + 1].iter().sum::<u32>()).sum()
    };
    let inner = (1..side - 1).flat_map(|y| (1..side - 1).map(move |x| (x, y)));
    let (pairs, (x, y)) =
        inner.map(|(x, y)| (around(x, y), (x, y))).max_by_key(|(n, at)| (*n, std::cmp::Reverse(*at)))?;
    // Nine cells of chance pairs, and five deviations of a Poisson number: one frame in millions does so by chance,
    // and that among some ten thousand cells.
    let chance = 9.0 * f64::from(total - pairs) / cells.len() as f64;
    let stands_out = pairs as usize >= LEAST_PAIRS && f64::from(pairs) > chance + 5.0 * chance.sqrt() + 1.0;
    let middle = |c: usize| (c as f64 + 0.5) * CELL_ARCSEC - SEARCH_ARCSEC;
    stands_out.then(|| Shift { x: middle(x), y: middle(y), scatter: f64::NAN })
}

/// Indices of sources and stars that are each other's nearest after the shift.
fn paired(found: &[Found], near: &[Known], shift: Shift) -> Vec<(usize, usize)> {
    let mut by_y: Vec<usize> = (0..near.len()).collect();
    by_y.sort_by(|&a, &b| near[a].at.1.total_cmp(&near[b].at.1));
    let within = if shift.scatter.is_finite() { MATCH_ARCSEC } else { MATCH_ARCSEC + CELL_ARCSEC };
    let mut best: Vec<Option<(f64, usize)>> = vec![None; near.len()];
    for (f, source) in found.iter().enumerate() {
        let (x, y) = (source.at.0 - shift.x, source.at.1 - shift.y);
        let from = by_y.partition_point(|&n| near[n].at.1 < y - within);
        let close = by_y[from..].iter().take_while(|&&n| near[n].at.1 <= y + within);
        let distance = |n: usize| (near[n].at.0 - x).hypot(near[n].at.1 - y);
        let nearest = close.map(|&n| (distance(n), n)).filter(|(d, _)| *d <= within).min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((d, n)) = nearest
            && best[n].is_none_or(|(other, _)| d < other)
        {
            best[n] = Some((d, f));
        }
    }
    best.iter().enumerate().filter_map(|(n, b)| b.map(|(_, f)| (f, n))).collect()
}

fn zero_point_offset(b: usize, pairs: &[(usize, usize)], found: &[Found], near: &[Known]) -> f64 {
    let difference = |&(f, n): &(usize, usize)| {
        let (row, known) = (found[f].row, f64::from(near[n].mag[b]));
        let flux = f64::from(row.psf_flux[b]);
        let good = row.flags & NO_FLUX == 0 && flux > 10.0 * f64::from(row.psf_flux_err[b]);
        let difference = 22.5 - 2.5 * flux.log10() - known;
        (good && difference.is_finite()).then_some(difference)
    };
    let mut all: Vec<f64> = pairs.iter().filter_map(difference).collect();
    if all.len() < LEAST_STARS { f64::NAN } else { median_and_scatter(&mut all).0 }
}

/// The gnomonic projection about a point, arcsec.
struct TangentPlane {
    dec_deg: f64,
    wcs: Wcs,
}

impl TangentPlane {
    fn at(centre_deg: (f64, f64)) -> Option<Self> {
        const ARCSEC_DEG: f64 = 1.0 / 3600.0;
        let cd = [[ARCSEC_DEG, 0.0], [0.0, ARCSEC_DEG]];
        Some(Self { dec_deg: centre_deg.1, wcs: Wcs::tangent((1, 1), centre_deg, (0.0, 0.0), cd).ok()? })
    }

    /// East and north of the point; `None` on the other half of the sky.
    fn project(&self, (ra_deg, dec_deg): (f64, f64)) -> Option<(f64, f64)> {
        self.wcs.sky_to_pixel(ra_deg, dec_deg)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    const SIZE: (usize, usize) = (1000, 800);

    fn wcs(ra: f64, dec: f64) -> Wcs {
        let cd = [[-1.1e-4, 0.0], [0.0, 1.1e-4]];
        Wcs::tangent(SIZE, (ra, dec), (500.0, 400.0), cd).unwrap()
    }

    /// Stars on and about a frame, and rows of two thirds of those on it, off by what the header is wrong.
    fn night(at: (f64, f64), error_arcsec: (f64, f64), stars: usize) -> (ReferenceCatalog, Vec<Row>, Wcs) {
        let (mut rng, wcs) = (ChaCha8Rng::seed_from_u64(7), wcs(at.0, at.1));
        let jitter = Normal::new(0.0, 0.05).unwrap();
        let (mut known, mut rows) = (Vec::new(), Vec::new());
        for k in 0..stars {
            let (x, y) = (rng.random_range(-200.0..1200.0), rng.random_range(-200.0..1000.0));
            let (ra_deg, dec_deg) = wcs.pixel_to_sky(x, y).unwrap();
            let mag: f32 = rng.random_range(15.0..20.0);
            known.push(ReferenceStar {
                ra_deg,
                dec_deg,
                pm_ra_mas_yr: f64::NAN,
                pm_dec_mas_yr: 0.0,
                epoch_year: 2016.0,
                mag: [f32::NAN, mag + 0.4, mag, mag - 0.2, mag],
            });
            if k % 3 > 0 && (0.0..1000.0).contains(&x) && (0.0..800.0).contains(&y) {
                let off = |arcsec: f64, rng: &mut ChaCha8Rng| (arcsec + jitter.sample(rng)) / 3600.0;
                let (east, north) = (off(error_arcsec.0, &mut rng), off(error_arcsec.1, &mut rng));
                let flux = 10f32.powf(0.4 * (22.5 - mag));
                rows.push(Row {
                    ra: ra_deg + east / dec_deg.to_radians().cos(),
                    dec: dec_deg + north,
                    psf_flux: [flux, flux, 1.1 * flux, flux, f32::NAN],
                    psf_flux_err: [0.01 * flux; BANDS],
                    ..Row::default()
                });
            }
        }
        (ReferenceCatalog::new(known), rows, wcs)
    }

    #[test]
    fn a_header_that_is_consistent_and_wrong_is_told() {
        for (at, error) in [((150.0, 2.0), (0.0, 0.0)), ((0.01, -41.0), (33.0, -12.0)), ((200.0, 88.5), (-0.5, 0.4))] {
            let (catalog, rows, wcs) = night(at, error, 400);
            let told = catalog.compare(&rows, &wcs, SIZE, None).unwrap();
            // Medians of some 150 stars with .05 arcsec of jitter.
            assert!((told.offset_ra_arcsec - error.0).abs() < 0.02, "{at:?} {told:?}");
            assert!((told.offset_dec_arcsec - error.1).abs() < 0.02, "{at:?} {told:?}");
            assert!((0.04..0.06).contains(&told.scatter_arcsec), "{told:?}");
            assert!(told.matched as f64 > 0.95 * rows.len() as f64 && told.stars > told.matched, "{told:?}");
            let zero = told.zero_point_offset_mag;
            assert!(zero[0].is_nan() && zero[4].is_nan(), "{zero:?}");
            assert!((zero[2] + 2.5 * 1.1f64.log10()).abs() < 1e-4 && (zero[3] - 0.2).abs() < 1e-4, "{zero:?}");
        }
    }

    #[test]
    fn lists_that_have_nothing_in_common_do_not_match() {
        let (_, rows, wcs) = night((150.0, 2.0), (0.0, 0.0), 400);
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut stars = night((150.0, 2.0), (0.0, 0.0), 400).0.stars;
        for star in &mut stars {
            star.ra_deg = 150.0 + rng.random_range(-0.06..0.06);
            star.dec_deg = 2.0 + rng.random_range(-0.05..0.05);
        }
        let told = ReferenceCatalog::new(stars).compare(&rows, &wcs, SIZE, None).unwrap();
        assert!(told.matched == 0 && told.offset_ra_arcsec.is_nan() && told.stars > 100, "{told:?}");
        let empty = ReferenceCatalog::default().compare(&rows, &wcs, SIZE, None).unwrap();
        assert_eq!((empty.stars, empty.matched), (0, 0));
        assert_eq!(ReferenceCatalog::default().compare(&[], &wcs, SIZE, None).unwrap().matched, 0);
    }

    #[test]
    fn stars_are_where_they_have_moved_to() {
        let (catalog, rows, wcs) = night((150.0, 2.0), (0.0, 0.0), 400);
        let mut stars = catalog.stars.clone();
        stars.iter_mut().for_each(|s| (s.pm_ra_mas_yr, s.pm_dec_mas_yr) = (0.0, 200.0));
        let moving = ReferenceCatalog::new(stars);
        let mjd_2011 = J2000_MJD + 11.0 * YEAR_DAYS; // five years before the positions
        let told = moving.compare(&rows, &wcs, SIZE, Some(mjd_2011)).unwrap();
        assert!((told.offset_dec_arcsec - 1.0).abs() < 0.02, "{told:?}");
        assert!(moving.compare(&rows, &wcs, SIZE, None).unwrap().offset_dec_arcsec.abs() < 0.02);
    }
}
