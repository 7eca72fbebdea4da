//! The relay: listens as a control plane would, authenticates nodes exactly as Kong does, and runs one session for each.
//! The session decides (in `core`); here are sockets and the one shared copy of what is fed.

mod handshake;
mod messages;
mod node;
mod offers;
mod outlook;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

pub use handshake::NodeIdentity;

use self::offers::Offers;
use self::outlook::Outlook;
use crate::archive::Archive;
use crate::bind::{BindError, listen};
use crate::clock::Clock;
use crate::dial;
use crate::keep::Witnesses;
use crate::metrics::RelayMetrics;
use crate::settings::{ClusterSettings, RelaySettings};
use crate::tls::{FailureClass, Peer, explain};

/// Kong's nodes close an unfinished handshake after 5 s (KONG.md section 1); so do we.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// Handshakes cost a processor a millisecond each; more at once would only make all of them late.
const HANDSHAKES_AT_ONCE: usize = 256;

/// A relay that is bound to its address.
#[derive(Debug)]
pub struct Relay {
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: RelaySettings,
    cluster: Arc<ClusterSettings>,
    dialer: dial::Relay,
    offers: Offers,
    outlook: Outlook,
    witnesses: Witnesses,
    clock: Clock,
    metrics: RelayMetrics,
    nodes: TaskTracker,
    stop: CancellationToken,
}

impl Relay {
    /// Binds the relay's address. It serves until `stop`, tells `witnesses` what nodes run, and `metrics` what happens.
    pub async fn bind(
        settings: RelaySettings,
        cluster: Arc<ClusterSettings>,
        archive: Archive,
        witnesses: Witnesses,
        clock: Clock,
        stop: CancellationToken,
        metrics: RelayMetrics,
    ) -> Result<Self, BindError> {
        let (listener, listen) = listen("LIFEBOAT_RELAY_LISTEN", settings.listen).await?;
        metrics.presents(&settings.certificate);
        metrics.listens(listen);
        let dialer = dial::Relay { listen, instance: uuid::Uuid::new_v4().to_string().into() };
        let outlook = Outlook::new(cluster.control_plane.clone(), metrics.clone());
        let offers = Offers::new(archive, clock);
        let nodes = TaskTracker::new();
        let shared = Shared { settings, cluster, dialer, offers, outlook, witnesses, clock, metrics, nodes, stop };
        Ok(Self { listener, shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.dialer.listen
    }

    /// Serves nodes until it is told to stop.
    pub async fn run(self) {
        info!("the relay listens on {}: point cluster_control_plane of data planes there", self.address());
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_AT_ONCE));
        loop {
            let permit = handshakes.clone().acquire_owned().await.expect("the semaphore is never closed");
            let accepted = tokio::select! {
                () = self.shared.stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely; those that are served go on.
                    warn!("a connection could not be accepted: {error} (is the limit of open files too low?)");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let shared = self.shared.clone();
            self.shared.spawn(async move {
                let handshake = timeout(HANDSHAKE_LIMIT, authenticate(&shared, stream)).await;
                drop(permit);
                match handshake {
                    Ok(Some(stream)) => handshake::serve(&shared, stream, peer).await,
                    Ok(None) => {}
                    Err(_) => {
                        shared.metrics.refused(FailureClass::TimedOut);
                        debug!(%peer, "no TLS handshake within {} s", HANDSHAKE_LIMIT.as_secs());
                    }
                }
            });
        }
        self.shared.metrics.listens_no_longer();
        self.shared.nodes.close();
        self.shared.nodes.wait().await;
    }
}

impl Shared {
    /// Runs until it is done or the relay stops.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.nodes.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

async fn authenticate(shared: &Shared, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    let peer = stream.peer_addr().ok()?;
    let _ = stream.set_nodelay(true);
    match TlsAcceptor::from(shared.settings.tls.clone()).accept(stream).await {
        Ok(stream) => Some(stream.into()),
        Err(error) => {
            let failure = explain(Peer::Node, &error);
            shared.metrics.refused(failure.class);
            warn!(%peer, "a connection was refused: {failure}");
            None
        }
    }
}
