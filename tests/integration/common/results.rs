//! A folder of results, as somebody who comes later finds it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Ends of the names of the files of one image; the record is last.
pub const KINDS: [&str; 5] = ["catalog.fits", "catalog.parquet", "masks.fits", "quicklook.png", "done.json"];

/// Names of a folder's files (not folders), sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|e| e.path().is_file());
    let mut names: Vec<_> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Ids of the images that are done, sorted.
pub fn done(out: &Path) -> Vec<String> {
    let shown = names(out).into_iter().filter(|name| !name.starts_with('.'));
    shown.filter_map(|name| name.strip_suffix(".done.json").map(str::to_owned)).collect()
}

/// An image's record as it stands.
pub fn record(out: &Path, id: &str) -> Value {
    serde_json::from_slice(&fs::read(out.join(format!("{id}.done.json"))).unwrap()).unwrap()
}

/// The rejections by image.
pub fn rejected(out: &Path) -> BTreeMap<String, Value> {
    let folder = out.join("rejected");
    let read = |name: &str| serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap();
    names(&folder).iter().map(|n| (n.strip_suffix(".json").unwrap().to_owned(), read(n))).collect()
}

/// Every file of every image that is done: whole, as its record says, and nothing else beside. Their bytes by name;
/// of the records, all but the timings, which alone may differ between two runs.
#[track_caller]
pub fn whole(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let ids = done(out);
    let mut expected: Vec<_> = ids.iter().flat_map(|id| KINDS.map(|kind| format!("{id}.{kind}"))).collect();
    expected.sort();
    assert_eq!(names(out), expected, "half a set, or something left over");
    let mut files = BTreeMap::new();
    for id in ids {
        let mut record = record(out, &id);
        let described = record["files"].as_array().unwrap().clone();
        assert_eq!(described.len(), KINDS.len() - 1);
        for file in described {
            let name = file["name"].as_str().unwrap();
            let bytes = fs::read(out.join(name)).unwrap();
            let digest: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!((file["bytes"].as_u64(), &file["sha256"]), (Some(bytes.len() as u64), &digest.into()), "{name}");
            files.insert(name.to_owned(), bytes);
        }
        assert!(record.as_object_mut().unwrap().remove("timings_s").is_some_and(|t| t.is_object()));
        files.insert(format!("{id}.done.json"), record.to_string().into_bytes());
    }
    files
}

/// Holds two sets of files against each other, naming what differs.
#[track_caller]
pub fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>, who: &str) {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{who}");
    let differ: Vec<_> = expected.keys().filter(|name| found[*name] != expected[*name]).collect();
    assert!(differ.is_empty(), "{who}: {differ:?} differ");
}
