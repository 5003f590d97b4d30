//! MessageReader in, records out, exactly once.
//!
//! # What it may know
//!
//! `twinpeak-core`, `twinpeak-engine` (its ports, which are implemented here) and `twinpeak-formats` (FITS in, records
//! out). It never knows nets, folders of results, metrics or configuration files: settings come as values, and what
//! happens goes out as [`twinpeak_engine::ports::StreamEvent`]. Three vendors have one room each: rdkafka in [`kafka`],
//! object_store in [`object_store`], the schema registry's client in [`registry`].
//!
//! # The modules
//!
//! In the order in which a message meets them:
//!
//! | module | what |
//! | --- | --- |
//! | [`registry`] | before the first: schemas are registered, and the ids come back that records begin with |
//! | [`kafka`] | the session with the broker: messages, offsets, transactions; knows neither what a message says nor how a row is written |
//! | [`intake`] | what a message asks for: files, a notification to wait on, or a refusal |
//! | [`message`] | its bytes, parsed and checked; pure |
//! | [`object_store`] | bytes behind URIs, under roots and buckets that are allowed |
//! | [`outflow`] | what an image's products become: rows, masks, the record of its end |
//! | `tls` | whose cryptography the object store's and the registry's TLS use |
//!
//! # A message, understood
//!
//! ```
//! use twinpeak_core::survey::Survey;
//! use twinpeak_stream::message::{self, Message, Uri, UriError};
//!
//! let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml"))?;
//! let name = |band| format!("s3://night/frame-{band}-003918-3-0213.fits.bz2");
//! let text = format!(
//!     r#"{{"schema_version": "1.0", "image_id": "003918-3-0213",
//!         "bands": {{"u": "{}", "g": "{}", "r": "{}", "i": "{}", "z": "{}"}}}}"#,
//!     name('u'), name('g'), name('r'), name('i'), name('z'),
//! );
//! let Message::NewImage(image) = message::parse(text.as_bytes(), &survey)? else { panic!("it names a field") };
//! assert_eq!(image.image_id.as_str(), "003918-3-0213");
//!
//! let r = image.bands[2].as_ref().expect("it names five bands");
//! let Uri::S3 { bucket, key } = &r.image.file else { panic!("it lies in a bucket") };
//! assert_eq!((bucket.as_str(), key.as_str()), ("night", "frame-r-003918-3-0213.fits.bz2"));
//! assert!(matches!("https://night/frame.fits".parse::<Uri>(), Err(UriError::Scheme { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod intake;
pub mod kafka;
pub mod message;
pub mod object_store;
pub mod outflow;
pub mod registry;
mod tls;
