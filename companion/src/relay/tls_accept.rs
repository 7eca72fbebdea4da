//! A new connection, up to the end of its TLS handshake. Handshakes wait in a queue; one that takes too long is
//! dropped.

use std::net::SocketAddr;

use lifeboat_link::tls::{FailureClass, Peer, explain};
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, TlsStream};
use tracing::{debug, warn};

use super::Shared;
use super::admission::Place;
use super::revocation::Verdict;

/// The secured connection of a node whose certificate was accepted.
pub(super) async fn accept(
    shared: &Shared,
    stream: TcpStream,
    peer: SocketAddr,
    place: &Place,
) -> Option<TlsStream<TcpStream>> {
    let limit = shared.settings.limits.handshake;
    // A frame is sent when it is written; otherwise a pong would wait for further data.
    let _ = stream.set_nodelay(true);

    let secured = tokio::select! {
        secured = timeout(limit, shake_hands(shared, stream, peer, place)) => secured,
        () = place.given_up() => {
            debug!(%peer, "a connection that said nothing was closed, since too many are");
            return None;
        }
    };

    match secured {
        Ok(Ok(Some(stream))) => was_not_revoked(shared, stream, peer).await,
        Ok(Ok(None)) => {
            shared.recorder.refused(FailureClass::TimedOut);
            debug!(%peer, "a TLS handshake was not begun: it stood in the queue for too long");
            None
        }
        Ok(Err(error)) => {
            let failure = explain(Peer::Node, &error);
            if failure.class == FailureClass::RefusedByPeer {
                shared.settings.tls.was_refused(peer.ip());
            }
            shared.refusals.refused(peer, failure.class, failure);
            None
        }
        Err(_) => {
            shared.recorder.refused(FailureClass::TimedOut);
            debug!(%peer, "no TLS handshake within {} s", limit.as_secs());
            None
        }
    }
}

async fn was_not_revoked(
    shared: &Shared,
    stream: TlsStream<TcpStream>,
    peer: SocketAddr,
) -> Option<TlsStream<TcpStream>> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    if let Some(leaf) = chain.first() {
        shared.settings.tls.saw(peer.ip(), leaf);
    }

    match shared.revocations.judge(chain, &shared.settings.tls).await {
        Verdict::Accepted => Some(stream),
        Verdict::Unknown(problem) => {
            warn!(%peer, "a node is accepted though {problem}, since cluster_ocsp is optional");
            Some(stream)
        }
        Verdict::Refused(problem) => {
            let why = format!("the node's certificate is not accepted, since {problem} (cluster_ocsp)");
            shared.refusals.refused(peer, FailureClass::Revoked, why);
            None
        }
    }
}

// None if it stood in the queue for too long.
async fn shake_hands(
    shared: &Shared,
    stream: TcpStream,
    peer: SocketAddr,
    place: &Place,
) -> std::io::Result<Option<TlsStream<TcpStream>>> {
    // The ClientHello is read before anything is computed for this connection.
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    place.spoke();

    let config = shared.settings.tls.config(peer.ip());
    // `into_stream` computes at once, so that it is called only when its turn has come.
    let work = async { start.into_stream(config).await.map(TlsStream::from) };
    shared.handshakes.run_within(shared.settings.limits.queue, work).await.transpose()
}
