//! The nodes that a control plane knows by incremental sync: their links, and which of them it tells of a change.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::versions::Versions;
use crate::control_plane::ControlPlaneOptions;
use crate::wire::{KeyOrder, NOTIFY, pack};

/// A call to a node: its block, and where its answer goes.
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) block: Vec<u8>,
    pub(super) answered: oneshot::Sender<()>,
}

/// A link that is up.
pub(super) struct PeerLink {
    pub(super) calls: mpsc::UnboundedSender<Call>,
    pub(super) next_id: u64,
}

#[derive(Default)]
pub(super) struct Peer {
    /// With the capability in its hello.
    pub(super) links: Vec<PeerLink>,
    pub(super) asked: Option<Instant>,
}

/// What a control plane has for `/v2/outlet`.
pub(crate) struct Peers {
    pub(super) nodes: Mutex<BTreeMap<String, Peer>>,
    pub(super) versions: Versions,
    pub(super) order: KeyOrder,
    notify_limit: Duration,
    listed: Duration,
}

impl Peers {
    pub(crate) fn new(options: &ControlPlaneOptions) -> Self {
        let (nodes, versions, order) = (Mutex::default(), Versions::default(), KeyOrder::of_a_new_process());
        Self { nodes, versions, order, notify_limit: options.notify_limit, listed: options.listed }
    }

    /// What was open is gone, as after a crash. What was listed stays so.
    pub(crate) fn drop_links(&self) {
        let mut nodes = self.nodes.lock().expect("nothing panics while it is locked");
        nodes.values_mut().for_each(|peer| peer.links.clear());
    }

    /// Tells all nodes of a version, one after the other, as an Admin API request does. Returns each node that was called,
    /// and whether it answered.
    pub(crate) async fn notify(&self, version: u64) -> Vec<(String, bool)> {
        let ids: Vec<String> = self.nodes.lock().expect("nothing panics while it is locked").keys().cloned().collect();
        let mut called = Vec::new();
        for id in ids {
            if let Some(answered) = self.notify_one(&id, version).await {
                called.push((id, answered));
            }
        }
        called
    }

    async fn notify_one(&self, node: &str, version: u64) -> Option<bool> {
        match self.call(node, version)? {
            Ok(answer) => Some(matches!(timeout(self.notify_limit, answer).await, Ok(Ok(())))),
            // Through the database, where nobody answers.
            Err(asked) => {
                if asked.elapsed() < self.listed {
                    sleep(self.notify_limit).await;
                }
                Some(false)
            }
        }
    }

    /// The answer to come, or when the node, which is gone, asked last; none of a node that was never to be called.
    fn call(&self, node: &str, version: u64) -> Option<Result<oneshot::Receiver<()>, Instant>> {
        let mut nodes = self.nodes.lock().expect("nothing panics while it is locked");
        let peer = nodes.get_mut(node)?;
        let Some(link) = peer.links.last_mut() else { return peer.asked.map(Err) };

        let id = link.next_id;
        link.next_id += 1;
        let params = json!([{ "default": { "new_version": version } }]);
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": NOTIFY, "params": params });
        let (answered, answer) = oneshot::channel();
        let call = Call { id, block: pack(&self.order.text(&message)), answered };
        link.calls.send(call).ok()?;
        Some(Ok(answer))
    }
}
