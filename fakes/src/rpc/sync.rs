//! A link to `/v2/outlet` as a control plane with incremental sync lives it.

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::Role;
use futures::{Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, interval_at};

use super::peers::{Call, PeerLink, Peers};
use super::while_serving;
use crate::control_plane::{Behaviour, ControlPlaneOptions, ControlPlaneState, Event, Rpc};
use crate::frames::{Incoming, Writer, halves};
use crate::link::record;
use crate::pace::{Masking, Patience};
use crate::wire::{ENCODING, GET_DELTA, SYNC, pack, unpack};

type Socket = TokioIo<Upgraded>;

/// It pings when it has read nothing for so long. Kong's.
const PING: Duration = Duration::from_secs(35);

/// One node's link.
pub(super) struct SyncLink<'a> {
    pub(super) options: &'a ControlPlaneOptions,
    pub(super) state: &'a watch::Sender<ControlPlaneState>,
    pub(super) peers: &'a Peers,
    pub(super) protocol: String,
}

impl SyncLink<'_> {
    pub(super) async fn live(self, socket: Socket) {
        let silence = self.options.silence;
        let patience = Patience { stall: silence, silence, masking: Masking::ByRole };
        let (frames, mut writer) = halves(socket, Role::Server, self.options.max_payload, patience);
        let mut frames = pin!(frames);
        let Ok(hello) = read_hello(&mut frames).await else { return };
        let params = &hello["params"][0];
        let node = params["kong_node_id"].as_str().unwrap_or_default().to_owned();
        let lists_sync = params["rpc_capabilities"].as_array().is_some_and(|list| list.iter().any(|one| one == SYNC));

        tokio::time::sleep(self.options.hello_after).await;
        while_serving(self.state).await;
        if writer.binary(&self.answer_to_hello(&hello["id"])).await.is_err() {
            return;
        }
        let calls = self.join(&node, lists_sync && self.options.rpc == Rpc::IncrementalSync);
        let reason = self.talk(&node, &mut frames, writer, calls).await.unwrap_or_else(|error| error.to_string());
        self.leave(&node, reason);
    }

    fn answer_to_hello(&self, id: &Value) -> Vec<u8> {
        let capabilities = if self.options.rpc == Rpc::IncrementalSync { json!([SYNC]) } else { json!([]) };
        let result = json!({ "rpc_capabilities": capabilities, "rpc_frame_encoding": ENCODING });
        let answer = json!({ "jsonrpc": "2.0", "id": id, "result": result });
        self.peers.order.text(&answer).into_bytes()
    }

    /// Only nodes with the capability are ever called.
    fn join(&self, node: &str, called: bool) -> mpsc::UnboundedReceiver<Call> {
        let (calls, to_make) = mpsc::unbounded_channel();
        record(self.state, Event::Hello(node.to_owned(), self.protocol.clone()));
        if called {
            let mut nodes = self.peers.nodes.lock().expect("nothing panics while it is locked");
            let links = &mut nodes.entry(node.to_owned()).or_default().links;
            links.retain(|link| !link.calls.is_closed());
            links.push(PeerLink { calls, next_id: 0 });
        }
        to_make
    }

    fn leave(&self, node: &str, reason: String) {
        if let Some(peer) = self.peers.nodes.lock().expect("nothing panics while it is locked").get_mut(node) {
            // The receiver of this link's calls is gone by now.
            peer.links.retain(|link| !link.calls.is_closed());
        }
        record(self.state, Event::Disconnected(node.to_owned(), reason));
    }

    async fn talk(
        &self,
        node: &str,
        frames: &mut (impl Stream<Item = io::Result<Incoming>> + Unpin),
        mut writer: Writer<Socket>,
        mut calls: mpsc::UnboundedReceiver<Call>,
    ) -> io::Result<String> {
        let mut waiting: BTreeMap<u64, oneshot::Sender<()>> = BTreeMap::new();
        let mut ping = interval_at(Instant::now() + PING, PING);
        let mut is_called = true;
        loop {
            while_serving(self.state).await;
            tokio::select! {
                call = calls.recv(), if is_called => match call {
                    Some(Call { id, block, answered }) => {
                        waiting.insert(id, answered);
                        writer.binary(&block).await?;
                    }
                    None => is_called = false,
                },
                _ = ping.tick() => writer.ping(&[]).await?,
                frame = frames.next() => {
                    ping.reset();
                    match frame.transpose()? {
                        Some(Incoming::Binary(block)) => {
                            let Some(message) = unpack(&block).filter(|message| message["jsonrpc"] == "2.0") else {
                                return Ok("the node sent what is no message".to_owned());
                            };
                            if message.get("method").is_some() {
                                if let Some(answer) = self.answer(node, &message) {
                                    writer.binary(&pack(&self.peers.order.text(&answer))).await?;
                                }
                            } else if let Some(answered) = message["id"].as_u64().and_then(|id| waiting.remove(&id)) {
                                // Whoever waits for it may have given up.
                                let _ = answered.send(());
                            }
                        }
                        Some(Incoming::Ping(_)) => writer.empty_pong().await?,
                        Some(Incoming::Pong(_)) => {}
                        Some(Incoming::Close) => return Ok("the node closed the link".to_owned()),
                        Some(Incoming::Text | Incoming::Fragment) => return Ok("the node sent a wrong frame".to_owned()),
                        None => return Ok("the node hung up".to_owned()),
                    }
                }
            }
        }
    }

    /// None of what ends in a Lua error, and of a control plane that is silent.
    fn answer(&self, node: &str, request: &Value) -> Option<Value> {
        let id = &request["id"];
        let error = |code: i32, message: &str| {
            Some(json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }))
        };
        if request["method"] != GET_DELTA || self.options.rpc != Rpc::IncrementalSync {
            return error(-32_601, "Method not found");
        }
        let Some(default) = request["params"][0].get("default") else {
            return error(-32_000, "default namespace does not exist inside params");
        };
        let asked = default["version"].as_f64()?;

        self.list(node, asked);
        let (messages, behaviour): (Vec<Bytes>, Behaviour) = {
            let state = self.state.borrow();
            (state.messages.clone(), state.behaviour)
        };
        if behaviour == Behaviour::Silent {
            return None;
        }
        let answer = self.peers.versions.answer(&messages, self.options.first_version, asked);
        let result = answer.result();
        self.state.send_modify(|state| {
            let (wipe, deltas) = (answer.wipe, answer.deltas.len());
            state.events.push(Event::Deltas { node: node.to_owned(), wipe, deltas });
        });
        Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    }

    /// Whoever asks gets a row in `clustering/data-planes`.
    #[allow(clippy::cast_possible_truncation, reason = "Kong's versions have 14 digits at most")]
    fn list(&self, node: &str, asked: f64) {
        if let Some(peer) = self.peers.nodes.lock().expect("nothing panics while it is locked").get_mut(node) {
            peer.asked = Some(Instant::now());
        }
        self.state.send_modify(|state| {
            state.versions.insert(node.to_owned(), asked as i64);
            state.events.push(Event::Asked(node.to_owned(), asked as i64));
        });
    }
}

async fn read_hello(frames: &mut (impl Stream<Item = io::Result<Incoming>> + Unpin)) -> io::Result<Value> {
    let refuse = || io::Error::other("the first frame is not hello");
    let Some(Incoming::Binary(text)) = frames.next().await.transpose()? else { return Err(refuse()) };
    let hello: Value = serde_json::from_slice(&text)?;
    if hello["method"] == "kong.meta.v1.hello" { Ok(hello) } else { Err(refuse()) }
}
