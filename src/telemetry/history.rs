//! What the page shows of the past: the last fields that ended, some 2 kB each, in a ring of fixed length.

mod field;
mod now;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Finished, Outcome};
use twinpeak_engine::ports::{Event, Probe};

pub use field::{End, Entry, Field, FieldFilter, OutcomeCounts, Results, shortened};
pub use now::Now;

/// Fields that are remembered; the oldest is forgotten for a new one.
pub const MOST_FIELDS: usize = 20_000;

/// The last fields and what is going on, filled as a [`Probe`].
pub struct History {
    model_version: Box<dyn Fn() -> String + Send + Sync>,
    most: usize,
    // A mutex: probes are called from all threads, the page reads from its own.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The first is the oldest.
    fields: VecDeque<(i64, Arc<Field>)>,
    now: Now,
}

impl History {
    /// Empty; `model_version` answers which bundle is in force, for fields that are refused.
    pub fn new(model_version: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { model_version: Box::new(model_version), most: MOST_FIELDS, state: Mutex::default() }
    }

    /// Takes what ended before this process began, the last one last; what has ended since goes before it.
    pub fn remember(&self, past: Vec<Field>) {
        let mut state = self.state();
        let known: HashSet<String> = state.fields.iter().map(|(_, f)| f.image.clone()).collect();
        for field in past.into_iter().rev().filter(|f| !known.contains(&f.image)) {
            if state.fields.len() == self.most {
                return;
            }
            let number = state.fields.front().map_or(0, |(n, _)| *n) - 1;
            state.fields.push_front((number, Arc::new(field)));
        }
    }

    /// What is going on.
    pub fn now(&self) -> Now {
        self.state().now.clone()
    }

    /// The fields asked for, the last first, no more than `most`, and how many there are in all (`before` aside).
    pub fn fields(&self, filter: &FieldFilter, most: usize) -> (Vec<Entry>, usize) {
        let text = filter.text.to_lowercase();
        let state = self.state();
        let (mut found, mut all, mut processed) = (Vec::new(), 0, HashSet::new());
        for (number, field) in state.fields.iter().rev() {
            let rejected = field.rejected();
            let selected = filter.processed.is_none_or(|p| p == rejected.is_none())
                && filter.reason.is_none_or(|reason| rejected.is_some_and(|r| r.reason == reason))
                && (text.is_empty() || field.image.to_lowercase().contains(&text));
            if selected {
                all += 1;
                if found.len() < most && filter.before.is_none_or(|before| *number < before) {
                    let processed_since = rejected.is_some() && processed.contains(field.image.as_str());
                    found.push(Entry { number: *number, field: field.clone(), processed_since });
                }
            }
            if rejected.is_none() {
                processed.insert(field.image.as_str());
            }
        }
        (found, all)
    }

    /// All ends of one image, the last first.
    pub fn of_image(&self, image: &ImageId) -> Vec<Entry> {
        let state = self.state();
        let ends = state.fields.iter().rev().filter(|(_, f)| f.image == image.as_str());
        let mut processed = false;
        let entries = ends.map(|(number, field)| {
            let processed_since = processed && field.rejected().is_some();
            processed |= field.rejected().is_none();
            Entry { number: *number, field: field.clone(), processed_since }
        });
        entries.collect()
    }

    /// All that is remembered, the oldest first.
    pub fn all(&self) -> Vec<Arc<Field>> {
        self.state().fields.iter().map(|(_, field)| field.clone()).collect()
    }

    /// Sums over what is remembered.
    pub fn counts(&self) -> OutcomeCounts {
        let mut counts = OutcomeCounts::default();
        for (_, field) in &self.state().fields {
            match &field.end {
                End::Processed(results) => {
                    counts.processed += 1;
                    counts.stars += results.stars;
                    counts.galaxies += results.galaxies;
                    counts.unclassified += results.unclassified;
                }
                End::Rejected(rejection) => {
                    counts.rejected += 1;
                    *counts.reasons.entry(rejection.reason).or_default() += 1;
                }
            }
        }
        counts
    }

    fn end(&self, finished: &Finished) -> Option<Field> {
        let (midpoint_mjd_tai, model_version, end) = match &finished.outcome {
            Outcome::Processed(products) => {
                let made = &products.catalog.provenance;
                (made.midpoint_mjd_tai, made.model_version.clone(), End::Processed(Results::from(&**products)))
            }
            Outcome::Rejected(rejection) => (None, (self.model_version)(), End::Rejected(shortened(rejection.clone()))),
            Outcome::Nothing => return None,
        };
        Some(Field {
            image: finished.image_id.to_string(),
            ended_unix_s: unix_s(SystemTime::now()),
            midpoint_mjd_tai,
            timings_s: finished.timings_s.clone(),
            model_version,
            end,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No update can be left half-made by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for History {
    fn on(&self, event: &Event<'_>) {
        match *event {
            Event::Arrived(image) => self.state().now.arrived(image),
            Event::StageDone { stage, seconds } => self.state().now.stage(stage, seconds),
            Event::Passed { image, stage } => self.state().now.passed(image, stage),
            Event::Queue { stage, depth } => self.state().now.stages.entry(stage).or_default().waiting = depth,
            Event::Permits { used, of } => {
                let now = &mut self.state().now;
                (now.permits_used, now.permits_limit) = (used, of);
            }
            Event::DeviceAlive(device) => {
                self.state().now.device(device).alive_unix_s = Some(unix_s(SystemTime::now()))
            }
            Event::DeviceFailed { device, error } => {
                self.state().now.device(device).last_failure = Some(error.to_string())
            }
            Event::Finished(finished) => self.finished(finished),
            Event::Dropped(image) => self.state().now.left(image),
            Event::Retrying { stage, error } => self.state().now.retrying(stage, error),
            Event::Stream(event) => self.state().now.stream(event),
            Event::Batch { .. } => {}
        }
    }
}

impl History {
    fn finished(&self, finished: &Finished) {
        let field = self.end(finished);
        let mut state = self.state();
        state.now.left(&finished.image_id);
        let Some(field) = field else { return };
        if state.fields.len() == self.most {
            state.fields.pop_front();
        }
        let number = state.fields.back().map_or(0, |(n, _)| n + 1);
        state.fields.push_back((number, Arc::new(field)));
    }
}

/// Unix time, s.
pub fn unix_s(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

#[cfg(test)]
mod tests;
