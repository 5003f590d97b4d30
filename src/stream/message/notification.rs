//! Notifications of object stores: what S3, and after it MinIO and Ceph, send when an object was created.

use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::json::{self, Object};
use super::{MessageError, Uri, excerpt, percent, time};
use twinpeak_core::files::{BandFiles, FieldFiles, Place};
use twinpeak_core::frame::ImageId;
use twinpeak_core::survey::{Group, PlaneKind, Survey};

/// Most events in one message; stores send one.
const MAX_RECORDS: usize = 100;

/// One band's file has come into a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectCreated {
    /// The image it belongs to.
    pub image_id: ImageId,
    /// Index of the band, by the survey's file pattern; the reference band's where one file holds all.
    pub band: usize,
    /// All files of the image: its own, those that have its key but for the band, and beside each the mask and weights
    /// that the survey keeps in files of their own.
    pub siblings: FieldFiles<Uri>,
    /// When the store had it, milliseconds since 1970 (UTC), where the notification says.
    pub event_time_unix_ms: Option<i64>,
}

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Records")]
    records: Records,
}

struct Records(Vec<Record>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    event_time: Option<String>,
    s3: Option<Object<Stored>>,
}

#[derive(Deserialize)]
struct Stored {
    bucket: Object<Bucket>,
    object: Object<Key>,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

impl ObjectCreated {
    /// Reads the text of a notification: `None` where it names nothing that is ours.
    ///
    /// Where it names several bands of one image, the reference band speaks for all, else the first in band order.
    pub(super) fn parse(text: &str, survey: &Survey) -> Result<Option<Self>, MessageError> {
        let notification: Notification = json::object(text)?;
        let Records(records) = notification.records;
        if records.len() > MAX_RECORDS {
            return Err(MessageError::TooManyRecords { limit: MAX_RECORDS });
        }
        let mut created = Vec::new();
        for (at, record) in records.into_iter().enumerate() {
            // S3 writes ObjectCreated:Put, MinIO s3:ObjectCreated:Put.
            let event = record.event_name.strip_prefix("s3:").unwrap_or(&record.event_name);
            if event.starts_with("ObjectCreated:") {
                let Object(stored) = record.s3.ok_or(MessageError::NoObject { record: at })?;
                created.extend(Self::of(&stored, record.event_time.as_deref(), survey)?);
            }
        }
        let lead = created.iter().min_by_key(|c| (c.band != survey.reference(), c.band)).cloned();
        if let Some(lead) = &lead
            && let Some(other) = created.iter().find(|c| c.siblings != lead.siblings)
        {
            let of =
                |c: &Self| c.siblings[c.band].as_ref().map_or_else(String::new, |band| band.image.file.to_string());
            let (first, other) = (of(lead), of(other));
            return Err(MessageError::SeveralImages { first, other });
        }
        Ok(lead)
    }

    /// One created object, where its name is one of the survey's.
    fn of(stored: &Stored, event_time: Option<&str>, survey: &Survey) -> Result<Option<Self>, MessageError> {
        let (bucket, sent) = (&stored.bucket.0.name, &stored.object.0.key);
        // Stores encode keys as web forms do: a plus is a space.
        let decoded = percent::decode(&sent.replace('+', " ")).and_then(|key| String::from_utf8(key).ok());
        let key = decoded.ok_or_else(|| MessageError::Key { key: excerpt(sent) })?;
        let name_at = key.rfind('/').map_or(0, |slash| slash + 1);
        let (folder, name) = key.split_at(name_at);
        let Some(said) = survey.file_name(name).filter(|_| !name.ends_with(".json")) else { return Ok(None) };

        if survey.group() != Group::Name || survey.needs_band_card() {
            return Err(MessageError::NotByName { name: excerpt(name) });
        }
        let uri = |name: &str| {
            let uri = Uri::s3(bucket, &format!("{folder}{name}"));
            uri.map_err(|source| MessageError::Object { source })
        };
        let mut siblings = FieldFiles::default();
        for band in survey.planes() {
            let sibling = said.band.map_or_else(|| Some(name.to_owned()), |_| survey.sibling(name, band));
            let sibling = sibling.ok_or_else(|| MessageError::NoSibling { name: excerpt(name) })?;
            let beside = |kind| survey.companion(&sibling, kind).map(|name| uri(&name)).transpose();
            siblings[band] = Some(BandFiles {
                image: uri(&sibling)?.into(),
                mask: beside(PlaneKind::Mask)?.map(Place::from),
                weight: beside(PlaneKind::Weight)?.map(Place::from),
            });
        }
        let when = |text: &str| time::unix_ms(text).ok_or_else(|| MessageError::Time { found: excerpt(text) });
        Ok(Some(Self {
            image_id: said.image,
            band: said.band.unwrap_or(survey.reference()),
            siblings,
            event_time_unix_ms: event_time.map(when).transpose()?,
        }))
    }
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Records;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of records")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Records, A::Error> {
                let mut records = Vec::new();
                // One too many is kept, to be refused.
                while records.len() <= MAX_RECORDS {
                    match list.next_element()? {
                        Some(Object(record)) => records.push(record),
                        None => return Ok(Records(records)),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Records(records))
            }
        }
        from.deserialize_seq(Bounded)
    }
}
