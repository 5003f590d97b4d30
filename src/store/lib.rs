//! Files in, files out: a watched folder or a list of files as source, a folder of results as sink.
//!
//! What a folder of results holds, for each image: `<id>.catalog.fits`, `<id>.catalog.parquet`,
//! `<id>.masks.fits`, `<id>.quicklook.png`, on request `<id>.catalog.avro`, `<id>.residual.fits` with its `.png` and
//! `<id>.psf-<band>.fits`, and last `<id>.done.json`, whose presence says that the set is whole; or
//! `rejected/<id>.json`. `.twinpeak/` beside them is the [`Ledger`]: who owns the folder, and which images are being
//! worked on.
//!
//! Every file appears whole or not at all (see [`write_file`]). The same input gives the same bytes; the one
//! exception is `timings_s` in `<id>.done.json`.
//!
//! # What it may know
//!
//! `twinpeak-core`, `twinpeak-engine` (its ports, which are implemented here) and `twinpeak-formats` (what files are
//! made of). It never knows a broker, an object store, nets or the configuration: how frames are read and tables are
//! written comes in as closures ([`Loader`], [`Encoders`]).
//!
//! # The parts
//!
//! In the order in which a frame meets them:
//!
//! | file | what |
//! | --- | --- |
//! | `field` | the files of one field, band by band, and what is wrong with them |
//! | `groups`, `table`, `sky` | from files to fields: by names, by a table, by what headers say of sky and time |
//! | `watch`, `quiet`, `inbox` | when a field that arrives file by file is ready; [`Inbox`], the watched folder as a source |
//! | `files` | [`FileList`], the frames that somebody names as a source |
//! | `ledger` | [`Ledger`] and [`Lease`]: an image is claimed on disk before the work begins |
//! | `sink`, `record` | [`DirectorySink`]: a set of files appears together, its [`DoneRecord`] last |
//! | `file_set` | [`write_file`]: written aside, synced, renamed |
//! | `night`, `past` | what a folder says of its images, read back |
//!
//! # An image, begun and finished
//!
//! ```
//! use twinpeak_core::frame::ImageId;
//! use twinpeak_store::{Ledger, write_file};
//!
//! let folder = tempfile::tempdir()?;
//! let ledger = Ledger::open(folder.path())?;
//! assert!(Ledger::open(folder.path()).is_err(), "a folder has one owner");
//!
//! let image = ImageId::new("003918-3-0213")?;
//! let lease = ledger.claim(&image)?.ok_or("it is done or in work")?;
//! assert!(ledger.works_on(&image) && ledger.claim(&image)?.is_none());
//!
//! write_file(folder.path(), "003918-3-0213.done.json", b"{}")?;
//! lease.release()?;
//! assert!(ledger.finished()?.contains("003918-3-0213"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod field;
mod file_set;
mod files;
mod groups;
mod inbox;
mod ledger;
mod night;
mod past;
mod quiet;
mod record;
mod sink;
mod sky;
mod table;
#[cfg(test)]
mod testing;
mod watch;

use std::path::Path;
use std::sync::Arc;

pub use error::StoreError;
pub use file_set::write_file;
pub use files::{Fields, FileList};
pub use inbox::Inbox;
pub use ledger::{Lease, Ledger, MAX_ATTEMPTS};
pub use night::Night;
pub use past::{Past, past};
pub use record::{DoneFile, DoneRecord, ModelName, RejectedRecord};
pub use sink::{CatalogAvro, DirectorySink, Encoders};
pub use watch::WatchTimeouts;

use twinpeak_core::files::{FieldFiles, Sighting};
use twinpeak_core::frame::{Frame, ImageId};
use twinpeak_core::outcome::Rejection;

/// Says what a file's headers say of the field that it belongs to: one answer for the file, or one for each CCD in it.
/// It is asked where the survey's file names do not say it ([`Survey::groups_by_headers`]).
///
/// [`Survey::groups_by_headers`]: twinpeak_core::survey::Survey::groups_by_headers
pub type HeaderReader = Arc<dyn Fn(&Path) -> Result<Vec<Sighting>, Rejection> + Send + Sync>;

/// Reads and decodes the files of an image.
pub type Loader = Arc<dyn Fn(&ImageId, &FieldFiles) -> Result<Frame, Rejection> + Send + Sync>;
