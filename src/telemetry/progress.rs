//! Progress for a person: a bar on a terminal, and lines above it; plain lines otherwise.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use twinpeak_core::outcome::{Finished, Outcome};
use twinpeak_engine::ports::{Event, Probe};

/// Counts what is done, on standard error.
pub struct Count {
    bar: Option<ProgressBar>,
}

impl Count {
    /// For so many `things`, a plural; a bar where standard error is a terminal.
    pub fn new(of: u64, things: &str) -> Self {
        Self::on(of, things, std::io::stderr().is_terminal())
    }

    fn on(of: u64, things: &str, terminal: bool) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {prefix} {elapsed_precise} {msg}");
        let style = style.expect("the template is ours").progress_chars("=> ");
        Self { bar: terminal.then(|| ProgressBar::new(of).with_style(style).with_prefix(things.to_owned())) }
    }

    /// The bar, where there is one, so that logs go above it (see [`super::log::start`]).
    pub fn bar(&self) -> Option<ProgressBar> {
        self.bar.clone()
    }

    /// One more is done.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Prints a line above the bar, or to standard error without one.
    pub fn println(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            // A closed standard error must not end the work.
            None => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Reports each frame's end on standard error.
pub struct FrameProgress(Count);

impl FrameProgress {
    /// For `frames` frames.
    pub fn new(frames: u64) -> Self {
        Self(Count::new(frames, "frames"))
    }

    /// As [`Count::bar`].
    pub fn bar(&self) -> Option<ProgressBar> {
        self.0.bar()
    }

    /// As [`Count::end`].
    pub fn end(&self) {
        self.0.end();
    }
}

impl Probe for FrameProgress {
    fn on(&self, event: &Event<'_>) {
        match *event {
            Event::Arrived(image) => {
                if let Some(bar) = &self.0.bar {
                    bar.set_message(image.to_string());
                    bar.tick();
                }
            }
            Event::Finished(finished) => self.finished(finished),
            _ => {}
        }
    }
}

impl FrameProgress {
    fn finished(&self, finished: &Finished) {
        self.0.done();
        self.0.println(&line(finished));
    }
}

/// A frame's end in one line.
fn line(finished: &Finished) -> String {
    match &finished.outcome {
        Outcome::Processed(products) => {
            let counts = products.catalog.counts();
            let without: Vec<&str> =
                products.quality.iter().filter(|q| q.psf_fallback).map(|q| q.band.as_str()).collect();
            let note = match without.as_slice() {
                [] => String::new(),
                bands => format!("; too few stars for a PSF in {}: the bundle's serves", bands.join(", ")),
            };
            format!(
                "{}: {} sources, {} stars, {} galaxies, {:.2} s{note}",
                finished.image_id,
                counts.rows,
                counts.stars,
                counts.galaxies,
                finished.timings_s.values().sum::<f64>()
            )
        }
        Outcome::Rejected(rejection) => format!("{}: rejected: {rejection}", finished.image_id),
        Outcome::Nothing => format!("{}: nothing to do", finished.image_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::testing::{processed, rejected};

    #[test]
    fn a_line_says_how_a_frame_ended() {
        assert_eq!(line(&processed()), "f-1: 4 sources, 2 stars, 1 galaxies, 0.75 s");
        let mut doubtful = processed();
        if let Outcome::Processed(products) = &mut doubtful.outcome {
            products.quality[0].psf_fallback = true;
            products.quality[4].psf_fallback = true;
        }
        assert!(
            line(&doubtful).ends_with("s; too few stars for a PSF in u, z: the bundle's serves"),
            "{}",
            line(&doubtful)
        );
        assert_eq!(line(&rejected()), "f-1: rejected: band z is missing (missing_band; add it)");
    }

    #[test]
    fn a_bar_counts_frames() {
        let progress = FrameProgress(Count::on(3, "frames", true));
        progress.on(&Event::Finished(&processed()));
        progress.on(&Event::Finished(&rejected()));
        let bar = progress.bar().unwrap();
        assert_eq!((bar.position(), bar.length()), (2, Some(3)));
        assert!(Count::on(3, "frames", false).bar().is_none());
    }
}
