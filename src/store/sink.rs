//! A folder of results: an image's files appear together, its record last.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::error::StoreError;
use super::ledger::REJECTED;
use super::{DoneFile, DoneRecord, Lease, Ledger, ModelName, RejectedRecord, file_set};
use twinpeak_core::catalog::{self, Catalog, Column};
use twinpeak_core::frame::PerBand;
use twinpeak_core::hex::hex;
use twinpeak_core::outcome::{BandQuality, Finished, FramePsf, Outcome, Products, Rejection};
use twinpeak_core::scene::SceneImages;
use twinpeak_core::survey::Survey;
use twinpeak_engine::ports::{CatalogSink, PortError, PublishOutcome};
use twinpeak_formats::parquet::parquet_table;
use twinpeak_formats::picture;

/// Ends of the names of files that are there on request alone; a band's PSF is another.
const AVRO: &str = "catalog.avro";
const RESIDUAL: &str = "residual.fits";
const RESIDUAL_PICTURE: &str = "residual.png";

/// End of the name of a band's PSF.
fn psf_of(band: &str) -> String {
    format!("psf-{band}.fits")
}

/// Bytes of a file, or why there are none.
type Made = Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

/// Makes one file.
type Maker<'a> = Box<dyn Fn() -> Made + Sync + 'a>;

/// The writers of FITS and Avro files, given from outside so that this folder names none of their libraries.
pub struct Encoders {
    /// The catalogue as a FITS binary table.
    #[allow(clippy::type_complexity, reason = "it is the signature of one function")]
    pub catalog_table: Box<dyn Fn(&Catalog, &[Column], &Survey, &PerBand<BandQuality>) -> Made + Send + Sync>,
    /// The masks as FITS image extensions.
    pub masks: Box<dyn Fn(&Products) -> Made + Send + Sync>,
    /// Models and what they leave, as FITS image extensions.
    pub scene: SceneFile,
    /// The PSF of a band, by its index.
    pub psf: PsfFile,
    /// The catalogue as an Avro container, where it is wanted.
    pub catalog_avro: Option<CatalogAvro>,
}

/// Writes a frame's models and what they leave.
pub type SceneFile = Box<dyn Fn(&Products, &SceneImages) -> Made + Send + Sync>;

/// Writes the PSF of one band.
pub type PsfFile = Box<dyn Fn(&Products, &FramePsf, usize) -> Made + Send + Sync>;

/// Writes a catalogue as an Avro object container file.
pub type CatalogAvro = Box<dyn Fn(&Catalog) -> Made + Send + Sync>;

/// Writes results to the folder that a [`Ledger`] owns.
pub struct DirectorySink {
    ledger: Ledger,
    survey: Survey,
    columns: Vec<Column>,
    encoders: Encoders,
    model: ModelName,
}

/// What an outcome becomes: bytes by file name, and the record that names them.
pub enum Files {
    None,
    Processed { files: Vec<(String, Vec<u8>)>, record: Box<DoneRecord> },
    Rejected(RejectedRecord),
}

impl DirectorySink {
    /// `model` is the bundle that rejections name.
    pub fn new(ledger: Ledger, survey: Survey, model: ModelName, encoders: Encoders) -> Self {
        let columns = catalog::columns(&survey);
        Self { ledger, survey, columns, encoders, model }
    }

    /// From now on rejections name this bundle.
    pub fn set_model(&mut self, model: ModelName) {
        self.model = model;
    }

    /// All files, each made in parallel to the others, and their record.
    fn files(&self, products: &Products) -> Result<Files, StoreError> {
        let image = &products.catalog.provenance.image_id;
        let catalog = &products.catalog;
        let mut makers: Vec<(String, Maker)> = vec![
            (
                "catalog.fits".into(),
                Box::new(|| (self.encoders.catalog_table)(catalog, &self.columns, &self.survey, &products.quality)),
            ),
            (
                "catalog.parquet".into(),
                Box::new(|| parquet_table(catalog, &self.columns, &products.quality).map_err(Into::into)),
            ),
            ("masks.fits".into(), Box::new(|| (self.encoders.masks)(products))),
            (
                "quicklook.png".into(),
                Box::new(|| {
                    picture::quicklook(&products.picture, &products.segmentation, &catalog.rows).map_err(Into::into)
                }),
            ),
        ];
        if let Some(avro) = &self.encoders.catalog_avro {
            makers.push((AVRO.into(), Box::new(|| avro(catalog))));
        }
        if let Some(images) = &products.requested.scene {
            makers.push((RESIDUAL.into(), Box::new(|| (self.encoders.scene)(products, images))));
            makers.push((
                RESIDUAL_PICTURE.into(),
                Box::new(|| picture::pair(&images.model_picture(), &images.residual_picture()).map_err(Into::into)),
            ));
        }
        if let Some(psf) = &products.requested.psf {
            for b in self.survey.planes().filter(|&b| psf.present[b]) {
                makers.push((psf_of(self.survey.band(b)), Box::new(move || (self.encoders.psf)(products, psf, b))));
            }
        }
        let made: Result<Vec<_>, StoreError> = makers
            .par_iter()
            .map(|(kind, make)| {
                let name = format!("{image}.{kind}");
                let bytes = make().map_err(|source| StoreError::Encode { file: name.clone(), source })?;
                let sha256 = hex(&Sha256::digest(&bytes));
                Ok((DoneFile { name: name.clone(), bytes: bytes.len(), sha256 }, (name, bytes)))
            })
            .collect();
        let (described, files): (Vec<_>, _) = made?.into_iter().unzip();
        Ok(Files::Processed { files, record: Box::new(DoneRecord::new(products, described)) })
    }

    /// Writes the files and the record aside, shows the files, then the record.
    fn publish_set(&self, image: &str, files: &[(String, Vec<u8>)], record: &DoneRecord) -> Result<(), StoreError> {
        let done = format!("{image}.done.json");
        let text = json(&done, record)?;
        let all: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .chain([(done.as_str(), text.as_slice())])
            .collect();
        let folder = self.ledger.folder();
        let mut set = file_set::Set::write(folder, &all)?;
        // Where an earlier set is replaced, its record must not vouch for a mixture of both.
        file_set::remove_file(folder, &done)?;
        for kind in self.on_request() {
            let name = format!("{image}.{kind}");
            if files.iter().all(|(made, _)| *made != name) {
                file_set::remove_file(folder, &name)?;
            }
        }
        set.show(files.len())?;
        set.show(1)?;
        file_set::remove_file(&folder.join(REJECTED), &format!("{image}.json"))
    }

    /// Ends of the names of all files that are there on request alone.
    fn on_request(&self) -> Vec<String> {
        let psfs = self.survey.planes().map(|b| psf_of(self.survey.band(b)));
        [AVRO, RESIDUAL, RESIDUAL_PICTURE].map(str::to_owned).into_iter().chain(psfs).collect()
    }

    fn publish_rejection(&self, record: &RejectedRecord) -> Result<(), StoreError> {
        let (folder, name) = (self.ledger.folder().join(REJECTED), format!("{}.json", record.image_id));
        // Somebody may have tidied it away; the folder of results itself is never made anew.
        match std::fs::create_dir(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(StoreError::of("make the folder", &folder, self.ledger.folder(), e));
            }
            _ => {}
        }
        file_set::write_file(&folder, &name, &json(&name, record)?)
    }

    fn rejected(&self, image: &str, rejection: Rejection) -> RejectedRecord {
        RejectedRecord::new(image, rejection, self.model.clone())
    }
}

impl CatalogSink for DirectorySink {
    /// An image of a list of files is nobody's.
    type Receipt = Option<Lease>;
    type Encoded = Files;

    fn encode(&self, finished: &Finished, _: &Option<Lease>) -> Result<Files, PortError> {
        Ok(match &finished.outcome {
            Outcome::Processed(products) => self.files(products)?,
            Outcome::Rejected(rejection) => {
                Files::Rejected(self.rejected(finished.image_id.as_str(), rejection.clone()))
            }
            Outcome::Nothing => Files::None,
        })
    }

    fn publish(&self, finished: &Finished, files: &Files, claim: &Option<Lease>) -> Result<PublishOutcome, PortError> {
        match files {
            Files::Processed { files, record } => {
                let record = DoneRecord { timings_s: finished.timings_s.clone(), ..(**record).clone() };
                self.publish_set(finished.image_id.as_str(), files, &record)?;
            }
            Files::Rejected(record) => self.publish_rejection(record)?,
            Files::None => {}
        }
        if let Some(claim) = claim {
            claim.release()?;
        }
        Ok(PublishOutcome::Accepted)
    }
}

/// Indented, so that a person can read it; keys in their structs' order, so always the same bytes.
fn json(name: &str, record: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
    let mut text = serde_json::to_vec_pretty(record)
        .map_err(|e| StoreError::Encode { file: name.to_owned(), source: Box::new(e) })?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::testing::{encoders, model};
    use twinpeak_core::outcome::{Reason, Stage};
    use twinpeak_core::testing::{finished, id, products, requested, sdss};

    const IMAGE: &str = "003918-3-0213";

    fn sink(folder: &Path) -> DirectorySink {
        DirectorySink::new(Ledger::open(folder).unwrap(), sdss(), model(), encoders())
    }

    fn rejection() -> Rejection {
        Rejection {
            reason: Reason::Truncated,
            stage: Stage::Prepare,
            file: Some("frame-u [1]\n.fits".into()),
            message: "cut short".into(),
            advice: "copy it again".into(),
        }
    }

    fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file());
        files.map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&p).unwrap())).collect()
    }

    fn publish(sink: &DirectorySink, finished: &Finished, receipt: Option<Lease>) -> Result<PublishOutcome, PortError> {
        sink.publish(finished, &sink.encode(finished, &receipt)?, &receipt)
    }

    #[test]
    fn a_set_is_whole_and_its_record_describes_it() {
        let dir = tempfile::tempdir().unwrap();
        let sink = sink(dir.path());
        let claim = sink.ledger.claim(&id(IMAGE)).unwrap().unwrap();
        publish(&sink, &finished(IMAGE, Outcome::Processed(Box::new(products(10)))), Some(claim)).unwrap();
        assert_eq!((sink.ledger.in_work(), sink.ledger.died(&id(IMAGE))), (0, 0), "the claim is released");
        let files = contents(dir.path());
        let record: DoneRecord = serde_json::from_slice(&files[&format!("{IMAGE}.done.json")]).unwrap();
        assert_eq!((record.rows, record.stars, record.galaxies, record.unclassified), (10, 2, 3, 5));
        assert_eq!(record.timings_s, BTreeMap::from([(Stage::Segment, 0.5)]));
        assert_eq!(files.len(), 5, "{:?}", files.keys());
        for file in &record.files {
            let bytes = &files[&file.name];
            assert_eq!((file.bytes, file.sha256.as_str()), (bytes.len(), hex(&Sha256::digest(bytes)).as_str()));
        }
    }

    #[test]
    fn avro_is_one_of_the_set_where_it_is_wanted_and_none_is_left_over_where_not() {
        let dir = tempfile::tempdir().unwrap();
        let outcome = finished(IMAGE, Outcome::Processed(Box::new(products(10))));
        let with = Encoders {
            catalog_avro: Some(Box::new(|catalog| Ok(format!("{} rows", catalog.rows.len()).into_bytes()))),
            ..encoders()
        };
        let sink_with = DirectorySink::new(Ledger::open(dir.path()).unwrap(), sdss(), model(), with);
        publish(&sink_with, &outcome, None).unwrap();
        let files = contents(dir.path());
        let record: DoneRecord = serde_json::from_slice(&files[&format!("{IMAGE}.done.json")]).unwrap();
        assert_eq!(files[&format!("{IMAGE}.catalog.avro")], b"10 rows");
        assert_eq!((files.len(), record.files.last().unwrap().name.as_str()), (6, "003918-3-0213.catalog.avro"));
        drop(sink_with);
        publish(&sink(dir.path()), &outcome, None).unwrap();
        assert_eq!(contents(dir.path()).len(), 5, "what the record does not name is not there");
    }

    #[test]
    fn what_is_made_on_request_is_one_of_the_set_and_none_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let sink = sink(dir.path());
        let asked = Products { requested: requested(), ..products(10) };
        publish(&sink, &finished(IMAGE, Outcome::Processed(Box::new(asked))), None).unwrap();
        let files = contents(dir.path());
        let record: DoneRecord = serde_json::from_slice(&files[&format!("{IMAGE}.done.json")]).unwrap();
        let named: Vec<&str> = record.files.iter().filter_map(|f| f.name.strip_prefix(&format!("{IMAGE}."))).collect();
        // The last band was not taken.
        let more = ["residual.fits", "residual.png", "psf-u.fits", "psf-g.fits", "psf-r.fits", "psf-i.fits"];
        assert_eq!(named[4..], more);
        assert_eq!(files[&format!("{IMAGE}.psf-g.fits")], b"0.396 of band 1");
        publish(&sink, &finished(IMAGE, Outcome::Processed(Box::new(products(10)))), None).unwrap();
        assert_eq!(contents(dir.path()).len(), 5, "what the record does not name is not there");
    }

    #[test]
    fn the_same_products_give_the_same_bytes() {
        let made = [(); 2].map(|()| {
            let dir = tempfile::tempdir().unwrap();
            publish(&sink(dir.path()), &finished(IMAGE, Outcome::Processed(Box::new(products(10)))), None).unwrap();
            contents(dir.path())
        });
        assert!(made[0] == made[1]);
    }

    #[test]
    fn a_rejection_says_why_and_a_later_success_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let sink = sink(dir.path());
        publish(&sink, &finished(IMAGE, Outcome::Rejected(rejection())), None).unwrap();
        let rejected = contents(&dir.path().join(REJECTED));
        let record: RejectedRecord = serde_json::from_slice(&rejected[&format!("{IMAGE}.json")]).unwrap();
        assert_eq!((record.rejection, record.model, record.image_id.as_str()), (rejection(), model(), IMAGE));
        assert!(contents(dir.path()).is_empty());
        fs::remove_dir_all(dir.path().join(REJECTED)).unwrap();
        publish(&sink, &finished("other", Outcome::Rejected(rejection())), None).unwrap();
        assert_eq!(contents(&dir.path().join(REJECTED)).len(), 1, "a folder tidied away comes back");
        publish(&sink, &finished(IMAGE, Outcome::Rejected(rejection())), None).unwrap();
        publish(&sink, &finished(IMAGE, Outcome::Processed(Box::new(products(1)))), None).unwrap();
        assert_eq!(contents(&dir.path().join(REJECTED)).keys().collect::<Vec<_>>(), ["other.json"]);
    }

    #[test]
    fn a_failure_keeps_nothing_and_gives_the_image_back() {
        let dir = tempfile::tempdir().unwrap();
        let sink = sink(dir.path());
        std::os::unix::fs::symlink("/dev/full", dir.path().join(format!(".tmp-{IMAGE}.masks.fits"))).unwrap();
        let outcome = finished(IMAGE, Outcome::Processed(Box::new(products(10))));
        let claim = sink.ledger.claim(&id(IMAGE)).unwrap().unwrap();
        let error = publish(&sink, &outcome, Some(claim)).unwrap_err();
        assert!(matches!(error, PortError::Retry(_)) && error.to_string().contains("masks.fits"), "{error}");
        assert!(contents(dir.path()).is_empty() && sink.ledger.in_work() == 0 && sink.ledger.died(&id(IMAGE)) == 0);
        let claim = sink.ledger.claim(&id(IMAGE)).unwrap().unwrap();
        publish(&sink, &outcome, Some(claim)).unwrap();
        assert_eq!(contents(dir.path()).len(), 5);
    }

    #[test]
    fn a_vanished_folder_ends_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("out");
        let sink = sink(&folder);
        fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
        let error = publish(&sink, &finished(IMAGE, Outcome::Processed(Box::new(products(1)))), None).unwrap_err();
        assert!(matches!(error, PortError::Fatal(_)) && error.to_string().contains("vanished"), "{error}");
        assert!(!folder.exists(), "it is not made anew: its disk may come back");
    }

    #[test]
    fn a_process_that_dies_between_two_files_leaves_an_unfinished_image() {
        let dir = tempfile::tempdir().unwrap();
        let whole = tempfile::tempdir().unwrap();
        let outcome = finished(IMAGE, Outcome::Processed(Box::new(products(10))));
        publish(&sink(whole.path()), &outcome, None).unwrap();
        let files = contents(whole.path());
        // Names in order of appearance; the record is last.
        let mut names: Vec<_> = files.keys().cloned().collect();
        names.sort_by_key(|n| n.ends_with("done.json"));
        for shown in 0..names.len() {
            for (i, name) in names.iter().enumerate() {
                let at = if i < shown { name.clone() } else { format!(".tmp-{name}") };
                fs::write(dir.path().join(at), &files[name][..if i < shown { files[name].len() } else { 3 }]).unwrap();
            }
            let sink = sink(dir.path());
            assert!(sink.ledger.finished().unwrap().is_empty(), "{shown} files shown");
            let claim = sink.ledger.claim(&id(IMAGE)).unwrap().unwrap();
            publish(&sink, &outcome, Some(claim)).unwrap();
            assert!(contents(dir.path()) == files);
            assert!(sink.ledger.claim(&id(IMAGE)).unwrap().is_none());
            fs::remove_file(dir.path().join(format!("{IMAGE}.done.json"))).unwrap();
        }
    }
}
