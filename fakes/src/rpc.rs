//! As much of Kong's RPC on `/v2/outlet` as tells whether it gets through: the subprotocol, a node's hello and its answer
//! (KONG.md section 1), and after that an echo.

use std::sync::Mutex;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{Frame, OpCode, Payload, WebSocketError};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use hyper::{Request, Response, StatusCode};
use tokio::sync::watch;

use super::control_plane::{Behaviour, ControlPlaneOptions, ControlPlaneState, Event, Rpc};
use super::link::record;

/// Where it is.
pub(super) const PATH: &str = "/v2/outlet";
/// A node that was let in, with the subprotocol that it asked for.
pub(super) type Accepted = Mutex<Option<(String, UpgradeFut)>>;

const PROTOCOL: &str = "kong.meta.v1";

/// Answers what is asked of it; gives back what isn't.
pub(super) fn answer(
    mut request: Request<Incoming>,
    options: &ControlPlaneOptions,
    state: &watch::Sender<ControlPlaneState>,
    accepted: &Accepted,
) -> Result<Response<Empty<Bytes>>, Box<Request<Incoming>>> {
    let serves = options.rpc == Rpc::On && state.borrow().behaviour == Behaviour::Serving;
    if request.uri().path() != PATH || !serves {
        return Err(Box::new(request));
    }

    let asked = request.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|asked| asked.to_str().ok());
    let asked = asked.unwrap_or_default().to_owned();
    let Ok((mut response, upgrade)) = upgrade(&mut request) else { return Err(Box::new(request)) };
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
pub(super) async fn live(asked: String, upgrade: UpgradeFut, state: &watch::Sender<ControlPlaneState>) {
    if let Ok(socket) = upgrade.await {
        // Its end is the node's doing.
        let _ = talk(socket, state, asked).await;
    }
}

async fn talk(
    mut socket: fastwebsockets::WebSocket<hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>>,
    state: &watch::Sender<ControlPlaneState>,
    protocol: String,
) -> Result<(), WebSocketError> {
    socket.set_auto_pong(true);
    let hello = socket.read_frame().await?;
    let hello: serde_json::Value = serde_json::from_slice(&hello.payload).unwrap_or_default();
    let id = hello["params"][0]["kong_node_id"].as_str().unwrap_or_default().to_owned();

    let answer = serde_json::json!({
        "jsonrpc": "2.0", "id": 1,
        "result": { "rpc_capabilities": ["kong.sync.v2"], "rpc_frame_encoding": "x-snappy-framed" },
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
