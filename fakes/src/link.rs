//! One node's link as the control plane of the cast lives it, from the TLS handshake to its end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Mutex;

use bytes::Bytes;
use fastwebsockets::Role;
use futures::{Stream, StreamExt};
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::header::RETRY_AFTER;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::control_plane::{Answer, Behaviour, ConnectedNode, ControlPlaneOptions, ControlPlaneState, Event};
use super::frames::{Incoming, Writer, halves};
use super::outlet::{self, Introduction, PATH};
use super::pace::{Masking, Patience};
use super::rpc::{self, Peers};

type Socket = TokioIo<Upgraded>;

/// Serves one TCP connection until it ends.
pub(super) async fn serve(
    stream: TcpStream,
    options: &ControlPlaneOptions,
    state: &watch::Sender<ControlPlaneState>,
    peers: &Peers,
) {
    while_not_hanging(state).await;
    if state.borrow().behaviour == Behaviour::PlainHttp {
        return answer_without_tls(stream).await;
    }
    if speaks_no_tls(&stream).await {
        return refuse_plain_http(stream, state).await;
    }

    let tls = match TlsAcceptor::from(options.tls.clone()).accept(stream).await {
        Ok(tls) => tls,
        Err(error) => return record(state, Event::HandshakeFailed(error.to_string())),
    };
    while_not_hanging(state).await;
    if state.borrow().behaviour == Behaviour::HangingUp {
        return hang_up(tls, state).await;
    }

    let (accepted, by_rpc) = (Mutex::new(None), Mutex::new(None));
    let service = service_fn(|request| {
        let response = match rpc::answer(request, options, state, &by_rpc) {
            Ok(response) => response.map(|_| Full::default()),
            Err(request) => answer(*request, state, &accepted),
        };
        async { Ok::<_, Infallible>(response) }
    });
    let http = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service);
    if http.with_upgrades().await.is_err() {
        return;
    }

    if let Some((asked, upgrade)) = by_rpc.into_inner().expect("nothing panics while it is locked") {
        return rpc::live(asked, upgrade, options, state, peers).await;
    }
    let Some((introduction, upgrade)) = accepted.into_inner().expect("nothing panics while it is locked") else {
        return;
    };
    if let Ok(socket) = upgrade.await {
        Link::new(introduction, options, state).live(TokioIo::new(socket)).await;
    }
}

/// Whether the first byte is none that TLS begins with.
async fn speaks_no_tls(stream: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 22;
    let mut first = [HANDSHAKE];
    stream.peek(&mut first).await.is_ok_and(|read| read == 1) && first != [HANDSHAKE]
}

/// Plain HTTP at the cluster's port is answered with 400, as nginx does (KONG.md section 4, point 9).
async fn refuse_plain_http(stream: TcpStream, state: &watch::Sender<ControlPlaneState>) {
    let service = service_fn(|request: Request<Body>| {
        record(state, Event::Answered(StatusCode::BAD_REQUEST, request.uri().path().to_owned()));
        let mut response = Response::new("The plain HTTP request was sent to HTTPS port\n".to_owned());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        async { Ok::<_, Infallible>(response) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    let _ = http.keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
}

type Accepted = Mutex<Option<(Introduction, OnUpgrade)>>;

fn answer(
    mut request: Request<Body>,
    state: &watch::Sender<ControlPlaneState>,
    accepted: &Accepted,
) -> Response<Full<Bytes>> {
    let introduction = Introduction::from_uri(request.uri());
    let behaviour = state.borrow().behaviour;
    let plain = |status| Answer { status, retry_after: None, body: "" };

    let refusing = match (request.method(), request.uri().path(), behaviour) {
        (&Method::GET, PATH, Behaviour::Answering(status)) => plain(status),
        (&Method::GET, PATH, Behaviour::AnsweringWith(answer)) => answer,
        (&Method::GET, PATH, _) => match (introduction, outlet::accept(&mut request)) {
            (Some(introduction), Some((response, upgrade))) => {
                *accepted.lock().expect("nothing panics while it is locked") = Some((introduction, upgrade));
                return response.map(|_| Full::default());
            }
            _ => plain(StatusCode::BAD_REQUEST),
        },
        _ => plain(StatusCode::NOT_FOUND),
    };

    record(state, Event::Answered(refusing.status, request.uri().path().to_owned()));
    let mut response = Response::new(Full::from(refusing.body));
    *response.status_mut() = refusing.status;
    if let Some(seconds) = refusing.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

// What has asked for TLS gets what an HTTP server says to bytes that it can't read.
async fn answer_without_tls(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let _ = stream.shutdown().await;
}

async fn hang_up(mut tls: TlsStream<TcpStream>, state: &watch::Sender<ControlPlaneState>) {
    let _ = tls.read(&mut [0; 4096]).await;
    record(state, Event::HungUp);
    let _ = tls.shutdown().await;
}

pub(super) fn record(state: &watch::Sender<ControlPlaneState>, event: Event) {
    state.send_modify(|state| state.events.push(event));
}

pub(super) async fn while_not_hanging(state: &watch::Sender<ControlPlaneState>) {
    let mut states = state.subscribe();
    states.wait_for(|state| state.behaviour != Behaviour::Hanging).await.expect("the sender is borrowed");
}

struct Link<'a> {
    id: u64,
    node: Introduction,
    options: &'a ControlPlaneOptions,
    state: &'a watch::Sender<ControlPlaneState>,
}

/// Why a link ended.
type Reason = String;

impl<'a> Link<'a> {
    fn new(node: Introduction, options: &'a ControlPlaneOptions, state: &'a watch::Sender<ControlPlaneState>) -> Self {
        let mut id = 0;
        state.send_modify(|state| {
            state.links += 1;
            id = state.links;
        });
        Self { id, node, options, state }
    }

    async fn live(&self, socket: Socket) {
        let patience =
            Patience { stall: self.options.silence, silence: self.options.silence, masking: Masking::ByRole };
        let (frames, writer) = halves(socket, Role::Server, self.options.max_payload, patience);
        let reason = self.talk(pin!(frames), writer).await.unwrap_or_else(|error| error.to_string());
        self.state.send_modify(|state| {
            state.nodes.retain(|node| node.link != self.id);
            state.events.push(Event::Disconnected(self.node.node_id.clone(), reason));
        });
    }

    async fn talk(
        &self,
        mut frames: impl Stream<Item = io::Result<Incoming>> + Unpin,
        mut writer: Writer<Socket>,
    ) -> io::Result<Reason> {
        let (first_message, basic_info) = read_basic_info(&mut frames).await?;
        if let Some(reason) = self.refusal() {
            record(self.state, Event::Refused(self.node.node_id.clone(), reason.clone()));
            let behaviour = self.state.borrow().behaviour;
            match behaviour {
                Behaviour::Dropping => {}
                Behaviour::Closing(code) => writer.close_with(code).await?,
                _ => writer.close().await?,
            }
            return Ok(reason);
        }

        let missing = self.missing_plugin(&basic_info);
        let mut states = self.state.subscribe();
        let mut next = self.join(first_message, basic_info, missing.clone());
        loop {
            while_not_hanging(self.state).await;
            let due = self.due(next).filter(|_| missing.is_none());
            if let Some((message, behaviour)) = due {
                match behaviour {
                    Behaviour::Fragmenting => writer.fragmented(&message).await?,
                    _ => writer.binary(&message).await?,
                }
                next += 1;
                self.note_sent(message.len());
                continue;
            }

            tokio::select! {
                biased;
                _ = states.changed() => {}
                frame = frames.next() => match frame.transpose()? {
                    Some(Incoming::Ping(hash)) => {
                        self.note_ping(&hash);
                        writer.empty_pong().await?;
                    }
                    Some(Incoming::Close) => return Ok("the node closed the link".to_owned()),
                    Some(_) => {}
                    None => return Ok("the node hung up".to_owned()),
                }
            }
        }
    }

    /// Takes its place among the connected nodes. Returns the index of the first message that it is to be sent.
    fn join(&self, first_message: Bytes, basic_info: serde_json::Value, missing: Option<String>) -> usize {
        let Introduction { node_id, hostname, version } = self.node.clone();
        let mut first = 0;
        self.state.send_modify(|state| {
            state.events.push(Event::Connected(node_id.clone()));
            state.events.extend(missing.map(|plugin| Event::PluginMissing(node_id.clone(), plugin)));
            let (pings, sent, link) = (Vec::new(), 0, self.id);
            let node = ConnectedNode { node_id, hostname, version, basic_info, first_message, pings, sent, link };
            state.nodes.push(node);
            first = state.messages.len().saturating_sub(1);
        });
        first
    }

    fn due(&self, next: usize) -> Option<(Bytes, Behaviour)> {
        let state = self.state.borrow();
        let sends = matches!(state.behaviour, Behaviour::Serving | Behaviour::Fragmenting);
        state.messages.get(next).filter(|_| sends).map(|message| (message.clone(), state.behaviour))
    }

    fn note_sent(&self, bytes: usize) {
        self.note(Event::Sent(self.node.node_id.clone(), bytes), |node| node.sent += 1);
    }

    fn note_ping(&self, payload: &[u8]) {
        let hash = String::from_utf8_lossy(payload).into_owned();
        self.note(Event::Ping(self.node.node_id.clone(), hash.clone()), |node| node.pings.push(hash));
    }

    fn note(&self, event: Event, change: impl FnOnce(&mut ConnectedNode)) {
        self.state.send_modify(|state| {
            state.events.push(event);
            if let Some(node) = state.nodes.iter_mut().find(|node| node.link == self.id) {
                change(node);
            }
        });
    }

    /// Kong refuses another major and a newer minor version.
    fn refusal(&self) -> Option<String> {
        match self.state.borrow().behaviour {
            Behaviour::Refusing => return Some("the control plane refuses all".to_owned()),
            Behaviour::Closing(code) => return Some(format!("the control plane closes all links with {code}")),
            Behaviour::Dropping => return Some("the control plane drops all links".to_owned()),
            _ => {}
        }

        let numbers = |version: &str| {
            let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
            Some((parts.next()??, parts.next()??))
        };
        let (own, node) = (numbers(&self.options.version)?, numbers(&self.node.version));
        match node {
            Some((major, minor)) if major == own.0 && minor <= own.1 => None,
            _ => Some(format!("version {} does not fit {}", self.node.version, self.options.version)),
        }
    }

    fn missing_plugin(&self, basic_info: &serde_json::Value) -> Option<String> {
        let names = basic_info["plugins"].as_array().into_iter().flatten().map(|plugin| plugin["name"].as_str());
        let names: Vec<&str> = names.flatten().collect();
        self.options.required_plugins.iter().find(|required| !names.contains(&required.as_str())).cloned()
    }
}

async fn read_basic_info(
    frames: &mut (impl Stream<Item = io::Result<Incoming>> + Unpin),
) -> io::Result<(Bytes, serde_json::Value)> {
    let refuse = |why: &str| Err(io::Error::other(format!("the first frame is not basic_info: {why}")));
    let Some(Incoming::Binary(text)) = frames.next().await.transpose()? else { return refuse("not binary") };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&text) else { return refuse("not JSON") };
    match (value["type"].as_str(), value["plugins"].is_array()) {
        (Some("basic_info"), true) => Ok((text, value)),
        (Some("basic_info"), false) => refuse("it has no list of plugins"),
        _ => refuse("another type"),
    }
}
