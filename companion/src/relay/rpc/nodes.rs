//! Nodes with incremental sync. Each of a node's workers has its own connection, and all of them are one node. What is
//! known of a node is kept here while it is connected, and for a while longer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::limits::NodeLimits;
use lifeboat_core::kong::rpc::{Hello, SyncVersion};
use lifeboat_core::session::sync::{SyncNode, SyncTrouble};
use lifeboat_core::time::Moment;
use lifeboat_runtime::lock::Locked;
use tracing::info;
use uuid::Uuid;

use super::Caller;
use crate::observation::NodePresence;
use crate::relay::nodes::{ConfigurationFrom, ControlPlaneLink, NodeRow, Shown};
use crate::relay::{NodeIdentity, Shared};

/// How many nodes are remembered after they have disconnected. The memory is needed because a node says the same
/// whether it is empty or has a configuration from `/v1/outlet`, and because a snapshot that a node did not take is not
/// sent again.
const REMEMBERED: usize = 10_000;

/// All of them. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::relay) struct SyncNodes(Arc<Mutex<HashMap<Uuid, Arc<NodeEntry>>>>);

/// A node.
#[derive(Debug)]
pub(super) struct NodeEntry {
    /// Its id, as it is logged.
    pub(super) id: String,
    state: Mutex<State>,
    /// It was restored, and the control plane is to send it its own configuration as soon as it is linked to it.
    is_to_be_notified: AtomicBool,
}

#[derive(Debug)]
struct State {
    node: SyncNode,
    hostname: String,
    limits: NodeLimits,
    connections: usize,
    seen: Option<Seen>,
    /// Why the published snapshot can't be given to such a node.
    unsyncable: Option<String>,
}

/// How a connected node is seen from outside.
#[derive(Debug)]
struct Seen {
    row: NodeRow,
    presence: NodePresence,
}

/// A node's connection, until this is dropped.
#[derive(Debug)]
pub(super) struct NodeConnection {
    pub(super) entry: Arc<NodeEntry>,
}

impl SyncNodes {
    /// A node runs something that came by `/v1/outlet`.
    pub(in crate::relay) fn runs_by_outlet(&self, id: &str, now: Moment) {
        let Ok(id) = Uuid::try_parse(id) else { return };
        let entry = self.entry(id, || SyncNode::new(u64::MAX, now));
        entry.lock().node.runs_by_outlet();
    }

    fn entry(&self, id: Uuid, node: impl FnOnce() -> SyncNode) -> Arc<NodeEntry> {
        let mut nodes = self.0.locked();
        if !nodes.contains_key(&id) && nodes.len() >= REMEMBERED {
            nodes.retain(|_, entry| entry.lock().connections > 0);
        }
        let entry = nodes.entry(id).or_insert_with(|| {
            let (hostname, limits, connections) = (String::new(), NodeLimits::default(), 0);
            let state = State { node: node(), hostname, limits, connections, seen: None, unsyncable: None };
            Arc::new(NodeEntry {
                id: id.to_string(),
                state: Mutex::new(state),
                is_to_be_notified: AtomicBool::new(false),
            })
        });
        entry.clone()
    }
}

/// A node has said who it is.
pub(super) fn join(shared: &Arc<Shared>, hello: &Hello, caller: &Caller, link: ControlPlaneLink) -> NodeConnection {
    let now = shared.clock.now();
    let entry = shared.sync_nodes.entry(hello.id, || SyncNode::new(hello.limits.max_payload, now));
    let mut state = entry.lock();
    state.node.came(hello.limits.max_payload, now);
    state.connections += 1;
    (state.hostname, state.limits) = (hello.hostname.clone(), hello.limits);

    if state.seen.is_none() {
        info!(node = entry.id, hostname = hello.hostname, "a node with incremental sync connected");
        let identity = NodeIdentity {
            id: entry.id.clone(),
            hostname: hello.hostname.clone(),
            version: hello.version,
            target: super::PATH.to_owned(),
            address: caller.peer,
            via: caller.via.clone(),
        };
        let row = shared.nodes.join(&identity, shared.clock.wall());
        state.seen = Some(Seen { row, presence: shared.recorder.node() });
    }
    state.show(Some(link));
    drop(state);
    NodeConnection { entry }
}

impl NodeEntry {
    /// Does something with what is known of the node, and shows what has become of it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut SyncNode) -> T) -> T {
        let mut state = self.lock();
        let done = work(&mut state.node);
        state.show(None);
        done
    }

    /// The control plane's link of its connections.
    pub(super) fn shows(&self, link: ControlPlaneLink) {
        self.lock().show(Some(link));
    }

    /// Notes why the published snapshot can't be given to such a node, or that it can. Returns whether that is new.
    pub(super) fn unsyncable(&self, why: Option<String>) -> bool {
        let mut state = self.lock();
        let is_news = state.unsyncable != why;
        state.unsyncable = why;
        state.show(None);
        is_news
    }

    /// It runs what it was given.
    pub(super) fn restored(&self) {
        self.is_to_be_notified.store(true, Ordering::Relaxed);
        if let Some(Seen { presence, .. }) = &mut self.lock().seen {
            presence.restored();
        }
    }

    /// It does not take what it was given.
    pub(super) fn not_adopting(&self) {
        if let Some(Seen { presence, .. }) = &self.lock().seen {
            presence.not_adopting();
        }
    }

    /// It has the control plane's configuration.
    pub(super) fn given(&self) {
        if let Some(Seen { presence, .. }) = &mut self.lock().seen {
            presence.given();
        }
    }

    /// Its name for people.
    pub(super) fn hostname(&self) -> String {
        self.lock().hostname.clone()
    }

    /// It is served by this relay, so it has to be notified when the control plane is back.
    pub(super) fn is_served_here(&self) {
        self.is_to_be_notified.store(true, Ordering::Relaxed);
    }

    /// Whether it has to be notified of the control plane, which is there again: true once.
    pub(super) fn take_notification(&self) -> bool {
        self.is_to_be_notified.swap(false, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.locked()
    }
}

impl State {
    fn show(&mut self, link: Option<ControlPlaneLink>) {
        let Some(Seen { row, .. }) = &mut self.seen else { return };
        let version = self.node.has();
        let trouble = self.node.trouble().map(ToString::to_string);
        let link = link.unwrap_or_else(|| row.shown().link);
        row.show_as(Shown {
            runs: version.map(ConfigHash::of_sync_version),
            from: from(version, self.node.trouble()),
            link,
            trouble: trouble.or_else(|| self.unsyncable.clone().filter(|_| version.is_none_or(|version| version == 0))),
            limits: Some(self.limits),
        });
    }
}

fn from(version: Option<i64>, trouble: Option<&SyncTrouble>) -> ConfigurationFrom {
    match version {
        Some(0) if trouble == Some(&SyncTrouble::HasAnother) => ConfigurationFrom::OwnCache,
        None | Some(0) => ConfigurationFrom::Nowhere,
        Some(version) if SyncVersion::sequence(version).is_some() => ConfigurationFrom::Store,
        Some(_) => ConfigurationFrom::ControlPlane,
    }
}

impl Drop for NodeConnection {
    fn drop(&mut self) {
        let mut state = self.entry.lock();
        state.connections -= 1;
        if state.connections == 0 {
            state.seen = None;
            info!(node = self.entry.id, hostname = state.hostname, "the last connection of the node is closed");
        }
    }
}
