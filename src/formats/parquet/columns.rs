//! Some columns of a published catalogue, read back from Parquet.

use std::fs::File;
use std::path::Path;

use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use ::parquet::schema::types::Type;

use super::TableError;

/// The named columns of numbers of a catalogue's Parquet file, row by row; `None` for null.
///
/// # Errors
/// [`TableError`] where the file cannot be read, is no Parquet file or lacks a column.
pub fn read_columns<const N: usize>(file: &Path, names: [&str; N]) -> Result<Vec<[Option<f64>; N]>, TableError> {
    let opened = File::open(file).map_err(|source| TableError::Open { path: file.to_owned(), source })?;
    read(opened, names).map_err(|source| TableError::NotCatalog { path: file.to_owned(), source })
}

fn read<const N: usize>(file: File, names: [&str; N]) -> Result<Vec<[Option<f64>; N]>, ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let wanted = projection(&reader, &names)?;
    let mut rows = Vec::new();
    for row in reader.get_row_iter(Some(wanted))? {
        let mut cells = [None; N];
        for (name, field) in row?.get_column_iter() {
            let value = match field {
                Field::Double(v) => Some(*v),
                Field::Float(v) => Some(f64::from(*v)),
                Field::Int(v) => Some(f64::from(*v)),
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

/// The file's own description, reduced to these columns.
fn projection(reader: &impl FileReader, names: &[&str]) -> Result<Type, ParquetError> {
    let whole = reader.metadata().file_metadata().schema();
    let column = |name: &&str| {
        let found = whole.get_fields().iter().find(|f| f.name() == *name).cloned();
        found.ok_or_else(|| {
            ParquetError::General(format!("it has no column {name}: is it a catalogue of this program and survey?"))
        })
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
        std::fs::write(file.path(), parquet_table(&catalog_of(rows), &catalog::columns(&sdss())).unwrap()).unwrap();
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
