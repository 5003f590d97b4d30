//! A source's record: the catalogue's columns in their published order.

use super::{AvroError, datum};
use twinpeak_core::catalog::{Catalog, Column, Kind, Row, Value};

/// The messages of a catalogue's rows, in one buffer.
pub struct Rows {
    bytes: Vec<u8>,
    /// Where each begins, and where the last ends.
    bounds: Vec<usize>,
}

impl Rows {
    /// Each row's message.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bounds.windows(2).map(|at| &self.bytes[at[0]..at[1]])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

pub(super) fn rows(head: &[u8], columns: &[Column], catalog: &Catalog) -> Result<Rows, AvroError> {
    let mut bounds = Vec::with_capacity(catalog.rows.len() + 1);
    bounds.push(0);
    let mut made = Rows { bytes: Vec::new(), bounds };
    for row in &catalog.rows {
        made.bytes.extend_from_slice(head);
        columns.iter().try_for_each(|column| cell(column, catalog, row, &mut made.bytes))?;
        made.bounds.push(made.bytes.len());
        if made.len() == 1 {
            // Rows are nearly of one length: room for all at once.
            made.bytes.reserve(made.bytes.len() * catalog.rows.len());
        }
    }
    Ok(made)
}

/// A nullable column is a union of null and its kind: the branch's number comes before the value.
fn cell(column: &Column, catalog: &Catalog, row: &Row, out: &mut Vec<u8>) -> Result<(), AvroError> {
    let value = (column.get)(catalog, row);
    let null =
        matches!(value, Value::I64(None) | Value::I32(None) | Value::F64(None) | Value::F32(None) | Value::Text(None));
    if column.nullable {
        datum::long(i64::from(!null), out);
    }
    match (column.kind, value) {
        (Kind::I64, Value::I64(Some(v))) => datum::long(v, out),
        (Kind::I32, Value::I32(Some(v))) => datum::long(v.into(), out),
        (Kind::F64, Value::F64(Some(v))) => datum::double(v, out),
        (Kind::F32, Value::F32(Some(v))) => datum::float(v, out),
        (Kind::Bool, Value::Bool(v)) => datum::boolean(v, out),
        (Kind::Text, Value::Text(Some(v))) => datum::bytes(v.as_bytes(), out),
        (Kind::I64, Value::I64(None))
        | (Kind::I32, Value::I32(None))
        | (Kind::F64, Value::F64(None))
        | (Kind::F32, Value::F32(None))
        | (Kind::Text, Value::Text(None))
            if column.nullable => {}
        _ => {
            return Err(AvroError::Cell {
                image: catalog.provenance.image_id.to_string(),
                column: column.name.clone(),
            });
        }
    }
    Ok(())
}
