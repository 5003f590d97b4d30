//! `twinpeak submit`: fields on disk or in a store become messages, a message a field.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context, anyhow};

use crate::cli::SubmitArgs;
use twinpeak_config::Config;
use twinpeak_config::assemble::{fields, start_log, survey};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::files::{BandFiles, FieldFiles, Place as CorePlace};
use twinpeak_core::frame::{FieldIds, ImageId};
use twinpeak_core::survey::Survey;
use twinpeak_engine::flow::Stop;
use twinpeak_nets::process;
use twinpeak_store::Fields;
use twinpeak_stream::kafka::Producer;
use twinpeak_stream::message::{NewImage, Uri, UriError};
use twinpeak_stream::object_store::ObjectStore;
use twinpeak_telemetry::progress::Count;
use twinpeak_telemetry::signals;

/// How long the producer is listened to at a time, so that a request to stop is seen.
const NAP: Duration = Duration::from_millis(20);

/// Runs it.
///
/// # Errors
/// A configuration or a broker that cannot be used; what cannot be sent is no error but a count in the exit code.
pub fn run(args: &SubmitArgs) -> anyhow::Result<Exit> {
    let config = args.load()?;
    let survey = Arc::new(survey(&config)?);
    let (place, fields) = night(args, &config, &survey)?;
    let mut submission = Submission::new(fields.len());
    start_log(&config, submission.count.bar());
    let producer = Producer::connect(&config.kafka, &survey.profile().name).context(Fault::Broker)?;
    let stop = Stop::default();
    let at_once = || -> Infallible { process::leave(Exit::Interrupted.code()) };
    signals::watch(stop.clone(), config.pipeline.drain_timeout_s.duration(), at_once)?;
    fields.notes().iter().for_each(|note| submission.count.println(note));

    let mut pace = Pace::new(args.rate);
    for (image, files) in fields {
        let message = match files {
            Ok(files) => place.message(image.clone(), &files, &survey).map_err(|error| error.to_string()),
            Err(rejection) => Err(rejection.message),
        };
        let Ok(message) = message.map_err(|why| submission.failed(image.as_str(), &why)) else { continue };
        let due = pace.next();
        while !stop.requested() && Instant::now() < due {
            submission.listen(&producer, due);
        }
        if stop.requested() {
            break;
        }
        match producer.send(image.as_str(), &message.to_json(&survey)) {
            Ok(()) => submission.pending += 1,
            Err(error) => submission.failed(image.as_str(), &error.to_string()),
        }
        submission.listen(&producer, Instant::now());
    }
    while submission.pending > 0 {
        submission.listen(&producer, Instant::now() + NAP);
    }
    Ok(submission.end(producer.topic()))
}

/// The fields that are named, on disk or by an `s3://` folder, and where the daemons find them.
fn night(args: &SubmitArgs, config: &Config, survey: &Arc<Survey>) -> anyhow::Result<(Place, Fields)> {
    let names: Vec<&str> = args.frames.iter().filter_map(|path| path.to_str()).collect();
    let Some(&folder) = names.iter().find(|name| name.starts_with("s3://")) else {
        let place = Place::new(args.s3_prefix.as_deref()).context("--s3-prefix").context(Fault::Config)?;
        return Ok((place, fields(config, survey, &args.frames, args.table.as_slice())));
    };
    if args.frames.len() > 1 || args.s3_prefix.is_some() || args.table.is_some() {
        return Err(anyhow!("{folder}: one folder of a store is named alone").context(Fault::Config));
    }
    let (bucket, folder) = in_store(folder).with_context(|| folder.to_owned()).context(Fault::Config)?;
    let remote = ObjectStore::new(&config.remote, config.input.max_file_bytes.get() as u64).context(Fault::Config)?;
    let keys = remote.list(&bucket, &folder).context("the night cannot be listed")?;
    Ok((Place::Bucket { bucket, folder, listed: true }, Fields::named(&keys, survey.clone())))
}

/// How it stands.
struct Submission {
    count: Count,
    of: usize,
    sent: u64,
    failed: u64,
    /// Given to the client; the broker has not said that it has them.
    pending: u64,
}

impl Submission {
    fn new(of: usize) -> Self {
        Self { count: Count::new(of as u64, "messages"), of, sent: 0, failed: 0, pending: 0 }
    }

    /// Hears what became of messages, for a moment, and no longer than until then.
    fn listen(&mut self, producer: &Producer, until: Instant) {
        for delivered in producer.done(until.min(Instant::now() + NAP)) {
            self.pending -= 1;
            match delivered.result {
                Ok(()) => {
                    self.sent += 1;
                    self.count.done();
                }
                Err(error) => self.failed(&delivered.key, &error.to_string()),
            }
        }
    }

    fn failed(&mut self, image: &str, why: &str) {
        self.failed += 1;
        self.count.done();
        self.count.println(&format!("{image}: not sent: {why}"));
    }

    fn end(self, topic: &str) -> Exit {
        self.count.end();
        println!("{} messages sent to {topic}, {} fields not sent", self.sent, self.of as u64 - self.sent);
        if self.sent + self.failed < self.of as u64 {
            return Exit::Interrupted;
        }
        Exit::of_counts(self.sent, self.failed)
    }
}

/// When each message is due: so many a second from the first on. A late one does not delay those after it.
struct Pace {
    since: Instant,
    rate: Option<f64>,
    messages: u32,
}

impl Pace {
    fn new(rate: Option<f64>) -> Self {
        Self { since: Instant::now(), rate, messages: 0 }
    }

    fn next(&mut self) -> Instant {
        let Some(rate) = self.rate else { return self.since };
        let after_s = f64::from(self.messages) / rate;
        self.messages += 1;
        // So slow a rate that no clock reaches the next: a day is as good.
        self.since + Duration::try_from_secs_f64(after_s).unwrap_or(Duration::from_secs(86400))
    }
}

/// Where the daemons find the files.
enum Place {
    /// Where they are here.
    Here,
    /// In a bucket, below a folder or not.
    Bucket {
        bucket: String,
        folder: String,
        /// That they are there is known.
        listed: bool,
    },
}

/// The bucket of a folder's URI, and with what the keys in it begin.
fn in_store(folder: &str) -> Result<(String, String), UriError> {
    // Any name below it shows whether it can be one; S3 knows no folders, so the bucket itself is one too.
    match format!("{}/x", folder.trim_end_matches('/')).parse()? {
        Uri::S3 { bucket, key } => Ok((bucket, key.strip_suffix('x').unwrap_or_default().to_owned())),
        Uri::File(_) => Err(UriError::Scheme { scheme: "file".into() }),
    }
}

/// Why a field has no message.
#[derive(Debug, thiserror::Error)]
enum Unsendable {
    #[error("{file:?} cannot be used: {source}")]
    File { file: PathBuf, source: io::Error },
    #[error("{file:?} has no URI: {source}")]
    Uri { file: PathBuf, source: UriError },
}

impl Place {
    fn new(prefix: Option<&str>) -> Result<Self, UriError> {
        let Some(prefix) = prefix else { return Ok(Self::Here) };
        let (bucket, folder) = in_store(prefix)?;
        Ok(Self::Bucket { bucket, folder, listed: false })
    }

    fn message(&self, image: ImageId, files: &FieldFiles, survey: &Survey) -> Result<NewImage, Unsendable> {
        let name = |file: &Path| survey.file_name(file.file_name()?.to_str()?);
        let reference = files[survey.reference()].as_ref();
        let ids = reference.and_then(|band| name(&band.image.file)).map_or_else(FieldIds::default, |name| name.ids);
        let place = |place: &CorePlace| -> Result<CorePlace<Uri>, Unsendable> {
            Ok(CorePlace { file: self.uri(&place.file)?, hdu: place.hdu.clone() })
        };
        let mut bands = FieldFiles::default();
        for (b, files) in files.iter().enumerate() {
            let Some(files) = files else { continue };
            let mask = files.mask.as_ref().map(place).transpose()?;
            let weight = files.weight.as_ref().map(place).transpose()?;
            bands[b] = Some(BandFiles { image: place(&files.image)?, mask, weight });
        }
        // When it was observed the daemons find in the files.
        Ok(NewImage { image_id: image, observed_mjd_tai: None, bands, ids })
    }

    fn uri(&self, file: &Path) -> Result<Uri, Unsendable> {
        let unusable = |source| Unsendable::File { file: file.to_owned(), source };
        let listed = matches!(self, Self::Bucket { listed: true, .. });
        if !listed && !fs::metadata(file).map_err(unusable)?.is_file() {
            return Err(unusable(io::Error::other("it is no regular file")));
        }
        let name = file.file_name().unwrap_or_default();
        let uri = match self {
            Self::Here => {
                // Its folder by its real name, but not itself: a link of another name is another field's file.
                let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Uri::file(&fs::canonicalize(folder).map_err(unusable)?.join(name))
            }
            Self::Bucket { bucket, folder, .. } => Uri::s3(bucket, &format!("{folder}{}", name.to_string_lossy())),
        };
        uri.map_err(|source| Unsendable::Uri { file: file.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_stream::message::{self, Message};

    fn sdss() -> Survey {
        Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap()
    }

    /// The messages of a folder, as the daemons understand them.
    fn messages(folder: &Path, place: &Place) -> Vec<Result<NewImage, String>> {
        let survey = Arc::new(sdss());
        let reported = |(image, files): (ImageId, Result<FieldFiles, _>)| {
            let files = files.map_err(|rejection: Box<twinpeak_core::outcome::Rejection>| rejection.message)?;
            let message = place.message(image, &files, &survey).map_err(|e| e.to_string())?;
            match message::parse(&message.to_json(&survey), &survey).unwrap() {
                Message::NewImage(parsed) => Ok(*parsed),
                other => panic!("{other:?}"),
            }
        };
        let headers: twinpeak_store::HeaderReader = Arc::new(|_| unreachable!("names say it"));
        Fields::new(&[folder.to_owned()], &[], survey.clone(), &headers).map(reported).collect()
    }

    fn image(message: &NewImage, band: usize) -> Uri {
        message.bands[band].as_ref().unwrap().image.file.clone()
    }

    fn field(folder: &Path, bands: &[&str]) {
        for band in bands {
            fs::write(folder.join(format!("frame-{band}-000752-3-0213.fits")), "").unwrap();
        }
    }

    #[test]
    fn messages_name_the_files_wherever_they_were_named_from() {
        let outer = tempfile::tempdir().unwrap();
        let (real, link) = (outer.path().join("a night #1"), outer.path().join("link"));
        fs::create_dir(&real).unwrap();
        field(&real, &["u", "g", "r", "i", "z"]);
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let real = fs::canonicalize(real).unwrap();
        for folder in [link.clone(), link.join("."), link.join("../link")] {
            let message = messages(&folder, &Place::Here).remove(0).unwrap();
            assert_eq!(image(&message, 0), Uri::File(real.join("frame-u-000752-3-0213.fits")));
            assert_eq!(
                (message.image_id.as_str(), message.ids.run, message.ids.field),
                ("000752-3-0213", Some(752), Some(213))
            );
        }
        for (prefix, key) in
            [("s3://night/", ""), ("s3://night", ""), ("s3://night/a/b", "a/b/"), ("s3://night/a%20b//", "a b/")]
        {
            let message = messages(&real, &Place::new(Some(prefix)).unwrap()).remove(0).unwrap();
            assert_eq!(image(&message, 4), Uri::s3("night", &format!("{key}frame-z-000752-3-0213.fits")).unwrap());
        }
        for bad in ["file:///night", "s3://", "night", "s3://night/../x", "s3://night/a?b"] {
            assert!(Place::new(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_listed_night_has_the_messages_of_its_names() {
        let key = |band: &str| format!("n 1/frame-{band}-000752-3-0213.fits");
        let mut keys: Vec<String> = ["u", "g", "r", "i", "z"].map(key).to_vec();
        keys.extend(["n 1/readme.txt".to_owned(), "n 1/frame-u-000752-3-0214.fits".to_owned()]);
        let survey = Arc::new(sdss());
        let fields = Fields::named(&keys, survey.clone());
        assert_eq!((fields.len(), fields.passed_over()), (2, 1));
        let place = Place::Bucket { bucket: "night".into(), folder: "n 1/".into(), listed: true };
        let all: Vec<_> = fields.map(|(image, files)| Ok((files?, image))).collect::<Vec<Result<_, Box<_>>>>();
        let (files, id) = all[0].as_ref().unwrap();
        let message = place.message(id.clone(), files, &survey).unwrap();
        assert_eq!(image(&message, 1), Uri::s3("night", &key("g")).unwrap());
        let incomplete: &twinpeak_core::outcome::Rejection = all[1].as_ref().unwrap_err();
        assert!(incomplete.message.contains("missing"), "{}", incomplete.message);
    }

    #[test]
    fn a_field_that_no_daemon_could_read_has_no_message() {
        let folder = tempfile::tempdir().unwrap();
        field(folder.path(), &["u", "g", "r", "i"]);
        let missing = "band z of image 000752-3-0213 is missing: files whose names have its id were looked for";
        assert_eq!(messages(folder.path(), &Place::Here), [Err(missing.to_owned())]);
        fs::create_dir(folder.path().join("frame-z-000752-3-0213.fits")).unwrap();
        let reported = messages(folder.path(), &Place::Here).remove(0).unwrap_err();
        assert!(reported.contains("frame-z") && reported.contains("no regular file"), "{reported}");
    }

    #[test]
    fn messages_are_due_at_an_even_pace() {
        let mut pace = Pace::new(Some(8.0));
        let since = pace.since;
        let due: Vec<_> = (0..10_001).map(|_| pace.next() - since).collect();
        assert_eq!(
            (due[0], due[1], due[10_000]),
            (Duration::ZERO, Duration::from_millis(125), Duration::from_secs(1250))
        );
        let mut unbound = Pace::new(None);
        assert_eq!((0..5).map(|_| unbound.next()).collect::<Vec<_>>(), [unbound.since; 5]);
        assert!(Pace::new(Some(f64::MIN_POSITIVE)).next() > since);
    }
}
