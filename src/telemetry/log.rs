//! Logs on standard error: lines for a person at a terminal, JSON for a machine.

use std::io::{self, IsTerminal, Write};

use indicatif::ProgressBar;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use twinpeak_core::causes::causes;
use twinpeak_core::outcome::{Finished, Outcome};
use twinpeak_engine::ports::{Event, Probe};

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// For a person.
    Human,
    /// For a machine: one JSON object a line, the frame's span within.
    Json,
}

/// Starts logging for the whole process. With a progress bar, lines are written above it.
///
/// Does nothing when logging was started before (tests do so).
pub fn start(lines: Lines, level: Level, bar: Option<ProgressBar>) {
    // A line that cannot be written (a full disk behind standard error) is lost; reporting that would panic.
    let builder =
        tracing_subscriber::fmt().with_max_level(level).with_writer(AboveBar { bar }).log_internal_errors(false);
    let started = match lines {
        Lines::Human => builder.with_target(false).with_ansi(io::stderr().is_terminal()).try_init(),
        Lines::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
    };
    drop(started);
}

/// Writes whole lines to standard error without tearing a progress bar.
#[derive(Clone)]
struct AboveBar {
    bar: Option<ProgressBar>,
}

impl Write for AboveBar {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &self.bar {
            Some(bar) => bar.suspend(|| io::stderr().write(line)),
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveBar {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Logs what the engine does, as far as somebody may have to act on it.
pub struct Events;

impl Probe for Events {
    fn on(&self, event: &Event<'_>) {
        match *event {
            Event::Finished(finished) => self.finished(finished),
            Event::DeviceFailed { device, error } => {
                tracing::error!(device, error_type = error.kind(), error = %causes(error), "device failed");
            }
            _ => {}
        }
    }
}

impl Events {
    fn finished(&self, finished: &Finished) {
        let image_id = finished.image_id.as_str();
        match &finished.outcome {
            Outcome::Processed(products) => {
                let duration_s: f64 = finished.timings_s.values().sum();
                tracing::info!(image_id, sources = products.catalog.rows.len(), duration_s, "frame processed");
            }
            Outcome::Rejected(rejection) => {
                let (stage, error_type) = (rejection.stage.name(), rejection.reason.name());
                tracing::warn!(image_id, stage, error_type, error = %rejection, "frame rejected");
            }
            Outcome::Nothing => tracing::debug!(image_id, "nothing to process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts logging in a process of its own (it is global) and reads what came.
    #[test]
    fn json_lines_carry_the_frame() {
        if std::env::var_os("TWINPEAK_TEST_LOG").is_some() {
            start(Lines::Json, Level::INFO, None);
            tracing::info_span!("frame", image_id = "f-1").in_scope(|| {
                tracing::info!(stage = "segment", "hello");
                tracing::debug!("not logged");
            });
            Events.on(&Event::Finished(&twinpeak_core::testing::rejected()));
            return;
        }
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::tests::json_lines_carry_the_frame", "--nocapture"])
            .env("TWINPEAK_TEST_LOG", "1")
            .output()
            .unwrap();
        let logged = String::from_utf8(child.stderr).unwrap();
        let lines: Vec<_> = logged.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok()).collect();
        assert_eq!(lines.len(), 2, "{logged}");
        assert_eq!(lines[0]["message"], "hello");
        assert_eq!(lines[0]["stage"], "segment");
        assert_eq!(lines[0]["span"]["image_id"], "f-1");
        assert_eq!((&lines[1]["level"], &lines[1]["error_type"]), (&"WARN".into(), &"missing_band".into()));
    }
}
