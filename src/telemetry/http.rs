//! `/metrics`, `/healthz`, `/readyz` and the page on a thread of their own. The runtime lives and ends here; nothing
//! else of the program is asynchronous.

mod connections;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{Semaphore, oneshot};

use super::health::Check;
use super::metrics::Metrics;
use super::page::{self, Page};

/// A check that has not answered for so long counts as failed: its disk or device hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The checks are asked so often for the metrics.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// Why metrics and health cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is taken, not ours, or not allowed.
    #[error("http.bind: cannot listen on {address}: {problem}")]
    Bind {
        /// Address from the configuration.
        address: SocketAddr,
        /// The system's error.
        problem: std::io::Error,
    },
    /// No thread or no runtime to serve from.
    #[error("cannot start the thread that serves http: {0}")]
    Start(std::io::Error),
}

/// Serves until it is dropped.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    metrics: Arc<Metrics>,
    checks: Vec<Check>,
    /// Its disk's free space is a metric.
    written: PathBuf,
    /// One round of checks at a time, so that checks that hang do not pile up threads.
    round: Arc<Semaphore>,
}

impl Server {
    /// Listens on `bind` (port 0: any free one) before it returns. `written` is the folder whose disk is watched.
    ///
    /// # Errors
    /// [`HttpError`]
    pub fn start(
        bind: SocketAddr,
        metrics: Arc<Metrics>,
        checks: Vec<Check>,
        written: &Path,
        page: Arc<Page>,
    ) -> Result<Self, HttpError> {
        let failed = |problem| HttpError::Bind { address: bind, problem };
        let listener = TcpListener::bind(bind).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(HttpError::Start)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(failed)?
        };
        let (stop, stopped) = oneshot::channel();
        let written = written.to_owned();
        let shared = Arc::new(Shared { metrics, checks, written, round: Arc::new(Semaphore::new(1)) });
        let app = router(shared.clone()).merge(page::router(page));
        runtime.spawn(measure(shared));
        let thread = std::thread::Builder::new().name("http".into()).spawn(move || {
            runtime.block_on(connections::serve(listener, app, stopped));
            // A check in work removes what it wrote; one that hangs must not keep us.
            runtime.shutdown_timeout(connections::CLOSE_TIMEOUT);
        });
        Ok(Self { address, stop: Some(stop), thread: Some(thread.map_err(HttpError::Start)?) })
    }

    /// Address that it listens on; the port is real where 0 was configured.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take()); // which is the request
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has nothing to say that matters now
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { json(StatusCode::OK, &serde_json::json!({"status": "ok"})) }))
        .route("/readyz", get(ready))
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], shared.metrics.expose()).into_response()
}

/// Asks the checks for the metrics, again and again.
async fn measure(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(CHECK_INTERVAL);
    loop {
        tick.tick().await;
        let _ = ask(&shared).await; // it has updated the metrics
    }
}

/// One round of checks; what they say goes to the metrics too, with the space that is left.
async fn ask(shared: &Arc<Shared>) -> Vec<(&'static str, Result<(), String>)> {
    let answers = tokio::time::timeout(ANSWER_TIMEOUT, async {
        let permit = shared.round.clone().acquire_owned().await.ok()?;
        let asked = shared.clone();
        let round = tokio::task::spawn_blocking(move || {
            let _permit = permit; // held until the checks answered, even if nobody waits for them any more
            if let Ok(disk) = rustix::fs::statvfs(&asked.written) {
                asked.metrics.free(disk.f_bavail * disk.f_frsize);
            }
            asked.checks.iter().map(|c| (c.name, (c.question)())).collect::<Vec<_>>()
        });
        round.await.ok()
    });
    let answers = match answers.await {
        Ok(Some(answers)) => answers,
        Ok(None) => vec![("checks", Err("a check panicked".into()))],
        Err(_) => vec![("checks", Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())))],
    };
    for check in &shared.checks {
        let answer = answers.iter().find(|(name, _)| *name == check.name);
        shared.metrics.checked(check.name, answer.is_some_and(|(_, answer)| answer.is_ok()));
    }
    answers
}

/// Every check's answer: 200 where all are well, 503 with the reasons otherwise.
async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let answers = ask(&shared).await;
    let well = answers.iter().all(|(_, answer)| answer.is_ok());
    let text = |answer: Result<(), String>| answer.err().unwrap_or_else(|| "ok".into());
    let checks: serde_json::Map<_, _> =
        answers.into_iter().map(|(name, answer)| (name.to_owned(), text(answer).into())).collect();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if well { "ready" } else { "not ready" };
    json(status, &serde_json::json!({"status": word, "checks": checks}))
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::history::History;
    use crate::metrics::ServiceInfo;
    use twinpeak_engine::ports::{Event, Probe};

    fn page() -> Arc<Page> {
        Arc::new(Page::new(Arc::new(History::new(String::new))))
    }

    fn start(checks: Vec<Check>) -> (Server, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new(&ServiceInfo::default()));
        (Server::start(([127, 0, 0, 1], 0).into(), metrics.clone(), checks, Path::new("/"), page()).unwrap(), metrics)
    }

    fn get(server: &Server, path: &str) -> String {
        let mut client = TcpStream::connect(server.address()).unwrap();
        write!(client, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn metrics_and_health_are_served() {
        let (server, metrics) = start(vec![]);
        metrics.on(&Event::Permits { used: 2, of: 3 });
        let answer = get(&server, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("text/plain; version=0.0.4"), "{answer}");
        assert!(answer.contains("\ntwinpeak_permits_used_frames 2\n"), "{answer}");
        assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200"));
        assert!(get(&server, "/elsewhere").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn readiness_follows_its_checks_and_names_the_failing_one() {
        let alive = Arc::new(AtomicBool::new(false));
        let seen = alive.clone();
        let check = Check::new("device", move || {
            seen.load(Ordering::SeqCst).then_some(()).ok_or_else(|| "cuda:0 gave no answer".into())
        });
        let (server, _) = start(vec![Check::new("other", || Ok(())), check]);
        let answer = get(&server, "/readyz");
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body["checks"], serde_json::json!({"device": "cuda:0 gave no answer", "other": "ok"}));
        let metrics = get(&server, "/metrics");
        assert!(metrics.contains("twinpeak_check_ok{check=\"device\"} 0\n"), "{metrics}");
        alive.store(true, Ordering::SeqCst);
        assert!(get(&server, "/readyz").starts_with("HTTP/1.1 200"));
        let metrics = get(&server, "/metrics");
        assert!(metrics.contains("twinpeak_check_ok{check=\"device\"} 1\n"), "{metrics}");
        let free = metrics.lines().find_map(|l| l.strip_prefix("twinpeak_output_free_bytes "));
        assert!(free.is_some_and(|bytes| bytes.parse::<u64>().unwrap() > 0), "{metrics}");
    }

    /// Descriptors must be left for frames; and whoever has none of its connections open is served once one ends.
    #[test]
    fn many_open_connections_take_a_bounded_number_of_descriptors() {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let (server, _) = start(vec![]);
        let before = open();
        let many = 4 * connections::CONNECTIONS_MAX;
        let clients: Vec<_> = (0..many).map_while(|_| TcpStream::connect(server.address()).ok()).collect();
        std::thread::sleep(Duration::from_millis(300)); // as long as it may take it to accept
        // Ours are open, and its own.
        assert!(open() - before <= clients.len() + 2 * connections::CONNECTIONS_MAX, "{} {before}", open());
        drop(clients);
        assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn a_panicking_check_is_not_ready() {
        let (server, _) = start(vec![Check::new("bad", || panic!("on purpose"))]);
        assert!(get(&server, "/readyz").starts_with("HTTP/1.1 503"));
        assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn a_taken_address_is_named() {
        let (server, metrics) = start(vec![]);
        let error = Server::start(server.address(), metrics, vec![], Path::new("/"), page()).err().unwrap().to_string();
        assert!(error.starts_with(&format!("http.bind: cannot listen on {}: ", server.address())), "{error}");
    }

    #[test]
    fn it_ends_though_a_client_holds_on() {
        let (server, _) = start(vec![]);
        let address = server.address();
        let mut client = TcpStream::connect(address).unwrap();
        write!(client, "GET /healthz HTTP/1.1\r\n").unwrap(); // and never the rest
        drop(server);
        assert!(TcpStream::connect(address).is_err());
    }
}
