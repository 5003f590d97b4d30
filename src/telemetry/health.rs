//! Whether the program can work right now: a list of checks, each of which says why not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::Stage;
use twinpeak_engine::ports::{Event, Probe};

/// Answers why it cannot work, in one line.
pub type Question = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A condition for readiness.
pub struct Check {
    /// Key of the check in the answer of `/readyz`.
    pub name: &'static str,
    /// Asked at every `/readyz`, one request at a time; may block for a moment.
    pub question: Question,
}

impl Check {
    /// A check named `name`, which holds while `question` gives `Ok`.
    pub fn new(name: &'static str, question: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name, question: Box::new(question) }
    }

    /// `last` was no longer ago than `within`.
    pub fn beating(name: &'static str, last: LastInference, within: Duration) -> Self {
        Self::new(name, move || match last.age() {
            None => Err("has not happened yet".into()),
            Some(age) if age > within => Err(format!("last happened {:.0} s ago", age.as_secs_f64())),
            Some(_) => Ok(()),
        })
    }
}

/// When something last happened: whoever does it beats, `/readyz` reads. As a [`Probe`] it beats with every batch
/// that went through a device: a real inference.
#[derive(Clone, Default)]
pub struct LastInference(Arc<Mutex<Option<Instant>>>); // a mutex: an Instant does not fit an atomic

impl LastInference {
    /// It happened now.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago it happened.
    pub fn age(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}

impl Probe for LastInference {
    fn on(&self, event: &Event<'_>) {
        if let Event::DeviceAlive(_) = *event {
            self.beat();
        }
    }
}

/// Since when each frame is in the stage it is in, of those that nothing outside can hold up: from the nets to the end
/// of the stages. Reading may wait for a disk or a store, and publishing for a broker; a frame that stays between is
/// stuck.
#[derive(Clone, Default)]
pub struct StuckFrameDetector(Arc<Mutex<HashMap<ImageId, (Stage, Instant)>>>); // a mutex: each stage's threads write it

impl StuckFrameDetector {
    /// No frame is in a stage for longer than `within`.
    ///
    /// # Errors
    /// Which one is, where, and for how long.
    pub fn check(&self, within: Duration) -> Result<(), String> {
        let frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match frames.iter().max_by_key(|(_, (_, since))| since.elapsed()) {
            Some((image, (after, since))) if since.elapsed() > within => Err(format!(
                "image {image} has not got on since {}, {:.0} s ago",
                after.name(),
                since.elapsed().as_secs_f64()
            )),
            _ => Ok(()),
        }
    }

    fn gone(&self, image: &ImageId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(image);
    }
}

impl Probe for StuckFrameDetector {
    fn on(&self, event: &Event<'_>) {
        match *event {
            Event::Passed { image, stage } => self.passed(image, stage),
            Event::Finished(finished) => self.gone(&finished.image_id),
            Event::Dropped(image) => self.gone(image),
            _ => {}
        }
    }
}

impl StuckFrameDetector {
    fn passed(&self, image: &ImageId, stage: Stage) {
        match stage {
            Stage::Prepare | Stage::Segment | Stage::Extract => {
                let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                frames.insert(image.clone(), (stage, Instant::now()));
            }
            Stage::Ingest | Stage::Classify | Stage::Publish => self.gone(image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_stays_between_reading_and_publishing_is_told() {
        let (underway, image) = (StuckFrameDetector::default(), ImageId::new("f-1").unwrap());
        let stuck = || {
            std::thread::sleep(Duration::from_millis(2));
            underway.check(Duration::from_millis(1))
        };
        underway.on(&Event::Passed { image: &image, stage: Stage::Ingest });
        assert_eq!(stuck(), Ok(())); // its disk may be away
        for stage in [Stage::Prepare, Stage::Segment, Stage::Extract] {
            underway.on(&Event::Passed { image: &image, stage });
            let why = stuck().unwrap_err();
            assert!(why.contains("f-1") && why.contains(stage.name()), "{why}");
            assert_eq!(underway.check(Duration::from_secs(3600)), Ok(()));
        }
        underway.on(&Event::Passed { image: &image, stage: Stage::Classify });
        assert_eq!(stuck(), Ok(())); // the broker may be away
        underway.on(&Event::Passed { image: &image, stage: Stage::Prepare });
        underway.on(&Event::Finished(&twinpeak_core::testing::rejected())); // the same image
        assert_eq!(stuck(), Ok(()));
    }

    #[test]
    fn a_heart_is_ready_after_a_beat_and_not_too_long() {
        let last = LastInference::default();
        let hour = Check::beating("h", last.clone(), Duration::from_secs(3600));
        let never = Check::beating("n", last.clone(), Duration::ZERO);
        assert!((hour.question)().is_err());
        last.on(&Event::DeviceAlive("cpu"));
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!((hour.question)(), Ok(()));
        assert!((never.question)().unwrap_err().contains("ago"));
    }
}
