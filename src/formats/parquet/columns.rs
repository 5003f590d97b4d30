//! Some columns of a published catalogue, read back from Parquet.

use std::fs::File;
use std::path::Path;

use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use ::parquet::schema::types::Type;

use super::TableError;

/// The named columns of numbers of a catalogue's Parquet file, row by row; `None` for null. An id of 63 bits is rounded
/// to 53.
///
/// # Errors
/// [`TableError`] where the file cannot be read, is no Parquet file or lacks a column.
pub fn read_columns<const N: usize>(file: &Path, names: [&str; N]) -> Result<Vec<[Option<f64>; N]>, TableError> {
    let opened = File::open(file).map_err(|source| TableError::Open { path: file.to_owned(), source })?;
    read(opened, names).map_err(|source| TableError::NotCatalog { path: file.to_owned(), source })
}

/// Names of a Parquet file's columns.
///
/// # Errors
/// [`TableError`] where the file cannot be read or is no Parquet file.
pub fn column_names(file: &Path) -> Result<Vec<String>, TableError> {
    let opened = File::open(file).map_err(|source| TableError::Open { path: file.to_owned(), source })?;
    let reader =
        SerializedFileReader::new(opened).map_err(|source| TableError::NotTable { path: file.to_owned(), source })?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    Ok(fields.iter().map(|field| field.name().to_owned()).collect())
}

/// The named columns of numbers of any Parquet file, each from its first row to its last; NaN for null. Memory is that of
/// the columns.
///
/// # Errors
/// [`TableError`] where the file cannot be read, is no Parquet file, lacks a column, or has one without numbers.
pub fn read_numbers(file: &Path, names: &[&str]) -> Result<Vec<Vec<f64>>, TableError> {
    let opened = File::open(file).map_err(|source| TableError::Open { path: file.to_owned(), source })?;
    numbers(opened, names).map_err(|source| TableError::NotTable { path: file.to_owned(), source })
}

fn numbers(file: File, names: &[&str]) -> Result<Vec<Vec<f64>>, ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let mut distinct: Vec<&str> = Vec::new();
    names.iter().for_each(|name| {
        if !distinct.contains(name) {
            distinct.push(name)
        }
    });
    let wanted = projection(&reader, &distinct, "")?;
    let mut columns = vec![Vec::new(); names.len()];
    for row in reader.get_row_iter(Some(wanted))? {
        for (name, field) in row?.get_column_iter() {
            let value = match field {
                Field::Double(v) => *v,
                Field::Float(v) => f64::from(*v),
                Field::Int(v) => f64::from(*v),
                Field::Short(v) => f64::from(*v),
                Field::Long(v) => *v as f64,
                Field::Null => f64::NAN,
                other => return Err(ParquetError::General(format!("column {name} holds {other}, not a number"))),
            };
            let asked = columns.iter_mut().zip(names).filter(|(_, wanted)| *wanted == name);
            asked.for_each(|(column, _)| column.push(value));
        }
    }
    Ok(columns)
}

fn read<const N: usize>(file: File, names: [&str; N]) -> Result<Vec<[Option<f64>; N]>, ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let wanted = projection(&reader, &names, ": is it a catalogue of this program and survey?")?;
    let mut rows = Vec::new();
    for row in reader.get_row_iter(Some(wanted))? {
        let mut cells = [None; N];
        for (name, field) in row?.get_column_iter() {
            let value = match field {
                Field::Double(v) => Some(*v),
                Field::Float(v) => Some(f64::from(*v)),
                Field::Int(v) => Some(f64::from(*v)),
                Field::Long(v) => Some(*v as f64),
                Field::Null => None,
                other => return Err(ParquetError::General(format!("column {name} holds {other}, not a number"))),
            };
            for (cell, _) in cells.iter_mut().zip(names).filter(|(_, wanted)| wanted == name) {
                *cell = value;
            }
        }
        rows.push(cells);
    }
    Ok(rows)
}

/// The file's own description, reduced to these columns; `hint` is added where one is not there.
fn projection(reader: &impl FileReader, names: &[&str], hint: &str) -> Result<Type, ParquetError> {
    let whole = reader.metadata().file_metadata().schema();
    let column = |name: &&str| {
        let found = whole.get_fields().iter().find(|f| f.name() == *name).cloned();
        found.ok_or_else(|| ParquetError::General(format!("it has no column {name}{hint}")))
    };
    let columns = names.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder(whole.name()).with_fields(columns).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::parquet_table;
    use twinpeak_core::catalog;
    use twinpeak_core::testing::{catalog_of, sdss};

    fn written(rows: usize) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            parquet_table(&catalog_of(rows), &catalog::columns(&sdss()), &Default::default()).unwrap(),
        )
        .unwrap();
        file
    }

    #[test]
    fn columns_come_back_in_the_order_asked_and_null_stays_null() {
        let file = written(4);
        let rows = read_columns(file.path(), ["starProb", "ra", "psfFlux_u", "halfLightRadius", "number"]).unwrap();
        assert_eq!(rows[0], [None, Some(10.0), Some(0.0), None, Some(1.0)]);
        assert_eq!(rows[1], [Some(0.25), Some(10.125), Some(-1.0), None, Some(2.0)]);
        assert_eq!(rows.len(), 4);
        assert!(read_columns(written(0).path(), ["ra"]).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let file = written(1);
        let says = |names| read_columns(file.path(), names).unwrap_err().to_string();
        assert!(says(["psfMag_y"]).contains("no column psfMag_y"));
        assert!(says(["imageId"]).contains("column imageId"));
        std::fs::write(file.path(), "text").unwrap();
        assert!(says(["ra"]).contains(&format!("{:?}", file.path())));
        assert!(read_columns(Path::new("/no/such"), ["ra"]).unwrap_err().to_string().contains("/no/such"));
    }
}
