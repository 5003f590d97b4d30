//! A daemon without an engine: the session, and what its user makes of each message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::*;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::*;
use twinpeak_stream::kafka::{Incoming, Intake, Outflow, Parts, Request, Settings, Software, Stream};

/// Refuses every message, by an image's name and for a reason with its text.
pub struct RefuseAll(pub fn(&Incoming) -> (String, Reason, String));
impl Intake for RefuseAll {
    fn take(&self, incoming: &Arc<Incoming>) -> Request {
        let (image, reason, message) = self.0(incoming);
        let rejection = Rejection { reason, stage: Stage::Ingest, file: None, message, advice: "none".into() };
        Request::new(ImageId::new(&image).unwrap(), move || Err(rejection))
    }
}

/// The session's parts, around an intake and an outflow.
pub fn parts(settings: Settings, survey: &str, intake: RefuseAll, outflow: Arc<dyn Outflow>) -> Parts {
    let _ = tracing_subscriber::fmt().with_test_writer().try_init(); // shown where a test fails
    let software = Software { version: "0".into(), model_version: "m".into(), model_hash: "h".into() };
    let (survey, intake, probe) = (survey.into(), Box::new(intake), Arc::new(NoProbe));
    Parts { settings, survey, intake, outflow, software, probe, ahead: 4 }
}

/// Works on messages one after another, each for so long, until asked to stop or, where `until_idle`, all are done.
pub fn work(parts: Parts, stop: &Stop, until_idle: bool, each: Duration) {
    let (mut source, sink, stream) = Stream::start(parts).unwrap();
    if until_idle {
        source = source.until_idle();
    }
    for sequence in 0.. {
        let arrival = match source.next(stop) {
            Ok(Some(arrival)) => arrival,
            Ok(None) => break,
            Err(error) => panic!("{error}: {:?}", stream.finish().err()), // the session knows why
        };
        std::thread::sleep(each);
        let Err(rejection) = (arrival.load)() else { continue }; // stale
        let outcome = Outcome::Rejected(rejection);
        let finished = Finished { image_id: arrival.image_id, sequence, timings_s: BTreeMap::new(), outcome };
        let encoded = sink.encode(&finished, &arrival.receipt).unwrap();
        sink.publish(&finished, &encoded, &arrival.receipt).unwrap();
    }
    drop((source, sink));
    stream.finish().unwrap();
}
