//! The transactional producer, and what its failures ask for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::delivery::Origin;
use super::reports::{REPORTS_WAIT, Reports, Watch};
use super::{KafkaError, Settings, topics};

/// What a failed step of a transaction asks for.
#[derive(Debug)]
pub(super) enum TransactionError {
    /// The same step may succeed when tried again.
    Retry(ClientError),
    /// Abort, and do the images again.
    Abort(ClientError),
    /// Only a new producer can go on.
    Fatal(ClientError),
}

impl TransactionError {
    fn of(error: ClientError) -> Self {
        match &error {
            ClientError::Transaction(e) if e.is_fatal() => Self::Fatal(error),
            ClientError::Transaction(e) if e.txn_requires_abort() => Self::Abort(error),
            ClientError::Transaction(e) if e.is_retriable() => Self::Retry(error),
            ClientError::Transaction(_) => Self::Fatal(error),
            ClientError::Flush(_) => Self::Retry(error),
            _ => Self::Abort(error),
        }
    }
}

/// One record to write.
pub(super) struct Outbound<'a> {
    pub topic: &'a str,
    pub key: &'a [u8],
    pub payload: Option<&'a [u8]>,
    pub headers: Option<OwnedHeaders>,
}

/// The producer of one session.
pub(super) struct Transactional {
    producer: BaseProducer<Reports<Refused>>,
    call: Duration,
}

/// Records that the broker would not take, by the message that led to them.
pub(super) type Refused = Arc<Mutex<BTreeMap<Origin, String>>>;

impl Transactional {
    /// Connects; nothing is asked of the broker yet.
    ///
    /// # Errors
    /// [`KafkaError::Settings`], [`KafkaError::Password`].
    pub fn new(settings: &Settings, id: &str, refused: Refused, watch: Watch) -> Result<Self, KafkaError> {
        let client = settings.producer(id)?;
        let producer =
            client.create_with_context(Reports::of_producer(watch, refused)).map_err(KafkaError::Settings)?;
        Ok(Self { producer, call: settings.call() })
    }

    /// Names of the topics that are there.
    ///
    /// # Errors
    /// [`KafkaError`] where the broker does not answer.
    pub fn topics(&self) -> Result<Vec<String>, KafkaError> {
        topics::there(&self.producer, self.call)
    }

    /// Takes the transactional id, and ends what an earlier holder left open.
    pub fn init(&self) -> Result<(), TransactionError> {
        self.producer.init_transactions(self.call).map_err(TransactionError::of)
    }

    pub fn begin(&self) -> Result<(), TransactionError> {
        self.producer.begin_transaction().map_err(TransactionError::of)
    }

    /// Adds a record to the open transaction; waits where the client's queue is full.
    pub fn send(&self, record: &Outbound, origin: &Arc<Origin>) -> Result<(), TransactionError> {
        loop {
            let mut out = BaseRecord::with_opaque_to(record.topic, Arc::clone(origin)).key(record.key);
            if let Some(payload) = record.payload {
                out = out.payload(payload);
            }
            if let Some(headers) = &record.headers {
                out = out.headers(headers.clone());
            }
            match self.producer.send(out) {
                Ok(()) => return Ok(()),
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.producer.poll(Duration::from_millis(50));
                }
                Err((error, _)) => return Err(TransactionError::Abort(error)),
            }
        }
    }

    /// Serves what the client has to report.
    pub fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    pub fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), TransactionError> {
        self.producer.send_offsets_to_transaction(offsets, group, self.call).map_err(TransactionError::of)
    }

    /// The client's own wait for its reports sleeps 100 ms at a time: they are taken here first.
    pub fn commit(&self) -> Result<(), TransactionError> {
        let until = Instant::now() + self.call;
        while self.producer.in_flight_count() > 0 && Instant::now() < until {
            self.producer.poll(Duration::from_millis(1));
        }
        self.producer.commit_transaction(self.call).map_err(TransactionError::of)
    }

    /// The client waits for its own reports on the records that it drops, and only we can take those: short waits,
    /// and the reports between them. With one long wait no abort would ever end.
    pub fn abort(&self) -> Result<(), TransactionError> {
        let until = Instant::now() + self.call;
        loop {
            match self.producer.abort_transaction(REPORTS_WAIT).map_err(TransactionError::of) {
                Err(TransactionError::Retry(_)) if Instant::now() < until => self.producer.poll(REPORTS_WAIT),
                ended => return ended,
            }
        }
    }
}

impl ProducerContext for Reports<Refused> {
    type DeliveryOpaque = Arc<Origin>;

    fn delivery(&self, result: &DeliveryResult<'_>, origin: Arc<Origin>) {
        let Err((error, record)) = result else { return };
        // Purged with its transaction: that is reported where the transaction is.
        if let ClientError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge) = error {
            let bytes = record.payload().map_or(0, <[u8]>::len);
            let reported = format!("a record of {bytes} bytes is more than the topic {} takes", record.topic());
            self.to.lock().unwrap_or_else(PoisonError::into_inner).insert((*origin).clone(), reported);
        }
    }
}
