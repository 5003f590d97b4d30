//! The frames of the last hour and night, held against what is expected.

use std::collections::VecDeque;

use super::{Expected, FrameFacts, Input, SEEN_MIN};

/// The spans over which frames are looked at: name and length, days.
pub const WINDOWS: [(&str, f64); 2] = [("hour", 1.0 / 24.0), ("night", 0.5)];
/// Most frames that are remembered.
const FRAMES_MAX: usize = 50_000;
/// So many older frames one after another, and it was the newest whose date was wrong, or another night is looked at.
pub(super) const OLDER_MAX: usize = 10;

/// What was found in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The quantity that was compared.
    pub input: Input,
    /// `hour` or `night`: of observation, up to the newest frame.
    pub window: &'static str,
    /// Distance from the training frames, standard deviations; of the mixture, its Jensen-Shannon distance.
    pub distance: f64,
    /// Distance beyond which the quantity has drifted, in the same unit.
    pub threshold: f64,
}

/// The frames of the last night, held against what is expected.
pub struct Watch {
    expected: Expected,
    /// When, days; and what. By arrival.
    frames: VecDeque<(f64, FrameFacts)>,
    newest: Option<f64>,
    /// Frames of a night long past that came one after another.
    older: usize,
}

impl Watch {
    /// A watch that has seen no frame; `expected` comes from the bundle.
    pub fn new(expected: Expected) -> Self {
        Self { expected, frames: VecDeque::new(), newest: None, older: 0 }
    }

    /// A frame observed at `time_days`; one without a date counts as of now: as the newest one, or `today_days`. One of
    /// a night long past (a backfill beside the night's own) says nothing of this one and is left out, until there is
    /// nothing else.
    pub fn add(&mut self, time_days: Option<f64>, today_days: f64, facts: FrameFacts) {
        let time = time_days.or(self.newest).unwrap_or(today_days);
        let mut newest = self.newest.map_or(time, |newest| newest.max(time));
        if time <= newest - WINDOWS[1].1 {
            self.older += 1;
            if self.older < OLDER_MAX {
                return;
            }
            newest = time;
            self.frames.clear();
        }
        self.older = 0;
        self.newest = Some(newest);
        self.frames.push_back((time, facts));
        self.frames.retain(|(time, _)| *time > newest - WINDOWS[1].1);
        if self.frames.len() > FRAMES_MAX {
            self.frames.pop_front();
        }
    }

    /// How far each input is off in each window that has frames enough.
    pub fn found(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let Some(newest) = self.newest else { return found };
        let within = |days| self.frames.iter().filter(move |(time, _)| *time > newest - days).map(|(_, facts)| facts);
        let windows: Vec<_> = WINDOWS.into_iter().filter(|(_, days)| within(*days).count() >= SEEN_MIN).collect();
        for input in Input::ALL {
            for &(window, days) in &windows {
                let threshold = self.expected.threshold(input);
                let distance = self.expected.distance(input, within(days));
                found.extend(distance.map(|distance| Found { input, window, distance, threshold }));
            }
        }
        found
    }
}
