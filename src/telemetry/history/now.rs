//! What is going on: frames in flight, queues and speed of the stages, devices, the stream.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use serde::Serialize;

use super::unix_s;
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::Stage;
use twinpeak_engine::ports::{PortError, StreamEvent};

/// All of it, as the page shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Now {
    /// In the order of their arrival.
    pub in_flight: VecDeque<InFlight>,
    /// Frames in flight that hold a permit, and how many may.
    pub permits_used: usize,
    /// Permits in all.
    pub permits_limit: usize,
    /// By stage, in flow order.
    pub stages: BTreeMap<Stage, StageNow>,
    /// Devices by name, such as `cuda:0`.
    pub devices: BTreeMap<String, DeviceNow>,
    /// The last failure of a port that was tried again.
    pub last_retry: Option<Reported>,
    /// Where frames come from a broker.
    pub stream: Option<StreamNow>,
}

/// A frame between its arrival and its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InFlight {
    /// Name of the image.
    pub image: String,
    /// When it came, Unix time.
    pub since_unix_s: f64,
    /// The stage that it is in, or waits for.
    pub stage: Stage,
}

/// Queue and speed of one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StageNow {
    /// Messages waiting before it.
    pub waiting: usize,
    /// Frames that passed it.
    pub done: u64,
    /// Seconds of a frame in it, the last ones weighing most.
    pub recent_s: f64,
}

/// Life signs of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeviceNow {
    /// When it last answered, Unix time.
    pub alive_unix_s: Option<f64>,
    /// Message of its last failure.
    pub last_failure: Option<String>,
}

/// Something that was said, and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reported {
    /// When it was said, Unix time, s.
    pub at_unix_s: f64,
    /// What was said.
    pub text: String,
}

impl Reported {
    fn now(text: String) -> Option<Self> {
        Some(Self { at_unix_s: unix_s(SystemTime::now()), text })
    }
}

/// The stream since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StreamNow {
    /// Messages that are not committed yet, by partition.
    pub lag_messages: BTreeMap<i32, u64>,
    /// Partitions that are ours.
    pub partitions: usize,
    /// Transactions committed since the start.
    pub commits: u64,
    /// Images in those transactions.
    pub committed_images: u64,
    /// Transactions aborted since the start.
    pub aborts: u64,
    /// The client's last problem.
    pub last_failure: Option<Reported>,
}

/// The newest weighs as much as this many.
const RECENT: f64 = 16.0;

impl Now {
    pub(super) fn arrived(&mut self, image: &ImageId) {
        let since_unix_s = unix_s(SystemTime::now());
        self.in_flight.push_back(InFlight { image: image.to_string(), since_unix_s, stage: Stage::Ingest });
    }

    pub(super) fn passed(&mut self, image: &ImageId, stage: Stage) {
        let next = Stage::ALL.into_iter().find(|s| *s > stage).unwrap_or(stage);
        if let Some(frame) = self.in_flight.iter_mut().find(|f| f.image == image.as_str() && f.stage <= stage) {
            frame.stage = next;
        }
    }

    pub(super) fn left(&mut self, image: &ImageId) {
        if let Some(at) = self.in_flight.iter().position(|f| f.image == image.as_str()) {
            self.in_flight.remove(at);
        }
    }

    pub(super) fn stage(&mut self, stage: Stage, seconds: f64) {
        let stage = self.stages.entry(stage).or_default();
        stage.done += 1;
        stage.recent_s += (seconds - stage.recent_s) / (stage.done as f64).min(RECENT);
    }

    pub(super) fn device(&mut self, device: &str) -> &mut DeviceNow {
        self.devices.entry(device.to_owned()).or_default()
    }

    pub(super) fn retrying(&mut self, stage: Stage, error: &PortError) {
        self.last_retry = Reported::now(format!("{}: {error}", stage.name()));
    }

    pub(super) fn stream(&mut self, event: &StreamEvent) {
        let stream = self.stream.get_or_insert_default();
        match event {
            StreamEvent::Lag { partition, messages: Some(messages) } => {
                stream.lag_messages.insert(*partition, *messages);
            }
            StreamEvent::Lag { partition, messages: None } => drop(stream.lag_messages.remove(partition)),
            StreamEvent::Committed { images, .. } => {
                stream.commits += 1;
                stream.committed_images += images;
            }
            StreamEvent::Aborted => stream.aborts += 1,
            StreamEvent::Rebalanced { partitions } => stream.partitions = *partitions,
            StreamEvent::Fenced => stream.last_failure = Reported::now("another producer has our place".into()),
            StreamEvent::Failed { kind } => stream.last_failure = Reported::now(kind.clone()),
            StreamEvent::Received { .. } | StreamEvent::Latency { .. } | StreamEvent::Paused { .. } => {}
        }
    }
}
