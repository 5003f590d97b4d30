//! Who may know whom. Dependencies go one way, and each vendor has one room: this reads the sources and holds
//! them against the table of ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const CORE: &[&str] = &[
    "frame",
    "wcs",
    "survey",
    "preprocess",
    "tile",
    "model",
    "filter",
    "threshold",
    "extract",
    "aperture",
    "psf",
    "cutout",
    "measure",
    "objects",
    "posterior",
    "catalog",
    "recipe",
    "sim",
    "evaluate",
    "units",
    "drift",
];

/// A module, and the modules of ours it may name (`CORE` stands for all of them).
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("frame", &["wcs"]),
    ("wcs", &[]),
    ("survey", &["frame"]),
    ("preprocess", &["frame", "wcs", "survey", "filter"]),
    ("tile", &["frame", "model"]),
    ("model", &["frame"]),
    ("filter", &["frame"]),
    ("threshold", &["frame", "model", "filter", "survey"]),
    ("extract", &["frame", "model", "filter", "catalog"]),
    ("aperture", &["frame"]),
    ("psf", &["frame", "model", "aperture", "preprocess", "extract", "survey"]),
    ("cutout", &["frame", "model", "psf", "extract", "preprocess", "survey"]),
    ("measure", &["frame", "model", "aperture", "psf", "cutout", "extract", "preprocess", "survey", "catalog"]),
    ("objects", &["aperture", "cutout", "extract", "filter", "frame", "measure", "preprocess", "psf", "survey"]),
    ("posterior", &["cutout"]),
    ("catalog", &["frame", "survey"]),
    ("recipe", &["frame", "preprocess", "extract", "posterior"]),
    ("sim", &["frame", "survey", "wcs"]),
    ("evaluate", &["frame"]),
    ("drift", &["frame"]),
    ("pipeline", &["CORE"]),
    ("units", &[]),
    ("message", &["frame", "survey", "pipeline"]),
    ("remote", &["message"]),
    ("kafka", &["frame", "pipeline", "units", "wire"]),
    ("fits", &["frame", "survey", "wcs", "catalog", "pipeline"]),
    ("store", &["frame", "survey", "catalog", "pipeline", "fits", "picture"]),
    ("picture", &["frame", "catalog", "pipeline"]),
    ("wire", &["frame", "survey", "catalog", "pipeline"]),
    ("telemetry", &["pipeline", "frame", "catalog", "model", "drift", "evaluate", "picture"]),
    ("torch", &["drift", "tile", "cutout", "model", "preprocess", "recipe", "frame", "survey", "pipeline"]),
    ("learn", &["CORE", "torch", "fits"]),
    ("study", &["CORE", "learn", "torch", "picture"]),
    ("config", &["CORE", "pipeline", "fits", "store", "kafka", "remote"]),
    ("cli", &["commands", "config", "frame", "pipeline"]),
    (
        "commands",
        &[
            "CORE",
            "pipeline",
            "fits",
            "store",
            "picture",
            "message",
            "remote",
            "wire",
            "kafka",
            "telemetry",
            "torch",
            "learn",
            "study",
            "config",
            "cli",
        ],
    ),
];

/// Crates that only some modules may name.
const VENDORS: &[(&str, &[&str])] = &[
    ("fitsio", &[]), // cfitsio checks ours, in tests; it is not in the program
    ("fitsio_sys", &[]),
    ("tch", &["torch", "learn"]),
    ("bhtsne", &["learn"]),
    ("parquet", &["store"]),
    ("plotters", &["picture"]),
    ("png", &["picture"]),
    ("apache_avro", &["wire"]),
    ("schema_registry_converter", &["wire"]),
    ("axum", &["telemetry"]),
    ("hyper", &["telemetry"]),
    ("hyper_util", &["telemetry"]),
    ("prometheus", &["telemetry"]),
    ("tokio", &["telemetry", "remote", "kafka"]), // kafka: to wait for the broker's answers to questions about topics,
    ("crossbeam", &["pipeline", "kafka"]),
    ("object_store", &["remote"]),
    ("reqwest", &["remote"]),
    ("rdkafka", &["kafka"]),
    ("zstd", &["learn"]),
    ("half", &["learn"]),
    ("anyhow", &["commands", "main", "cli"]),
    ("::wcs", &["wcs", "fits"]),
];

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &["torch"];

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

/// Top module of a source file and its text without comments and tests; files of tests alone are left out.
fn read() -> Vec<(String, PathBuf, String)> {
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
        let code: String =
            without_tests(&text).lines().map(|l| format!("{}\n", l.split("//").next().unwrap_or_default())).collect();
        (first.trim_end_matches(".rs").to_owned(), path, code)
    };
    let of_program = |(path, _): &(PathBuf, String)| !tests.iter().any(|t| path.with_extension("").starts_with(t));
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

/// Words that follow `prefix` in the code, opening `{a, b::c}` groups one level.
fn named_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        let word = |s: &str| s.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut item) = (1, String::new());
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 || (depth == 1 && c == ',') {
                    found.insert(word(&item));
                    item.clear();
                    if depth == 0 {
                        break;
                    }
                } else {
                    item.push(c);
                }
            }
        } else {
            found.insert(word(rest));
        }
    }
    found.retain(|w| !w.is_empty());
    found
}

#[test]
fn modules_know_only_whom_they_may() {
    let table: BTreeMap<_, _> = MAY_KNOW.iter().copied().collect();
    let mut wrong = Vec::new();
    for (module, path, code) in read() {
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(allowed) = table.get(module.as_str()) else {
            wrong.push(format!("{}: the table has no row for {module}", path.display()));
            continue;
        };
        for other in named_after(&code, "crate::") {
            let known = other == module
                || allowed.contains(&other.as_str())
                || (allowed.contains(&"CORE") && CORE.contains(&other.as_str()))
                || !table.contains_key(other.as_str());
            if !known {
                wrong.push(format!("{}: {module} may not know {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_vendor_has_one_room() {
    let mut wrong = Vec::new();
    for (module, path, code) in read() {
        for (vendor, rooms) in VENDORS {
            let name = vendor.trim_start_matches("::");
            let names = code.contains(&format!("use {vendor}::"))
                || code.contains(&format!(" {name}::"))
                || code.contains(&format!("({name}::"));
            let ours = name == "wcs" && module != "wcs" && !code.contains("use wcs::") && !code.contains("::wcs::WCS");
            if names && !ours && !rooms.contains(&module.as_str()) {
                wrong.push(format!("{}: {module} may not name the crate {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stands_only_where_it_must_with_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, path, code) in read() {
        let uses = code.lines().filter(|l| l.contains("unsafe ")).count();
        if uses > 0 && !UNSAFE.contains(&module.as_str()) {
            wrong.push(format!("{}: unsafe may stand only in {UNSAFE:?}", path.display()));
        }
        let text = fs::read_to_string(root.join(&path)).unwrap();
        if uses > text.matches("SAFETY").count() {
            wrong.push(format!("{}: {uses} uses of unsafe, fewer SAFETY comments", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Training is label-free because it cannot be otherwise: the simulator, its truth and the scores are out of its
/// reach, whatever the table above lets pass with `CORE`.
#[test]
fn nothing_that_learns_can_name_the_truth() {
    let learns: Vec<_> = read().into_iter().filter(|(module, ..)| module == "learn").collect();
    assert!(learns.len() > 10, "the sources of `learn` were not found");
    for (_, path, code) in learns {
        let known = named_after(&code, "crate::");
        for hidden in ["sim", "evaluate", "commands", "cli"] {
            assert!(!known.contains(hidden), "{}: what learns may not name {hidden}", path.display());
        }
        assert!(!code.to_lowercase().contains("truth"), "{}: what learns may not name the truth", path.display());
    }
}

#[test]
fn files_are_short_enough_to_be_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let long: Vec<_> = read()
        .into_iter()
        .map(|(_, path, _)| (fs::read_to_string(root.join(&path)).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > 450)
        .collect();
    assert!(long.is_empty(), "over 450 lines: {long:?}");
}
