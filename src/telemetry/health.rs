//! Whether the program can work right now: a list of checks, each of which says why not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::pipeline::ports::Probe;

/// Answers why it cannot work, in one line.
pub type Question = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A condition for readiness.
pub struct Check {
    /// Its name in the answer.
    pub name: &'static str,
    /// Asked at every `/readyz`, one request at a time; may block for a moment.
    pub question: Question,
}

impl Check {
    /// A named question.
    pub fn new(name: &'static str, question: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name, question: Box::new(question) }
    }

    /// `heart` beat no longer ago than `within`.
    pub fn beating(name: &'static str, heart: Heart, within: Duration) -> Self {
        Self::new(name, move || match heart.age() {
            None => Err("has not happened yet".into()),
            Some(age) if age > within => Err(format!("last happened {:.0} s ago", age.as_secs_f64())),
            Some(_) => Ok(()),
        })
    }
}

/// When something last happened: whoever does it beats, `/readyz` reads. As a [`Probe`] it beats with every batch
/// that went through a device: a real inference.
#[derive(Clone, Default)]
pub struct Heart(Arc<Mutex<Option<Instant>>>); // a mutex: an Instant does not fit an atomic

impl Heart {
    /// It happened now.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago it happened.
    pub fn age(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}

impl Probe for Heart {
    fn device_alive(&self, _: &str) {
        self.beat();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heart_is_ready_after_a_beat_and_not_too_long() {
        let heart = Heart::default();
        let hour = Check::beating("h", heart.clone(), Duration::from_secs(3600));
        let never = Check::beating("n", heart.clone(), Duration::ZERO);
        assert!((hour.question)().is_err());
        heart.device_alive("cpu");
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!((hour.question)(), Ok(()));
        assert!((never.question)().unwrap_err().contains("ago"));
    }
}
