//! How the broker is reached, and which properties the client is given.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};
use url::Url;

use super::KafkaError;
use twinpeak_core::units::Seconds;

/// `[kafka]` of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Addresses of brokers to begin with, `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Topics are named `<prefix>.<survey>.new-images` and so on.
    pub topic_prefix: String,
    /// Which topic messages come from, and go to.
    pub input: InputTopic,
    /// Consumer group: the daemons of one group share the work.
    pub group: String,
    /// This daemon's name within its group, the same at every start; empty: the host's name.
    pub instance: String,
    /// Makes topics that are missing, with so many partitions; 0: their absence is an error.
    pub create_partitions: u32,
    /// Protocol: encryption and authentication.
    pub security: Security,
    /// For SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    pub sasl_mechanism: String,
    /// For SASL: name of the user.
    pub username: String,
    /// For SASL: never printed; better kept in `password_file`.
    pub password: Secret,
    /// For SASL: a file that holds the password; a last line end is not part of it.
    pub password_file: PathBuf,
    /// For TLS: certificates of the authorities to trust, PEM; empty: the system's.
    pub ca_file: PathBuf,
    /// Older messages are rejected, s.
    pub max_message_age_s: Seconds,
    /// So long after its event a notification waits for the other bands' files, s.
    pub bands_wait_s: Seconds,
    /// Longest message that is taken, bytes; longer ones are rejected.
    pub max_message_bytes: NonZeroUsize,
    /// A transaction is committed when it holds so many images,
    pub transaction_images: NonZeroUsize,
    /// or so many bytes,
    pub transaction_bytes: NonZeroUsize,
    /// or is so old, s.
    pub transaction_s: Seconds,
    /// Timeout of a transaction, s: after it the broker aborts that of a dead daemon, which blocks readers until then.
    pub transaction_timeout_s: Seconds,
    /// A daemon that is silent for so long loses its partitions, s.
    pub session_timeout_s: Seconds,
    /// One whose own thread does not ask for messages for so long does too, however busy its engine may be, s.
    pub max_poll_interval_s: Seconds,
    /// Masks up to this size go into the topic, larger ones into the object store, bytes.
    pub inline_mask_bytes: usize,
    /// Folder that remembers which messages are in work; shared by the group's daemons where they share a disk.
    pub state_dir: PathBuf,
    /// Where schemas are registered (Confluent's API); empty: Avro's single-object encoding.
    pub schema_registry: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bootstrap_servers: "127.0.0.1:9092".into(),
            topic_prefix: "twinpeak".into(),
            input: InputTopic::NewImages,
            group: "twinpeak".into(),
            instance: String::new(),
            create_partitions: 0,
            security: Security::Plaintext,
            sasl_mechanism: "SCRAM-SHA-512".into(),
            username: String::new(),
            password: Secret::default(),
            password_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            max_message_age_s: Seconds::of(30.0 * 86400.0),
            bands_wait_s: Seconds::of(60.0),
            max_message_bytes: nonzero(1 << 20),
            transaction_images: nonzero(16),
            transaction_bytes: nonzero(32 << 20),
            transaction_s: Seconds::of(0.5),
            transaction_timeout_s: Seconds::of(20.0),
            session_timeout_s: Seconds::of(10.0),
            max_poll_interval_s: Seconds::of(300.0),
            inline_mask_bytes: 256 << 10,
            state_dir: "../night/state".into(),
            schema_registry: String::new(),
        }
    }
}

/// Where a daemon's messages come from. Outputs are the same: a night worked off later looks like one worked off at
/// once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputTopic {
    /// The live stream of new images.
    #[default]
    NewImages,
    /// Nights long past: for daemons of a group of their own, which the system gives what the live ones leave.
    Backfill,
}

impl InputTopic {
    /// The end of the topic's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NewImages => "new-images",
            Self::Backfill => "backfill",
        }
    }
}

/// How the broker is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// Neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// SASL within TLS.
    SaslSsl,
}

impl Security {
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// Text that is never printed: it is written as `(secret)` wherever the configuration is shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(secret)" })
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(if self.0.is_empty() { "" } else { "(secret)" })
    }
}

impl Settings {
    /// This daemon's name: as configured, or the host's.
    pub fn instance_name(&self) -> String {
        if !self.instance.is_empty() {
            return self.instance.clone();
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        if host.is_empty() { "daemon".into() } else { host.to_owned() }
    }

    /// Holds the settings against what they can mean, before anything is done with them.
    ///
    /// # Errors
    /// [`KafkaError::Setting`]: the first that cannot be used. A URL is not repeated: it may hold a password.
    pub fn check(&self) -> Result<(), KafkaError> {
        let url = (!self.schema_registry.is_empty()).then(|| Url::parse(&self.schema_registry));
        let holds_credentials = |url: &Url| !url.username().is_empty() || url.password().is_some();
        let faults = [
            (
                matches!(url, Some(Err(_))),
                "schema_registry",
                "is no URL: write http://host:port or https://host:port, or nothing",
            ),
            (
                matches!(&url, Some(Ok(url)) if holds_credentials(url)),
                "schema_registry",
                "holds a user or a password: it is shown in logs, write it without",
            ),
            (
                self.transaction_s.duration() >= self.transaction_timeout_s.duration(),
                "transaction_s",
                "is not below kafka.transaction_timeout_s: the broker would end each transaction before it is committed",
            ),
            (
                self.security.is_sasl() && self.username.is_empty(),
                "username",
                "is empty, and kafka.security asks for one",
            ),
        ];
        match faults.into_iter().find(|fault| fault.0) {
            Some((_, key, problem)) => Err(KafkaError::Setting { key, problem }),
            None => Ok(()),
        }
    }

    /// How long a call to the broker may take before it is tried again.
    pub(super) fn call(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Properties common to every client.
    ///
    /// # Errors
    /// [`KafkaError::Password`] where the password's file cannot be read.
    pub(super) fn client(&self) -> Result<ClientConfig, KafkaError> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", format!("twinpeak-{}", self.instance_name()))
            .set("security.protocol", self.security.name())
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "2000");
        if !self.ca_file.as_os_str().is_empty() {
            client.set("ssl.ca.location", self.ca_file.to_string_lossy());
        }
        if self.security.is_sasl() {
            client
                .set("sasl.mechanism", &self.sasl_mechanism)
                .set("sasl.username", &self.username)
                .set("sasl.password", self.read_password()?);
        }
        Ok(client)
    }

    fn read_password(&self) -> Result<String, KafkaError> {
        if self.password_file.as_os_str().is_empty() {
            return Ok(self.password.0.clone());
        }
        let file = &self.password_file;
        let text = fs::read_to_string(file).map_err(|source| KafkaError::Password { file: file.clone(), source })?;
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
    }

    /// The daemon's consumer.
    pub(super) fn consumer(&self) -> Result<ClientConfig, KafkaError> {
        let mut client = self.client()?;
        client
            .set("group.id", &self.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("session.timeout.ms", millis(self.session_timeout_s.duration()))
            .set("heartbeat.interval.ms", millis(self.session_timeout_s.duration() / 4))
            .set(
                "max.poll.interval.ms",
                millis(self.max_poll_interval_s.duration().max(self.session_timeout_s.duration())),
            )
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.message.max.bytes", (self.max_message_bytes.get() + (64 << 10)).to_string())
            .set("statistics.interval.ms", "2000");
        Ok(client)
    }

    /// The transactions of a daemon: its own, and the same at every start.
    pub(super) fn daemons_id(&self, survey: &str) -> String {
        format!("{}-{survey}-{}-{}", self.topic_prefix, self.group, self.instance_name())
    }

    /// The transactions of a replay: one for all, so that of two at once the earlier is cast out.
    pub(super) fn replays_id(&self, survey: &str) -> String {
        format!("{}-{survey}-replay", self.topic_prefix)
    }

    /// A client that writes in transactions.
    pub(super) fn producer(&self, transactional_id: &str) -> Result<ClientConfig, KafkaError> {
        let mut client = self.writer()?;
        client
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", millis(self.transaction_timeout_s.duration()))
            .set("message.timeout.ms", millis(self.transaction_timeout_s.duration()));
        Ok(client)
    }

    /// A client that writes, without transactions.
    pub(super) fn writer(&self) -> Result<ClientConfig, KafkaError> {
        let mut client = self.client()?;
        client
            .set("enable.idempotence", "true")
            .set("compression.type", "zstd")
            .set("linger.ms", "5")
            .set("batch.size", "1000000")
            .set("queue.buffering.max.messages", "1000000")
            // What the topics take is asked at the start; the client's own limit must not be below that.
            .set("message.max.bytes", "100000000");
        Ok(client)
    }
}

fn millis(span: Duration) -> String {
    span.as_millis().max(1).to_string()
}

fn nonzero(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("a default is not zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let refused = |text: &str| toml::from_str::<Settings>(text).unwrap().check().unwrap_err().to_string();
        for (text, says) in [
            ("schema_registry = \"http://user:hunter2@host\"", "kafka.schema_registry holds a user or a password"),
            ("schema_registry = \"somewhere\"", "kafka.schema_registry is no URL"),
            ("transaction_s = 20.0\ntransaction_timeout_s = 20.0", "kafka.transaction_s is not below"),
            ("security = \"sasl_ssl\"", "kafka.username is empty"),
        ] {
            let reported = refused(text);
            assert!(reported.contains(says) && !reported.contains("hunter2"), "{reported}");
        }
        Settings::default().check().unwrap();
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = Settings { password: Secret("hunter2".into()), ..Settings::default() };
        let shown = [format!("{settings:?}"), toml::to_string(&settings).unwrap()];
        assert!(shown.iter().all(|text| !text.contains("hunter2") && text.contains("(secret)")), "{shown:?}");
    }

    #[test]
    fn a_password_comes_from_its_file_without_the_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a b\n").unwrap();
        let settings = Settings {
            security: Security::SaslSsl,
            password: Secret("other".into()),
            password_file: file.path().to_owned(),
            ..Settings::default()
        };
        assert_eq!(settings.client().unwrap().get("sasl.password"), Some("a b"));
        let gone = Settings { password_file: "/no/such".into(), ..settings };
        let error = gone.client().unwrap_err().to_string();
        assert!(error.contains("/no/such") && !error.contains("other"), "{error}");
    }
}
