//! What the broker's clients report outside of any call: for the log, the metrics and readiness.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};

use super::KafkaError;
use super::status::Status;
use twinpeak_engine::ports::{Event, NoProbe, Probe, StreamEvent};

/// How long a client's reports are waited for at a time.
pub(super) const REPORTS_WAIT: Duration = Duration::from_millis(20);

/// While a broker is away its client reports the same many times a second.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Who receives what the clients report.
#[derive(Clone)]
pub(super) struct Watch {
    pub probe: Arc<dyn Probe>,
    pub status: Status,
    /// When each kind of error was logged last. Shared by the callbacks of both clients.
    said: Arc<Mutex<BTreeMap<String, Instant>>>,
    /// Why no broker could be reached, as the clients reported it last. Written by the callbacks, taken by the session.
    why: Arc<Mutex<Option<String>>>,
}

impl Watch {
    pub fn new(probe: Arc<dyn Probe>, status: Status) -> Self {
        Self { probe, status, said: Arc::default(), why: Arc::default() }
    }

    /// Nobody looks at metrics or readiness.
    pub fn of_none() -> Self {
        Self::new(Arc::new(NoProbe), Status::default())
    }

    /// A client reports an error. That is counted here, and not again where a call returns it too.
    pub fn error(&self, error: &ClientError, reason: &str) {
        let kind = kind_of(error);
        match code_of(error) {
            Some(Code::PartitionEOF) => return,
            Some(Code::AllBrokersDown) => self.status.down(),
            Some(Code::Authentication | Code::SSL | Code::SaslAuthenticationFailed) => {
                self.unreachable(format!("the broker refuses us: {reason}"));
            }
            Some(Code::Resolve | Code::BrokerTransportFailure) => self.unreachable(reason.to_owned()),
            _ => {}
        }
        if self.is_news(&kind) {
            tracing::warn!(error_type = kind, error = reason, "librdkafka error");
        }
        self.probe.on(&Event::Stream(&StreamEvent::Failed { kind }));
    }

    /// A line of a client's log, among ours.
    pub fn log(&self, level: Level, facility: &str, message: &str) {
        self.hear(facility, message);
        match level {
            Level::Emerg | Level::Alert | Level::Critical => tracing::warn!(facility, text = message, "librdkafka log"),
            // Errors are reported too, each with its kind.
            Level::Error | Level::Warning | Level::Notice | Level::Info => {
                tracing::debug!(facility, text = message, "librdkafka log")
            }
            Level::Debug => tracing::trace!(facility, text = message, "librdkafka log"),
        }
    }

    /// Not every connection that failed is reported as an error too.
    fn hear(&self, facility: &str, line: &str) {
        if facility != "FAIL" {
            return;
        }
        let line = line.split_once("]: ").map_or(line, |(_thread, line)| line);
        // A listener that wants TLS says nothing to a client without, and closes.
        let unheard = line.contains("in state APIVERSION_QUERY");
        let hint = if unheard { "; does kafka.security fit this listener?" } else { "" };
        let why = format!("{line}{hint}");
        self.status.note(&why);
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    fn unreachable(&self, why: String) {
        self.status.unreachable(&why);
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// A call failed: for the reason that a client reported, where one did.
    pub fn reported(&self, action: &'static str, source: ClientError) -> KafkaError {
        match self.why() {
            Some(why) => KafkaError::Unreachable { action, why },
            None => KafkaError::Broker { action, source },
        }
    }

    /// Why no broker could be reached since this was asked last.
    pub fn why(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether this kind of error is worth a line in the log again.
    fn is_news(&self, kind: &str) -> bool {
        let (mut said, now) = (self.said.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let news = said.get(kind).is_none_or(|at| now.duration_since(*at) > SAY_AGAIN_AFTER);
        if news {
            said.insert(kind.to_owned(), now);
        }
        news
    }
}

pub(super) fn code_of(error: &ClientError) -> Option<Code> {
    match error {
        ClientError::Transaction(error) => Some(error.code()),
        other => other.rdkafka_error_code(),
    }
}

/// The client's name for the kind of error.
pub(super) fn kind_of(error: &ClientError) -> String {
    code_of(error).map_or_else(|| "Other".into(), |code| format!("{code:?}"))
}

/// A client's callbacks; a producer's report to `to` what became of its records.
pub(super) struct Reports<To = ()> {
    pub watch: Watch,
    pub to: To,
    /// The client calls back twice for each error of a producer, at once: what the second call will say.
    echo: Option<Mutex<Option<(String, String)>>>,
}

impl Reports {
    pub fn of_consumer(watch: Watch) -> Self {
        Self { watch, to: (), echo: None }
    }
}

impl<To> Reports<To> {
    pub fn of_producer(watch: Watch, to: To) -> Self {
        Self { watch, to, echo: Some(Mutex::default()) }
    }
}

impl<To: Send + Sync> ClientContext for Reports<To> {
    fn log(&self, level: Level, facility: &str, message: &str) {
        self.watch.log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        if let Some(echo) = &self.echo {
            let mut echo = echo.lock().unwrap_or_else(PoisonError::into_inner);
            let said = Some((kind_of(&error), reason.to_owned()));
            if *echo == said {
                *echo = None;
                return;
            }
            *echo = said;
        }
        self.watch.error(&error, reason);
    }
}

impl ConsumerContext for Reports {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rdkafka::ClientConfig;
    use rdkafka::message::DeliveryResult;
    use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

    use super::*;

    #[derive(Default)]
    struct Failures(AtomicUsize);
    impl Probe for Failures {
        fn on(&self, event: &Event<'_>) {
            if let Event::Stream(StreamEvent::Failed { .. }) = event {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn counted(reports: impl FnOnce(Watch) -> Box<dyn Fn(Code, &str)>, said: &[(Code, &str)]) -> usize {
        let counts = Arc::new(Failures::default());
        let report = reports(Watch::new(counts.clone(), Status::default()));
        said.iter().for_each(|(code, reason)| report(*code, reason));
        counts.0.load(Ordering::SeqCst)
    }

    #[test]
    fn an_error_is_counted_once() {
        let (down, gone) = ((Code::AllBrokersDown, "2/2 are down"), (Code::BrokerTransportFailure, "refused"));
        let of_producer = |watch| {
            let reports = Reports::of_producer(watch, ());
            Box::new(move |code, reason: &str| reports.error(ClientError::Global(code), reason)) as Box<_>
        };
        assert_eq!(counted(of_producer, &[gone, gone, down, down, gone, gone, gone, gone]), 4);
        let of_consumer = |watch| {
            let reports = Reports::of_consumer(watch);
            Box::new(move |code, reason: &str| reports.error(ClientError::Global(code), reason)) as Box<_>
        };
        assert_eq!(counted(of_consumer, &[gone, gone, down]), 3);
    }

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);
    impl ClientContext for Heard {
        fn error(&self, error: ClientError, reason: &str) {
            self.0.lock().unwrap().push(format!("{error:?} {reason}"));
        }
    }
    impl ProducerContext for Heard {
        type DeliveryOpaque = ();
        fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
    }

    /// The reason for `Reports::echo`: where this fails after an update, that has to go.
    #[test]
    fn the_client_tells_a_producer_s_error_twice() {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", "127.0.0.1:1"); // nobody listens there
        let client: BaseProducer<Heard> = client.create_with_context(Heard::default()).unwrap();
        let since = Instant::now();
        while client.context().0.lock().unwrap().is_empty() {
            assert!(since.elapsed() < Duration::from_secs(60));
            client.poll(REPORTS_WAIT);
        }
        let heard = client.context().0.lock().unwrap();
        assert!(heard.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1]), "{heard:?}");
    }
}
