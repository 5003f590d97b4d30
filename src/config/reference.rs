//! Section `[reference]`: known stars that frames are compared with.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use twinpeak_core::frame::BANDS;
use twinpeak_core::reference::{ReferenceCatalog, ReferenceStar};
use twinpeak_core::survey::Survey;
use twinpeak_formats::parquet;

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
    /// The table cannot be opened.
    #[error("reference.catalog {path:?}: cannot be opened: {source}")]
    Open {
        /// The table.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The Parquet file cannot be read.
    #[error("reference.catalog: {0}")]
    Parquet(#[from] parquet::TableError),
    /// The FITS table cannot be read.
    #[error("reference.catalog: {0}")]
    Fits(#[from] twinpeak_cfitsio::table::TableError),
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
        let mut names = Vec::new();
        let mut column = |name: &str| {
            (!name.is_empty()).then(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        };
        let (ra, dec) = (column(&self.ra), column(&self.dec));
        let (pm_ra, pm_dec) = (column(&self.pm_ra), column(&self.pm_dec));
        let mut bands = [None; BANDS];
        for BandColumn { band, column: name } in &self.magnitudes {
            let unknown = || ReferenceError::UnknownBand { band: band.clone(), survey: survey.profile().name.clone() };
            bands[survey.plane_of(band).ok_or_else(unknown)?] = column(name);
        }
        let table = numbers(&self.catalog, &names)?;
        let rows = table.first().map_or(0, Vec::len);
        let star = |row: usize| {
            let cell = |column: Option<usize>| column.map_or(f64::NAN, |column| table[column][row]);
            ReferenceStar {
                ra_deg: cell(ra),
                dec_deg: cell(dec),
                pm_ra_mas_yr: cell(pm_ra),
                pm_dec_mas_yr: cell(pm_dec),
                epoch_year: self.epoch_year,
                mag: bands.map(|b| cell(b) as f32),
            }
        };
        let catalog = ReferenceCatalog::new((0..rows).map(star).collect());
        if catalog.is_empty() {
            let (path, ra, dec) = (self.catalog.clone(), self.ra.clone(), self.dec.clone());
            return Err(ReferenceError::Empty { path, rows, ra, dec });
        }
        Ok(Some(catalog))
    }
}

/// The table's columns of numbers, one after another, NaN for null: of a Parquet file by its first bytes, else of a FITS
/// table, which is on our own side and may be read by cfitsio.
fn numbers(path: &Path, names: &[String]) -> Result<Vec<Vec<f64>>, ReferenceError> {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read(&mut magic));
    read.map_err(|source| ReferenceError::Open { path: path.to_owned(), source })?;
    if &magic == b"PAR1" {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        return Ok(parquet::read_numbers(path, &names)?);
    }
    let mut table = twinpeak_cfitsio::table::Table::open(path, None)?;
    Ok(names.iter().map(|name| table.reals(name)).collect::<Result<_, _>>()?)
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

    #[test]
    fn a_fits_table_and_a_parquet_file_give_the_same_stars() {
        let folder = tempfile::tempdir().unwrap();
        let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap();
        // A catalogue of ours has positions and fluxes; any numbers do.
        let catalog = twinpeak_core::testing::catalog_of(50);
        let columns = twinpeak_core::catalog::columns(&survey);
        let (parquet, fits) = (folder.path().join("stars.parquet"), folder.path().join("stars.fits"));
        std::fs::write(
            &parquet,
            twinpeak_formats::parquet::parquet_table(&catalog, &columns, &Default::default()).unwrap(),
        )
        .unwrap();
        let quality = Default::default();
        let table = twinpeak_formats::fits::catalog_table(&catalog, &columns, &survey, &quality).unwrap();
        std::fs::write(&fits, table).unwrap();
        let load = |file: &PathBuf| {
            let reference = Reference {
                catalog: file.clone(),
                magnitudes: vec![BandColumn::try_from("r=psfMag_r".to_owned()).unwrap()],
                ..Reference::default()
            };
            reference.load(&survey).unwrap().unwrap()
        };
        assert_eq!((load(&parquet).len(), load(&fits).len()), (50, 50));
        let none = Reference { catalog: fits, ra: "nowhere".into(), ..Reference::default() };
        assert!(none.load(&survey).unwrap_err().to_string().contains("nowhere"));
    }
}
