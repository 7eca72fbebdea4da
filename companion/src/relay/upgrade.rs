//! Answers to requests that open a link: who is asking, and whether it becomes a link.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::{TokioIo, TokioTimer};
use lifeboat_core::kong::outlet_query::OutletQuery;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_link::websocket::Link;
use lifeboat_link::websocket::accept::{accept_key, is_loop};
use lifeboat_link::websocket::connect::RELAY_HEADER;
use lifeboat_link::websocket::header::Mask;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tracing::{debug, warn};

use super::admission::Place;
use super::{Shared, node, rpc, tunnel};

/// Where nodes take their configuration.
const OUTLET_PATH: &str = "/v1/outlet";
/// What a 3.0 node asks for first; it takes a 404 for "use /v1/outlet" (KONG.md section 1).
const WRPC_PATH: &str = "/v1/wrpc";

/// A node sends its basic_info, some tens of kilobytes, and pings.
const NODE_FRAME_LIMIT: u64 = 1 << 20;

type Answer = Response<Full<Bytes>>;

/// What a node says of itself when it opens its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Its UUID.
    pub id: String,
    /// Its host's name.
    pub hostname: String,
    /// Its version, if it is one.
    pub version: Option<KongVersion>,
    /// The path and query, which the control plane will see unchanged.
    pub target: String,
    /// Where it connected from.
    pub address: SocketAddr,
    /// The relays through which it came, if it did.
    pub via: Option<String>,
}

/// Serves one connection: a node's link, or a stranger's request.
pub(super) async fn serve(shared: &Arc<Shared>, stream: TlsStream<TcpStream>, peer: SocketAddr, place: Arc<Place>) {
    let has_asked = AtomicBool::new(false);
    let service = service_fn(|request| {
        has_asked.store(true, Ordering::Relaxed);
        let (shared, place) = (shared.clone(), place.clone());
        async move { Ok::<_, Infallible>(answer(&shared, request, peer, place).await) }
    });

    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.settings.limits.handshake)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();

    if let Err(error) = connection.await {
        debug!(%peer, "a connection ended before its WebSocket was open: {error}");
    }
    if !has_asked.load(Ordering::Relaxed) {
        shared.settings.tls.was_left(peer.ip());
    }
}

async fn answer(shared: &Arc<Shared>, mut request: Request<Incoming>, peer: SocketAddr, place: Arc<Place>) -> Answer {
    let path = request.uri().path();
    if path == WRPC_PATH {
        debug!(%peer, path, "answered 404");
        return text(StatusCode::NOT_FOUND, "this is a lifeboat relay, which does not speak wRPC\n");
    }
    if is_loop(&shared.instance, request.headers()) {
        warn!(
            "this relay's control plane {} leads back to itself: set LIFEBOAT_CONTROL_PLANE to the real one",
            shared.cluster.control_plane
        );
        return text(StatusCode::LOOP_DETECTED, "this relay is its own control plane\n");
    }

    let accept = accept_key(request.method(), request.headers());
    if path != OUTLET_PATH {
        match accept {
            Some(accept) if path == rpc::PATH => return rpc::open(shared, request, accept, peer, place).await,
            Some(_) => return tunnel::open(shared, request, peer, place).await,
            None => {}
        }
        debug!(%peer, path, "answered 404: what is not a WebSocket is not asked of the control plane");
        return text(StatusCode::NOT_FOUND, "this is a lifeboat relay: data planes connect to /v1/outlet\n");
    }

    let Some(accept) = accept else {
        return text(StatusCode::UPGRADE_REQUIRED, "data planes open a WebSocket here\n");
    };
    let target = request.uri().path_and_query().map_or(OUTLET_PATH, |target| target.as_str()).to_owned();
    let via = request.headers().get(RELAY_HEADER).and_then(|via| via.to_str().ok()).map(str::to_owned);
    let Some(identity) = identify(target, peer, via) else {
        return text(StatusCode::BAD_REQUEST, "node_id, node_hostname and node_version are needed\n");
    };

    let upgrade = hyper::upgrade::on(&mut request);
    shared.spawn(serve_node(shared.clone(), identity, upgrade, place));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Full::default())
        .expect("these headers are valid")
}

async fn serve_node(shared: Arc<Shared>, identity: NodeIdentity, upgrade: OnUpgrade, place: Arc<Place>) {
    match upgrade.await {
        Ok(upgraded) => {
            let Parts { io, read_buf, .. } = upgraded
                .downcast::<TokioIo<TlsStream<TcpStream>>>()
                .expect("what comes back is the stream that went in");
            let link = Link::new(io.into_inner(), read_buf, Mask::Theirs, NODE_FRAME_LIMIT);
            node::serve(shared, identity, link, place).await;
        }
        Err(error) => debug!(node = identity.id, "the WebSocket did not open: {error}"),
    }
}

fn identify(target: String, address: SocketAddr, via: Option<String>) -> Option<NodeIdentity> {
    let OutletQuery { id, hostname, version } = OutletQuery::read(&target)?;
    Some(NodeIdentity { id, hostname, version, target, address, via })
}

pub(super) fn text(status: StatusCode, body: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // Kong's nodes wait at least as long before they reconnect; newer ones honour the header.
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_asks_the_control_plane_for_what_it_has_asked_for() {
        let target = "/v1/outlet?node_id=7c5d&node_hostname=dp-1&node_version=3.9.1&more=x";
        let identify = |target: &str| identify(target.into(), ([10, 0, 0, 7], 41_000).into(), None);
        assert_eq!(identify(target).unwrap().target, target);
        assert_eq!(identify("/v1/outlet?node_id=x"), None);
    }

    #[test]
    fn a_503_of_the_relays_own_says_when_to_come_again_and_no_other_answer_does() {
        let retry_after = |status| text(status, "").headers().get(header::RETRY_AFTER).cloned();
        assert_eq!(retry_after(StatusCode::SERVICE_UNAVAILABLE), Some(HeaderValue::from_static("5")));
        assert_eq!(retry_after(StatusCode::NOT_FOUND), None);
    }
}
