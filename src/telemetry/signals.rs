//! Ctrl-C and `kill`: the first asks the pipeline to finish what is in flight; the second, or too long a wait,
//! ends the process at once. Results are published whole or not at all, so that loses work but breaks nothing.
//! `SIGHUP` asks a daemon to look at its model again; other commands end by it, as programs do.
//! A file that may not grow any further (`ulimit -f`) fails to be written, as on a full disk, instead of killing us.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use twinpeak_engine::flow::Stop;

/// Watches from a thread of its own, from now until the process ends. `at_once` ends it at once: it must not wait for
/// other threads, nor take down (as `exit` does) what they are using.
///
/// # Errors
/// Where the system gives no thread or refuses the handlers.
pub fn watch(
    stop: Stop,
    drain_timeout: Duration,
    at_once: impl FnOnce() -> Infallible + Send + 'static,
) -> io::Result<()> {
    watch_with(stop, drain_timeout, None, at_once)
}

/// Action on SIGHUP: asks for a reload of the model.
pub type Hangup = Box<dyn Fn() + Send>;

/// The same; at each SIGHUP `hangup` is called, if there is one.
///
/// # Errors
/// Where the system gives no thread or refuses the handlers.
pub fn watch_with(
    stop: Stop,
    drain_timeout: Duration,
    hangup: Option<Hangup>,
    at_once: impl FnOnce() -> Infallible + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut both, hung_up) = {
        let _inside = runtime.enter();
        // What is taken over once stays so, though nobody listens; the write then fails by itself.
        drop(signal(SignalKind::from_raw(libc::SIGXFSZ))?);
        let hung_up = hangup.map(|call| Ok::<_, io::Error>((signal(SignalKind::hangup())?, call))).transpose()?;
        (Both { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? }, hung_up)
    };
    if let Some((mut signal, call)) = hung_up {
        runtime.spawn(async move {
            while signal.recv().await.is_some() {
                call();
            }
        });
    }
    let wait = async move {
        let name = both.next().await;
        tracing::warn!(signal = name, "shutdown requested, draining; a second signal exits immediately");
        stop.drain();
        let why = tokio::select! {
            _ = both.next() => "a second signal",
            () = tokio::time::sleep(drain_timeout) => "pipeline.drain_timeout_s is over",
        };
        tracing::error!(reason = why, "exiting immediately");
        match at_once() {}
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(wait))?;
    Ok(())
}

struct Both {
    interrupt: Signal,
    terminate: Signal,
}

impl Both {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    const DRAIN_TIMEOUT_VARIABLE: &str = "TWINPEAK_TEST_DRAIN_TIMEOUT_S";
    const HUNG_UP: &str = "TWINPEAK_TEST_HANGUP";

    /// The other side: says what it sees. Runs only as a child of the tests below.
    #[test]
    fn child() {
        let Ok(timeout_s) = std::env::var(DRAIN_TIMEOUT_VARIABLE) else { return };
        let stop = Stop::default();
        watch(stop.clone(), Duration::from_secs_f64(timeout_s.parse().unwrap()), || std::process::exit(130)).unwrap();
        eprintln!("watching");
        while !stop.requested() {
            std::thread::sleep(Duration::from_millis(5));
        }
        eprintln!("draining");
        std::thread::sleep(Duration::from_secs(600));
    }

    /// The other side of the test of SIGHUP.
    #[test]
    fn hung_up_child() {
        if std::env::var_os(HUNG_UP).is_none() {
            return;
        }
        let hangup: Hangup = Box::new(|| eprintln!("hung up"));
        watch_with(Stop::default(), Duration::ZERO, Some(hangup), || std::process::exit(130)).unwrap();
        eprintln!("watching");
        std::thread::sleep(Duration::from_secs(600));
    }

    #[test]
    fn a_hangup_calls_and_ends_nothing() {
        let (mut child, mut lines) = start_test("hung_up_child", HUNG_UP, "1");
        assert!(lines.any(|l| l == "watching"));
        for _ in 0..2 {
            send(&child, "-HUP");
            assert!(lines.any(|l| l == "hung up"));
        }
        send(&child, "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }

    fn start(drain_timeout_s: &str) -> (Child, impl Iterator<Item = String>) {
        start_test("child", DRAIN_TIMEOUT_VARIABLE, drain_timeout_s)
    }

    fn start_test(name: &str, key: &str, value: &str) -> (Child, impl Iterator<Item = String> + use<>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("signals::tests::{name}"), "--nocapture"])
            .env(key, value)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        (child, lines)
    }

    fn send(child: &Child, name: &str) {
        assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
    }

    #[test]
    fn the_first_signal_drains_and_the_second_ends() {
        let (mut child, mut lines) = start("600");
        assert!(lines.any(|l| l == "watching"));
        send(&child, "-TERM");
        assert!(lines.any(|l| l == "draining"));
        assert_eq!(child.try_wait().unwrap(), None, "the first signal must not end it");
        send(&child, "-INT");
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }

    #[test]
    fn a_drain_that_takes_too_long_ends() {
        let (mut child, mut lines) = start("0.05");
        assert!(lines.any(|l| l == "watching"));
        send(&child, "-INT");
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}
