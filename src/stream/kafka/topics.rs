//! The topics by name: whether they are there, and how long a record each takes.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::reports::{REPORTS_WAIT, Reports};
use super::{ClientError, InputTopic, KafkaError, Settings, rejected};

/// Names of all topics of a survey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// New images, or those of nights long past, in.
    pub new_images: String,
    /// One record a source.
    pub sources: String,
    /// One record a mask file.
    pub masks: String,
    /// One record an image: its end.
    pub images: String,
    /// Messages that could not be processed.
    pub rejected: String,
    /// Which rejected messages were sent again; compacted.
    pub replayed: String,
}

/// Major version of what the topics carry.
const MAJOR: u32 = 1;

impl Topics {
    /// `<prefix>.<survey>.new-images` and so on.
    pub fn new(prefix: &str, survey: &str) -> Self {
        let name = |of: &str| format!("{prefix}.{survey}.{of}");
        Self {
            new_images: name("new-images"),
            sources: name(&format!("sources-v{MAJOR}")),
            masks: name(&format!("masks-v{MAJOR}")),
            images: name(&format!("images-v{MAJOR}")),
            rejected: name("rejected"),
            replayed: name("replayed"),
        }
    }

    /// Those of a daemon with these settings.
    pub fn of(settings: &Settings, survey: &str) -> Self {
        let mut topics = Self::new(&settings.topic_prefix, survey);
        if settings.input != InputTopic::NewImages {
            topics.new_images = format!("{}.{survey}.{}", settings.topic_prefix, settings.input.name());
        }
        topics
    }

    fn all(&self) -> [&str; 6] {
        [&self.new_images, &self.sources, &self.masks, &self.images, &self.rejected, &self.replayed]
    }

    /// Sees that all are among those that are `there`, makes them where the settings say so, and asks how long a record
    /// they take.
    ///
    /// # Errors
    /// [`KafkaError::Broker`] where the broker does not answer, [`KafkaError::MissingTopics`],
    /// [`KafkaError::ShortRecords`].
    pub fn ensure(&self, there: &[String], settings: &Settings) -> Result<MaxRecordBytes, KafkaError> {
        let admin: AdminClient<DefaultClientContext> = settings.client()?.create().map_err(KafkaError::Settings)?;
        let timeout = settings.call();
        let broker = |action| move |source| KafkaError::Broker { action, source };
        let is_missing = |name: &&str| !there.iter().any(|t| t == name);
        let missing: Vec<&str> = self.all().into_iter().filter(is_missing).collect();
        // Its answers are futures; a runtime of this thread's own waits for them.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|source| KafkaError::Broker {
            action: "wait for the broker",
            source: ClientError::ClientCreation(source.to_string()),
        })?;
        let options = AdminOptions::new().operation_timeout(Some(timeout)).request_timeout(Some(timeout));
        if !missing.is_empty() {
            let partitions = i32::try_from(settings.create_partitions).unwrap_or(i32::MAX);
            if partitions == 0 {
                return Err(KafkaError::MissingTopics { names: missing.into_iter().map(str::to_owned).collect() });
            }
            let made = missing.iter().map(|name| self.made(name, partitions)).collect::<Vec<_>>();
            let made = runtime.block_on(admin.create_topics(&made, &options)).map_err(broker("make topics"))?;
            for result in made {
                match result {
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((_, code)) => return Err(broker("make topics")(ClientError::AdminOp(code))),
                }
            }
            std::thread::sleep(Duration::from_millis(300)); // until the broker's own picture has them
        }
        let asked = [&self.sources, &self.masks, &self.images, &self.rejected];
        let resources = asked.map(|name| ResourceSpecifier::Topic(name));
        let answers = runtime.block_on(admin.describe_configs(&resources, &options));
        let answers = answers.map_err(broker("ask for the topics' limits"))?;
        let limits: Vec<usize> = answers
            .into_iter()
            .map(|answer| {
                let config = answer.ok()?;
                config.get("max.message.bytes")?.value.as_ref()?.parse().ok()
            })
            .map(|limit| limit.unwrap_or(BROKERS_USUAL_LIMIT))
            .collect();
        let limit = |topic: usize| limits.get(topic).copied().unwrap_or(BROKERS_USUAL_LIMIT);
        if limit(3) < rejected::SHORTEST_LIMIT {
            let (topic, limit) = (self.rejected.clone(), limit(3));
            return Err(KafkaError::ShortRecords { topic, limit, needed: rejected::SHORTEST_LIMIT });
        }
        Ok(MaxRecordBytes { sources: limit(0), masks: limit(1), images: limit(2), rejected: limit(3) })
    }

    fn made<'a>(&self, name: &'a str, partitions: i32) -> NewTopic<'a> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1)).set("max.message.bytes", "16000000");
        if name == self.replayed { topic.set("cleanup.policy", "compact") } else { topic }
    }
}

/// Names of the topics that are at a producer's broker.
///
/// # Errors
/// [`KafkaError`] where the broker does not answer.
pub(super) fn there<To>(producer: &BaseProducer<Reports<To>>, timeout: Duration) -> Result<Vec<String>, KafkaError>
where
    Reports<To>: ProducerContext,
{
    let metadata = producer.client().fetch_metadata(None, timeout).map_err(|source| {
        producer.poll(REPORTS_WAIT); // a call says that it failed, a report why
        producer.context().watch.reported("ask the broker for its topics", source)
    })?;
    let there = |topic: &&MetadataTopic| topic.error().is_none();
    Ok(metadata.topics().iter().filter(there).map(|topic| topic.name().to_owned()).collect())
}

/// What a broker of default settings takes.
const BROKERS_USUAL_LIMIT: usize = 1_048_588;

/// The largest record that each output topic takes, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxRecordBytes {
    /// Of the topic of sources.
    pub sources: usize,
    /// Of the topic of masks.
    pub masks: usize,
    /// Of the topic of images.
    pub images: usize,
    /// Of the topic of rejected messages.
    pub rejected: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_those_of_the_schemas() {
        let survey = twinpeak_core::survey::Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap();
        let (topics, schemas) = (Topics::new("p", "sdss"), twinpeak_formats::avro::Schemas::new(&survey).unwrap());
        let of_schemas = schemas.all().map(|schema| schema.topic("p", &survey));
        assert_eq!(of_schemas, [topics.sources, topics.masks, topics.images]);
    }

    #[test]
    fn names_follow_the_survey() {
        let topics = Topics::new("twinpeak", "sdss");
        assert_eq!(topics.new_images, "twinpeak.sdss.new-images");
        let backfill = Settings { input: InputTopic::Backfill, ..Settings::default() };
        let later = Topics { new_images: "twinpeak.sdss.backfill".into(), ..topics.clone() };
        assert_eq!((Topics::of(&backfill, "sdss"), Topics::of(&Settings::default(), "sdss")), (later, topics.clone()));
        assert_eq!(
            (topics.sources.as_str(), topics.rejected.as_str()),
            ("twinpeak.sdss.sources-v1", "twinpeak.sdss.rejected")
        );
    }
}
