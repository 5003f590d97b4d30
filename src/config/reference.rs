//! Section `[reference]`: known stars that frames are compared with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use twinpeak_core::frame::BANDS;
use twinpeak_core::reference::{ReferenceCatalog, ReferenceStar};
use twinpeak_core::survey::Survey;
use twinpeak_formats::parquet::{TableError, read_numbers};

/// Section `[reference]`: a table of known stars, and the names of its columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reference {
    /// Path of the table; empty: frames are compared with none.
    pub catalog: PathBuf,
    /// Column of right ascension (ICRS), deg.
    pub ra: String,
    /// Column of declination (ICRS), deg.
    pub dec: String,
    /// Column of proper motion in right ascension times cos(dec), mas/yr; empty: none.
    pub pm_ra: String,
    /// Column of proper motion in declination, mas/yr; empty: none.
    pub pm_dec: String,
    /// Julian year of the positions.
    pub epoch_year: f64,
    /// Columns of magnitudes.
    pub magnitudes: Vec<BandColumn>,
}

impl Default for Reference {
    /// Gaia's names and the epoch of its third data release.
    fn default() -> Self {
        Self {
            catalog: PathBuf::new(),
            ra: "ra".into(),
            dec: "dec".into(),
            pm_ra: String::new(),
            pm_dec: String::new(),
            epoch_year: 2016.0,
            magnitudes: Vec::new(),
        }
    }
}

/// A band and the column of its magnitude, written `band=column`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BandColumn {
    /// Name of the band.
    pub band: String,
    /// Name of the column.
    pub column: String,
}

impl TryFrom<String> for BandColumn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('=').map(|(band, column)| (band.trim(), column.trim())) {
            Some((band, column)) if !band.is_empty() && !column.is_empty() => {
                Ok(Self { band: band.to_owned(), column: column.to_owned() })
            }
            _ => Err(format!("{text:?} is not band=column, such as r=phot_g_mean_mag")),
        }
    }
}

impl From<BandColumn> for String {
    fn from(of: BandColumn) -> String {
        format!("{}={}", of.band, of.column)
    }
}

/// Why the table of known stars cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// A band that the survey has not.
    #[error("reference.magnitudes: {band:?} is no band of survey {survey}")]
    UnknownBand {
        /// As it is written.
        band: String,
        /// Name of the survey.
        survey: String,
    },
    /// The table cannot be read.
    #[error("reference.catalog: {0}")]
    Table(#[from] TableError),
    /// No row has a position.
    #[error("reference.catalog {path:?}: none of {rows} rows has a position in degrees in columns {ra} and {dec}")]
    Empty {
        /// The table.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// Column of right ascension.
        ra: String,
        /// Column of declination.
        dec: String,
    },
}

impl Reference {
    /// Reads the table; `None` where none is configured.
    ///
    /// # Errors
    /// [`ReferenceError`]
    pub fn load(&self, survey: &Survey) -> Result<Option<ReferenceCatalog>, ReferenceError> {
        if self.catalog.as_os_str().is_empty() {
            return Ok(None);
        }
        let mut names = vec![self.ra.as_str(), self.dec.as_str()];
        let optional = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        let motions = [optional(&self.pm_ra), optional(&self.pm_dec)];
        let mut columns: Vec<String> = motions.iter().flatten().cloned().collect();
        let mut bands = [None; BANDS];
        for BandColumn { band, column } in &self.magnitudes {
            let unknown = || ReferenceError::UnknownBand { band: band.clone(), survey: survey.profile().name.clone() };
            bands[survey.plane_of(band).ok_or_else(unknown)?] = Some(columns.len());
            columns.push(column.clone());
        }
        names.extend(columns.iter().map(String::as_str));
        let table = read_numbers(&self.catalog, &names)?; // NaN for null
        let rows = table[0].len();
        let motion = |which: usize, row: usize| {
            let at = motions[..which].iter().flatten().count();
            motions[which].as_ref().map_or(f64::NAN, |_| table[2 + at][row])
        };
        let star = |row: usize| ReferenceStar {
            ra_deg: table[0][row],
            dec_deg: table[1][row],
            pm_ra_mas_yr: motion(0, row),
            pm_dec_mas_yr: motion(1, row),
            epoch_year: self.epoch_year,
            mag: bands.map(|b| b.map_or(f32::NAN, |b| table[2 + b][row] as f32)),
        };
        let catalog = ReferenceCatalog::new((0..rows).map(star).collect());
        if catalog.is_empty() {
            let (path, ra, dec) = (self.catalog.clone(), self.ra.clone(), self.dec.clone());
            return Err(ReferenceError::Empty { path, rows, ra, dec });
        }
        Ok(Some(catalog))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named() {
        let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap();
        assert_eq!(Reference::default().load(&survey).map(|c| c.map(|c| c.len())).ok(), Some(None));
        let of = |band: &str| Reference {
            catalog: "/no/such.parquet".into(),
            magnitudes: vec![BandColumn::try_from(format!("{band}=mag")).unwrap()],
            ..Reference::default()
        };
        let says = |reference: &Reference| reference.load(&survey).err().unwrap().to_string();
        assert!(says(&of("y")).contains("\"y\" is no band of survey sdss"));
        assert!(says(&of("r")).contains("/no/such.parquet"));
        for bad in ["r", "=mag", "r="] {
            assert!(BandColumn::try_from(bad.to_owned()).unwrap_err().contains("band=column"), "{bad}");
        }
    }
}
