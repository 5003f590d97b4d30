//! What the tests of the program share: a small seeded night, the program itself, and its folder of results.
#![allow(dead_code, reason = "each file of tests uses its part")]

pub mod broker;
pub mod fits;
pub mod http;
pub mod program;
pub mod results;
pub mod s3;
pub mod session;
pub mod site;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The survey's bands, in its order.
pub const BANDS: [&str; 5] = ["u", "g", "r", "i", "z"];

/// Whatever must happen is given so long: only a hang takes it.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A simulated field: its five files in memory, unpacked.
pub struct Field {
    /// Image id.
    pub id: String,
    /// A plain FITS file a band.
    pub bands: [Vec<u8>; 5],
}

impl Field {
    /// Writes its files to a folder.
    pub fn write(&self, folder: &Path) {
        self.write_as(folder, &self.id);
    }

    /// Writes its files under another image's name.
    pub fn write_as(&self, folder: &Path, id: &str) {
        for (band, bytes) in BANDS.iter().zip(&self.bands) {
            fs::write(path_of(folder, band, id), bytes).unwrap();
        }
    }
}

/// Where a band's plain file lies.
pub fn path_of(folder: &Path, band: &str, id: &str) -> PathBuf {
    folder.join(format!("frame-{band}-{id}.fits"))
}

/// Three fields of 256x200 px: what the program itself simulates, once for all tests of a file.
pub fn night() -> &'static [Field] {
    static NIGHT: OnceLock<Vec<Field>> = OnceLock::new();
    NIGHT.get_or_init(|| simulate(&["--width", "256", "--height", "200", "--fields", "3", "--seed", "7"]))
}

/// A folder with the first `fields` of the night.
pub fn frames(fields: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    night()[..fields].iter().for_each(|f| f.write(folder.path()));
    folder
}

/// Fields by `twinpeak simulate`, in order of their ids.
pub fn simulate(arguments: &[&str]) -> Vec<Field> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    program::run(&[&["simulate", "--plain", "--out", out], arguments].concat()).assert_code(0);
    let names = results::names(folder.path());
    let ids = names.iter().filter_map(|n| n.strip_prefix("truth-")?.strip_suffix(".csv"));
    let read = |id: &str, band| fs::read(path_of(folder.path(), band, id)).unwrap();
    ids.map(|id| Field { id: id.to_owned(), bands: BANDS.map(|b| read(id, b)) }).collect()
}

/// Waits until something holds, for as long as a hang takes to be one.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < DEADLINE, "has not come: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The interpreter of the tests' readers; none, loudly, where `modules` are not there.
pub fn interpreter(modules: &str) -> Option<PathBuf> {
    let local = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    let python = std::env::var_os("TWINPEAK_PYTHON").map_or_else(local, PathBuf::from);
    let has = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if has.is_ok_and(|o| o.status.success()) {
        return Some(python);
    }
    eprintln!("SKIPPED: no {modules} at {} (deploy/setup.sh --tests installs them)", python.display());
    None
}

/// Runs a Python script on folders; its assertions are the test's. `false`, loudly, where `modules` are not there.
#[must_use]
pub fn python(modules: &str, script: &str, folders: &[&Path]) -> bool {
    let Some(python) = interpreter(modules) else { return false };
    let run = Command::new(python).args(["-c", script]).args(folders).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    true
}
