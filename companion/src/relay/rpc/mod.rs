//! `/v2/outlet`: Kong's RPC, over which nodes with incremental sync take their configuration (KONG.md section 7). While the
//! control plane is there, a node's connections are linked through to it; while it is gone, the relay speaks the protocol
//! itself and gives empty nodes the snapshot. What a node is given is decided in `core`.

mod local;
mod log_lines;
mod nodes;
mod outage;
mod snapshot;
mod spliced;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::rpc::{PROTOCOL, SyncVersion};
use lifeboat_core::session::answer::{ConnectFailure, HttpAnswer};
use lifeboat_link::dial::{self, DialError};
use lifeboat_link::websocket::connect::RELAY_HEADER;
use tokio::time::timeout;
use tracing::debug;

pub(super) use nodes::SyncNodes;
pub use outage::ControlPlaneSync;
pub(super) use outage::Outage;
pub(super) use snapshot::SyncSnapshot;

use super::admission::Place;
use super::{NotLinked, Shared, upgrade};

/// The path.
pub(super) const PATH: &str = "/v2/outlet";
/// How long the control plane is asked before a node is answered. A node that has just started waits for about 1.1 s, and
/// asks again only 30 s later.
const ASKED_FOR: Duration = Duration::from_millis(800);
/// The same while the control plane is known to be there: as long as a dial may take.
const ASKED_FOR_LONGER: Duration = Duration::from_secs(5);
/// How long a node may take for its first message: as long as Kong's own control plane waits for it.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// The longest first message. It holds the node's settings, some tens of kilobytes.
const HELLO_SIZE: u64 = 512 * 1024;

type Answer = Response<Full<Bytes>>;
type Asked = Result<Response<Incoming>, DialError>;

/// How the pings of nodes with incremental sync name a snapshot that they were restored from.
pub(super) fn shown_by_sync(sequence: u64) -> ConfigHash {
    ConfigHash::of_sync_version(SyncVersion::of_sequence(sequence).number())
}

/// A node's request to the control plane, kept so that it can be sent again.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// The relays through which it came, if it did.
    via: Option<String>,
}

/// A connection of a node, before it is known which node that is.
struct Caller {
    peer: SocketAddr,
    via: Option<String>,
    place: Arc<Place>,
}

impl Opening {
    pub(super) fn of(request: &Request<Incoming>) -> Self {
        let via = request.headers().get(RELAY_HEADER).and_then(|via| via.to_str().ok()).map(str::to_owned);
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self { method, uri, headers: forwarded(request.headers()), via }
    }

    // The same handshake at another path, without anything that belongs to this protocol.
    fn of_outlet(&self) -> Self {
        let mut headers = self.headers.clone();
        headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
        Self { uri: Uri::from_static("/v1/outlet"), headers, ..self.clone() }
    }

    /// Asks the control plane.
    pub(super) async fn ask(&self, shared: &Shared) -> Asked {
        let dialer = shared.dialer(self.via.as_deref());
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let host = HeaderValue::from_str(&shared.cluster.control_plane.to_string());
        let via = HeaderValue::from_str(&dialer.via);
        for (name, value) in [(header::HOST, host), (HeaderName::from_static(RELAY_HEADER), via)] {
            request.headers_mut().insert(name, value.expect("an address and a list of UUIDs are valid in a header"));
        }
        dial::ask(&shared.cluster.control_plane, request, &dialer, shared.settings.rules.config_timeout).await
    }
}

// Upgrade and Connection belong to this opening handshake and go on with it.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let own: [HeaderName; 3] = [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let mut forwarded = headers.clone();
    own.iter().for_each(|name| while forwarded.remove(name).is_some() {});
    forwarded
}

/// Answers a node's opening handshake as the control plane does, or in its stead. `accept` is the answer to the node's key.
pub(super) async fn open(
    shared: &Arc<Shared>,
    mut request: Request<Incoming>,
    accept: String,
    peer: SocketAddr,
    place: Arc<Place>,
) -> Answer {
    let opening = Opening::of(&request);
    let caller = Caller { peer, via: opening.via.clone(), place };
    let speaks = offers_protocol(request.headers());

    match asked(shared, &opening, &caller.place).await {
        Asking::Opened(response) => {
            let answer = as_answered(&response);
            let both = [hyper::upgrade::on(&mut request), hyper::upgrade::on(response)];
            shared.spawn(spliced::serve(shared.clone(), both, speaks, caller));
            return answer;
        }
        Asking::Refused(answer) => return refusal(answer),
        Asking::NoFile => return no_file(),
        Asking::Gone => {}
        Asking::GoesOn => shared.sync_outage.is_asked(),
    }
    if !speaks {
        debug!(%peer, "refused, since the control plane is away and the node does not offer {PROTOCOL}");
        shared.incremental.refused(peer.ip());
        return upgrade::text(StatusCode::SERVICE_UNAVAILABLE, "the control plane is away\n");
    }

    let node = hyper::upgrade::on(&mut request);
    shared.sync_outage.watch(shared, &opening);
    shared.spawn(serve_locally(shared.clone(), node, caller));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Full::default())
        .expect("these headers are valid")
}

/// What has become of a question to the control plane.
enum Asking {
    /// It has opened what it was asked to.
    Opened(Response<Incoming>),
    /// It is there and has decided otherwise.
    Refused(HttpAnswer),
    /// It is there, and there is no open file for a link to it.
    NoFile,
    /// It is not there.
    Gone,
    /// It is still being asked.
    GoesOn,
}

async fn asked(shared: &Arc<Shared>, opening: &Opening, place: &Arc<Place>) -> Asking {
    // All nodes ask the same, so an answer that one of them has just got counts for all.
    if shared.sync_outage.has_just_failed(shared.clock.now()) {
        return Asking::Gone;
    }

    let mut asking = tokio::spawn({
        let (shared, opening, place) = (shared.clone(), opening.clone(), place.clone());
        async move {
            let asked = match shared.linked(&place, opening.ask(&shared)).await {
                Ok(response) => Ok(response),
                Err(NotLinked::Failed(error)) => Err(error),
                Err(NotLinked::NoFile) => return Err(NotLinked::NoFile),
            };
            shared.sync_outage.judge(&shared, &opening, asked).await.map_err(NotLinked::Failed)
        }
    });
    // The control plane may be far away. A node whose answer is late waits for its next tick, but a node whose
    // connection is cut off again and again gets nothing.
    let limit = if shared.control_plane_health.is_there() { ASKED_FOR_LONGER } else { ASKED_FOR };
    match timeout(limit, &mut asking).await {
        Ok(Ok(Ok(response))) => Asking::Opened(response),
        Ok(Ok(Err(NotLinked::NoFile))) => Asking::NoFile,
        Ok(Ok(Err(NotLinked::Failed(error)))) => match error.failure {
            ConnectFailure::Answered(answer) if shared.sync_outage.is_there() => Asking::Refused(answer),
            _ => Asking::Gone,
        },
        Ok(Err(_)) => Asking::Gone,
        Err(_) => Asking::GoesOn,
    }
}

async fn serve_locally(shared: Arc<Shared>, node: OnUpgrade, caller: Caller) {
    match node.await {
        Ok(upgraded) => local::serve(shared, upgraded, caller).await,
        Err(error) => debug!(peer = %caller.peer, "the WebSocket did not open: {error}"),
    }
}

fn offers_protocol(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|protocol| protocol.trim() == PROTOCOL)
}

/// The control plane's own answer, if it opens the connection.
pub(super) fn as_answered(response: &Response<Incoming>) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    answer
}

/// The control plane is there, and the relay has no open file left for a link to it. Nodes come again.
pub(super) fn no_file() -> Answer {
    upgrade::text(StatusCode::SERVICE_UNAVAILABLE, "this relay can open no further connection to the control plane\n")
}

/// The control plane's own answer, if it does not.
pub(super) fn refusal(refused: HttpAnswer) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_GATEWAY);
    if let Some(wait) = refused.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().into());
    }
    answer
}
