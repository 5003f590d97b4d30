//! All that is judged of a published catalogue, from its Parquet or its FITS file. Columns that this version of the rows lacks
//! are left empty.

use std::path::Path;

use anyhow::ensure;
use twinpeak_cfitsio::table::Table;
use twinpeak_core::survey::Survey;
use twinpeak_formats::parquet::{column_names, read_numbers};
use twinpeak_sim::evaluate::{FluxKind, Measured, Row};

/// Reads the rows of a catalogue's file.
///
/// # Errors
/// Where it cannot be read or lacks a column that every version has, naming the file.
pub(crate) fn read(file: &Path, survey: &Survey) -> anyhow::Result<Vec<Row>> {
    let columns = Columns::read(file, survey)?;
    let rows = columns.numbers.first().map_or(0, Vec::len);
    Ok((0..rows).map(|k| columns.row(k, survey)).collect())
}

/// The names that are asked for, and the columns that are there.
struct Columns {
    names: Vec<String>,
    numbers: Vec<Vec<f64>>,
}

/// Columns of every version.
const NEEDED: [&str; 11] =
    ["x", "y", "xErr", "yErr", "ra", "dec", "raErr", "decErr", "starProb", "starProbErr", "flags"];
/// Of rows that are part of a larger object.
const PARENT: &str = "parentId";
/// Columns of the model, and with `Err` its errors.
const MODEL: [&str; 3] = ["modelRadius", "modelAxisRatio", "modelTheta"];

impl Columns {
    fn read(file: &Path, survey: &Survey) -> anyhow::Result<Self> {
        let reference = format!("psfMag_{}", survey.band(survey.reference()));
        let mut wanted: Vec<String> =
            NEEDED.iter().map(|n| (*n).to_owned()).chain([reference, "theta".into(), PARENT.into()]).collect();
        wanted.extend(MODEL.iter().flat_map(|name| [(*name).to_owned(), format!("{name}Err")]));
        for (kind, b) in FluxKind::ALL.into_iter().flat_map(|kind| survey.planes().map(move |b| (kind, b))) {
            wanted.extend(["", "Err"].map(|err| format!("{}{err}_{}", kind.column(), survey.band(b))));
        }
        let is_fits = file.extension().is_some_and(|e| e == "fits");
        let (names, numbers) = if is_fits {
            let mut table = Table::open(file, None)?;
            let names: Vec<String> = wanted.into_iter().filter(|name| table.has(name)).collect();
            let numbers = names.iter().map(|name| table.reals(name)).collect::<Result<_, _>>()?;
            (names, numbers)
        } else {
            let there = column_names(file)?;
            let names: Vec<String> = wanted.into_iter().filter(|name| there.contains(name)).collect();
            let asked: Vec<&str> = names.iter().map(String::as_str).collect();
            let numbers = read_numbers(file, &asked)?;
            (names, numbers)
        };
        for name in NEEDED {
            ensure!(names.iter().any(|n| n == name), "{}: it has no column {name}", file.display());
        }
        Ok(Self { names, numbers })
    }

    /// NaN where the column is not there or its cell is empty.
    fn value(&self, name: &str, row: usize) -> f64 {
        self.names.iter().position(|n| n == name).map_or(f64::NAN, |c| self.numbers[c][row])
    }

    fn row(&self, k: usize, survey: &Survey) -> Row {
        let value = |name: &str| self.value(name, k);
        let measured = |name: &str| Measured { value: value(name), error: value(&format!("{name}Err")) };
        let number = |name: &str| Some(value(name)).filter(|v| !v.is_nan());
        let mut row = Row {
            x: measured("x"),
            y: measured("y"),
            ra: measured("ra"),
            dec: measured("dec"),
            mag: value(&format!("psfMag_{}", survey.band(survey.reference()))),
            star_prob: number("starProb"),
            star_prob_err: number("starProbErr"),
            flags: value("flags") as u32,
            has_parent: number(PARENT).is_some(),
            theta_deg: value("theta"),
            model_radius_arcsec: measured(MODEL[0]),
            model_axis_ratio: measured(MODEL[1]),
            model_theta_deg: measured(MODEL[2]),
            ..Row::default()
        };
        for (fluxes, kind) in row.fluxes.iter_mut().zip(FluxKind::ALL) {
            for b in survey.planes() {
                let (name, band) = (kind.column(), survey.band(b));
                fluxes[b] =
                    Measured { value: value(&format!("{name}_{band}")), error: value(&format!("{name}Err_{band}")) };
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_from_either_file() {
        let survey = Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<_> = (0..21).map(|i| ((f64::from(i), 0.5), 21.25, i % 2 == 0)).collect();
        let read = |name: &str| {
            let file = folder.path().join(name);
            super::super::catalog::testing::write(&file, &rows);
            super::read(&file, &survey).unwrap()
        };
        let [parquet, fits] = ["f.catalog.parquet", "f.catalog.fits"].map(read);
        assert_eq!(parquet.len(), 21);
        for (a, b) in parquet.iter().zip(&fits) {
            assert_eq!((a.x.value, a.mag, a.star_prob, a.flags), (b.x.value, b.mag, b.star_prob, b.flags));
        }
        assert_eq!(
            (parquet[3].x.value, parquet[3].star_prob, parquet[20].star_prob),
            (3.0, Some(f64::from(0.1_f32)), None)
        );
        assert!(parquet[0].model_radius_arcsec.value.is_nan() && !parquet[0].has_parent);
        let said = super::read(&folder.path().join("none.parquet"), &survey).unwrap_err().to_string();
        assert!(said.contains("none.parquet"), "{said}");
    }
}
