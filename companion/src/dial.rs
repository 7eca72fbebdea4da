//! The way to the control plane: TCP, TLS, WebSocket, within Kong's own 5 s.

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
use crate::tls::{Peer, explain};
use crate::websocket::Link;
use crate::websocket::connect::{UpgradeError, open};

/// What Kong's own nodes allow a connection to take (KONG.md section 1).
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A link over TLS, in either role.
pub type TlsLink = Link<TlsStream<TcpStream>>;

/// Where the relay that dials listens, and how it knows itself again.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Where it listens.
    pub listen: SocketAddr,
    /// A name that no other relay has.
    pub instance: Arc<str>,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct DialError {
    /// What that means for the session.
    pub failure: ConnectFailure,
    reason: String,
}

impl DialError {
    fn unreachable(reason: impl Into<String>) -> Self {
        Self { failure: ConnectFailure::Unreachable, reason: reason.into() }
    }
}

/// Connects to the control plane's cluster listener and opens a WebSocket at `target`. `within` shortens Kong's limit.
pub async fn dial(
    cluster: &ClusterSettings,
    target: &str,
    relay: Option<&Relay>,
    within: Duration,
) -> Result<TlsLink, DialError> {
    let limit = within.min(CONNECT_LIMIT);
    let too_late = |_| DialError::unreachable(format!("it did not answer within {} s", limit.as_secs_f64()));
    timeout(limit, connect(cluster, target, relay)).await.map_err(too_late)?
}

async fn connect(cluster: &ClusterSettings, target: &str, relay: Option<&Relay>) -> Result<TlsLink, DialError> {
    let address = &cluster.control_plane;
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|error| {
        DialError::unreachable(format!("it can't be reached ({error}): is it up, and is that its cluster_listen"))
    })?;
    if relay.is_some_and(|relay| is_own_listener(&tcp, relay.listen)) {
        return Err(DialError::unreachable(
            "that address is this relay itself: set LIFEBOAT_CONTROL_PLANE to the real control plane",
        ));
    }
    // A frame goes out when it is written; a ping would otherwise wait for company.
    let _ = tcp.set_nodelay(true);
    let tls = TlsConnector::from(cluster.tls.clone())
        .connect(cluster.server_name.clone(), tcp)
        .await
        .map_err(|error| DialError::unreachable(explain(Peer::ControlPlane, &error).to_string()))?;
    let instance = relay.map(|relay| &*relay.instance);
    open(TlsStream::from(tls), &address.to_string(), target, instance, cluster.max_payload).await.map_err(|error| {
        let failure = match &error {
            UpgradeError::Status(status) if status.is_client_error() => ConnectFailure::Refused(status.as_u16()),
            _ => ConnectFailure::Unreachable,
        };
        DialError { failure, reason: reason(&error) }
    })
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
