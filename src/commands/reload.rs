//! Another model bundle while the daemon works: loaded and tried beside the one in service, and taken between two
//! frames.
//!
//! Asked for by SIGHUP, or by a change of what lies at `model.bundle` (a folder, or a link to one: moving the link is
//! the way that cannot be seen half done). A bundle is tried as at the start: each thread's nets answer the bundle's
//! own probe, whose right answers are in the manifest. One that fails is reported and refused, and the one in service
//! stays.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::time::Duration;

use twinpeak_config::Config;
use twinpeak_config::assemble::{Assembly, assemble};
use twinpeak_config::exit::in_a_line;
use twinpeak_engine::flow::Stop;
use twinpeak_nets::bundle::{CLASSIFIER, MANIFEST, SEGMENTER};
use twinpeak_telemetry::notify;

/// How often the bundle is looked at. It is loaded once it has looked the same twice.
const LOOK: Duration = Duration::from_secs(2);

/// What became of a request to reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The bundle will be taken.
    Taken,
    /// It cannot be used.
    Refused,
    /// It is the one in service.
    Same,
}

/// Loads bundles on a thread of its own, for as long as the process lives.
pub struct Reloader {
    request: Sender<()>,
    loaded: Receiver<Assembly>,
}

impl Reloader {
    /// Watches the bundle of `config`; `in_service` is the hash of the one that is used now. For one that is good
    /// `stop` is asked for a reload, after which [`Reloader::next`] gives it. `report` receives what became of each.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(
        config: &Config,
        in_service: &str,
        stop: Stop,
        report: impl Fn(Reloaded) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (request, requests) = channel();
        let (to_engine, loaded) = sync_channel(0);
        let mut watch = Watch {
            config: config.clone(),
            in_service: in_service.to_owned(),
            known: signature(&config.model.bundle),
            seen: None,
        };
        let body = move || {
            loop {
                let asked = match requests.recv_timeout(LOOK) {
                    Ok(()) => true,
                    Err(RecvTimeoutError::Timeout) => watch.changed(),
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                if !asked {
                    continue;
                }
                notify::reloading();
                let (outcome, assembly) = watch.load();
                report(outcome);
                notify::reloaded(&format!("model {}: {outcome:?}", watch.config.model.bundle.display()));
                if let Some(assembly) = assembly {
                    // One reload for each bundle, and one bundle for each reload: it is handed over, not left to lie.
                    stop.reload();
                    if to_engine.send(assembly).is_err() {
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new().name("reload".into()).spawn(body)?;
        Ok(Self { request, loaded })
    }

    /// Asks for a look now, from anywhere.
    pub fn request(&self) -> impl Fn() + Send + Sync + 'static {
        let request = self.request.clone();
        move || _ = request.send(()) // nobody listens any more when the daemon is about to end
    }

    /// The bundle for which the reload was asked.
    pub fn next(&self) -> Option<Assembly> {
        self.loaded.recv().ok()
    }
}

/// What is known of the bundle's folder.
struct Watch {
    config: Config,
    /// Hash of the bundle that is used.
    in_service: String,
    /// How the folder looked when it was last loaded or refused.
    known: Signature,
    /// How it looked a moment ago, if otherwise.
    seen: Option<Signature>,
}

impl Watch {
    /// Whether the bundle is another than the known one, and has been so for two looks.
    fn changed(&mut self) -> bool {
        let now = signature(&self.config.model.bundle);
        if now == self.known {
            self.seen = None;
            return false;
        }
        let unchanged = self.seen.as_ref() == Some(&now);
        self.seen = Some(now);
        unchanged
    }

    fn load(&mut self) -> (Reloaded, Option<Assembly>) {
        self.known = signature(&self.config.model.bundle);
        self.seen = None;
        let bundle = self.config.model.bundle.display().to_string();
        match assemble(&self.config) {
            Ok(found) if found.models.identity.hash == self.in_service => {
                tracing::info!(bundle, "model unchanged");
                (Reloaded::Same, None)
            }
            Ok(found) => {
                let identity = &found.models.identity;
                tracing::info!(bundle, model = identity.version, hash = identity.hash, "model loaded");
                self.in_service = identity.hash.clone();
                (Reloaded::Taken, Some(found))
            }
            Err(error) => {
                tracing::error!(bundle, error = in_a_line(&error), "model refused, the one in service stays");
                (Reloaded::Refused, None)
            }
        }
    }
}

/// Of each file: which it is, how long, how old; links are followed. A bundle of other bytes looks otherwise.
type Signature = Vec<Option<(u64, u64, i64, i64)>>;

fn signature(bundle: &Path) -> Signature {
    let look = |name: &&str| {
        let found = std::fs::metadata(bundle.join(name)).ok()?;
        Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    };
    [MANIFEST, SEGMENTER, CLASSIFIER].iter().map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_changes_is_loaded_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("bundle");
        std::fs::create_dir(&bundle).unwrap();
        let config = {
            let mut config = Config::default();
            config.model.bundle = bundle.clone();
            config
        };
        let mut watch = Watch { config, in_service: "h".into(), known: signature(&bundle), seen: None };
        assert!(!watch.changed());
        std::fs::write(bundle.join("manifest.toml"), "a").unwrap();
        assert!(!watch.changed(), "it may still be written");
        std::fs::write(bundle.join("manifest.toml"), "ab").unwrap();
        assert!(!watch.changed(), "it was");
        assert!(watch.changed());
        let (outcome, assembly) = watch.load();
        assert!(outcome == Reloaded::Refused && assembly.is_none(), "that was no bundle");
        assert!(!watch.changed() && !watch.changed(), "what was refused is not tried again unchanged");
        std::fs::remove_dir_all(&bundle).unwrap();
        assert!(!watch.changed() && watch.changed(), "a link that leads nowhere is reported too");
    }
}
