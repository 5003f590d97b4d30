//! A case: a sky written in some way, and what is right.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use twinpeak_formats::parquet::read_columns;

use super::image::Image;
use super::sky::{Place, R, Sky};
use crate::common::BANDS;

/// A file of a case; `{id}` in its name is the image's.
pub struct File {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// When it was changed, seconds of Unix; `None` for now.
    pub changed_s: Option<u64>,
}

impl File {
    /// Of a band, with the end of its name.
    pub fn of(band: usize, ending: &str, bytes: Vec<u8>) -> Self {
        Self { name: format!("frame-{}-{{id}}{ending}", BANDS[band]), bytes, changed_s: None }
    }
}

/// A way to write a sky.
pub struct Case {
    /// In words.
    pub name: &'static str,
    /// Its files.
    pub files: fn(&Sky) -> Vec<File>,
    /// What is to become of them.
    pub right: Right,
}

/// What is right.
pub enum Right {
    /// The rows of the sky that is written as the survey does, each where its pixel lies.
    Same(Read),
    /// Rows of which something else holds.
    Rows(fn(&Found) -> Result<String, String>),
    /// Refused, for a reason, in words among which these are.
    Refused(&'static str, &'static [&'static str]),
}

/// What a header says besides the pixels.
pub struct Read {
    /// Where pixels lie, from where they lie as the survey writes them.
    pub place: fn(Place) -> Place,
    /// The middle of the exposure, from its beginning as the survey writes it, MJD TAI.
    pub middle: fn(f64) -> Option<f64>,
    /// Largest median change of a band's fluxes, mag.
    pub mag: f64,
    /// Whether astropy reads such a header as the standard says.
    pub astropy_reads: bool,
}

/// Half of the exposure, days.
pub const HALF_DAYS: f64 = 53.9 / 2.0 / 86_400.0;

impl Default for Read {
    fn default() -> Self {
        Self { place: |usual| usual, middle: |start| Some(start + HALF_DAYS), mag: 5e-3, astropy_reads: true }
    }
}

/// A row, as far as cases ask.
#[derive(Clone, Debug)]
pub struct Row {
    /// Pixel, from 0.
    pub at: (f64, f64),
    /// Degrees, ICRS.
    pub sky: (f64, f64),
    /// PSF flux of each band, nMgy; `None` for null.
    pub flux: [Option<f64>; 5],
    /// Its error.
    pub error: [Option<f64>; 5],
    /// Bits.
    pub flags: u32,
    /// MJD TAI.
    pub middle: Option<f64>,
}

/// S/N of a bright row.
const BRIGHT_SN: f64 = 20.0;

impl Row {
    /// Whether it stands far out of the noise in a band where objects do: fainter ones come and go with their noise.
    fn is_bright(&self) -> bool {
        (1..4).any(|b| matches!((self.flux[b], self.error[b]), (Some(flux), Some(error)) if flux > BRIGHT_SN * error))
    }

    /// The row of the same place.
    pub fn nearest<'a>(&self, rows: &'a [Self]) -> Option<&'a Self> {
        const NEAR_PX: f64 = 1.0;
        let off = |r: &Self| (r.at.0 - self.at.0).hypot(r.at.1 - self.at.1);
        rows.iter().min_by(|a, b| off(a).total_cmp(&off(b))).filter(|r| off(r) < NEAR_PX)
    }
}

/// What became of a case's frame.
#[derive(Clone)]
pub struct Found {
    /// Its rows.
    pub rows: Vec<Row>,
    /// Those of the sky that is written as the survey does.
    pub control: Vec<Row>,
    /// Its record.
    pub record: Value,
}

/// The rows of an image.
pub fn rows(out: &Path, id: &str) -> Vec<Row> {
    let names = [
        "x",
        "y",
        "ra",
        "dec",
        "flags",
        "midpointMjdTai",
        "psfFlux_u",
        "psfFlux_g",
        "psfFlux_r",
        "psfFlux_i",
        "psfFlux_z",
        "psfFluxErr_u",
        "psfFluxErr_g",
        "psfFluxErr_r",
        "psfFluxErr_i",
        "psfFluxErr_z",
    ];
    let cells = read_columns(&out.join(format!("{id}.catalog.parquet")), names).unwrap();
    let row = |c: [Option<f64>; 16]| Row {
        at: (c[0].unwrap(), c[1].unwrap()),
        sky: (c[2].unwrap(), c[3].unwrap()),
        flags: c[4].unwrap() as u32,
        middle: c[5],
        flux: c[6..11].try_into().unwrap(),
        error: c[11..].try_into().unwrap(),
    };
    cells.into_iter().map(row).collect()
}

impl Found {
    /// Bright rows of the control, each with the row of its place, if there is one.
    pub fn pairs(&self) -> Vec<(&Row, Option<&Row>)> {
        let bright = self.control.iter().filter(|c| c.is_bright());
        bright.map(|c| (c, c.nearest(&self.rows))).collect()
    }

    /// Median change of a band's flux over rows of both that are bright in it, mag; NaN where there are none.
    fn change_mag(&self, band: usize) -> f64 {
        let both = self.pairs().into_iter().filter_map(|(c, f)| {
            let (was, error, is) = (c.flux[band]?, c.error[band]?, f?.flux[band]?);
            (was > BRIGHT_SN * error && is > 0.0).then(|| -2.5 * (is / was).log10())
        });
        let mut all: Vec<f64> = both.collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// That the bright rows are the control's but for a share of them: in its places, with its fluxes to `mag`.
    pub fn are_control(&self, share: f64, mag: f64) -> Result<String, String> {
        let pairs = self.pairs();
        let lost: Vec<&Row> = pairs.iter().filter(|(_, f)| f.is_none()).map(|(c, _)| *c).collect();
        let others: Vec<&Row> =
            self.rows.iter().filter(|f| f.is_bright() && f.nearest(&self.control).is_none()).collect();
        let told = format!("{} bright rows, {} lost, {} others", pairs.len(), lost.len(), others.len());
        let allowed = share * pairs.len() as f64;
        if pairs.len() < 20 || lost.len() as f64 > allowed || others.len() as f64 > allowed {
            let places =
                |rows: &[&Row]| rows.iter().map(|r| format!(" {:.0},{:.0}", r.at.0, r.at.1)).collect::<String>();
            return Err(format!("{told}: lost{}; others{}", places(&lost), places(&others)));
        }
        for (band, name) in BANDS.iter().enumerate() {
            let change = self.change_mag(band);
            if change.is_nan() || change.abs() > mag {
                return Err(format!("{told}; {name} changed by {change:.4} mag"));
            }
        }
        Ok(told)
    }

    /// What is left of both where something holds.
    pub fn part(&self, is: impl Fn(&Row) -> bool) -> Self {
        let within = |rows: &[Row]| rows.iter().filter(|r| is(r)).cloned().collect();
        Self { rows: within(&self.rows), control: within(&self.control), record: self.record.clone() }
    }

    /// That the header was understood besides.
    fn is_read(&self, read: &Read, sky: &Sky) -> Result<String, String> {
        let told = self.are_control(0.02, read.mag)?;
        let place = (read.place)(sky.place());
        let off = self.rows.iter().map(|r| place.off_arcsec(r.at, r.sky)).fold(0.0, f64::max);
        if off > place.within_arcsec {
            return Err(format!("{told}; {off:.4} arcsec off"));
        }
        let middle = (read.middle)(sky.bands[R].number("TAI") / 86_400.0);
        let same = |found: Option<f64>| match (found, middle) {
            (Some(found), Some(middle)) => (found - middle).abs() < 1e-7,
            (found, middle) => found == middle,
        };
        match self.rows.iter().find(|r| !same(r.middle)) {
            Some(row) => Err(format!("{told}; in the middle at {:?}, not {middle:?}", row.middle)),
            None => Ok(format!("{told}; {off:.0e} arcsec off")),
        }
    }
}

/// Holds what became of a case against what is right; both sides in words.
pub fn judge(
    case: &Case,
    id: &str,
    out: &Path,
    rejected: &BTreeMap<String, Value>,
    control: &[Row],
) -> Result<String, String> {
    let refusal = rejected.get(id).map(|record| {
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("message"), text("advice"))
    });
    match (&case.right, refusal) {
        (Right::Refused(reason, says), Some((found, message, advice))) => {
            let told = format!("{found}: {message}");
            let line = !message.contains('\n') && !advice.is_empty();
            let right = found == *reason && says.iter().all(|word| message.contains(word)) && line;
            if right { Ok(told) } else { Err(format!("{told} (not {reason}: {says:?})")) }
        }
        (Right::Refused(reason, _), None) => Err(format!("{} rows, and not refused as {reason}", rows(out, id).len())),
        (_, Some((reason, message, _))) => Err(format!("refused: {reason}: {message}")),
        (right, None) => {
            let record = crate::common::results::record(out, id);
            let found = Found { rows: rows(out, id), control: control.to_vec(), record };
            match right {
                Right::Same(read) => found.is_read(read, Sky::usual()),
                Right::Rows(hold) => hold(&found),
                Right::Refused(..) => unreachable!("handled above"),
            }
        }
    }
}

/// All bands as plain files, each changed.
pub fn each(sky: &Sky, change: impl Fn(&mut Image)) -> Vec<File> {
    each_band(sky, |_, image| change(image))
}

/// All bands as plain files, each changed as its index says.
pub fn each_band(sky: &Sky, change: impl Fn(usize, &mut Image)) -> Vec<File> {
    let file = |(b, image): (usize, &Image)| {
        let mut image = image.clone();
        change(b, &mut image);
        File::of(b, ".fits", image.file())
    };
    sky.bands.iter().enumerate().map(file).collect()
}

/// All bands as plain files, one of them changed.
pub fn one(sky: &Sky, band: &str, change: impl Fn(&mut Image)) -> Vec<File> {
    let changed = super::sky::band(band);
    each_band(sky, |b, image| {
        if b == changed {
            change(image);
        }
    })
}

/// A case whose rows are the control's.
pub fn same(name: &'static str, files: fn(&Sky) -> Vec<File>) -> Case {
    Case { name, files, right: Right::Same(Read::default()) }
}

/// A case whose rows are the control's, in other places.
pub fn placed(name: &'static str, place: fn(Place) -> Place, files: fn(&Sky) -> Vec<File>) -> Case {
    Case { name, files, right: Right::Same(Read { place, ..Read::default() }) }
}

/// A case of whose rows something holds.
pub fn holds(name: &'static str, hold: fn(&Found) -> Result<String, String>, files: fn(&Sky) -> Vec<File>) -> Case {
    Case { name, files, right: Right::Rows(hold) }
}

/// A case that is refused.
pub fn refused(
    name: &'static str,
    reason: &'static str,
    says: &'static [&'static str],
    files: fn(&Sky) -> Vec<File>,
) -> Case {
    Case { name, files, right: Right::Refused(reason, says) }
}
