//! A control plane that broadcasts and does nothing else: the least that the same libraries with the same TLS settings can
//! do. It doesn't look at what nodes say, but answers their pings.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use lifeboat_link::tls::server_config_shared;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use super::process::{Part, answer};
use super::{BROADCASTER, Certificate, identity, may_open, now, wire};

/// A broadcaster in a process of its own. Dropping it ends it.
pub struct Broadcaster {
    part: Part,
    address: SocketAddr,
}

impl Broadcaster {
    /// Starts it, for at most this many nodes.
    ///
    /// # Panics
    /// When this program can't be started again.
    pub fn start(nodes: usize, certificate: Certificate<'_>) -> Self {
        // No connection begins at this address, so none can take its port while it is away.
        Self::start_at(([127, 0, 0, 9], 0).into(), nodes, certificate)
    }

    /// Starts it at this address, where there may have been one before.
    ///
    /// # Panics
    /// When this program can't be started again.
    pub fn start_at(listen: SocketAddr, nodes: usize, certificate: Certificate<'_>) -> Self {
        let Certificate { certificate, key } = certificate;
        let options = json!({ "certificate": certificate, "key": key, "nodes": nodes, "listen": listen });
        let part = Part::start(BROADCASTER, &options);
        let address = part.ask("?")["address"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Self { part, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends the message in this file to all who are connected, and to those that come. Returns when that began, by
    /// [`now`](super::now).
    ///
    /// # Panics
    /// When it has ended.
    pub fn push(&self, message: &Path) -> u64 {
        self.part.ask(&format!("push {}", message.display()))["at"].as_u64().expect("a time")
    }

    /// Waits until so many are linked.
    ///
    /// # Panics
    /// When that takes longer than `limit`.
    pub async fn has(&self, links: u64, limit: Duration) {
        let begun = Instant::now();
        while self.part.ask("?")["links"].as_u64() != Some(links) {
            assert!(begun.elapsed() < limit, "after {limit:?} there are {} links", self.part.ask("?"));
            sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(super) fn run(given: &Value) {
    may_open(given["nodes"].as_u64().expect("a number") + 64);
    let identity = identity(given);
    let tls = server_config_shared(&[identity.leaf().der().clone()], &identity).expect("one is accepted");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    let listener = runtime.block_on(listen(given["listen"].as_str().expect("an address")));
    let address = listener.local_addr().expect("it is bound");
    let (message, links) = (watch::Sender::new(None::<Bytes>), Arc::new(AtomicU64::new(0)));
    runtime.spawn(serve(listener, TlsAcceptor::from(tls), message.clone(), links.clone()));
    answer(|line| match line.strip_prefix("push ") {
        Some(path) => {
            let bytes = Bytes::from(std::fs::read(path).expect("the message is there"));
            let at = now();
            message.send_replace(Some(bytes));
            json!({ "at": at })
        }
        None => json!({ "address": address, "links": links.load(Relaxed) }),
    });
    runtime.shutdown_background();
}

// As many may wait to be accepted as at the program: after a restart all come at once.
async fn listen(address: &str) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("there are sockets");
    socket.set_reuseaddr(true).expect("it can be set");
    socket.bind(address.parse().expect("an address")).expect("the port is free");
    socket.listen(4096).expect("it can be listened on")
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, message: watch::Sender<Option<Bytes>>, links: Arc<AtomicU64>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, message, links) = (tls.clone(), message.subscribe(), links.clone());
        tokio::spawn(async move {
            let _: io::Result<()> = link(stream, tls, message, &links).await;
        });
    }
}

async fn link(
    stream: TcpStream,
    tls: TlsAcceptor,
    mut message: watch::Receiver<Option<Bytes>>,
    links: &AtomicU64,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = tls.accept(stream).await?;
    wire::accept(&mut stream).await?;
    links.fetch_add(1, Relaxed);
    let ended = talk(BufReader::with_capacity(512, stream), &mut message).await;
    links.fetch_sub(1, Relaxed);
    ended
}

async fn talk<S>(mut link: BufReader<S>, message: &mut watch::Receiver<Option<Bytes>>) -> io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (opcode, length) = wire::next(&mut link).await?;
    if opcode != wire::BINARY {
        return Err(io::Error::other("a node introduces itself first"));
    }
    wire::skip(&mut link, length).await?;
    message.mark_changed();
    loop {
        let next = tokio::select! {
            heard = link.fill_buf() => match heard?.len() {
                0 => return Ok(()),
                _ => None,
            },
            changed = message.changed() => {
                changed.map_err(io::Error::other)?;
                message.borrow_and_update().clone()
            }
        };
        match next {
            Some(bytes) => {
                link.write_all(&wire::header(wire::BINARY, bytes.len())).await?;
                link.write_all(&bytes).await?;
                link.flush().await?;
            }
            // A message that is not there yet is no frame either.
            None if link.buffer().is_empty() => {}
            None => {
                let (opcode, length) = wire::next(&mut link).await?;
                wire::skip(&mut link, length).await?;
                if opcode == wire::PING {
                    link.write_all(&wire::header(wire::PONG, 0)).await?;
                    link.flush().await?;
                }
            }
        }
    }
}
