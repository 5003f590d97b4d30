//! The program as a process: started, watched, signalled, ended. Whatever it says, it never says that it panicked.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use super::until;

/// How it ended.
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
        let words: Vec<_> = self.told.lines().filter_map(|l| l.strip_prefix("twinpeak: ")).collect();
        assert_eq!(words.len(), 1, "{}", self.told);
        words[0]
    }
}

/// A process at work; killed when dropped.
pub struct Running {
    child: Child,
    told: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// The program with the shipped configuration, on the processor.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinpeak"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    // What the caller's shell configures is nobody's business here.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TWINPEAK__")) {
        command.env_remove(name);
    }
    command.env("TWINPEAK__DEVICE__CHOICE", "cpu");
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Ended {
    start(command(arguments)).wait()
}

/// Starts it.
pub fn start(mut command: Command) -> Running {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (stderr, told) = (child.stderr.take().unwrap(), Arc::<Mutex<String>>::default());
    let into = Arc::clone(&told);
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            into.lock().unwrap().push_str(&(line + "\n"));
        }
    });
    Running { child, told, reader: Some(reader) }
}

impl Running {
    /// What it has said so far.
    pub fn told(&self) -> String {
        self.told.lock().unwrap().clone()
    }

    /// Waits until it has said something.
    pub fn until_told(&self, words: &str) {
        until(words, || {
            let all = self.reader.as_ref().is_none_or(JoinHandle::is_finished); // asked before what it is about
            let told = self.told();
            assert!(told.contains(words) || !all, "ended without saying {words:?}:\n{told}");
            told.contains(words)
        });
    }

    /// A field of the log line that says that the daemon is ready.
    pub fn ready(&self, field: &str) -> String {
        self.until_told("\"message\":\"ready\"");
        let told = self.told();
        let lines = told.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
        let ready = lines.into_iter().find(|l| l["message"] == "ready").unwrap();
        ready[field].as_str().unwrap().to_owned()
    }

    /// Sends a signal, `-TERM` or another, unless it has ended.
    pub fn signal(&mut self, name: &str) {
        if self.ended() {
            return;
        }
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        until("the program's end", || self.ended());
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        let ended = Ended { code, told: self.told() };
        assert!(!ended.told.contains("panicked at"), "{}", ended.told);
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
