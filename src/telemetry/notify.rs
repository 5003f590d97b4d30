//! What a service manager hears (systemd's `Type=notify`): that we are ready, that another model is being taken, that
//! we end, and that we live. Without a manager (`NOTIFY_SOCKET` unset) nothing is said.
//!
//! The watchdog is fed by progress, not by a clock: only while a device has made an inference lately and no frame is
//! stuck in a stage. A device that hangs, a stage that does, or a process that is stopped so ends in a restart. What
//! waits for others (a disk, a store, a broker) does not: a restart would not bring them back.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

use sd_notify::NotifyState;

use super::health::Question;
use twinpeak_core::causes::causes;

/// The service manager, if there is one. Feeds its watchdog until dropped, which says that we end.
pub struct Manager {
    quit: Option<Sender<()>>,
    feeder: Option<JoinHandle<()>>,
}

impl Manager {
    /// Says that we are ready, and feeds the watchdog, where one is asked for, while all of `alive` are well.
    pub fn ready(alive: Vec<Question>) -> Self {
        notify(&[NotifyState::Ready]);
        let Some(timeout) = sd_notify::watchdog_enabled() else { return Self { quit: None, feeder: None } };
        let (quit, asked) = channel::<()>();
        // Twice as often as asked for, as systemd advises.
        let feed = move || {
            while let Err(RecvTimeoutError::Timeout) = asked.recv_timeout(timeout / 2) {
                match alive.iter().try_for_each(|well| well()) {
                    Ok(()) => notify(&[NotifyState::Watchdog]),
                    Err(why) => tracing::error!(error = why, "watchdog not notified"),
                }
            }
        };
        let feeder = std::thread::Builder::new().name("watchdog".into()).spawn(feed).ok();
        Self { quit: Some(quit), feeder }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        notify(&[NotifyState::Stopping]);
        drop(self.quit.take());
        if let Some(feeder) = self.feeder.take() {
            let _ = feeder.join(); // it has nothing to say
        }
    }
}

/// A model is being loaded.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// It was taken, or refused; `status` says which.
pub fn reloaded(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %causes(&error), "service manager could not be notified");
    }
}
