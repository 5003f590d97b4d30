//! What the tests of the program share: the program itself, and a few small frames on disk.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use twinpeak_core::survey::Survey;
use twinpeak_formats::fits::encode_band;
use twinpeak_sim::{Spec, simulate};

/// Whatever must happen is given so long: only a hang takes it.
const DEADLINE: Duration = Duration::from_secs(300);

/// The workspace's root: configuration and model are named from there.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Exit code and messages of a program that ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` where a signal killed it.
    pub code: Option<i32>,
    /// All it said on standard error.
    pub told: String,
}

impl Ended {
    /// Holds its exit code against the expected.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.told);
        self
    }

    /// The one line with which it ended early, without the program's name.
    #[track_caller]
    pub fn last_words(&self) -> &str {
        let words: Vec<_> = self.told.lines().filter_map(|l| l.strip_prefix("twinpeak-lab: ")).collect();
        assert_eq!(words.len(), 1, "{}", self.told);
        words[0]
    }
}

/// The program at work; killed when dropped.
pub struct Running {
    child: Child,
    told: Option<JoinHandle<String>>,
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Ended {
    start(arguments).wait()
}

/// Starts it with the shipped configuration, on the processor.
pub fn start(arguments: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinpeak-lab"));
    command.args(arguments).current_dir(root());
    // What the caller's shell configures is nobody's business here.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TWINPEAK__")) {
        command.env_remove(name);
    }
    command.env("TWINPEAK__DEVICE__CHOICE", "cpu");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    // Read while it runs: a full pipe would stop it.
    let told = std::thread::spawn(move || {
        let mut told = Vec::new();
        stderr.read_to_end(&mut told).unwrap();
        String::from_utf8_lossy(&told).into_owned()
    });
    Running { child, told: Some(told) }
}

impl Running {
    /// Kills it as `kill -9` does.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// Waits for its end. Whatever it says, it never says that it panicked.
    fn wait(mut self) -> Ended {
        let code = self.child.wait().unwrap().code();
        let told = self.told.take().unwrap().join().unwrap();
        assert!(!told.contains("panicked at"), "{told}");
        Ended { code, told }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
