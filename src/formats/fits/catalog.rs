//! The catalogue as a FITS binary table: the published columns, then the names that SExtractor's users know.

use rayon::prelude::*;

use super::FitsError;
use super::card::{Cards, TableSize, fill_block, printable};
use super::provenance::{add_provenance, add_quality};
use twinpeak_core::catalog::{Catalog, Column, Kind, Row, Value};
use twinpeak_core::frame::PerBand;
use twinpeak_core::outcome::BandQuality;
use twinpeak_core::survey::{NMGY_MAG, Survey};

/// Columns whose text is the same on every row: they stand once, in the header.
const IN_HEADER: [&str; 4] = ["imageId", "modelVersion", "modelHash", "inputHash"];
/// The unit of fluxes; in a FITS table it stands before the column's comment.
const NMGY: &str = "nmgy";
/// Null in a column of 32-bit integers.
const NULL: i32 = i32::MIN;
/// Null in a column of 64-bit integers.
const LONG_NULL: i64 = i64::MIN;

/// A FITS file with an empty primary HDU and one binary table, SOURCES. Null is NaN, TNULL for integers, and
/// NUL for text.
/// Same catalogue, same bytes.
///
/// # Errors
/// [`FitsError::NotAscii`] for text that FITS cannot hold.
pub fn catalog_table(
    catalog: &Catalog,
    columns: &[Column],
    survey: &Survey,
    quality: &PerBand<BandQuality>,
) -> Result<Vec<u8>, FitsError> {
    let aliases = sextractor_names();
    let published = columns.iter().filter(|c| !IN_HEADER.contains(&c.name.as_str()));
    let fields = published.chain(&aliases).map(|c| Field::of(c, catalog)).collect::<Result<Vec<_>, _>>()?;
    let row_bytes: usize = fields.iter().map(|f| f.bytes).sum();

    let size = TableSize { row_bytes, rows: catalog.rows.len(), columns: fields.len(), heap_bytes: 0 };
    let mut cards = Cards::table(size);
    cards.add("EXTNAME", "SOURCES", "");
    for (i, field) in (1..).zip(&fields) {
        field.describe(&mut cards, i);
    }
    add_provenance(&mut cards, &catalog.provenance);
    cards.add("REFBAND", survey.band(survey.reference()), "band whose pixels x and y count");
    cards.add("MAGZERO", NMGY_MAG, "[mag] of 1 nmgy, the unit of all fluxes");
    add_quality(&mut cards, quality);

    let mut bytes = Cards::primary().finish()?;
    bytes.extend(cards.finish()?);
    let rows: Vec<Vec<u8>> = catalog.rows.par_iter().map(|row| encode_row(&fields, catalog, row, row_bytes)).collect();
    bytes.reserve(row_bytes * rows.len());
    rows.iter().for_each(|row| bytes.extend_from_slice(row));
    fill_block(&mut bytes);
    Ok(bytes)
}

/// A column and its place in the table.
struct Field<'a> {
    column: &'a Column,
    /// Bytes of a cell.
    bytes: usize,
}

impl<'a> Field<'a> {
    fn of(column: &'a Column, catalog: &Catalog) -> Result<Self, FitsError> {
        let bytes = match column.kind {
            Kind::I64 | Kind::F64 => 8,
            Kind::I32 | Kind::F32 => 4,
            Kind::Bool => 1,
            Kind::Text => longest_text(column, catalog)?,
        };
        Ok(Self { column, bytes })
    }

    fn describe(&self, cards: &mut Cards, i: usize) {
        let Column { name, kind, nullable, unit, ucd, doc, .. } = self.column;
        let form = match kind {
            Kind::I64 => "K".into(),
            Kind::I32 => "J".into(),
            Kind::F64 => "D".into(),
            Kind::F32 => "E".into(),
            Kind::Bool => "L".into(),
            Kind::Text => format!("{}A", self.bytes),
        };
        cards.add(&format!("TTYPE{i}"), name.as_str(), "").add(&format!("TFORM{i}"), form.as_str(), "");
        match kind {
            Kind::I32 if *nullable => _ = cards.add(&format!("TNULL{i}"), i64::from(NULL), ""),
            Kind::I64 if *nullable => _ = cards.add(&format!("TNULL{i}"), LONG_NULL, ""),
            _ => {}
        }
        // The standard knows no maggy, and a reader that keeps to it (astropy) warns of every other word.
        let known = *unit != NMGY;
        if known && !unit.is_empty() {
            cards.add(&format!("TUNIT{i}"), *unit, "");
        }
        let doc = if known { (*doc).to_owned() } else { format!("[{NMGY}] {doc}") };
        cards.add(&format!("TUCD{i}"), ucd.as_str(), "").add(&format!("TCOMM{i}"), doc.as_str(), "");
    }
}

/// Bytes of the longest text of a column, at least one.
fn longest_text(column: &Column, catalog: &Catalog) -> Result<usize, FitsError> {
    let mut longest = 1;
    for row in &catalog.rows {
        if let Value::Text(Some(text)) = (column.get)(catalog, row) {
            if !printable(text) {
                return Err(FitsError::NotAscii { what: column.name.clone(), text: text.to_owned() });
            }
            longest = longest.max(text.len());
        }
    }
    Ok(longest)
}

fn encode_row(fields: &[Field], catalog: &Catalog, row: &Row, row_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(row_bytes);
    for field in fields {
        let end = bytes.len() + field.bytes;
        match (field.column.get)(catalog, row) {
            Value::I64(v) => bytes.extend(v.unwrap_or(LONG_NULL).to_be_bytes()),
            Value::I32(v) => bytes.extend(v.unwrap_or(NULL).to_be_bytes()),
            Value::F64(v) => bytes.extend(v.unwrap_or(f64::NAN).to_be_bytes()),
            Value::F32(v) => bytes.extend(v.unwrap_or(f32::NAN).to_be_bytes()),
            Value::Bool(v) => bytes.push(if v { b'T' } else { b'F' }),
            Value::Text(Some(v)) => bytes.extend(v.bytes()),
            // A string that begins with NUL is null, says the standard.
            Value::Text(None) => bytes.resize(end, 0),
        }
        bytes.resize(end, b' '); // text is filled with spaces; the rest is full already
    }
    bytes
}

/// The columns that SExtractor would have written, for tools that look for its names. FITS names are the same in
/// any case, so NUMBER and FLAGS must, and do, hold what `number` and `flags` hold.
fn sextractor_names() -> Vec<Column> {
    type Get = fn(&Row) -> Value<'static>;
    let columns: [(&str, Kind, bool, &'static str, &str, &'static str, Get); 8] = [
        ("NUMBER", Kind::I32, false, "", "meta.record", "As number", |r| Value::I32(Some(r.number as i32))),
        ("ALPHA_J2000", Kind::F64, false, "deg", "pos.eq.ra", "As ra", |r| Value::F64(Some(r.ra))),
        ("DELTA_J2000", Kind::F64, false, "deg", "pos.eq.dec", "As dec", |r| Value::F64(Some(r.dec))),
        ("X_IMAGE", Kind::F64, false, "pix", "pos.cartesian.x;instr.det", "As x, but counted from 1", |r| {
            Value::F64(Some(r.x + 1.0))
        }),
        ("Y_IMAGE", Kind::F64, false, "pix", "pos.cartesian.y;instr.det", "As y, but counted from 1", |r| {
            Value::F64(Some(r.y + 1.0))
        }),
        ("ISOAREA_IMAGE", Kind::I32, false, "pix2", "phys.area", "As isoArea", |r| Value::I32(Some(r.iso_area))),
        ("FLAGS", Kind::I32, false, "", "meta.code.qual", "As flags", |r| Value::I32(Some(r.flags as i32))),
        ("CLASS_STAR", Kind::F32, true, "", "src.class.starGalaxy", "As starProb", |r| Value::F32(r.star_prob)),
    ];
    let column = |(name, kind, nullable, unit, ucd, doc, get): (&str, _, _, _, &str, _, Get)| Column {
        name: name.into(),
        kind,
        nullable,
        unit,
        ucd: ucd.into(),
        doc,
        get: Box::new(move |_, row| get(row)),
    };
    columns.into_iter().map(column).collect()
}
