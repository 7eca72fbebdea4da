//! The way to the control plane: TCP or a forward proxy, TLS, WebSocket, within Kong's own 5 s.

mod proxy;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lifeboat_core::session::answer::{ConnectFailure, HttpAnswer};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::tls::{ClientTls, FailureClass, HandshakeQueue, Peer, explain};
use crate::websocket::Link;
use crate::websocket::connect::{UpgradeError, open, read_answer};
use crate::{Address, Proxy, PutOff};

/// What Kong's own nodes allow a connection to take (KONG.md section 1).
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A control plane, and how to reach it as a node of its cluster.
#[derive(Clone)]
pub struct ControlPlane {
    /// Where its cluster listener is.
    pub address: Address,
    /// The proxy on the way there.
    pub proxy: Option<Proxy>,
    /// The TLS client, which follows its files when they change.
    pub tls: ClientTls,
    /// The name that is asked for.
    pub server_name: ServerName<'static>,
    /// The longest message in bytes, compressed (`cluster_max_payload`).
    pub max_payload: u64,
    /// Until when it asked not to be dialled.
    pub put_off: PutOff,
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, proxy, server_name, .. } = self;
        write!(f, "ControlPlane({address}, {proxy:?}, {server_name:?})")
    }
}

impl fmt::Display for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// A link over TLS, in either role.
pub type TlsLink = Link<TlsStream<TcpStream>>;

/// The relay that dials: how it knows itself again, and in what order it computes.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The relays that this link passes through, this one last: each under a name that no other has.
    pub via: Arc<str>,
    /// Where its handshakes wait for a processor.
    pub handshakes: HandshakeQueue,
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
    /// It can't be reached, or nobody got as far as to try.
    pub fn unreachable(reason: impl Into<String>) -> Self {
        Self { failure: ConnectFailure::Unreachable, reason: reason.into(), another_certificate: false }
    }

    fn put_off(answer: HttpAnswer) -> Self {
        let left = answer.retry_after.unwrap_or_default().as_secs_f64().ceil();
        let reason = format!("{answer} (it asked not to be asked again, for another {left} s, by Retry-After)");
        Self { failure: ConnectFailure::Answered(answer), reason, another_certificate: false }
    }
}

/// Connects to the control plane's cluster listener and opens a WebSocket at `target`. `within` shortens Kong's limit.
pub async fn dial(
    control_plane: &ControlPlane,
    target: &str,
    relay: Option<&Relay>,
    within: Duration,
) -> Result<TlsLink, DialError> {
    may_be_dialled(control_plane)?;
    let via = relay.map(|relay| &*relay.via);
    let linked = in_time(within, async {
        match link(control_plane, target, via, relay).await {
            Err(error) if error.another_certificate => link(control_plane, target, via, relay).await,
            other => other,
        }
    })
    .await;

    if let Err(DialError { failure: ConnectFailure::Answered(answer), .. }) = &linked {
        control_plane.put_off.answered(*answer);
    }
    linked
}

fn may_be_dialled(control_plane: &ControlPlane) -> Result<(), DialError> {
    control_plane.put_off.forbids().map_or(Ok(()), |answer| Err(DialError::put_off(answer)))
}

/// Connects to the control plane's cluster listener and asks it to open what somebody else has asked for. The answer is 101,
/// with the upgrade to wait for. `within` shortens Kong's limit.
pub async fn ask(
    control_plane: &ControlPlane,
    request: Request<Empty<Bytes>>,
    relay: &Relay,
    within: Duration,
) -> Result<Response<Incoming>, DialError> {
    may_be_dialled(control_plane)?;
    let asked = in_time(within, async {
        let tls = connect(control_plane, Some(relay)).await?;
        let http = |error: hyper::Error| not_opened(control_plane, &UpgradeError::Http(error));
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(http)?;
        // Ends by itself: with the upgrade, or when `sender` is dropped.
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await.map_err(http)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        Err(not_opened(control_plane, &UpgradeError::Answered(read_answer(response).await)))
    })
    .await;

    if let Err(DialError { failure: ConnectFailure::Answered(answer), .. }) = &asked {
        control_plane.put_off.answered(*answer);
    }
    asked
}

async fn in_time<T>(within: Duration, work: impl Future<Output = Result<T, DialError>>) -> Result<T, DialError> {
    let limit = within.min(CONNECT_LIMIT);
    let too_late = |_| DialError::unreachable(format!("it did not answer within {} s", limit.as_secs_f64()));
    timeout(limit, work).await.map_err(too_late)?
}

async fn link(
    control_plane: &ControlPlane,
    target: &str,
    via: Option<&str>,
    relay: Option<&Relay>,
) -> Result<TlsLink, DialError> {
    let address = &control_plane.address;
    let tls = connect(control_plane, relay).await?;
    let opened = open(tls, &address.to_string(), target, via, control_plane.max_payload).await;
    opened.map_err(|error| not_opened(control_plane, &error))
}

fn not_opened(control_plane: &ControlPlane, error: &UpgradeError) -> DialError {
    let failure = failure(error);
    let may_be_the_certificate = match failure {
        ConnectFailure::EndedWithoutAnswer => true,
        ConnectFailure::Answered(answer) => answer.is_about_the_certificate(),
        ConnectFailure::Unreachable => false,
    };
    let another_certificate = may_be_the_certificate && control_plane.tls.was_refused();
    DialError { failure, reason: reason(error), another_certificate }
}

async fn connect(control_plane: &ControlPlane, relay: Option<&Relay>) -> Result<TlsStream<TcpStream>, DialError> {
    let tls = connect_once(control_plane, relay).await?;
    let presented = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    if presented.is_some_and(|certificate| control_plane.tls.saw(certificate)) {
        return connect_once(control_plane, relay).await;
    }
    Ok(tls)
}

async fn connect_once(control_plane: &ControlPlane, relay: Option<&Relay>) -> Result<TlsStream<TcpStream>, DialError> {
    let tcp = reach(control_plane).await?;
    if control_plane.proxy.is_none() && relay.is_some_and(|relay| is_own_listener(&tcp, relay.listen)) {
        return Err(DialError::unreachable(
            "that address is this relay itself: set LIFEBOAT_CONTROL_PLANE to the real control plane",
        ));
    }

    // A frame goes out when it is written; a ping would otherwise wait for company.
    let _ = tcp.set_nodelay(true);
    let connecting = TlsConnector::from(control_plane.tls.config()).connect(control_plane.server_name.clone(), tcp);
    let connected = match relay {
        Some(relay) => relay.handshakes.run(connecting).await,
        None => connecting.await,
    };

    connected.map(TlsStream::from).map_err(|error| {
        let failure = explain(Peer::ControlPlane, &error);
        let another_certificate = failure.class == FailureClass::RefusedByPeer && control_plane.tls.was_refused();
        let reason = failure.to_string();
        let failure = match failure.is_about_our_certificate {
            true => ConnectFailure::EndedWithoutAnswer,
            false => ConnectFailure::Unreachable,
        };
        DialError { failure, reason, another_certificate }
    })
}

async fn reach(control_plane: &ControlPlane) -> Result<TcpStream, DialError> {
    let address = &control_plane.address;
    match &control_plane.proxy {
        Some(proxy) => proxy::connect(proxy, address).await.map_err(|error| DialError::unreachable(error.to_string())),
        None => TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|error| {
            DialError::unreachable(format!("it can't be reached ({error}): is it up, and is that its cluster_listen"))
        }),
    }
}

// What an error of the opening handshake tells of the control plane.
fn failure(error: &UpgradeError) -> ConnectFailure {
    let http = match error {
        UpgradeError::Answered(answer) => return ConnectFailure::Answered(*answer),
        UpgradeError::Accept => return ConnectFailure::Unreachable,
        UpgradeError::Http(http) => http,
    };
    if http.is_incomplete_message() {
        return ConnectFailure::EndedWithoutAnswer;
    }

    let Some(io) = io_error(http) else { return ConnectFailure::Unreachable };
    let explained = explain(Peer::ControlPlane, io);
    if explained.class == FailureClass::Closed || explained.is_about_our_certificate {
        ConnectFailure::EndedWithoutAnswer
    } else {
        ConnectFailure::Unreachable
    }
}

fn reason(error: &UpgradeError) -> String {
    const ENDED: &str = "it ended the connection after TLS, without an HTTP answer";
    let UpgradeError::Http(http) = error else { return error.to_string() };
    let Some(io) = io_error(http) else {
        return if http.is_incomplete_message() { ENDED.to_owned() } else { error.to_string() };
    };
    // In TLS 1.3 a client learns only with the first answer that its certificate was refused.
    let explained = explain(Peer::ControlPlane, io);
    if explained.class == FailureClass::Closed { ENDED.to_owned() } else { explained.to_string() }
}

fn io_error(http: &hyper::Error) -> Option<&io::Error> {
    let mut causes = std::iter::successors(http.source(), |cause| (*cause).source());
    causes.find_map(|cause| cause.downcast_ref::<io::Error>())
}

fn is_own_listener(tcp: &TcpStream, listen: SocketAddr) -> bool {
    let (Ok(peer), Ok(local)) = (tcp.peer_addr(), tcp.local_addr()) else { return false };
    let same_machine = peer.ip() == local.ip();
    same_machine && peer.port() == listen.port() && (listen.ip().is_unspecified() || listen.ip() == peer.ip())
}
