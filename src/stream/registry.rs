//! A Confluent-compatible schema registry: it gets the three schemas and gives the ids that messages carry.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use schema_registry_converter::blocking::schema_registry::{SrSettings, post_schema};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, SchemaType, SuppliedSchema};
use url::Url;

use twinpeak_core::survey::Survey;
use twinpeak_formats::avro::{Framing, RecordSchema, Schemas};

/// Where the registry is, and who asks.
#[derive(Clone, Debug)]
pub struct Registry {
    /// `http://` or `https://`, without credentials.
    pub url: Url,
    /// Credentials for its requests.
    pub credentials: Credentials,
    /// A request that takes longer has failed.
    pub timeout: Duration,
}

/// Who asks. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Anybody may.
    None,
    /// HTTP Basic: at Confluent, an API key and its secret.
    Basic {
        /// Name of the user, or id of the API key.
        user: String,
        /// Password, or secret of the API key.
        password: String,
    },
    /// Token for HTTP Bearer.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(..)",
            Self::Token(_) => "Token(..)",
        })
    }
}

/// Registers the schemas under their topics' names (`<topic>-value`), where they are not yet, and returns the
/// framing with their ids. Blocks; not to be called from asynchronous code.
///
/// # Errors
/// [`RegistryError`]
pub fn register(
    registry: &Registry,
    schemas: &Schemas,
    prefix: &str,
    survey: &Survey,
) -> Result<Framing, RegistryError> {
    let url = registry.url.as_str().trim_end_matches('/').to_owned();
    if !registry.url.username().is_empty() || registry.url.password().is_some() {
        return Err(RegistryError::Credentials);
    }
    crate::tls::choose_provider();
    let mut settings = SrSettings::new_builder(url.clone());
    settings.set_timeout(registry.timeout);
    match &registry.credentials {
        Credentials::None => {}
        Credentials::Basic { user, password } => {
            settings.set_basic_authorization(user, Some(password));
        }
        Credentials::Token(token) => {
            settings.set_token_authorization(token);
        }
    }
    let settings = settings.build().map_err(|e| RegistryError::Unreachable { url: url.clone(), problem: words(&e) })?;
    let id = |schema: &RecordSchema| {
        let subject = format!("{}-value", schema.topic(prefix, survey));
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.text().to_owned());
        let posted = post_schema(&settings, subject.clone(), supplied);
        posted.map(|registered| registered.id).map_err(|e| refusal(&e, &url, subject, schema))
    };
    Ok(Framing::Confluent {
        source_id: id(&schemas.source)?,
        mask_id: id(&schemas.mask)?,
        image_id: id(&schemas.image)?,
    })
}

/// Why there are no ids.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The URL holds a user or password.
    #[error("the schema registry's URL holds credentials: give them apart from it")]
    Credentials,
    /// No answer, or none in time.
    #[error("the schema registry {url} does not answer: {problem}")]
    Unreachable {
        /// URL of the registry.
        url: String,
        /// In the library's words.
        problem: String,
    },
    /// The subject holds a schema with which this one is not compatible.
    #[error(
        "the schema registry {url} holds another schema as {subject}, and version {version} is not compatible with it: \
         {problem}; if this program is older than the one that registered it, update it"
    )]
    Incompatible {
        /// URL of the registry.
        url: String,
        /// Subject under which the schema is registered: `<topic>-value`.
        subject: String,
        /// Version of our schema, MAJOR.MINOR.
        version: &'static str,
        /// In the registry's words.
        problem: String,
    },
    /// Any other refusal: credentials, rights, a schema that it does not understand.
    #[error("the schema registry {url} refuses the schema of {subject}: {problem}")]
    Refused {
        /// URL of the registry.
        url: String,
        /// Subject under which the schema is registered: `<topic>-value`.
        subject: String,
        /// In the registry's words.
        problem: String,
    },
}

impl RegistryError {
    /// Whether the same may succeed after a while.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

fn refusal(error: &SRCError, url: &str, subject: String, schema: &RecordSchema) -> RegistryError {
    let (url, problem) = (url.to_owned(), words(error));
    // Confluent's codes are the HTTP status, or that and two digits: 409, 40901.
    let code = error.source().and_then(|e| e.downcast_ref::<RawError>()).map(|e| e.error_code);
    match code {
        _ if error.retriable => RegistryError::Unreachable { url, problem },
        Some(409 | 40900..=40999) => RegistryError::Incompatible { url, subject, version: schema.version(), problem },
        _ => RegistryError::Refused { url, subject, problem },
    }
}

/// The library's message and its causes, in one line.
fn words(error: &SRCError) -> String {
    let mut line = error.error.clone();
    let mut cause = error.source();
    while let Some(e) = cause {
        line = format!("{line}: {e}");
        cause = e.source();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use serde_json::{Value, json};

    use super::*;
    use twinpeak_core::testing::sdss;

    /// A request as the registry saw it.
    struct Asked {
        line: String,
        headers: HashMap<String, String>,
        body: Value,
    }

    /// Serves three requests at most, each answered by `answer`, and gives what was asked.
    fn served(
        credentials: Credentials,
        answer: impl Fn(usize, &Asked) -> (u16, Value) + Send + 'static,
    ) -> (Result<Framing, RegistryError>, Vec<Asked>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let mut seen = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                let Some(asked) = asked(&stream) else { break };
                let (status, body) = answer(seen.len(), &asked);
                let body = body.to_string();
                let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}", body.len());
                write!(&stream, "{head}\r\ncontent-type: application/json\r\n\r\n{body}").unwrap();
                seen.push(asked);
            }
            seen
        });
        let at = Registry { url: Url::parse(&url).unwrap(), credentials, timeout: Duration::from_secs(20) };
        let got = register(&at, &Schemas::new(&sdss()).unwrap(), "twinpeak", &sdss());
        // A connection without a request ends the server.
        drop(TcpStream::connect(url.trim_start_matches("http://").trim_end_matches('/')).unwrap());
        (got, server.join().unwrap())
    }

    fn asked(stream: &TcpStream) -> Option<Asked> {
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut text = String::new();
            reader.read_line(&mut text).map(|_| text.trim_end().to_owned()).unwrap_or_default()
        };
        let first = Some(line()).filter(|l| !l.is_empty())?;
        let headers: HashMap<_, _> = std::iter::from_fn(|| {
            let text = line();
            text.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        })
        .collect();
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        Some(Asked { line: first, headers, body: serde_json::from_slice(&body).unwrap() })
    }

    #[test]
    fn each_topic_s_schema_gets_its_id() {
        let (framing, asked) = served(Credentials::None, |n, _| (200, json!({"id": 40 + n})));
        assert_eq!(framing.unwrap(), Framing::Confluent { source_id: 40, mask_id: 41, image_id: 42 });
        let lines: Vec<_> = asked.iter().map(|a| a.line.as_str()).collect();
        let line = |topic| format!("POST /subjects/twinpeak.sdss.{topic}-v1-value/versions HTTP/1.1");
        assert_eq!(lines, [line("sources"), line("masks"), line("images")]);
        for (asked, schema) in asked.iter().zip(Schemas::new(&sdss()).unwrap().all()) {
            assert_eq!((&asked.body["schema"], &asked.body["schemaType"]), (&schema.text().into(), &"AVRO".into()));
            assert!(!asked.headers.contains_key("authorization"));
        }
    }

    #[test]
    fn credentials_are_sent_and_never_told() {
        let basic = Credentials::Basic { user: "key".into(), password: "s3cret".into() };
        for (credentials, header) in
            [(basic, "Basic a2V5OnMzY3JldA=="), (Credentials::Token("s3cret".into()), "Bearer s3cret")]
        {
            assert!(!format!("{credentials:?}").contains("s3cret"));
            let refused = json!({"error_code": 40101, "message": "who are you?"});
            let (got, asked) = served(credentials, move |_, _| (401, refused.clone()));
            let error = got.unwrap_err();
            assert_eq!((asked.len(), asked[0].headers["authorization"].as_str()), (1, header));
            assert!(matches!(error, RegistryError::Refused { .. }) && !error.retryable(), "{error}");
            let reported = format!("{error} {error:?}");
            assert!(
                reported.contains("who are you?") && !reported.contains("s3cret") && !reported.contains("a2V5"),
                "{reported}"
            );
        }
        let url = Url::parse("http://me:s3cret@127.0.0.1:1/").unwrap();
        let at = Registry { url, credentials: Credentials::None, timeout: Duration::from_secs(1) };
        let error = register(&at, &Schemas::new(&sdss()).unwrap(), "twinpeak", &sdss()).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn a_refusal_says_what_is_not_compatible() {
        for code in [409, 40901] {
            let (got, _) = served(Credentials::None, move |n, _| match n {
                0 => (200, json!({"id": 1})),
                _ => (409, json!({"error_code": code, "message": "READER_FIELD_MISSING_DEFAULT_VALUE: ra"})),
            });
            let error = got.unwrap_err();
            assert!(matches!(error, RegistryError::Incompatible { .. }) && !error.retryable(), "{error}");
            let reported = error.to_string();
            for part in ["twinpeak.sdss.masks-v1-value", "version 1.0", "MISSING_DEFAULT_VALUE: ra"] {
                assert!(reported.contains(part) && !reported.contains('\n'), "{reported}");
            }
        }
    }

    #[test]
    fn a_registry_that_is_down_or_silent_may_come_back() {
        let schemas = Schemas::new(&sdss()).unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for address in [silent.local_addr().unwrap(), closed] {
            let at = Registry {
                url: Url::parse(&format!("http://{address}")).unwrap(),
                credentials: Credentials::None,
                timeout: Duration::from_millis(300),
            };
            let error = register(&at, &schemas, "twinpeak", &sdss()).unwrap_err();
            assert!(error.retryable() && error.to_string().contains(&address.to_string()), "{error}");
        }
        let (got, _) = served(Credentials::None, |_, _| (503, json!({"error_code": 50301, "message": "starting"})));
        assert!(got.unwrap_err().retryable());
    }
}
