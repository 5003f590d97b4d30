//! Connections: a bounded number at a time, and none for ever, so that whoever may reach the address cannot take the file
//! descriptors that frames need.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

/// So many at a time. More wait in the system's queue.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// A request's head comes within this, also the next one's where a connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// No connection lasts longer: whoever takes an answer a byte at a time.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(600);
/// A client that keeps its connection open, or a check that hangs, does not delay the program's end by more than this.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// After the system gave no connection (it has no descriptors left), it is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Serves `app` until `stopped`, then finishes what was begun.
pub(super) async fn serve(listener: TcpListener, app: Router, stopped: oneshot::Receiver<()>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let begun = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut stopped = pin!(stopped);
    loop {
        let next = async { (room.clone().acquire_owned().await, listener.accept().await) };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            _ = &mut stopped => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(app.clone());
                let served = begun.watch(http.serve_connection(TokioIo::new(stream), service));
                tokio::spawn(async move {
                    let _ = timeout(CONNECTION_TIMEOUT, served).await; // what became of it is the client's affair
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "connection could not be accepted");
                sleep(AGAIN).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(CLOSE_TIMEOUT, begun.shutdown()).await;
}
