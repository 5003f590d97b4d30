//! The two ports of the engine, and the thread between them and the broker.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sha2::{Digest, Sha256};

use super::delivery::{Delivery, Incoming, Origin};
use super::delivery_attempts::{DeliveryAttempts, MAX_ATTEMPTS};
use super::output::{Output, PendingOutput};
use super::partition_queues::{PartitionQueues, Pending};
use super::ports::{Intake, Outflow, Request, Software};
use super::rejected::{self, Original, RECORD_OVERHEAD};
use super::reports::Watch;
use super::session::{SessionControl, SessionSupervisor};
use super::topics::MaxRecordBytes;
use super::{KafkaError, Settings, Status, Topics};
use twinpeak_core::frame::ImageId;
use twinpeak_core::hex::hex;
use twinpeak_core::outcome::{Finished, Outcome, Reason, Rejection, Stage};
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{Arrival, CatalogSink, FrameSource, Load, Loaded, PortError, Probe, PublishOutcome};

/// What the stream is made of.
pub struct Parts {
    /// `[kafka]` of the configuration.
    pub settings: Settings,
    /// Survey name: part of the topics' names.
    pub survey: String,
    /// Reads messages into arrivals.
    pub intake: Box<dyn Intake>,
    /// Turns outcomes into records and claim checks.
    pub outflow: Arc<dyn Outflow>,
    /// Versions for the headers of rejected messages.
    pub software: Software,
    /// Observer of the stream's events.
    pub probe: Arc<dyn Probe>,
    /// Messages to have ready for the engine.
    pub ahead: usize,
}

/// The stream at work: a thread that speaks to the broker.
pub struct Stream {
    supervisor: JoinHandle<Result<(), KafkaError>>,
    control: SessionControl,
    attempts: Arc<DeliveryAttempts>,
    status: Status,
}

/// Messages as the engine's frames.
pub struct StreamSource {
    from_session: Receiver<Arc<Delivery>>,
    queues: PartitionQueues,
    intake: Box<dyn Intake>,
    attempts: Arc<DeliveryAttempts>,
    status: Status,
    control: SessionControl,
    until_idle: bool,
}

/// Outcomes into the open transaction.
pub struct StreamSink {
    to_session: Sender<PendingOutput>,
    outflow: Arc<dyn Outflow>,
    group: String,
    attempts: Arc<DeliveryAttempts>,
    software: Software,
    control: SessionControl,
}

impl Stream {
    /// Starts it. The broker need not answer yet.
    ///
    /// # Errors
    /// [`KafkaError`] where the settings or the folder of claims cannot be used.
    pub fn start(parts: Parts) -> Result<(StreamSource, StreamSink, Self), KafkaError> {
        let Parts { settings, survey, intake, outflow, software, probe, ahead } = parts;
        let group = settings.group.clone();
        let attempts = Arc::new(DeliveryAttempts::open(&settings.state_dir, &group)?);
        settings.client()?; // an unreadable password is reported now
        let status = Status::default();
        let control = SessionControl::default();
        let (to_engine, from_session) = bounded(ahead.max(1));
        let (to_session, from_engine) = bounded(ahead.max(1));
        let supervisor = SessionSupervisor {
            topics: Topics::of(&settings, &survey),
            settings,
            survey,
            attempts: attempts.clone(),
            outflow: outflow.clone(),
            watch: Watch::new(probe, status.clone()),
            to_engine,
            from_engine,
            control: control.clone(),
            refused: Default::default(),
        };
        let supervisor = std::thread::Builder::new().name("kafka".into()).spawn(move || supervisor.run());
        let supervisor = supervisor.map_err(|_| KafkaError::Died)?;
        let source = StreamSource {
            from_session,
            queues: PartitionQueues::default(),
            intake,
            attempts: attempts.clone(),
            status: status.clone(),
            control: control.clone(),
            until_idle: false,
        };
        let (noted, asked) = (attempts.clone(), control.clone());
        let sink = StreamSink { to_session, outflow, group, attempts: noted, software, control: asked };
        Ok((source, sink, Self { supervisor, control, attempts, status }))
    }

    /// State of the session, for readiness.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// For a process that stops at once because it was asked to: messages in work did not kill it.
    pub fn reset_attempts(&self) -> impl Fn() + Send + Sync + 'static {
        let attempts = self.attempts.clone();
        move || attempts.reset_attempts()
    }

    /// Commits what is done and leaves the group. The engine must have ended.
    ///
    /// # Errors
    /// What ended the session.
    pub fn finish(self) -> Result<(), KafkaError> {
        self.control.request_end();
        let result = self.supervisor.join().unwrap_or(Err(KafkaError::Died));
        self.attempts.reset_attempts();
        result
    }
}

impl StreamSource {
    /// Ends, instead of waiting for more, once everything on our partitions is done and committed.
    pub fn until_idle(mut self) -> Self {
        self.until_idle = true;
        self
    }

    /// What a message asks for, by itself or by what became of it before.
    fn pending(&self, delivery: Arc<Delivery>) -> Pending {
        let taken = self.intake.take(&delivery.incoming);
        let taken = match verdict(&delivery, &taken.image_id) {
            Some(rejection) => Request::new(taken.image_id, move || Err(rejection)),
            None => taken,
        };
        Pending { delivery, taken }
    }
}

fn arrival(Pending { delivery, taken }: Pending) -> Arrival<Arc<Delivery>> {
    let Request { image_id, load, .. } = taken;
    let Origin { topic, partition, offset } = &delivery.incoming.origin;
    let span = tracing::info_span!("frame", %image_id, %topic, partition, offset);
    let epoch = delivery.epoch.clone();
    let load: Load = Box::new(move || if epoch.is_current() { load() } else { Ok(Loaded::Nothing) });
    Arrival { image_id, load, span, receipt: delivery }
}

/// A message that is refused before it is read.
fn verdict(delivery: &Delivery, image: &ImageId) -> Option<Rejection> {
    let died = delivery.died;
    let crashed = || Rejection {
        reason: Reason::Crashed,
        stage: Stage::Ingest,
        file: None,
        message: format!("the process died {died} times while it worked on image {image}"),
        advice: "look in the log for why (memory, a crash), then replay it".into(),
    };
    let refused = delivery.refused.clone().map(too_large);
    refused.or_else(|| (died >= MAX_ATTEMPTS).then(crashed))
}

/// Its results do not fit into a topic.
fn too_large(message: String) -> Rejection {
    Rejection {
        reason: Reason::TooLarge,
        stage: Stage::Publish,
        file: None,
        message,
        advice: "raise the topic's max.message.bytes, or set remote.objects and lower kafka.inline_mask_bytes".into(),
    }
}

impl FrameSource for StreamSource {
    type Receipt = Arc<Delivery>;

    fn next(&mut self, stop: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError> {
        loop {
            if stop.requested() || (self.until_idle && self.queues.is_empty() && self.status.idle()) {
                return Ok(None);
            }
            let next = self.queues.next();
            self.control.set_waiting(self.queues.partitions());
            if let Some(next) = next {
                return match self.attempts.begin(&next.delivery.incoming.origin) {
                    Ok(()) => Ok(Some(arrival(next))),
                    Err(error) => {
                        self.queues.requeue(next);
                        Err(error.into())
                    }
                };
            }
            match self.from_session.recv_timeout(Duration::from_millis(50)) {
                Ok(delivery) if delivery.epoch.is_current() => self.queues.join(self.pending(delivery)),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                // Why is reported by `Stream::finish`.
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PortError::EndSession(Box::new(KafkaError::Died)));
                }
            }
        }
    }
}

impl StreamSink {
    /// From now on rejections name this bundle.
    pub fn set_model(&mut self, version: &str, hash: &str) {
        (self.software.model_version, self.software.model_hash) = (version.into(), hash.into());
    }

    fn image(&self, finished: &Finished, origin: &Origin) -> Result<Output, PortError> {
        let outgoing = self.outflow.records(finished, &origin.fingerprint(&self.group))?;
        // Noted also where they were there before: an attempt may have put them there and not come to note it. Objects
        // are a message's own, so nobody else's are noted.
        self.attempts.note(origin, &outgoing.objects)?;
        let MaxRecordBytes { sources, masks, images, .. } = self.control.max_record_bytes();
        let limits = [(sources, "sources"), (masks, "masks"), (images, "images")];
        for (bytes, (longest, topic)) in outgoing.longest().into_iter().zip(limits) {
            if bytes + RECORD_OVERHEAD > longest {
                let reported =
                    format!("a record of {bytes} bytes is more than the topic of {topic} takes, {longest} bytes");
                return Err(PortError::Refused(Box::new(too_large(reported))));
            }
        }
        Ok(Output::Image(outgoing))
    }

    fn rejected(&self, image: &ImageId, rejection: &Rejection, incoming: &Incoming) -> Result<Output, PortError> {
        let longest = self.control.max_record_bytes().rejected;
        let sizes = incoming.headers.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, Vec::len));
        let texts = [Some(&rejection.message), Some(&rejection.advice), rejection.file.as_ref()];
        let own = 2 * RECORD_OVERHEAD + texts.into_iter().flatten().map(String::len).sum::<usize>();
        let beside = sizes.sum::<usize>() + incoming.key.as_ref().map_or(0, Vec::len) + own;
        // A record that can never be written would be tried for ever.
        let addressed = beside + rejected::CUT_BYTES <= longest;
        let bytes = incoming.bytes().len() + if addressed { beside } else { own };
        let original = if bytes <= longest {
            Original::Whole
        } else {
            let sha256 = hex(&Sha256::digest(incoming.bytes()));
            match self.outflow.keep(incoming.bytes(), &incoming.origin.fingerprint(&self.group))? {
                Some(uri) => Original::Claim { uri, sha256 },
                None => Original::Cut { sha256 },
            }
        };
        let headers = rejected::headers(incoming, addressed, image, rejection, &self.software, &original);
        Ok(Output::Rejected { headers, addressed, original })
    }
}

impl CatalogSink for StreamSink {
    type Receipt = Arc<Delivery>;
    type Encoded = Arc<Output>;

    fn encode(&self, finished: &Finished, delivery: &Arc<Delivery>) -> Result<Arc<Output>, PortError> {
        let content = match &finished.outcome {
            _ if !delivery.epoch.is_current() => Output::Nothing,
            Outcome::Processed(_) => self.image(finished, &delivery.incoming.origin)?,
            Outcome::Rejected(rejection) => self.rejected(&finished.image_id, rejection, &delivery.incoming)?,
            Outcome::Nothing => Output::Nothing,
        };
        Ok(Arc::new(content))
    }

    fn publish(
        &self,
        finished: &Finished,
        content: &Arc<Output>,
        delivery: &Arc<Delivery>,
    ) -> Result<PublishOutcome, PortError> {
        if !delivery.epoch.is_current() {
            return Ok(PublishOutcome::Dropped);
        }
        let (image, content) = (finished.image_id.clone(), content.clone());
        let sent = self.to_session.send(PendingOutput { delivery: delivery.clone(), image, content });
        sent.map_err(|_| PortError::EndSession(Box::new(KafkaError::Died)))?;
        Ok(PublishOutcome::Accepted)
    }
}
