//! What was written, read back by the library; `tests/integration/avro_fastavro.rs` asks another reader.

use std::collections::{BTreeMap, HashMap};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::reader::single_object::GenericSingleObjectReader;
use apache_avro::types::Value as Avro;
use apache_avro::{Reader, Schema};

use super::*;
use twinpeak_core::catalog::{ModelType, Row, SourceModel, Value, columns};
use twinpeak_core::frame::{ImageId, Plane};
use twinpeak_core::outcome::{BandQuality, Outcome, Stage};
use twinpeak_core::wcs::Wcs;

const CONFLUENT: Framing = Framing::Confluent { source_id: 7, mask_id: 0x0102_0304, image_id: u32::MAX };

pub(super) fn sdss() -> Survey {
    Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap()
}

fn wire(framing: Framing) -> AvroEncoder {
    AvroEncoder::new(&sdss(), framing).unwrap()
}

/// A model with every kind of value that one can hold.
fn source_model(i: usize) -> SourceModel {
    let numbers = [0.0, -1.5, f32::MAX, f32::NAN];
    SourceModel {
        parent_id: [None, Some(i64::MAX)][i / 2 % 2],
        children: i as i32,
        flux: std::array::from_fn(|b| numbers[(i + b) % 4]),
        flux_err: [f32::NAN; 5],
        kron_corr: [1.0; 5],
        model_type: ModelType::ALL[i % 3],
        radius: numbers[(i + 1) % 4],
        radius_err: 0.5,
        axis_ratio: numbers[(i + 2) % 4],
        axis_ratio_err: 0.5,
        theta: -90.0,
        theta_err: numbers[(i + 3) % 4],
        blendedness: 0.25,
    }
}

/// Every kind of value that a row can hold, extremes among them.
fn catalog_of(rows: usize) -> Catalog {
    let numbers = [0.0, -1.5, f32::MAX, f32::MIN_POSITIVE, f32::NAN, f32::NEG_INFINITY];
    let row = |i: usize| Row {
        number: i as u32 + 1,
        source_id: if i == 0 { i64::MAX } else { 1 << (i % 60) },
        ra: if i == 3 { f64::NAN } else { i as f64 / 7.0 },
        ra_err: numbers[i % 6],
        half_light_radius: numbers[(i + 1) % 6],
        iso_area: [0, 1, i32::MAX][i % 3],
        psf_flux: std::array::from_fn(|b| numbers[(i + b) % 6]),
        star_prob: [None, Some(0.25)][i % 2],
        classification: [None, Some(3), Some(6)][i % 3],
        primary: i.is_multiple_of(2),
        flags: [0, 264, u32::MAX][i % 3],
        model: i.is_multiple_of(2).then(|| source_model(i)),
        ..Row::default()
    };
    let provenance = Provenance {
        survey: "sdss".into(),
        image_id: ImageId::new("003918-3-0213").unwrap(),
        midpoint_mjd_tai: (rows % 2 == 1).then_some(53000.25),
        input_hash: "12".repeat(32),
        model_version: "ä \"quoted\" version".into(),
        model_hash: String::new(),
        software_version: "0.1.0".into(),
    };
    Catalog { provenance, rows: (0..rows).map(row).collect() }
}

fn read(schema: &RecordSchema, mut datum: &[u8]) -> Avro {
    let schema = Schema::parse_str(schema.text()).unwrap();
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut datum).unwrap();
    assert!(datum.is_empty(), "{} bytes left over", datum.len());
    value
}

/// Equal, and NaN equals NaN.
#[track_caller]
fn assert_same(found: &Avro, expected: &Avro) {
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
}

/// A row as the library's tree of values, made from the columns alone.
fn expected(catalog: &Catalog, row: &Row) -> Avro {
    let cell = |column: &Column| {
        let value = match (column.get)(catalog, row) {
            Value::I64(v) => v.map(Avro::Long),
            Value::I32(v) => v.map(Avro::Int),
            Value::F64(v) => v.map(Avro::Double),
            Value::F32(v) => v.map(Avro::Float),
            Value::Bool(v) => Some(Avro::Boolean(v)),
            Value::Text(v) => v.map(|v| Avro::String(v.to_owned())),
        };
        match (column.nullable, value) {
            (true, None) => Avro::Union(0, Box::new(Avro::Null)),
            (true, Some(value)) => Avro::Union(1, Box::new(value)),
            (false, value) => value.unwrap(),
        }
    };
    Avro::Record(columns(&sdss()).iter().map(|column| (column.name.clone(), cell(column))).collect())
}

fn products(catalog: Catalog) -> Products {
    Products {
        catalog,
        segmentation: Plane::filled(1, 1, 0),
        bits: Plane::filled(1, 1, 0),
        wcs: Wcs::tangent((1, 1), (10.0, 0.0), (0.0, 0.0), [[1e-4, 0.0], [0.0, 1e-4]]).unwrap(),
        picture: std::array::from_fn(|_| Plane::filled(0, 0, 0.0)),
        quality: std::array::from_fn(|b| BandQuality {
            band: sdss().band(b).to_owned(),
            fwhm_arcsec: 1.25,
            depth_5sigma_mag: f64::NAN,
            ap_corr: 1.0625,
            halo_share: f64::NAN,
            psf_stars: 40 + b,
            ..BandQuality::default()
        }),
        reference: None,
        tiles: 9,
        device: "cpu".into(),
        requested: Default::default(),
    }
}

#[test]
fn every_row_reads_back_as_its_columns() {
    for rows in [0, 1, 50] {
        let (wire, catalog) = (wire(CONFLUENT), catalog_of(rows));
        let made = wire.rows(&catalog).unwrap();
        assert_eq!((made.len(), made.is_empty(), made.iter().len()), (rows, rows == 0, rows));
        assert_eq!(made.iter().collect::<Vec<_>>().concat(), made.bytes());
        for (message, row) in made.iter().zip(&catalog.rows) {
            assert_eq!(message[..5], [0, 0, 0, 0, 7]);
            assert_same(&read(&wire.schemas().source, &message[5..]), &expected(&catalog, row));
        }
    }
}

#[test]
fn the_library_writes_a_row_with_the_same_bytes() {
    let (wire, catalog) = (wire(Framing::SingleObject), catalog_of(20));
    for (message, row) in wire.rows(&catalog).unwrap().iter().zip(&catalog.rows) {
        let theirs = wire.schemas().source.encode(&wire.heads.source, expected(&catalog, row)).unwrap();
        assert!(message == theirs);
    }
}

#[test]
fn a_single_object_is_found_by_its_fingerprint() {
    let (wire, catalog) = (wire(Framing::SingleObject), catalog_of(1));
    let rows = wire.rows(&catalog).unwrap();
    let mask = Mask { sha256: "", size_bytes: 0, body: MaskBody::Claim("s3://b/k") };
    let mask = wire.mask(&catalog.provenance, &mask).unwrap();
    for (schema, message) in [(&wire.schemas().source, rows.bytes()), (&wire.schemas().mask, &mask)] {
        let parsed = Schema::parse_str(schema.text()).unwrap();
        let reader = GenericSingleObjectReader::builder().schema(parsed).build().unwrap();
        assert_same(&reader.read_value(&mut &message[..]).unwrap(), &read(schema, &message[10..]));
    }
}

#[test]
fn a_container_s_data_are_the_messages_without_their_heads() {
    for rows in [0, 3, 2500] {
        let (wire, catalog) = (wire(CONFLUENT), catalog_of(rows));
        let bytes = wire.container(&catalog).unwrap();
        assert_eq!(bytes, wire.container(&catalog).unwrap());
        let reader = Reader::new(&bytes[..]).unwrap();
        assert_eq!(*reader.writer_schema(), Schema::parse_str(wire.schemas().source.text()).unwrap());
        assert_eq!(reader.user_metadata()["twinpeak.imageId"], b"003918-3-0213");
        let read: Vec<_> = reader.map(Result::unwrap).collect();
        let messages = wire.rows(&catalog).unwrap();
        assert_eq!(read.len(), rows);
        for (value, message) in read.iter().zip(messages.iter()).step_by(97) {
            assert_same(value, &self::read(&wire.schemas().source, &message[5..]));
        }
        // Byte for byte: the blocks hold nothing else.
        let data: Vec<u8> = messages.iter().flat_map(|message| &message[5..]).copied().collect();
        let marker = &bytes[bytes.len() - 16..];
        let parts: Vec<u8> = blocks(&bytes, marker);
        assert!(parts == data, "{rows} rows");
    }
}

/// What lies between the markers, without each block's two numbers.
fn blocks(mut bytes: &[u8], marker: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    bytes = &bytes[bytes.windows(16).position(|w| w == marker).unwrap() + 16..];
    while !bytes.is_empty() {
        let long = Schema::parse_str("\"long\"").unwrap();
        let long = GenericDatumReader::builder(&long).build().unwrap();
        let mut number = || if let Avro::Long(v) = long.read_value(&mut bytes).unwrap() { v as usize } else { 0 };
        let (_, size) = (number(), number());
        data.extend_from_slice(&bytes[..size]);
        assert_eq!(&bytes[size..size + 16], marker);
        bytes = &bytes[size + 16..];
    }
    data
}

#[test]
fn markers_differ_from_image_to_image() {
    let (wire, catalog) = (wire(Framing::SingleObject), catalog_of(1));
    let mut other = catalog.clone();
    other.provenance.image_id = ImageId::new("003918-3-0214").unwrap();
    let marker = |c| wire.container(c).unwrap().last_chunk::<16>().copied().unwrap();
    assert_ne!(marker(&catalog), marker(&other));
}

#[test]
fn a_mask_is_carried_or_claimed() {
    let (wire, of) = (wire(CONFLUENT), catalog_of(1).provenance);
    let union = |v: Option<Avro>| match v {
        Some(v) => Avro::Union(1, Box::new(v)),
        None => Avro::Union(0, Box::new(Avro::Null)),
    };
    for (body, bytes, uri) in [
        (MaskBody::Inline(&[1, 2, 0, 255]), Some(Avro::Bytes(vec![1, 2, 0, 255])), None),
        (MaskBody::Claim("file:///masks/ab"), None, Some(Avro::String("file:///masks/ab".into()))),
    ] {
        let message = wire.mask(&of, &Mask { sha256: "ab", size_bytes: 4, body }).unwrap();
        assert_eq!(message[..5], [0, 1, 2, 3, 4]);
        let Avro::Record(fields) = read(&wire.schemas().mask, &message[5..]) else { panic!("no record") };
        let fields: HashMap<_, _> = fields.into_iter().collect();
        assert_eq!(fields["imageId"], Avro::String("003918-3-0213".into()));
        assert_eq!((&fields["sha256"], &fields["sizeBytes"]), (&Avro::String("ab".into()), &Avro::Long(4)));
        assert_eq!((&fields["bytes"], &fields["uri"]), (&union(bytes), &union(uri)));
        assert_eq!(fields["inputHash"], Avro::String(of.input_hash.clone()));
    }
}

#[test]
fn the_end_of_an_image_counts_and_null_is_what_was_not_measured() {
    let (wire, products) = (wire(CONFLUENT), products(catalog_of(50)));
    let finished = Finished {
        image_id: products.catalog.provenance.image_id.clone(),
        sequence: 0,
        timings_s: BTreeMap::from([(Stage::Segment, 0.5), (Stage::Publish, 0.25)]),
        outcome: Outcome::Nothing,
    };
    let message = wire.image(&finished, &products, 1).unwrap();
    assert_eq!(message[..5], [0, 255, 255, 255, 255]);
    let record = read(&wire.schemas().image, &message[5..]);
    let json = serde_json::Value::try_from(record).unwrap();
    for (field, value) in
        [("rows", 50), ("stars", 16), ("galaxies", 17), ("unclassified", 17), ("masks", 1), ("tiles", 9)]
    {
        assert_eq!(json[field], value, "{field}");
    }
    assert_eq!(json["timings"], serde_json::json!({"segment": 0.5, "publish": 0.25}));
    assert_eq!(
        (&json["survey"], &json["softwareVersion"], &json["midpointMjdTai"]),
        (&"sdss".into(), &"0.1.0".into(), &().into())
    );
    let band = &json["quality"][3];
    assert_eq!((&band["band"], &band["fwhmArcsec"], &band["psfStars"]), (&"i".into(), &1.25.into(), &43.into()));
    assert!(
        band["depth5SigmaMag"].is_null()
            && band["apCorr"] == 1.0625
            && band["haloShare"].is_null()
            && band["psfFallback"] == false
            && json["quality"].as_array().unwrap().len() == 5
    );
}

#[test]
fn a_cell_that_its_column_cannot_hold_is_named() {
    let catalog = catalog_of(2);
    let fails = |change: fn(&mut Column)| {
        let mut wire = wire(Framing::SingleObject);
        change(wire.columns.iter_mut().find(|c| c.name == "starProb").unwrap());
        (wire.rows(&catalog).err().unwrap().to_string(), wire.container(&catalog).is_err())
    };
    for change in [(|c| c.nullable = false) as fn(&mut Column), |c| c.kind = twinpeak_core::catalog::Kind::F64] {
        let (error, container) = fails(change);
        assert!(error.contains("starProb") && error.contains("003918-3-0213") && container, "{error}");
    }
}
