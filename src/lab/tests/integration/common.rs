//! What the tests of the program share: the program itself, and a few small frames on disk.

#[path = "../../../../tests/integration/common/process.rs"]
mod process;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use process::{Ended, Running};

use twinpeak_core::survey::Survey;
use twinpeak_formats::fits::encode_band;
use twinpeak_sim::{Spec, simulate};

/// Whatever must happen is given so long: only a hang takes it.
const DEADLINE: Duration = Duration::from_secs(300);

/// The workspace's root: configuration and model are named from there.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Ended {
    start(arguments).wait()
}

/// Starts it with the shipped configuration.
pub fn start(arguments: &[&str]) -> Running {
    process::start(process::command(env!("CARGO_BIN_EXE_twinpeak-lab"), &root(), arguments))
}

/// Waits until something holds, for as long as a hang takes to be one.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < DEADLINE, "has not come: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A folder with so many simulated fields of 256x200 px, a plain FITS file a band.
pub fn frames(fields: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let survey = Survey::parse(include_str!("../../../../config/surveys/sdss.toml")).unwrap();
    for field in 1..=fields {
        let spec = Spec { seed: 7, field, width: 256, height: 200, ..Spec::default() };
        let frame = simulate(&spec, &survey).unwrap().frame;
        for band in 0..frame.bands.len() {
            let packed = survey.file_for(band, &frame.id);
            let plain = packed.strip_suffix(".bz2").unwrap_or(&packed);
            std::fs::write(folder.path().join(plain), encode_band(&survey, &frame, band).unwrap()).unwrap();
        }
    }
    folder
}
