//! From the frame of reference that a header means to ICRS, in which catalogues are.
//!
//! Which frame it is follows the standard (paper II, 3.1): RADESYS, or FK4 for an equinox before 1984, FK5 for a later
//! one, ICRS for none. The transformations are those of astropy.coordinates: IAU 2006 precession for FK5 and the tilt
//! between FK5 and ICRS (USNO Circular 179); for FK4 the E-terms of aberration, Newcomb's precession and the matrix of
//! Murray (1989), for an object that was observed at the equinox's time and does not move in FK5.

use super::axes::Sky;
use super::cards::{CardValue, Cards};
use super::error::{WcsError, contradiction, not_read, unusable};
use super::vector::{IDENTITY, Matrix3, Vector, apply, dot, inverse, product, transpose, turned, unit};

/// The header's frame of reference.
#[derive(Clone, Debug)]
pub(super) struct CelestialFrame {
    /// Name and equinox as the standard writes them; the name is empty for galactic coordinates.
    name: (&'static str, Option<f64>),
    /// FK4's aberration by the ellipse of the Earth's orbit, which is in its positions.
    e_terms: Option<Vector>,
    to_icrs: Matrix3,
    from_icrs: Matrix3,
}

const ARCSEC: f64 = std::f64::consts::PI / 648_000.0;
/// Julian dates of the epochs that the matrices are for.
const J2000_JD: f64 = 2_451_545.0;
const B1950_JD: f64 = 2_433_282.423_459_05;

impl CelestialFrame {
    pub(super) fn of(cards: &Cards<'_>, sky: Sky) -> Result<Self, WcsError> {
        if sky == Sky::Galactic {
            return Ok(Self::rotated("", None, galactic_to_icrs()));
        }
        // RADECSYS is the name of an older draft. DECam's headers have FK5 in the one and ICRS in the other, which are the
        // same to 23 mas; what is farther apart means two places.
        let (new, old) = (cards.text("RADESYS")?, cards.text("RADECSYS")?);
        let frame = Self::named(cards, new.or(old))?;
        match (new, old) {
            (Some(new), Some(old)) if new != old && !Self::named(cards, Some(old)).is_ok_and(|o| o.is_near(&frame)) => {
                let problem = format!("the one is {new:?}, the other {old:?}");
                Err(contradiction("RADESYS and RADECSYS", &problem))
            }
            _ => Ok(frame),
        }
    }

    /// Whether all directions are the same in ICRS, but for a tenth of an arcsec.
    fn is_near(&self, other: &Self) -> bool {
        IDENTITY.iter().all(|axis| {
            let (here, there) = (self.to_icrs(*axis), other.to_icrs(*axis));
            (0..3).map(|k| (here[k] - there[k]).powi(2)).sum::<f64>().sqrt() < 0.1 * ARCSEC
        })
    }

    fn named(cards: &Cards<'_>, named: Option<&str>) -> Result<Self, WcsError> {
        if named == Some("ICRS") {
            return Ok(Self::rotated("ICRS", None, IDENTITY));
        }
        let card = ["EQUINOX", "EPOCH"].into_iter().find(|card| cards.has(card) && !is_blank(cards, card));
        let year = card.map(|card| equinox(cards, card, named)).transpose()?;
        if let (Some(card), Some(year)) = (card, year)
            && !(1800.0..2200.0).contains(&year)
        {
            return Err(unusable(card, year, "is no year of an equinox, and the frame is not said to be ICRS"));
        }
        match (named, year) {
            (None, None) => Ok(Self::rotated("ICRS", None, IDENTITY)),
            (Some("FK5"), _) => Ok(Self::fk5(year.unwrap_or(2000.0))),
            (Some("FK4"), _) => Ok(Self::fk4(year.unwrap_or(1950.0), true)),
            (Some("FK4-NO-E"), _) => Ok(Self::fk4(year.unwrap_or(1950.0), false)),
            (None, Some(year)) if year < 1984.0 => Ok(Self::fk4(year, true)),
            (None, Some(year)) => Ok(Self::fk5(year)),
            (Some(other), _) => Err(not_read("RADESYS", other, "ICRS, FK5, FK4 and FK4-NO-E are")),
        }
    }

    /// The cards by which another reader knows the frame.
    pub(super) fn cards(&self) -> Vec<(String, CardValue)> {
        let (name, equinox) = self.name;
        let named = (!name.is_empty()).then(|| ("RADESYS".to_owned(), CardValue::Text(name.to_owned())));
        named.into_iter().chain(equinox.map(|year| ("EQUINOX".to_owned(), CardValue::Real(year)))).collect()
    }

    /// A direction of this frame in ICRS.
    pub(super) fn to_icrs(&self, v: Vector) -> Vector {
        match self.e_terms {
            None => apply(&self.to_icrs, v),
            Some(e) => {
                let along = dot(e, v);
                let without = [0, 1, 2].map(|k| v[k] - e[k] + along * v[k]);
                unit(apply(&self.to_icrs, unit(without)))
            }
        }
    }

    /// A direction of ICRS in this frame.
    pub(super) fn of_icrs(&self, v: Vector) -> Vector {
        match self.e_terms {
            None => unit(apply(&self.from_icrs, v)),
            Some(e) => {
                let bare = unit(apply(&self.from_icrs, v));
                // v = (length of (v - e + (e.v) v) times bare + e) / (1 + e.v); each turn gains a factor of 1e-6.
                let mut v = bare;
                for _ in 0..4 {
                    let along = dot(e, v);
                    let length = dot(bare, [0, 1, 2].map(|k| v[k] - e[k] + along * v[k]));
                    v = unit([0, 1, 2].map(|k| length * bare[k] + e[k]));
                }
                v
            }
        }
    }

    fn rotated(name: &'static str, equinox: Option<f64>, to_icrs: Matrix3) -> Self {
        Self { name: (name, equinox), e_terms: None, to_icrs, from_icrs: inverse(&to_icrs) }
    }

    fn fk5(equinox: f64) -> Self {
        let to_j2000 = transpose(&precession((equinox - 2000.0) / 100.0));
        Self::rotated("FK5", Some(equinox), product(&fk5_to_icrs(), &to_j2000))
    }

    fn fk4(equinox: f64, with_e_terms: bool) -> Self {
        let jd = 2_415_020.313_52 + (equinox - 1900.0) * 365.242_198_781;
        let julian_year = 2000.0 + (jd - J2000_JD) / 365.25;
        let centuries = (julian_year - 1950.0) / 100.0;
        let turning: Matrix3 =
            std::array::from_fn(|i| std::array::from_fn(|j| B1950_TO_J2000[i][j] + centuries * 1e-6 * FK4_SPIN[i][j]));
        let to_j2000 = product(&turning, &newcomb_precession(equinox, 1950.0));
        let name = if with_e_terms { "FK4" } else { "FK4-NO-E" };
        let rotated = Self::rotated(name, Some(equinox), product(&fk5_to_icrs(), &to_j2000));
        // Without its E-terms FK4 still is no pure rotation, so lengths are made good there as well.
        Self { e_terms: Some(if with_e_terms { e_terms(jd) } else { [0.0; 3] }), ..rotated }
    }
}

/// The year of the equinox. As text it is no number by the standard, and other readers pass it over; it is taken where it
/// says what they then take by default, `J2000` for FK5 and `B1950` for FK4.
fn equinox(cards: &Cards<'_>, card: &str, named: Option<&str>) -> Result<f64, WcsError> {
    let Ok(Some(text)) = cards.text(card) else { return cards.needed(card) };
    let (letter, default) = match named {
        Some("FK5") => ('J', 2000.0),
        Some("FK4" | "FK4-NO-E") => ('B', 1950.0),
        _ => return Err(unusable(card, text, "is text: write the year as a number, and RADESYS beside it")),
    };
    let own = text.chars().next().filter(|first| matches!(first, 'J' | 'B'));
    if own.is_some_and(|own| own != letter) {
        let problem = format!("years of FK5 are J, of FK4 B, and it is {text:?}");
        return Err(contradiction(&format!("RADESYS and {card}"), &problem));
    }
    match text.trim_start_matches(letter).parse::<f64>() {
        Ok(year) if year == default => Ok(year),
        _ => Err(unusable(card, text, "is text, which readers pass over: write the year as a number")),
    }
}

fn is_blank(cards: &Cards<'_>, card: &str) -> bool {
    matches!(cards.text(card), Ok(None))
}

/// USNO Circular 179, 3.5.
fn fk5_to_icrs() -> Matrix3 {
    let (eta0, xi0, da0) = (-0.0199 * ARCSEC, 0.0091 * ARCSEC, -0.0229 * ARCSEC);
    transpose(&product(&turned(0, -eta0), &product(&turned(1, xi0), &turned(2, da0))))
}

/// From J2000 to the mean equator and equinox `t` Julian centuries later: Capitaine et al. (2003), equations 37 to 40.
fn precession(t: f64) -> Matrix3 {
    let polynomial = |factors: [f64; 6]| factors.iter().rev().fold(0.0, |sum, c| sum * t + c) * ARCSEC;
    let eps0 = 84_381.406 * ARCSEC;
    let psi = polynomial([0.0, 5_038.481_507, -1.079_006_9, -0.001_140_45, 0.000_132_851, -0.000_000_095_1]);
    let omega = eps0 + polynomial([0.0, -0.025_754, 0.051_262_3, -0.007_725_03, -0.000_000_467, 0.000_000_333_7]);
    let chi = polynomial([0.0, 10.556_403, -2.381_429_2, -0.001_211_97, 0.000_170_663, -0.000_000_056_0]);
    let ecliptic = product(&turned(2, -psi), &turned(0, eps0));
    product(&turned(2, chi), &product(&turned(0, -omega), &ecliptic))
}

/// Newcomb's precession between two Besselian years (Explanatory Supplement 1992, 3.214).
fn newcomb_precession(from: f64, to: f64) -> Matrix3 {
    let t = (from - 1850.0) / 1000.0;
    let dt = (to - 1850.0) / 1000.0 - t;
    let common = (0.060 * t + 139.720) * t + 23_035.545;
    let zeta = ((17.995 * dt + (-0.27 * t + 30.240)) * dt + common) * dt * ARCSEC;
    let z = ((18.325 * dt + (109.480 + 0.39 * t)) * dt + common) * dt * ARCSEC;
    let theta = (-0.37 * t - 85.29) * t + 20_051.12;
    let theta = ((-41.8 * dt + (-0.37 * t - 42.65)) * dt + theta) * dt * ARCSEC;
    product(&turned(2, -z), &product(&turned(1, theta), &turned(2, -zeta)))
}

/// Explanatory Supplement (1992), 3.53: aberration by the eccentricity of the Earth's orbit.
fn e_terms(jd: f64) -> Vector {
    let t = (jd - B1950_JD) / 36_525.0;
    let aberration = 0.005_693_2f64.to_radians() * ((-0.000_000_126 * t - 0.000_041_93) * t + 0.016_730_11);
    let perigee = (((0.012 * t + 1.65) * t + 6190.67) * t + 1_015_489.951) * ARCSEC;
    let t = (jd - J2000_JD) / 36_525.0;
    let obliquity = (84_381.448 + (-46.8150 + (-0.000_59 + 0.001_813 * t) * t) * t) * ARCSEC;
    let across = -aberration * perigee.cos();
    [aberration * perigee.sin(), across * obliquity.cos(), across * obliquity.sin()]
}

/// The pole and the zero of longitude of Liu, Zhu & Zhang (2011), by way of FK5.
fn galactic_to_icrs() -> Matrix3 {
    let about_pole = turned(2, (180.0 - 122.931_918_568_002_6f64).to_radians());
    let tilt = turned(1, (90.0 - 27.128_251_180_856_22f64).to_radians());
    let to_galactic = product(&about_pole, &product(&tilt, &turned(2, 192.859_481_206_534_8f64.to_radians())));
    product(&fk5_to_icrs(), &transpose(&to_galactic))
}

/// Murray (1989), equation 28.
const B1950_TO_J2000: Matrix3 = [
    [0.999_925_679_495_687_7, -0.011_181_483_220_466_2, -0.004_859_003_815_359_2],
    [0.011_181_483_239_171_7, 0.999_937_484_893_313_5, -0.000_027_162_594_714_2],
    [0.004_859_003_772_314_3, -0.000_027_170_293_744_0, 0.999_988_194_602_374_2],
];
/// Murray (1989), equation 29: FK4 turns against FK5, by this in 1e-6 a Julian century.
const FK4_SPIN: Matrix3 = [
    [-0.002_645_526_2, -1.153_991_868_9, 2.111_134_619_0],
    [1.154_062_816_1, -0.012_904_299_7, 0.023_602_147_8],
    [-2.111_297_904_8, -0.005_602_444_8, 0.010_258_773_4],
];
