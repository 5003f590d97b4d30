use super::field::MOST_CHARACTERS;
use super::*;
use twinpeak_core::outcome::{Reason, Stage};
use twinpeak_core::testing::{processed, rejected};
use twinpeak_engine::ports::StreamEvent;

fn history(most: usize) -> History {
    History { most, ..History::new(|| "in force".into()) }
}

fn named(image: &str, finished: Finished) -> Finished {
    Finished { image_id: ImageId::new(image).unwrap(), ..finished }
}

fn past(image: &str, ended_unix_s: f64) -> Field {
    let history = history(1);
    Field { ended_unix_s, ..history.end(&named(image, rejected())).unwrap() }
}

fn names(history: &History, filter: &FieldFilter) -> Vec<String> {
    history.fields(filter, 100).0.into_iter().map(|e| e.field.image.clone()).collect()
}

#[test]
fn the_last_fields_are_kept_and_counted() {
    let history = history(3);
    for (image, finished) in [("a", processed()), ("b", rejected()), ("c", processed()), ("d", processed())] {
        history.on(&Event::Finished(&named(image, finished)));
    }
    assert_eq!(names(&history, &FieldFilter::default()), ["d", "c", "b"]);
    let counts = history.counts();
    assert_eq!((counts.processed, counts.rejected, counts.stars, counts.galaxies), (2, 1, 4, 2));
    assert_eq!(counts.reasons, [(Reason::MissingBand, 1)].into());
    let entry = serde_json::to_value(&history.fields(&FieldFilter::default(), 9).0[2]).unwrap();
    assert_eq!(
        (&entry["outcome"], &entry["reason"], &entry["model_version"]),
        (&"rejected".into(), &"missing_band".into(), &"in force".into())
    );
    let entry = serde_json::to_value(&*history.all()[1]).unwrap();
    assert_eq!((&entry["stars"], &entry["quality"][2]["fwhm_arcsec"]), (&2.into(), &3.0.into()));
}

#[test]
fn fields_are_filtered_and_paged() {
    let history = history(100);
    (0..10).for_each(|k| {
        history.on(&Event::Finished(&named(&format!("F-{k}"), if k % 3 == 0 { rejected() } else { processed() })))
    });
    assert_eq!(
        names(&history, &FieldFilter { processed: Some(false), ..FieldFilter::default() }),
        ["F-9", "F-6", "F-3", "F-0"]
    );
    assert_eq!(names(&history, &FieldFilter { text: "f-4".into(), ..FieldFilter::default() }), ["F-4"]);
    assert_eq!(names(&history, &FieldFilter { reason: Some(Reason::TooOld), ..FieldFilter::default() }), [""; 0]);
    let (first, all) = history.fields(&FieldFilter::default(), 4);
    let before = first.last().map(|e| e.number);
    let (second, same) = history.fields(&FieldFilter { before, ..FieldFilter::default() }, 4);
    assert_eq!((all, same, second[0].field.image.as_str(), second.len()), (10, 10, "F-5", 4));
}

#[test]
fn a_rejected_image_that_was_processed_later_says_so() {
    let history = history(100);
    for (image, finished) in [("a", rejected()), ("b", rejected()), ("a", processed()), ("a", rejected())] {
        history.on(&Event::Finished(&named(image, finished)));
    }
    let since: Vec<_> = history.fields(&FieldFilter::default(), 9).0.iter().map(|e| e.processed_since).collect();
    assert_eq!(since, [false, false, false, true]);
    let ends = history.of_image(&ImageId::new("a").unwrap());
    assert_eq!(ends.iter().map(|e| e.processed_since).collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn what_was_before_the_start_stands_before_what_has_ended_since() {
    let history = history(4);
    ["c", "d"].iter().for_each(|image| history.on(&Event::Finished(&named(image, processed()))));
    history.remember(vec![past("x", 1.0), past("a", 2.0), past("c", 3.0), past("b", 4.0)]);
    assert_eq!(names(&history, &FieldFilter::default()), ["d", "c", "b", "a"], "no more than fit, and none twice");
    history.on(&Event::Finished(&named("e", processed())));
    assert_eq!(names(&history, &FieldFilter::default()), ["e", "d", "c", "b"]);
    let numbers: Vec<_> = history.fields(&FieldFilter::default(), 9).0.iter().map(|e| e.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
}

#[test]
fn frames_in_flight_are_seen_from_stage_to_stage_until_they_end() {
    let history = history(9);
    let [a, b] = ["a", "b"].map(|name| ImageId::new(name).unwrap());
    history.on(&Event::Arrived(&a));
    history.on(&Event::Arrived(&b));
    history.on(&Event::Passed { image: &a, stage: Stage::Ingest });
    history.on(&Event::Passed { image: &a, stage: Stage::Prepare });
    let stages = |history: &History| history.now().in_flight.iter().map(|f| f.stage).collect::<Vec<_>>();
    assert_eq!(stages(&history), [Stage::Segment, Stage::Ingest]);
    history.on(&Event::Dropped(&a));
    history.on(&Event::Finished(&named("b", processed())));
    assert_eq!(stages(&history), []);
}

#[test]
fn stages_and_stream_are_told_as_they_are() {
    let history = history(9);
    history.on(&Event::StageDone { stage: Stage::Extract, seconds: 1.0 });
    history.on(&Event::StageDone { stage: Stage::Extract, seconds: 2.0 });
    history.on(&Event::Queue { stage: Stage::Extract, depth: 3 });
    history.on(&Event::Permits { used: 2, of: 5 });
    history.on(&Event::DeviceAlive("cuda:0"));
    history.on(&Event::Stream(&StreamEvent::Lag { partition: 1, messages: Some(7) }));
    history.on(&Event::Stream(&StreamEvent::Lag { partition: 2, messages: Some(9) }));
    history.on(&Event::Stream(&StreamEvent::Lag { partition: 2, messages: None }));
    history.on(&Event::Stream(&StreamEvent::Committed { images: 4, bytes: 1, seconds: 0.1 }));
    let now = serde_json::to_value(history.now()).unwrap();
    assert_eq!(now["stages"]["extract"], serde_json::json!({"waiting": 3, "done": 2, "recent_s": 1.5}));
    assert_eq!((&now["permits_used"], &now["permits_limit"]), (&2.into(), &5.into()));
    assert_eq!(now["stream"]["lag_messages"], serde_json::json!({"1": 7}));
    assert_eq!(now["stream"]["committed_images"], 4);
    assert!(now["devices"]["cuda:0"]["alive_unix_s"].as_f64().unwrap() > 1e9);
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let Outcome::Rejected(mut rejection) = rejected().outcome else { panic!("it is rejected") };
    rejection.message = "ü".repeat(5000);
    let short = shortened(rejection);
    assert_eq!(short.message.chars().count(), MOST_CHARACTERS + 1);
    assert_eq!(short.advice, "add it");
}
