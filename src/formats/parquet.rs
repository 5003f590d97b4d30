//! The catalogue as Parquet: the published columns, snappy, real nulls, the same bytes each time.

mod columns;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::types::{Type, TypePtr};
use serde_json::json;

use twinpeak_core::catalog::{Catalog, Column, Kind, Value};
use twinpeak_core::frame::PerBand;
use twinpeak_core::outcome::BandQuality;

pub use columns::{column_names, read_columns, read_numbers};

/// Why a Parquet file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A cell that its column cannot hold.
    #[error("{0}")]
    Encode(#[source] ParquetError),
    /// The file cannot be opened.
    #[error("cannot open {path:?}: {source}")]
    Open {
        /// Path of the file.
        path: PathBuf,
        /// In the system's words.
        source: io::Error,
    },
    /// A file that is no table of numbers with these columns.
    #[error("{path:?} cannot be read as a table: {source}")]
    NotTable {
        /// Path of the file.
        path: PathBuf,
        /// The reader's error.
        source: ParquetError,
    },
    /// A file that is no catalogue of this program.
    #[error("{path:?} cannot be read as a catalogue: {source}")]
    NotCatalog {
        /// Path of the file.
        path: PathBuf,
        /// The reader's error.
        source: ParquetError,
    },
}

/// Key of the file's metadata that holds, as a JSON list, each column's name, unit, UCD and meaning.
const COLUMNS_KEY: &str = "twinpeak.columns";

/// The catalogue as the bytes of a Parquet file with one row group. Names, types and nulls are those of
/// `columns`; units, UCDs and meanings stand as JSON under the key `twinpeak.columns` of the file's metadata,
/// the catalogue's provenance beside it, and what `quality` has of each band's apertures: `twinpeak.apCorr` and
/// `twinpeak.haloShare`, numbers by the band's name.
///
/// # Errors
/// [`TableError::Encode`] where a cell is not of its column's kind.
pub fn parquet_table(
    catalog: &Catalog,
    columns: &[Column],
    quality: &PerBand<BandQuality>,
) -> Result<Vec<u8>, TableError> {
    write(catalog, columns, quality).map_err(TableError::Encode)
}

fn write(catalog: &Catalog, columns: &[Column], quality: &PerBand<BandQuality>) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_created_by(format!("twinpeak {}", catalog.provenance.software_version))
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(metadata(catalog, columns, quality)))
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema(columns)?, Arc::new(properties))?;
    if !catalog.rows.is_empty() {
        let mut group = file.next_row_group()?;
        for column in columns {
            let table = Cells { catalog, column };
            // Each arm: a cell of this kind (null or not), or `None` for a cell of another kind.
            match column.kind {
                Kind::I64 => table.write::<Int64Type>(&mut group, |v| match v {
                    Value::I64(v) => Some(v),
                    _ => None,
                }),
                Kind::I32 => table.write::<Int32Type>(&mut group, |v| match v {
                    Value::I32(v) => Some(v),
                    _ => None,
                }),
                Kind::F64 => table.write::<DoubleType>(&mut group, |v| match v {
                    Value::F64(v) => Some(v),
                    _ => None,
                }),
                Kind::F32 => table.write::<FloatType>(&mut group, |v| match v {
                    Value::F32(v) => Some(v),
                    _ => None,
                }),
                Kind::Bool => table.write::<BoolType>(&mut group, |v| match v {
                    Value::Bool(v) => Some(Some(v)),
                    _ => None,
                }),
                Kind::Text => table.write::<ByteArrayType>(&mut group, |v| match v {
                    Value::Text(v) => Some(v.map(ByteArray::from)),
                    _ => None,
                }),
            }?;
        }
        group.close()?;
    }
    file.into_inner()
}

/// One column of one catalogue.
struct Cells<'a> {
    catalog: &'a Catalog,
    column: &'a Column,
}

impl<'a> Cells<'a> {
    fn write<T: DataType>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
        take: impl Fn(Value<'a>) -> Option<Option<T::T>>,
    ) -> Result<(), ParquetError> {
        let name = &self.column.name;
        let mut values = Vec::with_capacity(self.catalog.rows.len());
        let mut defined = Vec::with_capacity(self.catalog.rows.len());
        for row in &self.catalog.rows {
            let cell = (self.column.get)(self.catalog, row);
            let cell = take(cell).ok_or_else(|| {
                ParquetError::General(format!("a cell of column {name} is not {:?}", self.column.kind))
            })?;
            if cell.is_none() && !self.column.nullable {
                return Err(ParquetError::General(format!("column {name} has a null and may not")));
            }
            defined.push(i16::from(cell.is_some()));
            values.extend(cell);
        }
        let mut writer = group
            .next_column()?
            .ok_or_else(|| ParquetError::General(format!("the schema has no room for column {name}")))?;
        let levels = self.column.nullable.then_some(&defined[..]);
        writer.typed::<T>().write_batch(&values, levels, None)?;
        writer.close()
    }
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::I64 => (Physical::INT64, None),
            Kind::I32 => (Physical::INT32, None),
            Kind::F64 => (Physical::DOUBLE, None),
            Kind::F32 => (Physical::FLOAT, None),
            Kind::Bool => (Physical::BOOLEAN, None),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let field = Type::primitive_type_builder(&column.name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()?;
        Ok(Arc::new(field))
    });
    let fields = fields.collect::<Result<Vec<_>, ParquetError>>()?;
    Ok(Arc::new(Type::group_type_builder("source").with_fields(fields).build()?))
}

fn metadata(catalog: &Catalog, columns: &[Column], quality: &PerBand<BandQuality>) -> Vec<KeyValue> {
    let described: Vec<_> =
        columns.iter().map(|c| json!({"name": c.name, "unit": c.unit, "ucd": c.ucd, "doc": c.doc})).collect();
    let p = &catalog.provenance;
    let by_band = |value: fn(&BandQuality) -> f64| {
        let of_survey = quality.iter().filter(|q| !q.band.is_empty());
        let numbers: serde_json::Map<_, _> = of_survey.map(|q| (q.band.clone(), value(q).into())).collect();
        serde_json::Value::from(numbers).to_string()
    };
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    vec![
        pair(COLUMNS_KEY, serde_json::Value::from(described).to_string()),
        pair("twinpeak.survey", p.survey.clone()),
        pair("twinpeak.imageId", p.image_id.to_string()),
        pair("twinpeak.inputHash", p.input_hash.clone()),
        pair("twinpeak.modelVersion", p.model_version.clone()),
        pair("twinpeak.modelHash", p.model_hash.clone()),
        pair("twinpeak.softwareVersion", p.software_version.clone()),
        pair("twinpeak.apCorr", by_band(|q| q.ap_corr)),
        pair("twinpeak.haloShare", by_band(|q| q.halo_share)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::catalog;
    use twinpeak_core::testing::{catalog_of, pyarrow, sdss};

    fn quality() -> PerBand<BandQuality> {
        std::array::from_fn(|b| BandQuality {
            band: sdss().band(b).to_owned(),
            ap_corr: 1.0 + b as f64 / 16.0,
            halo_share: if b == 0 { f64::NAN } else { 0.02 },
            ..BandQuality::default()
        })
    }

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        let columns = catalog::columns(&sdss());
        let bytes = parquet_table(&catalog_of(50), &columns, &quality()).unwrap();
        assert_eq!(bytes, parquet_table(&catalog_of(50), &columns, &quality()).unwrap());
        assert_ne!(bytes, parquet_table(&catalog_of(49), &columns, &quality()).unwrap());
    }

    #[test]
    fn a_null_where_none_may_be_is_refused() {
        let mut columns = catalog::columns(&sdss());
        columns.iter_mut().find(|c| c.name == "starProb").unwrap().nullable = false;
        let error = parquet_table(&catalog_of(3), &columns, &quality()).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("starProb"), "{error}");
    }

    #[test]
    fn pyarrow_reads_what_was_written() {
        let (dir, columns) = (tempfile::tempdir().unwrap(), catalog::columns(&sdss()));
        for (name, rows) in [("some", 50), ("none", 0)] {
            std::fs::write(dir.path().join(name), parquet_table(&catalog_of(rows), &columns, &quality()).unwrap())
                .unwrap();
        }
        let types: serde_json::Value = columns
            .iter()
            .map(|c| {
                let kind = match c.kind {
                    Kind::I64 => "int64",
                    Kind::I32 => "int32",
                    Kind::F64 => "double",
                    Kind::F32 => "float",
                    Kind::Bool => "bool",
                    Kind::Text => "string",
                };
                json!([c.name, kind, c.nullable, c.unit])
            })
            .collect();
        std::fs::write(dir.path().join("types"), types.to_string()).unwrap();
        // catalog_of: row i (from 0) has number i + 1, ra 10 + i / 8, u flux -i, no class where i is even.
        pyarrow(
            r#"
import json, sys, pyarrow.parquet as pq
folder = sys.argv[1]
for name, n in (("some", 50), ("none", 0)):
    table = pq.read_table(f"{folder}/{name}")
    meta = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
    described = json.loads(meta["twinpeak.columns"])
    want = json.load(open(f"{folder}/types"))
    got = [[f.name, str(f.type), f.nullable, d["unit"]] for f, d in zip(table.schema, described)]
    assert got == want, (got, want)
    assert table.num_rows == n
    assert json.loads(meta["twinpeak.apCorr"]) == {b: 1 + i / 16 for i, b in enumerate("ugriz")}
    assert json.loads(meta["twinpeak.haloShare"]) == {b: None if b == "u" else .02 for b in "ugriz"}
    rows = table.to_pylist()
    for i, row in enumerate(rows):
        assert row["number"] == i + 1 and row["ra"] == 10 + i / 8 and row["psfFlux_u"] == -i, row
        assert row["imageId"] == "003918-3-0213" and row["primary"] == (i % 3 == 0), row
        assert row["starProb"] == (None if i % 2 == 0 else 0.25 if i % 4 == 1 else 0.75), row
        assert row["classification"] == (None if i % 2 == 0 else 3 if i % 4 == 1 else 6), row
        assert row["halfLightRadius"] is None and row["midpointMjdTai"] == 53000.25, row
        kind = None if i % 5 == 4 else ("psf", "exp", "dev")[i % 3]
        assert row["modelType"] == kind and row["nChildren"] == (None if kind is None else 7 * (i == 0)), row
        assert row["parentId"] == (1 << 20 if kind == "dev" else None), row
        assert row["modelFlux_u"] == (None if kind is None else i) and row["modelFlux_i"] is None, row
        assert row["kronCorr_z"] == (None if kind is None else 1.0625), row
        assert row["blendedness"] == (None if kind is None else 0.75), row
        extended = kind in ("exp", "dev")
        for name, value in (("Radius", 1.25), ("RadiusErr", .25), ("AxisRatio", .5), ("AxisRatioErr", .125), ("Theta", -30), ("ThetaErr", 2)):
            assert row["model" + name] == (value if extended else None), row
"#,
            dir.path(),
        );
    }
}
