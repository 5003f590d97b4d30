//! Small frames with headers of any kind, drawn from bytes: sound ones of every projection and way of writing, of which
//! some cards are then spoiled, doubled or removed, and whose HDUs come in any order. Who draws from bytes is led by a
//! fuzzer, or by a seed's random numbers.

#[path = "layout.rs"]
mod layout;

use twinpeak_core::files::plain;
use twinpeak_core::frame::{BANDS, Frame, ImageId};
use twinpeak_core::outcome::Rejection;
use twinpeak_core::survey::Survey;
use twinpeak_formats::fits::{self, Limits, NamedBytes};

use layout::Layout;

pub const WIDTH: usize = 70;
pub const HEIGHT: usize = 66;
/// Where positions are compared, 0-based pixels.
pub const POINTS: [(f64, f64); 5] = [(0.0, 0.0), (69.0, 0.0), (0.0, 65.0), (69.0, 65.0), (31.25, 40.5)];

/// A frame's files.
pub struct Drawn {
    /// The HDU with the image; `None` where several have the same right to be it.
    pub image: Option<usize>,
    /// As stored, one a band. They differ in their pixels alone.
    pub files: [Vec<u8>; BANDS],
}

impl Drawn {
    /// What is read of them.
    pub fn read(&self, survey: &Survey) -> Result<Frame, Rejection> {
        let limits = Limits { max_file_bytes: 1 << 20, max_unpacked_bytes: 1 << 21, max_pixels: 1 << 16 };
        let file = |band: usize| NamedBytes {
            name: format!("frame-{}-003918-3-0213.fits", survey.band(band)),
            bytes: self.files[band].clone(),
        };
        let image = ImageId::new("003918-3-0213").expect("an id");
        fits::decode(survey, &image, plain(std::array::from_fn(file)), &limits)
    }
}

/// Cards, each a name and its value as it is written.
type Cards = Vec<(String, String)>;

/// Bytes as choices. Where they are used up, the first of everything is taken.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        let part = u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()]);
        low + (high - low) * f64::from(part) / f64::from(u32::MAX)
    }
}

/// A frame's files.
pub fn draw(bytes: &[u8]) -> Drawn {
    let mut from = Choices(bytes);
    let layout = from.of(&Layout::ALL);
    let mut world = world(&mut from);
    for _ in 0..from.of(&[0, 0, 0, 1, 1, 2]) {
        spoil(&mut world, &mut from);
    }
    let facts = facts(&mut from);
    let packing = from.of(&["", "", "", "x.gz", "x.bz2"]);
    let file = |band: usize| {
        let bytes = layout.file(&[&facts[..], &world].concat(), band);
        fits::pack(packing, bytes).expect("memory takes what is written")
    };
    Drawn { image: layout.image(), files: std::array::from_fn(file) }
}

fn text(value: &str) -> String {
    format!("'{value:8}'")
}

/// A number as one of many writes it.
fn number(from: &mut Choices, value: f64) -> String {
    match from.below(6) {
        1 => format!("{value:.17E}"),
        2 => format!("{value:.17E}").replace('E', "D"),
        3 if value.fract() == 0.0 => format!("{value:.0}"),
        4 => format!("{value:+}"),
        _ => format!("{value:?}").to_uppercase(),
    }
}

/// Sound coordinates.
fn world(from: &mut Choices) -> Cards {
    const CODES: [&str; 11] = ["TAN", "TAN", "TAN-SIP", "TPV", "SCAMP", "SIN", "ZEA", "STG", "ARC", "CAR", "ZPN"];
    let mut cards = Cards::new();
    let code = from.of(&CODES);
    let tpv = matches!(code, "TPV" | "SCAMP");
    let (lon, lat) = if !tpv && from.one_in(6) { (2, 1) } else { (1, 2) };
    let [ra, dec] = if from.one_in(8) { ["GLON-", "GLAT-"] } else { ["RA---", "DEC--"] };
    let suffix = if code == "SCAMP" { "TAN" } else { code };
    let mut put = |key: String, value: String| cards.push((key, value));
    put(format!("CTYPE{lon}"), text(&format!("{ra}{suffix}")));
    put(format!("CTYPE{lat}"), text(&format!("{dec}{suffix}")));
    let (wide, poles) = (from.between(0.0, 360.0), from.between(-89.9, 89.9));
    let lon0 = from.of(&[wide, wide, wide, 0.0, 359.99999, 180.0]);
    let lat0 = from.of(&[poles, poles, poles, 90.0, -90.0, 0.0]);
    for (axis, value) in [(lon, lon0), (lat, lat0)] {
        put(format!("CRVAL{axis}"), number(from, value));
        let middle = from.between(-200.0, 270.0);
        put(format!("CRPIX{axis}"), number(from, middle));
        if from.one_in(3) {
            put(format!("CUNIT{axis}"), text("deg"));
        }
    }
    matrix(&mut cards, from, tpv, lat);
    parameters(&mut cards, from, code, (lon, lat));
    let systems: [&[(&str, &str)]; 12] = [
        &[("RADESYS", "'ICRS'")],
        &[("RADESYS", "'ICRS'"), ("EQUINOX", "2000.0")],
        &[("RADESYS", "'FK5'"), ("EQUINOX", "2000.0")],
        &[],
        &[("EQUINOX", "2000.0")],
        &[("EQUINOX", "1950.0")],
        &[("RADESYS", "'FK5     '"), ("EQUINOX", "1975.0D0")],
        &[("RADESYS", "'FK4'"), ("EPOCH", "1950.")],
        &[("RADECSYS", "'FK4-NO-E'"), ("EQUINOX", "1950")],
        &[("RADESYS", "'ICRS'"), ("EQUINOX", "'J2000.0'")],
        &[("RADESYS", "'FK5'"), ("EQUINOX", "'J2000'")],
        &[("RADECSYS", "'FK5'"), ("RADESYS", "'ICRS'"), ("EQUINOX", "1950.0")],
    ];
    cards.extend(from.of(&systems).iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    cards
}

fn matrix(cards: &mut Cards, from: &mut Choices, in_degrees: bool, lat: usize) {
    let side = from.between(0.36, 0.44) / 3600.0;
    let sides = [side * from.of(&[-1.0, 1.0]), side * from.of(&[1.0, 1.0, 1.2])];
    let turn = from.between(-180.0, 180.0);
    let (sin, cos) = turn.to_radians().sin_cos();
    let mut all = |name: &dyn Fn(usize, usize) -> String, times: [f64; 2], from: &mut Choices| {
        for (i, j, term) in [(1, 1, cos), (1, 2, -sin), (2, 1, sin), (2, 2, cos)] {
            cards.push((name(i, j), number(from, term * times[i - 1])));
        }
    };
    let form = if in_degrees { 0 } else { from.below(5) };
    match form {
        0 => return all(&|i, j| format!("CD{i}_{j}"), sides, from),
        1 => all(&|i, j| format!("PC{i}_{j}"), [1.0; 2], from),
        2 => all(&|i, j| format!("PC{i:03}{j:03}"), [1.0; 2], from),
        3 => cards.push((format!("CROTA{lat}"), number(from, turn))),
        _ => {}
    }
    for axis in 1..=2 {
        cards.push((format!("CDELT{axis}"), number(from, sides[axis - 1])));
    }
}

fn parameters(cards: &mut Cards, from: &mut Choices, code: &str, (lon, lat): (usize, usize)) {
    let mut put = |key: String, value: String| cards.push((key, value));
    match code {
        "TPV" | "SCAMP" => {
            for axis in 1..=2 {
                put(format!("PV{axis}_0"), number(from, 0.0));
                put(format!("PV{axis}_1"), number(from, 1.0));
                for j in [2, 4, 5, 6, 7, 10] {
                    let size = [0.0, 1e-5, 1e-5, 0.0, 1e-3, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2, 1e-2][j];
                    let factor = from.between(-size, size);
                    put(format!("PV{axis}_{j}"), number(from, factor));
                }
            }
        }
        "TAN-SIP" => {
            for stem in ["A", "B"] {
                put(format!("{stem}_ORDER"), "2".into());
                for term in ["2_0", "1_1", "0_2"] {
                    let factor = from.between(-1e-6, 1e-6);
                    put(format!("{stem}_{term}"), number(from, factor));
                }
            }
        }
        "ZPN" => {
            put(format!("PV{lat}_1"), number(from, 1.0));
            put(format!("PV{lat}_3"), number(from, 42.0));
        }
        _ if from.one_in(4) => put("LONPOLE".into(), from.of(&["180.0", "0.0", "150.0", "-27.5"]).into()),
        _ if from.one_in(6) => put(format!("PV{lon}_3"), from.of(&["180.0", "10.0", "-5.0"]).into()),
        _ => {}
    }
}

/// Changes, doubles or removes a card.
fn spoil(cards: &mut Cards, from: &mut Choices) {
    const NAMES: [&str; 56] = [
        "CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CROTA1",
        "CROTA2", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "PC1_1", "PC1_2", "PC2_1", "PC2_2", "PC001001", "PC001002",
        "PV1_0", "PV1_1", "PV1_2", "PV1_3", "PV1_4", "PV1_5", "PV2_0", "PV2_1", "PV2_3", "PV2_7", "PV2_40", "LONPOLE",
        "LATPOLE", "A_ORDER", "B_ORDER", "A_2_0", "B_1_1", "AP_ORDER", "RADESYS", "RADECSYS", "EQUINOX", "EPOCH",
        "CPDIS1", "D2IMDIS1", "WAT1_001", "WCSAXES", "CD1_3", "CTYPE3", "CTYPE1A", "CRVAL1A", "PS1_0", "WCSNAME",
        "A_DMAX", "CD3_3",
    ];
    const VALUES: [&str; 48] = [
        "0",
        "1",
        "-1",
        "0.0",
        "1.0",
        "-1.0",
        "2",
        "2.0",
        "3",
        "30.0",
        "90.0",
        "95.0",
        "180.0",
        "360.0",
        "-1.1D-04",
        "1.1d-4",
        "1.1E-04",
        "1E300",
        "1E-300",
        "NaN",
        "INF",
        "1950.0",
        "1984.0",
        "2000",
        "2000.0",
        "T",
        "F",
        "",
        "'RA---TAN'",
        "'DEC--TAN'",
        "'RA---TNX'",
        "'DEC--TNX'",
        "'DEC--SIN'",
        "'RA---TPV'",
        "'GLON-CAR'",
        "'FREQ'",
        "'deg'",
        "'arcsec'",
        "'degree'",
        "'FK4'",
        "'FK5'",
        "'ICRS'",
        "'B1950'",
        "'J2000'",
        "'LOOKUP'",
        "'150.0'",
        "1,5",
        "'",
    ];
    let name = from.of(&NAMES).to_owned();
    let value = from.of(&VALUES).to_owned();
    match from.below(8) {
        // One of those that are there, which is where it hurts.
        0 | 1 => {
            let at = from.below(cards.len());
            cards[at].1 = value;
        }
        2 => {
            let at = from.below(cards.len());
            cards.remove(at);
        }
        3 => {
            let again = from.of(&cards.iter().collect::<Vec<_>>()).0.clone();
            cards.push((again, value));
        }
        // With its value as it was, which is no fault.
        4 => {
            let again = from.of(&cards.iter().collect::<Vec<_>>()).clone();
            cards.push(again);
        }
        _ => {
            cards.retain(|(key, _)| *key != name);
            cards.push((name, value));
        }
    }
}

/// Units, calibration and times, most of them sound; an empty value is no card.
fn facts(from: &mut Choices) -> Cards {
    type Values = &'static [&'static str];
    let choices: [(&str, Values, Values); 7] = [
        ("BUNIT", &["'nanomaggy'", "'Nanomaggies'", "'nmgy'", ""], &["'Jy'", "'adu'", "7", "'1'"]),
        ("NMGY", &["0.0051", "5.1D-03", "'0.0051'", ""], &["-1.0", "0", "1E30", "NaN", "'x'"]),
        ("EXPTIME", &["53.9", "'53.907456'", "'53.9 s'", ""], &["0", "-1", "1E300", "NaN"]),
        ("TAI", &["4558308519.7", "52758.2", ""], &["0", "-1E300", "NaN", "'now'"]),
        ("DATE-OBS", &["", "'2003-04-29'", "'2003-04-29T04:48:00'"], &["'29/04/03'", "'1900-01-01'", "'never'", "12"]),
        ("MJD-OBS", &["", "52758.2"], &["0.0", "1E300", "'x'"]),
        ("TIMESYS", &["", "'UTC'", "'TAI'", "'TT'"], &["'MOON'", "1"]),
    ];
    let mut cards = Cards::new();
    for (key, sound, spoilt) in choices {
        let values = if from.one_in(24) { spoilt } else { sound };
        cards.push((key.to_owned(), from.of(values).to_owned()));
    }
    cards.retain(|(_, value)| !value.is_empty());
    if from.one_in(24) {
        cards.push(("BSCALE".into(), from.of(&["1.0", "2.0", "-0.5", "0.0", "NaN"]).into()));
        cards.push(("BZERO".into(), from.of(&["0.0", "3.0", "1E30", "'x'"]).into()));
    }
    cards
}
