//! The data planes: each connects, introduces itself, pings every 30 s, says what it was given, and comes back 5 to 10 s
//! after its link was lost, as Kong's does.

mod sync;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lifeboat_fakes::recorded;
use lifeboat_link::tls::client_config_shared;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::process::{Part, answer};
use super::{By, CROWD, Certificate, CrowdOptions, identity, may_open, now, wire};
use crate::raw_node::connect_tls;

/// Kong's own (KONG.md section 1).
const HANDSHAKE: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(30);
/// Kong looks for something to confirm once a second; that would only blur what is measured.
const CONFIRMED_AFTER: Duration = Duration::from_millis(10);

/// A crowd in a process of its own. Dropping it ends it.
pub struct Crowd(Part);

/// What can be seen of a crowd. Times are nanoseconds of [`now`](super::now).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How many links are up.
    pub up: u64,
    /// How many links there have been.
    pub links: u64,
    /// How many connections failed before there was a link.
    pub failed: u64,
    /// How many pings they sent, all nodes together, over `/v1/outlet`.
    pub pings: u64,
    /// How many of them were answered.
    pub pongs: u64,
    /// How many messages came, all nodes together.
    pub messages: u64,
    /// When the last byte of the newest of them came.
    pub last_message: u64,
    /// When the newest link came up.
    pub last_link: u64,
    /// When the longest of all connections and handshakes that came to a link was over, from its beginning.
    pub slowest_link: u64,
}

impl Crowd {
    /// Starts it.
    ///
    /// # Panics
    /// When this program can't be started again.
    pub fn start(options: &CrowdOptions, certificate: Certificate<'_>) -> Self {
        Self(Part::start(CROWD, &options.to_json(certificate)))
    }

    /// What can be seen of it now.
    ///
    /// # Panics
    /// When it has ended.
    pub fn seen(&self) -> Seen {
        let seen = self.0.ask("?");
        let number = |name: &str| seen[name].as_u64().expect("it is a number");
        Seen {
            up: number("up"),
            links: number("links"),
            failed: number("failed"),
            pings: number("pings"),
            pongs: number("pongs"),
            messages: number("messages"),
            last_message: number("last_message"),
            last_link: number("last_link"),
            slowest_link: number("slowest_link"),
        }
    }

    /// Waits until it is so.
    ///
    /// # Panics
    /// When that takes longer than `limit`.
    pub async fn wait_for(&self, limit: Duration, is_so: impl Fn(&Seen) -> bool) -> Seen {
        let begun = Instant::now();
        loop {
            let seen = self.seen();
            if is_so(&seen) {
                return seen;
            }
            assert!(begun.elapsed() < limit, "after {limit:?} the crowd is here: {seen:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[derive(Default)]
struct Counts {
    up: AtomicU64,
    links: AtomicU64,
    failed: AtomicU64,
    pings: AtomicU64,
    pongs: AtomicU64,
    messages: AtomicU64,
    last_message: AtomicU64,
    last_link: AtomicU64,
    slowest_link: AtomicU64,
}

struct Shared {
    options: CrowdOptions,
    tls: Arc<ClientConfig>,
    first_message: Vec<u8>,
    counts: Counts,
}

pub(super) fn run(given: &Value) {
    let options = CrowdOptions::from_json(given).expect("who starts it knows how");
    may_open(options.nodes as u64 + 64);
    let first_message = wire::masked(wire::BINARY, recorded::basic_info());
    let tls = client_config_shared(&identity(given));
    let shared = Arc::new(Shared { options, tls, first_message, counts: Counts::default() });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    for number in 0..shared.options.nodes {
        runtime.spawn(live(shared.clone(), number));
    }
    answer(|_| {
        let counts = &shared.counts;
        json!({
            "up": counts.up.load(Relaxed), "links": counts.links.load(Relaxed), "failed": counts.failed.load(Relaxed),
            "pings": counts.pings.load(Relaxed), "pongs": counts.pongs.load(Relaxed),
            "messages": counts.messages.load(Relaxed), "last_message": counts.last_message.load(Relaxed),
            "last_link": counts.last_link.load(Relaxed), "slowest_link": counts.slowest_link.load(Relaxed),
        })
    });
    runtime.shutdown_background();
}

async fn live(shared: Arc<Shared>, number: usize) {
    let options = &shared.options;
    sleep(options.within.mul_f64(number as f64 / options.nodes as f64)).await;
    let (mut runs, id) = (options.runs.clone(), uuid::Uuid::new_v4().to_string());
    loop {
        let (begun, counts) = (now(), &shared.counts);
        match timeout(HANDSHAKE, connect(&shared, number)).await {
            Ok(Ok(link)) => {
                let at = now();
                counts.links.fetch_add(1, Relaxed);
                counts.up.fetch_add(1, Relaxed);
                counts.last_link.fetch_max(at, Relaxed);
                counts.slowest_link.fetch_max(at - begun, Relaxed);
                let _: io::Result<()> = match options.by {
                    By::Outlet => stay(&shared, link, &mut runs).await,
                    By::Sync => sync::stay(&shared, link, &id).await,
                };
                counts.up.fetch_sub(1, Relaxed);
            }
            _ => {
                counts.failed.fetch_add(1, Relaxed);
            }
        }
        sleep(Duration::from_secs_f64(5.0 + 5.0 * rand::random::<f64>())).await;
    }
}

async fn connect(shared: &Shared, number: usize) -> io::Result<TlsStream<tokio::net::TcpStream>> {
    let mut stream = connect_tls(shared.options.to, shared.tls.clone()).await?;
    match shared.options.by {
        By::Outlet => wire::open(&mut stream, number).await?,
        By::Sync => wire::open_rpc(&mut stream).await?,
    }
    Ok(stream)
}

async fn stay(shared: &Shared, mut link: TlsStream<tokio::net::TcpStream>, runs: &mut String) -> io::Result<()> {
    link.write_all(&shared.first_message).await?;
    say(shared, &mut link, runs).await?;
    let mut link = BufReader::with_capacity(512, link);
    let mut next_ping = Instant::now() + PING_EVERY;
    loop {
        // A header that has begun to come is read to its end: what follows a ping's time is a whole one.
        let heard = tokio::select! {
            biased;
            heard = tokio::io::AsyncBufReadExt::fill_buf(&mut link) => heard?.len(),
            () = tokio::time::sleep_until(next_ping) => {
                next_ping = Instant::now() + PING_EVERY;
                say(shared, &mut link, runs).await?;
                continue;
            }
        };
        if heard == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (opcode, length) = wire::next(&mut link).await?;
        wire::skip(&mut link, length).await?;
        match opcode {
            wire::BINARY => {
                let counts = &shared.counts;
                counts.last_message.fetch_max(now(), Relaxed);
                counts.messages.fetch_add(1, Relaxed);
                runs.clone_from(&shared.options.adopts);
                next_ping = next_ping.min(Instant::now() + CONFIRMED_AFTER);
            }
            wire::PONG => {
                shared.counts.pongs.fetch_add(1, Relaxed);
            }
            wire::CLOSE => return Ok(()),
            _ => {}
        }
    }
}

async fn say(shared: &Shared, link: &mut (impl tokio::io::AsyncWrite + Unpin), runs: &str) -> io::Result<()> {
    shared.counts.pings.fetch_add(1, Relaxed);
    link.write_all(&wire::masked(wire::PING, runs.as_bytes())).await?;
    link.flush().await
}
