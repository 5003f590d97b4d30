//! The promise about schemas, held against the files in `deploy/schemas/`: each version that was published stays
//! as it is, and any two minors of a major read each other. `TWINPEAK_WRITE_SCHEMAS=1` writes the files that are
//! new and the guide's tables (docs/stream.md); a file that is there is never overwritten: raise the version instead.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde_json::{Value as Json, json};

use super::tests::sdss;
use super::{RecordSchema, Schemas};

/// Every file ever published and its fingerprint (CRC-64-AVRO, as fastavro computes it): a new version adds a line,
/// and no line ever changes.
const PUBLISHED: &[(&str, &str)] = &[
    ("image-v1.0.avsc", "e7c3cf5e61813bf5"),
    ("image-v1.1.avsc", "306b18ab0eedd30e"),
    ("image-v1.2.avsc", "65d01fd2a8d5519e"),
    ("mask-v1.0.avsc", "ac29c4727a2ff2a9"),
    ("source-v1.0.avsc", "d710e060b22b5f42"),
    ("source-v1.1.avsc", "7debaf77fa51c758"),
];

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn writing() -> bool {
    std::env::var_os("TWINPEAK_WRITE_SCHEMAS").is_some_and(|v| v == "1")
}

fn published(schema: &RecordSchema) -> PathBuf {
    at("deploy/schemas").join(schema.file_name())
}

/// All published minors of the schema's major.
fn minors(schema: &RecordSchema) -> Vec<PathBuf> {
    let newest = schema.file_name();
    let (prefix, _) = newest.trim_end_matches(".avsc").rsplit_once('.').unwrap();
    schema_files().filter(|file| name(file).starts_with(&format!("{prefix}."))).collect()
}

fn schema_files() -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(at("deploy/schemas")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|e| e == "avsc"))
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}

fn json_of(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

/// What keeps `new` from being a later minor than `old`: it lacks a field, or one does not read what the other wrote.
fn broken(old: &Json, new: &Json) -> Result<(), String> {
    let [had, has] = [old, new].map(lines);
    if let Some(gone) = had.iter().find(|field| has.iter().all(|f| f.name != field.name)) {
        return Err(format!("{} is gone", gone.name));
    }
    let parse = |schema| Schema::parse(schema).map_err(|e| e.to_string());
    match SchemaCompatibility::mutual_read(&parse(old)?, &parse(new)?) {
        Ok(Compatibility::Full) => Ok(()),
        Ok(Compatibility::Partial) => Err("some values of one are none of the other".into()),
        Err(e) => Err(e.to_string()),
    }
}

#[test]
fn the_code_s_schemas_are_the_published_files() {
    for schema in Schemas::new(&sdss()).unwrap().all() {
        let file = published(schema);
        if writing() && !file.exists() {
            fs::write(&file, schema.text()).unwrap();
        }
        let text = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            text == schema.text(),
            "{} is not what the code makes: raise the version in src/formats/avro/schema.rs, then TWINPEAK_WRITE_SCHEMAS=1 writes it",
            file.display()
        );
        assert_eq!(json_of(&text)["version"], schema.version());
    }
}

#[test]
fn what_was_published_stays_as_it_was() {
    let mut found: Vec<(String, String)> = schema_files()
        .map(|file| {
            let schema = Schema::parse_str(&fs::read_to_string(&file).unwrap()).unwrap();
            (name(&file), schema.fingerprint::<Rabin>().to_string())
        })
        .collect();
    found.sort();
    let found: Vec<_> = found.iter().map(|(name, crc)| (name.as_str(), crc.as_str())).collect();
    assert_eq!(found, PUBLISHED, "a published schema changed, or a new one is not in this list");
}

#[test]
fn minors_of_a_major_read_each_other() {
    for schema in Schemas::new(&sdss()).unwrap().all() {
        let number = |file: &str| file.trim_end_matches(".avsc").rsplit('.').next().unwrap().parse::<u32>().unwrap();
        for file in minors(schema) {
            assert!(number(&name(&file)) <= number(&schema.file_name()), "{} is newer than the code", name(&file));
            let text = fs::read_to_string(&file).unwrap();
            if let Err(why) = broken(&json_of(&text), &json_of(schema.text())) {
                panic!("{} is no minor of the same major as {}: {why}", schema.file_name(), name(&file));
            }
        }
    }
}

/// What becomes of a schema's fields.
type Change<'a> = &'a dyn Fn(&mut Vec<Json>);

#[test]
fn a_change_that_breaks_readers_is_seen() {
    let schemas = Schemas::new(&sdss()).unwrap();
    let old = json_of(schemas.source.text());
    let seen = |change: Change| {
        let mut new = old.clone();
        change(new["fields"].as_array_mut().unwrap());
        broken(&old, &new).is_err()
    };
    let place = |name| move |f: &Json| f["name"] == name;
    let drop = |name| move |fields: &mut Vec<Json>| fields.retain(|f| !place(name)(f));
    let set = |name, key, value: Json| {
        move |fields: &mut Vec<Json>| fields.iter_mut().find(|f| place(name)(f)).unwrap()[key] = value.clone()
    };
    let add = |field: Json| move |fields: &mut Vec<Json>| fields.push(field.clone());
    let refused: [(&str, Change); 7] = [
        ("a nullable field is removed", &drop("starProb")),
        ("a field without a default is removed", &drop("ra")),
        ("a type is changed", &set("ra", "type", json!("string"))),
        ("a type is narrowed", &set("ra", "type", json!("float"))),
        ("null is no longer possible", &|fields| {
            drop("starProb")(fields);
            add(json!({"name": "starProb", "type": "float"}))(fields);
        }),
        ("a field is renamed", &set("dec", "name", json!("declination"))),
        ("a field without a default is added", &add(json!({"name": "new", "type": "float"}))),
    ];
    for (what, change) in refused {
        assert!(seen(change), "{what}");
    }
    let allowed: [(&str, Change); 3] = [
        ("nothing", &|_| ()),
        ("a nullable field is added", &add(json!({"name": "new", "type": ["null", "float"], "default": null}))),
        ("its meaning is said better", &set("ra", "doc", json!("Right ascension"))),
    ];
    for (what, change) in allowed {
        assert!(!seen(change), "{what}");
    }
}

#[test]
fn every_field_says_what_it_is_and_null_is_a_default() {
    for schema in Schemas::new(&sdss()).unwrap().all() {
        for field in lines(&json_of(schema.text())) {
            assert!(!field.what.is_empty() && field.unit.is_some(), "{} of {}", field.name, schema.file_name());
            assert!(!field.kind.ends_with("null") || field.null_by_default, "{} of {}", field.name, schema.file_name());
        }
    }
}

const BEGIN: &str = "<!-- schemas:begin -->\n";
const END: &str = "<!-- schemas:end -->";

#[test]
fn the_guide_s_tables_are_the_schemas() {
    let survey = sdss();
    let mut tables = String::from("\n");
    for schema in Schemas::new(&survey).unwrap().all() {
        table(&schema.topic("twinpeak", &survey), &schema.file_name(), &json_of(schema.text()), &mut tables);
    }
    let guide = at("docs/stream.md");
    let text = fs::read_to_string(&guide).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if writing() && found != tables {
        fs::write(&guide, format!("{before}{BEGIN}{tables}{END}{after}")).unwrap();
        return;
    }
    assert!(found == tables, "docs/stream.md does not show the schemas: TWINPEAK_WRITE_SCHEMAS=1 writes its tables");
}

/// A field as a line of a table.
struct Line {
    name: String,
    kind: String,
    unit: Option<String>,
    what: String,
    null_by_default: bool,
}

fn table(topic: &str, file: &str, schema: &Json, to: &mut String) {
    let _ =
        writeln!(to, "`{topic}` ([{file}](../deploy/schemas/{file})): {}.\n", lower(schema["doc"].as_str().unwrap()));
    to.push_str("| field | type | unit | what |\n| --- | --- | --- | --- |\n");
    let mut shown = Vec::new();
    let lines = lines(schema);
    for line in &lines {
        // Five bands, one line.
        let name = match line.name.split_once('_') {
            Some((stem, _)) => {
                let of_stem = lines.iter().filter_map(|l| l.name.strip_prefix(stem)?.strip_prefix('_'));
                format!("{stem}_{{{}}}", of_stem.collect::<Vec<_>>().join(","))
            }
            None => line.name.clone(),
        };
        if !shown.contains(&name) {
            let unit = line.unit.as_deref().unwrap_or_default();
            let _ = writeln!(to, "| `{name}` | {} | {unit} | {} |", line.kind, line.what);
            shown.push(name);
        }
    }
    to.push('\n');
}

/// The fields of a record, those of records within it among them.
fn lines(record: &Json) -> Vec<Line> {
    let mut all = Vec::new();
    for field in record["fields"].as_array().unwrap() {
        let text = |key: &str| field[key].as_str().map(str::to_owned);
        let (kind, within) = kind(&field["type"]);
        let name = text("name").unwrap();
        let inner = within.map(lines).unwrap_or_default();
        all.push(Line {
            kind,
            unit: text("unit"),
            what: text("doc").unwrap_or_default(),
            null_by_default: field.get("default").is_some_and(Json::is_null),
            name: name.clone(),
        });
        all.extend(inner.into_iter().map(|line| Line { name: format!("{name}[].{}", line.name), ..line }));
    }
    all
}

/// A type in words, and the record within it.
fn kind(schema: &Json) -> (String, Option<&Json>) {
    match schema {
        Json::String(name) => (name.clone(), None),
        Json::Array(branches) => (format!("{} or null", branches[1].as_str().unwrap()), None),
        _ if schema["type"] == "array" => ("array".into(), Some(&schema["items"])),
        _ => (format!("{} of {}", schema["type"].as_str().unwrap(), schema["values"].as_str().unwrap()), None),
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
