//! Topics read from outside any group: from the beginning to the end that they have now, committed records only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::delivery::{Incoming, Origin};
use super::reports::{REPORTS_WAIT, Reports, Watch, code_of};
use super::{KafkaError, Settings};

/// A broker that gives nothing for so long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The records of a topic; records of one partition in their order. Ends where the topic ended when it was opened, or
/// where a transaction is open.
pub(super) struct History {
    consumer: BaseConsumer<Reports>,
    topic: Arc<str>,
    /// The end of each partition that is not read yet.
    ends: BTreeMap<i32, i64>,
}

impl History {
    /// All of a topic.
    ///
    /// # Errors
    /// [`KafkaError`] where the broker refuses or does not answer.
    pub fn open(settings: &Settings, topic: &str, watch: &Watch) -> Result<Self, KafkaError> {
        let mut history = Self::new(settings, topic, watch)?;
        let metadata = history.consumer.fetch_metadata(Some(topic), settings.call());
        let metadata = metadata.map_err(|source| {
            let _ = history.consumer.poll(REPORTS_WAIT); // a call says that it failed, a report why
            watch.reported("read a topic", source)
        })?;
        let there = metadata.topics().iter().find(|t| t.error().is_none());
        let there = there.ok_or_else(|| KafkaError::MissingTopics { names: vec![topic.to_owned()] })?;
        let partitions = there.partitions().iter().map(|p| p.id());
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let ends = history.consumer.fetch_watermarks(topic, partition, settings.call());
            let (first, end) = ends.map_err(unread)?;
            if first < end {
                history.ends.insert(partition, end);
                list.add_partition_offset(topic, partition, Offset::Offset(first)).map_err(unread)?;
            }
        }
        history.consumer.assign(&list).map_err(unread)?;
        Ok(history)
    }

    /// One record; none where it is no longer there.
    ///
    /// # Errors
    /// [`KafkaError`] where the broker refuses or does not answer.
    pub fn one(settings: &Settings, at: &Origin, watch: &Watch) -> Result<Option<Incoming>, KafkaError> {
        let mut history = Self::new(settings, &at.topic, watch)?;
        match history.consumer.fetch_watermarks(&at.topic, at.partition, settings.call()) {
            Ok((first, end)) if (first..end).contains(&at.offset) => {}
            Ok(_) => return Ok(None),
            Err(e) if matches!(code_of(&e), Some(Code::UnknownPartition | Code::UnknownTopicOrPartition)) => {
                return Ok(None);
            }
            Err(error) => return Err(unread(error)),
        }
        history.ends.insert(at.partition, at.offset + 1);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&at.topic, at.partition, Offset::Offset(at.offset)).map_err(unread)?;
        history.consumer.assign(&list).map_err(unread)?;
        history.next().transpose()
    }

    fn new(settings: &Settings, topic: &str, watch: &Watch) -> Result<Self, KafkaError> {
        let mut client = settings.consumer()?;
        client.set("statistics.interval.ms", "0");
        let consumer = client.create_with_context(Reports::of_consumer(watch.clone())).map_err(KafkaError::Settings)?;
        Ok(Self { consumer, topic: topic.into(), ends: BTreeMap::new() })
    }
}

impl Iterator for History {
    type Item = Result<Incoming, KafkaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (since, mut last) = (Instant::now(), ClientError::MessageConsumption(Code::OperationTimedOut));
        while !self.ends.is_empty() {
            match self.consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    let incoming = Incoming::read(&message, &self.topic);
                    let Origin { partition, offset, .. } = incoming.origin;
                    let Some(&end) = self.ends.get(&partition) else { continue };
                    if offset + 1 >= end {
                        self.ends.remove(&partition);
                    }
                    if offset < end {
                        return Some(Ok(incoming));
                    }
                }
                // Where what the end counts are no records: transaction markers, or what was aborted.
                Some(Err(ClientError::PartitionEOF(partition))) => drop(self.ends.remove(&partition)),
                Some(Err(error)) => last = error,
                None => {}
            }
            if since.elapsed() > READ_TIMEOUT {
                self.ends.clear();
                return Some(Err(unread(last)));
            }
        }
        None
    }
}

fn unread(source: ClientError) -> KafkaError {
    KafkaError::Broker { action: "read a topic", source }
}
