//! A broker that wants TLS and a password: who may come in does, who may not is given the reason, waits, and shows no
//! password to anybody.

use std::fs;
use std::process::Command;

use crate::common::broker::{Broker, Sent};
use crate::common::http::get;
use crate::common::program::command;
use crate::common::site::{LONGEST_RECORD, Site, readiness};
use crate::common::until;

/// The secured broker, the right password, and the settings by which it is used.
struct Secured {
    broker: &'static Broker,
    password: String,
}

impl Secured {
    fn new() -> Self {
        let broker = Broker::shared(&["--secure"]);
        Self { broker, password: broker.file("password") }
    }

    /// The way in, but for the password.
    fn user(&self) -> Vec<String> {
        vec![
            "kafka.security=sasl_ssl".into(),
            "kafka.sasl_mechanism=SCRAM-SHA-512".into(),
            "kafka.username=twinpeak".into(),
            format!("kafka.ca_file={}", self.path("ca.pem")),
        ]
    }

    /// The way in.
    fn settings(&self) -> Vec<String> {
        [self.user(), vec![format!("kafka.password_file={}", self.path("password"))]].concat()
    }

    /// The address where TLS and a password are wanted.
    fn servers(&self) -> String {
        self.broker.file("bootstrap-secure")
    }

    fn path(&self, name: &str) -> String {
        self.broker.folder().join(name).display().to_string()
    }

    /// A daemon of these settings cannot come in: it says so, in words that tell why, and lives.
    #[track_caller]
    fn assert_refused(&self, who: &str, servers: String, settings: &[String], says: &str) {
        let site = Site::bare(self.broker, who).by(servers);
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let (mut daemon, address) = site.start(&settings);
        let (mut ready, mut words) = (false, String::new());
        until("the reason", || {
            (ready, words) = readiness(&address);
            ready || words.contains(says)
        });
        assert!(!ready && !words.contains('\n'), "{who}: {words}");
        until("the reason in the log", || {
            daemon.told().lines().any(|l| l.contains("broker connection failed") && l.contains(says))
        });
        assert_eq!(get(&address, "/healthz").0, 200, "{who}");
        assert!(!daemon.ended(), "{who}");
        let metrics = get(&address, "/metrics").1;
        assert!(metrics.contains("twinpeak_kafka_errors_total{"), "{who}: {metrics}");
        daemon.signal("-TERM");
        let ended = daemon.wait();
        ended.assert_code(0);
        for text in [&ended.told, &metrics, &words] {
            assert!(!text.contains(&self.password), "{who}: {text}");
        }
    }
}

/// A garbage message goes through: the daemon can read, write and commit.
fn assert_works(site: &Site, daemon: Command) -> String {
    site.send_all(&[Sent { key: "k", payload: Some(b"garbage"), ..Sent::default() }]);
    let mut daemon = crate::common::program::start(daemon);
    let address = daemon.ready("http");
    until("readiness", || readiness(&address).0);
    site.until_visible(0, 1);
    let metrics = get(&address, "/metrics").1;
    daemon.signal("-TERM");
    let ended = daemon.wait();
    ended.assert_code(0);
    assert!(site.is_done());
    [ended.told, metrics].concat()
}

#[test]
fn the_right_password_and_authority_come_in() {
    let secured = Secured::new();
    let site = Site::new(secured.broker, "right", 1, LONGEST_RECORD).by(secured.servers());
    let settings = [secured.settings(), vec!["log.level=trace".into()]].concat();
    let told = assert_works(&site, site.daemon(&settings.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(!told.contains(&secured.password));
}

#[test]
fn a_password_may_come_by_the_environment_and_is_shown_nowhere() {
    let secured = Secured::new();
    let site = Site::new(secured.broker, "environment", 1, LONGEST_RECORD).by(secured.servers());
    let user = secured.user();
    let mut daemon = site.daemon(&user.iter().map(String::as_str).collect::<Vec<_>>());
    daemon.env("TWINPEAK__KAFKA__PASSWORD", &secured.password);
    assert!(!assert_works(&site, daemon).contains(&secured.password));

    let mut check = command(&["check", "config/twinpeak.toml"]);
    let shown = check.env("TWINPEAK__KAFKA__PASSWORD", &secured.password).output().unwrap();
    let shown = [shown.stdout, shown.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(shown.contains("password = \"(secret)\"") && !shown.contains(&secured.password), "{shown}");

    // Where it cannot be understood it is not repeated either.
    let file = secured.broker.folder().join("damaged.toml");
    for value in ["[\"27182818\"]", "27182818", "x27182818", "\"27182818"] {
        fs::write(&file, format!("[kafka]\npassword = {value}\n")).unwrap();
        let refused = command(&["check", file.to_str().unwrap()]).output().unwrap();
        let words = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(5), "{value}: {words}");
        assert!(words.contains("damaged.toml") && !words.contains("27182818"), "{value}: {words}");
    }
}

#[test]
fn a_wrong_password_is_refused() {
    let secured = Secured::new();
    let wrong = secured.path("wrong-password");
    fs::write(&wrong, format!("{}x\n", secured.password)).unwrap();
    let settings = [secured.user(), vec![format!("kafka.password_file={wrong}")]].concat();
    secured.assert_refused("password", secured.servers(), &settings, "invalid credentials");
}

#[test]
fn a_strangers_certificate_is_not_trusted() {
    let secured = Secured::new();
    let settings = [secured.settings(), vec![format!("kafka.ca_file={}", secured.path("other-ca.pem"))]].concat();
    secured.assert_refused("authority", secured.servers(), &settings, "certificate verify failed");
}

#[test]
fn a_client_without_tls_is_told_what_it_speaks_to() {
    let secured = Secured::new();
    secured.assert_refused("plain", secured.servers(), &[], "does kafka.security fit this listener?");
}

#[test]
fn a_client_with_tls_is_told_what_it_speaks_to() {
    let secured = Secured::new();
    let plain = secured.broker.bootstrap.clone();
    secured.assert_refused("tls", plain, &secured.settings(), "connecting to a PLAINTEXT broker listener?");
}

#[test]
fn a_password_file_that_is_not_there_is_named_at_the_start() {
    let secured = Secured::new();
    let site = Site::bare(secured.broker, "no-file");
    let settings = [secured.user(), vec!["kafka.password_file=/no/such".into()]].concat();
    let ended =
        crate::common::program::start(site.daemon(&settings.iter().map(String::as_str).collect::<Vec<_>>())).wait();
    assert!(ended.code == Some(9) && ended.last_words().contains("kafka.password_file \"/no/such\""), "{ended:?}");
}
