//! Bytes to and from core types: what comes as files becomes frames, and what was found becomes files and records.
//!
//! # What it may know
//!
//! `twinpeak-core` alone. Everything here goes through memory and is a function of its arguments: no folder, no broker, no
//! object store, no time stamp, so the same catalogue gives the same bytes. Frames come from strangers, so reading is safe
//! code under limits: no file name is interpreted, and no allocation follows from a header's word alone.
//!
//! # The modules
//!
//! In the order in which a frame meets them:
//!
//! | module | what |
//! | --- | --- |
//! | [`fits`] | a frame's five files in; the catalogue's table, masks and simulated bands out |
//! | [`parquet`] | the catalogue as a table of columns |
//! | [`avro`] | rows, masks and the end of an image as messages, and their versioned schemas |
//! | [`picture`] | quicklook, layers for the page, charts |
//!
//! # A field, written and read back
//!
//! ```
//! use twinpeak_core::files::plain;
//! use twinpeak_core::survey::Survey;
//! use twinpeak_formats::fits::{self, Limits, NamedBytes};
//! use twinpeak_sim::{Spec, simulate};
//!
//! let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml"))?;
//! let made = simulate(&Spec { width: 128, height: 96, ..Spec::default() }, &survey)?.frame;
//!
//! let files = [0, 1, 2, 3, 4].map(|b| NamedBytes {
//!     name: format!("frame-{}-{}.fits", survey.band(b), made.id),
//!     bytes: fits::encode_band(&survey, &made, b).expect("the survey's names are ASCII"),
//! });
//! let read = fits::decode(&survey, &made.id, plain(files), &Limits::default()).map_err(|refused| refused.to_string())?;
//! assert_eq!(read.bands[2].pixels, made.bands[2].pixels);
//! assert_eq!(read.midpoint_mjd_tai.map(f64::round), made.midpoint_mjd_tai.map(f64::round));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod avro;
pub mod ccds;
pub mod fits;
pub mod parquet;
pub mod picture;
