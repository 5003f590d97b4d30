//! What the two axes of an image are: which is the longitude, of which sky, in which projection and unit.

use super::cards::Cards;
use super::error::{WcsError, missing, not_read, unusable};

/// The sky's coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sky {
    /// Right ascension and declination.
    Equatorial,
    /// Galactic longitude and latitude.
    Galactic,
}

/// The two axes of an image.
pub(super) struct Axes {
    pub sky: Sky,
    /// Index of the axis of longitude, 0 or 1.
    pub lon: usize,
    /// The projection's three letters.
    pub code: String,
    /// Whether CTYPE ends in `-SIP`.
    pub says_sip: bool,
    /// Degrees of one unit of each axis.
    pub unit_deg: [f64; 2],
}

/// Beginning of CTYPE, the sky, and whether it is the longitude.
const NAMES: [(&str, Sky, bool); 4] = [
    ("RA---", Sky::Equatorial, true),
    ("DEC--", Sky::Equatorial, false),
    ("GLON-", Sky::Galactic, true),
    ("GLAT-", Sky::Galactic, false),
];

impl Axes {
    pub(super) fn of(cards: &Cards<'_>) -> Result<Self, WcsError> {
        let mut found = Vec::new();
        for key in ["CTYPE1", "CTYPE2"] {
            let text = cards.text(key)?.ok_or_else(|| missing(key))?;
            let named = NAMES.iter().find_map(|(begin, sky, is_lon)| Some((*sky, *is_lon, text.strip_prefix(begin)?)));
            let Some((sky, is_lon, rest)) = named else {
                return Err(not_read(key, text, "RA---, DEC--, GLON- and GLAT- with a projection are"));
            };
            let (code, says_sip) = rest.strip_suffix("-SIP").map_or((rest, false), |code| (code, true));
            found.push((sky, is_lon, code, says_sip, text));
        }
        let (first, second) = (found[0], found[1]);
        if first.0 != second.0 || first.1 == second.1 {
            return Err(unusable("CTYPE2", second.4, &format!("is no partner of CTYPE1 = {:?}", first.4)));
        }
        if first.2 != second.2 {
            let problem = format!("is another projection than CTYPE1 = {:?}", first.4);
            return Err(unusable("CTYPE2", second.4, &problem));
        }
        Ok(Self {
            sky: first.0,
            lon: usize::from(!first.1),
            code: first.2.to_owned(),
            says_sip: first.3 || second.3,
            unit_deg: [unit_deg(cards, "CUNIT1")?, unit_deg(cards, "CUNIT2")?],
        })
    }

    /// Index of the axis of latitude.
    pub(super) fn lat(&self) -> usize {
        1 - self.lon
    }

    /// CTYPE of an axis in full.
    pub(super) fn ctype(&self, axis: usize, code: &str, sip: bool) -> String {
        let of = NAMES.iter().find(|(_, sky, is_lon)| *sky == self.sky && *is_lon == (axis == self.lon));
        let (begin, ..) = of.expect("every axis has its name in the table");
        format!("{begin}{code}{}", if sip { "-SIP" } else { "" })
    }
}

/// Degrees of an axis's unit; without the card it is the degree.
fn unit_deg(cards: &Cards<'_>, key: &str) -> Result<f64, WcsError> {
    let Some(text) = cards.text(key)? else { return Ok(1.0) };
    match text.to_ascii_lowercase().as_str() {
        "deg" | "degree" | "degrees" => Ok(1.0),
        "arcmin" => Ok(1.0 / 60.0),
        "arcsec" => Ok(1.0 / 3600.0),
        "mas" => Ok(1.0 / 3_600_000.0),
        "rad" => Ok(1f64.to_degrees()),
        _ => Err(unusable(key, text, "is no angle: deg, arcmin, arcsec, mas or rad is")),
    }
}
