//! The three schemas: their text, version and fingerprint. The sources' is made from the catalogue's columns; the
//! other two are the same for every survey and stand in `deploy/schemas/` as they are.

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

use super::AvroError;
use twinpeak_core::catalog::{self, Column, Kind};
use twinpeak_core::survey::Survey;

/// Version of the sources' schema.
pub const SOURCE_VERSION: &str = "1.1";
/// Version of the masks' schema.
pub const MASK_VERSION: &str = "1.0";
/// Version of the end-of-image record's schema.
pub const IMAGE_VERSION: &str = "1.2";

const MASK: &str = include_str!("../../../deploy/schemas/mask-v1.0.avsc");
const IMAGE: &str = include_str!("../../../deploy/schemas/image-v1.2.avsc");

/// The schema of each topic's records.
pub struct Schemas {
    /// A source: a row of the catalogue.
    pub source: RecordSchema,
    /// The masks of an image.
    pub mask: RecordSchema,
    /// The end of an image.
    pub image: RecordSchema,
}

impl Schemas {
    /// Those of a survey.
    ///
    /// # Errors
    /// [`AvroError::Schema`] where a band's name cannot stand in a field's.
    pub fn new(survey: &Survey) -> Result<Self, AvroError> {
        Ok(Self {
            source: RecordSchema::new("source", SOURCE_VERSION, source(survey))?,
            mask: RecordSchema::new("mask", MASK_VERSION, MASK.to_owned())?,
            image: RecordSchema::new("image", IMAGE_VERSION, IMAGE.to_owned())?,
        })
    }

    /// The schemas of sources, masks and images, in this order.
    pub fn all(&self) -> [&RecordSchema; 3] {
        [&self.source, &self.mask, &self.image]
    }
}

/// One kind of record.
pub struct RecordSchema {
    record: &'static str,
    version: &'static str,
    text: String,
    parsed: Schema,
}

impl RecordSchema {
    fn new(record: &'static str, version: &'static str, text: String) -> Result<Self, AvroError> {
        let parsed = Schema::parse_str(&text).map_err(|e| AvroError::Schema { record, source: Box::new(e) })?;
        Ok(Self { record, version, text, parsed })
    }

    /// The schema as JSON, a field a line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Version of the schema, MAJOR.MINOR.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// CRC-64-AVRO of the schema's canonical form, as messages carry it: little-endian.
    pub fn fingerprint(&self) -> [u8; 8] {
        let digest = self.parsed.fingerprint::<Rabin>().bytes;
        digest.try_into().expect("CRC-64 has eight bytes")
    }

    /// Name of its published file.
    pub fn file_name(&self) -> String {
        format!("{}-v{}.avsc", self.record, self.version)
    }

    /// Where records of this major go: `<prefix>.<survey>.<record>s-v<MAJOR>`.
    pub fn topic(&self, prefix: &str, survey: &Survey) -> String {
        let major = self.version.split('.').next().unwrap_or(self.version);
        format!("{prefix}.{}.{}s-v{major}", survey.profile().name, self.record)
    }

    /// `head` and the record after it.
    pub(super) fn encode(&self, head: &[u8], record: Value) -> Result<Vec<u8>, AvroError> {
        let mut out = head.to_vec();
        let written = GenericDatumWriter::builder(&self.parsed)
            .build()
            .and_then(|writer| writer.write_value(&mut out, record))
            .map_err(|e| AvroError::Record { record: self.record, source: Box::new(e) });
        written.map(|_| out)
    }
}

/// The sources' schema. Its columns are the survey's, so its name is too.
fn source(survey: &Survey) -> String {
    let fields: Vec<String> = catalog::columns(survey).iter().map(field).collect();
    format!(
        r#"{{
  "type": "record",
  "name": "Source",
  "namespace": "twinpeak.{}",
  "doc": "A source found in one image: a row of the catalogue",
  "version": "{SOURCE_VERSION}",
  "fields": [
    {}
  ]
}}
"#,
        identifier(&survey.profile().name),
        fields.join(",\n    ")
    )
}

fn field(column: &Column) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let kind = match column.kind {
        Kind::I64 => "long",
        Kind::I32 => "int",
        Kind::F64 => "double",
        Kind::F32 => "float",
        Kind::Bool => "boolean",
        Kind::Text => "string",
    };
    let kind = if column.nullable { format!(r#"["null", "{kind}"], "default": null"#) } else { quoted(kind) };
    let [name, doc, unit, ucd] = [&column.name, column.doc, column.unit, &column.ucd].map(quoted);
    format!(r#"{{"name": {name}, "type": {kind}, "doc": {doc}, "unit": {unit}, "ucd": {ucd}}}"#)
}

/// A survey's name as a part of a namespace, which holds letters, digits and `_` and begins with no digit.
fn identifier(name: &str) -> String {
    let fit: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if fit.starts_with(|c: char| c.is_ascii_digit()) { format!("_{fit}") } else { fit }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDSS: &str = include_str!("../../../config/surveys/sdss.toml");

    #[test]
    fn other_surveys_have_schemas_of_their_own() {
        let text = SDSS.replacen("name = \"sdss\"", "name = \"2nd-light.a\"", 1).replace("\"z\"", "\"y\"");
        let survey = Survey::parse(&text).unwrap();
        let schemas = Schemas::new(&survey).unwrap();
        let sdss = Schemas::new(&Survey::parse(SDSS).unwrap()).unwrap();
        assert!(
            schemas.source.text().contains("\"twinpeak._2nd_light_a\"") && schemas.source.text().contains("psfMag_y")
        );
        assert_eq!(schemas.source.topic("twinpeak", &survey), "twinpeak.2nd-light.a.sources-v1");
        let differ = |of: fn(&Schemas) -> &RecordSchema| of(&schemas).fingerprint() != of(&sdss).fingerprint();
        assert_eq!((differ(|s| &s.source), differ(|s| &s.mask), differ(|s| &s.image)), (true, false, false));
    }

    #[test]
    fn a_band_that_makes_no_name_is_refused() {
        let survey = Survey::parse(&SDSS.replace("\"z\"", "\"z band\"")).unwrap();
        let error = Schemas::new(&survey).err().unwrap().to_string();
        assert!(error.contains("z band") && error.contains("letters, digits"), "{error}");
    }

    #[test]
    fn the_fingerprint_is_the_specification_s() {
        // share/test/data/schema-tests.txt of Avro.
        for (text, expected) in [
            ("\"null\"", 7195948357588979594),
            ("\"int\"", 8247732601305521295),
            (r#"{"type": "fixed", "name": "foo", "size": 15, "doc": "not canonical"}"#, 1756455273707447556),
        ] {
            let schema = RecordSchema::new("test", "1.0", text.into()).unwrap();
            assert_eq!(i64::from_le_bytes(schema.fingerprint()), expected, "{text}");
        }
    }
}
