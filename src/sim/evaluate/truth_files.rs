//! The truth: a table that `simulate` wrote, or two lists of positions, one of stars and one of galaxies.

use std::io;
use std::path::{Path, PathBuf};

use super::{Known, TrueObject};
use crate::Profile;
use crate::truth::SKY;
use twinpeak_core::frame::PerBand;
use twinpeak_core::survey::Survey;

/// Why a truth cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// File that could not be read.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {source}", file.display())]
    Malformed {
        /// File that is malformed.
        file: PathBuf,
        /// What is wrong in it.
        source: Malformed,
    },
}

/// What is wrong in a file of the truth. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The header lacks a column of this name.
    #[error("the header names no column {0}")]
    NoColumn(&'static str),
    /// A line has fewer cells than the header.
    #[error("line {line}: too few columns")]
    TooFewColumns {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A class of no kind that is known.
    #[error("line {line}: class {class:?} is not one of star, qso, galaxy")]
    Class {
        /// Number of the line, from 1.
        line: usize,
        /// The class as it stands there.
        class: String,
    },
    /// A line of a list that is no position.
    #[error("line {line}: is not x,y")]
    NoPosition {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A cell that is no number.
    #[error("line {line}: {text:?} is not a number")]
    NoNumber {
        /// Number of the line, from 1.
        line: usize,
        /// The cell as it stands there.
        text: String,
    },
}

/// Reads a `.csv` table with a header, or `STEM_stars.csv` and `STEM_gals.csv`; `band` is the reference band, whose
/// magnitudes are taken.
///
/// # Errors
/// [`TruthError`], naming the file and the line.
pub fn read(path: &Path, band: &str) -> Result<Vec<TrueObject>, TruthError> {
    if is_table(path) {
        return in_file(path, |text| table(text, band));
    }
    let mut all = Vec::new();
    for (suffix, star) in [("_stars.csv", true), ("_gals.csv", false)] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        all.extend(in_file(Path::new(&name), |text| positions(text, star))?);
    }
    Ok(all)
}

/// All that the file tells of each object, and the id of the image whose sky it is, where it is another's.
///
/// # Errors
/// [`TruthError`], naming the file and the line.
pub fn read_known(path: &Path, survey: &Survey) -> Result<(Vec<Known>, Option<String>), TruthError> {
    if is_table(path) {
        return in_file(path, |text| {
            let sky = text.lines().find_map(|line| line.strip_prefix(SKY.trim_end())).map(|id| id.trim().to_owned());
            Ok((known(text, survey)?, sky))
        });
    }
    let objects = read(path, survey.band(survey.reference()))?;
    Ok((objects.into_iter().map(Known::from).collect(), None))
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "csv")
}

fn in_file<T>(file: &Path, parse: impl Fn(&str) -> Result<T, Malformed>) -> Result<T, TruthError> {
    let text =
        std::fs::read_to_string(file).map_err(|source| TruthError::Unreadable { file: file.to_owned(), source })?;
    parse(&text).map_err(|source| TruthError::Malformed { file: file.to_owned(), source })
}

/// A table with at least the columns `class`, `x`, `y`, and magnitudes under `mag_` and the band's name. Lines that
/// begin with `#` say something to people.
fn table(text: &str, band: &str) -> Result<Vec<TrueObject>, Malformed> {
    let mag = format!("mag_{band}");
    records(text)?.map(|record| object(&record?, &mag)).collect()
}

/// The same with all that `simulate` tells of an object.
fn known(text: &str, survey: &Survey) -> Result<Vec<Known>, Malformed> {
    let names: PerBand<String> = std::array::from_fn(|b| format!("mag_{}", survey.band(b)));
    let of = |record: Record| {
        let object = object(&record, &names[survey.reference()])?;
        let mut mag = [f64::NAN; 5];
        for b in survey.planes() {
            mag[b] = record.number(&names[b])?.unwrap_or(f64::NAN);
        }
        let all = |names: [&str; 3]| -> Result<Option<[f64; 3]>, Malformed> {
            let [a, b, c] = names.map(|name| record.number(name));
            Ok(a?.zip(b?).zip(c?).map(|((a, b), c)| [a, b, c]))
        };
        Ok(Known {
            object,
            id: record.number("id")?.map(|id| id as u32),
            sky_deg: record.number("ra")?.zip(record.number("dec")?),
            mag,
            profile: record.text("profile").and_then(Profile::named),
            shape: all(["r_e_arcsec", "q", "theta_deg"])?,
            is_saturated: record.number("saturated")?.map(|bands| bands > 0.0),
        })
    };
    records(text)?.map(|record| of(record?)).collect()
}

fn object(record: &Record, mag: &str) -> Result<TrueObject, Malformed> {
    let (class, line) = (record.cell("class")?, record.line);
    let star = is_star(class).ok_or_else(|| Malformed::Class { line, class: class.to_owned() })?;
    // An object without light in the band has no magnitude there.
    let mag = record.number(mag)?.filter(|m| m.is_finite());
    Ok(TrueObject { x: number(record.cell("x")?, line)?, y: number(record.cell("y")?, line)?, star, mag })
}

/// One line of a table, read by the header's names.
struct Record<'a> {
    header: std::rc::Rc<Vec<&'a str>>,
    cells: Vec<&'a str>,
    line: usize,
}

impl<'a> Record<'a> {
    /// A cell of a column that the header has.
    fn text(&self, name: &str) -> Option<&'a str> {
        self.cells.get(self.header.iter().position(|h| *h == name)?).copied()
    }

    fn cell(&self, name: &'static str) -> Result<&'a str, Malformed> {
        self.text(name).ok_or(Malformed::NoColumn(name))
    }

    /// `None` where the header has no such column.
    fn number(&self, name: &str) -> Result<Option<f64>, Malformed> {
        self.text(name).map(|text| number(text, self.line)).transpose()
    }
}

/// Lines below the header that are no comments, each with as many cells as the header has names.
fn records(text: &str) -> Result<impl Iterator<Item = Result<Record<'_>, Malformed>>, Malformed> {
    let split = |line| -> Vec<&str> { str::split(line, ',').map(str::trim).collect() };
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let header = std::rc::Rc::new(lines.next().map(|(_, line)| split(line)).unwrap_or_default());
    for name in ["class", "x", "y"] {
        header.contains(&name).then_some(()).ok_or(Malformed::NoColumn(name))?;
    }
    Ok(lines.map(move |(i, text)| {
        let (cells, line) = (split(text), i + 1);
        let enough = cells.len() >= header.len();
        enough.then(|| Record { header: header.clone(), cells, line }).ok_or(Malformed::TooFewColumns { line })
    }))
}

/// Whether a class's name or number is one of points; `None` for no class that is known.
pub fn is_star(class: &str) -> Option<bool> {
    match class {
        "star" | "qso" | "6" => Some(true),
        "galaxy" | "3" => Some(false),
        _ => None,
    }
}

/// Lines `x,y` without a header.
fn positions(text: &str, star: bool) -> Result<Vec<TrueObject>, Malformed> {
    let object = |(i, text): (usize, &str)| {
        let line = i + 1;
        let (x, y) = text.split_once(',').ok_or(Malformed::NoPosition { line })?;
        Ok(TrueObject { x: number(x, line)?, y: number(y, line)?, star, mag: None })
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(object).collect()
}

fn number(text: &str, line: usize) -> Result<f64, Malformed> {
    text.trim().parse().map_err(|_| Malformed::NoNumber { line, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Spec, simulate};
    use twinpeak_core::survey::Survey;

    #[test]
    fn a_table_is_read_by_its_header() {
        let text = "# x: px\nid,class,x,y,mag_g,mag_r\n1,star,10.5,20,19,18.5\n\n2,galaxy,1,2,22,nan\n";
        let objects = table(text, "r").unwrap();
        assert_eq!(objects[0], TrueObject { x: 10.5, y: 20.0, star: true, mag: Some(18.5) });
        assert_eq!(objects[1], TrueObject { x: 1.0, y: 2.0, star: false, mag: None });
        assert_eq!(table(text, "z").unwrap()[0].mag, None);
    }

    #[test]
    fn faults_name_their_line() {
        for (text, part) in [
            ("id,x,y\n", "no column class"),
            ("# no\nclass,x,y\nstar,1,2\nplanet,1,2\n", "line 4: class \"planet\""),
            ("class,x,y\nstar,1\n", "line 2: too few columns"),
            ("class,x,y\nstar,a,2\n", "line 2: \"a\" is not a number"),
        ] {
            let error = format!("{:#}", table(text, "r").unwrap_err());
            assert!(error.contains(part), "{error}");
        }
        assert!(format!("{:#}", positions("1,2\n3\n", true).unwrap_err()).contains("line 2"));
    }

    #[test]
    fn a_simulation_is_read_whole() {
        let survey = Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap();
        let spec = Spec { width: 128, height: 128, sources: Some(20), ..Spec::default() };
        let made = simulate(&spec, &survey).unwrap();
        let (id, made) = (made.frame.id, made.truth);
        let read = table(&made.to_csv(&survey, &id), "r").unwrap();
        assert_eq!(read.len(), made.objects.len());
        let all = known(&made.to_csv(&survey, &id), &survey).unwrap();
        for ((all, read), made) in all.iter().zip(&read).zip(&made.objects) {
            assert_eq!((all.object, all.id, all.profile), (*read, Some(made.id), Some(made.profile)));
            assert!((all.mag[0] - made.mag[0]).abs() < 1e-4 && all.is_saturated.is_none());
        }
        for (read, made) in read.iter().zip(&made.objects) {
            assert_eq!(read.star, made.class.is_point());
            assert!((read.x - made.x).abs() < 1e-4 && (read.mag.unwrap() - made.mag[2]).abs() < 1e-4);
        }
    }

    #[test]
    fn a_stem_is_two_lists() {
        let folder = tempfile::tempdir().unwrap();
        let stem = folder.path().join("003918-3-0213");
        std::fs::write(folder.path().join("003918-3-0213_stars.csv"), "1,2\n3,4\n").unwrap();
        assert!(format!("{:#}", read(&stem, "r").unwrap_err()).contains("_gals.csv"));
        std::fs::write(folder.path().join("003918-3-0213_gals.csv"), "5,6\n").unwrap();
        let stars: Vec<_> = read(&stem, "r").unwrap().into_iter().map(|o| (o.x, o.star)).collect();
        assert_eq!(stars, [(1.0, true), (3.0, true), (5.0, false)]);
    }
}
