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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: lifeboat\r\n\r\n";

    /// In one thread with paused time: what waits for a limit reaches it at once.
    async fn begin() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = get(|| async { tokio::time::sleep(2 * ALL_WITHIN).await });
        tokio::spawn(serve(listener, Router::new().route("/", get(|| async { "here" })).route("/slow", slow)));
        address
    }

    async fn answer_to(address: std::net::SocketAddr, sent: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn each_connection_has_one_answer() {
        let answer = answer_to(begin().await, &REQUEST.repeat(2)).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_or_does_not_end_is_not_waited_for() {
        let (address, began) = (begin().await, tokio::time::Instant::now());
        assert!(!answer_to(address, b"GET / HT").await.contains("200"));
        assert!((HEAD_WITHIN..2 * HEAD_WITHIN).contains(&began.elapsed()), "{:?}", began.elapsed());
        let endless = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'x'; 2 * LONGEST_HEAD]].concat();
        let answer = answer_to(address, &endless).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_too_long_is_given_up() {
        let (address, began) = (begin().await, tokio::time::Instant::now());
        assert_eq!(answer_to(address, b"GET /slow HTTP/1.1\r\nHost: lifeboat\r\n\r\n").await, "");
        assert!((ALL_WITHIN..2 * ALL_WITHIN).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_say_nothing_keep_others_waiting_for_a_few_seconds_only() {
        let (address, mut silent) = (begin().await, Vec::new());
        for _ in 0..AT_ONCE {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let began = tokio::time::Instant::now();
        let answer = answer_to(address, REQUEST).await;
        assert!(answer.ends_with("here"), "{answer}");
        assert!((HEAD_WITHIN..2 * HEAD_WITHIN).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}
