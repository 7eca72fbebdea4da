//! Kong's RPC on `/v2/outlet` at a control plane: the subprotocol, a node's hello and its answer (KONG.md section 1). After
//! that it has incremental sync, or no capability at all, or it sends back what it is sent, which tells whether all gets
//! through.

mod peers;
mod sync;
mod versions;

use std::sync::Mutex;

use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::control_plane::{Behaviour, ControlPlaneOptions, ControlPlaneState, Event, Rpc};
use super::link::record;
use super::outlet;
use super::wire::{ENCODING, PROTOCOL, SYNC};
pub(crate) use peers::Peers;
use sync::SyncLink;

/// Where it is.
pub(super) const PATH: &str = "/v2/outlet";
/// A node that was let in, with the subprotocol that it asked for.
pub(super) type Accepted = Mutex<Option<(String, OnUpgrade)>>;

/// Answers what is asked of it; gives back what isn't.
pub(super) fn answer(
    mut request: Request<Incoming>,
    options: &ControlPlaneOptions,
    state: &watch::Sender<ControlPlaneState>,
    accepted: &Accepted,
) -> Result<Response<Empty<Bytes>>, Box<Request<Incoming>>> {
    let behaviour = state.borrow().behaviour;
    let serves = match options.rpc {
        Rpc::Off => false,
        Rpc::On => behaviour == Behaviour::Serving,
        Rpc::IncrementalSync | Rpc::WithoutSync => true,
    };
    if request.uri().path() != PATH || !serves {
        return Err(Box::new(request));
    }
    if let (Behaviour::Answering(status), true) = (behaviour, options.rpc != Rpc::On) {
        record(state, Event::Answered(status, PATH.to_owned()));
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        return Ok(response);
    }

    let asked = request.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|asked| asked.to_str().ok());
    let asked = asked.unwrap_or_default().to_owned();
    let Some((mut response, upgrade)) = outlet::accept(&mut request) else { return Err(Box::new(request)) };
    if asked != PROTOCOL {
        record(state, Event::Answered(StatusCode::BAD_REQUEST, PATH.to_owned()));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    }
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    *accepted.lock().expect("nothing panics while it is locked") = Some((asked, upgrade));
    Ok(response)
}

/// Talks with a node until it leaves.
pub(super) async fn live(
    asked: String,
    upgrade: OnUpgrade,
    options: &ControlPlaneOptions,
    state: &watch::Sender<ControlPlaneState>,
    peers: &Peers,
) {
    let Ok(socket) = upgrade.await.map(TokioIo::new) else { return };
    if options.rpc == Rpc::On {
        // Its end is the node's doing.
        let _ = echo(socket, state, asked).await;
    } else {
        SyncLink { options, state, peers, protocol: asked }.live(socket).await;
    }
}

async fn while_serving(state: &watch::Sender<ControlPlaneState>) {
    super::link::while_not_hanging(state).await;
}

async fn echo(
    socket: TokioIo<Upgraded>,
    state: &watch::Sender<ControlPlaneState>,
    protocol: String,
) -> Result<(), WebSocketError> {
    let mut socket = WebSocket::after_handshake(socket, Role::Server);
    socket.set_auto_pong(true);
    let hello = socket.read_frame().await?;
    let hello: serde_json::Value = serde_json::from_slice(&hello.payload).unwrap_or_default();
    let id = hello["params"][0]["kong_node_id"].as_str().unwrap_or_default().to_owned();

    let answer = serde_json::json!({
        "jsonrpc": "2.0", "id": 1,
        "result": { "rpc_capabilities": [SYNC], "rpc_frame_encoding": ENCODING },
    });
    let answer = answer.to_string().into_bytes();
    socket.write_frame(Frame::binary(Payload::Owned(answer))).await?;
    state.send_modify(|state| state.events.push(Event::Hello(id, protocol)));

    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Binary => socket.write_frame(Frame::binary(Payload::Owned(frame.payload.to_vec()))).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}
