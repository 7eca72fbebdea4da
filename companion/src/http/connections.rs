//! Connections, with bounds: how many there are, how long one lives, how long its request may be. Each takes one request.
//!
//! A connection is accepted at once, always. Until its request is there it has a place among those that wait; then it has
//! one among requests for health, or among all others. In each of the three the oldest makes room for a newcomer, so that
//! neither idle connections nor readers of a slow page keep a probe out, whatever address they come from: behind a source
//! NAT all have the same.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use lifeboat_core::outage::OutageLog;
use lifeboat_core::time::Moment;
use lifeboat_runtime::lock::Locked;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, warn};

use super::answers::HEALTH;
use crate::metrics::{HttpMetrics, LeftUnanswered};
use crate::per_minute::PerMinute;
use crate::places::{Place, Places};
use crate::settings::http::{MOST_HEALTH, MOST_PAGES, MOST_WAITING};

/// A request's head has to be there after this.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// All of it, answer included: what is asked for here takes milliseconds.
const ALL_WITHIN: Duration = Duration::from_secs(30);
/// The longest head, in bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// What the connections of a listener have in common.
struct Door {
    setting: &'static str,
    waiting: Places,
    health: Places,
    pages: Places,
    metrics: HttpMetrics,
    made_room: Mutex<PerMinute>,
}

/// Serves on the address that `setting` names until it is dropped, and all connections with it.
pub(super) async fn serve(setting: &'static str, listener: TcpListener, router: Router, metrics: HttpMetrics) {
    let door = Arc::new(Door {
        setting,
        waiting: Places::new(MOST_WAITING),
        health: Places::new(MOST_HEALTH),
        pages: Places::new(MOST_PAGES),
        metrics,
        made_room: Mutex::default(),
    });
    let mut connections = JoinSet::new();
    let (began, outage) = (Instant::now(), OutageLog::default());

    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(lasted) = outage.works(Moment::after_start(began.elapsed())) {
                    info!("connections for metrics or status are accepted again, after {lasted}");
                }
                connections.spawn(door.clone().take(stream, peer, router.clone()).in_current_span());
                // What has just come is looked at before the next one is.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                // Out of file descriptors, most likely.
                if let Some(lasted) = outage.failed("accept", Moment::after_start(began.elapsed())) {
                    warn!("a connection for metrics or status could not be accepted{lasted}: {error}");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Door {
    fn take(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, router: Router) -> impl Future<Output = ()> + use<> {
        let given_up = CancellationToken::new();
        // Taken now, in the order in which they came.
        let place = Arc::new(Mutex::new(Some(self.waiting.take(&given_up))));

        async move {
            tokio::select! {
                served = timeout(ALL_WITHIN, answer(&self, stream, router, &place, &given_up)) => match served {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) if error.is_timeout() => self.metrics.left_unanswered(LeftUnanswered::NoRequest),
                    Ok(Err(error)) => debug!(%peer, "a request for metrics or status was not answered: {error}"),
                    Err(_) => self.metrics.left_unanswered(LeftUnanswered::TooSlow),
                },
                () = given_up.cancelled() => {
                    self.metrics.left_unanswered(LeftUnanswered::MadeRoom);
                    self.log_made_room(peer);
                }
            }
        }
    }

    fn place(&self, path: &str, given_up: &CancellationToken) -> Place {
        if HEALTH.contains(&path) { self.health.take(given_up) } else { self.pages.take(given_up) }
    }

    fn log_made_room(&self, peer: SocketAddr) {
        let counted = self.made_room.locked().count();
        if let Some(connections) = counted {
            let plural = if connections == 1 { "" } else { "s" };
            warn!(
                "{connections} connection{plural} to {} made room for others without an answer, the last from {peer}: more are open \
                 at the same time than any probe or scraper needs. Health, metrics and status go on; a firewall or a \
                 NetworkPolicy keeps strangers away from this port",
                self.setting
            );
        }
    }
}

async fn answer(
    door: &Door,
    stream: TcpStream,
    router: Router,
    place: &Arc<Mutex<Option<Place>>>,
    given_up: &CancellationToken,
) -> Result<(), hyper::Error> {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        // It waits no longer: the place among those that do is free before it takes another.
        let mut place = place.locked();
        *place = None;
        *place = Some(door.place(request.uri().path(), given_up));
        drop(place);
        router.call(request)
    });

    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: lifeboat\r\n\r\n";
    const HEALTH_REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: lifeboat\r\n\r\n";

    /// In one thread with paused time: what waits for a limit reaches it at once.
    async fn begin() -> std::net::SocketAddr {
        begin_counted().await.0
    }

    async fn begin_counted() -> (std::net::SocketAddr, HttpMetrics) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = get(|| async { tokio::time::sleep(2 * ALL_WITHIN).await });
        let router = Router::new().route("/", get(|| async { "here" })).route("/slow", slow);
        let (router, metrics) = (router.route("/healthz", get(|| async { "well" })), HttpMetrics::default());
        tokio::spawn(serve("LIFEBOAT_HTTP_LISTEN", listener, router, metrics.clone()));
        (address, metrics)
    }

    fn counted(metrics: &HttpMetrics) -> [u64; 3] {
        [LeftUnanswered::MadeRoom, LeftUnanswered::NoRequest, LeftUnanswered::TooSlow].map(|why| metrics.count(why))
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
    async fn two_thousand_idle_connections_delay_no_answer_and_each_is_counted() {
        let ((address, metrics), mut idle) = (begin_counted().await, Vec::new());
        let began = tokio::time::Instant::now();
        for count in 1..=2000 {
            idle.push(idle_connection(address).await);
            if count % 250 == 0 {
                assert!(answer_to(address, HEALTH_REQUEST).await.ends_with("well"));
                assert!(answer_to(address, REQUEST).await.ends_with("here"));
            }
        }
        assert!(began.elapsed() < HEAD_WITHIN, "it waited {:?} for idle ones to be late", began.elapsed());

        // The newest of them still have their time, and end when it is over.
        let mut last = idle.pop().unwrap();
        assert_eq!(last.read(&mut [0]).await.unwrap(), 0);
        assert!((HEAD_WITHIN..2 * HEAD_WITHIN).contains(&began.elapsed()), "{:?}", began.elapsed());
        let [made_room, no_request, too_slow] = counted(&metrics);
        assert_eq!((made_room + no_request, too_slow), (2000, 0));
        assert!(made_room >= (2000 - MOST_WAITING) as u64, "{made_room}");
    }

    #[tokio::test(start_paused = true)]
    async fn readers_of_pages_that_never_end_keep_neither_health_nor_pages_out() {
        let ((address, metrics), mut slow) = (begin_counted().await, Vec::new());
        let began = tokio::time::Instant::now();
        for _ in 0..3 * MOST_PAGES {
            let mut stream = idle_connection(address).await;
            stream.write_all(b"GET /slow HTTP/1.1\r\nHost: lifeboat\r\n\r\n").await.unwrap();
            slow.push(stream);
        }
        assert!(answer_to(address, HEALTH_REQUEST).await.ends_with("well"));
        assert!(answer_to(address, REQUEST).await.ends_with("here"));
        assert!(began.elapsed() < HEAD_WITHIN, "{:?}", began.elapsed());
        assert!(counted(&metrics)[0] >= 2 * MOST_PAGES as u64, "{:?}", counted(&metrics));
    }

    async fn idle_connection(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }
}
