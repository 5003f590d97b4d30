//! Messages written one by one, outside of transactions, and what became of each.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, unbounded};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};

use super::reports::{Reports, Watch};
use super::{KafkaError, Settings, Topics, topics};

/// A message that the broker has not acknowledged after so long has failed.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);

/// Writes to the topic of new images; the broker keeps each message once, however often the client has to repeat it.
pub struct Producer {
    client: BaseProducer<Reports<Sender<Delivered>>>,
    topic: String,
    done: Receiver<Delivered>,
}

/// The broker's answer to one message.
#[derive(Debug)]
pub struct Delivered {
    /// Key of the message.
    pub key: String,
    /// Nothing, or why it is not known to be on the topic.
    pub result: Result<(), KafkaError>,
}

impl Producer {
    /// Connects, and sees that the topics are there.
    ///
    /// # Errors
    /// [`KafkaError`] where the broker refuses or does not answer, or topics are missing.
    pub fn connect(settings: &Settings, survey: &str) -> Result<Self, KafkaError> {
        let names = Topics::of(settings, survey);
        let mut client = settings.writer()?;
        client.set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string());
        let (reports, done) = unbounded();
        let context = Reports::of_producer(Watch::of_none(), reports);
        let client: BaseProducer<_> = client.create_with_context(context).map_err(KafkaError::Settings)?;
        let there = topics::there(&client, settings.call())?;
        names.ensure(&there, settings)?;
        Ok(Self { client, topic: names.new_images, done })
    }

    /// Name of the topic that it writes to.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Gives a message to the client; waits where that holds too many. [`Producer::done`] says what becomes of it.
    ///
    /// # Errors
    /// [`KafkaError::Broker`] where the client does not take it.
    pub fn send(&self, key: &str, payload: &[u8]) -> Result<(), KafkaError> {
        loop {
            let record = BaseRecord::with_opaque_to(&self.topic, Box::new(key.to_owned())).key(key).payload(payload);
            match self.client.send(record) {
                Ok(()) => return Ok(()),
                Err((ClientError::MessageProduction(Code::QueueFull), _)) => {
                    self.client.poll(Duration::from_millis(50));
                }
                Err((source, _)) => return Err(unwritten(source)),
            }
        }
    }

    /// What became of messages since it was asked last; waits for news until then.
    pub fn done(&self, until: Instant) -> impl Iterator<Item = Delivered> {
        self.client.poll(until.saturating_duration_since(Instant::now()));
        self.done.try_iter()
    }
}

fn unwritten(source: ClientError) -> KafkaError {
    KafkaError::Broker { action: "write a message", source }
}

impl ProducerContext for Reports<Sender<Delivered>> {
    type DeliveryOpaque = Box<String>;

    fn delivery(&self, result: &DeliveryResult<'_>, key: Box<String>) {
        let result = result.as_ref().map(|_| ()).map_err(|(source, _)| unwritten(source.clone()));
        // Nobody listens any more once the producer is dropped.
        let _ = self.to.send(Delivered { key: *key, result });
    }
}
