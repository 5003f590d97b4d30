//! The daemon's page: what it shows of this configuration, and where its pictures come from. In a folder of results all
//! is on disk, also what was there before the start; a daemon on a stream keeps the last pictures in memory.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context;

use super::check;
use twinpeak_config::assemble::{Assembly, fits_limits};
use twinpeak_config::exit::in_a_line;
use twinpeak_config::{Config, Source};
use twinpeak_core::causes::causes;
use twinpeak_core::drift::Found;
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::ModelIdentity;
use twinpeak_engine::ports::Probe;
use twinpeak_formats::fits;
use twinpeak_formats::picture::{Layer, Layers};
use twinpeak_store::{Past, past};
use twinpeak_telemetry::drift::Drift;
use twinpeak_telemetry::history::{End, Field, History, MOST_FIELDS, Results, shortened, unix_s};
use twinpeak_telemetry::page::{About, DriftRow, Page, ReplayAdvice};
use twinpeak_telemetry::thumbnails::ThumbnailCache;

/// Which model is in service, as the page shows it; a mutex, for it may change.
pub(super) type InService = Arc<Mutex<ModelIdentity>>;

/// The page, and who must watch the frames for it.
pub(super) fn assemble(
    assembly: &Assembly,
    config: &Config,
    in_service: &InService,
    drift: &Arc<Drift>,
) -> (Page, Vec<Arc<dyn Probe>>) {
    let models = &assembly.models;
    let of_rows = in_service.clone();
    let history = Arc::new(History::new(move || identity(&of_rows).version));
    let mut watchers: Vec<Arc<dyn Probe>> = vec![history.clone()];
    let mut page = Page::new(history.clone());
    let about = About {
        survey: models.survey.profile().name.clone(),
        reference_band: models.survey.profile().reference_band.clone(),
        source: match config.input.source {
            Source::Inbox => format!("folder {}", config.input.dir.display()),
            Source::Kafka => format!("broker {}", config.kafka.bootstrap_servers),
        },
        device: assembly.chosen.name.clone(),
        ..About::default()
    };
    let in_service = in_service.clone();
    page.about = Box::new(move || {
        let ModelIdentity { version, hash } = identity(&in_service);
        About { model_version: version, model_hash: hash, ..about.clone() }
    });
    let drift = drift.clone();
    page.drift = Box::new(move || drift.found().into_iter().map(drift_row).collect());
    // What is refused is not shown: it may be a URL with a password in it.
    let effective = check::describe(config).unwrap_or_else(|error| format!("# {}\n", in_a_line(&error)));
    page.configuration = Box::new(move || effective.clone());
    let replayed = config.clone();
    page.replay = Box::new(move |image| replay(&replayed, image));
    match config.input.source {
        Source::Inbox => {
            let (out, limits) = (config.output.dir.clone(), fits_limits(config));
            page.pictures =
                Box::new(move |image, layer| from_disk(&out, image, layer, &limits).map_err(|e| in_a_line(&e)));
            remember(&config.output.dir, history);
        }
        Source::Kafka => {
            let kept = Arc::new(ThumbnailCache::default());
            watchers.push(kept.clone());
            page.pictures = Box::new(move |image, layer| {
                if layer.of_scene() {
                    return Ok(None);
                }
                kept.get(image).map(|layers| layers.png(layer)).transpose().map_err(|e| e.to_string())
            });
        }
    }
    (page, watchers)
}

fn identity(in_service: &InService) -> ModelIdentity {
    in_service.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn drift_row(Found { input, window, distance, threshold }: Found) -> DriftRow {
    DriftRow { input: input.name().into(), window: window.into(), distance, threshold }
}

/// Reads what the folder of results holds, while the daemon begins its work.
fn remember(out: &Path, history: Arc<History>) {
    let out = out.to_owned();
    let read = move || match past(&out, MOST_FIELDS) {
        Ok(images) => history.remember(images.into_iter().map(|(at, image)| field(at, image)).collect()),
        Err(error) => tracing::warn!(error = %causes(&error), "history could not be loaded, the page starts empty"),
    };
    if let Err(error) = std::thread::Builder::new().name("history".into()).spawn(read) {
        tracing::warn!(error = %causes(&error), "history could not be loaded, the page starts empty");
    }
}

fn field(at: SystemTime, image: Past) -> Field {
    let ended_unix_s = unix_s(at);
    match image {
        Past::Done(done) => Field {
            image: done.image_id,
            ended_unix_s,
            midpoint_mjd_tai: done.midpoint_mjd_tai,
            timings_s: done.timings_s,
            model_version: done.model.version,
            end: End::Processed(Results {
                stars: done.stars,
                galaxies: done.galaxies,
                unclassified: done.unclassified,
                quality: Box::new(done.quality),
                reference: done.reference,
                device: done.device,
            }),
        },
        Past::Rejected(rejected) => Field {
            image: rejected.image_id,
            ended_unix_s,
            midpoint_mjd_tai: None,
            timings_s: Default::default(),
            model_version: rejected.model.version,
            end: End::Rejected(shortened(rejected.rejection)),
        },
    }
}

/// A layer of the picture of an image in the folder of results.
fn from_disk(out: &Path, image: &ImageId, layer: Layer, limits: &fits::Limits) -> anyhow::Result<Option<Vec<u8>>> {
    if layer.of_scene() {
        let Some(pair) = read(out, &format!("{image}.residual.png"), limits)? else { return Ok(None) };
        return Ok(Some(Layers::half(&pair, layer == Layer::Residual)?.png(layer)?));
    }
    let Some(quicklook) = read(out, &format!("{image}.quicklook.png"), limits)? else { return Ok(None) };
    let mut layers = Layers::of_quicklook(&quicklook)?;
    if layer.of_masks() {
        let Some(file) = read(out, &format!("{image}.masks.fits"), limits)? else { return Ok(None) };
        let masks = fits::read_masks(&file, limits)?;
        layers = layers.with_masks(&masks.segmentation, &masks.classes, &masks.bits)?;
    }
    Ok(Some(layers.png(layer)?))
}

fn read(folder: &Path, name: &str, limits: &fits::Limits) -> anyhow::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = File::open(folder.join(name)).and_then(|f| f.take(limits.max_file_bytes).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(format!("{name} cannot be read")),
    }
}

/// How a rejected image is done again.
fn replay(config: &Config, image: &ImageId) -> ReplayAdvice {
    // Whoever copies it is elsewhere.
    let from_anywhere = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match config.input.source {
        Source::Inbox => {
            let rejection = from_anywhere(&config.output.dir.join(format!("rejected/{image}.json")));
            let inbox = from_anywhere(&config.input.dir);
            ReplayAdvice {
                command: format!("rm {}", quoted(&rejection.to_string_lossy())),
                note: format!(
                    "Mend its files in {} first: without its rejection the daemon takes it again.",
                    inbox.display()
                ),
            }
        }
        Source::Kafka => {
            let mut command =
                format!("twinpeak replay --image={image} --kafka={}", quoted(&config.kafka.bootstrap_servers));
            if let Some(file) = &config.file {
                command += &format!(" --config={}", quoted(&from_anywhere(file).to_string_lossy()));
            }
            if config.kafka.topic_prefix != Config::default().kafka.topic_prefix {
                command += &format!(" --set kafka.topic_prefix={}", quoted(&config.kafka.topic_prefix));
            }
            ReplayAdvice { command, note: "Mend what was wrong first; then its message is sent again.".into() }
        }
    }
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:,=+@%".contains(c);
    let bare = !text.is_empty() && !text.starts_with('-') && text.chars().all(plain);
    if bare { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::frame::{Plane, mask};
    use twinpeak_core::outcome::Outcome;
    use twinpeak_core::testing::processed;
    use twinpeak_formats::picture;

    fn image() -> ImageId {
        ImageId::new("-f.1").unwrap()
    }

    #[test]
    fn a_command_is_one_for_any_shell_and_folder() {
        let mut config = Config::default();
        config.output.dir = "/night/it's out".into();
        assert_eq!(replay(&config, &image()).command, r"rm '/night/it'\''s out/rejected/-f.1.json'");
        config.input.source = Source::Kafka;
        config.kafka.bootstrap_servers = "a:1,b:2".into();
        assert_eq!(replay(&config, &image()).command, "twinpeak replay --image=-f.1 --kafka=a:1,b:2");
        config.kafka.topic_prefix = "two words".into();
        assert!(replay(&config, &image()).command.ends_with(" --set kafka.topic_prefix='two words'"));
        assert_eq!(quoted("-x; reboot"), "'-x; reboot'");
    }

    #[test]
    fn pictures_come_from_the_folder_of_results() {
        let out = tempfile::tempdir().unwrap();
        let limits = fits::Limits::default();
        let layer = |layer| from_disk(out.path(), &image(), layer, &limits);
        assert!(layer(Layer::Image).unwrap().is_none());
        let Outcome::Processed(mut products) = processed().outcome else { panic!("it is processed") };
        products.segmentation.set(3, 3, 1);
        products.bits = Plane::filled(10, 8, mask::SAT);
        let picture = picture::quicklook(&products.picture, &products.segmentation, &products.catalog.rows).unwrap();
        std::fs::write(out.path().join("-f.1.quicklook.png"), picture).unwrap();
        assert!(layer(Layer::Image).unwrap().is_some() && layer(Layer::Outlines).unwrap().is_none());
        std::fs::write(out.path().join("-f.1.masks.fits"), fits::masks(&products).unwrap()).unwrap();
        assert!(layer(Layer::Outlines).unwrap().is_some() && layer(Layer::Untrusted).unwrap().is_some());
        assert!(layer(Layer::Model).unwrap().is_none(), "it was not asked for");
        let [left, right] = [0.0, 50.0].map(|light| [(); 3].map(|()| Plane::filled(10, 8, light)));
        std::fs::write(out.path().join("-f.1.residual.png"), picture::pair(&left, &right).unwrap()).unwrap();
        let (model, residual) = (layer(Layer::Model).unwrap(), layer(Layer::Residual).unwrap());
        assert!(model.is_some() && residual.is_some() && model != residual);
        std::fs::write(out.path().join("-f.1.masks.fits"), "no masks").unwrap();
        assert!(layer(Layer::Classes).is_err() && layer(Layer::Thumbnail).unwrap().is_some());
    }
}
