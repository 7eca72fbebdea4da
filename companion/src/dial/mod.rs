//! The way to the control plane: TCP or a forward proxy, TLS, WebSocket, within Kong's own 5 s.

mod proxy;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::session::ConnectFailure;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::settings::ClusterSettings;
use crate::tls::{FailureClass, Peer, Turns, explain};
use crate::websocket::Link;
use crate::websocket::connect::{UpgradeError, open};

/// What Kong's own nodes allow a connection to take (KONG.md section 1).
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A link over TLS, in either role.
pub type TlsLink = Link<TlsStream<TcpStream>>;

/// The relay that dials: how it knows itself again, and in what order it computes.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The relays that this link passes through, this one last: each under a name that no other has.
    pub via: Arc<str>,
    /// The handshakes' turns.
    pub turns: Turns,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct DialError {
    /// What that means for the session.
    pub failure: ConnectFailure,
    reason: String,
    /// During a rotation there is another certificate to show, and the next try will show it.
    another_certificate: bool,
}

impl DialError {
    fn unreachable(reason: impl Into<String>) -> Self {
        Self { failure: ConnectFailure::Unreachable, reason: reason.into(), another_certificate: false }
    }
}

/// Connects to the control plane's cluster listener and opens a WebSocket at `target`. `within` shortens Kong's limit.
pub async fn dial(
    cluster: &ClusterSettings,
    target: &str,
    relay: Option<&Relay>,
    within: Duration,
) -> Result<TlsLink, DialError> {
    let via = relay.map(|relay| &*relay.via);
    in_time(within, async {
        match link(cluster, target, via, relay).await {
            Err(error) if error.another_certificate => link(cluster, target, via, relay).await,
            other => other,
        }
    })
    .await
}

/// Connects to the control plane's cluster listener and has it accept us in TLS. `within` shortens Kong's limit.
pub async fn dial_tls(
    cluster: &ClusterSettings,
    relay: Option<&Relay>,
    within: Duration,
) -> Result<TlsStream<TcpStream>, DialError> {
    in_time(within, connect(cluster, relay)).await
}

async fn in_time<T>(within: Duration, work: impl Future<Output = Result<T, DialError>>) -> Result<T, DialError> {
    let limit = within.min(CONNECT_LIMIT);
    let too_late = |_| DialError::unreachable(format!("it did not answer within {} s", limit.as_secs_f64()));
    timeout(limit, work).await.map_err(too_late)?
}

async fn link(
    cluster: &ClusterSettings,
    target: &str,
    via: Option<&str>,
    relay: Option<&Relay>,
) -> Result<TlsLink, DialError> {
    let address = &cluster.control_plane;
    let tls = connect(cluster, relay).await?;
    open(tls, &address.to_string(), target, via, cluster.max_payload).await.map_err(|error| {
        let failure = match &error {
            UpgradeError::Status(status) if status.is_client_error() => ConnectFailure::Refused(status.as_u16()),
            _ => ConnectFailure::Unreachable,
        };
        let another_certificate = matches!(error, UpgradeError::Http(_)) && cluster.tls.was_refused();
        DialError { failure, reason: reason(&error), another_certificate }
    })
}

async fn connect(cluster: &ClusterSettings, relay: Option<&Relay>) -> Result<TlsStream<TcpStream>, DialError> {
    let tls = connect_once(cluster, relay).await?;
    let presented = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    if presented.is_some_and(|certificate| cluster.tls.saw(certificate)) {
        return connect_once(cluster, relay).await;
    }
    Ok(tls)
}

async fn connect_once(cluster: &ClusterSettings, relay: Option<&Relay>) -> Result<TlsStream<TcpStream>, DialError> {
    let tcp = reach(cluster).await?;
    if cluster.proxy.is_none() && relay.is_some_and(|relay| is_own_listener(&tcp, relay.listen)) {
        return Err(DialError::unreachable(
            "that address is this relay itself: set LIFEBOAT_CONTROL_PLANE to the real control plane",
        ));
    }
    // A frame goes out when it is written; a ping would otherwise wait for company.
    let _ = tcp.set_nodelay(true);
    let connecting = TlsConnector::from(cluster.tls.config()).connect(cluster.server_name.clone(), tcp);
    let connected = match relay {
        Some(relay) => relay.turns.take(connecting).await,
        None => connecting.await,
    };
    connected.map(TlsStream::from).map_err(|error| {
        let failure = explain(Peer::ControlPlane, &error);
        let another_certificate = failure.class == FailureClass::RefusedByPeer && cluster.tls.was_refused();
        DialError { another_certificate, ..DialError::unreachable(failure.to_string()) }
    })
}

async fn reach(cluster: &ClusterSettings) -> Result<TcpStream, DialError> {
    let address = &cluster.control_plane;
    match &cluster.proxy {
        Some(proxy) => proxy::connect(proxy, address).await.map_err(|error| DialError::unreachable(error.to_string())),
        None => TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|error| {
            DialError::unreachable(format!("it can't be reached ({error}): is it up, and is that its cluster_listen"))
        }),
    }
}

// In TLS 1.3 a client learns only with the first answer that its certificate was refused.
fn reason(error: &UpgradeError) -> String {
    let UpgradeError::Http(http) = error else { return error.to_string() };
    let mut causes = std::iter::successors(http.source(), |cause| (*cause).source());
    match causes.find_map(|cause| cause.downcast_ref::<io::Error>()) {
        Some(io) => explain(Peer::ControlPlane, io).to_string(),
        None => error.to_string(),
    }
}

fn is_own_listener(tcp: &TcpStream, listen: SocketAddr) -> bool {
    let (Ok(peer), Ok(local)) = (tcp.peer_addr(), tcp.local_addr()) else { return false };
    let same_machine = peer.ip() == local.ip();
    same_machine && peer.port() == listen.port() && (listen.ip().is_unspecified() || listen.ip() == peer.ip())
}
