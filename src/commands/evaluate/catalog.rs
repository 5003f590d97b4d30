//! The few columns of a published catalogue that are scored, read back from Parquet.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, anyhow};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use crate::evaluate::Object;

/// Reads the objects of `file`; `band` is the reference band.
pub(super) fn read(file: &Path, band: &str) -> anyhow::Result<Vec<Object>> {
    let named = || file.display().to_string();
    let reader = SerializedFileReader::new(File::open(file).with_context(named)?)
        .with_context(|| format!("{}: is no Parquet file", named()))?;
    let mag = format!("psfMag_{band}");
    let names = ["x", "y", &mag, "starProb", "concentration", "halfLightRadius"];
    let schema = projection(&reader, &names).with_context(named)?;
    let mut objects = Vec::new();
    for row in reader.get_row_iter(Some(schema)).with_context(named)? {
        let row = row.with_context(named)?;
        let mut object = Object { mag: f64::NAN, ..Object::default() };
        for (name, field) in row.get_column_iter() {
            let value = match field {
                Field::Double(v) => Some(*v),
                Field::Float(v) => Some(f64::from(*v)),
                Field::Null => None,
                other => return Err(anyhow!("{}: column {name} holds {other}, not a number", named())),
            };
            match name.as_str() {
                "x" => object.x = value.unwrap_or(f64::NAN),
                "y" => object.y = value.unwrap_or(f64::NAN),
                "starProb" => object.star_prob = value,
                "concentration" => object.concentration = value,
                "halfLightRadius" => object.half_light_radius_px = value,
                _ => object.mag = value.unwrap_or(f64::NAN),
            }
        }
        objects.push(object);
    }
    Ok(objects)
}

/// The file's own description, reduced to these columns.
fn projection(reader: &impl FileReader, names: &[&str]) -> anyhow::Result<Type> {
    let whole = reader.metadata().file_metadata().schema();
    let column = |name: &&str| {
        let found = whole.get_fields().iter().find(|f| f.name() == *name);
        found.cloned().ok_or_else(|| anyhow!("has no column {name}: is it a catalogue of this program and survey?"))
    };
    let columns = names.iter().map(column).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Type::group_type_builder(whole.name()).with_fields(columns).build()?)
}

#[cfg(test)]
pub(super) mod testing {
    use std::sync::Arc;

    use parquet::data_type::{DoubleType, FloatType, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    type Row = ((f64, f64), f32, bool);

    /// A catalogue of (position, magnitude, star): stars have starProb .9 and size 1, galaxies .1 and 2; the last
    /// has no starProb where there are more than 20.
    pub(in super::super) fn write(file: &Path, rows: &[Row]) {
        let schema = "message c { required int64 sourceId; required double x; required double y; optional float \
                      halfLightRadius; optional float concentration; optional float psfMag_r; optional float starProb; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(File::create(file).unwrap(), schema, Default::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut ids = group.next_column().unwrap().unwrap();
        let count: Vec<_> = (0..rows.len() as i64).collect();
        ids.typed::<Int64Type>().write_batch(&count, None, None).unwrap();
        ids.close().unwrap();
        for get in [|r: &Row| r.0.0, |r: &Row| r.0.1] {
            let mut column = group.next_column().unwrap().unwrap();
            let values: Vec<_> = rows.iter().map(get).collect();
            column.typed::<DoubleType>().write_batch(&values, None, None).unwrap();
            column.close().unwrap();
        }
        let size = |r: &Row| if r.2 { 1.0 } else { 2.0 };
        let columns: [Vec<f32>; 4] = [
            rows.iter().map(size).collect(),
            rows.iter().map(|r| 1.0 / size(r)).collect(),
            rows.iter().map(|r| r.1).collect(),
            rows.iter().take(20).map(|r| if r.2 { 0.9 } else { 0.1 }).collect(),
        ];
        for values in columns {
            let mut column = group.next_column().unwrap().unwrap();
            let levels: Vec<i16> = (0..rows.len()).map(|i| i16::from(i < values.len())).collect();
            column.typed::<FloatType>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back_and_null_stays_null() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rows: Vec<_> = (0..21).map(|i| ((f64::from(i), 0.5), 21.25, i % 2 == 0)).collect();
        testing::write(file.path(), &rows);
        let objects = read(file.path(), "r").unwrap();
        assert_eq!(objects.len(), 21);
        let second = Object {
            x: 1.0,
            y: 0.5,
            mag: 21.25,
            star_prob: Some(f64::from(0.1_f32)),
            concentration: Some(0.5),
            half_light_radius_px: Some(2.0),
        };
        assert_eq!(objects[1], second);
        assert_eq!((objects[20].x, objects[20].star_prob), (20.0, None));
    }

    #[test]
    fn what_is_missing_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        testing::write(file.path(), &[((0.0, 0.0), 20.0, true)]);
        assert!(format!("{:#}", read(file.path(), "i").unwrap_err()).contains("no column psfMag_i"));
        std::fs::write(file.path(), "text").unwrap();
        let error = format!("{:#}", read(file.path(), "r").unwrap_err());
        assert!(error.contains(&file.path().display().to_string()) && error.contains("no Parquet file"), "{error}");
    }
}
