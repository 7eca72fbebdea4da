//! Connections, with bounds: how many there are, how long one lives, how long its request may be. Each takes one request.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

/// How many are served at once; more wait in the system's queue.
const AT_ONCE: usize = 64;
/// A request's head has to be there after this.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// All of it, answer included: what is asked for here takes milliseconds.
const ALL_WITHIN: Duration = Duration::from_secs(30);
/// The longest head, in bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// Serves until it is dropped, and all connections with it.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                connections.spawn(async move {
                    if timeout(ALL_WITHIN, answer(stream, router)).await.is_err() {
                        debug!("a request for metrics or status was not over within {} s", ALL_WITHIN.as_secs());
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely.
                warn!("a connection for metrics or status could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = served.await {
        debug!("a request for metrics or status was not answered: {error}");
    }
}
