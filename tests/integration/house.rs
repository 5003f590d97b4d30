//! What Cargo cannot say of the house. Who may know whom stands in each Cargo.toml; here stand the rooms of the vendors,
//! where `unsafe` may be, that what learns cannot name the truth, and how long a file may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Dependencies that only some crates may have.
const VENDORS: &[(&str, &[&str])] = &[
    ("fitsio", &["cfitsio"]), // other crates' tests read by it what they have written
    ("seccompiler", &["cfitsio"]),
    ("tch", &["nets", "learn", "lab"]),
    ("bhtsne", &["lab"]),
    ("zstd", &["lab"]),
    ("half", &["lab"]),
    ("parquet", &["formats"]),
    ("apache-avro", &["formats"]),
    ("plotters", &["formats"]),
    ("png", &["formats"]),
    ("axum", &["telemetry"]),
    ("hyper", &["telemetry"]),
    ("hyper-util", &["telemetry"]),
    ("prometheus", &["telemetry"]),
    ("tracing-subscriber", &["telemetry"]),
    ("tokio", &["telemetry", "stream"]),
    ("crossbeam", &["engine", "stream"]),
    ("rdkafka", &["stream"]),
    ("object_store", &["stream"]),
    ("reqwest", &["stream"]),
    ("schema_registry_converter", &["stream"]),
    ("anyhow", &["config", "lab", "program"]),
    ("clap", &["config", "lab", "program"]),
];

/// Crates that only some modules of a crate may name: the crate, the vendor, and how the paths of its rooms begin.
const ROOMS: &[(&str, &str, &[&str])] = &[
    ("stream", "rdkafka", &["stream/kafka"]),
    ("stream", "object_store", &["stream/object_store"]),
    ("stream", "reqwest", &["stream/object_store"]),
    ("stream", "schema_registry_converter", &["stream/registry.rs"]),
    ("formats", "parquet", &["formats/parquet"]),
    ("formats", "apache_avro", &["formats/avro"]),
    ("formats", "plotters", &["formats/picture"]),
    ("formats", "png", &["formats/picture"]),
    ("config", "anyhow", &["config/assemble.rs", "config/exit.rs", "config/survey_file.rs"]),
    ("lab", "anyhow", &["lab/commands"]),
];

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &["nets", "cfitsio/library.rs"];

/// Folders and files of the lab that learn: they know no more of the truth than `learn` does.
const LEARNERS: &[&str] = &[
    "lab/hypercolumn",
    "lab/residual",
    "lab/clusters",
    "lab/dataset",
    "lab/hierarchy",
    "lab/manifold",
    "lab/student",
    "lab/supervised",
    "lab/whole",
];

/// Lines of a file.
const LINES_MAX: usize = 450;

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// A source file of the programs.
struct Source {
    /// Its crate's folder below `src/`; `program` for the root package.
    krate: String,
    /// Its path below `src/`.
    path: PathBuf,
    /// Its text without comments and tests.
    code: String,
}

/// All source files but those of tests alone.
fn read() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    let texts: Vec<(PathBuf, String)> = files
        .into_iter()
        .map(|path| (path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    let tests: Vec<PathBuf> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let read = |(path, text): (PathBuf, String)| {
        let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let krate = if root.join(&first).join("Cargo.toml").is_file() { first } else { "program".into() };
        let code = without_tests(&text);
        let code = code.lines().map(|l| format!("{}\n", l.split("//").next().unwrap_or_default())).collect();
        Source { krate, path, code }
    };
    let of_tests = |path: &Path| path.components().nth(1).is_some_and(|folder| folder.as_os_str() == "tests");
    let of_program = |(path, _): &(PathBuf, String)| {
        !of_tests(path) && !tests.iter().any(|t| path.with_extension("").starts_with(t))
    };
    texts.into_iter().filter(of_program).map(read).collect()
}

const FOR_TESTS: &str = "#[cfg(test)]";

/// The files, without ending, that `path` declares as modules for tests alone.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let items = text.split(FOR_TESTS).skip(1).map(|after| &after[..item_length(after)]);
    let declared = items.filter_map(|item| item.strip_suffix(';')?.rsplit_once("mod "));
    declared.map(|(_, name)| path.with_extension("").join(name)).collect()
}

/// The text without what is compiled for tests alone.
fn without_tests(text: &str) -> String {
    let mut parts = text.split(FOR_TESTS);
    let before = parts.next().unwrap_or_default().to_owned();
    parts.fold(before, |kept, after| kept + &after[item_length(after)..])
}

/// Bytes up to the `;` or the closing brace that ends the item at the beginning of `text`.
fn item_length(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// The names below `[dependencies]` of each crate.
fn dependencies() -> Vec<(String, BTreeSet<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = fs::read_dir(root.join("src")).unwrap().map(|entry| entry.unwrap().path());
    let members = folders.filter(|folder| folder.join("Cargo.toml").is_file());
    let named = members.map(|folder| (folder.file_name().unwrap().to_string_lossy().into_owned(), folder));
    let all = named.chain([("program".to_owned(), root.to_owned())]);
    let read = |folder: &Path| -> BTreeSet<String> {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
    };
    all.map(|(name, folder)| (name, read(&folder))).collect()
}

#[test]
fn each_vendor_has_its_crates() {
    let all = dependencies();
    assert!(all.len() > 10, "the manifests were not found");
    for (vendor, allowed) in VENDORS {
        for (name, has) in &all {
            assert!(!has.contains(*vendor) || allowed.contains(&name.as_str()), "{name} may not depend on {vendor}");
        }
    }
}

#[test]
fn a_vendor_has_one_room_in_its_crate() {
    let mut wrong = Vec::new();
    for Source { krate, path, code } in read() {
        for (_, vendor, rooms) in ROOMS.iter().filter(|(owner, ..)| *owner == krate) {
            let name = vendor.trim_start_matches("::");
            let named = if vendor.starts_with("::") {
                code.contains(&format!("{vendor}::"))
            } else {
                [format!("use {name}::"), format!("use ::{name}::"), format!(" {name}::"), format!("({name}::")]
                    .iter()
                    .any(|text| code.contains(text))
            };
            let ours = code.contains(&format!("use crate::{name}")) || code.contains(&format!("{{self, {name}"));
            if named
                && !ours
                && !rooms.iter().any(|room| path.starts_with(room) || path.with_extension("").starts_with(room))
            {
                wrong.push(format!("{}: {krate} may name {name} only in {rooms:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The lint `unsafe_code` denies it; who lifts that is held here.
#[test]
fn unsafe_code_stands_only_where_it_must_with_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut uses = 0;
    for Source { path, code, .. } in read() {
        let here = code.matches("unsafe {").count();
        let lifted = code.matches("allow(unsafe_code").count();
        let room = UNSAFE.iter().any(|room| path.starts_with(room));
        assert!(here + lifted == 0 || room, "{}: unsafe is for {UNSAFE:?}", path.display());
        let reasons = fs::read_to_string(root.join(&path)).unwrap().matches("SAFETY").count();
        assert!(here <= reasons, "{}: {here} uses of unsafe, {reasons} SAFETY comments", path.display());
        uses += here;
    }
    assert!(uses > 0, "the sources were not found");
}

/// Training is label-free because it cannot be otherwise: `learn` does not depend on the simulator nor on scores, and
/// what the lab trains has no more of them.
#[test]
fn nothing_that_learns_can_name_the_truth() {
    let known = dependencies();
    let (_, of_learn) = known.iter().find(|(name, _)| name == "learn").unwrap();
    for hidden in ["twinpeak-sim", "twinpeak-lab", "twinpeak-config"] {
        assert!(!of_learn.contains(hidden), "what learns may not know {hidden}");
    }
    let learns = |source: &Source| {
        source.krate == "learn" || LEARNERS.iter().any(|l| source.path.with_extension("").starts_with(l))
    };
    let learners: Vec<_> = read().into_iter().filter(learns).collect();
    assert!(learners.len() > 40, "the sources of what learns were not found");
    for Source { path, code, .. } in learners {
        for hidden in ["twinpeak_sim", "crate::study", "crate::commands", "truth"] {
            assert!(!code.to_lowercase().contains(hidden), "{}: what learns may not name {hidden}", path.display());
        }
    }
}

#[test]
fn files_are_short_enough_to_be_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lines = |source: Source| (fs::read_to_string(root.join(&source.path)).unwrap().lines().count(), source.path);
    let long: Vec<_> = read().into_iter().map(lines).filter(|(lines, _)| *lines > LINES_MAX).collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:?}");
}
