//! A table of CCDs: the zero points that a survey measured later, beside the frames instead of in their headers.

use std::collections::HashMap;
use std::path::Path;

use super::{Survey, SurveyError};

/// A table as text: what its columns are called, and the cells, row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextTable {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Cells in the columns' order.
    pub rows: Vec<Vec<String>>,
}

/// Zero points by what tells a frame from others.
#[derive(Clone, Debug, Default)]
pub(super) struct ZeroPoints(HashMap<Vec<String>, f64>);

impl Survey {
    /// With the table that [`super::TableOfCcds`] names.
    ///
    /// # Errors
    /// [`SurveyError::Value`]: a column that is not there, a cell without a magnitude, two rows for one frame.
    pub fn with_zero_points(mut self, table: &TextTable) -> Result<Self, SurveyError> {
        let Some(asked) = &self.profile.calibration.table else { return Ok(self) };
        let value = |problem| SurveyError::Value { key: "calibration.table", problem };
        let column = |name: &str| {
            let found = table.columns.iter().position(|c| c.eq_ignore_ascii_case(name));
            found.ok_or_else(|| value(format!("{} has no column {name:?} among {:?}", asked.file, table.columns)))
        };
        let zero_point = column(&asked.zero_point)?;
        let keys = asked.matching.iter().map(|(name, card)| Ok((column(name)?, card.as_str())));
        let keys = keys.collect::<Result<Vec<_>, SurveyError>>()?;
        let mut found: HashMap<Vec<String>, f64> = HashMap::with_capacity(table.rows.len());
        for (row, cells) in (1..).zip(&table.rows) {
            let cell = |column: usize| cells.get(column).map_or("", String::as_str);
            let mag: Option<f64> = cell(zero_point).trim().parse().ok().filter(|mag: &f64| mag.is_finite());
            // A row without a zero point is of a CCD that was not calibrated: its frames are refused.
            let Some(mag) = mag else { continue };
            let key = keys.iter().map(|&(column, card)| self.comparable(card, cell(column))).collect();
            if found.insert(key, mag).is_some_and(|other| other != mag) {
                return Err(value(format!("{}: row {row} gives a second zero point to one frame", asked.file)));
            }
        }
        self.zero_points = ZeroPoints(found);
        Ok(self)
    }

    /// The zero point, mag, of the row of a frame's band, whose header says `said` of a card; `None` where no row fits.
    pub fn zero_point_of<'a>(&self, band: usize, file: &str, said: &dyn Fn(&str) -> Option<&'a str>) -> Option<f64> {
        let asked = self.profile.calibration.table.as_ref()?;
        let key = asked.matching.values().map(|card| match card.as_str() {
            "{band}" => Some(self.band(band).to_owned()),
            "{file}" => Some(self.comparable(card, file)),
            card => Some(self.comparable(card, said(card)?)),
        });
        self.zero_points.0.get(&key.collect::<Option<Vec<_>>>()?).copied()
    }

    /// A cell's or a card's text so that equal things are equal: numbers by value, bands by plane, files by their name.
    fn comparable(&self, card: &str, text: &str) -> String {
        let text = text.trim();
        match card {
            "{band}" => self.plane_of(text).map_or(text, |b| self.band(b)).to_owned(),
            "{file}" => {
                let name = Path::new(text).file_name().map_or(text.into(), |name| name.to_string_lossy());
                let ending = [".fz", ".gz", ".bz2"].iter().find_map(|ending| name.strip_suffix(ending));
                ending.unwrap_or(&name).to_owned()
            }
            _ => text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| number.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[[&str; 4]]) -> TextTable {
        let owned = |cells: &[&str; 4]| cells.iter().map(|c| (*c).to_owned()).collect();
        TextTable { columns: owned(&["expnum", "CCDNAME", "filter", "ccdzpt"]), rows: rows.iter().map(owned).collect() }
    }

    fn survey() -> Survey {
        let text = include_str!("../../../config/surveys/sdss.toml");
        let text = text.replacen("zero_point_mag = 22.5", "", 1).replacen("nmgy_per_dn = \"NMGY\"", "", 1);
        let section = "[calibration.table]\nfile = \"ccds.csv\"\nzero_point = \"ccdzpt\"\n\
                       match = { expnum = \"EXPNUM\", ccdname = \"EXTNAME\", filter = \"{band}\" }\n";
        Survey::parse(&format!("{text}\n{section}")).unwrap()
    }

    #[test]
    fn a_frame_finds_its_row() {
        let rows = [["372546", "N26", "g", "25.1"], ["372546.0", "N27", "g", "25.2"], ["372546", "N28", "g", "nan"]];
        let survey = survey().with_zero_points(&table(&rows)).unwrap();
        let of = |band, ccd| {
            survey.zero_point_of(band, "", &|card| match card {
                "EXPNUM" => Some("372546"),
                "EXTNAME" => Some(ccd),
                _ => None,
            })
        };
        assert_eq!(
            [of(1, "N26"), of(1, "N27"), of(1, "N28"), of(2, "N26"), of(1, "N29")],
            [Some(25.1), Some(25.2), None, None, None]
        );
        assert_eq!(survey.zero_point_of(1, "", &|_| None), None);
        assert_eq!(survey.comparable("{file}", "decam/a/c4d.fits.fz"), survey.comparable("{file}", "/data/c4d.fits"));
    }

    #[test]
    fn a_table_that_contradicts_itself_is_refused() {
        for (rows, says) in [
            (table(&[["1", "N26", "g", "25.1"], ["1", "N26", "g", "25.2"]]), "row 2"),
            (TextTable { columns: vec!["expnum".into()], rows: vec![] }, "ccdzpt"),
        ] {
            let error = survey().with_zero_points(&rows).unwrap_err().to_string();
            assert!(error.contains("ccds.csv") && error.contains(says), "{error}");
        }
    }
}
