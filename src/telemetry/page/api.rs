//! What the page's script asks for.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Value, json};

use super::quality::{self, Against};
use super::{About, Page, ReplayAdvice};
use crate::history::{End, Entry, FieldFilter, MOST_FIELDS, Now, OutcomeCounts, unix_s};
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::Reason;

/// Fields of one answer, at most and unless asked otherwise.
const MOST_LISTED: usize = 200;
const LISTED: usize = 50;
/// Longest text that is looked for.
const MOST_SEARCHED: usize = 128;

/// `/api/now`: what is in force and going on, and sums over the fields that are remembered.
#[derive(Serialize)]
pub struct Overview {
    software_version: &'static str,
    now_unix_s: f64,
    started_unix_s: f64,
    remembered_fields_limit: usize,
    about: About,
    counts: OutcomeCounts,
    #[serde(flatten)]
    now: Now,
}

pub fn now(page: &Page) -> Overview {
    Overview {
        software_version: env!("CARGO_PKG_VERSION"),
        now_unix_s: unix_s(SystemTime::now()),
        started_unix_s: page.started_unix_s,
        remembered_fields_limit: MOST_FIELDS,
        about: (page.about)(),
        counts: page.history.counts(),
        now: page.history.now(),
    }
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    entry: Entry,
    /// Of a rejected image that was not processed since.
    replay: Option<ReplayAdvice>,
}

/// `/api/fields?outcome=processed|rejected&reason=&text=&before=NUMBER&limit=`: the last first.
pub fn fields(page: &Page, query: &str) -> Result<Value, String> {
    let (mut filter, mut limit) = (FieldFilter::default(), LISTED);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
        let number = || value.parse::<i64>().map_err(|_| format!("{key} is a number"));
        match &*key {
            "outcome" => filter.processed = Some(one_of(&value, &[("processed", true), ("rejected", false)])?),
            "reason" => filter.reason = Some(one_of(&value, &Reason::ALL.map(|r| (r.name(), r)))?),
            "text" => filter.text = value.chars().take(MOST_SEARCHED).collect(),
            "before" => filter.before = Some(number()?),
            "limit" => limit = number()?.clamp(1, MOST_LISTED as i64) as usize,
            _ => return Err("the keys are outcome, reason, text, before, limit".into()),
        }
    }
    let (entries, matching) = page.history.fields(&filter, limit);
    let fields: Vec<_> = entries.into_iter().map(|entry| listed(page, entry)).collect();
    Ok(json!({"matching": matching, "fields": fields}))
}

/// `/api/fields/IMAGE`: each time it ended, the last first.
pub fn field(page: &Page, image: &ImageId) -> Option<Value> {
    let ends: Vec<_> = page.history.of_image(image).into_iter().map(|entry| listed(page, entry)).collect();
    (!ends.is_empty()).then(|| json!({"image": image.as_str(), "ends": ends}))
}

fn listed(page: &Page, entry: Entry) -> Listed {
    let open = matches!(entry.field.end, End::Rejected(_)) && !entry.processed_since;
    let replay = ImageId::new(&entry.field.image).ok().filter(|_| open).map(|image| (page.replay)(&image));
    Listed { entry, replay }
}

/// `/api/quality?hours=&by=processed|observed`: the last so many hours; all, where none are said.
pub fn quality(page: &Page, query: &str) -> Result<Value, String> {
    let (mut hours, mut by) = (None, Against::Processed);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
        match &*key {
            "hours" => hours = Some(value.parse::<f64>().map_err(|_| "hours is a number".to_owned())?),
            "by" => by = one_of(&value, &[("processed", Against::Processed), ("observed", Against::Observed)])?,
            _ => return Err("the keys are hours and by".into()),
        }
    }
    Ok(quality::charts(&page.history.all(), hours, by))
}

fn one_of<T: Copy>(value: &str, all: &[(&str, T)]) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| *name == value).map(|(_, value)| *value);
    found.ok_or_else(|| format!("one of {}", all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")))
}
