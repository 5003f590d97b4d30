//! How long rows take to become messages: ours, written column by column, beside the library's tree of values a
//! row. `cargo bench --bench wire`
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a bench fails")]

use std::hint::black_box;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use twinpeak_core::catalog::{Catalog, Column, Provenance, Row, Value, columns};
use twinpeak_core::frame::ImageId;
use twinpeak_core::survey::Survey;
use twinpeak_formats::avro::{AvroEncoder, Framing};

const ROWS: usize = 500;

fn catalog() -> Catalog {
    let row = |i: usize| Row {
        number: i as u32 + 1,
        source_id: (1 << 50) + i as i64,
        star_prob: (!i.is_multiple_of(4)).then_some(0.5),
        classification: (!i.is_multiple_of(4)).then_some(6),
        ..Row::default()
    };
    let provenance = Provenance {
        survey: "sdss".into(),
        image_id: ImageId::new("003918-3-0213").expect("an image's name"),
        midpoint_mjd_tai: Some(52758.2),
        input_hash: "ab".repeat(32),
        model_version: "1.0".into(),
        model_hash: "cd".repeat(32),
        software_version: "0.1.0".into(),
    };
    Catalog { provenance, rows: (0..ROWS).map(row).collect() }
}

/// A row as the library's tree of values.
fn tree(columns: &[Column], catalog: &Catalog, row: &Row) -> Avro {
    let cell = |column: &Column| {
        let value = match (column.get)(catalog, row) {
            Value::I64(v) => v.map_or(Avro::Null, Avro::Long),
            Value::I32(v) => v.map_or(Avro::Null, Avro::Int),
            Value::F64(v) => v.map_or(Avro::Null, Avro::Double),
            Value::F32(v) => v.map_or(Avro::Null, Avro::Float),
            Value::Bool(v) => Avro::Boolean(v),
            Value::Text(v) => v.map_or(Avro::Null, |v| Avro::String(v.to_owned())),
        };
        let branch = u32::from(value != Avro::Null);
        let value = if column.nullable { Avro::Union(branch, Box::new(value)) } else { value };
        (column.name.clone(), value)
    };
    Avro::Record(columns.iter().map(cell).collect())
}

fn rows(c: &mut Criterion) {
    let survey = Survey::parse(include_str!("../config/surveys/sdss.toml")).expect("the shipped survey");
    let (wire, catalog, columns) =
        (AvroEncoder::new(&survey, Framing::SingleObject).expect("its schemas"), catalog(), columns(&survey));
    let schema = Schema::parse_str(wire.schemas().source.text()).expect("a schema");
    let mut group = c.benchmark_group("500 rows");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("columns", |b| b.iter(|| wire.rows(black_box(&catalog)).expect("rows").bytes().len()));
    group.bench_function("trees", |b| {
        let writer = GenericDatumWriter::builder(&schema).build().expect("a writer");
        b.iter(|| {
            let write = |row| writer.write_value_to_vec(tree(&columns, &catalog, row)).expect("a row").len();
            black_box(&catalog).rows.iter().map(write).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, rows);
criterion_main!(benches);
