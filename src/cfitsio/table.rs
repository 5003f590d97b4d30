//! Tables of our own side, read by cfitsio in this process: a reference catalogue, the truth, results. Not for frames.

use std::path::{Path, PathBuf};

use fitsio::FitsFile;
use fitsio::hdu::{FitsHdu, HduInfo};
use fitsio::tables::{ColumnDataType, ConcreteColumnDescription, ReadsCol};

use crate::library::{self, LibraryError};

/// A table of a FITS file on disk, binary or ASCII; plain or packed with gzip.
pub struct Table {
    path: PathBuf,
    file: FitsFile,
    hdu: FitsHdu,
    columns: Vec<ConcreteColumnDescription>,
    rows: usize,
}

/// Why a table or a column of it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: LibraryError,
    },
    /// There is no table in it, or none of that name.
    #[error("{}: {wanted}", path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: String,
    },
    /// The table has no such column.
    #[error("{}: the table has no column {column:?}; it has {}", path.display(), there.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column that was asked for.
        column: String,
        /// Those that are there, the first few.
        there: Vec<String>,
    },
    /// A column that is not one number or text a row, or that cannot be read.
    #[error("{}: column {column:?}: {problem}", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Most columns that an error names.
const NAMED_MAX: usize = 12;

impl Table {
    /// Opens the table `name`, or the first one of the file.
    ///
    /// # Errors
    /// [`TableError`]
    pub fn open(path: &Path, name: Option<&str>) -> Result<Self, TableError> {
        let mut file = library::open(path).map_err(|source| TableError::Open { path: path.into(), source })?;
        let found = match name {
            Some(name) => file.hdu(name).ok(),
            None => file.iter().find(|hdu| matches!(hdu.info, HduInfo::TableInfo { .. })),
        };
        match found {
            Some(FitsHdu { info: HduInfo::TableInfo { column_descriptions, num_rows }, number }) => {
                let hdu = FitsHdu { info: HduInfo::AnyInfo, number };
                Ok(Self { path: path.into(), file, hdu, columns: column_descriptions, rows: num_rows })
            }
            _ => {
                let wanted = name.map_or("it holds no table".into(), |name| format!("it holds no table {name:?}"));
                Err(TableError::NoTable { path: path.into(), wanted })
            }
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether there is a column of this name, in any case.
    pub fn has(&self, column: &str) -> bool {
        self.position(column).is_some()
    }

    /// A column of numbers, one a row: NaN where it is null, also in a column of whole numbers.
    ///
    /// # Errors
    /// [`TableError`]
    pub fn reals(&mut self, column: &str) -> Result<Vec<f64>, TableError> {
        let at = self.find(column)?;
        if matches!(self.columns[at].data_type.typ, ColumnDataType::String | ColumnDataType::Logical) {
            return Err(self.unfit(column, "it holds no numbers"));
        }
        let mut values: Vec<f64> = self.read(at)?;
        if let Some(null) = self.null(at) {
            values.iter_mut().filter(|v| **v == null).for_each(|v| *v = f64::NAN);
        }
        Ok(values)
    }

    /// A column of whole numbers, one a row, as they stand.
    ///
    /// # Errors
    /// [`TableError`], also where its numbers are not whole.
    pub fn integers(&mut self, column: &str) -> Result<Vec<i64>, TableError> {
        let at = self.find(column)?;
        let whole = [ColumnDataType::Byte, ColumnDataType::Short, ColumnDataType::Int, ColumnDataType::Long];
        if !whole.contains(&self.columns[at].data_type.typ)
            && self.columns[at].data_type.typ != ColumnDataType::LongLong
        {
            return Err(self.unfit(column, "it holds no whole numbers"));
        }
        self.read(at)
    }

    /// A column of texts, one a row, without the blanks behind them.
    ///
    /// # Errors
    /// [`TableError`]
    pub fn texts(&mut self, column: &str) -> Result<Vec<String>, TableError> {
        let at = self.find(column)?;
        if self.columns[at].data_type.typ != ColumnDataType::String {
            return Err(self.unfit(column, "it holds no text"));
        }
        let texts: Vec<String> = self.read(at)?;
        Ok(texts.into_iter().map(|text| text.trim_end().to_owned()).collect())
    }

    fn read<T: ReadsCol>(&mut self, at: usize) -> Result<Vec<T>, TableError> {
        let description = self.columns[at].clone();
        let name = description.name;
        // Of texts, it is how long they are.
        let several = description.data_type.typ != ColumnDataType::String && description.data_type.repeat != 1;
        if several {
            return Err(self.unfit(&name, "it has several values a row, or none"));
        }
        if self.rows == 0 {
            return Ok(Vec::new());
        }
        let values: Vec<T> = match self.hdu.read_col(&mut self.file, name.as_str()) {
            Ok(values) => values,
            Err(error) => return Err(self.unfit(&name, &error.to_string())),
        };
        if values.len() == self.rows { Ok(values) } else { Err(self.unfit(&name, "it has not one value a row")) }
    }

    /// The number that stands for none, scaled as the column's numbers are.
    fn null(&mut self, at: usize) -> Option<f64> {
        let mut card = |name: &str| self.hdu.read_key::<f64>(&mut self.file, &format!("{name}{}", at + 1)).ok();
        let null = card("TNULL")?;
        Some(null * card("TSCAL").unwrap_or(1.0) + card("TZERO").unwrap_or(0.0))
    }

    fn position(&self, column: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|c| c.name == column);
        exact.or_else(|| self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(column)))
    }

    fn find(&self, column: &str) -> Result<usize, TableError> {
        self.position(column).ok_or_else(|| TableError::NoColumn {
            path: self.path.clone(),
            column: column.into(),
            there: self.columns.iter().take(NAMED_MAX).map(|c| c.name.clone()).collect(),
        })
    }

    fn unfit(&self, column: &str, problem: &str) -> TableError {
        TableError::Column { path: self.path.clone(), column: column.into(), problem: problem.into() }
    }
}
